# SPDX-License-Identifier: Apache-2.0
"""The proxy of dnf.conf: what it gets to see is what it gets of dnf itself."""
from typing import Optional

import pytest

from tests.integration.outcome import is_done, refused, register, untouched
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service

KEY = {"TUXCARE_LICENSE_KEY": ESU_KEY}


def write(host: Host, *lines: str) -> None:
    with (host.root / "etc/dnf/dnf.conf").open("a", encoding="utf-8") as conf:
        conf.write("".join(line + "\n" for line in lines))


@pytest.mark.parametrize("user, password", [
    ("user", "pass"), ("me@example.com", "p:a/s#s?w@rd&[1]"), ("CORP\\user", "50%25 or 100%"),
    ("\u00fcber", "\u0142\u20ac"), ("proxy.example.com", "1/"),
], ids=["plain", "punctuation", "a domain", "letters", "an address"])
@pytest.mark.parametrize("scheme", ["http://", ""])
def test_user_and_password_are_sent_as_they_stand(
    host: Host, service: Service, user: str, password: str, scheme: str
) -> None:
    """A proxy that wants them lets us through as it does dnf's own downloads; nobody else is asked."""
    address = scheme + service.proxy.url[len("http://"):]
    write(host, "proxy=" + address, "proxy_username=" + user, "proxy_password=" + password)
    service.proxy.wanted = ("%s:%s" % (user, password)).encode()
    before = len(service.proxy.targets)
    register(host)
    assert set(service.proxy.targets[before:]) == {"localhost:%d" % service.port}
    is_done(host.dnf("--refresh", "makecache"))


@pytest.mark.parametrize("method, sent", [("basic", b"user:pass"), ("any", b"user:pass"), ("digest", None), ("none", None)])
def test_a_password_is_sent_by_the_method_that_was_chosen_alone(
    host: Host, service: Service, method: str, sent: Optional[bytes]
) -> None:
    write(host, "proxy=" + service.proxy.url, "proxy_username=user", "proxy_password=pass", "proxy_auth_method=" + method)
    before = len(service.proxy.targets)
    register(host)
    assert set(service.proxy.credentials[before:]) == {sent}


def test_none_is_no_proxy(host: Host, service: Service) -> None:
    write(host, "proxy=_none_", "proxy_username=user", "proxy_password=pass")
    register(host)


@pytest.mark.parametrize("scheme", ["ftp", "socks", "socks4h", "banana"])
def test_a_proxy_of_a_kind_that_is_none(host: Host, service: Service, scheme: str) -> None:
    """Nothing was sent, so no seat may be taken."""
    write(host, "proxy=%s://127.0.0.1:9" % scheme, "proxy_username=user", "proxy_password=secret")
    with untouched(host, service):
        line = refused(host.dnf("tuxcare", "register", env=KEY), "proxy of dnf.conf", "socks5://")
    assert service.requests == [] and "secret" not in line and "seat" not in line
