# SPDX-License-Identifier: Apache-2.0
"""The record that the sandbox's service keeps of each request."""
import json
import threading
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from tests.sandbox.answers import Answer
from tests.sandbox.listener import Call

__all__ = ["Record", "Records"]


class Record(NamedTuple):
    """A request and its answer as it was meant, before a fault cut it on the wire.

    `host` is without a port, `path` without `query`; the names of headers are in lower case. `answer` is empty where
    a file was sent: `length` tells how long its body is.
    """

    method: str
    host: str
    path: str
    query: str
    headers: Dict[str, str]
    body: bytes
    status: int
    answer: bytes
    length: int

    def json(self) -> Any:
        """The request's body, decoded."""
        return json.loads(self.body.decode())


class Records:
    """Safe for many threads; `log` is called with each new record."""

    def __init__(self, log: Optional[Callable[[Record], None]] = None) -> None:
        self._records: List[Record] = []
        self._lock = threading.Lock()
        self._log = log

    def add(self, call: Call, answer: Answer) -> None:
        query = call.target.partition("?")[2]
        asked = (call.method, call.host, call.path, query, call.headers, call.body)
        record = Record(*asked, answer.status, answer.body, answer.length)
        with self._lock:
            self._records.append(record)
        if self._log:
            self._log(record)

    def all(self) -> List[Record]:
        with self._lock:
            return list(self._records)

    def clear(self) -> None:
        with self._lock:
            self._records.clear()
