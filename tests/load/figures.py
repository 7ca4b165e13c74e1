# SPDX-License-Identifier: Apache-2.0
"""From what the service was asked, and how the hosts ended, to figures; no clocks and no sockets in here."""

import collections
from typing import Dict, List, NamedTuple, Sequence, Tuple

__all__ = ["MOST", "Asked", "Figures", "Run", "by_second"]

# The busiest second after the first may have so many times the requests that the service lets through.
MOST = 2.0
_LET_THROUGH = 200


class Run(NamedTuple):
    """A fleet and its limiter; `retry_after` is a header's text, or empty for none."""

    hosts: int
    limit: int
    retry_after: str = ""
    chance: bool = True

    @property
    def title(self) -> str:
        answer = "429 with Retry-After: %s" % self.retry_after if self.retry_after else "429 alone"
        return answer + ("" if self.chance else ", and pauses that leave nothing to chance")


class Asked(NamedTuple):
    """A registration at the service: seconds since the first one, its status and its host."""

    at: float
    status: int
    host_name: str


class Figures(NamedTuple):
    """What came of a run. `burst` is the time until every host had asked once, one second at least."""

    run: Run
    registered: int
    twice: int
    requests: int
    burst: float
    first: int
    busiest: int
    half: float
    last: float
    most_often: int

    @classmethod
    def of(cls, run: Run, asked: Sequence[Asked], seats: Sequence[str], errors: Dict[str, str]) -> "Figures":
        """`seats` are the host names of all seats taken; `errors` is how each host ended, empty where it registered."""
        moments = sorted(request.at for request in asked)
        times = sorted(request.at for request in asked if request.status == _LET_THROUGH) or [0.0]
        often = collections.Counter(request.host_name for request in asked)
        burst = max(1.0, *_first_moments(asked).values())
        taken = collections.Counter(seats)
        return cls(
            run, sum(1 for name, error in errors.items() if not error and taken[name]), sum(1 for n in taken.values() if n > 1),
            len(asked), burst, sum(1 for moment in moments if moment < 1.0),
            _busiest([moment for moment in moments if moment > burst]), times[(len(times) - 1) // 2], times[-1],
            max(often.values(), default=0))

    @property
    def share(self) -> float:
        """The busiest second against what the service lets through."""
        return self.busiest / self.run.limit

    @property
    def wrong(self) -> Tuple[str, ...]:
        """What is not as it has to be."""
        found: List[str] = []
        if self.registered != self.run.hosts:
            found.append("%d of %d hosts are registered" % (self.registered, self.run.hosts))
        if self.twice:
            found.append("%d hosts have more than one seat" % self.twice)
        if self.share > MOST:
            found.append("the busiest second after the first had %d requests: %.2f times the limit" % (self.busiest, self.share))
        return tuple(found)


def by_second(asked: Sequence[Asked]) -> List[Tuple[int, int]]:
    """For each second: how many were let through, how many put off."""
    seconds = [[0, 0] for _ in range(int(max((request.at for request in asked), default=0)) + 1)]
    for request in asked:
        seconds[int(request.at)][request.status != _LET_THROUGH] += 1
    return [(through, off) for through, off in seconds]


def _first_moments(asked: Sequence[Asked]) -> Dict[str, float]:
    first: Dict[str, float] = {}
    for request in asked:
        first[request.host_name] = min(request.at, first.get(request.host_name, request.at))
    return first


def _busiest(moments: Sequence[float]) -> int:
    """The most within one second, wherever it begins; `moments` in order."""
    most = begin = 0
    for end, moment in enumerate(moments):
        while moments[begin] <= moment - 1.0:
            begin += 1
        most = max(most, end - begin + 1)
    return most
