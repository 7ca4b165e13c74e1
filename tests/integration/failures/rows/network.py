# SPDX-License-Identifier: Apache-2.0
"""The way to the service: names, connections, certificates, a proxy."""
from typing import Callable, Tuple

from tests.integration.failures.circumstances import (
    all_of, answers, configured, file, full_queue, mounted, moved, speaking,
)  # fmt: skip
from tests.integration.failures.row import BASEOS, NONE, RETURNED, TAKEN, UNKNOWN, Circumstance, Row
from tests.integration.failures.site import Site
from tests.sandbox.faults import CutBefore, CutWithin, Status

__all__ = ["ROWS"]

_NAMES = "names and connections"
_TLS = "certificates"
_PROXY = "a proxy"
_NOWHERE = "https://cln.example.com:8443"
_REFUSING = "127.0.0.1:1"  # tcpmux: nobody has it
_DEAD_DNS = "nameserver 127.255.255.254\noptions attempts:1 timeout:1\n"


def _names(*sources: str) -> Circumstance:
    """How the host's programs look names up, whatever the machine's own way is."""
    files = {"nsswitch.conf": "hosts: %s\n" % " ".join(sources), "resolv.conf": _DEAD_DNS}
    return all_of(
        *(file("tmp/" + name, text) for name, text in files.items()),
        mounted(*("mount --bind {root}/tmp/%s /etc/%s" % (name, name) for name in files)),
        moved("register_url", lambda site: _NOWHERE),
    )


def _flaw(flaw: str) -> Callable[[Site], str]:
    return lambda site: site.service.impostor_url(flaw)


def _certificate(name: str, words: str, says: str, setting: str = "register_url", seat: str = NONE) -> Row:
    flaw = name.partition("-of-")[0]
    return Row("certificate-" + name, _TLS, words, moved(setting, _flaw(flaw)), ("certificate of", says), seat)


_CONNECTIONS = (
    Row("name-unknown", _NAMES, "a name that DNS does not know", _names("files"),
        ("The name of cln.example.com:8443 is not known",), tries=2, mounts=True),
    Row("dns-away", _NAMES, "a DNS server that does not answer", _names("files", "dns"), ("cannot be looked up", "DNS"),
        tries=2, mounts=True),
    Row("refused", _NAMES, "nobody listens there", moved("register_url", lambda site: "https://" + _REFUSING),
        ("refuses the connection",), tries=2),
    Row("unreachable", _NAMES, "no route there", moved("register_url", lambda site: "https://127.255.255.255"),
        ("is unreachable",), tries=2),
    Row("connect-timeout", _NAMES, "a firewall drops what is sent there", full_queue, ("does not answer", "firewall"), tries=2),
    Row("repositories-away", _NAMES, "nobody listens where the repositories are", moved(
        "repo_url", lambda site: "https://" + _REFUSING), ("refuses the connection",), RETURNED, tries=2),
    Row("seat-not-given-back", _NAMES, "the same, and the service fails when it is to take the seat back", all_of(
        moved("repo_url", lambda site: "https://" + _REFUSING), answers(Status(500), "*/token/unregister")),
        ("refuses the connection",), TAKEN, tries=2),
    Row("repositories-cut", _NAMES, "the index of the vetted BaseOS is cut off, each time", answers(CutWithin(100), BASEOS),
        ("broke off",), RETURNED, tries=2, at=BASEOS),
    Row("repositories-cut-once", _NAMES, "the index of the vetted BaseOS is cut off once", answers(CutBefore(), BASEOS, times=1),
        tries=2, at=BASEOS, status=0),
)  # fmt: skip

_CERTIFICATES = (
    _certificate("expired", "expired (or the clock of this host is years ahead)", "it has expired"),
    _certificate("not-yet-valid", "not valid yet (or the clock of this host is years behind)", "it is not valid yet"),
    _certificate("unknown-issuer", "of an authority that this host does not trust", "its issuer is unknown"),
    _certificate("wrong-name", "for another name", "it is for another name"),
    _certificate("expired-of-repositories", "of the repositories: expired", "it has expired", "repo_url", RETURNED),
    _certificate("wrong-name-of-key", "of the place of the signing key: for another name", "it is for another name",
                 "gpg_key_url", RETURNED),
    Row("no-tls", _TLS, "no TLS on that port", moved(
        "register_url", lambda site: site.service.plain_url.replace("http:", "https:")), ("does not speak TLS",)),
    Row("handshake-cut", _TLS, "the connection is reset in the TLS handshake", speaking("register_url", "https", b""),
        ("broke off",), tries=2),
    Row("ca-file-missing", _TLS, "`ca_file` is missing", configured("ca_file = /etc/none.pem"),
        ("certificates in /etc/none.pem cannot be read", "ca_file"), tries=0),
    Row("ca-file-no-pem", _TLS, "`ca_file` is no PEM", all_of(
        file("tmp/junk.pem", "banana\n"), configured("ca_file = {root}/tmp/junk.pem")),
        ("tmp/junk.pem cannot be read", "ca_file"), tries=0),
)  # fmt: skip

_PROXIES = (
    Row("proxy-away", _PROXY, "nobody listens there", moved("proxy", lambda site: "http://" + _REFUSING),
        ("The proxy", "proxy in"), tries=2),
    Row("proxy-wants-password", _PROXY, "it answers 407", speaking(
        "proxy", "http", b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
        ("The proxy", "user name and password"), tries=2),
    Row("proxy-forbids", _PROXY, "it answers 403", speaking(
        "proxy", "http", b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), ("The proxy", "refuses"), tries=2),
    Row("proxy-resets", _PROXY, "it resets the connection", speaking("proxy", "http", b""), ("broke off",), UNKNOWN),
    Row("proxy-resets-within", _PROXY, "the tunnel is cut before the answer", all_of(
        moved("proxy", lambda site: site.service.proxy.url), answers(CutBefore())), ("broke off",), UNKNOWN),
)  # fmt: skip

ROWS: Tuple[Row, ...] = (*_CONNECTIONS, *_CERTIFICATES, *_PROXIES)
