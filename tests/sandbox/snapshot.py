# SPDX-License-Identifier: Apache-2.0
"""What a root looks like, path by path, so that before and after can be compared with `==`."""
import hashlib
import os
import stat
from pathlib import Path
from typing import Dict, Iterator, NamedTuple, Optional, Tuple

__all__ = ["Entry", "LEFT_OUT", "differences", "take"]

# What every dnf command writes, whatever it is for: caches, logs, history and package database (which `installed`
# compares), file systems that are not on disk, and folders whose content nobody promises anything about.
LEFT_OUT = (
    "dev", "proc", "run", "sys", "tmp",
    "var/cache", "var/log", "var/tmp", "var/lib/dnf", "var/lib/rpm",
)
# Python writes these beside whatever root imports.
_LEFT_OUT_NAMES = ("__pycache__",)
# Written by overlayfs for its own use.
_OVERLAY_XATTRS = "trusted.overlay."
_KINDS = {
    stat.S_IFREG: "file", stat.S_IFDIR: "folder", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device",
}  # fmt: skip


class Entry(NamedTuple):
    """One path. Times and the number of links are left out; `content` is a digest, or where a link leads."""

    kind: str
    mode: int
    owner: int
    group: int
    xattrs: Tuple[Tuple[str, bytes], ...]
    content: str


def take(root: Path, slash: bool = False) -> Dict[str, Entry]:
    """Path below `root`, without a leading slash → entry. `slash` says that root/usr is the upper layer of an overlay.

    Then folders below usr that the machine has too are not told: overlayfs makes them when something is written below.
    """
    found = {}
    for path in _walk(str(root)):
        name = os.path.relpath(path, str(root))
        entry = _entry(path)
        if entry is not None and not (slash and entry.kind == "folder" and _is_machines(name)):
            found[name] = entry
    return found


def differences(before: Dict[str, Entry], after: Dict[str, Entry]) -> Dict[str, Tuple[Optional[Entry], Optional[Entry]]]:
    """Path → (before, after) of what is not the same, None where it is not there; for messages of tests."""
    paths = sorted(set(before) | set(after))
    return {path: (before.get(path), after.get(path)) for path in paths if before.get(path) != after.get(path)}


def _walk(root: str) -> Iterator[str]:
    left_out = {os.path.join(root, name) for name in LEFT_OUT}
    folders = [root]
    while folders:
        for item in os.scandir(folders.pop()):
            if item.path in left_out or item.name in _LEFT_OUT_NAMES:
                continue
            yield item.path
            if item.is_dir(follow_symlinks=False):
                folders.append(item.path)


def _is_machines(name: str) -> bool:
    return (name == "usr" or name.startswith("usr/")) and os.path.isdir("/" + name)


def _entry(path: str) -> Optional[Entry]:
    """None for a whiteout: overlayfs notes with it that a file of the lower layer is gone."""
    status = os.lstat(path)
    kind = _KINDS[stat.S_IFMT(status.st_mode)]
    if kind == "device" and status.st_rdev == 0:
        return None
    return Entry(kind, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, _xattrs(path), _content(path, kind))


def _xattrs(path: str) -> Tuple[Tuple[str, bytes], ...]:
    names = [name for name in os.listxattr(path, follow_symlinks=False) if not name.startswith(_OVERLAY_XATTRS)]
    return tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(names))


def _content(path: str, kind: str) -> str:
    if kind == "link":
        return os.readlink(path)
    if kind != "file":
        return ""
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
