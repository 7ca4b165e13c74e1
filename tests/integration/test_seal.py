# SPDX-License-Identifier: Apache-2.0
"""Golden images: sealed without a seat, refusing transactions, registered at the first boot by what the unit runs."""
import configparser
import shutil
import stat
import subprocess
import time
from pathlib import Path
from typing import List

import pytest

from tests.integration.outcome import document, is_done, places_of, refused, register, untouched
from tests.sandbox.faults import Fault, Hold, Status
from tests.sandbox.host import PROJECT, Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service
from tuxcare_lib import transport

SEAL, KEY = "var/lib/tuxcare/sealed.json", "var/lib/tuxcare/first-boot.key"
UNITS = [PROJECT / "conf" / ("tuxcare-first-boot." + kind) for kind in ("service", "timer")]
TOLD = {"TUXCARE_LICENSE_KEY": ESU_KEY}


def unit_command() -> List[str]:
    """What the unit runs, without the program's path."""
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(str(UNITS[0]))
    program, *words = unit["Service"]["ExecStart"].split()
    assert program == "/usr/bin/dnf"
    return words


def sealed(host: Host, *args: str) -> None:
    (host.root / "etc/machine-id").write_text("")
    is_done(host.dnf("tuxcare", "register", "--seal", *args, env=TOLD))


def test_the_life_of_an_image(any_host: Host, service: Service) -> None:
    host = any_host
    (host.root / "etc/machine-id").write_text("")
    with untouched(host, service):
        service.clear_requests()
        sealed(host, "--product", "esu")
        assert service.requests == [] and stat.S_IMODE((host.root / KEY).stat().st_mode) == 0o600
        assert places_of(host, ESU_KEY) == [KEY]
        refused(host.dnf("-y", "remove", "rsync"), "registers at its first boot")
        told = host.dnf("tuxcare", "status", "--json")
        assert document(told, status=3)["sealed"] and not document(told, status=3)["registered"]
        with untouched(host, service):  # a first boot without the service changes nothing
            service.order(Fault(Status(500), path="*/token/register"))
            assert host.dnf(*unit_command(), "--setopt=retries=0").returncode == 1
            service.cancel_faults()
            is_done(host.dnf("tuxcare", "recover"))
        assert "TuxCare installed successfully" in is_done(host.dnf(*unit_command()))
        assert places_of(host, ESU_KEY) == [] and not (host.root / SEAL).exists()
        assert document(host.dnf("tuxcare", "status", "--json"))["product"] == "esu"
        is_done(host.dnf("-y", "tuxcare", "unregister"))


def test_the_journal_is_told_of_a_seat_that_may_be_taken(host: Host, service: Service) -> None:
    """Nobody sits before a host that boots: what is not in the unit's journal is read by nobody."""
    sealed(host)
    hold = Hold()
    fault = service.order(Fault(hold, path="*/token/register"))
    process = host.start_dnf(*unit_command())
    assert hold.reached.wait(60)
    process.terminate()
    time.sleep(0.5)
    hold.release()
    assert "A seat may be taken" in process.communicate(timeout=60)[1]
    service.cancel_fault(fault)
    done = host.dnf(*unit_command())
    assert is_done(done) and "one seat may be taken in vain" in done.stderr


def test_a_busy_service_is_waited_for_until_it_has_time() -> None:
    """By default each request may be put off for nearly eight minutes (docs/configuration.md), and there are a dozen of them."""
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.read(str(UNITS[0]))
    put_off = 3 * transport._LONGEST_WAIT + sum(most for _, most in transport._WINDOWS)
    assert unit["Service"]["TimeoutStartSec"] == "1h" and 3600 > 7 * put_off


@pytest.mark.parametrize("verb", ["unregister", "uninstall"])
def test_a_seal_is_removed(host: Host, service: Service, verb: str) -> None:
    (host.root / "etc/machine-id").write_text("")
    with untouched(host, service):
        sealed(host, "--product", "esu")
        before = (host.root / SEAL).read_bytes()
        sealed(host)  # once more: nothing to do, and the product stays
        assert (host.root / SEAL).read_bytes() == before
        assert not document(host.dnf("tuxcare", "register", "--seal", "--json", env=TOLD))["changed"]
        with untouched(host, service):
            assert "-" in is_done(host.dnf("tuxcare", verb, "--dry-run"))
        assert document(host.dnf("-y", "tuxcare", verb, "--json"))["changed"]


@pytest.mark.parametrize("left", ["a link that dangles", "the key"])
def test_what_is_left_of_a_seal_goes_with_unregister(host: Host, left: str) -> None:
    sealed(host)
    (host.root / SEAL).unlink()
    if left != "the key":
        (host.root / KEY).unlink()
        (host.root / SEAL).symlink_to("/nowhere")
        refused(host.dnf("-y", "remove", "rsync"), "remove the seal with `dnf tuxcare unregister`")
    assert "seal is removed" in is_done(host.dnf("-y", "tuxcare", "unregister"))
    assert not (host.root / SEAL).is_symlink() and not (host.root / KEY).exists()
    is_done(host.dnf("-y", "remove", "rsync"))


def test_the_key_of_a_credential(slash_host: Host, service: Service) -> None:
    """systemd says where it is; the image itself has none then."""
    host = slash_host
    (host.root / "etc/machine-id").write_text("")
    assert "credential" in is_done(host.dnf("tuxcare", "register", "--seal", "--pin", "9.2"))
    refused(host.dnf(*unit_command()), "No licence key")
    folder = host.root / "run/credentials/tuxcare-first-boot.service"
    folder.mkdir(parents=True)
    (folder / "tuxcare.licence-key").write_text(ESU_KEY)
    (folder / "tuxcare.licence-key").chmod(0o400)
    is_done(host.dnf(*unit_command(), env={"CREDENTIALS_DIRECTORY": "/run/credentials/tuxcare-first-boot.service"}))
    assert document(host.dnf("tuxcare", "status", "--json"))["pin"] == "9.2"


def test_a_key_behind_a_link_is_the_images_own(host: Host, service: Service, tmp_path: Path) -> None:
    sealed(host)
    (tmp_path / "key").write_text("THE-MACHINES")
    inside = host.root / str(tmp_path).lstrip("/")
    inside.mkdir(parents=True)
    (host.root / KEY).rename(inside / "key")
    (host.root / KEY).symlink_to(tmp_path / "key")
    (host.root / "etc/hostname").write_text("# by hand\nweb2.example.com\n")
    is_done(host.dnf(*unit_command()))
    assert list(service.seats[ESU_KEY]) == ["web2.example.com"]


@pytest.mark.parametrize("option, word", [("--fips", "exclude"), ("--replace", "exclude"), ("--pin=9.9", "pin")])
def test_what_a_seal_cannot_hold(host: Host, option: str, word: str) -> None:
    with untouched(host):
        refused(host.dnf("tuxcare", "register", "--seal", option, env=TOLD), word)


def test_a_registered_template(host: Host, service: Service) -> None:
    register(host)
    with untouched(host, service):
        refused(host.dnf("tuxcare", "register", "--seal", env=TOLD), "unregister")


def test_an_identity_that_all_copies_would_share(host: Host) -> None:
    said = is_done(host.aimed("tuxcare", "register", "--seal", env=TOLD))
    assert "Run: truncate -s 0 %s/etc/machine-id;" % host.root in said  # and not this machine's


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_systemd_takes_the_units() -> None:
    done = subprocess.run(["systemd-analyze", "verify", *map(str, UNITS)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0 and b"tuxcare" not in done.stdout, done.stdout
