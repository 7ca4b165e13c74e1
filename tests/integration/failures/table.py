# SPDX-License-Identifier: Apache-2.0
"""All rows, how one is run, and what of it went wrong."""
import json
import re
import subprocess
from fnmatch import fnmatchcase
from typing import Any, Dict, List, NamedTuple, Set, Tuple

from tests.integration.failures.row import NONE, RETURNED, TAKEN, UNKNOWN, Row
from tests.integration.failures.rows import commands, hosts, network, proof, service
from tests.integration.failures.site import Site
from tests.integration.outcome import State, own_lines, places_of
from tuxcare_lib import messages

__all__ = ["ROWS", "SEAT_WORDS", "Outcome", "run"]

ROWS: Tuple[Row, ...] = (*commands.ROWS, *hosts.ROWS, *network.ROWS, *service.ROWS, *proof.ROWS)

# How the line ends.
SEAT_WORDS = {RETURNED: messages.SEAT_RETURNED, TAKEN: messages.SEAT_TAKEN, UNKNOWN: messages.SEAT_UNKNOWN}

_INTENT = "var/lib/tuxcare/seat.json"
_UNREGISTER = "/token/unregister"
_FOLDERS = ("etc", "var", "root", "tmp", "run")
_BAD_KEY = "ESU-AAAA"  # what keys that cannot be one begin with
_WAITED_OUT = "(registered)"


class Outcome(NamedTuple):
    """What was said, addresses made neutral, and what is not as it has to be, in words."""

    message: str
    remedy: str
    code: str
    wrong: Tuple[str, ...] = ()


def run(site: Site, row: Row) -> Outcome:
    """The row's command twice: while something is wrong, and when it is mended."""
    with row.circumstance(site):
        site.service.clear_requests()
        before = State.of(site.host, site.service)
        done = site.register(row, row.user)
        wrong = _registered(site, done) if row.status == 0 else _failed(site, row, done, before)
        wrong += _tries(site, row)
    if row.status and row.mends:
        wrong += ["mended: " + text for text in _registered(site, site.register(row))]
    message, remedy, code = (_neutral(site, text) for text in _parts(done))
    return Outcome(message, remedy, code, tuple(wrong))


def _failed(site: Site, row: Row, done: "subprocess.CompletedProcess[str]", before: State) -> List[str]:
    wrong = [*_status(done, row.status), *_said(row, done), *_secrets(site, row, done), *_seat(site, row, done, before)]
    after = State.of(site.host, site.service)
    remembered = {"var/lib/tuxcare", _INTENT} if row.seat == UNKNOWN else set()
    wrong += ["changed: " + path for path in sorted(set(before.changes(after)) ^ remembered)]
    return wrong + (["packages or trusted keys are others"] if before[1:3] != after[1:3] else [])


def _registered(site: Site, done: "subprocess.CompletedProcess[str]") -> List[str]:
    wrong = _status(done, 0)
    token = site.host.root / "etc/dnf/vars/tuxcare_token"
    if not _document(done).get("registered") or not token.exists():
        return [*wrong, "not registered"]
    wrong += ["it is still remembered that a seat is owed"] if (site.host.root / _INTENT).exists() else []
    return wrong + ([] if token.read_text().strip() in _tokens(site) else ["the token is of no seat"])


def _status(done: "subprocess.CompletedProcess[str]", status: int) -> List[str]:
    wrong = [] if done.returncode == status else ["exit status %d, and said: %s" % (done.returncode, done.stderr)]
    return wrong + (["a traceback: " + done.stderr] if "Traceback" in done.stdout + done.stderr else [])


# --- what is said -------------------------------------------------------------------------------------------------


def _said(row: Row, done: "subprocess.CompletedProcess[str]") -> List[str]:
    message, remedy, _ = _parts(done)
    line = "Error: %s %s" % (message, remedy)
    wrong = [] if own_lines(done.stderr) == [line.strip()] else ["not the document's one line: " + done.stderr]
    wrong += ["it does not say %r: %s" % (word, line) for word in row.says if word.lower() not in line.lower()]
    wrong += ["too long, or not plain text: %r" % line] if len(line) > 600 or re.search(r"[^ -~]", line) else []
    return wrong + ([] if remedy or row.user else ["no remedy: " + line])


def _parts(done: "subprocess.CompletedProcess[str]") -> Tuple[str, str, str]:
    """Message, remedy and code of the document's error."""
    error = _document(done).get("error", {"message": _WAITED_OUT, "remedy": "", "code": ""})
    return error["message"], error["remedy"], error["code"]


def _document(done: "subprocess.CompletedProcess[str]") -> Dict[str, Any]:
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return {"error": {"message": "no JSON: " + done.stdout, "remedy": "", "code": ""}}
    return found if isinstance(found, dict) else {}


def _neutral(site: Site, text: str) -> str:
    for place in (str(site.host.root), str(site.host.directory)):
        text = text.replace(place, "")
    text = re.sub(r"https?://(localhost|127\.0\.0\.1):[0-9]+", "https://HOST", text)
    text = re.sub(r"\b(localhost|127\.0\.0\.1):[0-9]+", "HOST", text)
    text = re.sub(r"\b[0-9A-F]{40}\b", "FINGERPRINT", text)
    return re.sub(r"process [0-9]+", "process PID", text)


def _secrets(site: Site, row: Row, done: "subprocess.CompletedProcess[str]") -> List[str]:
    secrets = [row.key] if row.key else []
    asked = [record for record in site.service.requests if record.path.endswith(_UNREGISTER)]
    secrets += [*_tokens(site), *(record.json()["token"] for record in asked)]
    shown = ["a secret is shown" for secret in (*secrets, _BAD_KEY) if secret in done.stdout + done.stderr]
    return shown + ["a secret is in " + place for secret in secrets for place in places_of(site.host, secret, _FOLDERS)]


# --- what the service saw -----------------------------------------------------------------------------------------


def _tokens(site: Site) -> Set[str]:
    return {seat.token for seat in site.service.licences.seats()}


def _seat(site: Site, row: Row, done: "subprocess.CompletedProcess[str]", before: State) -> List[str]:
    told = [seat for seat, words in SEAT_WORDS.items() if words in done.stderr]
    given = [record for record in site.service.requests if record.path.endswith(_UNREGISTER) and record.status == 200]
    wrong = [] if told == [seat for seat in (row.seat,) if seat != NONE] else ["of the seat it says %s" % (told or "nothing")]
    wrong += [] if bool(given) == (row.seat == RETURNED) else ["%d seats given back" % len(given)]
    return wrong + (["a seat is taken"] if row.seat in (NONE, RETURNED) and before[3] != site.service.seats else [])


def _tries(site: Site, row: Row) -> List[str]:
    requests = sum(1 for record in site.service.requests if fnmatchcase(record.path, row.at))
    tries = max(requests, site.connections_elsewhere())
    return [] if tries == row.tries else ["tried %d times" % tries]
