# SPDX-License-Identifier: Apache-2.0
"""What the sandbox's service answers: an immutable value with a body and the way it is delivered."""
import json
import threading
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any, Dict, Iterator, NamedTuple, Optional, Tuple

__all__ = ["Answer", "Delivery", "Slice", "file_answer", "json_answer", "text_answer"]

_BLOCK = 1 << 16


class Slice(NamedTuple):
    """A part of a file, in bytes."""

    path: Path
    start: int
    length: int


@dataclass(frozen=True)
class Delivery:
    """How an answer goes over the wire; the default is at once and whole."""

    delay: float = 0.0
    hold: Optional[threading.Event] = None
    cut_after: Optional[int] = None
    """Bytes of the body after which the connection is reset; -1 is before the status line."""
    pace: Optional[Tuple[int, float]] = None
    """So many bytes, then so many seconds of rest."""
    endless: bool = False
    """Blanks without end follow the body, until the client goes away."""


@dataclass(frozen=True)
class Answer:
    """A status, headers and a body: bytes or part of a file, and then `padding` blanks.

    Content-Length is the sender's to add.
    """

    status: int = 200
    headers: Dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    part: Optional[Slice] = None
    padding: int = 0
    delivery: Delivery = Delivery()

    @property
    def length(self) -> int:
        """Bytes of the whole body."""
        return (self.part.length if self.part else len(self.body)) + self.padding

    def blocks(self) -> Iterator[bytes]:
        """The body piece by piece, so that a large one is never in memory."""
        yield from _blocks_of(self.part) if self.part else iter([self.body])
        left = self.padding
        while left > 0:
            yield b" " * min(left, _BLOCK)
            left -= _BLOCK

    def delivered(self, **changes: Any) -> "Answer":
        """The same answer, with fields of its delivery changed."""
        return replace(self, delivery=replace(self.delivery, **changes))

    def ranged(self, value: Optional[str]) -> "Answer":
        """What the Range header `value` asks of a file; several ranges, junk and other bodies get the whole."""
        if not value or self.part is None or self.status != 200:
            return self
        size = self.part.length
        try:
            start, end = _parse_range(value, size)
        except ValueError:
            return self
        if start >= size or end < start:
            return Answer(416, {"Content-Range": "bytes */%d" % size})
        headers = dict(self.headers, **{"Content-Range": "bytes %d-%d/%d" % (start, end, size)})
        part = self.part._replace(start=self.part.start + start, length=end - start + 1)
        return replace(self, status=206, headers=headers, part=part)


def json_answer(document: Any, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(document).encode())


def text_answer(text: str, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())


def file_answer(path: Path) -> Answer:
    """The file's content as it is when it is sent; OSError where it is gone."""
    status = path.stat()
    headers = {
        "Content-Type": "application/octet-stream",
        "Accept-Ranges": "bytes",
        "Last-Modified": formatdate(status.st_mtime, usegmt=True),
    }
    return Answer(200, headers, part=Slice(path, 0, status.st_size))


def _blocks_of(part: Slice) -> Iterator[bytes]:
    with part.path.open("rb") as stream:
        stream.seek(part.start)
        left = part.length
        while left > 0:
            block = stream.read(min(left, _BLOCK))
            if not block:
                return
            yield block
            left -= len(block)


def _parse_range(value: str, size: int) -> Tuple[int, int]:
    """First and last byte, both counted in; ValueError for what is not one range of bytes."""
    unit, _, text = value.partition("=")
    first, dash, last = text.strip().partition("-")
    if unit.strip() != "bytes" or not dash:
        raise ValueError(value)
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1
