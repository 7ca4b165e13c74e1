# SPDX-License-Identifier: Apache-2.0
"""The sandbox's service, as plain clients, curl and real dnf see it."""
import http.client
import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterator, Optional, Sequence, Set, Tuple

import pytest

from tests.sandbox import faults, licences
from tests.sandbox.faults import Fault
from tests.sandbox.service import HOST_NAMES, Service
from tests.sandbox.universe import Universe
from tests.sandbox_tests.client import AWS, BASEOS, CHECK, REGISTER, UNREGISTER, ask, connect, context, post, token_of
from tests.sandbox_tests.conftest import TreeFolders

REPOMD = "repodata/repomd.xml"


# --- registration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "product"),
    [
        (licences.ESU_KEY, "esu"),
        (licences.PLAIN_ESU_KEY, "esu"),
        (licences.ESSENTIAL_KEY, "essential"),
        (licences.PLAIN_ESSENTIAL_KEY, "essential"),
    ],
)
def test_a_key_gives_a_token_of_its_product(service: Service, key: str, product: str) -> None:
    token = token_of(service, key)
    assert post(service, CHECK, token=token).json() == {"valid": True, "product": product}
    assert service.seats[key]["one.example.com"] == token


def test_registering_twice_takes_two_seats(service: Service) -> None:
    first, second = (token_of(service, host_name="twice.example.com") for _ in range(2))
    hosts = service.seats[licences.ESU_KEY]
    assert (hosts["twice.example.com"], hosts["twice.example.com (2)"]) == (first, second)


def test_a_seat_is_given_back_once(service: Service) -> None:
    token = token_of(service, host_name="back.example.com")
    assert post(service, UNREGISTER, token=token, host_name="back.example.com")[::2] == (200, b"{}")
    assert "back.example.com" not in service.seats[licences.ESU_KEY]
    again = post(service, UNREGISTER, token=token, host_name="back.example.com")
    assert (again.status, again.json()) == (404, {"error": "unknown-token"})
    assert post(service, CHECK, token=token).status == 404


@pytest.mark.parametrize(
    ("key", "error"),
    [(licences.UNKNOWN_KEY, "invalid-key"), (licences.EXHAUSTED_KEY, "key-limit-reached")],
)
def test_a_key_is_refused(service: Service, key: str, error: str) -> None:
    reply = post(service, REGISTER, key=key, host_name="one.example.com")
    assert (reply.status, reply.json()) == (400, {"error": error})


def test_an_expired_key_opens_nothing_and_its_seat_can_go(service: Service) -> None:
    token = token_of(service)
    service.keys[licences.ESU_KEY].expired = True
    try:
        assert ask(service, "/tuxcare/9.2/%s/esu/x86_64/name" % token).status == 403
        assert post(service, UNREGISTER, token=token, host_name="x").status == 200
    finally:
        service.keys[licences.ESU_KEY].expired = False


def test_an_instance_registers_by_what_its_metadata_service_says(service: Service) -> None:
    paths = ["/latest/dynamic/instance-identity/" + name for name in ("document", "rsa2048")]
    lifetime = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    assert [ask(service, path).status for path in paths] == [401, 401]
    assert ask(service, "/latest/api/token").status == 405
    for headers in ({}, {"X-aws-ec2-metadata-token-ttl-seconds": "0"}, dict(lifetime, **{"X-Forwarded-For": "10.0.0.1"})):
        assert ask(service, "/latest/api/token", "PUT", headers).status in (400, 403)
    token = {"X-aws-ec2-metadata-token": ask(service, "/latest/api/token", "PUT", lifetime).body.decode()}
    document, signature = (ask(service, path, headers=token).body.decode() for path in paths)
    changed = document.replace("123456789012", "999999999999")
    assert post(service, AWS, document=changed, signature=signature, host_name="x").json() == {"error": "invalid-identity"}
    reply = post(service, AWS, document=document, signature=signature, host_name="x")
    assert service.seats[licences.AWS_SUBSCRIPTION] == {"x": reply.json()["token"]}


@pytest.mark.parametrize("body", [b"", b"junk", b"[]", b"{}", b'{"key": 1, "host_name": "x"}', b"\xff"])
def test_a_body_that_is_no_request_is_refused(service: Service, body: bytes) -> None:
    assert ask(service, REGISTER, "POST", {"Content-Type": "application/json"}, body).status == 400


def test_registration_wants_json_by_post(service: Service) -> None:
    body = json.dumps({"key": licences.ESU_KEY, "host_name": "x"}).encode()
    assert ask(service, REGISTER, "POST", {"Content-Type": "text/plain"}, body).status == 415
    assert ask(service, REGISTER).status == 405
    assert ask(service, "/cln/api/els/token/steal", "POST").status == 404


# --- content ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "tree"),
    [
        ("/tuxcare/9.2/base/x86_64/name", "tuxcare/9.2/base/x86_64"),
        ("/almalinux/9/BaseOS/x86_64/os/name", "almalinux/9.4/BaseOS/x86_64/os"),
        ("/almalinux/9.2/BaseOS/x86_64/os/name", "almalinux/9.2/BaseOS/x86_64/os"),
        ("/vault/9.2/CRB/x86_64/os/name", "almalinux/9.2/CRB/x86_64/os"),
        ("/thirdparty/9/x86_64/name", "thirdparty/9/x86_64"),
        ("/tuxcare/RPM-GPG-KEY-TuxCare", "key of TuxCare"),
    ],
)
def test_open_content(service: Service, path: str, tree: str) -> None:
    reply = ask(service, path)
    assert (reply.status, reply.body.decode()) == (200, tree)


@pytest.mark.parametrize(
    ("key", "path", "status"),
    [
        (licences.ESU_KEY, "/tuxcare/9.2/%s/esu/x86_64/name", 200),
        (licences.ESU_KEY, "/tuxcare/9.2/%s/fips/x86_64/name", 200),
        (licences.ESU_KEY, "/almalinux/9.2/%s/BaseOS/x86_64/os/name", 200),
        (licences.ESSENTIAL_KEY, "/tuxcare/9.2/%s/esu/x86_64/name", 403),
        (licences.ESSENTIAL_KEY, "/tuxcare/9.2/%s/fips/x86_64/name", 403),
        (licences.ESSENTIAL_KEY, "/almalinux/9.4/%s/BaseOS/x86_64/os/name", 200),
        (licences.ESU_KEY, "/tuxcare/9.9/%s/esu/x86_64/name", 404),
    ],
)
def test_a_token_opens_what_its_product_has(service: Service, key: str, path: str, status: int) -> None:
    assert ask(service, path % token_of(service, key)).status == status


@pytest.mark.parametrize("token", ["nobody", "", "$tuxcare_token", "%24tuxcare_token", ".."])
def test_no_token_opens_nothing(service: Service, token: str) -> None:
    assert ask(service, "/tuxcare/9.2/%s/esu/x86_64/name" % token).status == 403
    assert ask(service, "/almalinux/9.2/%s/BaseOS/x86_64/os/name" % token).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/", "", "/nothing", "/almalinux", "/almalinux/8/BaseOS/x86_64/os/name", "/vault/9.3/CRB/x86_64/os/name",
        "/thirdparty/9/x86_64/", "/thirdparty/9/x86_64", "/thirdparty/../../keys/RPM-GPG-KEY-TuxCare",
        "/thirdparty/%2e%2e/%2e%2e/keys/RPM-GPG-KEY-TuxCare", "/thirdparty/..%2f..%2fkeys%2fRPM-GPG-KEY-TuxCare",
        "/thirdparty/9/x86_64/%00", "/thirdparty/9/x86_64/" + 300 * "n", "/mirrorlist/9/nothing", "/mirrorlist/9",
        "/mirrorlist/8/baseos", "/mirrorlist/9/baseos-junk", "/tuxcare/9.2",
    ],
)  # fmt: skip
def test_what_is_not_there(service: Service, path: str) -> None:
    assert ask(service, path).status == 404


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("9/baseos", "almalinux/9.4/BaseOS/$basearch/os/"),
        ("9.2/highavailability", "almalinux/9.2/HighAvailability/$basearch/os/"),
        ("9.2/crb-debug", "vault/9.2/CRB/debug/$basearch/"),
        ("9.2/saphana-source", "vault/9.2/SAPHANA/Source/"),
    ],
)
def test_mirror_list(service: Service, path: str, address: str) -> None:
    real = ask(service, "/mirrorlist/" + path, headers={"Host": "mirrors.almalinux.org"})
    assert real.body.decode() == "https://repo.almalinux.org/%s\n" % address
    assert ask(service, "/mirrorlist/" + path).body.decode() == "%s/%s\n" % (service.url, address)


def test_a_folder_of_the_test_is_published(service: Service, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("own")
    address = service.mount("/mirror/one/", tmp_path)
    assert address == service.url + "/mirror/one/"
    assert ask(service, "/mirror/one/file").body == b"own"


# --- HTTP -------------------------------------------------------------------------------------------------------


def test_head_has_the_length_and_no_body(service: Service) -> None:
    reply = ask(service, BASEOS + "name", "HEAD")
    assert (reply.status, reply.headers["Content-Length"], reply.body) == (200, "30", b"")


@pytest.mark.parametrize(
    ("value", "status", "body", "content_range"),
    [
        ("bytes=0-3", 206, b"alma", "bytes 0-3/30"),
        ("bytes=26-", 206, b"4/os", "bytes 26-29/30"),
        ("bytes=-2", 206, b"os", "bytes 28-29/30"),
        ("bytes=28-900", 206, b"os", "bytes 28-29/30"),
        ("bytes=30-", 416, b"", "bytes */30"),
        ("bytes=0-1,3-4", 200, b"almalinux/9.4/BaseOS/x86_64/os", None),
        ("junk", 200, b"almalinux/9.4/BaseOS/x86_64/os", None),
    ],
)
def test_ranges(service: Service, value: str, status: int, body: bytes, content_range: Optional[str]) -> None:
    reply = ask(service, BASEOS + "name", headers={"Range": value})
    assert (reply.status, reply.body, reply.headers.get("Content-Range")) == (status, body, content_range)


def test_a_connection_is_kept_and_quick(service: Service) -> None:
    connection = connect(service)
    connection.connect()
    local, start = connection.sock.getsockname(), time.monotonic()
    for _ in range(50):
        connection.request("GET", BASEOS + "name")
        assert connection.getresponse().read()
    assert connection.sock.getsockname() == local
    assert time.monotonic() - start < 1
    connection.close()


def test_a_large_file_comes_whole(service: Service, tmp_path: Path) -> None:
    content = bytes(range(256)) * 20000
    (tmp_path / "large").write_bytes(content)
    service.mount("/mirror/large/", tmp_path)
    assert ask(service, "/mirror/large/large").body == content
    assert ask(service, "/mirror/large/large", headers={"Range": "bytes=70000-140000"}).body == content[70000:140001]


def test_many_clients_at_once_get_a_seat_each(service: Service) -> None:
    def register(number: int) -> None:
        token_of(service, licences.PLAIN_ESU_KEY, "host%d" % number)

    threads = [threading.Thread(target=register, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {"host%d" % number for number in range(20)} <= set(service.seats[licences.PLAIN_ESU_KEY])
    assert len(service.requests) == 20


def test_requests_are_recorded(service: Service) -> None:
    token = token_of(service)
    ask(service, BASEOS + "name?x=1", headers={"Host": "repo.almalinux.org", "User-Agent": "test"})
    first, second = service.requests
    assert (first.method, first.host, first.path, first.status) == ("POST", "localhost", REGISTER, 200)
    assert first.json() == {"key": licences.ESU_KEY, "host_name": "one.example.com"}
    assert json.loads(first.answer.decode()) == {"token": token}
    assert (second.host, second.path, second.query) == ("repo.almalinux.org", BASEOS + "name", "x=1")
    assert (second.headers["user-agent"], second.answer, second.length) == ("test", b"", 30)
    service.clear_requests()
    assert service.requests == []


def test_all_names_are_in_the_certificate_on_the_default_port(service: Service) -> None:
    if service.default_port is None:
        pytest.skip("an ordinary user may not listen on port 443")
    for name in (*HOST_NAMES, service.address):
        raw = socket.create_connection((service.address, 443), 5)
        context(service).wrap_socket(raw, server_hostname=name).close()


def test_a_service_that_stops_frees_its_ports_and_connections(trees: TreeFolders, tmp_path: Path) -> None:
    with Service(trees, tmp_path) as service:
        service.order(Fault(faults.Delay(60)))
        kept = connect(service)
        kept.request("GET", BASEOS + "name")
        start = time.monotonic()
    assert time.monotonic() - start < 2
    with pytest.raises(OSError):
        connect(service).connect()
    with pytest.raises((OSError, http.client.HTTPException)):
        kept.getresponse().read()
    socket.create_server((service.address, service.port)).close()


# --- other listeners --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("flaw", "words"),
    [
        ("expired", "certificate has expired"),
        ("not-yet-valid", "certificate is not yet valid"),
        ("wrong-name", "Hostname mismatch"),
        ("unknown-issuer", "unable to get local issuer"),
    ],
)
def test_a_false_certificate_is_refused_and_reaches_nothing(service: Service, flaw: str, words: str) -> None:
    with pytest.raises(urllib.error.URLError, match=words):
        urllib.request.urlopen(service.impostor_url(flaw) + BASEOS + "name", context=context(service), timeout=5)
    assert service.requests == []
    assert service.impostor_url(flaw) == service.impostor_url(flaw)


def test_plain_http(service: Service) -> None:
    with urllib.request.urlopen(service.plain_url + BASEOS + "name", timeout=5) as response:
        assert response.read() == b"almalinux/9.4/BaseOS/x86_64/os"


def test_the_proxy_reaches_the_real_names(service: Service) -> None:
    handlers = urllib.request.ProxyHandler({"https": service.proxy.url})
    opener = urllib.request.build_opener(handlers, urllib.request.HTTPSHandler(context=context(service)))
    with opener.open("https://mirrors.almalinux.org/mirrorlist/9/baseos", timeout=5) as response:
        assert response.read().startswith(b"https://repo.almalinux.org/almalinux/9.4/BaseOS/")
    assert service.proxy.targets[-1] == "mirrors.almalinux.org:443"


# --- real clients -----------------------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not here")
def test_curl(service: Service) -> None:
    command = ["curl", "-sSf", "--noproxy", "*", "--cacert", str(service.ca_file), service.url + BASEOS + "name"]
    assert subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout == b"almalinux/9.4/BaseOS/x86_64/os"


def dnf(service: Service, root: Path, settings: Sequence[str], *args: str) -> "subprocess.CompletedProcess[str]":
    """Runs dnf on one repository, `one`, in a root of its own; it reaches all host names through the proxy."""
    repo = ["[one]", "name=one", "gpgcheck=0", "skip_if_unavailable=0"]
    repo += ["sslcacert=%s" % service.ca_file, "proxy=" + service.proxy.url]
    (root / "etc/yum.repos.d").mkdir(parents=True)
    (root / "etc/yum.repos.d/one.repo").write_text("\n".join([*repo, *settings]) + "\n")
    command = ["dnf", "--installroot=%s" % root, "--releasever=9", "--forcearch=x86_64", "--noplugins", *args]
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, universal_newlines=True
    )


def fetched(service: Service) -> Set[Tuple[str, str, int]]:
    """Where the repository's index was asked for, and the answer's status."""
    return {(seen.host, seen.path, seen.status) for seen in service.requests if seen.path.endswith(REPOMD)}


@pytest.fixture(scope="module")
def real_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Serves the whole universe."""
    with Service(Universe.build(), tmp_path_factory.mktemp("real")) as service:
        yield service


def test_dnf_follows_the_mirror_list_of_the_real_name(real_service: Service, tmp_path: Path) -> None:
    real_service.clear_requests()
    mirror_list = "mirrorlist=https://mirrors.almalinux.org/mirrorlist/$releasever/baseos"
    done = dnf(real_service, tmp_path, [mirror_list], "repoquery", "-q", "almalinux-release")
    assert "almalinux-release-0:9.4-" in done.stdout, done.stdout
    assert fetched(real_service) == {("repo.almalinux.org", "/almalinux/9.4/BaseOS/x86_64/os/" + REPOMD, 200)}


@pytest.mark.parametrize(("key", "status"), [(licences.ESU_KEY, 200), (licences.ESSENTIAL_KEY, 403)])
def test_dnf_gets_the_esu_packages_by_an_esu_token(
    real_service: Service, tmp_path: Path, key: str, status: int
) -> None:
    (tmp_path / "etc/dnf/vars").mkdir(parents=True)
    (tmp_path / "etc/dnf/vars/tuxcare_token").write_text(token_of(real_service, key))
    real_service.clear_requests()
    address = "baseurl=https://repo.tuxcare.com/tuxcare/9.2/$tuxcare_token/esu/$basearch/"
    done = dnf(real_service, tmp_path, [address], "repoquery", "-q", "gnutls")
    assert {seen[0::2] for seen in fetched(real_service)} == {("repo.tuxcare.com", status)}
    assert ("gnutls-" in done.stdout, done.returncode) == (status == 200, int(status != 200)), done.stdout


def test_dnf_downloads_a_package_over_a_slow_line(real_service: Service, tmp_path: Path) -> None:
    fault = real_service.order(Fault(faults.Drip(0.01, 20000), path="*.rpm"))
    address = "baseurl=https://repo.almalinux.org/almalinux/9.2/BaseOS/$basearch/os/"
    done = dnf(real_service, tmp_path, [address], "install", "-y", "--downloadonly", "zlib")
    real_service.cancel_fault(fault)
    assert list(tmp_path.rglob("zlib-*.rpm")), done.stdout
    assert fault.used
