# SPDX-License-Identifier: Apache-2.0
"""Killed while the service is asked: no seat is lost without a word, no dead token comes back, and `recover` ends it."""
import os
import signal
import stat
from contextlib import contextmanager
from typing import Any, Iterator, Optional

import pytest

from tests.integration.outcome import add_settings, document, is_done, refused, register
from tests.sandbox.faults import CutBefore, Fault, Hold, Json, Status
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY, PLAIN_ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.snapshot import differences

REGISTER, UNREGISTER, PROBE = "*/token/register", "*/token/unregister", "*/BaseOS/*repomd.xml"
SEAT, TOKEN, JOURNAL = "var/lib/tuxcare/seat.json", "etc/dnf/vars/tuxcare_token", "var/lib/tuxcare/journal"
SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT]


@contextmanager
def cut_off(host: Host, service: Service, path: str, *args: str, by: int = signal.SIGKILL,
            key: Optional[str] = None) -> Iterator[None]:
    """`dnf tuxcare ARGS…` killed when the service has done what `path` asks, and its answer is not there yet."""
    hold = Hold()
    service.order(Fault(hold, path=path, times=1))
    process = host.start_dnf("-y", "tuxcare", *args, env={"TUXCARE_LICENSE_KEY": key} if key else None)
    try:
        assert hold.reached.wait(60)
        os.killpg(process.pid, by)
        if by != signal.SIGKILL:
            hold.release()
        process.wait(60)
    finally:
        hold.release()
    yield


def seats(service: Service, key: str = ESU_KEY) -> int:
    return len(service.seats.get(key, {}))


def same(host: Host, before: object) -> bool:
    """Whether every file is as it was, but dnf's own logs and caches."""
    assert isinstance(before, dict)
    return not [path for path in differences(before, host.snapshot()) if path.startswith(("etc/", "var/lib/tuxcare", "boot/"))]


@pytest.mark.parametrize("by", SIGNALS, ids=lambda number: signal.Signals(number).name)
def test_register_after_the_token(host: Host, service: Service, by: int) -> None:
    before = host.snapshot()
    with cut_off(host, service, PROBE, "register", by=by, key=ESU_KEY):
        pass
    if by == signal.SIGKILL:
        assert seats(service) == 1 and stat.S_IMODE((host.root / SEAT).stat().st_mode) == 0o600
        # Nothing of the host is changed yet, so nothing is hindered.
        is_done(host.dnf("-y", "--assumeno", "repolist"))
        told = document(host.dnf("tuxcare", "recover", "--json"))
        assert told["changed"] and any("given back" in line for line in told["settled"])
    assert seats(service) == 0 and same(host, before)
    assert not document(host.dnf("tuxcare", "recover", "--json"))["changed"]


@pytest.mark.parametrize("by", SIGNALS[1:], ids=lambda number: signal.Signals(number).name)
def test_interrupted_while_the_seat_is_given_back(host: Host, service: Service, by: int) -> None:
    """A service that refuses it then does not lose it: the token stays, that is said, and `recover` gives the seat back."""
    before = host.snapshot()
    service.order(Fault(Status(403), path=PROBE))
    hold = Hold()
    service.order(Fault(hold, path=UNREGISTER, times=1))
    service.order(Fault(Status(500), path=UNREGISTER))
    process = host.start_dnf("-y", "tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY})
    assert hold.reached.wait(60)
    os.killpg(process.pid, by)
    hold.release()
    said = host.as_of_slash("".join(process.communicate(timeout=60)))
    assert seats(service) == 1 and (host.root / SEAT).exists() and "dnf tuxcare recover" in said, said
    service.cancel_faults()
    assert "given back" in is_done(host.dnf("tuxcare", "recover"))
    assert seats(service) == 0 and same(host, before)


def test_it_hinders_no_transaction(host: Host, service: Service) -> None:
    with cut_off(host, service, PROBE, "register", key=ESU_KEY):
        pass
    done = host.dnf("-y", "remove", "rsync")
    assert is_done(done) and "tuxcare" not in done.stderr


def test_the_next_registration_gives_the_old_seat_back_first(host: Host, service: Service) -> None:
    with cut_off(host, service, PROBE, "register", key=ESU_KEY):
        pass
    service.clear_requests()
    done = host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": PLAIN_ESU_KEY})
    assert "A registration was cut off. The seat was given back." in done.stdout + done.stderr
    is_done(done)
    assert seats(service) == 0 and seats(service, PLAIN_ESU_KEY) == 1 and not (host.root / SEAT).exists()


def test_register_whose_answer_is_lost(host: Host, service: Service) -> None:
    """Nobody knows its token, so nobody can give it back: that is said, once."""
    before = host.snapshot()
    with cut_off(host, service, REGISTER, "register", key=ESU_KEY):
        pass
    assert "may still be taken" in is_done(host.dnf("tuxcare", "recover"))
    assert same(host, before) and "Nothing was cut off" in is_done(host.dnf("tuxcare", "recover"))


@pytest.mark.parametrize("command", ["register", "recover"])
def test_a_copy_does_not_ask_under_the_name_of_its_original(host: Host, service: Service, command: str) -> None:
    (host.root / "etc/machine-id").write_text("1" * 32 + "\n")
    (host.root / "etc/hostname").write_text("original.example.com\n")
    service.order(Fault(CutBefore(), path=REGISTER, times=1))
    host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY})
    (host.root / "etc/machine-id").write_text("2" * 32 + "\n")
    (host.root / "etc/hostname").write_text("copy.example.com\n")
    service.clear_requests()
    done = host.dnf("tuxcare", command, env={"TUXCARE_LICENSE_KEY": ESU_KEY})
    assert is_done(done) and "of original.example.com, of which this host is a copy" in done.stdout + done.stderr
    asked = [record.json()["host_name"] for record in service.requests if record.method == "POST"]
    assert asked == (["copy.example.com"] if command == "register" else []) and not (host.root / SEAT).exists()


@pytest.mark.parametrize("key", [ESU_KEY, PLAIN_ESU_KEY], ids=["same key", "other key"])
def test_the_next_registration_asks_under_the_same_name(host: Host, service: Service, key: str) -> None:
    """So that a service which knows key and name gives one seat; another key's question is another one, and that is said."""
    service.order(Fault(CutBefore(), path=REGISTER, times=1))
    refused(host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY}), "seat may be taken")
    asked = service.requests[-1].json()["host_name"]
    text = (host.root / SEAT).read_text()
    assert asked in text and "SANDBOX" not in text and stat.S_IMODE((host.root / SEAT).stat().st_mode) == 0o600
    assert "dnf tuxcare register` with the same key" in host.dnf("tuxcare", "status", "--check").stdout
    (host.root / "etc/hostname").write_text("renamed.example.com\n")
    (host.root / SEAT).write_text(text.replace(asked, "as-it-was.example.com"))
    done = host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": key})
    assert is_done(done) and not (host.root / SEAT).exists()
    names = [seat.host_name for seat in service.licences.seats() if seat.key == key]
    assert ("as-it-was.example.com" in names[-1]) == (key == ESU_KEY) == ("had another key" not in done.stderr)
    assert "vendor can free it" in done.stderr
    service.clear_requests()
    is_done(host.dnf("-y", "tuxcare", "unregister"))
    assert service.requests[-1].json()["host_name"] == names[-1]


@pytest.mark.parametrize("answer", [Status(429), Json({"error": "key-limit-reached"}, 400)], ids=["busy", "all seats taken"])
def test_a_refusal_says_nothing_of_the_registration_before_it(host: Host, service: Service, answer: Any) -> None:
    """That one may have a seat all the same, so its name is kept; and with it what was made for it."""
    add_settings(host, "retries = 0")
    service.order(Fault(CutBefore(), path=REGISTER, times=1))
    refused(host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY}), "seat may be taken")
    asked = service.requests[-1].json()["host_name"]
    service.order(Fault(answer, path=REGISTER, times=1))
    assert host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY}).returncode == 1
    (host.root / "etc/hostname").write_text("renamed.example.com\n")
    is_done(host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY}))
    assert {seat.host_name for seat in service.licences.seats() if seat.key == ESU_KEY} == {asked}
    is_done(host.dnf("-y", "tuxcare", "unregister"))
    assert not (host.root / "var/lib/tuxcare").exists()


def test_recover_without_the_service(host: Host, service: Service) -> None:
    before = host.snapshot()
    with cut_off(host, service, PROBE, "register", key=ESU_KEY):
        pass
    service.order(Fault(Status(500), path=UNREGISTER))
    line = refused(host.dnf("tuxcare", "recover"), "could not be given back", "--local", status=5)
    assert "when the service answers" in line and (host.root / SEAT).exists()
    assert host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY}).returncode == 5
    assert "may still be taken" in is_done(host.dnf("tuxcare", "recover", "--local"))
    assert same(host, before) and seats(service) == 1


@pytest.mark.parametrize("service_is_there", [True, False], ids=["service", "no service"])
def test_unregister_after_the_seat_is_back(host: Host, service: Service, service_is_there: bool) -> None:
    """The files were all changed before the service was asked: it is finished, and the dead token does not come back."""
    add_settings(host, "retries = 0")
    before = host.snapshot()
    register(host)
    with cut_off(host, service, UNREGISTER, "unregister"):
        pass
    assert (host.root / JOURNAL).exists() and seats(service) == 0
    if not service_is_there:
        service.order(Fault(Status(503), path=UNREGISTER))
        refused(host.dnf("tuxcare", "recover"), "could not be given back", status=5)
        done = host.dnf("-y", "tuxcare", "unregister", "--local")
        assert is_done(done) and "may still be taken" in done.stderr
    else:
        assert "it is finished" in is_done(host.dnf("tuxcare", "recover"))
    assert not (host.root / TOKEN).exists() and same(host, before)
    assert "not registered" in is_done(host.dnf("-y", "tuxcare", "unregister"))


@pytest.mark.registered
def test_unregister_that_the_service_refuses_leaves_everything(host: Host, service: Service) -> None:
    before = host.snapshot()
    service.order(Fault(Status(500), path=UNREGISTER))
    refused(host.dnf("-y", "tuxcare", "unregister"), "--local")
    assert same(host, before) and not (host.root / JOURNAL).exists() and seats(service) == 1


@pytest.mark.registered
def test_replace_between_the_new_seat_and_the_old_one(host: Host, service: Service) -> None:
    old = (host.root / TOKEN).read_text()
    with cut_off(host, service, UNREGISTER, "register", "--replace", key=PLAIN_ESU_KEY):
        pass
    assert (host.root / TOKEN).read_text() != old and (host.root / SEAT).exists()
    is_done(host.dnf("tuxcare", "recover"))
    assert seats(service) == 0 and seats(service, PLAIN_ESU_KEY) == 1 and not (host.root / SEAT).exists()
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"


@pytest.mark.registered
def test_replace_before_the_new_seat_counts(host: Host, service: Service) -> None:
    before = host.snapshot()
    with cut_off(host, service, PROBE, "register", "--replace", key=PLAIN_ESU_KEY):
        pass
    is_done(host.dnf("tuxcare", "recover"))
    assert same(host, before) and seats(service) == 1 and seats(service, PLAIN_ESU_KEY) == 0
