# SPDX-License-Identifier: Apache-2.0
"""The roots that hosts are copied from: one per universe and release, prepared once by real dnf and rpm."""
import fcntl
import hashlib
import os
import platform
import shutil
import stat
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Dict, Optional, Set

from tests.sandbox import namespace, osfiles, shell
from tests.sandbox.boot import Boot

if TYPE_CHECKING:
    from tests.sandbox.universe import Universe

__all__ = ["USER", "copy_root", "first_boot", "kernel_tellable", "open_template", "outside_env"]

# The kernel of a release's installation medium, which a host has booted until something else is installed.
_KERNELS = {
    "8.8": "4.18.0-477.10.1.el8_8", "8.10": "4.18.0-553.el8_10", "9.2": "5.14.0-284.11.1.el9_2",
    "9.4": "5.14.0-427.13.1.el9_4", "9.6": "5.14.0-570.12.1.el9_6", "10.0": "6.12.0-55.9.1.el10_0",
}  # fmt: skip
# The ordinary user of each host, with uid and gid 1000.
USER = "user"

# Below a root: what its programs are to see instead of the machine's.
PRELOAD = "usr/lib/sandbox/preload.so"

_FOLDERS = ("boot", "dev", "etc", "home", "media", "mnt", "opt", "proc", "root", "run", "srv", "sys", "tmp", "usr", "var")
_DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}
# Debian's rpm looks below HOME for its database; both the machine's HOME and a host's own /etc are told EL's place.
_RPM_MACROS = "%_dbpath /var/lib/rpm\n"
_MACROS = dict.fromkeys(("etc/rpm/macros", "root/.rpmmacros", "home/user/.rpmmacros"), _RPM_MACROS)
# Written where no package brought them.
_FILES: Dict[str, str] = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "etc/group": "root:x:0:\n",
    # No DNS: a name that the host's own file does not have must not be asked for outside.
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nshadow: files\nhosts: files\n",
    "etc/hosts": "127.0.0.1   localhost localhost.localdomain\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/dnf/dnf.conf": "[main]\ngpgcheck=1\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest=True\n"
                        "skip_if_unavailable=False\n",
}  # fmt: skip
# What a default installation has as folders, but no package of a small universe owns.
_DNF_FOLDERS = (
    "etc/dnf/aliases.d", "etc/dnf/modules.d", "etc/dnf/modules.defaults.d", "etc/dnf/plugins", "etc/dnf/protected.d",
    "etc/dnf/vars", "etc/yum.repos.d", "etc/pki/rpm-gpg", "home/" + USER, "var/lib/rpm",
)  # fmt: skip


def kernel_tellable() -> Optional[str]:
    """None where uname(2) tells a host's programs the kernel that the host has booted, else the reason why not."""
    return None if shutil.which("cc") else "without a C compiler, uname(2) tells the machine's kernel"


def open_template(universe: "Universe", release: str, arch: str = "x86_64") -> Path:
    """The folder to copy, made where it is not there yet. Safe against two makers at once."""
    cache = universe.path.parent
    user = "root" if os.geteuid() == 0 else "user"
    folder = cache / ("host-%s-%s-%s-%s" % (release, arch, _digest(universe.path.name), user))
    if folder.is_dir():
        return folder
    with open(cache / (folder.name + ".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            sys.stderr.write("sandbox: preparing a host of release %s\n" % release)
            _make(universe, release, arch, folder)
    return folder


def first_boot(release: str, arch: str = "x86_64") -> Boot:
    """The release's first kernel, as the installer left it to the boot loader."""
    kernel = "%s.%s" % (_KERNELS[release], arch)
    arguments = "ro root=/dev/mapper/almalinux-root rd.lvm.lv=almalinux/root quiet"
    return Boot(kernel, "BOOT_IMAGE=(hd0,gpt2)/boot/vmlinuz-%s %s" % (kernel, arguments))


def copy_root(template: Path, root: Path) -> None:
    """A root of its own for a host. Never hard links: rpm and sqlite write in place."""
    namespace.check(["cp", "-a", "--reflink=auto", "--", str(template), str(root)], {"PATH": os.environ["PATH"]})


def outside_env(root: Path, home: str = "/root") -> Dict[str, str]:
    """The environment of a program of the machine that works on `root` from outside.

    HOME decides where rpm looks for its database and whether the caller's own settings count.
    """
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(root / home.lstrip("/")), "LANG": "C.UTF-8"}
    if (root / PRELOAD).is_file():
        env.update(LD_PRELOAD=str(root / PRELOAD), SANDBOX_OSRELEASE=str(root / "proc/sys/kernel/osrelease"))
    return env


def _digest(universe_name: str) -> str:
    told = hashlib.sha256(universe_name.encode())
    for source in (Path(__file__), Path(osfiles.__file__), Path(__file__).with_name("preload.c")):
        told.update(source.read_bytes())
    told.update(str(kernel_tellable()).encode())
    return told.hexdigest()[:16]


def _make(universe: "Universe", release: str, arch: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix=".making-host-", dir=str(folder.parent)) as name:
        root = Path(name) / "root"
        _lay_foundation(root)
        packages = universe.base_packages(release, arch) or [_release_package(universe, release, Path(name))]
        _dnf(root, "install", "--forcearch=" + arch, *map(str, packages))
        _mark_dependencies(root)
        _rpm(root, "--import", str(universe.keys / "RPM-GPG-KEY-AlmaLinux-9"))
        _write_missing(root, _FILES)
        _emulate(root, arch)
        _add_user(root)
        _copy_locale(root)
        _hide_machine(root)
        _preload(root)
        _empty_traces(root)
        root.rename(folder)


def _lay_foundation(root: Path) -> None:
    for name in (*_FOLDERS, *_DNF_FOLDERS):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / "usr" / name).mkdir()
        (root / name).symlink_to("usr/" + name)
    _write_missing(root, _MACROS)
    if os.geteuid() == 0:
        for name, numbers in _DEVICES.items():
            os.mknod(str(root / "dev" / name), stat.S_IFCHR | 0o666, os.makedev(*numbers))
            (root / "dev" / name).chmod(0o666)


def _write_missing(root: Path, texts: Dict[str, str]) -> None:
    for name, text in texts.items():
        path = root / name
        if not path.exists() and not path.is_symlink():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            path.chmod(0o644)


def _add_user(root: Path) -> None:
    for name, line in (("passwd", "user:x:1000:1000::/home/user:/bin/bash\n"), ("group", "user:x:1000:\n")):
        with open(str(root / "etc" / name), "a", encoding="utf-8") as file:
            file.write(line)
    if os.geteuid() == 0:
        os.chown(str(root / "home" / USER), 1000, 1000)


# --- packages ---------------------------------------------------------------------------------------------------


def _dnf(root: Path, *args: str) -> str:
    """dnf without plugins and without a repository: all that it needs is on its command line."""
    command = [*namespace.as_root(), "dnf", "-y", "--noplugins", "--installroot=" + str(root),
               "--setopt=reposdir=/var/empty", "--setopt=varsdir=/var/empty", "--releasever=9", *args]
    return namespace.check(command, outside_env(root))


def _emulate(root: Path, arch: str) -> None:
    """Its own kind of machine for dnf, and a shell that runs on this one, as an emulator's would."""
    if arch == platform.machine():
        return
    with open(str(root / "etc/dnf/dnf.conf"), "a", encoding="utf-8") as file:
        file.write("arch=%s\nignorearch=True\n" % arch)
    for entry in shell.all_files():
        path = root / entry.path.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.link:
            path.symlink_to(entry.link)
        else:
            shutil.copy2(str(entry.origin), str(path))


def _copy_locale(root: Path) -> None:
    """C.UTF-8, which each glibc of EL brings: without it bash warns on standard error where LC_ALL names it."""
    source = Path("/usr/lib/locale/C.utf8")
    if source.is_dir() and not (root / "usr/lib/locale/C.utf8").exists():
        shutil.copytree(str(source), str(root / "usr/lib/locale/C.utf8"))


def _hide_machine(root: Path) -> None:
    """Leaves out of the machine's /usr what is not an operating system's own: as `/`, the host sees none of it.

    That is what somebody installed by hand, such as newer Python packages, and dnf's plugins: Debian's refuse to
    run without their configuration ("Locklist not set"), and a host has those that its packages brought.
    """
    if os.geteuid() != 0:
        return
    asked = ["/usr/bin/python3", "-s", "-E", "-c", "import dnf.const; print(dnf.const.PLUGINPATH)"]
    plugins = namespace.check(asked, {"PATH": "/usr/bin"}).strip().lstrip("/")
    for name in ("usr/local", plugins):
        (root / name).mkdir(parents=True, exist_ok=True)
        # Opaque: overlayfs shows nothing of the lower layer's folder.
        os.setxattr(str(root / name), "trusted.overlay.opaque", b"y")


def _preload(root: Path) -> None:
    """What hides of the machine what nothing else does, where there is a compiler; see preload.c."""
    if kernel_tellable() is None:
        library = root / PRELOAD
        library.parent.mkdir(parents=True, exist_ok=True)
        source = Path(__file__).with_name("preload.c")
        namespace.check(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(source)], dict(os.environ))
        (root / "etc/ld.so.preload").write_text("/%s\n" % PRELOAD)


def _release_package(universe: "Universe", release: str, folder: Path) -> Path:
    """The one package of a release that the universe has no others of: release files, repo files, `$releasever`."""
    name = osfiles.release_file_name()
    files = {"/etc/os-release": osfiles.os_release(release), "/etc/" + name: osfiles.release_line(release)}
    files.update({"/etc/yum.repos.d/" + repo: text for repo, text in osfiles.repo_files(release).items()})
    major = release.split(".")[0]
    evr = "%s-1.el%s" % (release, major)
    provides = ("system-release = " + evr, "redhat-release = " + evr, "system-release(releasever) = " + major)
    return universe.build_rpm(
        folder, name, evr, key=None, files=files, vendor="AlmaLinux", provides=provides
    )


def _mark_dependencies(root: Path) -> None:
    """dnf takes what it is given by file as wanted by the user; an installer does so only with what nothing needs."""
    names = sorted(_required_names(root))
    if names:
        _dnf(root, "mark", "remove", *names)


def _required_names(root: Path) -> Set[str]:
    """Names of the installed packages that another one requires."""
    query = "[%{=NAME}\t%{REQUIRENAME}\n]"
    wanted = {tuple(line.split("\t")) for line in _rpm(root, "-qa", "--qf", query).splitlines() if "\t" in line}
    offers = _rpm(root, "-qa", "--qf", "[%{=NAME}\t%{PROVIDENAME}\n][%{=NAME}\t%{FILENAMES}\n]")
    owners: Dict[str, Set[str]] = {}
    for line in offers.splitlines():
        name, _, offer = line.partition("\t")
        owners.setdefault(offer, set()).add(name)
    return {owner for by, need in wanted for owner in owners.get(need, ()) if owner != by}


def _rpm(root: Path, *args: str) -> str:
    return namespace.check([*namespace.as_root(), "rpm", "--root", str(root), *args], outside_env(root))


def _empty_traces(root: Path) -> None:
    """A host that nobody has used yet has no caches and no logs."""
    for name in ("var/cache/dnf", "var/log"):
        if (root / name).is_dir():
            shutil.rmtree(str(root / name))
    (root / "var/log").mkdir(mode=0o755)
