# SPDX-License-Identifier: Apache-2.0
"""`make bench`: measures, prints the table, writes docs/bench.md and docs/bench.svg, and ends with 1 where a budget is missed.

Exit status 2 where nothing can be measured.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

from tests.bench import chart, commands, figures, machine, table
from tests.bench.site import BARE, LOCKED, TUXCARE, BenchError, Site
from tests.sandbox.host import PROJECT, slash_available

_QUICK = {"rounds": 2, "processes": 2, "packages": 3000, "foreign": 400, "sizes": [3000, 4000], "output": None}


def main(words: Optional[Sequence[str]] = None) -> int:
    options = _parser().parse_args(words)
    if options.quick:
        vars(options).update({**_QUICK, "output": options.output if options.output != PROJECT / "docs" else None})
    reason = slash_available()
    if reason:
        sys.stderr.write("bench: %s\n" % reason)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="tuxcare-bench-") as directory:
            results = _Bench(options).measure(Path(directory))
    except BenchError as error:
        sys.stderr.write("bench: %s\n" % error)
        return 2
    return _present(results, options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.bench", description="What the plugin costs other dnf commands.")
    parser.add_argument("--rounds", type=int, default=35, help="how often each command runs (%(default)s)")
    parser.add_argument("--processes", type=int, default=15, help="how many processes are looked at from inside (%(default)s)")
    parser.add_argument("--packages", type=int, default=25000, help="in the vetted repositories (%(default)s)")
    parser.add_argument("--foreign", type=int, default=12000, help="packages in the foreign repository (%(default)s)")
    parser.add_argument("--sizes", type=_sizes, default=[3000, 30000, 300000], metavar="N,N,…",
                        help="packages in the vetted repositories for the share (3000,30000,300000); 3,000 at least")
    parser.add_argument("--output", type=Path, default=PROJECT / "docs", help="folder of bench.md and bench.svg (docs)")
    parser.add_argument("--quick", action="store_true",
                        help="few rounds, small sizes: shows that it runs. Writes nothing without --output, ends with 0")
    return parser


def _sizes(text: str) -> List[int]:
    return [int(word) for word in text.split(",")]


class _Bench:
    """Measures on one host after another size of its repositories; progress goes to standard error."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._began = time.monotonic()

    def measure(self, directory: Path) -> table.Results:
        options = self._options
        self._say("a registered host with its packages and repositories")
        with Site(directory) as site:
            site.serve(options.packages, options.foreign)
            rounds = figures.rows_of_rounds(self._rounds(site))
            self._say("inside %d processes each" % options.processes)
            bare = site.inside(BARE, *commands.UPGRADE.args)
            alone, foreign = (self._inside(site, command) for command in (commands.UPGRADE, commands.FOREIGN))
            primed = self._inside(site, commands.FOREIGN, "primed")
            modules, found = figures.modules(bare, alone[0])
            shares = figures.scaling({size: self._size(site, size) for size in options.sizes})
            return table.Results(
                [*rounds, *figures.inside(alone, foreign, primed), found, *shares], _beside(alone, foreign), modules,
                machine.described(site), self._settings(site))

    def _rounds(self, site: Site) -> List[Dict[str, Any]]:
        told = [-1]

        def tell(number: int) -> None:
            if number != told[0]:
                told[0] = number
                self._say("round %d of %d" % (number, self._options.rounds) if number else "a round to fill the caches")
        return site.rounds(commands.argument_vectors(site), self._options.rounds, tell)

    def _inside(self, site: Site, command: commands.Command, mode: str = "plain") -> List[Dict[str, Any]]:
        """The first process fills our caches and is left out."""
        return [site.inside(TUXCARE, *command.args, mode=mode) for _ in range(self._options.processes + 1)][1:]

    def _size(self, site: Site, size: int) -> List[Dict[str, Any]]:
        self._say("%s packages" % format(size, ","))
        site.serve(size)
        return self._inside(site, commands.UPGRADE)

    def _settings(self, site: Site) -> Dict[str, int]:
        options = self._options
        return {"rounds": options.rounds, "processes": options.processes, "packages": options.packages,
                "foreign": options.foreign, "installed": site.packages, "locked": LOCKED}

    def _say(self, text: str) -> None:
        sys.stderr.write("bench: %3d s  %s\n" % (time.monotonic() - self._began, text))


def _beside(alone: Sequence[Dict[str, Any]], foreign: Sequence[Dict[str, Any]]) -> Dict[str, Any]:
    one, other = figures.hooks(alone), figures.hooks(foreign)
    return {name: (one[name], other[name]) for name in one}


def _present(results: table.Results, options: argparse.Namespace) -> int:
    print("\n".join(table.lines(results.rows)))
    if options.output is not None:
        subtitle = "{packages:,} packages in the vetted repositories, {installed} installed; {rounds} rounds; dots: medians, " \
                   "bars: quartiles".format(**results.settings)
        (options.output / "bench.md").write_text(table.document(results), encoding="utf-8")
        (options.output / "bench.svg").write_text(chart.drawn(results.rows, subtitle), encoding="utf-8")
    missed = [row for row in results.rows if row.is_missed]
    for row in missed:
        sys.stderr.write("bench: over its budget: %s (%s)\n" % (row.what, row.group))
    return 1 if missed and not options.quick else 0


if __name__ == "__main__":
    sys.exit(main())
