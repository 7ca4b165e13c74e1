# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare uninstall`: what it shows, whom it asks, and what it refuses or cannot finish."""
import re
from typing import List

import pytest

from tests.integration.fips_host import (
    NEWEST, VALIDATED, Grown, grown, in_fips, left, name_of, of_tuxcare, upgraded,
)
from tests.integration.outcome import State, document, is_done, refused, untouched
from tests.integration.terminal import typed
from tests.integration.test_fips import calls
from tests.integration.test_uninstall import AGAIN, boots, community, is_clean, uninstall
from tests.sandbox.faults import Fault, Status
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service

__all__ = ["grown", "in_fips", "left", "upgraded"]  # fixtures

UNREGISTER = "*/token/unregister"
BASEOS = "etc/yum.repos.d/almalinux-baseos.repo"


# --- shown, asked, declined ---------------------------------------------------------------------------------------


def test_dry_run_of_the_first_stage(in_fips: Host, service: Service) -> None:
    before = calls(in_fips)
    with untouched(in_fips, service):
        shown = is_done(in_fips.dnf("tuxcare", "uninstall", "--dry-run"))
        told = document(in_fips.dnf("tuxcare", "uninstall", "--dry-run", "--json"))
    assert [file["path"] for file in told["files"]] == ["/var/lib/tuxcare/fips.json"]  # that it is being left
    assert told["packages"] == [] and told["requests"] == [] and AGAIN in shown
    assert told["commands"][0] == ["grubby", "--set-default=/boot/vmlinuz-" + NEWEST]
    assert all(" ".join(command) in shown for command in told["commands"]) and calls(in_fips) == before


def test_dry_run_of_the_second_stage(left: Host, service: Service) -> None:
    with untouched(left, service):
        shown = is_done(left.dnf("tuxcare", "uninstall", "--dry-run"))
        told = document(left.dnf("tuxcare", "uninstall", "--dry-run", "--json"))
    packages = left.installed()
    uninstall(left)
    have = left.installed()
    assert {line.split()[1] for line in told["packages"]} == (have - packages) | {
        nevra for nevra in packages - have if name_of(nevra).startswith("kernel")}
    assert "Package: Downgrade openssl-1:3.0.7-16.el9_2.x86_64" in shown and told["commands"] == []
    paths = {entry["path"] for entry in told["files"]}
    assert {"/" + BASEOS, "/etc/dnf/vars/tuxcare_token", "/var/lib/tuxcare/fips.json"} <= paths
    assert len(told["requests"]) == 1 and "unregister" in told["requests"][0] and "This host leaves 9.2" in told["notes"][-1]


@pytest.mark.parametrize("args", [["--assumeno"], []], ids=["--assumeno", "no terminal"])
@pytest.mark.parametrize("kind", ["upgraded", "in FIPS mode"])
def test_nobody_agrees(grown: Grown, host: Host, service: Service, kind: str, args: List[str]) -> None:
    host = grown.copy(kind, host)
    before = calls(host)
    with untouched(host, service):
        refused(host.dnf(*args, "tuxcare", "uninstall", timeout=60), "This host leaves 9.2", "cannot be undone")
    assert calls(host) == before


@pytest.mark.parametrize("answers", ["n", "yn", "yy"])
def test_at_a_terminal(left: Host, service: Service, answers: str) -> None:
    before = State.of(left, service)
    prompts = ["Go on?", "[y/N]"]
    done = typed(left, ["tuxcare", "uninstall"], [(prompt, answer + "\n") for prompt, answer in zip(prompts, answers)])
    assert done.status == (0 if answers == "yy" else 1), done.shown
    assert "This host leaves 9.2" in done.shown
    assert (State.of(left, service) == before) == (answers != "yy")


def test_json(left: Host) -> None:
    done = left.dnf("-y", "tuxcare", "uninstall", "--json")
    told = document(done)
    assert (told["changed"], told["registered"], told["reboot"], told["seat_returned"]) == (True, False, False, True)
    assert "openssl-1:3.0.7-16.el9_2.x86_64" in told["installed"] and "kernel-" + VALIDATED in told["erased"]
    assert "Complete!" in done.stderr and ["not held on 9.2 any more" in note for note in told["notes"]] == [True]
    told = document(left.dnf("-y", "tuxcare", "uninstall", "--json"))
    assert (told["changed"], told["installed"], told["erased"], told["notes"]) == (False, [], [], [])


def test_json_of_the_first_stage(in_fips: Host) -> None:
    for changed in (True, False):
        told = document(in_fips.dnf("-y", "tuxcare", "uninstall", "--json"))
        assert (told["changed"], told["registered"], told["reboot"], told["installed"]) == (changed, True, True, [])
        assert [AGAIN in note for note in told["notes"]] == [True]


def test_json_asks_nobody(in_fips: Host, service: Service) -> None:
    with untouched(in_fips, service):
        told = document(in_fips.dnf("tuxcare", "uninstall", "--json"), status=1)
    assert told["error"]["code"] == "usage" and "-y" in told["error"]["remedy"]


# --- refused ------------------------------------------------------------------------------------------------------


def edit(host: Host) -> None:
    """A line of ours that was edited, and that dnf can do with."""
    path = host.root / BASEOS
    text = path.read_text()
    assert "AlmaLinux $tuxcare_releasever - BaseOS" in text
    path.write_text(text.replace("AlmaLinux $tuxcare_releasever - BaseOS", "mine", 1))


@pytest.mark.parametrize("kind", ["upgraded", "in FIPS mode"])
def test_a_conflict_stops_it_before_anything_is_changed(grown: Grown, host: Host, service: Service, kind: str) -> None:
    host = grown.copy(kind, host)
    edit(host)
    before = calls(host)
    with untouched(host, service):
        told = document(host.dnf("-y", "tuxcare", "uninstall", "--json"), status=1)
        done = host.dnf("-y", "tuxcare", "uninstall")
    assert told["error"]["code"] == "conflict" and done.returncode == 1 and "--ours" in done.stderr
    assert calls(host) == before


def test_a_conflict_that_is_decided(upgraded: Host) -> None:
    edit(upgraded)
    uninstall(upgraded, "--ours")
    assert of_tuxcare(upgraded.installed()) == set() and "mine" not in (upgraded.root / BASEOS).read_text()


def test_a_host_of_the_vendors_own_tool(host: Host, service: Service) -> None:
    (host.root / "etc/dnf/vars/tuxcare_releasever").write_text("9.2\n")
    (host.root / "etc/dnf/vars/tuxcare_token").write_text("TOKEN-abcde\n")
    (host.root / "etc/tuxcare-release").write_text("TuxCare Enterprise Support for AlmaLinux release 9.2\n")
    with untouched(host, service):
        for args in ([], ["--dry-run"], ["--local"]):
            refused(host.dnf("-y", "tuxcare", "uninstall", *args), "vendor's own tool", "tuxctl -d")


def test_a_service_that_is_gone_afterwards(left: Host, service: Service) -> None:
    service.order(Fault(Status(500), path=UNREGISTER))
    done = left.dnf("-y", "tuxcare", "uninstall")
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.returncode == 1 and len(errors) == 1 and "--local" in errors[0], done.stderr
    have = left.installed()
    assert of_tuxcare(have) == set() and (left.root / "etc/dnf/vars/tuxcare_token").exists()
    assert is_done(left.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"
    assert "may still be taken" in uninstall(left, "--local")
    is_clean(left)
    assert left.installed() == have


def test_a_key_that_is_expired(upgraded: Host, service: Service) -> None:
    """The vetted repositories do not open any more, so the packages come from the community's, once it is unregistered."""
    service.keys[ESU_KEY].expired = True
    with untouched(upgraded, service):
        done = upgraded.dnf("-y", "tuxcare", "uninstall")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    is_done(upgraded.dnf("-y", "tuxcare", "unregister", "--local"))
    community(upgraded, service)
    uninstall(upgraded)
    assert of_tuxcare(upgraded.installed()) == set()


def test_a_repository_that_is_not_there_is_no_reason_to_remove(upgraded: Host, service: Service) -> None:
    is_done(upgraded.dnf("-y", "install", "squid"))
    assert "squid-7:5.5-5.el9_2.1.tuxcare.els1.x86_64" in upgraded.installed()
    service.order(Fault(Status(503), path="*/AppStream/*"))
    upgraded.dnf("clean", "all")
    with untouched(upgraded, service):
        done = upgraded.dnf("-y", "--setopt=appstream.skip_if_unavailable=1", "tuxcare", "uninstall")
    assert done.returncode == 1 and "squid" in done.stderr, done.stdout + done.stderr


@pytest.mark.parametrize("word", ["--set-default", "--update-kernel"])
def test_a_boot_loader_that_refuses(in_fips: Host, service: Service, word: str) -> None:
    order = in_fips.root / "var/lib/sandbox-standins/grubby.fail"
    order.parent.mkdir(parents=True, exist_ok=True)
    order.write_text("1 %s\n" % word)
    done = in_fips.dnf("-y", "tuxcare", "uninstall")
    assert done.returncode in (1, 5) and len(re.findall("^Error: ", done.stderr, re.M)) == 1, done.stderr
    assert (in_fips.reboot().osrelease, in_fips.reboot().fips_enabled) == (VALIDATED, True)
    order.unlink()
    is_done(in_fips.dnf("-y", "tuxcare", "recover"))
    assert AGAIN in uninstall(in_fips)
    boots(in_fips, NEWEST)
