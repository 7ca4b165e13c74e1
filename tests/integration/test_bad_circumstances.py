# SPDX-License-Identifier: Apache-2.0
"""Bad circumstances of a change: read-only file systems, a service that says no, is another or away, two commands at once."""
import os
import shutil
import signal
import subprocess
from typing import Callable, Dict, Iterator, List, Tuple

import pytest

from tests.integration.outcome import add_settings, is_done, refused, register, untouched
from tests.sandbox.faults import Body, CutBefore, Fault, Hold, Json, Misbehaviour, Redirect, Status
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY, EXHAUSTED_KEY, UNKNOWN_KEY
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

REGISTER = "/cln/api/els/token/register"
ANSWERS: Dict[str, Tuple[Misbehaviour, str]] = {
    "400 in HTML": (Body(b"<html>no</html>", status=400), "400"), "403": (Status(403), "403"), "404": (Status(404), "404"),
    "429": (Status(429, {"Retry-After": "1"}), "busy"), "500": (Status(500), "500"), "503": (Status(503), "503"),
    "204": (Status(204), "204"), "a login page": (Body(b"<html>log in</html>"), "JSON"), "nothing": (Body(b""), "JSON"),
    "a list": (Json([]), "JSON"), "deep JSON": (Body(b"[" * 60000, "application/json"), "JSON"), "no token": (Json({}), "token"),
    "a number": (Json({"token": 7}), "token"), "an empty token": (Json({"token": ""}), "token"),
    "a path as token": (Json({"token": "../../9.4"}), "token"), "lines as token": (Json({"token": "a\nb"}), "token"),
    "a long token": (Json({"token": "a" * 5000}), "token"), "another error": (Json({"error": "no\x1b[31m\nwhy"}, 400), "no"),
    "too much": (Body(b" " * 3_000_000, "application/json"), "bytes"),
    "another host": (Redirect("https://elsewhere.example.com/"), "elsewhere.example.com"),
    "plain HTTP": (Redirect("http://localhost/"), "http"), "in a circle": (Redirect(REGISTER), "redirect"),
}


@pytest.mark.parametrize("behaviour, word", ANSWERS.values(), ids=list(ANSWERS))
def test_the_service_answers_something_else(host: Host, service: Service, behaviour: Misbehaviour, word: str) -> None:
    service.order(Fault(behaviour, path=REGISTER))
    add_settings(host, "retries = 0")
    with untouched(host, service):
        line = refused(attempt(host), word)
        is_done(host.dnf("tuxcare", "recover"))
    assert "\x1b" not in line


@pytest.mark.parametrize("key, word", [(UNKNOWN_KEY, "does not know"), (EXHAUSTED_KEY, "seats")], ids=["unknown", "used up"])
def test_the_service_says_no(any_host: Host, service: Service, key: str, word: str) -> None:
    with untouched(any_host, service):
        line = refused(attempt(any_host, key=key), word)
    assert key not in line


@pytest.mark.parametrize("setting", ["register_url", "repo_url", "gpg_key_url"])
@pytest.mark.parametrize("flaw, word", [
    ("expired", "certificate"), ("wrong-name", "for another name"), ("unknown-issuer", "certificate"), ("not there", "localhost"),
])
def test_a_server_that_is_not_the_right_one(host: Host, service: Service, setting: str, flaw: str, word: str) -> None:
    url = "https://localhost:1" if flaw == "not there" else service.impostor_url(flaw)
    paths = {"register_url": REGISTER, "repo_url": "", "gpg_key_url": "/tuxcare/RPM-GPG-KEY-TuxCare"}
    add_settings(host, "%s = %s%s" % (setting, url, paths[setting]), "retries = 0")
    with untouched(host, service):
        refused(attempt(host), word)


def test_a_lost_answer_is_told_as_a_seat_that_may_be_taken(host: Host, service: Service) -> None:
    service.order(Fault(CutBefore(), path=REGISTER))
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


def test_the_second_command_says_who_holds_the_lock(host: Host, service: Service, hold: "Held") -> None:
    first = hold.first(host)
    refused(host.dnf("--setopt=exit_on_lock=1", "tuxcare", "register", env=KEY), str(first.pid), status=200)
    hold.release()
    first.communicate(timeout=30)
    assert first.returncode == 0 and len(service.seats[ESU_KEY]) == 1


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
