# SPDX-License-Identifier: Apache-2.0
"""What a registered host keeps, as two files that know each other.

registration.json   the registration; readable by all, no secret in it; sealed, and with the digest of the other file
before.json         the before-images of the files that we changed, and the registration once more

So an edited, cut or lost registration is noticed, and `recover` has what it is restored from.
"""

import json
from typing import Any, Dict, NamedTuple, Optional, Tuple

from tuxcare_lib import pin
from tuxcare_lib.errors import StateError
from tuxcare_lib.host import BEFORE, REGISTRATION, Kept, Registration
from tuxcare_lib.images import from_json, to_json
from tuxcare_lib.model import Release

SCHEMA = 1
_REMEDY = 'Run `dnf tuxcare recover`.'


class Backup(NamedTuple):
    """What before.json holds."""

    registration: Registration
    kept: Tuple[Kept, ...]


def render(registration: Registration, backup: bytes) -> bytes:
    """registration.json's bytes; `backup` are those of before.json."""
    document = dict(_document(registration), before=pin.digest(backup))
    document['seal'] = pin.seal(document)
    return _bytes(document)


def _document(registration: Registration) -> Dict[str, Any]:
    return dict(registration._asdict(), schema=SCHEMA, release=str(registration.release), pin=str(registration.pin))


def _bytes(document: Dict[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + '\n').encode('ascii')


def parse(data: bytes, backup: Optional[bytes] = None) -> Registration:
    """The inverse. Raises StateError for anything that is not exactly one of ours, or whose `backup` is another one's."""
    try:
        document = json.loads(data.decode('utf-8'))
        StateError.check_schema(REGISTRATION, document['schema'], SCHEMA)
        whole = document['seal'] == pin.seal(document)
        digest = document.pop('before')
        document.pop('seal')
        found = _registration(document)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StateError('{} is damaged.'.format(REGISTRATION), _REMEDY)
    if not whole:
        raise StateError('{} was edited.'.format(REGISTRATION), _REMEDY)
    if backup is not None and digest != pin.digest(backup):
        raise StateError('{} is not the one that belongs to {}.'.format(BEFORE, REGISTRATION), _REMEDY)
    return found


def is_record(path: str, data: bytes) -> bool:
    """Whether these bytes are one of our two records, and a whole one."""
    try:
        parse_backup(data) if path == BEFORE else parse(data)
    except StateError:
        return False
    return True


def _registration(document: Dict[str, Any]) -> Registration:
    """Raises ValueError or KeyError where anything is missing, of another type, or too much."""
    rest = dict(document)
    rest.pop('schema')
    values = {name: _checked(kind, rest.pop(name)) for name, kind in Registration.__annotations__.items()
              if name in rest or name not in Registration._field_defaults}
    if rest:
        raise ValueError('unknown keys')
    return Registration(**values)


def _checked(kind: Any, value: Any) -> Any:
    """A field of the registration from its JSON value. Raises ValueError where the type is another one."""
    if kind is Release:
        release = Release.parse(value) if isinstance(value, str) else None
        if release is None:
            raise ValueError('no release')
        return release
    if kind in (str, bool):
        if type(value) is not kind:
            raise ValueError('no {}'.format(kind.__name__))
        return value
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError('no list of texts')
    return tuple(value)


def render_backup(backup: Backup) -> bytes:
    """before.json's bytes; 0600, for repository files may hold passwords."""
    files = [{'path': entry.path, 'before': to_json(entry.before), 'secret': entry.secret,
              'after': None if entry.secret else to_json(entry.after)} for entry in backup.kept]
    return _bytes({'schema': SCHEMA, 'registration': _document(backup.registration), 'files': files})


def parse_backup(data: Optional[bytes]) -> Backup:
    """The inverse. Raises StateError where the file is missing or damaged."""
    try:
        document: Dict[str, Any] = json.loads((data or b'').decode('utf-8'))
        StateError.check_schema(BEFORE, document['schema'], SCHEMA)
        kept = tuple(Kept(str(entry['path']), from_json(entry['before']), from_json(entry['after']),
                          bool(entry['secret'])) for entry in document['files'])
        return Backup(_registration(document['registration']), kept)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StateError('{} is missing or damaged, so files cannot be put back byte for byte.'.format(BEFORE), _REMEDY)
