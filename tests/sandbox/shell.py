# SPDX-License-Identifier: Apache-2.0
"""The shell of a host: bash, a few small programs and their libraries, copied from this machine."""

import functools
import os
import platform
import re
import shutil
from pathlib import Path
from typing import Dict, List, Tuple

from tests.sandbox.rpms import File, run

__all__ = ["all_files", "files", "identity"]

_PROGRAMS: Dict[str, str] = {
    "bash": "bash",
    "coreutils": "basename cat chmod chown comm cp cut date dirname echo env false head id ln ls mkdir mktemp mv od"
    " pwd readlink realpath rm rmdir sha256sum sleep sort stat sync tail tee test touch tr true uname uniq wc",
    "sed": "sed",
    "grep": "grep",
}
# Which package owns a library; what is not named here belongs to glibc.
_OWNERS = {"libtinfo": "ncurses-libs"}


def identity() -> str:
    """Changes whenever a file that `files` copies may have changed; cheap, no program is run."""
    with open("/proc/self/maps") as maps:
        libc = {line.split()[-1] for line in maps if "libc.so" in line or "libc-" in line}
    paths = sorted(libc) + [_found(name) for name in _names()]
    stats = ((path, os.stat(path)) for path in paths)
    return "\n".join("%s %d %d" % (path, stat.st_size, stat.st_mtime_ns) for path, stat in stats)


def files(package: str, arch: str) -> Tuple[File, ...]:
    """What that package carries of the shell, on this machine's architecture; nothing on another."""
    if arch != platform.machine():
        return ()
    names = _PROGRAMS.get(package, "").split()
    programs = [File("/usr/bin/" + name, origin=Path(_found(name)), mode=0o755) for name in names]
    links = [File("/usr/bin/sh", link="bash")] if package == "bash" else []
    return (*programs, *links, *_libraries().get(package, ()))


def all_files() -> List[File]:
    """All of it."""
    machine = platform.machine()
    return [file for package in {*_PROGRAMS, *_libraries()} for file in files(package, machine)]


def _names() -> List[str]:
    return [name for names in _PROGRAMS.values() for name in names.split()]


def _found(name: str) -> str:
    path = shutil.which(name, path="/usr/bin:/bin")
    if path is None:
        raise RuntimeError("the sandbox copies %s from this machine, and it is not there" % name)
    return path


@functools.lru_cache(maxsize=None)
def _libraries() -> Dict[str, List[File]]:
    """Package → its libraries; each under the name by which the loader asks for it, never a link."""
    listing = run(["ldd", *(_found(name) for name in _names())])
    paths = sorted(set(re.findall(r"(/\S+) \(0x", listing)))
    owned: Dict[str, List[File]] = {}
    for path in paths:
        name = os.path.basename(path)
        # /lib and /lib64 are links into /usr: a package must name the folder itself.
        place = os.path.realpath(os.path.dirname(path)) + "/" + name
        owner = _OWNERS.get(name.split(".")[0], "glibc")
        owned.setdefault(owner, []).append(File(place, origin=Path(path), mode=0o755))
    return owned
