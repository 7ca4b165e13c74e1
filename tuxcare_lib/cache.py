# SPDX-License-Identifier: Apache-2.0
"""Documents that are kept beside dnf's own cache, to be made anew when they are lost. Cheap (see `pin`); never trusted more
than the files that they were made from, and not at all where somebody else than root could have written them.
"""

import json
import os

MYPY = False
if MYPY:
    from typing import Any


def path(folder: str, name: str) -> str:
    """Where a document is kept in dnf's cache folder."""
    return os.path.join(folder, 'tuxcare-{}.json'.format(name))


def read(place: str) -> 'Any':
    """The document; None where there is none, or not one that only root could have written."""
    try:
        descriptor = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, 'rb') as stream:
        status = os.fstat(descriptor)
        if status.st_uid != 0 or status.st_mode & 0o022:
            return None
        try:
            return json.loads(stream.read().decode('utf-8'))
        except (OSError, ValueError, RecursionError):
            return None


def keep(place: str, document: 'Any') -> None:
    """Root alone keeps anything; what cannot be kept is made anew each time, and that is not worth an error."""
    if os.geteuid() != 0 or not os.path.isdir(os.path.dirname(place)):
        return
    temporary = '{}.{}'.format(place, os.getpid())
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with open(descriptor, 'w', encoding='ascii') as stream:
            json.dump(document, stream)
            os.fchmod(descriptor, 0o644)
        os.rename(temporary, place)
    except OSError:
        return


def documents(folder: str) -> 'Any':
    """Every document that is kept in dnf's cache folder."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    found = (read(os.path.join(folder, name)) for name in names if name.startswith('tuxcare-') and name.endswith('.json'))
    return [document for document in found if isinstance(document, dict)]
