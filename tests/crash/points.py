# SPDX-License-Identifier: Apache-2.0
"""One point of a verb: killed there, killed there and once more while recovering, or refused a call there; then judged."""

import random
import re
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from tests.crash.injector import FAULTS, KILL, Call, Injection
from tests.crash.scenarios import Scenario
from tests.crash.site import Done, Point, Site
from tests.crash.state import State, Taker

__all__ = ["KILLED_TWICE", "Allowed", "Trial", "Verdict", "learn", "tried"]

KILLED_TWICE = "kill, and kill while recovering"
_TAKEN = "may still be taken"
_RETURNED = "The seat was given back"
_BEFORE, _AFTER = "before", "after"


class Allowed(NamedTuple):
    """What an undisturbed run of the verb has shown: the two states, and the calls in between."""

    scenario: Scenario
    taker: Taker
    before: State
    after: State
    calls: List[Call]


class Verdict(NamedTuple):
    """`end` is "before" or "after"; `wrong` what is neither, line by line, and empty where all is well.

    `seat` tells that a seat may be taken and was said so; `left` that cleaning failed and the next recover did it; `folder`
    that an empty state folder is too many.
    """

    end: str
    wrong: Tuple[str, ...] = ()
    seat: bool = False
    left: bool = False
    folder: bool = False


class Trial(NamedTuple):
    """A point (from 1), what was done there, and what came of it."""

    scenario: str
    number: int
    call: str
    injection: str
    verdict: Verdict


def learn(site: Site, scenario: Scenario) -> Allowed:
    """Runs the verb undisturbed. Raises RuntimeError where it does not do its work."""
    taker = Taker(site.prepare(scenario))
    with site.point(scenario, taker) as point:
        before = point.state()
        done = point.run()
        after = point.state()
    if done.status or before == after:
        raise RuntimeError("%s: exit status %d\n%s" % (scenario.name, done.status, done.output))
    return Allowed(scenario, taker, before, after, done.calls)


def tried(site: Site, allowed: Allowed, number: int, seed: int, kills: bool = True,
          faults: Sequence[Injection] = FAULTS) -> Iterator[Trial]:
    """All that is done at one point."""
    call = _called(allowed.calls[number - 1])

    def trial(name: str, verdict: Verdict) -> Trial:
        return Trial(allowed.scenario.name, number, call, name, verdict)

    if kills:
        once, twice = _killed(site, allowed, number, random.Random("%d %s %d" % (seed, allowed.scenario.name, number)))
        yield trial(KILL.name, once)
        if twice is not None:
            yield trial(KILLED_TWICE, twice)
    for fault in faults:
        yield trial(fault.name, _refused(site, allowed, number, fault))


def _called(call: Call) -> str:
    """The call, its paths without what is in front of the root."""
    return re.sub(r"/[^ (]*?/host\d+/root/", "/", str(call))


# --- killed -----------------------------------------------------------------------------------------------------------


def _killed(site: Site, allowed: Allowed, number: int, chance: random.Random) -> Tuple[Verdict, Optional[Verdict]]:
    """The second verdict is None where recover has nothing to do at which it could be killed."""
    with site.point(allowed.scenario, allowed.taker) as point:
        done = point.run(KILL, number)
        if done.status != -9:
            return Verdict("", ("the verb was not killed: exit status %d" % done.status, done.output)), None
        moment = point.remember()
        done = point.recover()
        first = _recovered(allowed, point, done)
        if not done.calls:
            return first, None
        point.go_back(moment)
        return first, _killed_again(allowed, point, chance.randint(1, len(done.calls)))


def _killed_again(allowed: Allowed, point: Point, at: int) -> Verdict:
    first = point.recover(KILL, at)
    if first.status != -9:
        return Verdict("", ("recover was not killed at %d: exit status %d" % (at, first.status), first.output))
    verdict = _recovered(allowed, point, point.recover(), first.output)
    return verdict._replace(wrong=("killed at %d of recover: %s" % (at, _called(first.calls[-1])), *verdict.wrong)
                            if verdict.wrong else ())


def _recovered(allowed: Allowed, point: Point, done: Done, told_before: str = "") -> Verdict:
    """After a plain recover: exactly one of the two states."""
    if done.status or "Traceback" in done.output:
        return Verdict("", ("recover: exit status %d" % done.status, done.output, *_nearest(allowed, point.state())))
    verdict = judged(allowed, point.state(), told_before + done.output)
    if allowed.scenario.mends and verdict.end == _BEFORE:
        return verdict._replace(wrong=("recover did not mend",))
    return verdict if not verdict.wrong else verdict._replace(wrong=(*verdict.wrong, "recover said: " + done.output.strip()))


# --- refused ----------------------------------------------------------------------------------------------------------


def _refused(site: Site, allowed: Allowed, number: int, fault: Injection) -> Verdict:
    """Exit 0: after; 1: before; 5: either, once recover has run on a disk that is well again."""
    with site.point(allowed.scenario, allowed.taker) as point:
        done = point.run(fault, number)
        verdict = _after_fault(allowed, point, done)
    if verdict.wrong:
        told = "exit status %d, said: %s" % (done.status, done.output.strip())
        return verdict._replace(wrong=(*verdict.wrong, told))
    return verdict


def _after_fault(allowed: Allowed, point: Point, done: Done) -> Verdict:
    if "Traceback" in done.output or done.status not in (0, 1, 5):
        return Verdict("", ("a traceback, or an exit status that is none of 0, 1 and 5",))
    if not any(call.result.startswith("errno") for call in done.calls):
        return Verdict("", ("no call was refused",))
    if done.status == 5:
        return _recovered(allowed, point, point.recover(), done.output)
    state = point.state()
    verdict = judged(allowed, state.tidy(), done.output)
    expected = _AFTER if done.status == 0 else _BEFORE
    if verdict.wrong or verdict.end != expected:
        return verdict._replace(wrong=verdict.wrong or ("exit status %d, and everything is as %s" % (done.status, verdict.end),))
    if state == state.tidy():
        return verdict
    cleaned = _recovered(allowed, point, point.recover(), done.output)
    return cleaned._replace(left=True)


# --- judged -----------------------------------------------------------------------------------------------------------


def judged(allowed: Allowed, state: State, told: str) -> Verdict:
    """Whether a state is one of the two; `told` is all that the commands have said."""
    for end, whole in ((_BEFORE, allowed.before), (_AFTER, allowed.after)):
        likened = state
        if state.seats != whole.seats and _seats_told(allowed, end, state.seats, told):
            likened = state._replace(seats=whole.seats)
        more = sum(state.seats) > sum(whole.seats)
        if likened == whole:
            return Verdict(end, seat=more)
        if likened.without_empty_folder() == whole.without_empty_folder():
            return Verdict(end, seat=more, folder=True)
    return Verdict("", _nearest(allowed, state))


def _seats_told(allowed: Allowed, end: str, seats: Tuple[int, ...], told: str) -> bool:
    """One seat more than before the verb, and that was said; or none, where the verb alone would have left one, and that was."""
    before = allowed.before.seats
    if end == _BEFORE:
        return seats[:-1] == before[:-1] and seats[-1] == before[-1] + 1 and _TAKEN in told
    return not any(seats) and _RETURNED in told


def _nearest(allowed: Allowed, state: State) -> Tuple[str, ...]:
    found = {"before": state.differences(allowed.before), "after": state.differences(allowed.after)}
    name = min(found, key=lambda which: len(found[which]))
    return ("nearest to %s:" % name, *found[name])
