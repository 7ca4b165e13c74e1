# SPDX-License-Identifier: Apache-2.0
"""Checksums over our own record, so that a damaged or edited one is known as such. No secret: they keep no attacker out.

Imported by every dnf command on a registered host (see `pin`): cheap.
"""

import hashlib
import json

MYPY = False
if MYPY:
    from typing import Any, Dict


def digest(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def of(document: 'Dict[str, Any]') -> str:
    """The checksum of a document over all of its keys but `seal`."""
    rest = {key: value for key, value in document.items() if key != 'seal'}
    return digest(json.dumps(rest, sort_keys=True).encode('ascii'))
