# SPDX-License-Identifier: Apache-2.0
"""`make demo`: the life of a make-believe AlmaLinux 9.2 host, each command shown as typed, and whether all came back.

Exit status 0 where every command did what it should and every file is back byte for byte.
"""
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Optional

from tests.sandbox.host import Entry, Host, slash_available
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.snapshot import differences
from tests.sandbox.universe import Universe

PROJECT = Path(__file__).resolve().parent.parent.parent
KEY_FILE = "/root/licence.key"


class Demo:
    """A host, and what was seen on it."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._failed: List[str] = []
        self._bold, self._plain = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")

    def say(self, text: str) -> None:
        print("\n%s# %s%s" % (self._bold, text, self._plain), flush=True)

    def dnf(self, *args: str) -> None:
        """Run dnf as typed; its output is shown, and a failure is remembered."""
        done = self._host.dnf(*args)
        self._show("dnf " + " ".join(args), done)

    def run(self, *argv: str) -> None:
        """Run any program inside the host."""
        self._show(" ".join(argv), self._host.run(argv))

    def _show(self, typed: str, done: "subprocess.CompletedProcess[str]") -> None:
        print("\n%s[root@web1 ~]# %s%s" % (self._bold, typed, self._plain))
        print((done.stdout + done.stderr).rstrip(), flush=True)
        if done.returncode:
            self._failed.append("%s (exit status %d)" % (typed, done.returncode))

    def _reboot(self) -> None:
        self._host.reboot()
        print("\n(the host boots the kernel that is its default now)")

    def life(self) -> int:
        """Register, upgrade, FIPS, status, uninstall; then look whether the host is what it was."""
        fresh = self._host.snapshot()
        self.say("An AlmaLinux 9.2 host, and its licence key in a file")
        self.run("cat", "/etc/almalinux-release")
        self.dnf("tuxcare", "register", "--license-key-file", KEY_FILE)
        registered = self._host.snapshot()
        self.say("An upgrade like any other: security fixes come, the release stays")
        self.dnf("-y", "upgrade")
        self.run("cat", "/etc/almalinux-release")
        self.say("The FIPS 140-3 validated packages, and the boot into FIPS mode")
        self.dnf("-y", "tuxcare", "fips", "enable")
        self._reboot()
        self.dnf("tuxcare", "status")
        worked = self._host.snapshot()
        self.say("And all the way back: the running kernel cannot be removed, so a reboot comes between")
        self.dnf("-y", "tuxcare", "uninstall")
        self._reboot()
        self.dnf("-y", "tuxcare", "uninstall")
        return self._verdict(fresh, registered, worked, self._host.snapshot())

    def _verdict(self, fresh: Dict[str, Entry], registered: Dict[str, Entry], worked: Dict[str, Entry],
                 back: Dict[str, Entry]) -> int:
        """Packages come back in another version, so what upgrade and FIPS alone have changed is theirs and not compared."""
        ours = set(differences(fresh, registered))
        packages = set(differences(registered, worked)) - ours
        left = sorted(set(differences(fresh, back)) - packages)
        for path in left:
            print("not as before: " + path)
        for failure in self._failed:
            print("failed: " + failure)
        if left or self._failed:
            print("\nThe demo failed.")
            return 1
        print("\nAll %d files that registering had changed are back byte for byte, with mode, owner and attributes; "
              "so is every other file that no package has changed (%d compared)." % (len(ours), len(back) - len(packages)))
        return 0


def main() -> int:
    """Set the stage and run."""
    started = time.monotonic()
    universe = Universe.build()
    reason = slash_available()
    if reason:
        print("The host is a folder below --installroot: %s." % reason)
    with tempfile.TemporaryDirectory(prefix="tuxcare-demo-") as folder:
        with Service(universe, Path(folder) / "service") as service:
            with Host.create(universe, service, Path(folder) / "host", slash=not reason, rpm=package(reason)) as host:
                key = host.root / KEY_FILE.lstrip("/")
                key.write_text(ESU_KEY + "\n")
                key.chmod(0o600)
                status = Demo(host).life()
    print("(%.0f seconds)" % (time.monotonic() - started))
    return status


def package(reason: Optional[str]) -> Optional[Path]:
    """The product's own RPM, for a host that it can be installed on."""
    if reason:
        return None
    built = subprocess.run([str(PROJECT / "scripts" / "build-rpm")], stdout=subprocess.PIPE, universal_newlines=True, check=True)
    return Path(built.stdout.strip().split("\n")[-1])


if __name__ == "__main__":
    sys.exit(main())
