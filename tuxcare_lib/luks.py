# SPDX-License-Identifier: Apache-2.0
"""The header of a LUKS2 volume: by which function its key slots derive their keys. Pure.

The on-disk format is that of cryptsetup's LUKS2 specification: a binary part of 4096 bytes, big-endian, that tells the
size of the whole, then JSON that ends with a zero byte.
"""

import json
import struct
from typing import Any, Dict, Tuple

BINARY_SIZE = 4096
_MAGIC = b'LUKS\xba\xbe'
# The greatest size that the specification has.
_GREATEST = 4 << 20


def header_size(binary: bytes) -> int:
    """The size of the whole header in bytes, by its first part; 0 where it is none of LUKS2."""
    if len(binary) < 16 or binary[:6] != _MAGIC:
        return 0
    version, size = struct.unpack('>HQ', binary[6:16])
    return size if version == 2 and BINARY_SIZE < size <= _GREATEST else 0


def derivations(header: bytes) -> Tuple[str, ...]:
    """The key derivation function of each key slot (`pbkdf2`, `argon2i`, `argon2id`); empty for a damaged header."""
    try:
        document: Dict[str, Any] = json.loads(header[BINARY_SIZE:].split(b'\0', 1)[0].decode('utf-8'))
        slots = [document['keyslots'][name] for name in sorted(document['keyslots'])]
        return tuple(str(slot['kdf']['type']) for slot in slots if 'kdf' in slot)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return ()
