# SPDX-License-Identifier: Apache-2.0
"""What the registration itself is answered."""
import gzip
from typing import Tuple

from tests.integration.failures.circumstances import all_of, answers, configured, licence
from tests.integration.failures.row import NONE, REGISTER, UNKNOWN, Row
from tests.sandbox.faults import (
    Body, CutBefore, CutWithin, Delay, Drip, Endless, Fields, Json, Misbehaviour, Oversized, Redirect, Status, Truncated,
)  # fmt: skip
from tests.sandbox.licences import ESU_KEY, EXHAUSTED_KEY, UNKNOWN_KEY, Key

__all__ = ["ROWS"]

_REFUSAL = "the service says no"
_BUSY = "the service is busy or broken"
_LOST = "the answer is lost"
_JUNK = "the answer is none"
_ELSEWHERE = "the service sends elsewhere"
_NO_TOKEN = "answered the registration with a token that cannot be one"


def _status(status: int, words: str, seat: str = NONE, tries: int = 1, group: str = _REFUSAL) -> Row:
    return Row("http-%d" % status, group, words, answers(Status(status)), ("HTTP %d" % status,), seat, tries)


def _answer(name: str, group: str, words: str, behaviour: Misbehaviour, says: Tuple[str, ...], seat: str = NONE) -> Row:
    return Row(name, group, words, answers(behaviour), says, seat)


_REFUSALS = (
    Row("key-unknown", _REFUSAL, "400 `invalid-key`: a key that the service does not know", licence(
        UNKNOWN_KEY, None, Key("esu", 9)), ("does not know this licence key",), key=UNKNOWN_KEY),
    Row("key-expired", _REFUSAL, "400 `invalid-key`: an expired key", licence(
        ESU_KEY, Key("esu", 9, expired=True), Key("esu", 9)), ("does not know this licence key",)),
    Row("seats-taken", _REFUSAL, "400 `key-limit-reached`", licence(
        EXHAUSTED_KEY, Key("esu", 1), Key("esu", 9)), ("all seats", "are taken"), key=EXHAUSTED_KEY),
    _answer("refused-in-other-words", _REFUSAL, "400 with a word that nobody knows", Json({"error": "not-today"}, 400),
            ("HTTP 400", "(the server said: not-today)")),
    _answer("refused-in-control-characters", _REFUSAL, "400 with terminal escapes, line ends and a word of 5,000 letters",
            Json({"error": "no\x1b[31m\r\nError: " + "w" * 5000}, 400), ("HTTP 400", "the server said: no [31m Error: www")),
    _answer("refused-in-html", _REFUSAL, "400 with a page", Body(b"<html>no</html>", status=400), ("HTTP 400",)),
    _status(401, "401 Unauthorized"), _status(403, "403 Forbidden"), _status(404, "404 Not Found: a wrong `register_url`"),
    _status(405, "405 Method Not Allowed"), _status(407, "407 Proxy Authentication Required from what stands in for the service"),
    _status(408, "408 Request Timeout"), _status(409, "409 Conflict"), _status(413, "413 Content Too Large"),
)  # fmt: skip

_TROUBLE = (
    Row("busy-once", _BUSY, "429 once", answers(Status(429), times=1), tries=2, status=0),
    Row("busy-for-a-second", _BUSY, "429 once, with `Retry-After: 1`", answers(Status(429, {"Retry-After": "1"}), times=1),
        tries=2, status=0),
    _status(429, "429 again and again", tries=2, group=_BUSY),
    Row("busy-for-an-hour", _BUSY, "429 with `Retry-After: 3600`", answers(Status(429, {"Retry-After": "3600"})),
        ("come back in 3600 s", "HTTP 429")),
    _status(503, "503 again and again", tries=2, group=_BUSY),
    _status(500, "500 Internal Server Error", UNKNOWN, group=_BUSY),
    _status(502, "502 Bad Gateway", UNKNOWN, group=_BUSY), _status(504, "504 Gateway Timeout", UNKNOWN, group=_BUSY),
    _status(511, "511 Network Authentication Required, of a portal", group=_BUSY),
    _status(524, "524, of a content network that waited in vain", UNKNOWN, group=_BUSY),
)  # fmt: skip

_LOST_ROWS = (
    _answer("cut-before", _LOST, "the connection is reset before the answer", CutBefore(), ("broke off",), UNKNOWN),
    _answer("cut-within", _LOST, "the connection is reset within the answer", CutWithin(5), ("broke off",), UNKNOWN),
    Row("no-answer", _LOST, "no answer within `timeout`", all_of(answers(Delay(2)), configured("timeout = 1")),
        ("did not answer in time",), UNKNOWN),
    Row("drip", _LOST, "an answer whose bytes are further apart than `timeout`",
        all_of(answers(Drip(seconds=2)), configured("timeout = 1")), ("did not answer in time",), UNKNOWN),
    _answer("truncated", _LOST, "half an answer, with a length that fits", Truncated(12), ("JSON",), UNKNOWN),
)  # fmt: skip

_JUNK_ROWS = (
    _status(204, "204 No Content", UNKNOWN, group=_JUNK),
    _answer("created", _JUNK, "201 with a token", Json({"token": "SOME-token"}, 201), ("HTTP 201",), UNKNOWN),
    _answer("empty", _JUNK, "nothing", Body(b""), ("JSON",), UNKNOWN),
    _answer("portal", _JUNK, "the page of a portal", Body(b"<html>log in</html>"), ("JSON", "login page"), UNKNOWN),
    _answer("not-text", _JUNK, "bytes that are no text", Body(b"\xff\xfe\0{", "application/json"), ("JSON",), UNKNOWN),
    _answer("list", _JUNK, "a JSON list", Json([]), ("JSON object",), UNKNOWN),
    _answer("deep", _JUNK, "JSON, 60,000 brackets deep", Body(b"[" * 60000, "application/json"), ("JSON",), UNKNOWN),
    _answer("oversized", _JUNK, "an answer of 3 MB", Oversized(3_000_000), ("more than 65536 bytes",), UNKNOWN),
    _answer("endless", _JUNK, "an answer without end", Endless(), ("more than 65536 bytes",), UNKNOWN),
    _answer("gzip-bomb", _JUNK, "an answer that unpacks to 10 MB", Status(
        200, {"Content-Encoding": "gzip"}, gzip.compress(b" " * 10_000_000)), ("more than 65536 bytes",), UNKNOWN),
    _answer("broken-gzip", _JUNK, "an answer that is packed and damaged", Status(
        200, {"Content-Encoding": "gzip"}, gzip.compress(b"{}")[:-9] + b"damage"), ("cannot be unpacked",), UNKNOWN),
    _answer("no-token", _JUNK, "no token", Fields(token=None), (_NO_TOKEN,), UNKNOWN),
    _answer("token-number", _JUNK, "a number as token", Fields(token=7), (_NO_TOKEN,), UNKNOWN),
    _answer("token-empty", _JUNK, "an empty token", Fields(token=""), (_NO_TOKEN,), UNKNOWN),
    _answer("token-path", _JUNK, "a token with `/../`", Fields(token="a/../../9.4"), (_NO_TOKEN,), UNKNOWN),
    _answer("token-lines", _JUNK, "a token of two lines", Fields(token="a\nb"), (_NO_TOKEN,), UNKNOWN),
    _answer("token-long", _JUNK, "a token of 5,000 letters", Fields(token="a" * 5000), (_NO_TOKEN,), UNKNOWN),
)  # fmt: skip

_REDIRECTS = (
    _answer("redirect-host", _ELSEWHERE, "302 to another host", Redirect("https://elsewhere.example.com/"),
            ("redirects to https://elsewhere.example.com, which is refused",)),
    _answer("redirect-host-307", _ELSEWHERE, "307 to another host, which would get the key", Redirect(
        "https://elsewhere.example.com/", 307), ("redirects to https://elsewhere.example.com, which is refused",)),
    _answer("redirect-http", _ELSEWHERE, "301 to plain HTTP", Redirect("http://localhost/", 301),
            ("redirects to http://localhost, which is refused",)),
    _answer("redirect-circle", _ELSEWHERE, "302 to itself", Redirect(REGISTER), ("redirects", "which is refused")),
)  # fmt: skip

ROWS: Tuple[Row, ...] = (*_REFUSALS, *_TROUBLE, *_LOST_ROWS, *_JUNK_ROWS, *_REDIRECTS)
