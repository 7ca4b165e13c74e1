# SPDX-License-Identifier: Apache-2.0
"""`register --aws`: a key-less registration where it is configured, on an AWS instance, and nowhere else.

The sandbox plays both ends: the metadata service (IMDSv2) and the vendor's, whose real address and answers are not public.
"""
import json
import socket
import time
from typing import Callable, Dict, List, NamedTuple, Optional, Tuple

import pytest

from tests.integration.outcome import add_settings, document, is_done, own_lines, places_of, refused, register, untouched
from tests.integration.test_register import INSTALLED, UNREGISTER, token_of
from tests.integration.test_seal import KEY, SEAL, unit_command
from tests.sandbox.faults import Body, CutBefore, Fault, Fields, Hold, Misbehaviour, Oversized, Redirect, Status
from tests.sandbox.host import Host
from tests.sandbox.instances import INSTANCE
from tests.sandbox.licences import AWS_SUBSCRIPTION, ESU_KEY
from tests.sandbox.service import Service

AWS = "/cln/api/els/token/aws"
TOKEN, IDENTITY = "/latest/api/token", "/latest/dynamic/instance-identity/"
DOCUMENT, SIGNATURE = IDENTITY + "document", IDENTITY + "rsa2048"
DIALOGUE = [("PUT", TOKEN), ("GET", DOCUMENT), ("GET", SIGNATURE), ("POST", AWS)]
PRODUCT = "[product esu]\ntitle = Extended Security Updates\nkey_prefix = ESU-\nmoves = no\nmarketplaces = aws\n"
VENDOR, XEN = "sys/class/dmi/id/sys_vendor", "sys/hypervisor/uuid"


def plant(host: Host, name: str, text: str) -> None:
    path = host.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture
def instance(host: Host, service: Service) -> Host:
    """A host that is an AWS instance, with everything configured; dnf.conf names a proxy that knows CONNECT alone."""
    plant(host, VENDOR, "Amazon EC2\n")
    plant(host, "etc/dnf/plugins/tuxcare.d/aws.conf", PRODUCT)
    add_settings(host, "aws_register_url = " + service.url + AWS, "aws_metadata_url = " + service.metadata_url)
    with (host.root / "etc/dnf/dnf.conf").open("a") as conf:
        conf.write("proxy=%s\n" % service.proxy.url)
    return host


def asked(service: Service) -> List[Tuple[str, str]]:
    return [(record.method, record.path) for record in service.requests]


def by_aws(host: Host, *args: str, env: Optional[Dict[str, str]] = None) -> str:
    return is_done(host.dnf("tuxcare", "register", "--aws", *args, env=env))


# --- it registers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name, text", [(VENDOR, "Amazon EC2\n"), (XEN, "ec2e1916-9099-7caf-fd21-012345abcdef\n")])
def test_an_instance_registers_by_its_identity(instance: Host, service: Service, name: str, text: str) -> None:
    (instance.root / VENDOR).unlink()
    plant(instance, name, text)
    before = len(service.proxy.targets)
    done = instance.dnf("-d", "10", "tuxcare", "register", "--aws")
    assert INSTALLED in is_done(done)
    assert asked(service)[:4] == DIALOGUE
    put, _, signature, posted = service.requests[:4]
    assert put.headers["x-aws-ec2-metadata-token-ttl-seconds"] == "60"
    sent = posted.json()
    assert set(sent) == {"document", "signature", "host_name"} and json.loads(sent["document"])["instanceId"] == INSTANCE
    assert list(service.seats[AWS_SUBSCRIPTION].items()) == [(sent["host_name"], token_of(instance))]
    # The proxy was taken for all but the metadata service.
    assert set(service.proxy.targets[before:]) == {"localhost:%d" % service.port}
    for secret in (put.answer.decode(), sent["signature"].splitlines()[0], signature.answer.decode().splitlines()[-1]):
        assert secret not in done.stdout + done.stderr and places_of(instance, secret) == []
    is_done(instance.dnf("-y", "tuxcare", "unregister"))
    assert AWS_SUBSCRIPTION not in service.seats


def test_a_dry_run_lists_the_requests_and_sends_none(instance: Host, service: Service) -> None:
    with untouched(instance, service):
        plan = document(instance.dnf("tuxcare", "register", "--aws", "--dry-run", "--json"))
    ends = {"PUT": service.metadata_url, "GET": service.metadata_url, "POST": service.url}
    assert plan["requests"][:4] == ["%s %s%s" % (method, ends[method], path) for method, path in DIALOGUE]
    assert service.requests == [] and not any("token/register" in request for request in plan["requests"])


def test_replace_by_an_identity(instance: Host, service: Service) -> None:
    register(instance)
    service.clear_requests()
    by_aws(instance, "--replace")
    assert asked(service)[:4] == DIALOGUE and asked(service)[-1] == ("POST", UNREGISTER)
    assert ESU_KEY not in service.seats and list(service.seats[AWS_SUBSCRIPTION].values()) == [token_of(instance)]


def test_an_answer_that_was_lost_is_asked_for_again_under_the_same_name(instance: Host, service: Service) -> None:
    service.order(Fault(CutBefore(), path=AWS, times=1))
    refused(instance.dnf("tuxcare", "register", "--aws"), "a seat may be taken", "register --aws")
    kept = json.loads((instance.root / "var/lib/tuxcare/seat.json").read_text())
    assert (kept["key"], kept["token"]) == ("", None)
    (instance.root / "etc/hostname").write_text("renamed.example.com\n")
    by_aws(instance)
    names = [record.json()["host_name"] for record in service.requests if record.path == AWS]
    assert len(names) == 2 and set(names) == {kept["host_name"]} != {"renamed.example.com"}
    assert not (instance.root / "var/lib/tuxcare/seat.json").exists()


# --- it does not, unless everything says so ------------------------------------------------------------------------


def no_product(host: Host) -> None:
    (host.root / "etc/dnf/plugins/tuxcare.d/aws.conf").unlink()


def unset(host: Host) -> None:
    add_settings(host, "aws_register_url =")


def elsewhere(host: Host) -> None:
    """A virtual machine of somebody else's; its UUID has the sign within."""
    plant(host, VENDOR, "QEMU\n")
    plant(host, XEN, "0000ec2e-9099-7caf-fd21-012345abcdef\n")


def no_hardware(host: Host) -> None:
    (host.root / VENDOR).unlink()


@pytest.mark.parametrize("change, words", [
    (unset, ("is not configured", "aws_register_url")), (no_product, ("catalogue", "marketplaces = aws")),
    (elsewhere, ("is no AWS instance",)), (no_hardware, ("is no AWS instance",)),
], ids=["off by default", "not in the catalogue", "another machine", "no hardware"])
def test_nothing_is_asked(instance: Host, service: Service, change: Callable[[Host], None], words: Tuple[str, ...]) -> None:
    change(instance)
    with untouched(instance, service):
        refused(instance.dnf("tuxcare", "register", "--aws"), *words)
    assert service.requests == []


@pytest.mark.parametrize("args, env", [
    (("--license-key-file", "-"), {}), ((), {"TUXCARE_LICENSE_KEY": ESU_KEY})], ids=["-", "environment"])
def test_a_key_beside_it(instance: Host, service: Service, args: Tuple[str, ...], env: Dict[str, str]) -> None:
    with untouched(instance, service):
        refused(instance.dnf("tuxcare", "register", "--aws", *args, env=env, stdin=ESU_KEY), "--aws", "exclude each other")
    assert service.requests == []


# --- what the metadata service can do ------------------------------------------------------------------------------


class Bad(NamedTuple):
    """What answers at which path, and the words of the line; `last` is the last request that was sent."""

    path: str
    behaviour: Misbehaviour
    words: Tuple[str, ...]
    last: Optional[str] = None


NOT_ASKED = "cannot be asked"
METADATA = {
    "IMDSv1 alone": Bad(TOKEN, Status(405), ("HTTP 405", "IMDSv2")),
    "switched off": Bad(TOKEN, Status(403), ("HTTP 403", "hop limit")),
    "busy, which is not waited for": Bad(TOKEN, Status(503, {"Retry-After": "60"}), ("HTTP 503",)),
    "another host": Bad(TOKEN, Redirect("http://elsewhere.example.com/"), (NOT_ASKED, "redirects")),
    "a token that is not taken": Bad(TOKEN, Body(b"another"), ("HTTP 401",), DOCUMENT),
    "another id": Bad(DOCUMENT, Fields(instanceId="i-0a1b2c3d4e5f60718/../../x"), ("names no instance",)),
    "a document without end": Bad(DOCUMENT, Oversized(10 << 20), (NOT_ASKED, "16384 bytes")),
    "a broken signature": Bad(SIGNATURE, CutBefore(), (NOT_ASKED, "broke off")),
    "a changed document": Bad(DOCUMENT, Fields(accountId="999999999999"), ("refused", "invalid-identity", "subscription"), AWS),
    "a vendor's portal": Bad(AWS, Body(b"<html>"), ("JSON", "aws_register_url", "register --aws"), AWS),
}


@pytest.mark.parametrize("bad", METADATA.values(), ids=list(METADATA))
def test_a_hostile_answer(instance: Host, service: Service, bad: Bad) -> None:
    add_settings(instance, "retries = 0")
    service.order(Fault(bad.behaviour, path=bad.path))
    seats, token = service.seats, instance.root / "etc/dnf/vars/tuxcare_token"
    line = refused(instance.dnf("tuxcare", "register", "--aws"), *bad.words)
    assert asked(service)[-1][1] == (bad.last or bad.path) and len(asked(service)) <= 4
    assert service.seats == seats and not token.exists()
    assert ("A seat may be taken" in line) == (instance.root / "var/lib/tuxcare/seat.json").exists()


def test_a_metadata_service_that_is_silent(instance: Host, service: Service) -> None:
    """A second and no second attempt, whatever `timeout` and `retries` say."""
    service.order(Fault(Hold(), path=SIGNATURE))
    began = time.monotonic()
    with untouched(instance, service):
        refused(instance.dnf("tuxcare", "register", "--aws"), NOT_ASKED, "did not answer in time", "IMDSv2")
    assert time.monotonic() - began < 20 and asked(service) == DIALOGUE[:3]


def test_a_metadata_service_that_is_not_there(instance: Host, service: Service) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        add_settings(instance, "aws_metadata_url = http://127.0.0.1:%d" % nobody.getsockname()[1])
        with untouched(instance, service):
            refused(instance.dnf("tuxcare", "register", "--aws"), NOT_ASKED, "refuses the connection")
    assert service.requests == []


def test_an_account_that_has_bought_nothing(instance: Host, service: Service) -> None:
    del service.keys[AWS_SUBSCRIPTION]
    with untouched(instance, service):
        refused(instance.dnf("tuxcare", "register", "--aws"), "no-subscription", "Check the AWS Marketplace subscription")


# --- images -------------------------------------------------------------------------------------------------------


def test_a_sealed_image_registers_at_its_first_boot(instance: Host, service: Service) -> None:
    """It is made elsewhere, and has no key; one of an earlier seal goes."""
    (instance.root / "etc/machine-id").write_text("")
    (instance.root / VENDOR).unlink()
    is_done(instance.dnf("tuxcare", "register", "--seal", env={"TUXCARE_LICENSE_KEY": ESU_KEY}))
    said = by_aws(instance, "--seal", "--product", "esu")
    assert "licence key" not in said and not (instance.root / KEY).exists() and service.requests == []
    with untouched(instance, service):
        refused(instance.dnf(*unit_command()), "is no AWS instance")
        by_aws(instance, "--seal", "--product", "esu")
    plant(instance, VENDOR, "Amazon EC2\n")
    done = instance.dnf(*unit_command())
    assert "TuxCare installed successfully" in is_done(done) and own_lines(done.stderr) == []
    assert asked(service)[:4] == DIALOGUE and not (instance.root / SEAL).exists()
    assert list(service.seats[AWS_SUBSCRIPTION].values()) == [token_of(instance)]


def test_an_image_is_not_sealed_where_it_could_not_register(instance: Host, service: Service) -> None:
    unset(instance)
    with untouched(instance, service):
        refused(instance.dnf("tuxcare", "register", "--seal", "--aws"), "is not configured")


def test_a_key_counts_more_than_the_seal(instance: Host, service: Service) -> None:
    (instance.root / "etc/machine-id").write_text("")
    by_aws(instance, "--seal")
    register(instance)
    assert list(service.seats[ESU_KEY].values()) == [token_of(instance)] and AWS_SUBSCRIPTION not in service.seats
