# SPDX-License-Identifier: Apache-2.0
"""The sandbox's service over a few small folders, for the tests of the service itself."""
from pathlib import Path
from typing import Iterator, NamedTuple

import pytest

from tests.sandbox.service import Service


class TreeFolders(NamedTuple):
    """What the service needs of a universe."""

    trees: Path
    keys: Path


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> TreeFolders:
    """The folders that a universe has; each tree tells its own name in a file."""
    top = tmp_path_factory.mktemp("universe")
    names = ["tuxcare/9.2/%s/x86_64" % tree for tree in ("base", "esu", "fips")]
    names += ["almalinux/%s/%s/x86_64/os" % (release, tree) for release in ("9.2", "9.4") for tree in ("BaseOS", "CRB")]
    for name in [*names, "thirdparty/9/x86_64"]:
        folder = top / "trees" / name
        folder.mkdir(parents=True)
        (folder / "name").write_text(name)
    keys = top / "keys"
    keys.mkdir()
    for name in ("AlmaLinux-9", "TuxCare", "ThirdParty"):
        (keys / ("RPM-GPG-KEY-" + name)).write_text("key of " + name)
    return TreeFolders(top / "trees", keys)


@pytest.fixture(scope="module")
def shared_service(trees: TreeFolders, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(trees, tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def service(shared_service: Service) -> Iterator[Service]:
    """One service for all; each test finds it without faults and records."""
    shared_service.clear_requests()
    yield shared_service
    shared_service.cancel_faults()
