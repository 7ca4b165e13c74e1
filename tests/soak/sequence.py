# SPDX-License-Identifier: Apache-2.0
"""One sequence, from a fresh host to a clean one."""

import subprocess
import traceback
from typing import List, NamedTuple, Sequence, Tuple

from tests.sandbox.host import PROJECT
from tests.soak.checks import Checker
from tests.soak.site import Done, Lane, Patient
from tests.soak.steps import Step, draw

__all__ = ["Result", "run"]

_RECOVER = Step("verb", ("-y", "tuxcare", "recover"))
_STANDALONE = "import sys; from tuxcare_lib import standalone; sys.exit(standalone.main())"


class Result(NamedTuple):
    """`script` has the steps with what became of them; `wrong` is empty where every invariant held after every step."""

    number: int
    script: Tuple[str, ...]
    wrong: Tuple[str, ...]
    steps: int
    kills: int
    faults: int


def run(lane: Lane, seed: int, number: int) -> Result:
    with lane.patient() as patient:
        return _Run(patient, number).whole(draw(seed, number))


class _Run:
    def __init__(self, patient: Patient, number: int) -> None:
        self._patient = patient
        self._number = number
        self._checker = Checker(patient)
        self._script: List[str] = []
        self._kills = self._faults = 0
        self._vendor_edited = self._fips = False

    def whole(self, steps: Sequence[Step]) -> Result:
        wrong: List[str] = []
        try:
            for step in steps:
                wrong = wrong or self._step(step)[1]
            wrong = wrong or self._end()
        except Exception:  # a soak that falls over counts as a violation, with the steps that led there
            wrong = ["the soak itself failed: " + traceback.format_exc()]
        return Result(self._number, tuple(self._script), tuple(wrong), len(self._script), self._kills, self._faults)

    def _step(self, step: Step, decides: bool = False) -> Tuple[Done, List[str]]:
        before = self._checker.view()
        done = self._patient.do(step)
        self._count(step, done)
        self._script.append("%s -> %s" % (step, "nothing to edit" if done.skipped else done.status))
        return done, self._checker.after(step, done, before, decides)

    def _count(self, step: Step, done: Done) -> None:
        if step.kind == "edit" and step.words[0].startswith(("vendor file", "marker")):
            self._vendor_edited = True
        self._fips = self._fips or step.verb == "fips" or "--fips" in step.words
        if step.harm and done.hurt:
            self._faults += step.harm.kind == "fault"
            self._kills += step.harm.kind != "fault"

    # --- the end: recovered, unregistered, clean --------------------------------------------------------------------

    def _end(self) -> List[str]:
        self._patient.service.cancel_faults()
        self._start_again()
        done, wrong = self._step(_RECOVER)
        if wrong:
            return wrong
        if done.status not in (0, 1):
            return ["recover: exit status %d: %s" % (done.status, done.said)]
        wrong = self._checker.temporary()
        return wrong or self._unregister(local=done.status == 1)

    def _start_again(self) -> None:
        """Where a variable that is not text keeps dnf from starting, the stand-alone program mends it."""
        if self._checker.cannot_start():
            subprocess.run(["/usr/bin/python3", "-c", _STANDALONE, "--root", str(self._patient.host.root)], check=True,
                           env={"PYTHONPATH": str(PROJECT), "PATH": "/usr/bin:/bin"}, stdout=subprocess.DEVNULL)

    def _unregister(self, local: bool) -> List[str]:
        """As an administrator does it who follows what the command says."""
        words = ["-y", "tuxcare", "unregister", *(["--local"] if local else [])]
        for _ in range(4):
            done, wrong = self._step(Step("verb", tuple(words)), decides="--ours" in words or "--theirs" in words)
            if wrong:
                return wrong
            if done.status == 0:
                return self._checker.clean(self._vendor_edited, self._fips)
            more = "--local" if "--local" in done.err and "--local" not in words else ""
            if "--theirs" in done.err and "--ours" not in words and "--theirs" not in words:
                more = ["--ours", "--theirs"][self._number % 2]
            if not more:
                break
            words.append(more)
        return ["the host cannot be unregistered: exit status %d: %s" % (done.status, done.said[-1500:])]
