# SPDX-License-Identifier: Apache-2.0
"""A host's whole life with the vendor's default addresses: register, upgrade, FIPS, reboot, status, unregister."""
from typing import Dict

import pytest

from tests.integration.outcome import document, is_done, own_lines, register, trusted_keys
from tests.integration.test_upgrade import FIXES, PAST
from tests.sandbox import osfiles
from tests.sandbox.host import Entry, Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY
from tests.sandbox.service import Service

VENDOR = {"cln.cloudlinux.com", "repo.tuxcare.com"}
KERNEL = "5.14.0-284.11.1.el9_2.tuxcare.6.x86_64"


def configuration(host: Host) -> Dict[str, Entry]:
    """What registering is about: everything below /etc and our own state, but what packages and FIPS mode put there.

    How the host booted before FIPS mode is kept until it is left, which `unregister` does not do.
    """
    theirs = ("etc/crypto-policies", "etc/system-fips", "etc/dracut.conf.d", "var/lib/tuxcare/fips.json")
    return {path: entry for path, entry in host.snapshot().items()
            if path.startswith(("etc/", "var/lib/tuxcare")) and not path.startswith(theirs)}


def test_esu_and_fips(slash_host: Host, service: Service) -> None:
    before, keys = configuration(slash_host), trusted_keys(slash_host)
    assert slash_host.dnf("tuxcare", "status").returncode == 3

    assert "TuxCare installed successfully" in register(slash_host)
    registered = configuration(slash_host)
    service.clear_requests()

    upgraded = slash_host.dnf("-y", "upgrade")
    assert is_done(upgraded) and upgraded.stderr == ""
    assert slash_host.installed() >= FIXES and slash_host.installed() & PAST == set()

    is_done(slash_host.dnf("-y", "tuxcare", "fips", "enable"))
    assert slash_host.reboot().osrelease == KERNEL
    told = document(slash_host.dnf("tuxcare", "status", "--json"))
    assert (told["registered"], told["pin"], told["fips"]["mode"]) == (True, "9.2", "on")
    assert "FIPS mode is enabled." in slash_host.run(["fips-mode-setup", "--check"]).stdout
    # Nobody but the vendor was asked for anything.
    assert {record.host for record in service.requests} <= VENDOR
    assert [record.path for record in service.requests if record.status >= 400] == []
    assert set(configuration(slash_host)) == set(registered)

    done = slash_host.dnf("-y", "tuxcare", "unregister")
    assert "De-registration successful" in is_done(done) and own_lines(done.stderr) == []
    assert configuration(slash_host) == before and trusted_keys(slash_host) == keys
    assert ESU_KEY not in service.seats and slash_host.installed() >= {"kernel-" + KERNEL}
    assert slash_host.dnf("tuxcare", "status").returncode == 3


@pytest.mark.parametrize("key", [ESU_KEY, ESSENTIAL_KEY], ids=["esu", "essential"])
def test_a_host_that_was_let_go_drifts_again(slash_host: Host, key: str) -> None:
    register(slash_host, key=key)
    is_done(slash_host.dnf("-y", "upgrade"))
    is_done(slash_host.dnf("-y", "tuxcare", "unregister"))
    done = slash_host.dnf("-y", "upgrade")
    assert is_done(done) and done.stderr == "" and slash_host.installed() & PAST
    assert (slash_host.root / "etc/almalinux-release").read_text() == osfiles.release_line("9.4")


def test_a_second_life(slash_host: Host, service: Service) -> None:
    before = configuration(slash_host)
    for key in (ESSENTIAL_KEY, ESU_KEY):
        register(slash_host, key=key)
        is_done(slash_host.dnf("-y", "upgrade"))
        assert slash_host.installed() & PAST == set()
        is_done(slash_host.dnf("-y", "tuxcare", "unregister"))
        assert configuration(slash_host) == before and key not in service.seats
    assert slash_host.installed() >= FIXES
