# SPDX-License-Identifier: Apache-2.0
"""docs/load.svg: registrations at the service in each second, let through and put off; one panel for each run."""

from typing import List, Sequence, Tuple

from tests.bench.drawing import WIDTH, Axis, card, rounded, text
from tests.load.figures import MOST, Asked, Figures, Run, by_second

__all__ = ["drawn"]

_LEFT, _RIGHT, _TOP, _HEIGHT, _GAP = 70, WIDTH - 40, 62, 150, 62
Panel = Tuple[Figures, Sequence[Asked]]


def drawn(panels: Sequence[Panel], subtitle: str) -> str:
    """The whole picture. All panels have the same seconds and the same heights, so that they can be compared."""
    seconds = [by_second(asked) for _, asked in panels]
    across = rounded(0, max(len(one) for one in seconds), _LEFT, _RIGHT)
    most = max(through + off for one in seconds for through, off in one)
    body: List[str] = []
    top = float(_TOP + 34)
    for (figures, _), one in zip(panels, seconds):
        body += _panel(figures, one, across, rounded(0, most, top + _HEIGHT, top))
        top += _HEIGHT + _GAP
    return card("A fleet registers at once: requests at the service, second by second", subtitle, [*_legend(), *body], top - 30)


def _legend() -> List[str]:
    """In the line of the first heading, at the right."""
    parts: List[str] = []
    for x, kind, words in ((_RIGHT - 168, "ours", "let through"), (_RIGHT - 76, "other", "put off: 429")):
        parts += [_bar(kind, x, _TOP + 10, 10, 10), text(x + 15, _TOP + 19, words, "tick")]
    return parts


def _panel(figures: Figures, seconds: Sequence[Tuple[int, int]], across: Axis, up: Axis) -> List[str]:
    parts = [text(20, up.end - 14, figures.run.title, "head")]
    for value in up.ticks():
        parts += [_line("grid", up.at(value)), text(_LEFT - 8, up.at(value) + 4, up.label(value), "tick", "end")]
    for value in across.ticks():
        parts.append(text(across.at(value), up.start + 15, across.label(value) + (" s" if value else ""), "tick", "middle"))
    width = across.at(1) - across.at(0) - 1.5
    for number, (through, off) in enumerate(seconds):
        for kind, low, high in (("ours", 0, through), ("other", through, through + off)):
            if high > low:
                parts.append(_bar(kind, across.at(number), up.at(high), width, up.at(low) - up.at(high)))
    return parts + _limits(figures.run, up)


def _limits(run: Run, up: Axis) -> List[str]:
    parts: List[str] = []
    for times, words in ((1.0, "the limit"), (MOST, "%g times the limit" % MOST)):
        y = up.at(times * run.limit)
        parts += [_line("budget", y), text(_RIGHT, y - 5, "%s: %g" % (words, times * run.limit), "limit", "end")]
    return parts


def _line(kind: str, y: float) -> str:
    return '<line class="%s" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>' % (kind, _LEFT, _RIGHT, y, y)


def _bar(kind: str, x: float, y: float, width: float, height: float) -> str:
    return '<rect class="%s" stroke-width="0" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>' % (kind, x, y, width, height)
