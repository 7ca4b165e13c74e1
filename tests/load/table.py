# SPDX-License-Identifier: Apache-2.0
"""The figures, for a terminal and for docs/load.md."""

from typing import Callable, List, Sequence, Tuple

from tests.load.figures import MOST, Figures
from tests.load.site import Pace

__all__ = ["document", "lines"]

_ROWS: Tuple[Tuple[str, Callable[[Figures], str]], ...] = (
    ("hosts registered", lambda one: "%d of %d" % (one.registered, one.run.hosts)),
    ("hosts with more than one seat", lambda one: "%d" % one.twice),
    ("requests in the first second", lambda one: "%d" % one.first),
    ("requests in the busiest second after it", lambda one: "%d" % one.busiest),
    ("the same against the limit (at most %.1f)" % MOST, lambda one: "%.2f" % one.share),
    ("requests for each host", lambda one: "%.2f" % (one.requests / one.run.hosts)),
    ("requests of one host, at most", lambda one: "%d" % one.most_often),
    ("half of the hosts had their seat after", lambda one: "%.1f s" % one.half),
    ("the last one after", lambda one: "%.1f s" % one.last),
)


def lines(rows: Sequence[Figures]) -> List[str]:
    """For a terminal: what each run had, and what the runs were."""
    width = max(len(what) for what, _ in _ROWS)
    shown = ["%-*s  %s" % (width, what, "  ".join("%12s" % value(one) for one in rows)) for what, value in _ROWS]
    return [*shown, "", *("%d: %s" % (number, one.run.title) for number, one in enumerate(rows, 1))]


def document(rows: Sequence[Figures], pace: Pace, machine: Sequence[Tuple[str, str]]) -> str:
    """docs/load.md."""
    run, table = rows[0].run, [
        _row(["", *(one.run.title for one in rows)]), _row(["---"] * (len(rows) + 1)),
        *(_row([what, *(value(one) for one in rows)]) for what, value in _ROWS)]
    worst = max((one for one in rows if one.run.chance), key=lambda one: one.last)
    return _DOCUMENT.format(
        hosts=format(run.hosts, ","), limit=run.limit, table="\n".join(table), verdict=_verdict(rows), worst=worst,
        naive=rows[-1], missing=run.hosts - rows[-1].registered, best=run.hosts / run.limit, pace=pace,
        machine="\n".join("| %s | %s |" % pair for pair in machine))


def _verdict(rows: Sequence[Figures]) -> str:
    wrong = ["%s: %s" % (one.run.title, words) for one in rows if one.run.chance for words in one.wrong]
    return "; ".join(wrong) + "." if wrong else "All of it holds, with a `Retry-After` and without."


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


_DOCUMENT = """\
# A fleet registers at once

Written by `make load`, which measures it anew and ends with 1 where it does not hold. A sample of it is part of `make test`.

{hosts} hosts register at the same moment with a service that lets {limit} registrations through in a second and answers the
rest with 429. All have to be registered in the end, none with two seats, and after the first second no second may bring the
service more than twice what it lets through. {verdict}

![Requests in each second, let through and put off](load.svg)

{table}

The last column shows what the pauses are for. There each host comes back as early as its `Retry-After` and its window allow, and
nothing is left to chance. So they come back together: {naive.busiest} requests in one second. {missing} hosts were put off
four times and ended with "The service is busy". That column is not held to anything.

## What this means for a kickstart

- {hosts} hosts that are installed at the same time can register without being staggered. At {limit} in a second the service
  needs {best:.0f} seconds for them whatever they do. Half of them are through after {worst.half:.0f} seconds, the last after
  {worst.last:.0f}.
- A host that waits says so: `… is busy: HTTP 429. Trying again in 12 s (2 of 3).` Nothing on it has changed by then.
- With `retries = 3` a host waits 105 seconds at most, beside what the service asks for. If it is put off once more, it ends
  with 1 and has taken no seat: the same command can be run again.
- A larger fleet, or a smaller limit, wants a larger `retries` in [tuxcare.conf](configuration.md). Each one more is a chance
  within another 20 to 80 seconds.
- A key needs as many seats as there are hosts; here it had not one more.

## What a host does that is put off

The first time it waits up to 5 seconds, the second time 5 to 20, from the third time on 20 to 80: by chance, and on top of a
`Retry-After`, since all hosts were told the same. The windows grow fast, because no host knows how many others there are. They
do not overlap: who is put off again comes when the crowd of that window is through. Failures of the network are another matter
and are tried again sooner ([configuration.md](configuration.md)). A registration whose answer was lost is never sent again: it
could take a second seat.

## How it is measured

- Each host is a root of its own with AlmaLinux 9.2's files, and the library's own facts, plan, dialogue and transport, as
  `dnf tuxcare register` calls them, over HTTPS, up to the files that it changes afterwards. So it also proves its token by the
  repositories' indexes and fetches the signing key. dnf itself does not run.
- The service is the one of the sandbox, with a limiter of fixed seconds that begin with the first request. Requests are
  counted there.
- "The busiest second" is any second, wherever it begins, once every host had asked for the first time ({worst.burst:.1f} s after
  the first one did).
- A second of the limiter and of the pauses lasts {pace.second:g} seconds of the machine, and the table counts in the longer
  ones. Without that two processors would be the limiter: a TLS handshake and a request take some milliseconds at each end. With
  it {pace.processes} processes, with a thread for each host, made {worst.first} requests in the first second.
- `--seed {pace.seed}` decides the pauses of each host. `make load LOAD_ARGS=--help` has the other settings.

| measured on | |
| --- | --- |
{machine}
"""
