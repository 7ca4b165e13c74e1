# SPDX-License-Identifier: Apache-2.0
"""Signing keys that must not be trusted, made by the real gpg."""
from typing import Dict, NamedTuple

from tests.sandbox.signing import KeyRing
from tests.sandbox.universe import Universe

__all__ = ["Forged", "SigningKey"]


class SigningKey(NamedTuple):
    """A public key's file, and the fingerprint that a configuration would name."""

    text: bytes
    fingerprint: str


class Forged:
    """Made when they are first asked for, in a few hundred milliseconds each."""

    def __init__(self, universe: Universe) -> None:
        self._universe = universe
        self._made: Dict[str, SigningKey] = {}

    def real(self, name: str = "TuxCare") -> bytes:
        """A key of the universe."""
        return self._universe.public_key(name).read_bytes()

    def made(self, kind: str) -> SigningKey:
        """One that has "expired", one that is "revoked", or a stranger's, of which a "subkey" has the fingerprint."""
        if kind not in self._made:
            with KeyRing() as ring:
                self._made[kind] = self._make(ring, kind)
        return self._made[kind]

    def _make(self, ring: KeyRing, kind: str) -> SigningKey:
        uid = "Forged (%s) <packager@tuxcare.com>" % kind
        when, life = (["--faked-system-time", "20200101T000000"], "1d") if kind == "expired" else ([], "0")
        ring.gpg(*when, "--passphrase", "", "--quick-generate-key", uid, "ed25519", "sign", life)
        fingerprint = ring.fingerprint(uid)
        named = fingerprint
        if kind == "revoked":
            self._revoke(ring, fingerprint)
        if kind == "subkey":
            ring.gpg("--passphrase", "", "--quick-add-key", fingerprint, "ed25519", "sign", "0")
            listing = ring.gpg("--with-colons", "--list-keys", fingerprint).splitlines()
            named = [line.split(":")[9] for line in listing if line.startswith("fpr")][1]
        return SigningKey(ring.gpg("--armor", "--export", fingerprint).encode(), named)

    @staticmethod
    def _revoke(ring: KeyRing, fingerprint: str) -> None:
        certificate = ring.home / "openpgp-revocs.d" / (fingerprint + ".rev")
        certificate.write_text(certificate.read_text().replace(":-----BEGIN", "-----BEGIN"))
        ring.gpg("--import", certificate)
