# SPDX-License-Identifier: Apache-2.0
"""Hosts that were registered once; each test of the module gets a copy, and the seat again."""
from pathlib import Path
from typing import Callable, Dict, NamedTuple, Tuple

from tests.integration.outcome import register
from tests.sandbox.host import Host
from tests.sandbox.licences import Seat
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe


class Master(NamedTuple):
    host: Host
    seat: Seat


class Masters:
    """9.2 hosts, one for each way to run commands and each licence key, made when a test first asks for it."""

    def __init__(self, universe: Universe, service: Service, directory: Path, package: Callable[[], Path]) -> None:
        self._universe = universe
        self._service = service
        self._directory = directory
        self._package = package
        self._made: Dict[Tuple[bool, str], Master] = {}

    def copy(self, slash: bool, key: str, directory: Path) -> Host:
        """What the service was asked for until then is forgotten: the first test that asks finds what the others find."""
        if (slash, key) not in self._made:
            self._made[slash, key] = self._make(slash, key)
        host, seat = self._made[slash, key]
        if seat not in self._service.licences.seats():
            self._service.licences.restore(seat)
        self._service.clear_requests()
        return host.copy(directory)

    def _make(self, slash: bool, key: str) -> Master:
        directory = self._directory / ("%s-%s" % ("slash" if slash else "root", key))
        rpm = self._package() if slash else None
        with Host.create(self._universe, self._service, directory, slash=slash, rpm=rpm) as host:
            register(host, key=key)
        return Master(host, self._service.licences.seats()[-1])
