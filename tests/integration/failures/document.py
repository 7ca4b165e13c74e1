# SPDX-License-Identifier: Apache-2.0
"""docs/errors.md: the rows as they are, and what was said when they were run last."""
import re
from typing import Dict, Iterable, List, NamedTuple

from tests.integration.failures.row import RETURNED, TAKEN, UNKNOWN, Row
from tests.integration.failures.table import ROWS, SEAT_WORDS, Outcome
from tests.sandbox.host import PROJECT

__all__ = ["PATH", "Told", "read", "text", "told"]

PATH = PROJECT / "docs/errors.md"
_HEAD = """\
# Errors of register

The ways in which `dnf tuxcare register` can fail, what it says, and what to do. It is one line: `Error: `, what is wrong, what to
do. With `--json` these are apart, and the error has a [code](exit-status.md#codes-of-errors).

Each row is a test (`tests/integration/test_failures.py`) with real dnf and HTTPS on a host of the sandbox. While something is
wrong, the command says this one line, with no key or token in it or in a log; no file, package or trusted key changes; the seat
is as the table says, by the service's own count. Then it is mended and the same command registers the host; but not in rows with
a star, where the command itself is wrong. `make errors` runs them all and writes this page. `make test` runs those that end with
a sentence about the seat, and a third of the others, drawn by the commit; `make test SAMPLE=` runs all.

- **exit** is the exit status; 0 where a second attempt gets over it.
- **again**: whether it is tried again (`retries` in the [configuration](configuration.md), 3 by default). No for what may have
  been taken, or would end the same way; a dash where nobody is asked.
- **seat**: none was taken; or the line ends with a sentence about it, which is not repeated in the table:
  - *given back*: "{returned}"
  - *perhaps taken*, since the answer was lost or is none: "{unknown}" The host remembers in `/var/lib/tuxcare/seat.json` that it
    asked; nothing else changes.
  - *perhaps still taken*, since the service did not take it back: "{taken}"

HOST stands for a name with its port, FINGERPRINT for a fingerprint, PID for a process. An answer that goes on coming, byte by
byte, ends after 300 seconds and is told like one that does not come (`tests/unit/test_transport.py`).
""".format(returned=SEAT_WORDS[RETURNED], taken=SEAT_WORDS[TAKEN], unknown=SEAT_WORDS[UNKNOWN])
_COLUMNS = "| row | what is wrong | what is said | what to do | code | exit | again | seat |"
_FIGURE = "\n%d rows, %d not as they have to be.\n"


class Told(NamedTuple):
    """What the page says that a row said."""

    message: str
    remedy: str
    code: str


def told(outcome: Outcome) -> Told:
    """An outcome as it stands on the page: the words of the seat are a column."""
    remedy = outcome.remedy
    for ending in SEAT_WORDS.values():
        remedy = remedy.replace(ending, "").strip()
    return Told(*(_cell(part) for part in (outcome.message, remedy, outcome.code)))


def text(found: Dict[str, Told], failing: int) -> str:
    """The whole page."""
    parts = [_HEAD]
    for group in dict.fromkeys(row.group for row in ROWS):
        parts.append("\n## %s\n\n%s" % (group[0].upper() + group[1:], _table((row for row in ROWS if row.group == group), found)))
    return "".join(parts) + _FIGURE % (len(ROWS), failing)


def read(page: str) -> Dict[str, Told]:
    """What a page says of each row."""
    lines = re.findall(r"^\| `([^`]+)`(?:\\\*)? \|(.*)\|$", page, re.M)
    cells = {name: [cell.strip() for cell in re.split(r"(?<!\\)\|", rest)] for name, rest in lines}
    return {name: Told(row[1], row[2], row[3].strip("`")) for name, row in cells.items()}


def _table(rows: Iterable[Row], found: Dict[str, Told]) -> str:
    lines: List[str] = [_COLUMNS, re.sub("[^|]+", "---", _COLUMNS)]
    for row in rows:
        said = found.get(row.name, Told("not tried", "", ""))
        again = "–" if row.tries == 0 else "no" if row.tries == 1 else "yes"
        name = "`%s`%s" % (row.name, "" if row.mends else "\\*")
        code = "`%s`" % said.code if said.code else ""
        lines.append("| %s |" % " | ".join((
            name, _cell(row.words), said.message, said.remedy, code, str(row.status), again, row.seat)))
    return "\n".join(lines) + "\n"


def _cell(words: str) -> str:
    return words.replace("|", "\\|")
