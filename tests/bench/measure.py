# SPDX-License-Identifier: Apache-2.0
"""Runs commands in rounds and tells what each took; started inside the measured host, so it imports nothing of the tests.

    python3 measure.py PLAN

All run on one processor, the last that there is: moving between two of them is the largest part of the noise.
PLAN is JSON: {"rounds": N, "seed": N, "commands": {KEY: [PROGRAM, ARGUMENT…]}}. Each round runs every command once, in an
order of its own. Each run is a line of JSON on standard output: round, key, wall and cpu (seconds; the kernel's account of
the process and of all that it waited for), rss (KiB), status.
"""

import json
import os
import random
import sys
import time
from typing import Any, Dict, List


def main() -> None:
    with open(sys.argv[1], encoding="utf-8") as stream:
        plan = json.load(stream)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    order = random.Random(plan["seed"])
    for number in range(plan["rounds"]):
        keys = sorted(plan["commands"])
        order.shuffle(keys)
        for key in keys:
            print(json.dumps(dict(run(plan["commands"][key]), round=number, key=key)), flush=True)


def run(argv: List[str]) -> Dict[str, Any]:
    """One run, its output thrown away."""
    to_null = [(os.POSIX_SPAWN_OPEN, descriptor, os.devnull, os.O_RDWR, 0) for descriptor in (0, 1, 2)]
    began = time.perf_counter()
    _, status, usage = os.wait4(os.posix_spawn(argv[0], argv, os.environ, file_actions=to_null), 0)
    wall = time.perf_counter() - began
    return {"wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "rss": usage.ru_maxrss, "status": os.WEXITSTATUS(status)}


if __name__ == "__main__":
    main()
