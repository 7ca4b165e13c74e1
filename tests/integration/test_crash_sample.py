# SPDX-License-Identifier: Apache-2.0
"""A seeded sample of `make crash` (docs/crash.md): of each changing verb some points at which it dies or is refused a call."""

import random
import shutil
from pathlib import Path
from typing import Dict, Iterator, List, Optional, Set

import pytest

from tests.crash import lost, points, system, table
from tests.crash.disk import Disk, write_tree
from tests.crash.injector import FAULTS, KILL, RPMS, Call
from tests.crash.points import BETWEEN, Allowed
from tests.crash.scenarios import SCENARIOS, Scenario
from tests.crash.site import Site
from tests.crash.system import System
from tests.crash.unrecovered import PAST
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

SEED = 20
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
# Which are killed while recovering, too, and refused a call.
MORE = {"register", "unregister", "release 9.4", "recover"}


@pytest.fixture(scope="module")
def site(universe: Universe, servers: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
    yield Site(universe, servers, tmp_path_factory.mktemp("crash"))


class Learned(Dict[str, Allowed]):
    """What an undisturbed run of each verb has shown, run when it is first asked for."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def __missing__(self, name: str) -> Allowed:
        self[name] = points.learn(self._site, BY_NAME[name])
        return self[name]


@pytest.fixture(scope="module")
def learned(site: Site) -> Learned:
    return Learned(site)


def complaints(trials: List[points.Trial]) -> str:
    return "\n".join(table.complaint(trial) for trial in trials if trial.verdict.wrong)


@pytest.mark.sampled
@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_verb_that_dies_or_is_refused_a_call(site: Site, learned: Learned, scenario: Scenario) -> None:
    chance = random.Random("%d %s" % (SEED, scenario.name))
    inside, more = scenario.places == RPMS, scenario.name in MORE
    allowed = learned[scenario.name]
    assert allowed.calls and allowed.before != allowed.after
    refused = chance.sample(FAULTS, 1) if more else ()
    for number in points.sample(allowed, 1, SEED):
        trials = list(points.tried(site, allowed, number, SEED, True, refused, twice=more))
        assert inside or len(trials) >= 1 + len(refused)
        assert not complaints(trials), complaints(trials)


def test_the_disk_refuses_once_the_kernel_of_the_way_back_is_gone(site: Site, learned: Learned) -> None:
    """At the last call before the commit."""
    allowed = learned["fips disable --packages"]
    commit = next(number for number, call in enumerate(allowed.calls)
                  if call.name == "rename" and call.fields[1].endswith("/journal.done"))
    assert allowed.calls[commit - 1].name == "fsync"
    trials = list(points.tried(site, allowed, commit, SEED, False, FAULTS[:1]))
    assert len(trials) == 1 and not complaints(trials), complaints(trials)


def test_a_foreign_upgrade_is_not_taken_for_packages_of_ours(site: Site, learned: Learned) -> None:
    """Killed while its first file changes, so before rpm begins: the upgrade after it stays, and all else is undone."""
    allowed = learned["fips enable"]
    opened = next(number for number, call in enumerate(allowed.calls, 1)
                  if call.name == "rename" and call.fields[1].endswith("/tuxcare/journal"))
    with site.point(allowed.scenario, allowed.taker) as point:
        assert point.run(KILL, opened + 2).status == -9
        point.plain("-y", "upgrade", "openssl", "gnutls")
        upgraded = point.host.installed()
        done = point.recover()
        assert done.status == 0 and "its changes were undone" in done.output
        assert point.host.installed() == upgraded and "openssl-1:3.0.7-20.el9_2.tuxcare.2.x86_64" in upgraded


def test_calls_of_rpm_and_of_scriptlets_are_seen(learned: Learned) -> None:
    """By their paths outside, though rpm makes them in a root that it has changed to."""
    calls = learned["fips enable, inside rpm"].calls
    assert {"/".join(call.fields[0].split("/root/", 1)[1].split("/")[:2]) for call in calls} >= {
        "var/lib", "usr/share", "usr/lib", "boot/grub2", "boot/loader"}
    assert {call.name for call in calls} >= {"open", "write", "rename", "chmod", "fopen", "fclose", "fsync"}


@pytest.mark.parametrize("verb", ["repos revert", "fips enable"])
def test_lost_writes(site: Site, learned: Learned, verb: str) -> None:
    found = lost.lost_writes(site, learned[verb], SEED, one_of=10)
    assert found.disks > 10 and not found.wrong, "\n".join(found.wrong)


# --- the judge itself -------------------------------------------------------------------------------------------------


def test_a_state_that_is_neither_is_found(site: Site, learned: Learned) -> None:
    """A host whose variable alone is gone is not taken for one that was or was not registered."""
    allowed = learned["register"]
    with site.point(allowed.scenario, allowed.taker) as point:
        assert points.judged(allowed, point.state(), "").end == "before"
        assert point.run().status == 0
        assert points.judged(allowed, point.state(), "").end == "after"
        path: Path = point.host.root / "etc/dnf/vars/tuxcare_releasever"
        path.unlink()
        verdict = points.judged(allowed, point.state(), "")
    assert verdict.end == "" and any("tuxcare_releasever: absent" in line for line in verdict.wrong)


def test_packages_and_boot_are_judged(site: Site, learned: Learned) -> None:
    allowed = learned["fips enable"]
    with site.point(allowed.scenario, allowed.taker) as point:
        assert point.run().status == 0
        state = point.state()
        assert points.judged(allowed, state, "").end == "after"
        assert points.judged(allowed, state._replace(system=twice(state.system)), "").end == ""
        grubenv: Path = point.host.root / "boot/grub2/grubenv"
        grubenv.write_text(grubenv.read_text().replace(".tuxcare.6", ""))
        readme = next(iter((point.host.root / "usr/share/doc").glob("*/README")))
        readme.unlink()
        verdict = points.judged(allowed, point.state(), "")
    assert verdict.end == "" and any(line.startswith("boots 5.14") for line in verdict.wrong)
    assert any("rpm -V: missing" in line for line in verdict.wrong)
    judge_between(allowed)


def twice(before: System) -> System:
    return before._replace(packages=tuple(sorted(before.packages + before.packages[:1])))


def judge_between(allowed: Allowed) -> None:
    """Packages that are there while all else is as before: only where that is said."""
    state = points.between(allowed)[0]
    assert state.system.packages == allowed.after.system.packages and state.files == allowed.before.files
    assert points.judged(allowed, state, "The packages are installed and stay; …") == points.Verdict(BETWEEN)
    assert points.judged(allowed, state, "").wrong


def test_what_goes_past_a_pin_is_found(site: Site, learned: Learned) -> None:
    """A host that nothing holds plans it; one that is held does not."""
    allowed = learned["fips enable"]
    with site.point(allowed.scenario, allowed.taker) as point:
        held = point.plain("--assumeno", "upgrade").output
        (point.host.root / "etc/dnf/vars/tuxcare_releasever").write_text("9.4\n")
        loose = point.plain("--noplugins", "--disablerepo=tuxcare-*", "--assumeno", "upgrade").output
    assert "Upgrading:" in held and not PAST.search(held)
    assert PAST.search(loose)


def test_a_host_that_cannot_boot_is_found(site: Site) -> None:
    host = site.prepare(BY_NAME["fips enable"])
    assert system.take(host).default.startswith("5.14")
    images = list((host.root / "boot").glob("vmlinuz-*"))
    for image in images:
        image.rename(image.with_name("away"))
    try:
        assert system.take(host).default.startswith("nothing")
    finally:
        for image in images:
            image.with_name("away").rename(image)


# --- the model of lost writes -----------------------------------------------------------------------------------------


def replaced(root: Path, *synced: str) -> Set[Optional[bytes]]:
    """What a power cut may leave of `etc/a` (b"old") that is replaced by b"new!" through a temporary file."""
    (root / "etc").mkdir()
    (root / "etc/a").write_bytes(b"old")
    top, temporary, target = str(root / "etc"), str(root / "etc/.new"), str(root / "etc/a")
    calls = [Call("open", (temporary, "301", "600"), "3"), Call("write", (temporary, "-1", b"new!".hex()), "4")]
    calls += [Call("fsync", (temporary,), "0")] if "file" in synced else []
    calls += [Call("rename", (temporary, target), "0")]
    calls += [Call("fsync", (top,), "0")] if "folder" in synced else []
    found = set()
    for number, (_, tree) in enumerate(Disk(root, ["etc"], calls).states(SEED)):
        place = root / str(number)
        place.mkdir()
        write_tree(tree, place)
        found.add((place / "etc/a").read_bytes())
    return found


def test_what_was_not_synced_may_be_gone_or_torn(tmp_path: Path) -> None:
    assert replaced(tmp_path) == {b"old", b"", b"ne", b"new!"}


def test_what_was_synced_is_there(tmp_path: Path) -> None:
    assert replaced(tmp_path, "file", "folder") == {b"old", b"new!"}


def test_a_verb_that_is_run_alone_writes_its_row_anew() -> None:
    rows = [table.Row(verb, *[number] * 12) for number, verb in enumerate(("register", "recover"))]
    page = table.markdown(rows, 60, [])
    anew = rows[1]._replace(half=0)
    assert table.merged(page, [anew]) == [rows[0], anew]
    assert "Half states: 0" in table.markdown(table.merged(page, [anew]), 60, [])
