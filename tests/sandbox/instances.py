# SPDX-License-Identifier: Apache-2.0
"""An AWS instance's metadata service (IMDSv2), and what the vendor's end can tell of the identity that comes from it.

AWS signs the document with a key of its own, as PKCS #7; here a secret does, and the one who knows it compares.
"""
import base64
import hashlib
import hmac
import json
import re
import secrets
from typing import Mapping, Set

from tests.sandbox.answers import Answer, text_answer

__all__ = ["ACCOUNT", "INSTANCE", "Instances"]

ACCOUNT = "123456789012"
INSTANCE = "i-0a1b2c3d4e5f60718"

_IDENTITY = "/latest/dynamic/instance-identity/"
_FIELDS = {
    "accountId": ACCOUNT,
    "architecture": "x86_64",
    "availabilityZone": "eu-central-1a",
    "billingProducts": None,
    "imageId": "ami-0123456789abcdef0",
    "instanceId": INSTANCE,
    "instanceType": "m6i.large",
    "marketplaceProductCodes": ["4i20ezfza3p7xx2kt2g8weu2u"],
    "pendingTime": "2024-05-06T07:08:09Z",
    "privateIp": "10.0.0.5",
    "region": "eu-central-1",
    "version": "2017-09-30",
}


class Instances:
    """One instance; safe for many threads."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(16)
        self._tokens: Set[str] = set()
        self.document = json.dumps(_FIELDS, indent=2, separators=(",", " : ")).encode()

    def answer(self, method: str, path: str, headers: Mapping[str, str]) -> Answer:
        """The metadata service; names of headers are in lower case."""
        if path == "/latest/api/token":
            return self._token(headers) if method == "PUT" else text_answer("method not allowed\n", 405)
        if headers.get("x-aws-ec2-metadata-token") not in self._tokens:
            return text_answer("unauthorized\n", 401)
        found = {_IDENTITY + "document": self.document, _IDENTITY + "rsa2048": self._signature(self.document)}
        return Answer(200, {"Content-Type": "text/plain"}, found[path]) if path in found else text_answer("not found\n", 404)

    def has_signed(self, document: str, signature: str) -> bool:
        """Whether the two came from here, and belong together."""
        return hmac.compare_digest(self._signature(document.encode()), signature.encode())

    def _token(self, headers: Mapping[str, str]) -> Answer:
        """None for who came through a proxy; the lifetime has to be given, 1 second to 6 hours."""
        if "x-forwarded-for" in headers:
            return text_answer("forbidden\n", 403)
        lifetime = headers.get("x-aws-ec2-metadata-token-ttl-seconds", "")
        if not re.fullmatch("[0-9]{1,5}", lifetime) or not 1 <= int(lifetime) <= 21600:
            return text_answer("bad request\n", 400)
        token = base64.b64encode(secrets.token_bytes(40)).decode()
        self._tokens.add(token)
        return text_answer(token)

    def _signature(self, document: bytes) -> bytes:
        return base64.encodebytes(hashlib.shake_256(self._secret + document).digest(1300))
