# SPDX-License-Identifier: Apache-2.0
"""Licence keys: what can be one, what its prefix hints at, and that no error shows it."""

import copy
import traceback
from typing import Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import catalogue
from tuxcare_lib import licence
from tuxcare_lib.errors import LicenceKeyError
from tuxcare_lib.model import LicenceKey, Token


@pytest.mark.parametrize(
    'text, secret',
    [
        ('ESU-0123456789', 'ESU-0123456789'),
        ('AB12CD34EF', 'AB12CD34EF'),
        ('ESU-1\n', 'ESU-1'),
        ('  ESU-1\r\n', 'ESU-1'),
        ('our.own/key+of:ePortal=', 'our.own/key+of:ePortal='),
        ('k' * 128, 'k' * 128),
    ],
    ids=lambda text: repr(text)[:20],
)
def test_a_key(text: str, secret: str) -> None:
    assert licence.parse(text).secret == secret


@pytest.mark.parametrize(
    'text, words',
    [
        ('', 'empty'),
        (' \n', 'empty'),
        ('ESU-1\nESU-2', 'more than one line'),
        ('ESU-1\rESU-2', 'more than one line'),
        ('k' * 129, 'longer than 128'),
        ('k' * 10000000, 'longer than 128'),
        ('ESU 1', 'blank'),
        ('ESU\u20111', 'outside ASCII'),
        ('ESU-\u0661', 'outside ASCII'),
        ('ESU-1\0', 'outside ASCII'),
        ('\ufeffESU-1', 'outside ASCII'),
        ('ESU-1\x1b[2J', 'outside ASCII'),
    ],
    ids=lambda text: repr(text)[:20],
)
def test_what_cannot_be_a_key(text: str, words: str) -> None:
    with pytest.raises(LicenceKeyError) as caught:
        licence.parse(text)
    assert words in str(caught.value)
    assert caught.value.remedy
    assert '\n' not in str(caught.value)


@given(st.text(min_size=6))
def test_no_error_shows_the_key(text: str) -> None:
    text = 'SECRET' + text
    try:
        licence.parse(text)
    except LicenceKeyError as error:
        assert 'SECRET' not in str(error) + repr(error) + ''.join(traceback.format_exception_only(type(error), error))


@pytest.mark.parametrize(
    'key, product',
    [('ESU-1', 'esu'), ('esu-1', 'esu'), ('ESA-1', 'essential'), ('AB12CD34EF', None), ('ESU', None), ('XESU-1', None)],
)
def test_the_prefix_is_a_hint(key: str, product: Optional[str]) -> None:
    assert licence.hinted_product(LicenceKey(key), catalogue().products.values()) == product


def test_a_product_without_prefix_is_never_hinted_at() -> None:
    product = catalogue().products['esu']._replace(key_prefix='')
    assert licence.hinted_product(LicenceKey('ESU-1'), [product]) is None


@pytest.mark.parametrize('value', [LicenceKey('SECRET'), Token('SECRET')], ids=['key', 'token'])
def test_secrets_do_not_show(value: object) -> None:
    shown = '{0} {0!r} {1} {2!r} %s %r'.format(value, [value], copy.copy(value)) % (value, value)
    assert 'SECRET' not in shown


@pytest.mark.parametrize(
    'text, good',
    [
        ('EXTENDED_SECURITY_UPDATES-SERVER-a1b2c', True),
        ('abcd', True),
        ('abc', False),
        ('a' * 256, True),
        ('a' * 257, False),
        ('abcd\n', False),
        ('../abcd', False),
        ('ab/cd', False),
        ('ab%2fcd', False),
        ('abcd?x', False),
        ('ab cd', False),
        ('abcd$basearch', False),
        ('ab.cd', False),
        ('\u0430bcd', False),
        ('', False),
    ],
)
def test_the_shape_of_a_token(text: str, good: bool) -> None:
    assert bool(Token.PATTERN.match(text)) is good
