# SPDX-License-Identifier: Apache-2.0
"""docs/bypasses.md: the rows as they are, and how each ended when they were run last."""

import re
from typing import Dict, Iterable, List, NamedTuple

from tests.integration.bypass.row import Row
from tests.integration.bypass.table import ATTEMPTS, CONTROLS
from tests.sandbox.host import PROJECT

__all__ = ["PATH", "Outcome", "outcomes", "text"]

PATH = PROJECT / "docs/bypasses.md"
_ENDS = {
    "refused": "refused in one line",
    "told": "its repository is disabled and told",
    "unseen": "nothing to be seen, nothing said",
    "held": "nothing comes in",
    "passes": "works",
}
_HEAD = """\
# Bypasses

Attempts to get a package from past 9.2 onto a registered ESU host that is held on 9.2, or to replace a package of the operating
system or of TuxCare by a stranger's. **{failing} of {attempts} do not end as they have to**{names};
{proved} of them get something in where the plugin is not at work. The {controls} rows of the last two sections are what has to
go on working; {hindered} of them are hindered.

Each row is a test (`tests/integration/test_bypass.py`), run with real dnf and rpm on hosts of the sandbox. `make bypasses` runs
them all, with the plugin and without it, and writes this page. `make test` runs a third of the attempts, drawn by the commit, and
all of the last two sections; `make test SAMPLE=` runs all. What counts is what rpm's database holds afterwards, by the digests of
the packages' headers, not what dnf says.

"Without" is what the same steps do where the plugin is not at work: a dash stands for attempts that fail there too, by the files
alone, by dnf or by the server; they are kept since that may change.

What no plugin can stop (`rpm -i`, `--noplugins` with a foreign repository) is in [security.md](security.md). dnf's plugins
`system-upgrade` and `offline-upgrade` are not in Debian's dnf-plugins-core; what they do, a stored transaction that is replayed
from the cache, is a row of the history.
"""


class Outcome(NamedTuple):
    """`held`: the row ended as it has to. `without`: something came in where the plugin is not at work. None: not tried."""

    held: "bool | None" = None
    without: "bool | None" = None


def text(found: Dict[str, Outcome]) -> str:
    """The whole page."""
    failing = [row.name for row in ATTEMPTS if found.get(row.name, Outcome()).held is False]
    names = " (%s)" % ", ".join("`%s`" % name for name in failing) if failing else ""
    head = _HEAD.format(
        failing=len(failing),
        attempts=len(ATTEMPTS),
        names=names,
        controls=len(CONTROLS),
        proved=sum(1 for row in ATTEMPTS if found.get(row.name, Outcome()).without),
        hindered=sum(1 for row in CONTROLS if found.get(row.name, Outcome()).held is False),
    )
    parts = [head]
    for group in dict.fromkeys(row.group for row in (*ATTEMPTS, *CONTROLS)):
        rows = [row for row in (*ATTEMPTS, *CONTROLS) if row.group == group]
        parts.append("\n## %s\n\n%s" % (group[0].upper() + group[1:], _table(rows, found)))
    return "".join(parts)


def outcomes(page: str) -> Dict[str, Outcome]:
    """What a page says of each row."""
    words = {"yes": True, "no": False, "in": True, "–": False}
    cells = re.findall(r"^\| `([^`]+)` \|.*\| ([^|]+) \| ([^|]+) \|$", page, re.M)
    return {name: Outcome(words.get(held), words.get(without)) for name, held, without in cells}


def _table(rows: Iterable[Row], found: Dict[str, Outcome]) -> str:
    lines: List[str] = ["| row | what is tried | how it has to end | so it did | without |", "|---|---|---|---|---|"]
    for row in rows:
        outcome = found.get(row.name, Outcome())
        held = {True: "yes", False: "no", None: "not tried"}[outcome.held]
        without = {True: "in", False: "–", None: "not tried"}[outcome.without]
        lines.append(
            "| `%s` | %s | %s | %s | %s |" % (row.name, row.words.replace("|", "\\|"), _ENDS[row.end.kind], held, without)
        )
    return "\n".join(lines) + "\n"
