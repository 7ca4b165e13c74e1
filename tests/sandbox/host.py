# SPDX-License-Identifier: Apache-2.0
"""A make-believe AlmaLinux host: a folder with its files and package database, on which real dnf and rpm run.

There are two ways to run them. By `--installroot`, for which the folder is enough; and, with `slash`, as `/` inside
private namespaces (see `namespace`), where the vendor's own host names lead to the sandbox's service and the product
is installed from its package: only that way tells the truth about default addresses and installed places.

    with Host.create(universe, service, directory, slash=True, rpm=package) as host:
        done = host.dnf("tuxcare", "status", "--json")
"""
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from tests.sandbox import namespace, template
from tests.sandbox.boot import Boot, BootError, choose
from tests.sandbox.namespace import Namespace, slash_available
from tests.sandbox.snapshot import Entry, take

if TYPE_CHECKING:
    from tests.sandbox.service import Service
    from tests.sandbox.universe import Universe

__all__ = ["Boot", "BootError", "Entry", "Host", "slash_available"]

PROJECT = Path(__file__).resolve().parent.parent.parent
HOST_NAME = "web1.example.com"

# Where programs look for the certificates they trust: EL's, then Debian's, whose programs run in a slash host there.
_CA_FILES = (
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "etc/pki/tls/certs/ca-bundle.crt", "etc/pki/tls/cert.pem",
    "etc/ssl/certs/ca-certificates.crt",
)  # fmt: skip
_INSIDE_ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8"}
_NEVRA = "%{NAME}-%|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}.%{ARCH}\n"


class Host:
    """Made by `create`; ends with `close`, or with the process at the latest. The folder stays."""

    def __init__(self, directory: Path, service: "Service", slash: bool, host_name: str) -> None:
        self.directory = directory
        self.root = directory / "root"
        self.slash = slash
        # As the host itself says; by --installroot a program sees the machine's name instead.
        self.host_name = host_name
        self._service = service
        self._namespace = Namespace(directory, host_name)

    @classmethod
    def create(
        cls, universe: "Universe", service: "Service", directory: Path, release: str = "9.2", slash: bool = False,
        rpm: Optional[Path] = None, host_name: str = HOST_NAME, arch: str = "x86_64",
    ) -> "Host":
        """A host fresh from its installation, in `directory`/root; `directory` is made, and must not hold a host.

        `rpm` is the product's package, for a slash host; by --installroot the product is the working tree's. Of another
        `arch` than the machine's dnf is told by its configuration, and the shell of the host is the machine's.
        Raises FileExistsError, and NamespaceError for a slash host where `slash_available` has a reason.
        """
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        if (directory / "root").exists():
            raise FileExistsError("%s holds a host already" % directory)
        template.copy_root(template.open_template(universe, release, arch), directory / "root")
        host = cls(directory, service, slash, host_name)
        host._configure(universe.fingerprint("TuxCare"), template.first_boot(release, arch), rpm)
        return host

    def copy(self, directory: Path) -> "Host":
        """The same host once more, just booted, in `directory`/root; `directory` is made. Close this one before."""
        directory = directory.resolve()
        directory.mkdir(parents=True)
        template.copy_root(self.root, directory / "root")
        made = Host(directory, self._service, self.slash, self.host_name)
        made.reboot()
        return made

    def close(self) -> None:
        """Ends what still runs in the host."""
        self._namespace.close()

    def __enter__(self) -> "Host":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- commands -----------------------------------------------------------------------------------------------

    def dnf(
        self, *args: str, stdin: Optional[str] = None, env: Optional[Mapping[str, str]] = None,
        user: Optional[str] = None, timeout: float = 120, first: str = "",
    ) -> "subprocess.CompletedProcess[str]":
        """Runs dnf without a terminal; `env` adds to a small fixed environment, nothing of the caller's is seen.

        `first` is what a shell does before it becomes dnf: `umask 0`, `exec >&-`.
        `user` is a name of the host's passwd file (`template.USER` is there); by --installroot the folders above the
        root have to let that user in. What a line tells to run is given as on a slash host, without --installroot (`aimed`
        has it as it was said). Raises subprocess.TimeoutExpired, with dnf and all its children killed.
        """
        done = self.aimed(*args, stdin=stdin, env=env, user=user, timeout=timeout, first=first)
        done.stdout, done.stderr = self.as_of_slash(done.stdout), self.as_of_slash(done.stderr)
        return done

    def as_of_slash(self, text: str) -> str:
        """What was said, as a slash host would have said it."""
        text = re.sub(r"\b(truncate -s 0|mv|chown \S+|chmod \S+) %s(?=/)" % re.escape(str(self.root)), r"\1 ", text)
        return text.replace("dnf --installroot=%s " % self.root, "dnf ")

    def aimed(
        self, *args: str, stdin: Optional[str] = None, env: Optional[Mapping[str, str]] = None,
        user: Optional[str] = None, timeout: float = 120, first: str = "",
    ) -> "subprocess.CompletedProcess[str]":
        """As `dnf`, word for word."""
        shell = ["sh", "-c", first + '; exec "$@"', "sh"] if first else []
        return namespace.run([*shell, *self.dnf_command(*args, user=user)], self._env(env, user), stdin, timeout)

    def run(
        self, argv: Sequence[str], stdin: Optional[str] = None, env: Optional[Mapping[str, str]] = None,
        user: Optional[str] = None, timeout: float = 120,
    ) -> "subprocess.CompletedProcess[str]":
        """Runs any command inside; without `slash` by chroot, where only the host's own packages are seen."""
        return namespace.run(self._inside(argv, user), self._env(env, user, inside=True), stdin, timeout)

    def start(
        self, argv: Sequence[str], env: Optional[Mapping[str, str]] = None, user: Optional[str] = None
    ) -> "subprocess.Popen[str]":
        """Like `run`, but does not wait: for a test that watches a command, kills it, or runs two at once.

        The process leads a process group: `os.killpg(process.pid, …)` reaches all of it.
        """
        return namespace.start(self._inside(argv, user), self._env(env, user, inside=True), subprocess.PIPE)

    def start_dnf(self, *args: str, env: Optional[Mapping[str, str]] = None) -> "subprocess.Popen[str]":
        """Like `dnf`, without waiting."""
        return namespace.start(self.dnf_command(*args), self._env(env, None), subprocess.PIPE)

    def write_wrapper(self, path: Path, argv: Sequence[str], **env: str) -> None:
        """A script for use by hand while the host is there: it runs `argv` and its own arguments, in the terminal.

        As `/` in a slash host, until the next reboot; on the machine otherwise.
        """
        command = self._inside(argv, None) if self.slash else [*namespace.as_root(), *argv]
        settings = ["%s=%s" % item for item in sorted(self._env(env, None).items())]
        line = ["env", "-i", 'TERM="$TERM"', *map(shlex.quote, [*settings, *command])]
        path.write_text('#!/bin/sh\nexec %s "$@"\n' % " ".join(line))
        path.chmod(0o755)

    def dnf_command(self, *args: str, user: Optional[str] = None) -> List[str]:
        """The whole argument vector with which the machine runs the host's dnf."""
        if self.slash:
            return self._inside(["dnf", *args], user)
        root = str(self.root)
        command = [
            "dnf", "--installroot=" + root,
            "--setopt=pluginpath=%s" % (PROJECT / "dnf-plugins"),
            "--setopt=pluginconfpath=%s/etc/dnf/plugins" % root, *args,
        ]  # fmt: skip
        return [*self._identity(user), *command]

    def _inside(self, argv: Sequence[str], user: Optional[str]) -> List[str]:
        if self.slash:
            return self._namespace.enter(argv, *self._ids(user))
        uid, gid = self._ids(user)
        # Not even root's own groups can be set in a user namespace, so for root nothing is said of them.
        identity = ["--userspec=%d:%d" % (uid, gid)] if uid else []
        return [*namespace.as_root(), "chroot", *identity, str(self.root), *argv]

    def _identity(self, user: Optional[str]) -> List[str]:
        uid, gid = self._ids(user)
        if not uid:
            return namespace.as_root()
        return ["setpriv", "--reuid=%d" % uid, "--regid=%d" % gid, "--clear-groups", "--"]

    def _ids(self, user: Optional[str]) -> Tuple[int, int]:
        return self._account(user)[:2]

    def _account(self, user: Optional[str]) -> Tuple[int, int, str]:
        """uid, gid and home folder, by the host's own passwd file. Raises LookupError for a name it does not have."""
        if user in (None, "root"):
            return 0, 0, "/root"
        for line in (self.root / "etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == user:
                return int(fields[2]), int(fields[3]), fields[5]
        raise LookupError("the host has no user %s" % user)

    def _env(self, env: Optional[Mapping[str, str]], user: Optional[str], inside: bool = False) -> Dict[str, str]:
        home = self._account(user)[2]
        if self.slash or inside:
            fixed = {**_INSIDE_ENV, "HOME": home}
        else:
            fixed = {**template.outside_env(self.root, home), "PYTHONPATH": str(PROJECT)}
        return {**fixed, **(env or {})}

    # --- what the host is ---------------------------------------------------------------------------------------

    def installed(self) -> Set[str]:
        """NEVRAs of the package database, the epoch left out where there is none; no keys."""
        query = ["-qa", "--qf", _NEVRA]
        if self.slash:
            listed = namespace.check(self._inside(["rpm", *query], None), _INSIDE_ENV)
        else:
            command = [*namespace.as_root(), "rpm", "--root", str(self.root), *query]
            listed = namespace.check(command, template.outside_env(self.root))
        return {line for line in listed.splitlines() if not line.startswith("gpg-pubkey-")}

    def snapshot(self) -> Dict[str, Entry]:
        """Every path below the root, but what `snapshot.LEFT_OUT` lists; compare with `snapshot.differences`."""
        return take(self.root, self.slash)

    def reboot(self, kernel: Optional[str] = None) -> Boot:
        """Boots `kernel` (a version as `uname -r` says it) or the default of the host's boot loader.

        Everything that runs in the host ends and /run is emptied. What programs see afterwards is in /proc (by
        --installroot: in plain files there): osrelease, cmdline, and fips_enabled by the kernel's arguments.
        uname(2) tells it too, unless `template.kernel_tellable` has a reason. Raises BootError if there is nothing to boot.
        """
        booted = choose(self.root, kernel)
        self._boot(booted)
        return booted

    def _boot(self, boot: Boot) -> None:
        self._namespace.close()
        shutil.rmtree(str(self.root / "run"), ignore_errors=True)
        (self.root / "run").mkdir(exist_ok=True)
        boot.write(self.directory / "boot")
        if not self.slash:
            boot.write_proc(self.root / "proc")

    # --- making one ---------------------------------------------------------------------------------------------

    def _configure(self, fingerprint: str, boot: Boot, rpm: Optional[Path]) -> None:
        self._boot(boot)
        (self.root / "etc/hostname").write_text(self.host_name + "\n")
        self._trust_certificates()
        if self.slash:
            self._prepare_slash(rpm)
        else:
            with open(str(self.root / "etc/dnf/dnf.conf"), "a", encoding="utf-8") as file:
                file.write("sslcacert=%s\n" % self._service.ca_file)
        lines = ["[service]", "gpg_key_fingerprint = " + fingerprint, *([] if self.slash else self._addresses())]
        (self.root / "etc/dnf/plugins/tuxcare.conf").write_text("\n".join(lines) + "\n")

    def _addresses(self) -> List[str]:
        """The service's, for a host that cannot be told where the vendor's names lead."""
        url = self._service.url
        verbs = ["%s_url = %s/cln/api/els/token/%s" % (verb, url, verb) for verb in ("register", "check", "unregister")]
        return [
            *verbs,
            "repo_url = " + url,
            "gpg_key_url = %s/tuxcare/RPM-GPG-KEY-TuxCare" % url,
            "ca_file = %s" % self._service.ca_file,
        ]

    def _trust_certificates(self) -> None:
        text = Path(self._service.ca_file).read_text()
        for name in _CA_FILES:
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.is_symlink():
                path.write_text(text)

    def _prepare_slash(self, rpm: Optional[Path]) -> None:
        names = " ".join(name for name in self._service.host_names if name != "localhost")
        with open(str(self.root / "etc/hosts"), "a", encoding="utf-8") as file:
            file.write("%s %s\n%s %s\n" % (self._service.address, names, "127.0.1.1", self.host_name))
        self._copy_alternatives()
        if rpm is not None:
            self._install_product(rpm)

    def _copy_alternatives(self) -> None:
        """Programs of the machine's /usr that are links into its /etc/alternatives are to be found here too."""
        folder = self.root / "etc/alternatives"
        folder.mkdir(exist_ok=True)
        for link in Path("/etc/alternatives").glob("*"):
            if link.is_symlink() and not (folder / link.name).is_symlink():
                (folder / link.name).symlink_to(os.readlink(str(link)))

    def _install_product(self, rpm: Path) -> None:
        copy = self.root / "tmp" / rpm.name
        shutil.copyfile(str(rpm), str(copy))
        # --nodeps: the Python packages that it needs are the machine's, so this database does not know them.
        namespace.check(self._inside(["rpm", "-U", "--nodeps", "/tmp/" + rpm.name], None), _INSIDE_ENV)
        copy.unlink()
