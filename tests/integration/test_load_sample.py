# SPDX-License-Identifier: Apache-2.0
"""A sample of `make load`: a small fleet registers at once with a service that throttles; and that its figures can be wrong."""

from pathlib import Path
from typing import Dict, List, Sequence, Tuple
from xml.etree import ElementTree

import pytest

from tests.bench import machine
from tests.load import chart, table
from tests.load.figures import Asked, Figures, Run, by_second
from tests.load.site import Pace, course
from tests.sandbox.universe import Universe

PACE = Pace(second=0.4, processes=1, seed=1)


@pytest.mark.parametrize("retry_after", ["", "1"])
def test_all_register_and_nobody_comes_back_as_one(universe: Universe, tmp_path: Path, retry_after: str) -> None:
    run = Run(48, 12, retry_after)
    found = course(universe, run, PACE, tmp_path / "site")
    figures = Figures.of(run, found.asked, found.seats, found.errors)
    assert figures.wrong == (), (by_second(found.asked), sorted(set(found.errors.values())))
    assert len(found.seats) == figures.registered == 48
    # Else nobody was put off, and nothing is shown.
    assert figures.requests == 48 + sum(one.status == 429 for one in found.asked) > 48


# --- figures ------------------------------------------------------------------------------------------------------------


RUN = Run(4, 1)
NAMES = ["a", "b", "c", "d"]
WELL = dict.fromkeys(NAMES, "")


def at(*moments: float) -> List[Asked]:
    """All four hosts in the first second, of which one is let through, and more requests of the others."""
    first = [Asked(0.0, 200, "a"), Asked(0.1, 429, "b"), Asked(0.2, 429, "c"), Asked(0.3, 429, "d")]
    return [*first, *(Asked(moment, 200, NAMES[1 + number % 3]) for number, moment in enumerate(moments))]


@pytest.mark.parametrize("moments, seats, errors, wrong", [
    ((2, 3, 4), NAMES, WELL, []),
    ((2, 2.5, 4), NAMES, WELL, []),
    ((2.6, 3.1, 3.5), NAMES, WELL, ["busiest second after the first had 3 requests: 3.00 times"]),
    ((2, 3), ["a", "b", "c"], {**WELL, "d": "The service is busy"}, ["3 of 4 hosts are registered"]),
    ((2, 3, 4), ["a", "b", "c"], WELL, ["3 of 4 hosts are registered"]),
    ((2, 3, 4), [*NAMES, "b"], WELL, ["1 hosts have more than one seat"]),
])
def test_what_is_wrong_is_found(
        moments: Tuple[float, ...], seats: Sequence[str], errors: Dict[str, str], wrong: List[str]) -> None:
    found = Figures.of(RUN, at(*moments), seats, errors).wrong
    assert len(found) == len(wrong) and all(words in told for words, told in zip(wrong, found))


def test_what_is_counted() -> None:
    figures = Figures.of(RUN, at(2, 2.5, 9), NAMES, WELL)
    assert (figures.first, figures.busiest, figures.requests, figures.most_often) == (4, 2, 7, 2)
    assert (figures.half, figures.last) == (2, 9)
    assert by_second(at(2, 2.5)) == [(1, 3), (0, 0), (2, 0)]


def test_hosts_that_a_slow_machine_starts_late_are_not_taken_for_ones_that_come_back() -> None:
    late = [Asked(1.5 + number / 10, 200, "late%d" % number) for number in range(5)]
    assert Figures.of(RUN, at(3) + late, NAMES, WELL)[4:7] == (1.9, 4, 1)


def test_table_document_and_picture() -> None:
    well, bad = (Figures.of(run, at(*moments), NAMES, errors) for run, moments, errors in (
        (RUN, (2, 3, 4), WELL), (RUN, (2, 2, 2), {**WELL, "d": "busy"})))
    naive = bad._replace(run=RUN._replace(chance=False))
    assert "All of it holds" in table.document([well, naive], PACE, machine.here())
    assert "429 alone: 3 of 4 hosts" in table.document([bad, naive], PACE, machine.here())
    assert any("3 of 4" in line for line in table.lines([well, bad]))
    drawn = ElementTree.fromstring(chart.drawn([(well, at(2, 3, 4)), (naive, at(2, 2, 2))], ""))
    bars = [part for part in drawn.iter("{http://www.w3.org/2000/svg}rect") if part.get("stroke-width")]
    assert len(bars) == 2 + (2 + 3) + (2 + 1)
