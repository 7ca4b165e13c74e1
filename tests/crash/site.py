# SPDX-License-Identifier: Apache-2.0
"""Hosts prepared once and copied for each point, each copy with licence keys and seats of its own at one service."""

import contextlib
import itertools
import os
import shutil
import threading
import time
from pathlib import Path
from subprocess import CompletedProcess
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from tests.crash import injector
from tests.crash.injector import Call, Injection
from tests.crash.scenarios import PREPARED, Scenario
from tests.crash.state import State, Taker
from tests.integration.outcome import is_done
from tests.sandbox import template
from tests.sandbox.host import Host
from tests.sandbox.licences import Key, Seat
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

__all__ = ["Done", "Point", "Site"]

_TOKEN = "etc/dnf/vars/tuxcare_token"
_PREFIX = {"esu": "ESU-", "essential": "ESA-"}


class Done(NamedTuple):
    """A command that ended, or was killed; the calls of it that were counted."""

    status: int
    output: str
    calls: List[Call]


class Site:
    """One service, and a prepared host for each kind of beginning. Safe for several threads once `prepare` was called."""

    # Of licence keys: sites of one service share none.
    _numbers = itertools.count(1)

    def __init__(self, universe: Universe, service: Service, folder: Path) -> None:
        self._universe = universe
        self._service = service
        self._folder = folder
        self._library = injector.build(folder)
        self._prepared: Dict[Tuple[str, str], Host] = {}
        self._lock = threading.Lock()

    def prepare(self, scenario: Scenario) -> Host:
        """The host that a scenario's points are copied from."""
        kind = (scenario.prepared, scenario.products[0])
        if kind not in self._prepared:
            key = self.new_key(kind[1])
            host = Host.create(self._universe, self._service, self._folder / ("prepared-%s-%s" % kind))

            def dnf(*args: str) -> str:
                return is_done(host.dnf(*args, env={"TUXCARE_LICENSE_KEY": key}))

            PREPARED[kind[0]](host, dnf)
            time.sleep(1.1)  # what a point's command writes is later than all of it, by any clock's steps
            self._prepared[kind] = host
        return self._prepared[kind]

    def new_key(self, product: str) -> str:
        with self._lock:
            text = "%sCRASH%06d" % (_PREFIX[product], next(self._numbers))
            self._service.keys[text] = Key(product, 5)
        return text

    @contextlib.contextmanager
    def point(self, scenario: Scenario, taker: Taker) -> Iterator["Point"]:
        """A copy of the scenario's host, with its own keys and, if it is registered, its own token; gone afterwards."""
        original = self.prepare(scenario)
        keys = [self.new_key(product) for product in scenario.products]
        folder = self._folder / ("point-" + keys[0])
        folder.mkdir()
        try:
            yield Point(self._service, self._library, scenario, original, taker, keys, folder)
        finally:
            shutil.rmtree(str(folder))
            self._let_go(keys)

    def _let_go(self, keys: List[str]) -> None:
        for seat in self._service.licences.seats():
            if seat.key in keys:
                self._service.licences.unregister(seat.token)
        for key in keys:
            del self._service.keys[key]
        self._service.clear_requests()


class Point:
    """One host to be hurt."""

    def __init__(self, service: Service, library: Path, scenario: Scenario, original: Host, taker: Taker, keys: List[str],
                 folder: Path) -> None:
        self._service, self._library, self._scenario, self._taker = service, library, scenario, taker
        self._keys = keys
        self._folder = folder
        self._host_name = original.host_name
        self._numbers = itertools.count(1)
        self.host = self._copy(original.root)
        if scenario.registered:
            self._give_token(original)
        self._started_ns = time.time_ns() - 500_000_000

    def _copy(self, root: Path) -> Host:
        directory = self._folder / ("host%d" % next(self._numbers))
        directory.mkdir()
        template.copy_root(root, directory / "root")
        return Host(directory, self._service, False, self._host_name)

    def _give_token(self, original: Host) -> None:
        """The copy's own seat in place of the original's; the file keeps all else."""
        token = self._service.licences.register(self._keys[0], self._host_name)
        status = os.stat(str(original.root / _TOKEN))
        (self.host.root / _TOKEN).write_text(token + "\n")
        os.utime(str(self.host.root / _TOKEN), ns=(status.st_atime_ns, status.st_mtime_ns))

    # --- the verb, and recover --------------------------------------------------------------------------------------

    def run(self, injection: Optional[Injection] = None, at: int = 0) -> Done:
        """The scenario's verb."""
        asked = self._scenario.asks_with
        env = {"TUXCARE_LICENSE_KEY": self._keys[asked]} if asked >= 0 else {}
        return self._dnf(self._scenario.args, env, injection, at)

    def recover(self, injection: Optional[Injection] = None, at: int = 0) -> Done:
        """With -y where packages are work for it: they are shown and asked for."""
        return self._dnf((*(("-y",) if self._scenario.packages else ()), "tuxcare", "recover"), {}, injection, at)

    def plain(self, *args: str) -> Done:
        """Any other command, undisturbed."""
        return self._dnf(args, {}, None, 0)

    def _dnf(self, args: Tuple[str, ...], env: Dict[str, str], injection: Optional[Injection], at: int) -> Done:
        log = self._folder / ("log%d" % next(self._numbers))
        added = injector.settings(self._library, self.host.root, log, injection, at, self._scenario.places)
        other = template.outside_env(self.host.root).get("LD_PRELOAD")
        added["LD_PRELOAD"] += ":" + other if other else ""
        temporary = self._folder / "tmp"
        temporary.mkdir(exist_ok=True)
        done: "CompletedProcess[str]" = self.host.dnf(*args, env={**env, **added, "TMPDIR": str(temporary)})
        return Done(done.returncode, done.stdout + done.stderr, injector.read_log(log))

    # --- what is there ----------------------------------------------------------------------------------------------

    def state(self) -> State:
        seats = [seat.key for seat in self._service.licences.seats()]
        return self._taker.take(self.host, self._started_ns, tuple(seats.count(key) for key in self._keys), self._whose,
                                self._scenario.packages)

    def _whose(self, text: str) -> str:
        return self.whose_now().get(text, "nobody's")

    def whose_now(self) -> Dict[str, str]:
        """The content of the token's file → whose seat it is, of all seats that are taken."""
        return {seat.token + "\n": "key %d" % self._keys.index(seat.key) if seat.key in self._keys else "another host's"
                for seat in self._service.licences.seats()}

    # --- the same moment twice --------------------------------------------------------------------------------------

    def remember(self) -> "Moment":
        """The host and its seats as they are now."""
        seats = [seat for seat in self._service.licences.seats() if seat.key in self._keys]
        return Moment(self._copy(self.host.root), seats)

    def go_back(self, moment: "Moment") -> None:
        """To a moment that was remembered; it can be used once."""
        self.host = moment.host
        licences = self._service.licences
        with licences._lock:  # tokens are random: no seat can be taken a second time with the same one
            licences._seats = [seat for seat in licences._seats if seat.key not in self._keys] + moment.seats


class Moment(NamedTuple):
    host: Host
    seats: List[Seat]
