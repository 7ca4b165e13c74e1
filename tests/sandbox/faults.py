# SPDX-License-Identifier: Apache-2.0
"""Misbehaviour on order: what a service can do to a client that trusts it.

    service.order(Fault(Status(429, {"Retry-After": "2"}), path="/cln/*", times=1))
    service.order(Fault(CutBefore(), path="*/token/register"))     # the seat is taken, the answer lost

A behaviour either answers in the service's place (`instead`: nothing is registered, no seat taken) or alters the
answer of a service that did its work (`alter`). Where several faults match they act in the order they were ordered in.
A further misbehaviour is one more small class here.
"""
import fnmatch
import json
import threading
import time
from dataclasses import replace
from typing import Any, Dict, List, Optional

from tests.sandbox.answers import Answer, Slice, json_answer

__all__ = [
    "Body",
    "CutBefore",
    "CutWithin",
    "Delay",
    "Drip",
    "Endless",
    "Fault",
    "Faults",
    "Fields",
    "Hold",
    "Json",
    "Misbehaviour",
    "Oversized",
    "Redirect",
    "Status",
    "Throttle",
    "Truncated",
]


class Misbehaviour:
    """Does nothing; each subclass overrides one method, or both."""

    def instead(self) -> Optional[Answer]:
        """The answer given in the service's place, or None where the service has to do its work."""
        return None

    def alter(self, answer: Answer) -> Answer:
        return answer


class Status(Misbehaviour):
    """A status of its own: 429 with Retry-After, 500, 503, 407, 204."""

    def __init__(self, status: int, headers: Optional[Dict[str, str]] = None, body: bytes = b"") -> None:
        self._answer = Answer(status, dict(headers or {}), body)

    def instead(self) -> Optional[Answer]:
        return self._answer


class Body(Status):
    """Any bytes: HTML of a captive portal, junk, nothing."""

    def __init__(self, body: bytes, content_type: str = "text/html", status: int = 200) -> None:
        super().__init__(status, {"Content-Type": content_type}, body)


class Throttle(Status):
    """Lets `most` requests through in each second, counted from the first one on, and puts off the rest with 429.

    `second` is how long one lasts: the clock of a limiter can go slower than the machine's.
    """

    def __init__(self, most: int, headers: Optional[Dict[str, str]] = None, second: float = 1.0) -> None:
        super().__init__(429, headers)
        self._most = most
        self._second = second
        self._began: Optional[float] = None
        self._asked: Dict[int, int] = {}
        self._lock = threading.Lock()

    def instead(self) -> Optional[Answer]:
        with self._lock:
            now = time.monotonic()
            self._began = now if self._began is None else self._began
            second = int((now - self._began) / self._second)
            self._asked[second] = self._asked.get(second, 0) + 1
            return None if self._asked[second] <= self._most else super().instead()


class Json(Misbehaviour):
    """Any document in place of the real one."""

    def __init__(self, document: Any, status: int = 200) -> None:
        self._answer = json_answer(document, status)

    def instead(self) -> Optional[Answer]:
        return self._answer


class Redirect(Status):
    """To another place, which may be another host or plain HTTP."""

    def __init__(self, location: str, status: int = 302) -> None:
        super().__init__(status, {"Location": location})


class Fields(Misbehaviour):
    """The real JSON answer (so the seat is taken) with some fields changed; None removes a field."""

    def __init__(self, **changes: Any) -> None:
        self._changes = changes

    def alter(self, answer: Answer) -> Answer:
        document = {**json.loads(answer.body.decode()), **self._changes}
        kept = {name: value for name, value in document.items() if value is not None}
        return replace(answer, body=json.dumps(kept).encode())


class Delay(Misbehaviour):
    """Seconds between the work done and the first byte of the answer."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def alter(self, answer: Answer) -> Answer:
        return answer.delivered(delay=answer.delivery.delay + self._seconds)


class Hold(Misbehaviour):
    """The work is done and the answer kept back until `release()`; `reached` tells that a client waits."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self._released = threading.Event()

    def release(self) -> None:
        self._released.set()

    def alter(self, answer: Answer) -> Answer:
        self.reached.set()
        return answer.delivered(hold=self._released)


class CutBefore(Misbehaviour):
    """The work is done, and the connection reset before the status line."""

    def alter(self, answer: Answer) -> Answer:
        return answer.delivered(cut_after=-1)


class CutWithin(Misbehaviour):
    """The connection is reset after so many bytes of a body whose Content-Length promised more."""

    def __init__(self, after: int = 0) -> None:
        self._after = after

    def alter(self, answer: Answer) -> Answer:
        return answer.delivered(cut_after=self._after)


class Truncated(Misbehaviour):
    """The body's first bytes, with a Content-Length that fits them: it looks whole."""

    def __init__(self, keep: int) -> None:
        self._keep = keep

    def alter(self, answer: Answer) -> Answer:
        part = answer.part and _shortened(answer.part, self._keep)
        return replace(answer, body=answer.body[: self._keep], part=part)


class Oversized(Misbehaviour):
    """Blanks after the body (so that JSON stays JSON) up to `size` bytes."""

    def __init__(self, size: int) -> None:
        self._size = size

    def alter(self, answer: Answer) -> Answer:
        return replace(answer, padding=max(0, self._size - answer.length))


class Endless(Misbehaviour):
    """Blanks after the body without end, and no Content-Length."""

    def alter(self, answer: Answer) -> Answer:
        return answer.delivered(endless=True)


class Drip(Misbehaviour):
    """A byte a second."""

    def __init__(self, seconds: float = 1.0, size: int = 1) -> None:
        self._pace = (size, seconds)

    def alter(self, answer: Answer) -> Answer:
        return answer.delivered(pace=self._pace)


class Fault:
    """A misbehaviour, and the requests that it is for: shell patterns of method, path (without the query) and host.

    It acts `times` times, or until it is cancelled; `used` counts.
    """

    def __init__(
        self,
        behaviour: Misbehaviour,
        path: str = "*",
        method: str = "*",
        host: str = "*",
        times: Optional[int] = None,
    ) -> None:
        self.behaviour = behaviour
        self.used = 0
        self._patterns = (method, host, path)
        self._times = times

    def matches(self, method: str, host: str, path: str) -> bool:
        if self._times is not None and self.used >= self._times:
            return False
        pairs = zip((method, host, path), self._patterns)
        return all(fnmatch.fnmatchcase(value, pattern) for value, pattern in pairs)


class Faults:
    """What is ordered; safe for many threads."""

    def __init__(self) -> None:
        self._ordered: List[Fault] = []
        self._lock = threading.Lock()

    def order(self, fault: Fault) -> Fault:
        with self._lock:
            self._ordered.append(fault)
        return fault

    def cancel(self, fault: Optional[Fault] = None) -> None:
        """One fault, or all of them; what is under way goes on."""
        with self._lock:
            self._ordered = [other for other in self._ordered if fault is not None and other is not fault]

    def claim(self, method: str, host: str, path: str) -> List[Misbehaviour]:
        """The behaviours for one request, each counted as used."""
        with self._lock:
            due = [fault for fault in self._ordered if fault.matches(method, host, path)]
            for fault in due:
                fault.used += 1
        return [fault.behaviour for fault in due]


def _shortened(part: Slice, keep: int) -> Slice:
    return part._replace(length=min(part.length, keep))
