# SPDX-License-Identifier: Apache-2.0
"""The library that counts a program's changing system calls and kills it, or lets a call fail, at the N-th (`inject.c`)."""

import errno
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

__all__ = ["DEAD", "FAULTS", "FULL", "KILL", "OURS", "RPMS", "Call", "Injection", "build", "read_log", "settings"]

# What belongs to the product; dnf's own logs and caches and the rpm database do not. The folders above ours are named for
# themselves ("$"): they are synced.
OURS = (
    "etc/yum.repos.d", "etc/yum/repos.d", "etc/distro.repos.d", "etc/dnf", "etc/tuxcare-release", "etc/.tuxcare-new",
    "etc/yum/.tuxcare-new", "etc/pki/rpm-gpg", "var/lib/tuxcare", "etc$", "etc/pki$", "var$", "var/lib$",
)  # fmt: skip
# What rpm changes in a transaction: its database, and the files of packages and of their scriptlets.
RPMS = ("var/lib/rpm/", "usr/lib/sysimage/rpm/", "usr/", "boot/")


class Injection(NamedTuple):
    """What happens at the N-th call. `mode` is one of `inject.c`; `error` an errno, for the modes in which calls fail."""

    name: str
    mode: str
    error: int = 0


KILL = Injection("kill", "kill")
FULL = Injection("ENOSPC from there on", "full", errno.ENOSPC)
DEAD = Injection("EIO from there on", "dead", errno.EIO)
FAULTS = (Injection("EIO once", "once", errno.EIO), Injection("ENOSPC once", "once", errno.ENOSPC), FULL, DEAD)


class Call(NamedTuple):
    """A call that was counted. `result` is "killed", "errno E" or the number that it returned."""

    name: str
    fields: Tuple[str, ...]
    result: str

    def __str__(self) -> str:
        """The call in a line, without the bytes that were written: they may be a token."""
        shown = self.fields[:1] if self.name == "write" else self.fields
        return "%s(%s)" % (self.name, ", ".join(shown))


def build(folder: Path) -> Path:
    """Compiles the library. Raises RuntimeError with what the compiler said."""
    library = folder / "inject.so"
    source = Path(__file__).with_name("inject.c")
    options = ["-O2", "-U_FORTIFY_SOURCE", "-Wall", "-Werror", "-shared", "-fPIC"]
    done = subprocess.run(["gcc", *options, "-o", str(library), str(source)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)
    if done.returncode:
        raise RuntimeError(done.stdout)
    return library


def settings(library: Path, root: Path, log: Path, injection: Optional[Injection] = None, at: int = 0,
             places: Sequence[str] = OURS) -> Dict[str, str]:
    """Environment for a program that works on `root`; without an injection its calls are only counted."""
    found = {"LD_PRELOAD": str(library), "CRASH_LOG": str(log),
             "CRASH_PLACES": ":".join("%s/%s" % (root, place) for place in places)}
    if injection is not None:
        found.update(CRASH_AT=str(at), CRASH_MODE=injection.mode, CRASH_ERRNO=str(injection.error))
    return found


def read_log(path: Path) -> List[Call]:
    """The calls of a log, oldest first; none where there is no log."""
    if not path.exists():
        return []
    lines = [line.split("\t") for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()]
    return [Call(parts[0], tuple(parts[1:-1]), parts[-1]) for parts in lines]
