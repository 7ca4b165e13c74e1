# SPDX-License-Identifier: Apache-2.0
"""The table, for a terminal and for docs/bench.md."""

from typing import Dict, List, NamedTuple, Sequence, Tuple

from tests.bench import commands
from tests.bench.figures import FORBIDDEN, Row

__all__ = ["Results", "document", "lines"]

_HEAD = ("what", "plugins", "median", "quartiles", "wall-clock", "budget", "verdict")


class Results(NamedTuple):
    """All that one bench found."""

    rows: List[Row]
    # Hook → milliseconds, alone and beside a foreign repository.
    hooks: Dict[str, Tuple[float, float]]
    modules: List[str]
    machine: List[Tuple[str, str]]
    # What was chosen: rounds, processes, sizes.
    settings: Dict[str, int]


def lines(rows: Sequence[Row]) -> List[str]:
    """For a terminal: columns, and a heading for each group."""
    cells = [_cells(row) for row in rows]
    widths = [max(len(line[number]) for line in [_HEAD, *cells]) for number in range(len(_HEAD))]
    shown = [_aligned(_HEAD, widths)]
    group = ""
    for row, line in zip(rows, cells):
        if row.group != group:
            group = row.group
            shown += ["", group]
        shown.append(_aligned(line, widths))
    return shown


def document(results: Results) -> str:
    """docs/bench.md."""
    return _DOCUMENT.format(
        tables="\n".join(_tables(results.rows)), hooks=_hooks(results.hooks), forbidden=", ".join(FORBIDDEN),
        modules="\n".join("- `%s`" % name for name in results.modules), missed=_verdict(results.rows),
        machine="\n".join("| %s | %s |" % pair for pair in results.machine),
        commands="\n".join("| %s | `%s` |" % (command.name, command.typed) for command in commands.ALL), **results.settings)


def _cells(row: Row) -> Tuple[str, ...]:
    """Text of each column."""
    wall = "" if row.wall is None else _number(row, row.wall)
    budget = "" if row.budget is None else _number(row, row.budget)
    verdict = "" if row.budget is None else "MISSED" if row.is_missed else "met"
    quartiles = "" if not row.unit else "%.*f to %.*f" % (row.digits, row.spread.low, row.digits, row.spread.high)
    return (row.what, row.plugins, _number(row, row.spread.median), quartiles, wall, budget, verdict)


def _number(row: Row, value: float) -> str:
    return ("%.*f %s" % (row.digits, value, "" if row.unit == "x" else row.unit)).strip()


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths)).rstrip()


def _tables(rows: Sequence[Row]) -> List[str]:
    shown: List[str] = []
    group = ""
    for row in rows:
        if row.group != group:
            group = row.group
            shown += ["", "### " + group[0].upper() + group[1:], "", _row(_HEAD), _row(["---"] * len(_HEAD))]
        shown.append(_row([cell.replace("MISSED", "**missed**") for cell in _cells(row)]))
    return shown


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _hooks(found: Dict[str, Tuple[float, float]]) -> str:
    return "\n".join(_row(["`%s`" % name, "%.2f" % alone, "%.2f" % foreign]) for name, (alone, foreign) in found.items())


def _verdict(rows: Sequence[Row]) -> str:
    missed = [row for row in rows if row.is_missed]
    held = sum(row.budget is not None for row in rows)
    if not missed:
        return "All %d budgets are met." % held
    names = "; ".join("%s (%s)" % (row.what, row.group) for row in missed)
    return "%d of %d budgets are missed: %s." % (len(missed), held, names)


_DOCUMENT = """\
# What the plugin costs

Written by `make bench`, which measures it anew and ends with 1 where a budget is missed. It is not part of `make test`.

{missed}

![Ratios, milliseconds and shares with their budgets](bench.svg)
{tables}

### Where the time goes

Milliseconds of CPU time in `dnf -C --assumeno upgrade`, medians.

| part | vetted repositories alone | beside a foreign repository |
| --- | --- | --- |
{hooks}

Imported beyond what bare dnf imports ({forbidden} may not be among them):

{modules}

## How it is measured

A host held on AlmaLinux 9.2, registered, as `/` in its own namespaces, with the product installed from its package and its
bytecode compiled. {installed} packages are installed. The vetted trees hold {packages:,} packages, beside the few of the sandbox;
they are served over HTTPS at their real addresses, so they are trusted by the same rules as the vendor's. The foreign repository
holds {foreign:,}: a few of them past the pin, a few of an operating system's vendor, a few with names of installed packages.

- Each of {rounds} rounds runs every command with every set of plugins once, in an order of its own, on one processor. A round
  before them fills the caches and is thrown away. Ratios and differences are taken within a round; the table has their medians.
- Budgets are held against CPU time, user and system, as the kernel accounts it for the process. Wall-clock is shown beside it.
- "nothing" is bare dnf once more: how far its row is from 1, or from 0, is what this machine's noise makes of no difference.
- Every set of plugins is chosen by the same two options, `pluginpath` and `pluginconfpath`; bare dnf has an empty folder. Before
  measuring it is made sure that all of them plan the same transaction and say nothing of their own.
- "dnf-plugins-core" is its full set with its own configuration; `local`, a package of its own on EL, is left out. The
  {locked} entries of versionlock are packages that the host does not have.
- "inside" is a clock around the import (of the plugin and its guard) and each hook, in {processes} fresh processes of
  each kind. Caches of ours are warm.
- The first query of a sack makes libdnf's indexes, and the clock of a hook that asks first has them in it, though dnf itself
  would make them a moment later. So the budget is held by hooks that find the indexes made; the row "with the first query's
  indexes" is what a clock around a hook that asks first says, and the ratio of the whole command is above.
- A share is the import and the hooks over the whole process, the interpreter's start included. It may not grow with the size
  of the repositories (by more than a twentieth, which is noise).
- `status --check` is compared with `repoquery --installed`, both with the plugin.

| command | typed |
| --- | --- |
{commands}

| measured on | |
| --- | --- |
{machine}
"""
