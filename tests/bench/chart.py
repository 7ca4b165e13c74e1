# SPDX-License-Identifier: Apache-2.0
"""docs/bench.svg: medians as dots, quartiles as bars, budgets as lines; one panel for each unit."""

import math
from typing import List, NamedTuple, Sequence, Tuple
from xml.sax.saxutils import escape

from tests.bench.figures import ADDED, INSIDE, RATIO, SCALING, STATUS, Row

__all__ = ["PANELS", "drawn"]

_WIDTH, _LEFT, _RIGHT, _STEP, _TOP = 860, 320, 700, 24, 62
_STYLE = """\
text { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }
.title { font-size: 18px; font-weight: 600 } .head { font-weight: 600 } .dim, .tick { fill: #59636e } .tick { font-size: 11px }
.card { fill: #ffffff; stroke: #d1d9e0 } .grid { stroke: #d1d9e0 }
.budget { stroke: #bc4c00; stroke-width: 2; stroke-dasharray: 5 3 }
.limit { fill: #bc4c00; font-size: 11px } .ours { fill: #0969da; stroke: #0969da } .other { fill: #818b98; stroke: #818b98 }
.missed { fill: #d1242f; stroke: #d1242f } .bar { stroke-width: 5; stroke-linecap: round; opacity: .45 }
.value { font-size: 12px }
@media (prefers-color-scheme: dark) {
text { fill: #f0f6fc } .dim, .tick { fill: #9198a1 } .card { fill: #0d1117; stroke: #3d444d } .grid { stroke: #3d444d }
.budget { stroke: #f0883e } .limit { fill: #f0883e } .ours { fill: #4493f8; stroke: #4493f8 }
.other { fill: #9198a1; stroke: #9198a1 } .missed { fill: #f85149; stroke: #f85149 } }
"""
PANELS = {
    RATIO: "CPU time, bare dnf = 1", ADDED: "repolist: added CPU time, ms", INSIDE: "upgrade: inside dnf's process, ms",
    SCALING: "our share of an upgrade by packages in the repositories, %", STATUS: "audit: CPU time, repoquery --installed = 1",
}
_AXES_FROM = {RATIO: 0.98, STATUS: 0.9}


class _Axis(NamedTuple):
    low: float
    high: float
    step: float

    def x(self, value: float) -> float:
        inside = min(max(value, self.low), self.high)
        return _LEFT + (_RIGHT - _LEFT) * (inside - self.low) / (self.high - self.low)

    def ticks(self) -> List[float]:
        return [self.low + self.step * number for number in range(round((self.high - self.low) / self.step) + 1)]


def drawn(rows: Sequence[Row], subtitle: str) -> str:
    """The whole picture."""
    body: List[str] = []
    y = float(_TOP)
    for group in PANELS:
        panel, y = _panel([row for row in rows if row.group == group], group, y + 18)
        body += panel
    head = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">' % (
                _WIDTH, y + 8, _WIDTH, y + 8),
            "<title>What the plugin costs other dnf commands</title><style>%s</style>" % _STYLE,
            '<rect class="card" x=".5" y=".5" width="%d" height="%d" rx="8"/>' % (_WIDTH - 1, y + 7),
            _text(20, 32, "What the plugin costs other dnf commands", "title"), _text(20, 53, subtitle, "dim")]
    return "\n".join([*head, *body, "</svg>", ""])


def _panel(rows: Sequence[Row], group: str, y: float) -> Tuple[List[str], float]:
    """A heading, an axis, a line for each row; and where it ends."""
    axis = _axis(rows, _AXES_FROM.get(group, 0.0))
    bottom = y + 14 + _STEP * _slots(rows)
    parts = [_text(20, y, PANELS[group], "head"), *_grid(axis, y + 8, bottom)]
    parts += _budgets(rows, axis, y + 8, bottom)
    line = y + 14
    what = ""
    for row in rows:
        if _is_grouped(rows) and row.what != what:
            what = row.what
            parts.append(_text(20, line + 17, what, "dim"))
            line += _STEP
        parts += _row(row, axis, line + _STEP / 2, row.plugins if _is_grouped(rows) or group == ADDED else row.what)
        line += _STEP
    return parts, bottom + 26


def _is_grouped(rows: Sequence[Row]) -> bool:
    """Several commands with several sets of plugins: the command is a line of its own."""
    return rows[0].group == RATIO


def _slots(rows: Sequence[Row]) -> int:
    return len(rows) + (len({row.what for row in rows}) if _is_grouped(rows) else 0)


def _axis(rows: Sequence[Row], low: float) -> _Axis:
    top = max(max(row.spread.high, 1.04 * (row.budget or 0.0)) for row in rows)
    bottom = min([low, *(row.spread.low for row in rows)])
    span = max(top - bottom, 1e-6)
    step = 10.0 ** math.floor(math.log10(span))
    step *= next(factor for factor in (0.1, 0.2, 0.5, 1, 2) if span / (step * factor) <= 8)
    return _Axis(math.floor(bottom / step + 1e-9) * step, math.ceil(top / step - 1e-9) * step, step)


def _grid(axis: _Axis, top: float, bottom: float) -> List[str]:
    digits = max(0, -math.floor(math.log10(axis.step) + 1e-9))
    parts = []
    for value in axis.ticks():
        parts.append('<line class="grid" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>' % (axis.x(value), axis.x(value), top, bottom))
        parts.append(_text(axis.x(value), bottom + 13, "%.*f" % (digits, value), "tick", "middle"))
    return parts


def _budgets(rows: Sequence[Row], axis: _Axis, top: float, bottom: float) -> List[str]:
    """One line through the panel where all rows have the same budget, else a short one in each row."""
    limits = {row.budget for row in rows if row.budget is not None}
    if rows[0].group == SCALING:
        return []
    if len(limits) == 1:
        value = limits.pop()
        assert value is not None
        return [_limit(axis.x(value), top - 4, bottom), _text(axis.x(value), top - 8, "budget %g" % value, "limit", "middle")]
    own = [(top + 6 + _STEP * number, row.budget) for number, row in enumerate(rows) if row.budget is not None]
    return [part for y, value in own for part in (
        _limit(axis.x(value), y + 2, y + _STEP - 2), _text(axis.x(value) + 5, y + 16, "%g" % value, "limit"))]


def _limit(x: float, top: float, bottom: float) -> str:
    return '<line class="budget" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>' % (x, x, top, bottom)


def _row(row: Row, axis: _Axis, y: float, label: str) -> List[str]:
    kind = "missed" if row.is_missed else "ours" if row.plugins == "tuxcare" else "other"
    low, middle, high = (axis.x(value) for value in row.spread)
    value = "%.*f" % (row.digits, row.spread.median)
    if row.budget is not None:
        value += "  missed" if row.is_missed else "  met"
    return [_text(_LEFT - 14, y + 4, label, "", "end"),
            '<line class="bar %s" x1="%.1f" x2="%.1f" y1="%.1f" y2="%.1f"/>' % (kind, low, high, y, y),
            '<circle class="%s" cx="%.1f" cy="%.1f" r="4.5"/>' % (kind, middle, y),
            _text(_RIGHT + 24, y + 4, value, "value")]


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    return '<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>' % (kind, x, y, anchor, escape(text))
