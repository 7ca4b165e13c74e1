# SPDX-License-Identifier: Apache-2.0
"""All rows, how one is run, and what of it went wrong."""

import re
from typing import Callable, Dict, List, NamedTuple, Tuple

from tests.integration.bypass.judge import intruders, lost
from tests.integration.bypass.row import End, Row
from tests.integration.bypass.rows import addresses, commands, controls, options, packages, programs, repositories
from tests.integration.bypass.site import Ground, Site

__all__ = ["ATTEMPTS", "CONTROLS", "ROWS", "faults", "gets_in"]

ROWS: Tuple[Row, ...] = (
    *addresses.ROWS,
    *options.ROWS,
    *repositories.ROWS,
    *packages.ROWS,
    *commands.ROWS,
    *programs.ROWS,
    *controls.ROWS,
)
CONTROLS = tuple(row for row in ROWS if row.end.kind == "passes")
ATTEMPTS = tuple(row for row in ROWS if row.end.kind != "passes")

# A refusal tells what to do: one of these words begins it.
_REMEDY = re.compile(r"Leave it out|Run[: ]|Disable |unset |Correct |Install |Remove ")


def faults(ground: Ground, row: Row) -> List[str]:
    """Runs a row on a registered host; what is not as it has to be, in words, and nothing where all is well."""
    with ground.site(row.slash) as site:
        said = _run(site, row)
        after = site.after()
        found = ["came in: " + nevra for nevra in intruders(site.before, after, ground.vetted, (*row.may, *row.comes))]
        found += ["gone or replaced: " + name for name in lost(site.before, after, row.goes)]
        found += ["did not come: " + name for name in row.comes if name not in {package.name for package in after}]
        return found + _said_wrongly(row.end, said)


def gets_in(ground: Ground, row: Row) -> List[str]:
    """What the steps of a row bring in where nothing of ours is at work."""
    with ground.site(row.slash, bare=True) as site:
        _run(site, row)
        after = site.after()
        return intruders(site.before, after, ground.vetted, row.may) + lost(site.before, after, ())


class _Said(NamedTuple):
    """The last command of a row: exit status and what it said. `failed`: any of the row's commands did; so `traceback`."""

    status: int = 0
    stdout: str = ""
    stderr: str = ""
    failed: bool = False
    traceback: bool = False

    @property
    def ours(self) -> List[str]:
        return [line for line in self.stderr.splitlines() if re.match(r"(Error: )?tuxcare: ", line)]


def _run(site: Site, row: Row) -> _Said:
    last = _Said()
    for step in row.steps:
        done = step(site)
        if done is not None:
            last = _Said(
                done.returncode,
                done.stdout,
                done.stderr,
                last.failed or done.returncode != 0,
                last.traceback or "Traceback" in done.stdout + done.stderr,
            )
    return last


def _said_wrongly(end: End, said: _Said) -> List[str]:
    checks: Dict[str, Callable[[End, _Said], str]] = {
        "refused": _not_refused,
        "told": _not_told,
        "unseen": _not_unseen,
        "passes": _not_passed,
    }
    wrong = checks[end.kind](end, said) if end.kind in checks else ""
    found = [wrong] if wrong else []
    found += ["a traceback"] if said.traceback else []
    return found + ["exit status %d, and said: %s%s" % (said.status, said.stdout, said.stderr)] if found else []


def _not_refused(end: End, said: _Said) -> str:
    errors = [line for line in said.ours if line.startswith("Error: ")]
    if said.status != 1 or len(errors) != 1:
        return "not refused in one line with exit status 1"
    if not _REMEDY.search(errors[0]):
        return "no remedy in the refusal"
    missing = [word for word in end.words if word not in errors[0]]
    return "the refusal does not say %s" % ", ".join(missing) if missing else ""


def _not_told(end: End, said: _Said) -> str:
    if len(said.ours) != 1 or said.ours[0].startswith("Error: "):
        return "not told in one warning"
    missing = [word for word in end.words if not re.search(r"(?<![\w-])%s(?![\w-])" % re.escape(word), said.ours[0])]
    return "the warning does not name %s" % ", ".join(missing) if missing else ""


def _not_unseen(end: End, said: _Said) -> str:
    return "said something though nothing is due" if said.ours else ""


def _not_passed(end: End, said: _Said) -> str:
    return "hindered" if said.failed or said.ours else ""
