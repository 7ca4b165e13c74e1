# SPDX-License-Identifier: Apache-2.0
"""`make crash`: all points of all verbs; prints the table, writes docs/crash.md, and ends with 1 where a half state was found."""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Iterator, List, Optional, Sequence

from tests.crash import lost, machine, points, table
from tests.crash.injector import FAULTS
from tests.crash.points import Allowed, Trial
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.site import Site
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

_STEP = 25


def main(words: Optional[Sequence[str]] = None) -> int:
    options = _parser().parse_args(words)
    began = time.time()
    scenarios = [found for found in SCENARIOS if not options.verb or found.name in options.verb]
    universe = Universe.build()
    with tempfile.TemporaryDirectory(prefix="tuxcare-crash-") as name:
        folder = Path(name)
        with Service(universe, folder / "service") as service:
            rows = [_row(Site(universe, service, _made(folder / found.prepared / found.name.replace(" ", "-"))), found, options)
                    for found in scenarios]
    print(table.text(rows), flush=True)
    if options.output:
        page = options.output / "crash.md"
        shown = table.merged(page.read_text(encoding="utf-8"), rows) if options.verb and page.exists() else rows
        page.write_text(table.markdown(shown, time.time() - began, machine.described()), encoding="utf-8")
    return 1 if any(row.half for row in rows) else 0


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.crash", description="Every changing verb, hurt at every point.",
                                     epilog="Hosts are made below $TMPDIR: a file system in memory makes it a third faster.")
    parser.add_argument("--verb", action="append", choices=[found.name for found in SCENARIOS], help="this one alone")
    parser.add_argument("--jobs", type=int, default=2, help="points at the same time (%(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the second kill and of --sample (%(default)s)")
    parser.add_argument("--sample", type=int, metavar="N", help="no more than N points of a verb, by chance")
    parser.add_argument("--point", type=int, metavar="N", help="this one alone")
    parser.add_argument("--only", choices=["kills", "faults", "lost"], help="this kind of trial alone")
    parser.add_argument("--output", type=Path, help="folder in which crash.md is written")
    return parser


def _row(site: Site, scenario: Scenario, options: argparse.Namespace) -> table.Row:
    allowed = points.learn(site, scenario)
    kinds = [options.only] if options.only else ["kills", "faults", "lost"]
    kills = _chosen(allowed, scenario.kills_at, options) if "kills" in kinds else []
    faults = _chosen(allowed, scenario.faults_at, options) if "faults" in kinds else []
    found = table.row(scenario.name, len(allowed.calls), len(set(kills + faults)), _trials(site, allowed, kills, faults, options))
    found = _with_lost(site, allowed, found, options) if "lost" in kinds and scenario.is_lost else found
    _say(table.text([found]))
    return found


def _chosen(allowed: Allowed, limit: Optional[int], options: argparse.Namespace) -> List[int]:
    """The points to be tried, in their order."""
    if options.point:
        return [options.point] if limit != 0 else []
    limits = [number for number in (limit, options.sample) if number is not None]
    return points.sample(allowed, min(limits), options.seed) if limits else list(range(1, len(allowed.calls) + 1))


def _with_lost(site: Site, allowed: Allowed, row: table.Row, options: argparse.Namespace) -> table.Row:
    began = time.time()
    found = lost.lost_writes(site, allowed, options.seed)
    for line in found.wrong:
        _say(line)
    _say("%s: %d disks after a power cut, %.0f s" % (row.verb, found.disks, time.time() - began))
    return row._replace(disks=found.disks, half=row.half + len(found.wrong))


def _trials(site: Site, allowed: Allowed, kills: List[int], faults: List[int], options: argparse.Namespace) -> Iterator[Trial]:
    began = time.time()
    numbers = sorted(set(kills + faults))

    def tried(number: int) -> List[Trial]:
        refused = FAULTS if options.point else points.faults(number)
        twice = bool(options.point) or number % 2 == 1
        refused = refused if number in faults else ()
        return list(points.tried(site, allowed, number, options.seed, number in kills, refused, twice))

    with ThreadPoolExecutor(options.jobs) as pool:
        done = pool.map(tried, numbers)
        for count, trials in enumerate(done, 1):
            for trial in trials:
                if trial.verdict.wrong:
                    _say(table.complaint(trial))
                yield trial
            if count % _STEP == 0 or count == len(numbers):
                _say("%s: %d of %d points, %.0f s" % (allowed.scenario.name, count, len(numbers), time.time() - began))


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
