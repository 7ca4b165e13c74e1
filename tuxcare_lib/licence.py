# SPDX-License-Identifier: Apache-2.0
"""What a licence key looks like. Its prefix is a hint at the product, never the proof (FACTS 1)."""

import re
from typing import Iterable, Optional

from tuxcare_lib.errors import LicenceKeyError
from tuxcare_lib.model import LicenceKey, Product

GREATEST_LENGTH = 128


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


def hinted_product(key: LicenceKey, products: Iterable[Product]) -> Optional[str]:
    """The id of the product whose prefix the key has, if any."""
    return next((product.id for product in products
                 if product.key_prefix and key.secret.upper().startswith(product.key_prefix)), None)
