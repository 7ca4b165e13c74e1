# SPDX-License-Identifier: Apache-2.0
"""The table of bypasses: each attempt on a registered host, what has to go on working, and that the tests can fail."""
from pathlib import Path
from typing import Iterator, List

import pytest

from tests.integration.bypass import document, forge
from tests.integration.bypass.row import Row
from tests.integration.bypass.site import Ground
from tests.integration.bypass.table import ATTEMPTS, CONTROLS, ROWS, faults, gets_in
from tests.sandbox.host import slash_available
from tests.sandbox.universe import Universe


@pytest.fixture(scope="module")
def ground(request: pytest.FixtureRequest, universe: Universe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = Ground(universe, tmp_path_factory.mktemp("bypass"), lambda: request.getfixturevalue("package"))
    yield made
    made.close()


def _runs(row: Row) -> Row:
    """The row, unless this machine cannot have the host that it needs."""
    reason = slash_available() if row.slash else None
    if reason:
        pytest.skip(reason)
    return row


def _one_of_each_group() -> List[Row]:
    """The first attempt of each group that gets in where nothing holds it, and the first of those on a host as `/`."""
    proving = [row for row in ATTEMPTS if row.proof]
    first = {(row.group, row.slash): row for row in reversed(proving)}
    return [row for row in proving if row in first.values()]


@pytest.mark.sampled
@pytest.mark.parametrize("row", ATTEMPTS, ids=[row.name for row in ATTEMPTS])
def test_an_attempt_ends_as_it_has_to(ground: Ground, row: Row) -> None:
    found = faults(ground, _runs(row))
    assert not found, "\n".join([row.words, *found])


@pytest.mark.parametrize("row", CONTROLS, ids=[row.name for row in CONTROLS])
def test_what_has_to_go_on_working_does(ground: Ground, row: Row) -> None:
    found = faults(ground, _runs(row))
    assert not found, "\n".join([row.words, *found])


@pytest.mark.sampled
@pytest.mark.parametrize("row", _one_of_each_group(), ids=lambda row: row.name)
def test_it_gets_in_where_the_plugin_is_not_at_work(ground: Ground, row: Row) -> None:
    """Else the attempt would prove nothing."""
    assert gets_in(ground, _runs(row)), row.words


def test_a_host_that_is_not_registered_is_moved_by_the_same_attempts(ground: Ground) -> None:
    """Those that the files alone withstand: --releasever, and a plain upgrade."""
    if slash_available():
        pytest.skip(str(slash_available()))
    for args in (["--releasever=9.4", "upgrade", "less"], ["--releasever=9.4", "distro-sync", "tzdata"], ["upgrade", "rsync"]):
        with ground.unregistered() as site:
            site.dnf(*args)
            assert site.came_in(ground.vetted), args


def test_the_table_is_whole() -> None:
    names, groups = [row.name for row in ROWS], {row.group for row in ATTEMPTS}
    assert len(names) == len(set(names)) and len(ATTEMPTS) >= 130 and len(CONTROLS) >= 15 and len(groups) >= 20
    assert len({row.group for row in _one_of_each_group()}) >= 10


def test_the_page_says_what_the_rows_say() -> None:
    page = document.PATH.read_text()
    found = document.outcomes(page)
    assert set(found) == {row.name for row in ROWS} and document.text(found) == page


def test_every_hostile_tree_is_used() -> None:
    folder = Path(__file__).with_name("bypass") / "rows"
    texts = "".join(path.read_text() for path in folder.glob("*.py")) + (folder.parent / "site.py").read_text()
    assert [name for name in forge.TREES if '"%s"' % name not in texts and "/%s/" % name not in texts] == []
