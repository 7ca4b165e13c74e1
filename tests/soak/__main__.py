# SPDX-License-Identifier: Apache-2.0
"""`make soak`: many sequences; ends with 1 where an invariant did not hold."""

import argparse
import contextlib
import queue
import signal
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import List, Optional, Sequence

from tests.sandbox.service import Service
from tests.sandbox.universe import Universe
from tests.soak import sequence
from tests.soak.sequence import Result
from tests.soak.site import Lane
from tests.soak.steps import draw

_STEP = 10


def main(words: Optional[Sequence[str]] = None) -> int:
    options = _parser().parse_args(words)
    numbers = [options.sequence] if options.sequence else list(range(1, options.sequences + 1))
    if options.show:
        print("\n".join("%d: %s" % (number, step) for number in numbers for step in draw(options.seed, number)))
        return 0
    # Children are to hear Ctrl-C and a lost terminal also where this runs under nohup(1) or behind a shell's `&`.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    results = _run(options.seed, numbers, min(options.jobs, len(numbers)))
    print(_summary(results), flush=True)
    return 1 if any(result.wrong for result in results) else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.soak", description="Random sequences of everything.")
    parser.add_argument("--seed", type=int, default=1, help="decides all sequences (%(default)s)")
    parser.add_argument("--sequences", type=int, default=200, metavar="N", help="how many (%(default)s)")
    parser.add_argument("--sequence", type=int, metavar="K", help="the K-th alone, with every step told")
    parser.add_argument("--jobs", type=int, default=2, help="sequences at the same time (%(default)s)")
    parser.add_argument("--show", action="store_true", help="the steps; nothing is done")
    return parser


def _run(seed: int, numbers: Sequence[int], jobs: int) -> List[Result]:
    universe = Universe.build()
    began = time.time()
    with tempfile.TemporaryDirectory(prefix="tuxcare-soak-") as name, contextlib.ExitStack() as stack:
        lanes: "queue.Queue[Lane]" = queue.Queue()
        for number in range(jobs):
            folder = Path(name) / ("lane%d" % number)
            folder.mkdir()
            lanes.put(Lane(universe, stack.enter_context(Service(universe, folder / "service")), folder))
        pool = stack.enter_context(ThreadPoolExecutor(jobs))
        results: List[Result] = []
        for result in pool.map(lambda number: _one(lanes, seed, number), numbers):
            results.append(result)
            _tell(result, seed, len(numbers) == 1)
            if len(results) % _STEP == 0:
                _say("%d of %d sequences, %.0f s" % (len(results), len(numbers), time.time() - began))
        return results


def _one(lanes: "queue.Queue[Lane]", seed: int, number: int) -> Result:
    lane = lanes.get()
    try:
        return sequence.run(lane, seed, number)
    finally:
        lanes.put(lane)


def _tell(result: Result, seed: int, always: bool) -> None:
    if result.wrong or always:
        head = "VIOLATION" if result.wrong else "well"
        _say("\n    ".join(["%s: python3 -m tests.soak --seed %d --sequence %d" % (head, seed, result.number), *result.script,
                            *("=> " + line.replace("\n", "\n       ") for line in result.wrong)]))


def _summary(results: Sequence[Result]) -> str:
    return "%d sequences, %d steps, %d kills, %d faults, %d violations" % (
        len(results), sum(result.steps for result in results), sum(result.kills for result in results),
        sum(result.faults for result in results), sum(bool(result.wrong) for result in results))


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
