# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare fips enable`: one transaction of dnf's, then boot loader and mode, and what a boot makes of it."""
from pathlib import Path
from typing import List, Set

import pytest

from tests.integration.fips_host import set_of
from tests.integration.outcome import State, document, is_done, refused, register, untouched
from tests.integration.terminal import typed
from tests.sandbox.host import Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

STOCK = "5.14.0-284.11.1.el9_2.x86_64"
KERNEL = "5.14.0-284.11.1.el9_2.tuxcare.6.x86_64"
IMAGE = "/boot/vmlinuz-" + KERNEL
SET = {"openssl-1:3.0.7-20.el9_2.tuxcare.1", "gnutls-3.7.6-23.el9_2.tuxcare.3", "nettle-3.8-3.el9_2.tuxcare.1",
       "libgcrypt-1.10.0-10.el9_2.tuxcare.3", "nss-3.90.0-6.el9_2.tuxcare.1"}
VALIDATED = {"kernel-" + KERNEL} | {nevr + ".x86_64" for nevr in SET}


def enable(host: Host, *args: str) -> str:
    return is_done(host.dnf("-y", *args, "tuxcare", "fips", "enable"))


def boot_entries(host: Host) -> List[str]:
    return [path.read_text() for path in sorted((host.root / "boot/loader/entries").glob("*.conf"))]


def calls(host: Host) -> List[str]:
    """What was asked of the stand-ins, beside questions."""
    path = host.root / "var/log/standins.log"
    lines = path.read_text().splitlines() if path.exists() else []
    questions = ("--default-kernel", "--info", "--show", "--check", "-providers")
    return [line for line in lines if not any(word in line for word in questions)]


def i686(host: Host) -> Set[str]:
    return {nevra for nevra in host.installed() if nevra.endswith(".i686")}


# --- done ---------------------------------------------------------------------------------------------------------


@pytest.mark.registered
def test_the_set_is_installed_and_the_next_boot_is_in_fips_mode(any_host: Host) -> None:
    said = enable(any_host)
    assert any_host.installed() >= VALIDATED and i686(any_host) == set()
    assert "Complete!" in said and "reboot" in said.lower() and IMAGE in said
    assert ["fips=1" in entry.split() for entry in boot_entries(any_host)] == [True] * 2
    assert (any_host.root / "etc/crypto-policies/state/current").read_text() == "FIPS\n"
    assert document(any_host.dnf("tuxcare", "status", "--json"))["fips"]["mode"] == "pending"
    assert "tuxcare-fips" in is_done(any_host.dnf("repolist"))

    booted = any_host.reboot()
    assert (booted.osrelease, booted.fips_enabled) == (KERNEL, True)
    assert document(any_host.dnf("tuxcare", "status", "--json"))["fips"] == {
        "mode": "on", "running_kernel": KERNEL, "default_kernel": IMAGE, "crypto_policy": "FIPS", "verdict": "validated",
        "reasons": []}
    assert "FIPS mode is enabled." in any_host.run(["fips-mode-setup", "--check"]).stdout


@pytest.mark.registered
def test_done_already(any_host: Host, service: Service) -> None:
    enable(any_host)
    for reboot in (False, True):
        if reboot:
            any_host.reboot()
        before = calls(any_host)
        with untouched(any_host, service):
            said = is_done(any_host.dnf("tuxcare", "fips", "enable"))
            told = document(any_host.dnf("-y", "tuxcare", "fips", "enable", "--json"))
        assert (told["changed"], told["reboot"], told["installed"], told["commands"]) == (False, not reboot, [], [])
        assert ("reboot" in said.lower()) == (not reboot)
        assert calls(any_host) == before


def test_register_with_fips(any_host: Host) -> None:
    said = register(any_host, "-y", "--fips")
    assert "TuxCare installed successfully" in said and "reboot" in said.lower()
    assert any_host.installed() >= VALIDATED
    assert any_host.reboot() == any_host.reboot(KERNEL)
    assert document(any_host.dnf("tuxcare", "status", "--json"))["fips"]["mode"] == "on"


@pytest.mark.registered
def test_companions_only_where_i686_is_installed(host: Host) -> None:
    is_done(host.dnf("-y", "--disablerepo=tuxcare-*", "install", "openssl-libs.i686", "nettle.i686"))
    enable(host)
    assert {"openssl-libs-1:3.0.7-20.el9_2.tuxcare.1.i686", "nettle-3.8-3.el9_2.tuxcare.1.i686"} <= i686(host)
    modules = ("openssl", "nettle", "gnutls", "nss", "libgcrypt")
    assert all(".tuxcare." in nevra for nevra in i686(host) if nevra.startswith(modules))
    assert not any(nevra.startswith(("gnutls", "nss-3", "libgcrypt")) for nevra in i686(host))


@pytest.mark.registered
def test_a_newer_community_kernel_does_not_stay_the_default(host: Host) -> None:
    is_done(host.dnf("-y", "upgrade"))
    assert host.reboot().osrelease == "5.14.0-284.30.1.el9_2.x86_64"
    enable(host)
    assert (host.reboot().osrelease, host.reboot().fips_enabled) == (KERNEL, True)


@pytest.mark.registered
def test_a_default_that_was_changed_is_set_again(host: Host) -> None:
    enable(host)
    is_done(host.run(["grubby", "--set-default=/boot/vmlinuz-" + STOCK]))
    enable(host)
    assert calls(host)[-1] == "grubby --set-default=" + IMAGE
    assert host.reboot().osrelease == KERNEL


@pytest.mark.registered
def test_later_builds_of_the_vendor_are_no_reason_to_go_back(host: Host) -> None:
    is_done(host.dnf("-y", "upgrade", "openssl"))
    assert "fips enable --strict" in is_done(host.dnf("-y", "tuxcare", "fips", "enable"))
    assert "openssl-1:3.0.7-20.el9_2.tuxcare.2.x86_64" in host.installed()


@pytest.mark.registered
def test_the_repository_comes_back_disabled_by_unregister(host: Host) -> None:
    before = {path.name for path in (host.root / "etc/yum.repos.d").iterdir()} - {"tuxcare.repo"}
    enable(host)
    is_done(host.dnf("-y", "tuxcare", "unregister"))
    assert {path.name for path in (host.root / "etc/yum.repos.d").iterdir()} == before


# --- not done -----------------------------------------------------------------------------------------------------


@pytest.mark.registered
def test_dry_run(any_host: Host, service: Service) -> None:
    with untouched(any_host, service):
        shown = is_done(any_host.dnf("tuxcare", "fips", "enable", "--dry-run"))
        told = document(any_host.dnf("tuxcare", "fips", "enable", "--dry-run", "--json"))
    planned = {line.split()[-1] for line in told["packages"]}
    assert {nevra.replace("-1:", "-") for nevra in VALIDATED} <= {package.replace("-1:", "-") for package in planned}
    assert any("kernel-core-" + KERNEL in line for line in told["packages"])
    assert ["fips-mode-setup", "--enable"] in told["commands"]
    assert "fips-mode-setup --enable" in shown and KERNEL in shown and "tuxcare-fips" in shown + str(told["files"])
    assert calls(any_host) == []


def test_dry_run_of_register_with_fips(host: Host, service: Service) -> None:
    with untouched(host, service):
        shown = is_done(host.dnf("tuxcare", "register", "--fips", "--dry-run", env={"TUXCARE_LICENSE_KEY": ESU_KEY}))
    assert "kernel-5.14.0-284.11.1.el9_2.tuxcare.6" in shown and "fips-mode-setup --enable" in shown and calls(host) == []


@pytest.mark.registered
def test_assumeno(any_host: Host, service: Service) -> None:
    before = State.of(any_host, service)
    done = any_host.dnf("--assumeno", "tuxcare", "fips", "enable")
    assert done.returncode == 1 and KERNEL.rsplit(".", 1)[0] in done.stdout and "Traceback" not in done.stderr
    assert before.changes(State.of(any_host)) == {} and before == State.of(any_host, service)
    assert calls(any_host) == []


@pytest.mark.registered
@pytest.mark.parametrize("answer", ["n", "y"])
def test_at_a_terminal(host: Host, service: Service, answer: str) -> None:
    before = State.of(host, service)
    done = typed(host, ["tuxcare", "fips", "enable"], [("[y/N]", answer + "\n")])
    assert done.status == (1 if answer == "n" else 0), done.shown
    assert (State.of(host, service) == before) == (answer == "n")
    assert ("Operation aborted" in done.shown) == (answer == "n")


@pytest.mark.registered
def test_without_a_terminal_nobody_is_waited_for(host: Host, service: Service) -> None:
    with untouched(host, service):
        done = host.dnf("tuxcare", "fips", "enable", timeout=60)
    assert done.returncode == 1 and "Traceback" not in done.stderr


@pytest.mark.registered
def test_json_asks_nobody(host: Host, service: Service) -> None:
    with untouched(host, service):
        told = document(host.dnf("tuxcare", "fips", "enable", "--json"), status=1)
    assert told["error"]["code"] == "usage" and "-y" in told["error"]["remedy"]


@pytest.mark.parametrize("verb", [["fips", "disable"], ["uninstall"]], ids=" ".join)
def test_json_needs_no_answer_where_nothing_is_left_to_do(host: Host, service: Service, verb: List[str]) -> None:
    with untouched(host, service):
        assert document(host.dnf("tuxcare", *verb, "--json"))["changed"] is False


@pytest.mark.registered
def test_json(host: Host) -> None:
    done = host.dnf("-y", "tuxcare", "fips", "enable", "--json")
    told = document(done)
    assert (told["changed"], told["reboot"]) == (True, True) and "Complete!" in done.stderr
    assert ["fips-mode-setup", "--enable"] in told["commands"] and len(told["packages"]) == 6


@pytest.mark.parametrize("args", [["-y"], ["--assumeno"], []], ids=["-y", "--assumeno", "plain"])
@pytest.mark.parametrize("option", [[], ["--dry-run"]], ids=["", "--dry-run"])
def test_not_registered(host: Host, service: Service, args: List[str], option: List[str]) -> None:
    with untouched(host, service):
        refused(host.dnf(*args, "tuxcare", "fips", "enable", *option), "not registered", "dnf tuxcare register", status=3)
    assert service.requests == [] and calls(host) == []


@pytest.mark.registered(ESSENTIAL_KEY)
@pytest.mark.parametrize("option", [[], ["--dry-run"]], ids=["", "--dry-run"])
def test_an_essential_host_is_refused(any_host: Host, service: Service, option: List[str]) -> None:
    with untouched(any_host, service):
        refused(any_host.dnf("-y", "tuxcare", "fips", "enable", *option), "Essential Support", "Extended Security Updates")
    assert calls(any_host) == []


def test_register_with_fips_and_an_essential_key(host: Host, service: Service) -> None:
    """The product is known before the first file is written: nothing is half done."""
    with untouched(host, service):
        refused(host.dnf("-y", "tuxcare", "register", "--fips", env={"TUXCARE_LICENSE_KEY": ESSENTIAL_KEY}), "ESU")


def test_what_once_brought_a_module_may_go(host: Host, universe: Universe, tmp_path: Path) -> None:
    """dnf would take the module along, for nobody else had asked for it."""
    register(host)
    is_done(host.dnf("-y", "remove", "nss", "nss-sysinit"))
    browser = universe.build_rpm(tmp_path, "browser", "1-1", "x86_64", vendor="Example", requires=("nss", "gnutls"))
    is_done(host.dnf("-y", "install", str(browser)))
    is_done(host.dnf("-y", "mark", "remove", "gnutls"))
    is_done(host.dnf("-y", "tuxcare", "fips", "enable"))
    told = is_done(host.dnf("history", "info", "last"))
    assert "Reason Change gnutls-3.7.6-23.el9_2.tuxcare.3" in told and "gnutls-3.7.6-20" not in told
    host.reboot()
    before = set_of(host)
    is_done(host.dnf("-y", "remove", "browser"))
    is_done(host.dnf("-y", "autoremove"))
    assert set_of(host) == before and "nss-3.90.0-6.el9_2.tuxcare.1.x86_64" in before


# --- programs that fail -------------------------------------------------------------------------------------------


@pytest.mark.registered
@pytest.mark.parametrize("program, word", [
    ("fips-mode-setup", "--enable"), ("grubby", "--update-kernel"), ("update-crypto-policies", "--set"),
])
def test_a_program_that_fails_is_told_and_the_next_run_goes_on(host: Host, program: str, word: str) -> None:
    order = host.root / "var/lib/sandbox-standins" / (program + ".fail")
    order.parent.mkdir(parents=True, exist_ok=True)
    order.write_text("1 %s\n" % word)
    done = host.dnf("-y", "tuxcare", "fips", "enable")
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    # grubby cannot take back either what it did not do, so the operation stays open.
    assert done.returncode == (5 if program == "grubby" else 1), done.stderr
    assert len(errors) == 1 and "fips-mode-setup" in errors[0], done.stderr
    assert document(host.dnf("tuxcare", "status", "--json"))["fips"]["mode"] == "off"
    order.unlink()
    if program == "grubby":  # that was an undo, and it is not gone forward from
        assert "undone. Packages that it installed stay." in is_done(host.dnf("tuxcare", "recover"))
    else:
        assert "The packages are installed and stay; run the command again." in errors[0]
    enable(host)
    assert host.reboot().fips_enabled
    before = host.installed()
    is_done(host.dnf("-y", "autoremove"))  # the way back counts as the user's, though the second run had no packages to install
    assert host.installed() == before


@pytest.mark.registered
@pytest.mark.parametrize("last, words", [
    ("rm -f /boot/initramfs-%s.img" % KERNEL, "initramfs-%s.img is missing" % KERNEL),
    ("printf '#!/bin/sh\\necho \"dracut modules:\"\\necho systemd\\n' >/usr/bin/lsinitrd; chmod 755 /usr/bin/lsinitrd",
     "has no dracut module fips"),
], ids=["none", "without the module"])
def test_an_initramfs_that_does_not_start_in_fips_mode(host: Host, last: str, words: str) -> None:
    """What dracut leaves where /boot is full, and fips-mode-setup says nothing of it: the host boots as before."""
    before = host.reboot()
    program = host.root / "usr/bin/fips-mode-setup"
    whole = program.read_text()
    program.write_text("%s\ncase $* in *--enable*) %s ;; esac\n" % (whole, last))
    refused(host.dnf("-y", "tuxcare", "fips", "enable"), words, "The packages are installed and stay")
    assert host.reboot() == before
    program.write_text(whole)
    (host.root / ("boot/initramfs-%s.img" % KERNEL)).write_text("made anew")  # by the remedy, which is dracut's
    lsinitrd = host.root / "usr/bin/lsinitrd"
    if lsinitrd.exists():
        lsinitrd.write_text(lsinitrd.read_text().replace("systemd", "fips"))
    enable(host)
    assert host.reboot().fips_enabled


@pytest.mark.registered
def test_a_default_that_cannot_be_set(host: Host) -> None:
    is_done(host.dnf("-y", "upgrade"))
    enable(host)
    is_done(host.run(["grubby", "--set-default=/boot/vmlinuz-" + STOCK]))
    order = host.root / "var/lib/sandbox-standins/grubby.fail"
    order.parent.mkdir(parents=True, exist_ok=True)
    order.write_text("1 --set-default\n")
    refused(host.dnf("-y", "tuxcare", "fips", "enable"), "grubby", "--set-default")
    assert host.reboot().osrelease == STOCK


@pytest.mark.registered
def test_a_host_without_boot_loader(host: Host, service: Service) -> None:
    for path in (host.root / "boot/loader/entries").iterdir():
        path.unlink()
    with untouched(host, service):
        refused(host.dnf("-y", "tuxcare", "fips", "enable"), "boot loader")
