# SPDX-License-Identifier: Apache-2.0
"""Which rows of a long table a sample leaves out."""
import random
from typing import Any, List

from tests.conftest import left_out


def test_one_of_each_three_is_tried_and_in_the_end_each() -> None:
    rows: List[Any] = list(range(11))
    tried = [set(rows) - set(left_out(rows, random.Random("%d" % seed))) for seed in range(50)]
    assert all([len(one & set(rows[start : start + 3])) for start in range(0, 11, 3)] == [1, 1, 1, 1] for one in tried)
    assert set.union(*tried) == set(rows)
