# SPDX-License-Identifier: Apache-2.0
"""The record of a registration and the before-images, written and read back; anything that is not ours is refused."""

import json
from typing import Any, Dict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import TOKEN, release
from tuxcare_lib import pin, registration
from tuxcare_lib.errors import StateError
from tuxcare_lib.host import Kept, Registration
from tuxcare_lib.model import Image
from tuxcare_lib.registration import Backup

RECORD = Registration(
    'esu',
    'almalinux',
    release('9.2'),
    release('9.2'),
    'x86_64',
    'web1',
    '2024-05-06T07:08:09Z',
    ('tuxcare-base', 'tuxcare-esu'),
    'FAD7859081D0738B7A828496D07BF2A08D50EB66',
    True,
)
IMAGE = Image(b'\x00\xff[a]\n', 0o640, 5, 6, (('user.note', b'\x01'),), 1700000000123456789)


BACKUP = b'the other file'


def document(**changed: Any) -> bytes:
    """A record with parts changed or (`...`) taken out, sealed again, as one who edits with care would do."""
    found: Dict[str, Any] = json.loads(registration.render(RECORD, BACKUP).decode('ascii'))
    found.update(changed)
    found = {name: value for name, value in found.items() if value is not Ellipsis}
    return json.dumps(dict(found, seal=pin.seal(found))).encode('utf-8')


@pytest.mark.parametrize(
    'record',
    [
        RECORD,
        RECORD._replace(pin=release('9.10'), reverted=True, key_imported=False, repositories=()),
        RECORD._replace(host_name='w\u00ebb "1"\n'),
    ],
    ids=['plain', 'changed', 'odd-name'],
)
def test_a_record_comes_back_as_it_was(record: Registration) -> None:
    assert registration.parse(registration.render(record, BACKUP), BACKUP) == record
    assert registration.parse(registration.render(record, BACKUP)) == record


@pytest.mark.parametrize('old, new', [(b'"pin": "9.2"', b'"pin": "9.4"'), (b'"esu"', b'"essential"'), (b'false', b'true')])
def test_an_edit_by_hand_is_noticed(old: bytes, new: bytes) -> None:
    data = registration.render(RECORD, BACKUP)
    assert old in data
    with pytest.raises(StateError, match='was edited'):
        registration.parse(data.replace(old, new, 1))


def test_a_backup_of_another_registration_is_noticed() -> None:
    with pytest.raises(StateError, match='before.json'):
        registration.parse(registration.render(RECORD, BACKUP), BACKUP + b' ')


@pytest.mark.parametrize(
    'data',
    [
        b'',
        b'{',
        b'null',
        b'[]',
        b'"x"',
        b'5',
        b'\xff',
        b'[' * 100000,
        registration.render(RECORD, BACKUP)[:-3],
        b'\xef\xbb\xbf' + registration.render(RECORD, BACKUP),
    ],
    ids=lambda data: repr(data[:12]),
)
def test_what_is_no_record_is_refused(data: bytes) -> None:
    with pytest.raises(StateError) as caught:
        registration.parse(data)
    assert '/var/lib/tuxcare/registration.json is damaged' in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize(
    'name, value',
    [
        ('product', Ellipsis),
        ('pin', Ellipsis),
        ('schema', Ellipsis),
        ('repositories', Ellipsis),
        ('key_imported', Ellipsis),
        ('extra', 'x'),
        ('pin', '9'),
        ('pin', '9.2\n'),
        ('pin', 9.2),
        ('release', '../9.2'),
        ('repositories', None),
        ('repositories', 'esu'),
        ('repositories', [None]),
        ('product', None),
        ('product', 5),
        ('family', {}),
        ('host_name', None),
        ('architecture', ['x86_64']),
        ('key_imported', 'no'),
        ('reverted', None),
        ('signing_key', None),
    ],
    ids=lambda value: str(value)[:16],
)
def test_a_record_with_a_part_missing_or_wrong_is_refused(name: str, value: Any) -> None:
    with pytest.raises(StateError):
        registration.parse(document(**{name: value}))


@pytest.mark.parametrize('schema', [0, 2, '1', None])
def test_another_schema_is_refused(schema: Any) -> None:
    with pytest.raises(StateError) as caught:
        registration.parse(document(schema=schema))
    assert 'schema' in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_end_in_another_error(data: bytes) -> None:
    for parse in (registration.parse, registration.parse_backup):
        try:
            parse(data)
        except StateError:
            pass


KEPT = (
    Kept('/etc/a', IMAGE, IMAGE._replace(data=b'new'), False),
    Kept('/etc/b', None, Image(b'x', 0o644), False),
    Kept('/etc/dnf/vars/tuxcare_token', None, None, True),
)


def test_before_images_come_back_as_they_were() -> None:
    for backup in (Backup(RECORD, KEPT), Backup(RECORD._replace(product='essential'), ())):
        assert registration.parse_backup(registration.render_backup(backup)) == backup


def test_a_secret_is_not_kept() -> None:
    secret = Kept('/etc/dnf/vars/tuxcare_token', None, Image((TOKEN + '\n').encode('ascii'), 0o600), True)
    data = registration.render_backup(Backup(RECORD, (secret,)))
    assert TOKEN.encode('ascii') not in data
    assert registration.parse_backup(data).kept == (secret._replace(after=None),)
    assert registration.render_backup(registration.parse_backup(data)) == data


@pytest.mark.parametrize(
    'data',
    [
        None,
        b'',
        b'{',
        b'[]',
        b'null',
        b'{"schema": 2, "files": [], "registration": {}}',
        b'{"schema": 1, "files": [], "registration": {}}',
        b'{"schema": 1}',
        b'{"schema": 1, "files": [{}]}',
        b'{"schema": 1, "files": [5]}',
    ],
    ids=repr,
)
def test_damaged_before_images_are_refused(data: bytes) -> None:
    with pytest.raises(StateError) as caught:
        registration.parse_backup(data)
    assert '/var/lib/tuxcare/before.json' in str(caught.value) and caught.value.remedy


@pytest.mark.parametrize(
    'old, new',
    [
        (b'"data": "AP9', b'"data": "A!P9'),
        (b'"data": "AP9', b'"data": "P9'),
        (b'"data": "AP9', b'"data": 5, "x": "'),
        (b'"mode": 416', b'"mode": "rw"'),
        (b'"mode": 416', b'"mode": null'),
        (b'"uid": 5', b'"uid": []'),
        (b'"xattrs": {', b'"xattrs": 5, "x": {'),
        (b'"mtime_ns": 17', b'"mtime_ns": "soon", "x": 17'),
    ],
    ids=repr,
)
def test_a_damaged_image_is_refused(old: bytes, new: bytes) -> None:
    data = registration.render_backup(Backup(RECORD, KEPT[:1]))
    assert old in data
    with pytest.raises(StateError):
        registration.parse_backup(data.replace(old, new, 1))
