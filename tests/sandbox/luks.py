# SPDX-License-Identifier: Apache-2.0
"""A LUKS2 header as `cryptsetup luksFormat` lays it down, without the key material behind it."""
import hashlib
import json
import struct
from typing import Any, Dict

__all__ = ["header"]

_SIZE = 16384
_BINARY = 4096


def header(*derivations: str) -> bytes:
    """The primary header with one key slot for each: `argon2id`, `argon2i` or `pbkdf2`."""
    slots = {str(number): _slot(number, name) for number, name in enumerate(derivations)}
    document = {
        "keyslots": slots, "tokens": {},
        "segments": {"0": {"type": "crypt", "offset": "16777216", "size": "dynamic", "iv_tweak": "0",
                           "encryption": "aes-xts-plain64", "sector_size": 512}},
        "digests": {"0": {"type": "pbkdf2", "keyslots": sorted(slots), "segments": ["0"], "hash": "sha256",
                          "iterations": 1000, "salt": "c2FsdA==", "digest": "ZGlnZXN0"}},
        "config": {"json_size": str(_SIZE - _BINARY), "keyslots_size": "16744448"},
    }
    area = json.dumps(document, separators=(",", ":")).encode().ljust(_SIZE - _BINARY, b"\0")
    fields = (b"LUKS\xba\xbe", 2, _SIZE, 3, b"", b"sha256", b"\1" * 64, b"9f8b6c9e-3d0b-4f6f-9a55-1f2c4f0a7b11", b"", 0)
    binary = struct.pack(">6sHQQ48s32s64s40s48sQ184x", *fields)
    digest = hashlib.sha256((binary + b"\0" * 64).ljust(_BINARY, b"\0") + area).digest()
    return (binary + digest.ljust(64, b"\0")).ljust(_BINARY, b"\0") + area


def _slot(number: int, derivation: str) -> Dict[str, Any]:
    kdf: Dict[str, Any] = {"type": derivation, "salt": "c2FsdA=="}
    kdf.update({"hash": "sha256", "iterations": 1000} if derivation == "pbkdf2" else {"time": 4, "memory": 1048576, "cpus": 4})
    area = {"type": "raw", "offset": str(32768 + number * 258048), "size": "258048", "encryption": "aes-xts-plain64",
            "key_size": 64}
    return {"type": "luks2", "key_size": 64, "af": {"type": "luks1", "stripes": 4000, "hash": "sha256"}, "area": area, "kdf": kdf}
