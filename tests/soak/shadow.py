# SPDX-License-Identifier: Apache-2.0
"""The administrator's text: what every repository file would be, had this host never been registered.

It is told by the marks alone (docs/files.md): a line behind `#tuxcare- ` is his, the line after `#tuxcare+` is ours. No verb of
ours may ever change it; an edit does, and a package that brings such a file.
"""

import os
import re
import stat
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Set

from tests.sandbox import osfiles
from tests.soak.edits import EDITS, FOLDER, KEPT
from tests.soak.site import LATER_REPOS, Done
from tests.soak.steps import Step

__all__ = ["Face", "Shadow", "faces", "kept_of", "without_ours"]

_BELOW, _OUT = b"#tuxcare+", b"#tuxcare- "
_KEPT_BESIDE = re.compile(r"\.rpmsave(\.[0-9]+)?$")
# What the packages of the universe bring, byte for byte.
_PACKAGES = (osfiles.repo_files("9.2"), osfiles.repo_files("9.4"), LATER_REPOS)
_BROUGHT = {text.encode() for texts in _PACKAGES for text in texts.values()}


class Face(NamedTuple):
    """One file as the administrator would see it. `text` is where a link leads, for a link."""

    kind: int
    mode: int
    owner: int
    group: int
    text: bytes


_NONE = Face(0, 0, 0, 0, b"")


def without_ours(data: bytes) -> bytes:
    kept: List[bytes] = []
    lines = iter(data.split(b"\n"))
    for line in lines:
        if line == _BELOW:
            next(lines, None)
        else:
            kept.append(line[len(_OUT):] if line.startswith(_OUT) else line)
    return b"\n".join(kept)


def kept_of(path: str) -> str:
    """The file whose edit is kept there; the path itself where none is."""
    return _KEPT_BESIDE.sub("", path)


def faces(root: Path) -> Dict[str, Face]:
    """Of everything in the two folders that is not wholly ours, by its path below the root."""
    paths = [path for folder in (FOLDER, KEPT) if (root / folder).is_dir() for path in sorted((root / folder).iterdir())]
    return {str(path.relative_to(root)): _face(path) for path in paths if kept_of(path.name) != "tuxcare.repo"}


def _face(path: Path) -> Face:
    status = os.lstat(str(path))
    kind = stat.S_IFMT(status.st_mode)
    if kind == stat.S_IFLNK:
        text = os.fsencode(os.readlink(str(path)))
    else:
        data = path.read_bytes()
        # What is no repository file is nobody's but the administrator's, marks or not.
        text = without_ours(data) if path.name.endswith(".repo") else data
    return Face(kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, text)


class Shadow:
    """Follows one host. `undecided` are the files in which a line of ours was edited: --ours and --theirs settle them.

    `overtaken` are files that were edited while an operation was open, with the bytes that they got: undoing it puts the
    before-image there and keeps the edited one as FILE.rpmsave (docs/journal.md).
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self.now = faces(root)
        self.undecided: Set[str] = set()
        self.overtaken: Dict[str, bytes] = {}

    def check(self, step: Step, done: Done, was_open: bool = False, decides: bool = False) -> List[str]:
        """What is wrong after a step; `decides` says that it was let to settle edited lines of ours."""
        found = faces(self._root)
        if step.kind == "edit":
            self._edited(step, done, found)
            if was_open and len(step.words) > 1 and found.get(FOLDER + "/" + step.words[1], _NONE).kind == stat.S_IFREG:
                self.overtaken[FOLDER + "/" + step.words[1]] = (self._root / FOLDER / step.words[1]).read_bytes()
            return []
        self._overtake(found)
        self._keep(found)
        if step.kind == "dnf" and any(word.startswith("almalinux-") or word in ("upgrade", "autoremove") for word in step.words):
            paths = sorted(set(self.now) | set(found))
            wrong = [line for path in paths for line in _moved(path, self.now.get(path), found.get(path))]
            self.now = found
            return wrong
        if decides:
            self._settle(found)
        return [_told(path, self.now.get(path), found.get(path)) for path in sorted(set(self.now) | set(found))
                if self.now.get(path) != found.get(path) and path not in self.undecided]

    def _edited(self, step: Step, done: Done, found: Dict[str, Face]) -> None:
        edit = EDITS[step.words[0]]
        if edit.touches_ours and not done.skipped:
            path = self._root / FOLDER / step.words[1]
            self.undecided.add(str(Path(os.path.realpath(str(path))).relative_to(os.path.realpath(str(self._root)))))
        if step.words[0] == "rename" and not done.skipped and FOLDER + "/" + step.words[1] in self.undecided:
            self.undecided.add(FOLDER + "/mine-" + step.words[1])
        self.now = found

    def _overtake(self, found: Dict[str, Face]) -> None:
        """A before-image may have come back over an edited file, if that is kept beside it, byte for byte."""
        for path, data in self.overtaken.items():
            kept = {other: face for other, face in found.items() if kept_of(other) == path != other and face.text == data}
            if path in found and (kept or found[path].text == self.now[path].text):
                self.now[path] = found[path]
            self.now.update(kept)

    def _keep(self, found: Dict[str, Face]) -> None:
        """A file in which a line of ours was edited may be kept beside, whole."""
        for other, face in found.items():
            path = kept_of(other)
            if other not in self.now and path in self.undecided and path in self.now and (
                    without_ours(face.text) == self.now[path].text):
                self.now[other] = face

    def _settle(self, found: Dict[str, Face]) -> None:
        for path in self.undecided:
            self.now.pop(path, None)
            if path in found:
                self.now[path] = found[path]


def _moved(path: str, before: Optional[Face], after: Optional[Face]) -> List[str]:
    """A package may bring its files, and replace those that nobody edited; nothing else."""
    if before == after:
        return []
    brought = after is not None and after.text in _BROUGHT
    pristine = before is None or before.text in _BROUGHT
    return [] if brought and pristine else [_told(path, before, after)]


def _told(path: str, before: Optional[Face], after: Optional[Face]) -> str:
    return "the administrator's %s is not what it was: %s" % (path, _difference(before, after))


def _difference(before: Optional[Face], after: Optional[Face]) -> str:
    if before is None or after is None:
        return "it is %s" % ("there, and was not" if before is None else "gone")
    if before[:4] != after[:4]:
        return "kind, mode, owner %s, before %s" % (after[:4], before[:4])
    lost = [line for line in before.text.split(b"\n") if line not in after.text.split(b"\n")]
    new = [line for line in after.text.split(b"\n") if line not in before.text.split(b"\n")]
    return "lost %r, new %r" % (lost[:6], new[:6])
