# SPDX-License-Identifier: Apache-2.0
"""The table of the ways in which a registration can fail, row by row, and that its page says the same."""
import tempfile
from pathlib import Path
from typing import Iterator

import pytest

from tests.integration.failures import document
from tests.integration.failures.row import NONE, RETURNED, TAKEN, UNKNOWN, Row
from tests.integration.failures.site import Ground, unavailable
from tests.integration.failures.table import ROWS, run
from tests.sandbox.universe import Universe

TOLD = document.read(document.PATH.read_text())


@pytest.fixture(scope="module")
def ground(request: pytest.FixtureRequest, universe: Universe) -> Iterator[Ground]:
    with tempfile.TemporaryDirectory(prefix="failures-") as directory:
        Path(directory).chmod(0o755)  # one row's command is an ordinary user's
        made = Ground(universe, Path(directory), lambda: request.getfixturevalue("package"))
        yield made
        made.close()


def _marked(row: Row) -> object:
    """Where a seat is at stake, each row is tried in each run."""
    return pytest.param(row, id=row.name, marks=[pytest.mark.sampled] if row.seat == NONE else [])


@pytest.mark.parametrize("row", [_marked(row) for row in ROWS])
def test_row(ground: Ground, row: Row) -> None:
    reason = unavailable(row)
    if reason:
        pytest.skip(reason)
    with ground.site(row) as site:
        outcome = run(site, row)
    assert not outcome.wrong, "\n".join([row.words, *outcome.wrong])
    assert document.told(outcome) == TOLD.get(row.name), "docs/errors.md says something else; `make errors` writes it anew"


def test_the_table_is_whole() -> None:
    names = [row.name for row in ROWS]
    assert len(names) == len(set(names)) >= 110 and {row.seat for row in ROWS} == {NONE, RETURNED, TAKEN, UNKNOWN}


def test_the_page_says_what_the_rows_say() -> None:
    assert set(TOLD) == {row.name for row in ROWS} and document.text(TOLD, 0) == document.PATH.read_text()
