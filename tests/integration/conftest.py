# SPDX-License-Identifier: Apache-2.0
"""Servers per module, a fresh host per test, the product as working tree and as its own package."""
import copy
import signal
import subprocess
from pathlib import Path
from typing import Callable, Iterator, List, Optional

import pytest

from tests.sandbox.host import PROJECT, Host, slash_available
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

pytest.register_assert_rewrite("tests.integration.outcome")

from tests.integration.masters import Masters  # noqa: E402  it imports what is to be rewritten


@pytest.fixture(scope="session", autouse=True)
def heard_signals() -> None:
    """Children are to hear Ctrl-C and a lost terminal also where the tests run under nohup(1) or behind a shell's `&`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def universe() -> Universe:
    return Universe.build()


@pytest.fixture(scope="session")
def package() -> Path:
    """The product's RPM, built from the working tree."""
    built = subprocess.run([str(PROJECT / "scripts/build-rpm")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


@pytest.fixture(scope="module")
def servers(universe: Universe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(universe, tmp_path_factory.mktemp("servers")) as service:
        yield service


@pytest.fixture
def service(servers: Service) -> Iterator[Service]:
    """The module's servers, which remember nothing of the test before: no request, fault, seat, added key or folder."""
    keys, mounts, seats = copy.deepcopy(servers.keys), dict(servers.mounts), set(servers.licences.seats())
    servers.clear_requests()
    yield servers
    servers.cancel_faults()
    servers.proxy.wanted = None
    for seat in set(servers.licences.seats()) - seats:
        servers.licences.unregister(seat.token)
    servers.keys.clear()
    servers.keys.update(keys)
    servers.mounts.clear()
    servers.mounts.update(mounts)


class Hosts:
    """Makes the hosts of one test and ends them after it; by `copy` (of `slash` and a folder), where they are copies of one."""

    def __init__(self, universe: Universe, service: Service, directory: Path, package: Callable[[], Path],
                 copy: Optional[Callable[[bool, Path], Host]] = None) -> None:
        self._universe = universe
        self._service = service
        self._directory = directory
        self._package = package
        self._copy = copy
        self._made: List[Host] = []

    def by_installroot(self, release: str = "9.2") -> Host:
        """A root that dnf is pointed to; the product is the working tree."""
        return self._make(release, slash=False)

    def slash(self, release: str = "9.2", product: bool = True) -> Host:
        """A host that is `/` to its programs, with the product's RPM installed; skips where that cannot be had."""
        reason = slash_available()
        if reason:
            pytest.skip(reason)
        return self._make(release, slash=True, product=product)

    def close(self) -> None:
        for host in self._made:
            host.close()

    def _make(self, release: str, slash: bool, product: bool = True) -> Host:
        directory = self._directory / ("host%d" % len(self._made))
        host = self._copy(slash, directory) if self._copy else self._create(directory, release, slash, product)
        self._made.append(host)
        return host

    def _create(self, directory: Path, release: str, slash: bool, product: bool) -> Host:
        rpm = self._package() if slash and product else None
        return Host.create(self._universe, self._service, directory, release=release, slash=slash, rpm=rpm)


@pytest.fixture(scope="module")
def masters(
    request: pytest.FixtureRequest, universe: Universe, servers: Service, tmp_path_factory: pytest.TempPathFactory
) -> Masters:
    return Masters(universe, servers, tmp_path_factory.mktemp("masters"), lambda: request.getfixturevalue("package"))


@pytest.fixture
def hosts(
    request: pytest.FixtureRequest, universe: Universe, service: Service, masters: Masters, tmp_path: Path
) -> Iterator[Hosts]:
    """Fresh ones; registered ones with `@pytest.mark.registered`, and another key than ESU's as its argument."""
    mark = request.node.get_closest_marker("registered")
    key = mark.args[0] if mark and mark.args else ESU_KEY
    copies = (lambda slash, directory: masters.copy(slash, key, directory)) if mark else None
    made = Hosts(universe, service, tmp_path, lambda: request.getfixturevalue("package"), copies)
    yield made
    made.close()


@pytest.fixture
def host(hosts: Hosts) -> Host:
    """A fresh 9.2 host by --installroot."""
    return hosts.by_installroot()


@pytest.fixture
def slash_host(hosts: Hosts) -> Host:
    """A fresh 9.2 host as `/`, the product installed from its package."""
    return hosts.slash()


@pytest.fixture(params=["installroot", "slash"])
def any_host(request: pytest.FixtureRequest, hosts: Hosts) -> Host:
    """A fresh 9.2 host, each of the two ways."""
    return hosts.slash() if request.param == "slash" else hosts.by_installroot()
