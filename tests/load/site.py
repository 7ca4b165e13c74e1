# SPDX-License-Identifier: Apache-2.0
"""The service with its limiter in this process, the hosts in processes of their own; everything on this machine."""

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Iterator, List, NamedTuple

from tests.load.clients import Plan
from tests.load.figures import Asked, Run
from tests.sandbox.faults import Fault, Throttle
from tests.sandbox.host import PROJECT
from tests.sandbox.licences import ESU_KEY, Key
from tests.sandbox.service import Record, Service
from tests.sandbox.universe import Universe

__all__ = ["Course", "Pace", "course"]

_REGISTER = "/cln/api/els/token/register"


class Pace(NamedTuple):
    """`second` is how long each second of limiter and pauses lasts, so that the machine is not what limits."""

    second: float
    processes: int
    seed: int


class Course(NamedTuple):
    """What happened: every registration at the service, the host names of all seats, and each host's error or nothing."""

    asked: List[Asked]
    seats: List[str]
    errors: Dict[str, str]


class _Log:
    """When each registration came in."""

    def __init__(self, second: float) -> None:
        self._second = second
        self._records: List[Asked] = []

    def __call__(self, record: Record) -> None:
        if record.path == _REGISTER:
            self._records.append(Asked(time.monotonic(), record.status, record.json()["host_name"]))

    def asked(self) -> List[Asked]:
        """In seconds of the run."""
        began = min((one.at for one in self._records), default=0.0)
        return [one._replace(at=(one.at - began) / self._second) for one in self._records]


def course(universe: Universe, run: Run, pace: Pace, directory: Path) -> Course:
    """Lets the fleet register, in a folder that is made. Raises RuntimeError where the hosts cannot be started."""
    directory.mkdir()
    log = _Log(pace.second)
    with Service(universe, directory / "service", log) as service:
        service.keys[ESU_KEY] = Key("esu", run.hosts)  # not one more: a host that took two would leave another without
        headers = {"Retry-After": run.retry_after} if run.retry_after else None
        service.order(Fault(Throttle(run.limit, headers, pace.second), path=_REGISTER))
        errors = _registered(_plans(service, run, pace, directory))
        seats = [seat.host_name for seat in service.licences.seats() if seat.key == ESU_KEY]
    return Course(log.asked(), seats, errors)


def _plans(service: Service, run: Run, pace: Pace, directory: Path) -> List[Plan]:
    names = ["host%04d.example.com" % number for number in range(run.hosts)]
    return [Plan(names[number :: pace.processes], service.url, str(service.ca_file), ESU_KEY, "%d " % pace.seed,
                 pace.second, run.chance, str(directory)) for number in range(pace.processes)]


def _registered(plans: List[Plan]) -> Dict[str, str]:
    """How each host ended."""
    errors: Dict[str, str] = {}
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_started(plan)) for plan in plans]
        if any(process.stdout.readline() != "ready\n" for process in processes if process.stdout):
            raise RuntimeError("the hosts cannot be started")
        for process in processes:
            _say(process, "go")
        for process in processes:
            errors.update(json.loads(process.communicate()[0]))
    return errors


@contextlib.contextmanager
def _started(plan: Plan) -> Iterator["subprocess.Popen[str]"]:
    argv = [sys.executable, "-m", "tests.load.clients"]
    with subprocess.Popen(argv, cwd=str(PROJECT), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            _say(process, json.dumps(plan._asdict()))
            yield process
        finally:
            process.kill()


def _say(process: "subprocess.Popen[str]", line: str) -> None:
    assert process.stdin
    process.stdin.write(line + "\n")
    process.stdin.flush()
