# SPDX-License-Identifier: Apache-2.0
"""What a licence key looks like. Its prefix is a hint at the product, never the proof (FACTS 1)."""

import hashlib
import re
from typing import Iterable, Optional

from tuxcare_lib.errors import LicenceKeyError
from tuxcare_lib.model import LicenceKey, Product

GREATEST_LENGTH = 128
# Some 0.1 s: a key has ten characters, and what is kept of it must not give it away.
_ROUNDS = 100000


def parse(text: str) -> LicenceKey:
    """A key from what a user gave; white space around it (the end of a file's line) does not count.

    Raises LicenceKeyError, which never shows the key.
    """
    value = text.strip()
    if not value:
        raise LicenceKeyError('The licence key is empty.', 'Give the key that the vendor sent you.')
    if '\n' in value or '\r' in value:
        raise LicenceKeyError('The licence key has more than one line.', 'Give one key alone.')
    if len(value) > GREATEST_LENGTH:
        raise LicenceKeyError('The licence key is longer than {} characters.'.format(GREATEST_LENGTH),
                              'Give the key alone, as the vendor sent it.')
    if not re.match(r'[!-~]+\Z', value, re.A):
        raise LicenceKeyError('The licence key holds a blank or a character outside ASCII.',
                              'Type it anew: word processors replace hyphens.')
    return LicenceKey(value)


def kept(key: LicenceKey, salt: bytes) -> str:
    """What may be kept of a key, to know it again: its PBKDF2-HMAC-SHA-256, and the salt, as hexadecimal digits."""
    digest = hashlib.pbkdf2_hmac('sha256', key.secret.encode('ascii'), salt, _ROUNDS)
    return '{}:{}'.format(salt.hex(), digest.hex())


def is_kept(key: LicenceKey, value: str) -> bool:
    """Whether `value` was kept of this key."""
    salt = value.partition(':')[0]
    return bool(re.match(r'([0-9a-f]{2})+\Z', salt, re.A)) and kept(key, bytes.fromhex(salt)) == value


def hinted_product(key: LicenceKey, products: Iterable[Product]) -> Optional[str]:
    """The id of the product whose prefix the key has, if any."""
    return next((product.id for product in products
                 if product.key_prefix and key.secret.upper().startswith(product.key_prefix)), None)
