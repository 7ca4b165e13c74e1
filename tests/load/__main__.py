# SPDX-License-Identifier: Apache-2.0
"""`make load`: lets a fleet register, prints the figures, writes docs/load.md and docs/load.svg.

Ends with 1 where not every host is registered with one seat, or the service was asked too often in one second.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Optional, Sequence

from tests.bench import machine
from tests.load import chart, table
from tests.load.figures import Figures, Run
from tests.load.site import Course, Pace, course
from tests.sandbox.host import PROJECT
from tests.sandbox.universe import Universe

# The last one shows what the other two are spared; it is not held to anything.
_ANSWERS = (("", True), ("1", True), ("1", False))


def main(words: Optional[Sequence[str]] = None) -> int:
    options = _parser().parse_args(words)
    pace = Pace(options.second, options.processes, options.seed)
    universe = Universe.build()
    panels = []
    with tempfile.TemporaryDirectory(prefix="tuxcare-load-") as directory:
        for number, (retry_after, chance) in enumerate(_ANSWERS):
            run = Run(options.hosts, options.limit, retry_after, chance)
            found = course(universe, run, pace, Path(directory) / str(number))
            panels.append((Figures.of(run, found.asked, found.seats, found.errors), found.asked))
            _tell(panels[-1][0], found)
    return _present(panels, pace, options.output)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.load", description="A fleet registers at once.")
    parser.add_argument("--hosts", type=int, default=1000, help="how many register at once (%(default)s)")
    parser.add_argument("--limit", type=int, default=200, help="registrations that are let through in a second (%(default)s)")
    parser.add_argument("--second", type=float, default=10, metavar="SECONDS",
                        help="how long each second lasts, so that the machine is not what limits (%(default)s)")
    parser.add_argument("--processes", type=int, default=4, help="that the hosts are spread over (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="decides the pauses of each host (%(default)s)")
    parser.add_argument("--output", type=Path, default=PROJECT / "docs", help="folder of load.md and load.svg (docs)")
    return parser


def _tell(figures: Figures, found: Course) -> None:
    """Progress, and what went wrong, on standard error."""
    sys.stderr.write("load: %s: %s\n" % (figures.run.title, "; ".join(figures.wrong) or "well"))
    if figures.burst > 1.0:
        sys.stderr.write("load:   all had asked after %.1f s only: take a longer --second\n" % figures.burst)
    if figures.run.chance:
        for error in sorted(set(found.errors.values()) - {""}):
            sys.stderr.write("load:   %s\n" % error)


def _present(panels: Sequence[chart.Panel], pace: Pace, output: Path) -> int:
    rows = [figures for figures, _ in panels]
    print("\n".join(table.lines(rows)))
    run = rows[0].run
    subtitle = "%s hosts, %d registrations let through in a second" % (format(run.hosts, ","), run.limit)
    (output / "load.md").write_text(table.document(rows, pace, machine.here()), encoding="utf-8")
    (output / "load.svg").write_text(chart.drawn(panels, subtitle), encoding="utf-8")
    return 1 if any(row.wrong for row in rows if row.run.chance) else 0


if __name__ == "__main__":
    sys.exit(main())
