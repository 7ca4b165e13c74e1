# SPDX-License-Identifier: Apache-2.0
"""The misbehaviours that the sandbox's service can be ordered to show."""
import http.client
import ssl
import threading
import time

import pytest

from tests.sandbox import faults, licences
from tests.sandbox.faults import Fault
from tests.sandbox.service import Service
from tests.sandbox_tests.client import BASEOS, REGISTER, ask, connect, post


def test_a_status_comes_as_often_as_ordered_and_takes_no_seat(service: Service) -> None:
    fault = service.order(Fault(faults.Status(429, {"Retry-After": "3"}), path="*/register", method="POST", times=2))
    before = service.licences.seats()
    for _ in range(2):
        reply = post(service, REGISTER, key=licences.ESU_KEY, host_name="x")
        assert (reply.status, reply.headers["Retry-After"]) == (429, "3")
    assert service.licences.seats() == before
    assert ask(service, BASEOS + "name").status == 200
    assert post(service, REGISTER, key=licences.ESU_KEY, host_name="x").status == 200
    assert fault.used == 2


def test_a_throttle_lets_so_many_through_in_each_second(service: Service) -> None:
    service.order(Fault(faults.Throttle(2, {"Retry-After": "1"}, second=1.5), path="*/register"))
    before = len(service.licences.seats())
    replies = [post(service, REGISTER, key=licences.ESU_KEY, host_name="x%d" % number) for number in range(4)]
    assert [reply.status for reply in replies] == [200, 200, 429, 429] and replies[3].headers["Retry-After"] == "1"
    time.sleep(1.5)
    assert post(service, REGISTER, key=licences.ESU_KEY, host_name="x").status == 200
    assert len(service.licences.seats()) == before + 3


def test_faults_are_cancelled_one_by_one_or_all(service: Service) -> None:
    one = service.order(Fault(faults.Status(500), path="/almalinux/*"))
    service.order(Fault(faults.Status(503), path="/thirdparty/*"))
    service.cancel_fault(one)
    assert ask(service, BASEOS + "name").status == 200
    assert ask(service, "/thirdparty/9/x86_64/name").status == 503
    service.cancel_faults()
    assert ask(service, "/thirdparty/9/x86_64/name").status == 200


def test_a_fault_can_be_for_one_host(service: Service) -> None:
    service.order(Fault(faults.Status(500), host="repo.tuxcare.com"))
    assert ask(service, BASEOS + "name").status == 200
    assert ask(service, BASEOS + "name", headers={"Host": "repo.tuxcare.com"}).status == 500


def test_a_lost_answer_takes_the_seat(service: Service) -> None:
    service.order(Fault(faults.CutBefore(), times=1))
    with pytest.raises((ConnectionError, ssl.SSLError, http.client.HTTPException)):
        post(service, REGISTER, key=licences.ESU_KEY, host_name="lost.example.com")
    assert "lost.example.com" in service.seats[licences.ESU_KEY]
    assert service.requests[-1].status == 200


def test_a_body_that_is_cut_is_noticed(service: Service) -> None:
    service.order(Fault(faults.CutWithin(4)))
    with pytest.raises((ConnectionError, ssl.SSLError, http.client.IncompleteRead)):
        ask(service, BASEOS + "name")


def test_a_truncated_body_looks_whole(service: Service) -> None:
    service.order(Fault(faults.Truncated(4)))
    assert ask(service, BASEOS + "name").body == b"alma"
    assert post(service, REGISTER, key=licences.ESU_KEY, host_name="x").body == b'{"to'


def test_an_oversized_answer_is_still_json(service: Service) -> None:
    service.order(Fault(faults.Oversized(3_000_000)))
    reply = post(service, REGISTER, key=licences.ESU_KEY, host_name="x")
    assert (len(reply.body), set(reply.json())) == (3_000_000, {"token"})


def test_an_endless_answer_ends_with_the_client(service: Service) -> None:
    service.order(Fault(faults.Endless()))
    connection = connect(service)
    connection.request("GET", BASEOS + "name")
    response = connection.getresponse()
    assert response.getheader("Content-Length") is None
    assert len(response.read(5_000_000)) == 5_000_000
    connection.close()


def test_drip_and_delay(service: Service) -> None:
    service.order(Fault(faults.Drip(0.01), path=BASEOS + "*"))
    start = time.monotonic()
    assert len(ask(service, BASEOS + "name").body) == 30
    assert time.monotonic() - start > 0.29
    service.order(Fault(faults.Delay(0.2), path="/thirdparty/*"))
    start = time.monotonic()
    assert ask(service, "/thirdparty/9/x86_64/name").status == 200
    assert time.monotonic() - start > 0.19


def test_an_answer_is_held_until_released(service: Service) -> None:
    hold = faults.Hold()
    service.order(Fault(hold, times=1))
    replies = []
    thread = threading.Thread(target=lambda: replies.append(ask(service, BASEOS + "name")))
    thread.start()
    assert hold.reached.wait(5)
    assert not replies
    hold.release()
    thread.join(5)
    assert replies[0].status == 200


def test_other_bodies_and_fields(service: Service) -> None:
    service.order(Fault(faults.Body(b"<html>log in</html>"), times=1))
    reply = post(service, REGISTER, key=licences.ESU_KEY, host_name="x")
    assert (reply.body, reply.headers["Content-Type"]) == (b"<html>log in</html>", "text/html")
    service.order(Fault(faults.Fields(token=["a"], more=1), times=1))
    assert post(service, REGISTER, key=licences.ESU_KEY, host_name="x").json() == {"token": ["a"], "more": 1}
    service.order(Fault(faults.Json({"token": "../.."}), times=1))
    assert post(service, REGISTER, key=licences.ESU_KEY, host_name="x").json() == {"token": "../.."}


def test_redirect(service: Service) -> None:
    service.order(Fault(faults.Redirect("http://elsewhere.example.com/"), path=BASEOS + "*"))
    reply = ask(service, BASEOS + "name")
    assert (reply.status, reply.headers["Location"]) == (302, "http://elsewhere.example.com/")


def test_faults_are_combined(service: Service) -> None:
    service.order(Fault(faults.Status(503, body=b"later")))
    service.order(Fault(faults.Delay(0.2)))
    start = time.monotonic()
    assert ask(service, BASEOS + "name")[::2] == (503, b"later")
    assert time.monotonic() - start > 0.19
