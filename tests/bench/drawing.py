# SPDX-License-Identifier: Apache-2.0
"""What the pictures in docs/ have in common: a card that can be read on light and dark pages, texts, axes with round steps."""

import math
from typing import List, NamedTuple, Sequence
from xml.sax.saxutils import escape

__all__ = ["WIDTH", "Axis", "card", "rounded", "text"]

WIDTH = 860
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


class Axis(NamedTuple):
    """Values from `low` to `high` on points from `start` to `end`, which is less than `start` on an axis that goes up."""

    low: float
    high: float
    step: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The point of a value; one that is outside lies on the edge."""
        inside = min(max(value, self.low), self.high)
        return self.start + (self.end - self.start) * (inside - self.low) / (self.high - self.low)

    def ticks(self) -> List[float]:
        return [self.low + self.step * number for number in range(round((self.high - self.low) / self.step) + 1)]

    def label(self, value: float) -> str:
        return "%.*f" % (max(0, -math.floor(math.log10(self.step) + 1e-9)), value)


def rounded(low: float, high: float, start: float, end: float) -> Axis:
    """An axis that has both values on it, with at most some eight round steps."""
    span = max(high - low, 1e-6)
    step = 10.0 ** math.floor(math.log10(span))
    step *= next(factor for factor in (0.1, 0.2, 0.5, 1, 2) if span / (step * factor) <= 8)
    return Axis(math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step, step, start, end)


def text(x: float, y: float, words: str, kind: str, anchor: str = "start") -> str:
    return '<text class="%s" x="%.1f" y="%.1f" text-anchor="%s">%s</text>' % (kind, x, y, anchor, escape(words))


def card(title: str, subtitle: str, body: Sequence[str], height: float) -> str:
    """The whole picture; the body begins below a point of 62."""
    head = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img">' % (
                WIDTH, height, WIDTH, height),
            "<title>%s</title><style>%s</style>" % (escape(title), _STYLE),
            '<rect class="card" x=".5" y=".5" width="%d" height="%d" rx="8"/>' % (WIDTH - 1, height - 1),
            text(20, 32, title, "title"), text(20, 53, subtitle, "dim")]
    return "\n".join([*head, *body, "</svg>", ""])
