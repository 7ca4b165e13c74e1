# SPDX-License-Identifier: Apache-2.0
"""After the token: what it opens, and the signing key. Each failure gives the seat back."""
from typing import ContextManager, Tuple

from tests.integration.failures.circumstances import answers, configured, licence, nothing, served_key
from tests.integration.failures.row import BASEOS, ESU, RETURNED, SIGNING_KEY, Circumstance, Row
from tests.integration.failures.site import Site
from tests.sandbox.faults import Body, Misbehaviour, Oversized, Redirect, Status
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY, PLAIN_ESSENTIAL_KEY, PLAIN_ESU_KEY, Key

__all__ = ["ROWS"]

_PRODUCT = "the key is for something else"
_BASEOS = "the vetted BaseOS is not opened"
_ESU = "the ESU repository does not answer"
_KEY = "the signing key"
_PORTAL = Body(b"<html>log in</html>")
_UNDECIDED = "so the product is undecided"


def _proved(name: str, group: str, words: str, circumstance: Circumstance, says: Tuple[str, ...], key: str = ESU_KEY,
            args: Tuple[str, ...] = (), tries: int = 1, at: str = BASEOS, seat: str = RETURNED) -> Row:  # fmt: skip
    return Row(name, group, words, circumstance, says, seat, tries, at, args, key)


def _key(name: str, words: str, behaviour: Misbehaviour, *says: str, tries: int = 1) -> Row:
    return _proved("signing-key-" + name, _KEY, words, answers(behaviour, SIGNING_KEY), says, tries=tries, at=SIGNING_KEY)


def _forged(kind: str, words: str, *says: str) -> Row:
    return _proved("signing-key-" + kind, _KEY, words, served_key(kind), ("signing key", *says), at=SIGNING_KEY)


def _served(*names: str) -> Circumstance:
    """Keys of the sandbox in one file."""
    return lambda site: answers(Body(b"".join(site.forged.real(name) for name in names)), SIGNING_KEY)(site)


def _half(site: Site) -> ContextManager[None]:
    return answers(Body(site.forged.real()[:400]), SIGNING_KEY)(site)


_PRODUCTS = (
    _proved("entitlement-missing", _PRODUCT, "an Essential key with `--product esu`", licence(
        PLAIN_ESSENTIAL_KEY, Key("essential", 9), Key("esu", 9)), ("entitlement missing", "--product essential"),
        PLAIN_ESSENTIAL_KEY, ("--product", "esu"), at=ESU),
    _proved("entitlement-missing-prefix", _PRODUCT, "a key that begins with ESU- and is Essential's", licence(
        ESU_KEY, Key("essential", 9), Key("esu", 9)), ("entitlement missing", "--product essential"), at=ESU),
    _proved("essential-asked", _PRODUCT, "an ESU key with `--product essential`", licence(
        PLAIN_ESU_KEY, Key("esu", 9), Key("essential", 9)), ("is for ESU", "--product esu"), PLAIN_ESU_KEY,
        ("--product", "essential"), at=ESU),
    Row("prefix-contradicts", _PRODUCT, "a key that begins with ESU- with `--product essential`", nothing,
        ("by its prefix", "--product"), args=("--product", "essential"), tries=0, mends=False),
)  # fmt: skip

_BASEOS_ROWS = (
    _proved("baseos-403", _BASEOS, "403", answers(Status(403), BASEOS), ("HTTP 403", "BaseOS")),
    _proved("baseos-404", _BASEOS, "404", answers(Status(404), BASEOS), ("HTTP 404", "BaseOS")),
    _proved("baseos-500", _BASEOS, "500", answers(Status(500), BASEOS), ("HTTP 500", "BaseOS")),
    _proved("baseos-503", _BASEOS, "503 again and again", answers(Status(503), BASEOS), ("HTTP 503", "BaseOS"), tries=2),
    _proved("baseos-portal", _BASEOS, "the page of a portal, with 200", answers(_PORTAL, BASEOS),
            ("BaseOS", "a page that is no index")),
    _proved("baseos-oversized", _BASEOS, "an index of 5 MB", answers(Oversized(5_000_000), BASEOS), ("more than 4194304 bytes",)),
    _proved("baseos-redirect", _BASEOS, "302 to another host, which would get the token", answers(
        Redirect("https://elsewhere.example.com/"), BASEOS), ("redirects to https://elsewhere.example.com, which is refused",)),
    _proved("baseos-circle", _BASEOS, "302 in a circle", answers(Redirect("again.xml"), "*/BaseOS/*"), ("in a circle",)),
)  # fmt: skip

_ESU_ROWS = (
    _proved("esu-404", _ESU, "404, and the key has no prefix", answers(Status(404), ESU), ("HTTP 404", _UNDECIDED, "a terminal"),
            PLAIN_ESU_KEY, at=ESU),
    _proved("esu-500", _ESU, "500, and the key has no prefix", answers(Status(500), ESU), ("HTTP 500", _UNDECIDED, "a terminal"),
            PLAIN_ESU_KEY, at=ESU),
    _proved("esu-500-yes", _ESU, "500, and `-y`, which does not decide it", answers(Status(500), ESU),
            ("HTTP 500", _UNDECIDED, "without a terminal"), PLAIN_ESU_KEY, ("-y",), at=ESU),
    _proved("esu-503-essential", _ESU, "503 again and again, and the key begins with ESA-", answers(Status(503), ESU),
            ("HTTP 503", _UNDECIDED), ESSENTIAL_KEY, at=ESU, tries=2),
    _proved("esu-404-asked", _ESU, "404, with `--product esu`", answers(Status(404), ESU), ("entitlement missing", "HTTP 404"),
            PLAIN_ESU_KEY, ("--product", "esu"), at=ESU),
)  # fmt: skip

_KEYS = (
    _key("404", "404", Status(404), "signing key could not be fetched", "HTTP 404"),
    _key("503", "503 again and again", Status(503), "HTTP 503", tries=2),
    _key("html", "a page", _PORTAL, "holds no key"),
    _key("empty", "an empty file", Body(b""), "holds no key"),
    _key("50-mb", "a file of 50 MB", Oversized(50_000_000), "more than 131072 bytes"),
    _proved("signing-key-half", _KEY, "half of it", _half, ("signing key",), at=SIGNING_KEY),
    _proved("signing-key-other", _KEY, "another one", _served("ThirdParty"), ("signing key", "not exactly"), at=SIGNING_KEY),
    _proved("signing-key-two", _KEY, "the right one and another one", _served("TuxCare", "ThirdParty"),
            ("signing key", "not exactly"), at=SIGNING_KEY),
    _proved("signing-key-two-reversed", _KEY, "another one and the right one", _served("ThirdParty", "TuxCare"),
            ("signing key", "not exactly"), at=SIGNING_KEY),
    _proved("signing-key-fingerprint", _KEY, "the right one, and `gpg_key_fingerprint` is another's", configured(
        "gpg_key_fingerprint = " + "AB" * 20), ("signing key", "not exactly", "gpg_key_fingerprint"), at=SIGNING_KEY),
    _forged("expired", "expired", "has expired"),
    _forged("revoked", "revoked", "was revoked"),
    _forged("subkey", "a stranger's, of which a subkey has the fingerprint", "not exactly"),
)  # fmt: skip

ROWS: Tuple[Row, ...] = (*_PRODUCTS, *_BASEOS_ROWS, *_ESU_ROWS, *_KEYS)
