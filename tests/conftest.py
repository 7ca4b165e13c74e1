# SPDX-License-Identifier: Apache-2.0
"""How tests are drawn: of those marked `sampled`, rows of long tables, all without --sample and one of each three with it."""
import random
from typing import Dict, List

import pytest
from hypothesis import settings

ONE_OF = 3

# No clock: what is slow on a busy machine is not wrong.
settings.register_profile("without a clock", deadline=None)
settings.load_profile("without a clock")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--sample", metavar="SEED", default="", help="of each %d tests marked `sampled`, one" % ONE_OF)


def pytest_report_header(config: pytest.Config) -> List[str]:
    seed = config.getoption("--sample")
    return ["sample: one of each %d rows, drawn by --sample=%s" % (ONE_OF, seed)] if seed else []


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: List[pytest.Item]) -> None:
    """First of all, so that what is drawn depends on the seed and the table alone."""
    seed = config.getoption("--sample")
    if not seed:
        return
    tables: Dict[str, List[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("sampled"):
            tables.setdefault(item.nodeid.partition("[")[0], []).append(item)
    left = {item for name, rows in tables.items() for item in left_out(rows, random.Random("%s %s" % (seed, name)))}
    config.hook.pytest_deselected(items=[item for item in items if item in left])
    items[:] = [item for item in items if item not in left]


def left_out(rows: List[pytest.Item], chance: random.Random) -> List[pytest.Item]:
    """Neighbours try the same kind of thing: so of each kind some are tried."""
    groups = [rows[start : start + ONE_OF] for start in range(0, len(rows), ONE_OF)]
    return [row for group in groups for row in chance.sample(group, len(group) - 1)]
