# SPDX-License-Identifier: Apache-2.0
"""docs/bench.svg: medians as dots, quartiles as bars, budgets as lines; one panel for each unit."""

from typing import List, Sequence, Tuple

from tests.bench.drawing import Axis, card, rounded, text
from tests.bench.figures import ADDED, INSIDE, RATIO, SCALING, STATUS, Row

__all__ = ["PANELS", "drawn"]

_LEFT, _RIGHT, _STEP, _TOP = 320, 700, 24, 62
PANELS = {
    RATIO: "CPU time, bare dnf = 1", ADDED: "repolist: added CPU time, ms", INSIDE: "upgrade: inside dnf's process, ms",
    SCALING: "our share of an upgrade by packages in the repositories, %", STATUS: "audit: CPU time, repoquery --installed = 1",
}
_AXES_FROM = {RATIO: 0.98, STATUS: 0.9}


def drawn(rows: Sequence[Row], subtitle: str) -> str:
    """The whole picture."""
    body: List[str] = []
    y = float(_TOP)
    for group in PANELS:
        panel, y = _panel([row for row in rows if row.group == group], group, y + 18)
        body += panel
    return card("What the plugin costs other dnf commands", subtitle, body, y + 8)


def _panel(rows: Sequence[Row], group: str, y: float) -> Tuple[List[str], float]:
    """A heading, an axis, a line for each row; and where it ends."""
    axis = _axis(rows, _AXES_FROM.get(group, 0.0))
    bottom = y + 14 + _STEP * _slots(rows)
    parts = [text(20, y, PANELS[group], "head"), *_grid(axis, y + 8, bottom)]
    parts += _budgets(rows, axis, y + 8, bottom)
    line = y + 14
    what = ""
    for row in rows:
        if _is_grouped(rows) and row.what != what:
            what = row.what
            parts.append(text(20, line + 17, what, "dim"))
            line += _STEP
        parts += _row(row, axis, line + _STEP / 2, row.plugins if _is_grouped(rows) or group == ADDED else row.what)
        line += _STEP
    return parts, bottom + 26


def _is_grouped(rows: Sequence[Row]) -> bool:
    """Several commands with several sets of plugins: the command is a line of its own."""
    return rows[0].group == RATIO


def _slots(rows: Sequence[Row]) -> int:
    return len(rows) + (len({row.what for row in rows}) if _is_grouped(rows) else 0)


def _axis(rows: Sequence[Row], low: float) -> Axis:
    top = max(max(row.spread.high, 1.04 * (row.budget or 0.0)) for row in rows)
    return rounded(min([low, *(row.spread.low for row in rows)]), top, _LEFT, _RIGHT)


def _grid(axis: Axis, top: float, bottom: float) -> List[str]:
    parts = []
    for value in axis.ticks():
        x = axis.at(value)
        parts.append('<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>' % (x, x, top, bottom))
        parts.append(text(x, bottom + 13, axis.label(value), "tick", "middle"))
    return parts


def _budgets(rows: Sequence[Row], axis: Axis, top: float, bottom: float) -> List[str]:
    """One line through the panel where all rows have the same budget, else a short one in each row."""
    limits = {row.budget for row in rows if row.budget is not None}
    if rows[0].group == SCALING:
        return []
    if len(limits) == 1:
        value = limits.pop()
        assert value is not None
        return [_limit(axis.at(value), top - 4, bottom), text(axis.at(value), top - 8, "budget %g" % value, "limit", "middle")]
    own = [(top + 6 + _STEP * number, row.budget) for number, row in enumerate(rows) if row.budget is not None]
    return [part for y, value in own for part in (
        _limit(axis.at(value), y + 2, y + _STEP - 2), text(axis.at(value) + 5, y + 16, "%g" % value, "limit"))]


def _limit(x: float, top: float, bottom: float) -> str:
    return '<line class="budget" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>' % (x, x, top, bottom)


def _row(row: Row, axis: Axis, y: float, label: str) -> List[str]:
    kind = "missed" if row.is_missed else "ours" if row.plugins == "tuxcare" else "other"
    low, middle, high = (axis.at(value) for value in row.spread)
    value = "%.*f" % (row.digits, row.spread.median)
    if row.budget is not None:
        value += "  missed" if row.is_missed else "  met"
    return [text(_LEFT - 14, y + 4, label, "", "end"),
            '<line class="bar %s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>' % (kind, low, high, y, y),
            '<circle class="%s" cx="%.1f" cy="%.1f" r="4.5"/>' % (kind, middle, y),
            text(_RIGHT + 24, y + 4, value, "value")]
