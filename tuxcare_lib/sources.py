# SPDX-License-Identifier: Apache-2.0
"""Our data and the files behind the configuration, their identity, and the cache of what was made from them: cheap enough
for every dnf command (see `pin`).

Where they are is fixed, and not what `pluginconfpath` says: an option of one command must not bring a trust of its own.
What is cached lies beside dnf's own cache, to be made anew when it is lost; it is never trusted more than the files that it was
made from, and not at all where somebody else than root could have written it.
"""

import json
import os

from tuxcare_lib import __version__

MYPY = False
if MYPY:
    from typing import Any, List

_TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# A folder `conf` beside an installed library would be somebody else's: the source tree has a setup.py, too.
_IN_TREE = os.path.isfile(os.path.join(_TREE, 'setup.py')) and os.path.isdir(os.path.join(_TREE, 'conf'))

# Beside the library in the source tree, below /usr/share where the package is installed.
CATALOGUE = os.path.join(os.path.join(_TREE, 'conf') if _IN_TREE else '/usr/share/dnf-plugin-tuxcare', 'catalogue.conf')
_FOLDER = 'etc/dnf/plugins'
_CONFIGURATION = 'tuxcare.conf'
_ADDITIONS = 'tuxcare.d'


def _folder(root: str) -> str:
    """dnf's folder of plugin configuration: the root's own where it configures us, else the running system's (FACTS 7)."""
    own = os.path.join(root, _FOLDER)
    configured = any(os.path.lexists(os.path.join(own, name)) for name in (_CONFIGURATION, _ADDITIONS))
    return own if configured else os.path.join('/', _FOLDER)


def configuration(root: str) -> str:
    """The path of tuxcare.conf; empty where there is none."""
    path = os.path.join(_folder(root), _CONFIGURATION)
    return path if os.path.lexists(path) else ''


def additions(root: str) -> 'List[str]':
    """The administrator's additions to the catalogue, in their order."""
    folder = os.path.join(_folder(root), _ADDITIONS)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names if name.endswith('.conf')]


def identity(root: str) -> 'List[List[Any]]':
    """What changes when any of the files is edited, replaced, removed, or may be written by somebody else."""
    found = [[__version__]]  # type: List[List[Any]]
    for path in [CATALOGUE, configuration(root)] + additions(root):
        try:
            status = os.stat(path)
            found.append([path, status.st_ino, status.st_size, status.st_mtime_ns,
                          path == CATALOGUE or only_root_writes(root, path)])
        except OSError:
            found.append([path])
    return found


def only_root_writes(root: str, path: str) -> bool:
    """Whether nobody but root can change or replace a file: it and every folder down to it from the root (or from /)."""
    top = root if path.startswith(root.rstrip('/') + '/') else '/'
    place = os.path.realpath(path)
    while True:
        status = os.stat(place)
        # In a sticky folder (/tmp) nobody renames what is root's.
        if status.st_uid != 0 or (status.st_mode & 0o022 and not status.st_mode & 0o1000):
            return False
        if place in (top, '/'):
            return True
        place = os.path.dirname(place)


def cache_path(folder: str, name: str) -> str:
    """Where a document is kept in dnf's cache folder."""
    return os.path.join(folder, 'tuxcare-{}.json'.format(name))


def read_cache(place: str) -> 'Any':
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


def keep_in_cache(place: str, document: 'Any') -> None:
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


def cached_documents(folder: str) -> 'Any':
    """Every document that is kept in dnf's cache folder."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    found = (read_cache(os.path.join(folder, name)) for name in names if name.startswith('tuxcare-') and name.endswith('.json'))
    return [document for document in found if isinstance(document, dict)]
