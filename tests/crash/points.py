# SPDX-License-Identifier: Apache-2.0
"""One point of a verb: killed there, killed there and once more while recovering, or refused a call there; then judged."""

import random
import re
import time
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from tests.crash.injector import FAULTS, KILL, RPMS, Call, Injection
from tests.crash.scenarios import Scenario
from tests.crash.site import Done, Point, Site
from tests.crash.state import State, Taker
from tests.crash.unrecovered import unrecovered

__all__ = ["BETWEEN", "KILLED_TWICE", "Allowed", "Trial", "Verdict", "between", "faults", "judged", "learn", "sample", "tried"]

KILLED_TWICE = "kill, and kill while recovering"
_TAKEN = "may still be taken"
# The latter where the service had it back before the kill, and knows the token no more.
_RETURNED = re.compile("The seat was given back|the seat is free already")
_BEFORE, _AFTER, BETWEEN = "before", "after", "between"
# Said where the packages alone are as after the verb, so that somebody knows that it has to be run again. Between the two
# operations of `uninstall` nothing is open, and there is nobody to say it: docs/journal.md does.
_STAY = re.compile("packages (are installed and )?stay|`dnf tuxcare uninstall` again", re.I)
_TWO_OPERATIONS = "Nothing was cut off"
_LINES = 12


class Allowed(NamedTuple):
    """What an undisturbed run of the verb has shown: the two states, and the calls in between."""

    scenario: Scenario
    taker: Taker
    before: State
    after: State
    calls: List[Call]
    released: Dict[str, Tuple[str, str]]


class Verdict(NamedTuple):
    """`end` is "before", "after", or BETWEEN (packages alone are as after); `wrong` what is none of them, line by line.

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
        released = taker.released(point.host.root) if scenario.packages else {}
        done = point.run()
        after = point.state()
    if done.status or before == after:
        raise RuntimeError("%s: exit status %d\n%s" % (scenario.name, done.status, done.output))
    return Allowed(scenario, taker, before, after, done.calls, released)


def between(allowed: Allowed) -> Tuple[State, ...]:
    """The packages as after the verb and all else as before; of `uninstall` also: its first operation, and not its second."""
    before, after = allowed.before, allowed.after
    mixed = before._replace(system=before.system.with_packages_of(after.system))
    return (mixed, before.with_mode_of(after, allowed.released)) if allowed.scenario.packages else ()


def _is_told(allowed: Allowed, state: State, told: str) -> bool:
    return bool(_STAY.search(told)) or (_TWO_OPERATIONS in told and state == between(allowed)[1])


def sample(allowed: Allowed, count: int, seed: int) -> List[int]:
    """Some of the points, by chance. Most of rpm's calls write its database: half of the sample are others."""
    chance = random.Random("%d %s" % (seed, allowed.scenario.name))
    numbers = range(1, len(allowed.calls) + 1)
    others = [number for number in numbers if _is_rpms(allowed) and "/var/lib/rpm/" not in allowed.calls[number - 1].fields[0]]
    chosen = chance.sample(others, min(len(others), count // 2))
    rest = [number for number in numbers if number not in chosen]
    return sorted(chosen + chance.sample(rest, min(len(rest), count - len(chosen))))


def faults(number: int) -> Tuple[Injection, ...]:
    """A point's part of the faults: EIO and ENOSPC once; at each fourth point also from there on."""
    return (*FAULTS[:2], *(FAULTS[2:] if number % 4 == 0 else ()))


def tried(site: Site, allowed: Allowed, number: int, seed: int, kills: bool = True, refused: Sequence[Injection] = FAULTS,
          twice: bool = True) -> Iterator[Trial]:
    """All that is done at one point: killed, or also killed `twice`, and `refused` a call."""
    call = _called(allowed.calls[number - 1])

    def trial(name: str, verdict: Verdict) -> Trial:
        return Trial(allowed.scenario.name, number, call, name, verdict)

    if kills:
        chance = random.Random("%d %s %d" % (seed, allowed.scenario.name, number)) if twice else None
        found = _killed(site, allowed, number, chance)
        for name, verdict in zip((KILL.name, KILLED_TWICE), found):
            if verdict is not None:
                yield trial(name, verdict)
    for fault in refused:
        yield trial(fault.name, _refused(site, allowed, number, fault))


def _called(call: Call) -> str:
    """The call, its paths without what is in front of the root."""
    return re.sub(r"/[^ (]*?/host\d+/root/", "/", str(call))


# --- killed -----------------------------------------------------------------------------------------------------------


def _killed(site: Site, allowed: Allowed, number: int,
            chance: Optional[random.Random]) -> Tuple[Verdict, Optional[Verdict]]:
    """The second verdict is None without a `chance` for a second kill, or where recover does nothing that could be killed.

    rpm's database makes more or fewer calls from time to time: where there is none of that number, an earlier one is taken.
    """
    with site.point(allowed.scenario, allowed.taker) as point:
        done = point.run(KILL, number)
        if done.status == -9:
            return _judged_twice(allowed, point, chance)
    if done.status == 0 and _is_rpms(allowed) and len(done.calls) < number:
        return _killed(site, allowed, 1 + number % len(done.calls), chance)
    return Verdict("", ("the verb was not killed: exit status %d" % done.status, done.output)), None


def _judged_twice(allowed: Allowed, point: Point, chance: Optional[random.Random]) -> Tuple[Verdict, Optional[Verdict]]:
    """Of a host whose verb was killed."""
    if _is_rpms(allowed):
        time.sleep(1 - time.time() % 1)  # rpm names its temporary files by the second
    wrong = unrecovered(point, allowed.before.system, allowed.after.system) if allowed.scenario.packages else ()
    moment = point.remember() if chance else None
    done = point.recover()
    first = _recovered(allowed, point, done)
    first = first._replace(wrong=(*wrong, *first.wrong))
    if not done.calls or moment is None or chance is None:
        return first, None
    point.go_back(moment)
    return first, _killed_again(allowed, point, chance.randint(1, len(done.calls)))


def _is_rpms(allowed: Allowed) -> bool:
    return allowed.scenario.places == RPMS


def _killed_again(allowed: Allowed, point: Point, at: int) -> Optional[Verdict]:
    first = point.recover(KILL, at)
    if first.status == 0 and _is_rpms(allowed):
        return None  # fewer calls than the first time
    if _is_rpms(allowed):
        time.sleep(1 - time.time() % 1)
    if first.status != -9:
        return Verdict("", ("recover was not killed at %d: exit status %d" % (at, first.status), first.output))
    verdict = _recovered(allowed, point, point.recover(), first.output)
    return verdict._replace(wrong=("killed at %d of recover: %s" % (at, _called(first.calls[-1])), *verdict.wrong)
                            if verdict.wrong else ())


def _recovered(allowed: Allowed, point: Point, done: Done, told_before: str = "") -> Verdict:
    """After a plain recover: exactly one of the two states."""
    if done.status or "Traceback" in done.output:
        return Verdict("", ("recover: exit status %d" % done.status, done.output, *_nearest(allowed, point.state())))
    verdict = _finished(allowed, point, judged(allowed, point.state(), told_before + done.output))
    if allowed.scenario.mends and not verdict.wrong and verdict.end != _AFTER:
        return verdict._replace(wrong=("recover did not mend",))
    return verdict if not verdict.wrong else verdict._replace(wrong=(*verdict.wrong, "recover said: " + _end(done.output)))


def _end(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-_LINES:])


def _finished(allowed: Allowed, point: Point, verdict: Verdict) -> Verdict:
    """Where the packages alone are as after it, the same command does the rest."""
    if verdict.end != BETWEEN or verdict.wrong:
        return verdict
    done = point.run()
    again = judged(allowed, point.state(), done.output)
    if done.status or again.end != _AFTER:
        return verdict._replace(wrong=("run again: exit status %d" % done.status, _end(done.output), *again.wrong))
    return verdict


# --- refused ----------------------------------------------------------------------------------------------------------


def _refused(site: Site, allowed: Allowed, number: int, fault: Injection) -> Verdict:
    """Exit 0: after; 1: before; 5: either, once recover has run on a disk that is well again."""
    with site.point(allowed.scenario, allowed.taker) as point:
        done = point.run(fault, number)
        verdict = _after_fault(allowed, point, done)
    if verdict.wrong:
        told = "exit status %d, said: %s" % (done.status, _end(done.output))
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
    verdict = _finished(allowed, point, judged(allowed, state.tidy(), done.output))
    expected = _AFTER if done.status == 0 else _BEFORE
    if verdict.wrong or verdict.end not in (expected, *([BETWEEN] if done.status else [])):
        return verdict._replace(wrong=verdict.wrong or ("exit status %d, and everything is as %s" % (done.status, verdict.end),))
    if state == state.tidy() or verdict.end == BETWEEN:
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
    if state in between(allowed):
        untold = () if _is_told(allowed, state, told) else ("the packages alone are as after, and nobody said so",)
        return Verdict(BETWEEN, untold)
    return Verdict("", _nearest(allowed, state))


def _seats_told(allowed: Allowed, end: str, seats: Tuple[int, ...], told: str) -> bool:
    """One seat more than before the verb, and that was said; or none, where the verb alone would have left one, and that was."""
    before = allowed.before.seats
    if end == _BEFORE:
        return seats[:-1] == before[:-1] and seats[-1] == before[-1] + 1 and _TAKEN in told
    return not any(seats) and bool(_RETURNED.search(told))


def _nearest(allowed: Allowed, state: State) -> Tuple[str, ...]:
    found = {"before": state.differences(allowed.before), "after": state.differences(allowed.after)}
    found.update(("between, %d" % number, state.differences(mixed)) for number, mixed in enumerate(between(allowed)))
    name = min(found, key=lambda which: len(found[which]))
    more = ["... and %d more" % (len(found[name]) - _LINES)] if len(found[name]) > _LINES else []
    return ("nearest to %s:" % name, *found[name][:_LINES], *more)
