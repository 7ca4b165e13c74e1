# SPDX-License-Identifier: Apache-2.0
"""What a registered host keeps: the registration (readable by all, no secret in it) and the before-images of its files."""

import json
from typing import Any, Dict, Optional, Tuple

from tuxcare_lib.errors import StateError
from tuxcare_lib.host import BEFORE, REGISTRATION, Kept, Registration
from tuxcare_lib.images import from_json, to_json
from tuxcare_lib.model import Release

SCHEMA = 1
_REMEDY = 'Put it back from a backup, or run `dnf tuxcare unregister --local` and register again.'


def render(registration: Registration) -> bytes:
    """The file's bytes."""
    document = dict(registration._asdict(), schema=SCHEMA, release=str(registration.release), pin=str(registration.pin))
    return (json.dumps(document, indent=1, sort_keys=True) + '\n').encode('ascii')


def parse(data: bytes) -> Registration:
    """The inverse. Raises StateError for anything that is not exactly one of ours."""
    try:
        document = json.loads(data.decode('utf-8'))
        schema = document.pop('schema')
        if schema != SCHEMA or isinstance(schema, bool):
            raise StateError('{} has schema {!r}, this version reads {}.'.format(REGISTRATION, schema, SCHEMA),
                             'Install the version of dnf-plugin-tuxcare that wrote it.')
        values = {name: _checked(kind, document.pop(name)) for name, kind in Registration.__annotations__.items()}
        if document:
            raise ValueError('unknown keys')
        return Registration(**values)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StateError('{} is damaged.'.format(REGISTRATION), _REMEDY)


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


def render_kept(kept: Tuple[Kept, ...]) -> bytes:
    """The before-images as a file's bytes; 0600, for repository files may hold passwords."""
    files = [{'path': entry.path, 'before': to_json(entry.before), 'secret': entry.secret,
              'after': None if entry.secret else to_json(entry.after)} for entry in kept]
    return (json.dumps({'schema': SCHEMA, 'files': files}, indent=1) + '\n').encode('ascii')


def parse_kept(data: Optional[bytes]) -> Tuple[Kept, ...]:
    """The inverse. Raises StateError where the file is missing or damaged."""
    try:
        document: Dict[str, Any] = json.loads((data or b'').decode('utf-8'))
        if document['schema'] != SCHEMA:
            raise ValueError('schema')
        return tuple(Kept(str(entry['path']), from_json(entry['before']), from_json(entry['after']),
                          bool(entry['secret'])) for entry in document['files'])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise StateError('{} is missing or damaged, so files cannot be put back byte for byte.'.format(BEFORE),
                         _REMEDY)
