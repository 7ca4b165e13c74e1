# SPDX-License-Identifier: Apache-2.0
"""A sample of `make soak`, by a fixed seed; and that the soak's checks find what they are for."""

import subprocess
from pathlib import Path
from typing import Callable, Dict, Iterator, List

import pytest

from tests.sandbox import namespace
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe
from tests.soak import probe, sequence
from tests.soak.checks import TOKEN, Checker
from tests.soak.shadow import without_ours
from tests.soak.site import KEYS, Done, Lane, Patient
from tests.soak.steps import Step, draw

# Between them they have kills, signals, faults of the service, edits and transactions.
SEED, NUMBERS = 1, (127, 132, 143)
REGISTER = Step("verb", ("-y", "tuxcare", "register"), "esu")
STATUS = Step("verb", ("tuxcare", "status"))
BASEOS = "etc/yum.repos.d/almalinux-baseos.repo"


@pytest.fixture(scope="module")
def lane(universe: Universe, servers: Service, tmp_path_factory: pytest.TempPathFactory) -> Lane:
    return Lane(universe, servers, tmp_path_factory.mktemp("lane"))


@pytest.mark.sampled
@pytest.mark.parametrize("number", NUMBERS)
def test_a_sequence(lane: Lane, number: int) -> None:
    result = sequence.run(lane, SEED, number)
    again = "python3 -m tests.soak --seed %d --sequence %d" % (SEED, number)
    assert result.wrong == (), "\n".join([again, *result.script, *result.wrong])
    assert result.steps >= len(draw(SEED, number))


def test_a_seed_draws_the_same_sequences_and_other_seeds_others() -> None:
    assert [draw(1, number) for number in range(20)] == [draw(1, number) for number in range(20)]
    assert [draw(1, number) for number in range(20)] != [draw(2, number) for number in range(20)]


def test_all_that_there_is_is_drawn() -> None:
    steps = [step for number in range(1, 201) for step in draw(1, number)]
    assert {step.verb for step in steps} >= {"register", "unregister", "release", "repos", "recover", "status", "fips"}
    assert {step.harm.kind for step in steps if step.harm} == {"kill", "signal", "fault"}
    assert 5 * 200 <= len(steps) <= 10 * 200 and len({step.words for step in steps if step.kind == "edit"}) > 60


# --- what the checks find -----------------------------------------------------------------------------------------------


def _rpm(patient: Patient, path: Path) -> None:
    place = ["--root", str(patient.host.root), "--define", "_dbpath /var/lib/rpm"]
    subprocess.run([*namespace.as_root(), "rpm", *place, "-U", "--nodeps", str(path)], check=True, stdout=subprocess.DEVNULL)


def _unpin(patient: Patient) -> None:
    """Behind the plugin's back: dnf itself would refuse, so the address is judged by a client without plugins."""
    for path in (patient.host.root / "etc/yum.repos.d").glob("almalinux-*.repo"):
        path.write_text(path.read_text().replace("/$tuxcare_releasever/$tuxcare_token/", "/9.4/"))


SPOILT: Dict[str, Callable[[Patient], object]] = {
    "a token is in etc/copy": lambda one: (one.host.root / "etc/copy").write_bytes((one.host.root / TOKEN).read_bytes()),
    "a licence key is in": lambda one: (one.host.root / "var/log/dnf.log").write_text(KEYS["esu"]),
    "past the pin is installed": lambda one: _rpm(one, Universe.build().package("less", "590-4.el9_4")),
    "stray file": lambda one: (one.host.root / "etc/dnf/vars/tuxcare_token.old").write_text("x\n"),
    "seats are taken": lambda one: one.service.licences.register(KEYS["esu"], "web1.example.com"),
    "of which the service does not know": lambda one: one.service.licences.unregister(one.seats()[0]),
    "the administrator's etc/yum.repos.d/almalinux-baseos.repo":
        lambda one: (one.host.root / BASEOS).write_bytes((one.host.root / BASEOS).read_bytes() + b"# new\n"),
    "etc/tuxcare-release is changed": lambda one: (one.host.root / "etc/tuxcare-release").chmod(0o600),
}  # fmt: skip


@pytest.fixture
def registered(lane: Lane) -> Iterator[Patient]:
    with lane.patient() as patient:
        yield patient


def test_what_a_verb_must_not_do_is_found(registered: Patient) -> None:
    """The same step after each further change: what it is for is found then, and not before."""
    checker = Checker(registered)
    before = checker.view()
    assert checker.after(REGISTER, registered.do(REGISTER), before) == []
    before = checker.view()
    done = registered.do(STATUS)
    found = checker.after(STATUS, done, before)
    assert found == []
    for word, spoil in SPOILT.items():
        assert not any(word in line for line in found), word
        spoil(registered)
        found = checker.after(STATUS, done, before)
        assert any(word in line for line in found), word


@pytest.mark.parametrize("done, word", [
    (Done(status=5), "exit status 5"), (Done(status=2), "exit status 2"), (Done(err="Traceback (most recent"), "traceback"),
], ids=["5", "2", "traceback"])
def test_how_a_verb_must_not_end_is_found(registered: Patient, done: Done, word: str) -> None:
    checker = Checker(registered)
    assert any(word in line for line in checker.after(Step("verb", ("tuxcare", "recover")), done, checker.view()))


def test_a_plan_past_the_pin_is_found(registered: Patient) -> None:
    """A host that was never registered goes on to the newest minor, and the same one held does not."""
    def past() -> List[str]:
        return probe.past_in(probe.next_transaction(registered.host)[1])

    assert "less-590-4.el9_4.x86_64" in past()
    assert registered.do(REGISTER).status == 0
    assert past() == [] and probe.unpinned(registered.host.root) == []
    _unpin(registered)
    assert probe.unpinned(registered.host.root) != []


def test_without_ours_is_the_inverse_of_a_switch(registered: Patient) -> None:
    before = (registered.host.root / BASEOS).read_bytes()
    assert registered.do(REGISTER).status == 0
    after = (registered.host.root / BASEOS).read_bytes()
    assert after != before and without_ours(after) == before
