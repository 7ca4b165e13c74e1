# SPDX-License-Identifier: Apache-2.0
"""What of a host the product answers for: its files, the trusted keys, the seats. Taken so that `==` compares by meaning.

Bytes, mode, owner, extended attributes and links are compared as they are; a file's time where it is older than the
command (a file that comes back has to have its own). Four files differ from run to run and are compared by what they say:
the token by whose seat it is, the two records of the registration by their content, which has to fit together, and the licence
key of a sealed image, which each trial has one of its own for, by its form.
"""

import base64
import os
import re
import stat
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

from tests.crash import system
from tests.crash.system import NO_SYSTEM, System
from tests.integration.outcome import trusted_keys
from tests.sandbox.host import Host
from tuxcare_lib import configuration, planner, registration
from tuxcare_lib import facts as gathering
from tuxcare_lib.errors import StateError
from tuxcare_lib.registration import Backup
from tuxcare_lib.rootfs import Root

__all__ = ["FOLDERS", "MODE", "State", "Taker", "without_empty_folder"]

_STATE_FOLDER = "var/lib/tuxcare"
FOLDERS = ("etc", _STATE_FOLDER)
_TOKEN, _RECORD, _BACKUP = "etc/dnf/vars/tuxcare_token", "var/lib/tuxcare/registration.json", "var/lib/tuxcare/before.json"
_FIRST_BOOT_KEY = "var/lib/tuxcare/first-boot.key"
# Cleaning that failed on a sick disk: of no meaning to anybody, private, and gone with the next recover.
_LEFTOVERS = ("var/lib/tuxcare/journal.new", "var/lib/tuxcare/journal.done")
_TEMPORARY = ".tuxcare-new-"
# What the system's programs write where FIPS mode is entered or left: their times tell nothing.
MODE = ("etc/crypto-policies", "etc/system-fips", "etc/dracut.conf.d", "var/lib/tuxcare/fips.json")
# `fips-mode-setup --disable` leaves it.
_EMPTY = "etc/dracut.conf.d"
Entry = Tuple[str, ...]


class State(NamedTuple):
    """`seats` is how many are taken by each of the point's licence keys, in their order."""

    files: Dict[str, Entry]
    keys: Tuple[str, ...]
    seats: Tuple[int, ...]
    system: System = NO_SYSTEM
    damaged: Tuple[str, ...] = ()

    def differences(self, other: "State") -> List[str]:
        """What is not the same, a line each: for the report of a half state."""
        lines = []
        for path in sorted(set(self.files) | set(other.files)):
            mine, others = self.files.get(path), other.files.get(path)
            if mine != others:
                lines.append("%s: %s, expected %s" % (path, _short(mine), _short(others)))
        if self.keys != other.keys:
            lines.append("trusted keys: %d, expected %d" % (len(self.keys), len(other.keys)))
        if self.seats != other.seats:
            lines.append("seats: %s, expected %s" % (self.seats, other.seats))
        lines += self.system.differences(other.system)
        lines += ["rpm -V: " + line for line in self.damaged if line not in other.damaged]
        return lines

    def tidy(self) -> "State":
        """Without what a cleaning that failed has left."""
        return self._replace(files={path: entry for path, entry in self.files.items() if not path.startswith(_LEFTOVERS)
                                    and not os.path.basename(path).startswith(_TEMPORARY)})

    def without_empty_folder(self) -> "State":
        """An empty state folder is as good as none: docs/files.md says when a kill leaves one."""
        return self._replace(files=without_empty_folder(self.files))

    def with_mode_of(self, other: "State", released: Dict[str, Tuple[str, str]]) -> "State":
        """With what another state has of FIPS mode, packages and boot loader, and the hold `released`; all else stays."""
        files = {path: entry for path, entry in self.files.items() if not path.startswith(MODE)}
        files.update({path: entry for path, entry in other.files.items() if path.startswith(MODE)})
        files.update({path: (*files[path][:4], *told) for path, told in released.items()})
        return self._replace(files=files, system=other.system, damaged=other.damaged)


def without_empty_folder(files: Dict[str, Entry]) -> Dict[str, Entry]:
    """Files without the state folder, where that is one that `register` could have made and nothing is in it."""
    below = [path for path in files if path.startswith(_STATE_FOLDER)]
    if below != [_STATE_FOLDER] or files[_STATE_FOLDER][0] != oct(stat.S_IFDIR | 0o755):
        return files
    return {path: entry for path, entry in files.items() if path != _STATE_FOLDER}


def _short(entry: Optional[Entry]) -> str:
    return "absent" if entry is None else " ".join(part if len(part) < 70 else part[:67] + "..." for part in entry)


class Taker:
    """Takes the states of one verb's hosts. `originals` are the records as they were before the verb, byte for byte."""

    def __init__(self, original: Host) -> None:
        self._originals = {path: _bytes(original.root / path) for path in (_RECORD, _BACKUP)}

    def take(self, host: Host, started_ns: int, seats: Tuple[int, ...], whose: Callable[[str], str], packages: bool) -> State:
        """`whose` tells a token's owner in words that are the same from run to run; `packages` are looked at where asked."""
        found = State(self.files(host.root, started_ns, whose), tuple(trusted_keys(host)), seats)
        return found._replace(system=system.take(host), damaged=system.damaged_files(host)) if packages else found

    def files(self, root: Path, started_ns: int, whose: Callable[[str], str]) -> Dict[str, Entry]:
        """The files alone; a time before `started_ns` (since the epoch) counts."""
        found: Dict[str, Entry] = {}
        for path in [path for folder in FOLDERS for path in _walk(root / folder)]:
            name = str(path.relative_to(root))
            found[name] = _entry(path, 0 if name.startswith(MODE) else started_ns, self._content(root, name, whose))
        if not any(name.startswith(_EMPTY + "/") for name in found):
            found.pop(_EMPTY, None)
        return found

    def released(self, root: Path) -> Dict[str, Tuple[str, str]]:
        """Time and content of the files of a hold on FIPS mode, were it let go by itself."""
        catalogue, settings = configuration.read(str(root))
        facts = gathering.gather(Root(str(root)), "x86_64")
        found = {}
        for change in planner.hold_changes(facts, catalogue, settings, None):
            name = Root(str(root)).resolve(change.path).lstrip("/")  # a link stays, its target changes
            data = change.after.data if change.after else b""
            content = data.hex()
            if name == _RECORD:
                content = repr(facts.registration._replace(registered_at="later") if facts.registration else None)
            elif name == _BACKUP:
                content = _backup(data)
            found[name] = ("new", content)
        return found

    def _content(self, root: Path, name: str, whose: Callable[[str], str]) -> Optional[str]:
        """What a file that differs from run to run says; None for all others."""
        if name == _TOKEN:
            return whose((root / name).read_text(encoding="ascii", errors="replace"))
        data = _bytes(root / name)
        if name == _FIRST_BOOT_KEY:
            return "a whole key" if re.fullmatch(rb"[A-Z]+-CRASH\d{6}\n", data or b"") else None
        if name not in (_RECORD, _BACKUP):
            return None
        if data == self._originals[name]:
            return "as before"
        try:
            return self._record(root, data or b"") if name == _RECORD else _backup(data)
        except StateError as error:
            return "damaged: %s" % error

    def _record(self, root: Path, data: bytes) -> str:
        """Raises StateError where the other file is not the one that belongs to it."""
        record = registration.parse(data, _bytes(root / _BACKUP) or b"")
        return repr(record._replace(registered_at="later"))


def _backup(data: Optional[bytes]) -> str:
    found = registration.parse_backup(data)
    record = found.registration._replace(registered_at="later")
    return base64.b64encode(registration.render_backup(Backup(record, found.kept))).decode("ascii")


def _bytes(path: Path) -> Optional[bytes]:
    return path.read_bytes() if path.is_file() else None


def _walk(folder: Path) -> List[Path]:
    if not os.path.lexists(str(folder)):
        return []
    found = [folder]
    for top, folders, files in os.walk(str(folder)):
        found += [Path(top, name) for name in folders + files]
    return found


def _entry(path: Path, started_ns: int, meaning: Optional[str]) -> Entry:
    status = os.lstat(str(path))
    kind = stat.S_IFMT(status.st_mode)
    told = (oct(status.st_mode), str(status.st_uid), str(status.st_gid), _xattrs(path))
    if kind == stat.S_IFLNK:
        return (*told, os.readlink(str(path)))
    if kind != stat.S_IFREG:
        return told
    time = str(status.st_mtime_ns) if status.st_mtime_ns < started_ns else "new"
    return (*told, time, path.read_bytes().hex() if meaning is None else meaning)


def _xattrs(path: Path) -> str:
    names = sorted(os.listxattr(str(path), follow_symlinks=False))
    return ",".join("%s=%s" % (name, os.getxattr(str(path), name, follow_symlinks=False).hex()) for name in names)
