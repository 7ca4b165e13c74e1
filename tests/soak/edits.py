# SPDX-License-Identifier: Apache-2.0
"""What an administrator does to a host by hand, sensible or not."""

import json
import os
import re
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Optional

__all__ = ["EDITS", "FOLDER", "REPO_FILES", "Edit", "Place"]

FOLDER = "etc/yum.repos.d"
KEPT = "etc/repos.kept"
REPO_FILES = tuple("almalinux-%s.repo" % name for name in ("baseos", "baseos", "appstream", "crb", "extras", "sap", "nfv"))
_OURS_BELOW = b"#tuxcare+"
_VARIABLE, _TOKEN = "etc/dnf/vars/tuxcare_releasever", "etc/dnf/vars/tuxcare_token"
_RECORD, _BACKUP = "var/lib/tuxcare/registration.json", "var/lib/tuxcare/before.json"


class Place(NamedTuple):
    """Where an edit happens: a host's root, the .repo file that it is for, the service's address, files as they came."""

    root: Path
    name: str
    url: str
    pristine: Dict[str, bytes]

    @property
    def file(self) -> Path:
        return self.root / FOLDER / self.name


class Edit(NamedTuple):
    """`act` returns False where there was nothing to edit. `touches_ours`: a line of ours in the file is not as it was left."""

    act: Callable[[Place], Optional[bool]]
    weight: float = 1
    per_file: bool = True
    touches_ours: bool = False
    # The token is damaged or gone, so that the host cannot give its seat back.
    harms_token: bool = False


# --- lines of a repository file ---------------------------------------------------------------------------------------


def _lines(change: Callable[[List[bytes]], Optional[List[bytes]]]) -> Callable[[Place], Optional[bool]]:
    """`change` gives the new lines, or None where it finds nothing to do."""

    def act(place: Place) -> bool:
        if not place.file.is_file():
            return False
        changed = change(place.file.read_bytes().split(b"\n"))
        if changed is None:
            return False
        place.file.write_bytes(b"\n".join(changed))
        return True

    return act


def _first(lines: List[bytes], start: bytes, own: bool = False) -> Optional[int]:
    """The first line that starts so and is not ours, or is ours with `own`."""
    for number, line in enumerate(lines):
        ours = number > 0 and lines[number - 1] == _OURS_BELOW
        if line.startswith(start) and ours == own:
            return number
    return None


def _replaced(start: bytes, new: Callable[[bytes], bytes], own: bool = False) -> Callable[[List[bytes]], Optional[List[bytes]]]:
    def change(lines: List[bytes]) -> Optional[List[bytes]]:
        number = _first(lines, start, own)
        if number is None or new(lines[number]) == lines[number]:
            return None
        return [*lines[:number], *new(lines[number]).split(b"\n"), *lines[number + 1:]]

    return change


def _without_our_mark(lines: List[bytes]) -> Optional[List[bytes]]:
    return [line for line in lines if line != _OURS_BELOW] if _OURS_BELOW in lines else None


def _without_our_line(lines: List[bytes]) -> Optional[List[bytes]]:
    if _OURS_BELOW not in lines:
        return None
    number = lines.index(_OURS_BELOW)
    return lines[:number] + lines[number + 2:]


def _added(text: bytes) -> Callable[[Place], Optional[bool]]:
    return _lines(lambda lines: [*lines, *text.split(b"\n")])


def _own_section(place: Place) -> Optional[bool]:
    name = place.name.replace(".repo", "").encode()
    text = b"[own-%s]\nname=Own\nbaseurl=https://packages.example.com/thirdparty/9/$basearch/\nenabled=0\n" % name
    return None if place.file.is_file() and b"[own-" in place.file.read_bytes() else _added(text)(place)


# --- whole files ------------------------------------------------------------------------------------------------------


def _file(change: Callable[[Place], object]) -> Callable[[Place], Optional[bool]]:
    """For a .repo file that is there, and no link."""

    def act(place: Place) -> bool:
        if not place.file.is_file() or place.file.is_symlink():
            return False
        change(place)
        return True

    return act


def _link(place: Place) -> None:
    (place.root / KEPT).mkdir(exist_ok=True)
    place.file.rename(place.root / KEPT / place.name)
    place.file.symlink_to("../repos.kept/" + place.name)


def _new(name: str, text: str) -> Callable[[Place], Optional[bool]]:
    def act(place: Place) -> bool:
        path = place.root / FOLDER / name
        if path.exists():
            return False
        path.write_text(text.replace("URL", place.url))
        return True

    return act


def _community(place: Place) -> bool:
    """A further file of the community's, as a package or a colleague would bring it."""
    path = place.root / FOLDER / "almalinux-more.repo"
    if path.exists():
        return False
    path.write_bytes(place.pristine["almalinux-plus.repo"].replace(b"[plus", b"[more"))
    return True


def _at(name: str, change: Callable[[Path], object]) -> Callable[[Place], Optional[bool]]:
    """For a file of ours that is there."""

    def act(place: Place) -> bool:
        if not (place.root / name).is_file():
            return False
        change(place.root / name)
        return True

    return act


def _pin_edited(path: Path) -> None:
    text = re.sub(r'"pin": "9\.2"', '"pin": "9.4"', path.read_text(errors="replace"))
    path.write_text(text)


def _rewritten(path: Path) -> None:
    try:
        document = json.loads(path.read_text())
    except ValueError:
        return
    path.write_text(json.dumps(document))


def _squid_excluded(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"exclude=squid\n")


def _write(text: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text)


def _one(act: Callable[[Place], Optional[bool]], weight: float = 0.5, harms_token: bool = False) -> Edit:
    return Edit(act, weight, per_file=False, harms_token=harms_token)


_SITE = "[example]\nname=Example Packages\nbaseurl=URL/thirdparty/9/$basearch/\ngpgcheck=0\n"
_PAST = "[mine]\nname=Mine\nbaseurl=https://repo.almalinux.org/almalinux/9.4/BaseOS/$basearch/os/\ngpgcheck=0\n"
_UNPINNED = b"baseurl=https://repo.almalinux.org/almalinux/$releasever/BaseOS/$basearch/os/"

EDITS: Dict[str, Edit] = {
    "comment": Edit(_added(b"# of the administrator\n")),
    "exclude": Edit(_lines(_replaced(b"gpgcheck=1", lambda line: line + b"\nexclude=man-db"))),
    "gpgcheck": Edit(_lines(_replaced(b"gpgcheck=1", lambda line: b"gpgcheck=0"))),
    "name": Edit(_lines(_replaced(b"name=", lambda line: b"name=Mine"))),
    "enable": Edit(_lines(_replaced(b"enabled=0", lambda line: b"enabled=1")), 0.7),
    "disable": Edit(_lines(_replaced(b"enabled=1", lambda line: b"enabled=0")), 0.5),
    "section": Edit(_own_section),
    "our address": Edit(_lines(_replaced(b"baseurl=", lambda line: line + b"x/", True)), 1.5, touches_ours=True),
    "our address unpinned": Edit(_lines(_replaced(b"baseurl=", lambda line: _UNPINNED, True)), touches_ours=True),
    "our line removed": Edit(_lines(_without_our_line), 0.5, touches_ours=True),
    "their line back": Edit(_lines(_replaced(b"#tuxcare- ", lambda line: line[len(b"#tuxcare- "):])), touches_ours=True),
    "marks removed": Edit(_lines(_without_our_mark), 0.5, touches_ours=True),
    "delete": Edit(_file(lambda place: place.file.unlink()), 1.5),
    "as it came": Edit(_file(lambda place: place.file.write_bytes(place.pristine[place.name]))),
    "rename": Edit(_file(lambda place: place.file.rename(place.file.with_name("mine-" + place.name))), 1.2),
    "copy aside": Edit(_file(lambda place: place.file.with_suffix(".repo.bak").write_bytes(place.file.read_bytes())), 0.7),
    "link": Edit(_file(_link)),
    "mode 640": Edit(_file(lambda place: place.file.chmod(0o640))),
    "owner": Edit(_file(lambda place: os.chown(str(place.file), 1000, 1000)), 0.5),
    "add a third party": _one(_new("example.repo", _SITE), 1.5),
    "add a tree past the pin": _one(_new("mine.repo", _PAST), 1),
    "add a community file": _one(_community, 1.5),
    "variable 9.4": _one(_at(_VARIABLE, _write(b"9.4\n")), 1.2),
    "variable 9": _one(_at(_VARIABLE, _write(b"9\n"))),
    "variable empty": _one(_at(_VARIABLE, _write(b""))),
    "variable with a blank": _one(_at(_VARIABLE, _write(b"9.2 \n"))),
    "variable not text": _one(_at(_VARIABLE, _write(b"\xff\n")), 0.3),
    "variable gone": _one(_at(_VARIABLE, Path.unlink)),
    "variable writable for all": _one(_at(_VARIABLE, lambda path: path.chmod(0o666)), 0.3),
    "token junk": _one(_at(_TOKEN, _write(b"../../9.4\n")), harms_token=True),
    "token gone": _one(_at(_TOKEN, Path.unlink), harms_token=True),
    "token readable": _one(_at(_TOKEN, lambda path: path.chmod(0o644))),
    "marker gone": _one(_at("etc/tuxcare-release", Path.unlink)),
    "marker edited": _one(_at("etc/tuxcare-release", _write(b"own\n"))),
    "vendor file gone": _one(_at(FOLDER + "/tuxcare.repo", Path.unlink)),
    "vendor file edited": _one(_at(FOLDER + "/tuxcare.repo", _squid_excluded)),
    "vendor file empty": _one(_at(FOLDER + "/tuxcare.repo", _write(b"")), 0.3),
    "signing key gone": _one(_at("etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare", Path.unlink)),
    "record cut": _one(_at(_RECORD, lambda path: path.write_bytes(path.read_bytes()[:40]))),
    "record edited": _one(_at(_RECORD, _pin_edited)),
    "record rewritten": _one(_at(_RECORD, _rewritten), 0.3),
    "record gone": _one(_at(_RECORD, Path.unlink)),
    "backup gone": _one(_at(_BACKUP, Path.unlink)),
    "backup cut": _one(_at(_BACKUP, lambda path: path.write_bytes(path.read_bytes()[:-50])), 0.3),
}  # fmt: skip
