# SPDX-License-Identifier: Apache-2.0
"""From runs to rows: paired ratios and differences, their medians and quartiles, and the budgets they are held against.

CPU time (user and system, the kernel's account) decides, since a busy machine does not change it much; wall-clock stands
beside it.
"""

import statistics
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from tests.bench import commands
from tests.bench.commands import Command
from tests.bench.site import AGAIN, BARE, CORE, CORE_TUXCARE, LOCKED, TUXCARE, VERSIONLOCK, BenchError

__all__ = ["ADDED", "FORBIDDEN", "INSIDE", "MEMORY", "MODULES", "RATIO", "SCALING", "STATUS", "Row", "Spread",
           "by_round", "hooks", "inside", "modules", "rows_of_rounds", "scaling"]

Run = Dict[str, Any]

RATIO, ADDED, INSIDE = "CPU time of bare dnf = 1", "added to repolist", "inside dnf's process, upgrade"
MEMORY, MODULES, SCALING, STATUS = "added resident memory", "imported modules", "our share of an upgrade", "audit"
FORBIDDEN = ("requests", "cryptography", "gnupg", "urllib3")
_BUDGETS = {RATIO: 1.02, ADDED: 4.0, MEMORY: 1.0, STATUS: 1.25}
_HOOKS_ALONE, _ALL_ALONE, _HOOKS_FOREIGN = 3.0, 4.0, 10.0
# Shares of two sizes that are this near are the same.
_FLAT = 1.05
_PLUGINS = {AGAIN: "nothing (the noise)", TUXCARE: "tuxcare", VERSIONLOCK: "versionlock, %d entries" % LOCKED,
            CORE: "dnf-plugins-core", CORE_TUXCARE: "dnf-plugins-core and tuxcare"}


class Spread(NamedTuple):
    """Median and quartiles."""

    low: float
    median: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        return cls(*statistics.quantiles(values, n=4, method="inclusive"))


class Row(NamedTuple):
    """One figure. `budget` is the most it may be; None where it is only shown. `wall` is the same by wall-clock."""

    group: str
    what: str
    plugins: str
    spread: Spread
    unit: str
    wall: Optional[float] = None
    budget: Optional[float] = None

    @property
    def is_missed(self) -> bool:
        """Compared as it is shown, not by digits that nobody sees."""
        return self.budget is not None and round(self.spread.median, self.digits) > round(self.budget, self.digits)

    @property
    def digits(self) -> int:
        return {"x": 3, "ms": 1, "MiB": 2, "%": 2}.get(self.unit, 0)


def by_round(runs: Sequence[Run], command: Command, variant: str, what: str) -> List[float]:
    """One figure a round, in the order of rounds. Raises BenchError for a run that did not end as it should."""
    chosen = sorted((run for run in runs if run["key"] == command.key(variant)), key=lambda run: run["round"])
    for run in chosen:
        if run["status"] != command.status:
            raise BenchError("%s ended with %d" % (run["key"], run["status"]))
    return [run[what] for run in chosen]


def rows_of_rounds(runs: Sequence[Run]) -> List[Row]:
    """Everything that is measured from outside."""
    ratios = [_ratio(runs, RATIO, (command, variant), (command, BARE))
              for command in (commands.UPGRADE, commands.REPOQUERY, commands.REPOQUERY_ALL, commands.FOREIGN)
              for variant in command.variants if variant != BARE]
    added = [_added(runs, variant) for variant in commands.REPOLIST.variants if variant != BARE]
    memory = [_memory(runs, command) for command in (commands.UPGRADE, commands.REPOQUERY, commands.REPOLIST)]
    return [*ratios, *added, *memory,
            _ratio(runs, STATUS, (commands.CHECK, TUXCARE), (commands.INSTALLED, TUXCARE))]


def _ratio(runs: Sequence[Run], group: str, ours: Tuple[Command, str], theirs: Tuple[Command, str]) -> Row:
    values = {what: [one / other for one, other in zip(by_round(runs, *ours, what), by_round(runs, *theirs, what))]
              for what in ("cpu", "wall")}
    command, variant = ours
    # The issue has a budget for the hooks beside a foreign repository, none for the ratio.
    budget = _BUDGETS[group] if variant == TUXCARE and command != commands.FOREIGN else None
    what = command.name if group == RATIO else "%s against %s" % (command.name, theirs[0].name)
    return Row(group, what, _PLUGINS[variant], Spread.of(values["cpu"]), "x", statistics.median(values["wall"]), budget)


def _added(runs: Sequence[Run], variant: str) -> Row:
    values = {what: _differences(runs, commands.REPOLIST, variant, what, 1000) for what in ("cpu", "wall")}
    return Row(ADDED, commands.REPOLIST.name, _PLUGINS[variant], Spread.of(values["cpu"]), "ms",
               statistics.median(values["wall"]), _BUDGETS[ADDED] if variant == TUXCARE else None)


def _memory(runs: Sequence[Run], command: Command) -> Row:
    values = _differences(runs, command, TUXCARE, "rss", 1 / 1024)
    return Row(MEMORY, command.name, _PLUGINS[TUXCARE], Spread.of(values), "MiB", None, _BUDGETS[MEMORY])


def _differences(runs: Sequence[Run], command: Command, variant: str, what: str, scale: float) -> List[float]:
    pairs = zip(by_round(runs, command, variant, what), by_round(runs, command, BARE, what))
    return [scale * (one - other) for one, other in pairs]


# --- inside -------------------------------------------------------------------------------------------------------


def hooks(told: Sequence[Run], clock: str = "cpu") -> Dict[str, float]:
    """Median milliseconds of the import, and of each hook that ran."""
    return {name: statistics.median(one[clock][name] for one in told) for name in told[0][clock]}


def inside(alone: Sequence[Run], foreign: Sequence[Run], primed: Sequence[Run]) -> List[Row]:
    """Processes with the vetted repositories alone, and beside a foreign one; `primed` ones had made a query before."""
    return [_inside(alone, "import and hooks", "", _ALL_ALONE),
            _inside(alone, "hooks", "import", _HOOKS_ALONE),
            _inside(primed, "hooks beside a foreign repository", "import", _HOOKS_FOREIGN),
            _inside(foreign, "the same, with the first query's indexes", "import", None)]


def _inside(told: Sequence[Run], what: str, left_out: str, budget: Optional[float]) -> Row:
    sums = {clock: [_ours(one, clock, left_out) for one in told] for clock in ("cpu", "wall")}
    return Row(INSIDE, what, _PLUGINS[TUXCARE], Spread.of(sums["cpu"]), "ms", statistics.median(sums["wall"]), budget)


def _ours(one: Run, clock: str, left_out: str = "") -> float:
    return sum(value for name, value in one[clock].items() if name != left_out)


def scaling(told: Dict[int, Sequence[Run]]) -> List[Row]:
    """By the size of the vetted repositories; each share may be at most that of the size before."""
    rows: List[Row] = []
    for size in sorted(told):
        shares = Spread.of([100 * _ours(one, "cpu") / one["total"] for one in told[size]])
        ours = statistics.median(_ours(one, "cpu") for one in told[size])
        budget = rows[-1].spread.median * _FLAT if rows else None
        what = "%s packages (%.1f ms)" % (format(size, ","), ours)
        rows.append(Row(SCALING, what, _PLUGINS[TUXCARE], shares, "%", None, budget))
    return rows


def modules(bare: Run, ours: Run) -> Tuple[List[str], Row]:
    """What the plugin imports beyond bare dnf, and how many of it may not be."""
    added = sorted(set(ours["modules"]) - set(bare["modules"]))
    bad = [name for name in added if name.partition(".")[0] in FORBIDDEN]
    row = Row(MODULES, "of " + ", ".join(FORBIDDEN), _PLUGINS[TUXCARE], Spread(*[float(len(bad))] * 3), "", None, 0.0)
    return added, row
