# SPDX-License-Identifier: Apache-2.0
"""A disk in memory: replays logged system calls, and tells every state that a power cut may leave of them.

What is durable: a file's bytes and attributes by an fsync of the file after them; a name (made, moved, removed) by an fsync
of its folder after it. All else may be there or not, in any combination: stricter than any file system in use.
"""

import hashlib
import os
import random
import stat
from itertools import product
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from tests.crash.injector import Call

__all__ = ["Disk", "Node", "Tree", "write_tree"]

_MOST = 32
# What of bytes that were not synced is there: all, none, the first half.
_KEPT = (1.0, 0.0, 0.5)


class Node:
    """An inode. `names` are a folder's; `mtime` None is the time at which the tree is written."""

    def __init__(self, kind: int, mode: int, uid: int = 0, gid: int = 0) -> None:
        self.kind, self.mode, self.uid, self.gid = kind, mode, uid, gid
        self.data = b""
        self.mtime: Optional[int] = None
        self.xattrs: Dict[str, bytes] = {}
        self.names: Dict[str, int] = {}

    def copy(self) -> "Node":
        twin = Node(self.kind, self.mode, self.uid, self.gid)
        twin.data, twin.mtime, twin.xattrs, twin.names = self.data, self.mtime, dict(self.xattrs), dict(self.names)
        return twin


Tree = Dict[int, Node]


class _Event(NamedTuple):
    """`node` is what has to be synced for it to be durable; `act` does it to a tree. `is_name`: of a folder's names."""

    node: int
    is_name: bool
    is_data: bool
    act: Callable[[Tree], None]


class Disk:
    """`root` holds what was there before the calls; `folders` of it are modelled, relative paths."""

    def __init__(self, root: Path, folders: Sequence[str], calls: Sequence[Call]) -> None:
        self._root = str(root)
        self._start: Tree = {0: Node(stat.S_IFDIR, 0o755)}
        for folder in folders:
            self._load(folder)
        self._now = {number: node.copy() for number, node in self._start.items()}
        self._made: Tree = {}
        # One entry for each call that succeeded: what it did, or the node that it synced.
        self._steps: List[Tuple[List[_Event], Optional[int]]] = [self._step(call) for call in calls]

    # --- what was there ---------------------------------------------------------------------------------------------

    def _load(self, path: str) -> None:
        parent = self._start[0]
        done = ""
        for part in path.split("/"):
            done = os.path.join(done, part)
            if not os.path.lexists(os.path.join(self._root, done)):
                return
            if part not in parent.names:
                parent.names[part] = self._add(done)
            parent = self._start[parent.names[part]]
        for name in sorted(os.listdir(os.path.join(self._root, path))):
            self._load_below(parent, os.path.join(path, name))

    def _load_below(self, parent: Node, path: str) -> None:
        number = parent.names[os.path.basename(path)] = self._add(path)
        if self._start[number].kind == stat.S_IFDIR:
            for name in sorted(os.listdir(os.path.join(self._root, path))):
                self._load_below(self._start[number], os.path.join(path, name))

    def _add(self, path: str) -> int:
        whole = os.path.join(self._root, path)
        status = os.lstat(whole)
        node = Node(stat.S_IFMT(status.st_mode), stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)
        node.mtime = status.st_mtime_ns
        if node.kind == stat.S_IFLNK:
            node.data = os.fsencode(os.readlink(whole))
        elif node.kind == stat.S_IFREG:
            node.data = Path(whole).read_bytes()
        if node.kind != stat.S_IFLNK:
            node.xattrs = {name: os.getxattr(whole, name) for name in os.listxattr(whole)}
        self._start[len(self._start)] = node
        return len(self._start) - 1

    # --- what the calls did -----------------------------------------------------------------------------------------

    def _step(self, call: Call) -> Tuple[List[_Event], Optional[int]]:
        if call.result == "killed" or call.result.startswith("errno"):
            return [], None
        if call.name == "fsync":
            return [], self._find(call.fields[0])
        events = getattr(self, "_" + call.name)(*call.fields)
        for event in events:
            event.act(self._now)
        return events, None

    def _find(self, path: str) -> int:
        number = 0
        for part in [part for part in os.path.relpath(path, self._root).split("/") if part != "."]:
            number = self._now[number].names[part]
        return number

    def _place(self, path: str) -> Tuple[int, str]:
        return self._find(os.path.dirname(path)), os.path.basename(path)

    def _new(self, path: str, kind: int, mode: int) -> List[_Event]:
        folder, name = self._place(path)
        number = len(self._start) + len(self._made)
        self._made[number] = Node(kind, mode)
        self._now[number] = Node(kind, mode)

        def act(tree: Tree) -> None:
            tree[folder].names[name] = number

        return [_Event(folder, True, False, act)]

    def _open(self, path: str, flags: str, mode: str) -> List[_Event]:
        folder, name = self._place(path)
        known = self._now[folder].names.get(name)
        if known is None:
            return self._new(path, stat.S_IFREG, int(mode, 8))
        return [self._data(known, lambda data: b"")] if int(flags, 8) & os.O_TRUNC else []

    def _mkdir(self, path: str, mode: str) -> List[_Event]:
        return self._new(path, stat.S_IFDIR, int(mode, 8))

    def _write(self, path: str, offset: str, data: str) -> List[_Event]:
        assert offset == "-1", "a write at an offset is not modelled"
        return [self._data(self._find(path), lambda before: before + bytes.fromhex(data))]

    @staticmethod
    def _data(number: int, change: Callable[[bytes], bytes]) -> _Event:
        def act(tree: Tree) -> None:
            tree[number].data = change(tree[number].data)

        return _Event(number, False, True, act)

    def _attribute(self, path: str, change: Callable[[Node], None]) -> List[_Event]:
        number = self._find(path)
        return [_Event(number, False, False, lambda tree: change(tree[number]))]

    def _chmod(self, path: str, mode: str) -> List[_Event]:
        return self._attribute(path, lambda node: setattr(node, "mode", int(mode, 8)))

    def _chown(self, path: str, uid: str, gid: str) -> List[_Event]:
        def change(node: Node) -> None:
            node.uid, node.gid = int(uid), int(gid)

        return self._attribute(path, change)

    def _utime(self, path: str, time: str) -> List[_Event]:
        seconds, _, rest = time.partition(".")
        return self._attribute(path, lambda node: setattr(node, "mtime", int(seconds) * 10**9 + int(rest)))

    def _setxattr(self, path: str, name: str, value: str) -> List[_Event]:
        return self._attribute(path, lambda node: node.xattrs.update({name: os.fsencode(value)}))

    def _unlink(self, path: str) -> List[_Event]:
        folder, name = self._place(path)

        def act(tree: Tree) -> None:
            tree[folder].names.pop(name, None)

        return [_Event(folder, True, False, act)]

    _rmdir = _unlink

    def _rename(self, old: str, new: str) -> List[_Event]:
        (source, name), (target, other) = self._place(old), self._place(new)
        number = self._now[source].names[name]

        def act(tree: Tree) -> None:
            tree[source].names.pop(name, None)
            tree[target].names[other] = number

        return [_Event(target, True, False, act)]

    # --- the power goes -----------------------------------------------------------------------------------------------

    def states(self, seed: int, one_of: int = 1) -> Iterator[Tuple[int, Tree]]:
        """(how many calls were made, what is on the disk then), each different tree once; only after each `one_of` calls."""
        seen: Set[str] = set()
        for count in range(0, len(self._steps) + 1, one_of):
            chance = random.Random("%d %d" % (seed, count))
            events, durable = self._durable(count)
            for there, kept in product(_chosen(events, durable, chance), _KEPT):
                tree = self._cut(events, durable, there, kept)
                digest = _digest(tree)
                if digest not in seen:
                    seen.add(digest)
                    yield count, tree

    def _durable(self, count: int) -> Tuple[List[_Event], List[bool]]:
        events: List[_Event] = []
        durable: List[bool] = []
        for done, synced in self._steps[:count]:
            if synced is not None:
                durable = [was or event.node == synced for was, event in zip(durable, events)]
            events += done
            durable += [False] * len(done)
        return events, durable

    def _cut(self, events: List[_Event], durable: List[bool], there: Set[int], kept: float) -> Tree:
        # A file is there without its first name, too: a second one may have come to the disk.
        tree = {number: node.copy() for part in (self._start, self._made) for number, node in part.items()}
        for number, event in enumerate(events):
            if event.is_name and not durable[number] and number not in there:
                continue
            before = len(tree[event.node].data)
            event.act(tree)
            if event.is_data and not durable[number]:
                data = tree[event.node].data
                tree[event.node].data = data[:before + int((len(data) - before) * kept)]
        return tree


def _chosen(events: List[_Event], durable: List[bool], chance: random.Random) -> Iterator[Set[int]]:
    """Which of the names that were not synced came to the disk: every choice, or where there are many some."""
    loose = [number for number, event in enumerate(events) if event.is_name and not durable[number]]
    if 2 ** len(loose) <= _MOST:
        for bits in range(2 ** len(loose)):
            yield {number for place, number in enumerate(loose) if bits >> place & 1}
        return
    for end in range(len(loose) + 1):
        yield set(loose[:end])
    for _ in range(_MOST // 2):
        yield {number for number in loose if chance.random() < 0.5}


def _walk(tree: Tree, number: int = 0, path: str = "") -> Iterator[Tuple[str, Node]]:
    for name, child in sorted(tree[number].names.items()):
        yield os.path.join(path, name), tree[child]
        yield from _walk(tree, child, os.path.join(path, name))


def _digest(tree: Tree) -> str:
    told = hashlib.sha256()
    for path, node in _walk(tree):
        told.update(repr((path, node.kind, node.mode, node.uid, node.gid, node.data, node.mtime, node.xattrs)).encode())
    return told.hexdigest()


def write_tree(tree: Tree, root: Path) -> None:
    """Makes the files below `root`, in which nothing stands in their way."""
    for path, node in _walk(tree):
        whole = str(root / path)
        if node.kind == stat.S_IFLNK:
            os.symlink(os.fsdecode(node.data), whole)
            continue
        if node.kind == stat.S_IFDIR:
            os.makedirs(whole, exist_ok=True)
        else:
            Path(whole).write_bytes(node.data)
        _dress(whole, node)


def _dress(whole: str, node: Node) -> None:
    if os.geteuid() == 0:
        os.chown(whole, node.uid, node.gid)
    os.chmod(whole, node.mode)
    for name, value in node.xattrs.items():
        os.setxattr(whole, name, value)
    if node.kind == stat.S_IFREG and node.mtime is not None:
        os.utime(whole, ns=(node.mtime, node.mtime))
