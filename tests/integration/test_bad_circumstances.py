# SPDX-License-Identifier: Apache-2.0
"""Bad circumstances of a change: read-only file systems, two commands at once. What the service can do is in `failures`."""
import os
import shutil
import signal
import subprocess
from typing import Callable, Iterator, List

import pytest

from tests.integration.outcome import is_done, refused, register, untouched
from tests.sandbox.faults import CutBefore, Fault, Hold
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service

KEY = {"TUXCARE_LICENSE_KEY": ESU_KEY}


def attempt(host: Host, *args: str, key: str = ESU_KEY) -> "subprocess.CompletedProcess[str]":
    return host.dnf("tuxcare", "register", *args, env={"TUXCARE_LICENSE_KEY": key})


# --- file systems -------------------------------------------------------------------------------------------------


MOUNTED = ("/etc/yum.repos.d", "/etc/dnf/vars")


@pytest.mark.parametrize("folder", ["/etc", "/etc/yum.repos.d", "/etc/dnf/vars", "/var/lib/tuxcare", "/var/lib", "/etc/pki"])
@pytest.mark.parametrize("verb", ["register", "unregister"])
def test_a_read_only_file_system(slash_host: Host, service: Service, folder: str, verb: str) -> None:
    if verb == "unregister":
        register(slash_host)
    mount = 'mkdir -p "$0" && mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
    is_done(slash_host.run(["sh", "-c", mount, folder]))
    with untouched(slash_host, service if verb == "register" else None):
        # A folder that is a mount of its own may be told as that.
        refused(slash_host.dnf("-y", "tuxcare", verb, env=KEY), folder if folder in MOUNTED else "read-only")
    # The seat stays as long as the token does.
    assert (ESU_KEY in service.seats) == (verb == "unregister")


@pytest.fixture
def immutable(host: Host) -> Iterator[Callable[[str], None]]:
    """Makes a path of the host immutable until the test is over; skips where the file system cannot."""
    made: List[str] = []

    def make(name: str) -> None:
        path = str(host.root / name)
        if not shutil.which("chattr") or subprocess.run(["chattr", "+i", path], stderr=subprocess.DEVNULL).returncode:
            pytest.skip("chattr +i cannot be had here")
        made.append(path)

    yield make
    for path in made:
        subprocess.run(["chattr", "-i", path])


@pytest.mark.parametrize("name", ["etc/yum.repos.d/almalinux-sap.repo", "etc/dnf/vars", "etc/pki/rpm-gpg"])
def test_a_file_that_cannot_be_changed(host: Host, service: Service, immutable: Callable[[str], None], name: str) -> None:
    """It is met in the middle of the changes: those before it are taken back."""
    immutable(name)
    with untouched(host, service):
        refused(attempt(host), "/" + name)


# --- the service --------------------------------------------------------------------------------------------------


def test_a_lost_answer_is_told_as_a_seat_that_may_be_taken(host: Host, service: Service) -> None:
    service.order(Fault(CutBefore(), path="*/token/register"))
    with untouched(host):
        refused(attempt(host), "seat may")
        assert "seat" in host.dnf("tuxcare", "status").stdout
        is_done(host.dnf("tuxcare", "recover"))


# --- two at once --------------------------------------------------------------------------------------------------


def test_the_second_command_waits_for_the_first(host: Host, service: Service, hold: "Held") -> None:
    first, second = hold.first(host), host.start_dnf("tuxcare", "register", env=KEY)
    assert second.stderr is not None
    told = second.stderr.readline()
    assert "Waiting" in told and str(first.pid) in told, told
    hold.release()
    assert first.communicate(timeout=30)[0].startswith("TuxCare installed successfully") and first.returncode == 0
    said = second.communicate(timeout=30)[0]
    assert second.returncode == 0 and "This server already has a TuxCare token installed" in said
    assert len(service.seats[ESU_KEY]) == 1


def test_a_file_that_is_edited_while_the_service_is_asked(host: Host, service: Service, hold: "Held") -> None:
    first, file = hold.first(host), host.root / "etc/yum.repos.d/almalinux-baseos.repo"
    file.write_text(file.read_text() + "# mine\n")
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    hold.release()
    said = first.communicate(timeout=30)[1]
    assert first.returncode == 1 and "almalinux-baseos.repo was changed" in said and "seat was given back" in said, said
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before
    assert not service.seats.get(ESU_KEY) and not (host.root / "var/lib/tuxcare").exists()
    is_done(attempt(host))
    is_done(host.dnf("-y", "tuxcare", "unregister"))
    assert file.read_text().endswith("# mine\n")


def test_an_interrupted_registration_gives_the_seat_back(host: Host, service: Service, hold: "Held") -> None:
    with untouched(host, service):
        first = hold.first(host, path="*/RPM-GPG-KEY-TuxCare")
        os.killpg(first.pid, signal.SIGINT)
        first.communicate(timeout=30)
        assert first.returncode != 0


class Held:
    """Keeps a first `register` waiting for an answer of the service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._hold = Hold()

    def first(self, host: Host, path: str = "*/token/register") -> "subprocess.Popen[str]":
        self._service.order(Fault(self._hold, path=path, times=1))
        process = host.start_dnf("tuxcare", "register", env=KEY)
        assert self._hold.reached.wait(20)
        return process

    def release(self) -> None:
        self._hold.release()


@pytest.fixture
def hold(service: Service) -> Iterator[Held]:
    held = Held(service)
    yield held
    held.release()
