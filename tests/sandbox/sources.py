# SPDX-License-Identifier: Apache-2.0
"""What a source is made of: its binary packages, their dependencies, files and scriptlets, for whatever version.

A package carries as little as tells it apart (one file of documentation), except where something reads or runs what
it carries: release files, configuration, the shell, the stand-ins, the kernels' boot files. Nothing but openssl's
stand-in shadows a library or program of this machine but with a copy of the same file, so that the packages can be laid
over its /usr.
"""

from pathlib import Path
from typing import Callable, Dict, Mapping, NamedTuple, Tuple

from tests.sandbox import osfiles, shell
from tests.sandbox.rpms import File

__all__ = ["SOURCES", "STANDINS", "Member", "files_of"]

STANDINS = Path(__file__).resolve().parent / "standins"


class Member(NamedTuple):
    """A binary package of a source. `base` members are there on a freshly installed host."""

    name: str
    requires: Tuple[str, ...] = ()
    provides: Tuple[str, ...] = ()
    obsoletes: Tuple[str, ...] = ()
    files: Tuple[File, ...] = ()
    scriptlets: Mapping[str, str] = {}
    base: bool = False
    multilib: bool = False
    noarch: bool = False
    # A host can hold several versions, so none of them may own a path without its version.
    installonly: bool = False


def files_of(member: Member, version: str, arch: str) -> Tuple[File, ...]:
    """The files of one build; the same for i686 and x86_64, whose packages are installed side by side."""
    made = _MADE_FILES[member.name](version) if member.name in _MADE_FILES else ()
    if member.installonly:
        return member.files
    note = File("/usr/share/doc/%s/README" % member.name, "Stand-in of %s.\n" % member.name)
    return (note, *member.files, *made, *shell.files(member.name, arch))


def _standin(name: str, path: str) -> File:
    return File(path, (STANDINS / name).read_text(), mode=0o755)


def _protected(name: str) -> File:
    return File("/etc/dnf/protected.d/%s.conf" % name, name + "\n", "%config(noreplace)")


# --- release packages --------------------------------------------------------------------------------------------


def _release_files(version: str) -> Tuple[File, ...]:
    name = osfiles.release_file_name()
    cpe = "cpe:/o:almalinux:almalinux:%s::baseos\n" % version.split(".")[0]
    return (
        File("/usr/lib/os-release", osfiles.os_release(version)),
        File("/etc/os-release", link="../usr/lib/os-release"),
        File("/etc/" + name, osfiles.release_line(version)),
        File("/etc/redhat-release", link=name),
        File("/etc/system-release", link=name),
        File("/etc/system-release-cpe", cpe),
    )


def _repos_files(version: str) -> Tuple[File, ...]:
    texts = sorted(osfiles.repo_files(version).items())
    return tuple(File("/etc/yum.repos.d/" + name, text, "%config(noreplace)") for name, text in texts)


_MADE_FILES: Dict[str, Callable[[str], Tuple[File, ...]]] = {
    "almalinux-release": _release_files,
    "almalinux-repos": _repos_files,
}

_RELEASE = (
    Member(
        "almalinux-release",
        requires=("almalinux-repos(9)",),
        provides=(
            "redhat-release = {evr}",
            "system-release = {evr}",
            "system-release(releasever) = 9",
            "base-module(platform:el9)",
        ),
        base=True,
    ),
    Member(
        "almalinux-repos",
        requires=("system-release = {evr}", "almalinux-gpg-keys = {evr}"),
        provides=("almalinux-repos(9) = {evr}",),
        base=True,
    ),
    Member(
        "almalinux-gpg-keys",
        files=(File("/etc/pki/rpm-gpg/RPM-GPG-KEY-AlmaLinux-9", public_key="AlmaLinux-9"),),
        base=True,
    ),
)

# --- the ground a host stands on ---------------------------------------------------------------------------------

_FOLDERS = {
    0o755: "/boot /dev /etc /home /media /mnt /opt /proc /run /srv /sys /usr /usr/bin /usr/lib /usr/lib64 /usr/libexec"
    " /usr/sbin /usr/share /var /var/cache /var/lib /var/log",
    0o700: "/root",
    0o1777: "/tmp /var/tmp",
}
_FILESYSTEM = Member(
    "filesystem",
    requires=("setup",),
    provides=("filesystem(unmerged-sbin-symlinks)",),
    files=(
        *(File(path, directive="%dir", mode=mode) for mode, paths in _FOLDERS.items() for path in paths.split()),
        *(File("/" + name, link="usr/" + name) for name in ("bin", "sbin", "lib", "lib64")),
        File("/var/run", link="../run"),
    ),
    base=True,
)

_PASSWD = """\
root:x:0:0:root:/root:/bin/bash
nobody:x:65534:65534:Kernel Overflow User:/:/sbin/nologin
"""
_HOSTS = """\
127.0.0.1   localhost localhost.localdomain
::1         localhost localhost.localdomain
"""
_SETUP = Member(
    "setup",
    requires=("system-release",),
    files=(
        File("/etc/passwd", _PASSWD, "%config(noreplace)"),
        File("/etc/group", "root:x:0:\nnobody:x:65534:\n", "%config(noreplace)"),
        File("/etc/hosts", _HOSTS, "%config(noreplace)"),
        _protected("setup"),
    ),
    noarch=True,
    base=True,
)

_DNF_CONF = """\
[main]
gpgcheck=1
installonly_limit=3
clean_requirements_on_remove=True
best=True
skip_if_unavailable=False
"""

_DNF = (
    Member(
        "dnf",
        requires=("python3-dnf = {evr}",),
        files=(_protected("dnf"),),
        noarch=True,
        base=True,
    ),
    Member(
        "dnf-data",
        files=(
            File("/etc/dnf/dnf.conf", _DNF_CONF, "%config(noreplace)"),
            *(File("/etc/dnf/" + name, directive="%dir") for name in ("modules.d", "plugins", "protected.d", "vars")),
        ),
        noarch=True,
        base=True,
    ),
    Member("python3-dnf", requires=("dnf-data = {evr}", "libdnf", "gnutls"), noarch=True, base=True),
    Member(
        "yum",
        requires=("dnf = {evr}",),
        files=(File("/etc/yum.conf", link="dnf/dnf.conf"), _protected("yum")),
        noarch=True,
        base=True,
    ),
)

_POLICY_TEXT = "# The system-wide crypto policy; update-crypto-policies --set changes it.\nDEFAULT\n"
_CRYPTO_POLICIES = (
    Member(
        "crypto-policies",
        files=(
            File("/etc/crypto-policies/config", _POLICY_TEXT, "%config(noreplace)"),
            File("/etc/crypto-policies/state/current", "DEFAULT\n", "%config(noreplace) %verify(not md5 size mtime)"),
            *(
                File("/usr/share/crypto-policies/policies/%s.pol" % name, "# %s\n" % name)
                for name in ("DEFAULT", "EMPTY", "FIPS", "FUTURE", "LEGACY")
            ),
            *(
                File("/usr/share/crypto-policies/policies/modules/%s.pmod" % name, "# %s\n" % name)
                for name in ("AD-SUPPORT", "ECDHE-ONLY", "NO-CAMELLIA", "NO-SHA1", "OSPP", "SHA1")
            ),
        ),
        noarch=True,
        base=True,
    ),
    Member(
        "crypto-policies-scripts",
        requires=("crypto-policies = {evr}", "grubby", "/usr/bin/bash"),
        files=(
            _standin("fips-mode-setup", "/usr/bin/fips-mode-setup"),
            _standin("update-crypto-policies", "/usr/bin/update-crypto-policies"),
        ),
        noarch=True,
        base=True,
    ),
)

_GRUBBY = Member(
    "grubby",
    requires=("/usr/bin/bash", "coreutils", "sed"),
    files=(
        _standin("grubby", "/usr/sbin/grubby"),
        File("/usr/share/sandbox-standins/common", (STANDINS / "common").read_text()),
    ),
    base=True,
)

# --- kernels ------------------------------------------------------------------------------------------------------

_MODULES = "/lib/modules/{uname}"
_KERNEL = (
    Member(
        "kernel",
        requires=("kernel-core-uname-r = {uname}", "kernel-modules-uname-r = {uname}"),
        provides=("installonlypkg(kernel)",),
        base=True,
        installonly=True,
    ),
    Member(
        "kernel-core",
        requires=("filesystem", "kernel-modules-core-uname-r = {uname}"),
        provides=(
            "installonlypkg(kernel)",
            "kernel-uname-r = {uname}",
            "kernel-core-uname-r = {uname}",
            "kernel-{arch} = {vr}",
        ),
        files=(
            File(_MODULES, directive="%dir"),
            File(_MODULES + "/vmlinuz", "kernel\n", mode=0o755),
            File("/boot/vmlinuz-{uname}", "kernel\n", "%ghost", mode=0o755),
            File("/boot/initramfs-{uname}.img", "initramfs\n", "%ghost", mode=0o600),
        ),
        # In Lua, which rpm brings itself: an aarch64 root has no shell that this machine can run.
        scriptlets={
            "posttrans -p <lua>": (STANDINS / "kernel-posttrans.lua").read_text(),
            "preun -p <lua>": (STANDINS / "kernel-preun.lua").read_text(),
        },
        base=True,
        installonly=True,
    ),
    Member(
        "kernel-modules-core",
        requires=("filesystem",),
        provides=("installonlypkg(kernel-module)", "kernel-modules-core-uname-r = {uname}"),
        files=(File(_MODULES + "/modules.builtin"),),
        base=True,
        installonly=True,
    ),
    Member(
        "kernel-modules",
        requires=("kernel-uname-r = {uname}", "kernel-modules-core-uname-r = {uname}"),
        provides=("installonlypkg(kernel-module)", "kernel-modules-uname-r = {uname}"),
        files=(File(_MODULES + "/modules.order"),),
        base=True,
        installonly=True,
    ),
)

# --- the validated modules and everything else -------------------------------------------------------------------

_OPENSSL_CNF = "# OpenSSL's configuration; an administrator may edit it.\nopenssl_conf = default_modules\n"
_OPENSSL = (
    Member("openssl", requires=("openssl-libs{isa} = {evr}", "/usr/bin/bash"),
           files=(_standin("openssl", "/usr/bin/openssl"),), base=True),
    Member("openssl-libs", requires=("crypto-policies", "zlib"),
           files=(File("/etc/pki/tls/openssl.cnf", _OPENSSL_CNF, "%config(noreplace)"),), multilib=True, base=True),
    Member("openssl-devel", requires=("openssl-libs{isa} = {evr}",), multilib=True),
)
_GNUTLS = (
    Member("gnutls", requires=("crypto-policies", "nettle{isa} >= 3.8"), multilib=True, base=True),
    Member("gnutls-utils", requires=("gnutls{isa} = {evr}",)),
)
_NSS = (
    Member("nss", requires=("nss-util{isa} >= {evr}", "nss-softokn{isa} >= {evr}", "nspr{isa} >= 4.34.0",
                            "crypto-policies"), multilib=True, base=True),
    Member("nss-softokn", requires=("nss-util{isa} >= {evr}", "nss-softokn-freebl{isa} >= {evr}"), multilib=True,
           base=True),
    Member("nss-softokn-freebl", multilib=True, base=True),
    Member("nss-sysinit", requires=("nss{isa} = {evr}",), base=True),
    Member("nss-tools", requires=("nss{isa} = {evr}",)),
    Member("nss-util", requires=("nspr{isa} >= 4.34.0",), multilib=True, base=True),
)  # fmt: skip

_SYSTEMD = (
    Member(
        "systemd",
        requires=("systemd-libs{isa} = {evr}", "bash"),
        provides=("/usr/sbin/init",),
        files=(_protected("systemd"),),
        base=True,
    ),
    Member("systemd-libs", requires=("libgcrypt{isa} >= 1.10", "glibc"), multilib=True, base=True),
    Member("systemd-udev", requires=("systemd{isa} = {evr}",), base=True),
)

_PLAIN_BASE = "sed grep expat less which tar xz tzdata ca-certificates chrony rsync wget man-db"
_NOARCH = "tzdata ca-certificates"
_AGENT_SCRIPT = "mkdir -p /var/lib/example-agent\necho installed >/var/lib/example-agent/state\n"


def _plain(name: str, base: bool = False) -> Tuple[Member, ...]:
    return (Member(name, requires=("glibc",), base=base, noarch=name in _NOARCH.split()),)


SOURCES: Dict[str, Tuple[Member, ...]] = {
    "almalinux-release": _RELEASE,
    "filesystem": (_FILESYSTEM,),
    "setup": (_SETUP,),
    "basesystem": (Member("basesystem", requires=("setup", "filesystem"), noarch=True, base=True),),
    "glibc": (
        Member("glibc", requires=("filesystem", "glibc-common = {evr}"), multilib=True, base=True),
        Member("glibc-common", requires=("filesystem",), base=True),
    ),
    "ncurses": (Member("ncurses-libs", requires=("glibc",), base=True),),
    "bash": (
        Member("bash", requires=("filesystem", "glibc", "ncurses-libs"),
               provides=("/bin/sh", "/bin/bash", "/usr/bin/bash", "/usr/bin/sh"), base=True),
    ),
    "coreutils": (Member("coreutils", requires=("glibc",), base=True),),
    "zlib": (
        Member("zlib", multilib=True, base=True),
        Member("zlib-devel", requires=("zlib{isa} = {evr}",), multilib=True),
    ),
    "openssl": _OPENSSL,
    "gnutls": _GNUTLS,
    "libgcrypt": (
        Member("libgcrypt", multilib=True, base=True),
        Member("libgcrypt-devel", requires=("libgcrypt{isa} = {evr}",), multilib=True),
    ),
    "nettle": (Member("nettle", multilib=True, base=True),),
    "nspr": (Member("nspr", multilib=True, base=True),),
    "nss": _NSS,
    "crypto-policies": _CRYPTO_POLICIES,
    "grubby": (_GRUBBY,),
    "systemd": _SYSTEMD,
    "sudo": (Member("sudo", requires=("glibc",), files=(_protected("sudo"),), base=True),),
    "dnf": _DNF,
    "libdnf": (Member("libdnf", requires=("openssl-libs", "gnutls"), base=True),),
    "kernel": _KERNEL,
    "kernel-tools": (
        Member("kernel-tools", requires=("kernel-tools-libs = {evr}",), base=True),
        Member("kernel-tools-libs", base=True),
    ),
    "curl": (
        Member("curl", requires=("libcurl{isa} = {evr}",), base=True),
        Member("libcurl", requires=("openssl-libs", "zlib"), base=True),
    ),
    "vim": (Member("vim-minimal", requires=("glibc",), base=True),),
    "shim": (Member("shim-x64", requires=("filesystem",)),),
    "httpd": (Member("httpd", requires=("openssl-libs", "systemd")),),
    "squid": (Member("squid", requires=("gnutls", "systemd")),),
    "nginx": (Member("nginx", requires=("openssl-libs", "systemd")),),
    "nodejs": (Member("nodejs", requires=("openssl-libs",)),),
    "amazon-efs-utils": _plain("amazon-efs-utils"),
    "tuxcare-release": (Member("tuxcare-release", requires=("system-release",)),),
    "example-agent": (
        Member("example-agent", requires=("/usr/bin/sh", "coreutils"), scriptlets={"post": _AGENT_SCRIPT}),
    ),
    "example-tools": _plain("example-tools"),
    "example-dashboard": _plain("example-dashboard"),
    "example-driver": _plain("example-driver"),
    **{name: _plain(name, base=True) for name in _PLAIN_BASE.split()},
}  # fmt: skip
