# SPDX-License-Identifier: Apache-2.0
"""Cut off inside rpm: told with exit 5, the host boots and is held, and one `dnf tuxcare recover` finishes or takes back."""
import os
import re
import signal
from typing import List

import pytest

from tests.integration.fips_host import (
    NEWEST, STOCK, VALIDATED, grown, in_fips, left, name_of, of_tuxcare, remove_community_kernels, twice,
)
from tests.integration.outcome import State, document, is_done, own_lines, refused, untouched
from tests.integration.test_fips import VALIDATED as SET
from tests.integration.test_fips import enable
from tests.sandbox.faults import Fault, Status
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service

__all__ = ["grown", "in_fips", "left"]  # fixtures

JOURNAL = "var/lib/tuxcare/journal"
TOLD = "tuxcare: an operation was cut off on this host. Run `dnf tuxcare recover`."
RECOVER = "dnf tuxcare recover"
KERNEL_LINE = "kernel-core-" + VALIDATED


def killed(host: Host, at: str, *args: str) -> None:
    """As `dies`, in an operation of ours."""
    said = dies(host, at, *args)
    assert (host.root / JOURNAL).exists(), said


def dies(host: Host, at: str, *args: str) -> str:
    """`dnf -y ARGS…` dies when a line of its progress matches: rpm has done, or is about to do, what that line says."""
    process = host.start_dnf("-y", *args)
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if re.search(at, line):
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    return said


def packages_of(host: Host, *names: str) -> List[str]:
    return sorted(nevra for nevra in host.installed() if name_of(nevra) in names)


def is_half(host: Host, kernel: str) -> None:
    """What holds until `recover`: the host boots and is pinned, and what changes something says what is to be done."""
    booted = host.reboot()
    assert (booted.osrelease, booted.fips_enabled) == (kernel, False)
    found = document(host.dnf("tuxcare", "status", "--check", "--json"), status=4)["findings"]
    assert [finding["code"] for finding in found] == ["journal"] and RECOVER in found[0]["remedy"]
    refused(host.dnf("-y", "tuxcare", "unregister"), "cut off", RECOVER, status=5)
    plan = host.dnf("--assumeno", "upgrade").stdout
    assert not re.search(r"\.el9_4|almalinux-release", plan), plan


def recover(host: Host, *args: str) -> str:
    said = is_done(host.dnf("-y", *args, "tuxcare", "recover"))
    assert not (host.root / JOURNAL).exists() and twice(host) == []
    assert is_done(host.dnf("-y", "tuxcare", "recover")) == "Nothing was cut off, and nothing is missing.\n"
    return said


def is_in_fips(host: Host) -> None:
    assert host.installed() >= SET
    assert (host.reboot().osrelease, host.reboot().fips_enabled) == (VALIDATED, True)
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"


# --- fips enable --------------------------------------------------------------------------------------------------


@pytest.mark.registered
def test_every_command_says_what_is_to_be_done(host: Host) -> None:
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    with untouched(host):
        assert RECOVER in is_done(host.dnf("tuxcare", "status"))
        for verb in (["unregister"], ["fips", "enable"], ["uninstall"], ["repos", "revert"], ["register", "--replace"]):
            refused(host.dnf("-y", "tuxcare", *verb), "cut off", RECOVER, status=5)
        assert KERNEL_LINE in is_done(host.dnf("tuxcare", "recover", "--dry-run"))
        for args in ([], ["--assumeno"]):
            done = host.dnf(*args, "tuxcare", "recover", timeout=60)
            assert done.returncode == 5 and "Traceback" not in done.stderr
            assert len(re.findall("^Error: .*`dnf -y tuxcare recover`", done.stderr, re.M)) == 1, done.stderr
    recover(host)
    is_in_fips(host)


@pytest.mark.registered
@pytest.mark.parametrize("at", ["Upgrading .*: openssl-libs", "Cleanup .*: nss-3", "Verifying .* 2/"],
                         ids=["installing", "cleaning up", "verifying"])
def test_fips_enable_is_finished(host: Host, at: str) -> None:
    killed(host, at, "tuxcare", "fips", "enable")
    is_half(host, VALIDATED if at.startswith("Verifying") else STOCK)
    plan = document(host.dnf("tuxcare", "recover", "--dry-run", "--json"))["packages"]
    # What stands beside its predecessor is there already: the predecessor goes. All else comes, again where it is there.
    doubled = set(twice(host))
    doubled.update(name_of(nevra) for nevra in packages_of(host, "kernel") if "tuxcare" not in nevra)
    assert {line.split()[1] for line in plan if not line.startswith("Removed")} >= {
        nevra for nevra in SET if name_of(nevra) not in doubled}
    assert {name_of(line.split()[1]) for line in plan if line.startswith("Removed")} == doubled
    assert "it is finished" in recover(host)
    is_in_fips(host)


@pytest.mark.registered
def test_a_foreign_transaction_is_told_and_goes_on(host: Host) -> None:
    killed(host, "Upgrading .*: gnutls", "tuxcare", "fips", "enable")
    done = host.dnf("-y", "upgrade", "bash")
    assert is_done(done) and own_lines(done.stderr) == [TOLD]
    assert packages_of(host, "bash") == ["bash-5.1.8-6.el9_1.tuxcare.els1.x86_64"]
    recover(host)
    is_in_fips(host)
    assert packages_of(host, "bash") == ["bash-5.1.8-6.el9_1.tuxcare.els1.x86_64"]


@pytest.mark.registered
def test_a_foreign_upgrade_may_have_ended_it(host: Host) -> None:
    """It takes later builds of the same packages: `recover` does not go back behind them."""
    killed(host, "Upgrading .*: openssl-1:", "tuxcare", "fips", "enable")
    is_done(host.dnf("-y", "upgrade"))
    recover(host)
    assert host.installed() & {"kernel-" + VALIDATED} and twice(host) == []
    enable(host)
    assert (host.reboot().osrelease, host.reboot().fips_enabled) == (VALIDATED, True)


@pytest.mark.registered
def test_recover_killed_itself(host: Host) -> None:
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    for at in ("(Reinstalling|Upgrading|Installing) .*: nettle", "(Cleanup|Erasing) .*: nss-util"):
        killed(host, at, "tuxcare", "recover")
    told = document(host.dnf("-y", "tuxcare", "recover", "--json"))
    assert told["changed"] and "it is finished" in told["settled"][0] and twice(host) == []
    is_in_fips(host)


def gone(host: Host, service: Service) -> None:
    service.order(Fault(Status(404), path="*/fips/*"))
    is_done(host.dnf("clean", "all"))


@pytest.mark.registered
def test_what_cannot_be_finished_is_taken_back(host: Host, service: Service) -> None:
    before = State.of(host)
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    gone(host, service)
    done = host.dnf("-y", "--setopt=tuxcare-fips.skip_if_unavailable=1", "tuxcare", "recover")
    assert "its changes were undone" in is_done(done) and "cannot be finished" in done.stderr
    assert host.installed() == before[1] and not (host.root / JOURNAL).exists()
    assert host.reboot().osrelease == STOCK and not host.reboot().fips_enabled
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"
    service.cancel_faults()
    enable(host)
    is_in_fips(host)


@pytest.mark.registered
def test_a_repository_that_is_gone_is_told(host: Host, service: Service) -> None:
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    gone(host, service)
    with untouched(host):
        done = host.dnf("-y", "tuxcare", "recover")
    assert done.returncode in (1, 5) and "tuxcare-fips" in done.stderr and "Traceback" not in done.stderr
    service.cancel_faults()
    recover(host)
    is_in_fips(host)


@pytest.mark.registered
def test_no_repository_at_all(host: Host, service: Service) -> None:
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    with untouched(host):
        done = host.dnf("-y", "--disablerepo=*", "tuxcare", "recover")
    assert done.returncode == 5 and len(re.findall("^Error: .*neither be finished nor taken back", done.stderr, re.M)) == 1


# --- uninstall ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["Downgrading .*: openssl-libs", "(Erasing|Cleanup) .*: nss", "Verifying .* 2/"],
                         ids=["installing", "erasing", "verifying"])
def test_uninstall_is_finished(left: Host, service: Service, at: str) -> None:
    killed(left, at, "tuxcare", "uninstall")
    is_half(left, NEWEST)
    assert "run `dnf tuxcare uninstall` again for the rest" in recover(left)
    assert of_tuxcare(left.installed()) == set() and len(service.seats[ESU_KEY]) == 1
    assert not (left.root / "var/lib/tuxcare/fips.json").exists()
    assert "De-registration successful" in is_done(left.dnf("-y", "tuxcare", "uninstall"))
    assert ESU_KEY not in service.seats and left.reboot().osrelease == NEWEST


def test_uninstall_after_a_foreign_upgrade(left: Host) -> None:
    """It brought fixes of the vendor's again, which `uninstall` had replaced."""
    killed(left, "(Erasing|Cleanup) .*: nss", "tuxcare", "uninstall")
    is_done(left.dnf("-y", "upgrade", "bash", "zlib"))
    recover(left)
    is_done(left.dnf("-y", "tuxcare", "uninstall"))
    assert of_tuxcare(left.installed()) == set() and left.reboot().osrelease == NEWEST


def test_uninstall_that_cannot_be_finished_is_taken_back(left: Host, service: Service) -> None:
    before = State.of(left, service)
    killed(left, "Downgrading .*: openssl-libs", "tuxcare", "uninstall")
    service.order(Fault(Status(404), path="*/BaseOS/*"))
    is_done(left.dnf("clean", "all"))
    done = left.dnf("-y", "--setopt=baseos.skip_if_unavailable=1", "tuxcare", "recover")
    assert "its changes were undone" in is_done(done)
    assert State.of(left, service) == before and left.reboot().osrelease == NEWEST
    service.cancel_faults()
    is_done(left.dnf("-y", "tuxcare", "uninstall"))
    assert of_tuxcare(left.installed()) == set()


def test_the_kernel_of_the_first_stage(in_fips: Host) -> None:
    remove_community_kernels(in_fips)
    killed(in_fips, "Installing .*: kernel-core", "tuxcare", "uninstall")
    assert in_fips.reboot().osrelease in (VALIDATED, NEWEST)
    refused(in_fips.dnf("-y", "tuxcare", "uninstall"), "cut off", RECOVER, status=5)
    recover(in_fips)
    is_done(in_fips.dnf("-y", "tuxcare", "uninstall"))
    assert (in_fips.reboot().osrelease, in_fips.reboot().fips_enabled) == (NEWEST, False)
    is_done(in_fips.dnf("-y", "tuxcare", "uninstall"))
    assert of_tuxcare(in_fips.installed()) == set()
