# SPDX-License-Identifier: Apache-2.0
"""What a registered host says of itself, read without forgiving: anything missing, damaged or foreign is Unsafe; then the files
behind the configuration, their identity, and the cache of what was made from them.

Where those are is fixed, and not what `pluginconfpath` says: an option of one command must not bring a trust of its own. What
is cached lies beside dnf's own cache, to be made anew when it is lost; it is never trusted more than the files that it was made
from, and not at all where somebody else than root could have written it.

Imported by every dnf command on a registered host, so it costs little and is one file (see `pin`).
"""

import json
import os
import re
import stat

from tuxcare_lib import __version__, pin

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional, Tuple

_TREE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# A folder `conf` beside an installed library would be somebody else's: the source tree has a setup.py, too.
_IN_TREE = os.path.isfile(os.path.join(_TREE, 'setup.py')) and os.path.isdir(os.path.join(_TREE, 'conf'))

# Beside the library in the source tree, below /usr/share where the package is installed.
CATALOGUE = os.path.join(os.path.join(_TREE, 'conf') if _IN_TREE else '/usr/share/dnf-plugin-tuxcare', 'catalogue.conf')
_FOLDER = 'etc/dnf/plugins'
_CONFIGURATION = 'tuxcare.conf'
_ADDITIONS = 'tuxcare.d'
_STATE = '/var/lib/tuxcare/registration.json'
_BACKUP = '/var/lib/tuxcare/before.json'
_FIPS = '/var/lib/tuxcare/fips.json'
_FIPS_ENABLED = '/proc/sys/crypto/fips_enabled'
_SEALED = '/var/lib/tuxcare/sealed.json'
_JOURNAL = '/var/lib/tuxcare/journal'
_TOKEN = '/etc/dnf/vars/tuxcare_token'
_RELEASEVER = '/etc/dnf/vars/tuxcare_releasever'
_MARKER = '/etc/tuxcare-release'
_OWN_REPOSITORIES = '/etc/yum.repos.d/tuxcare.repo'
_LIMIT = 1 << 24
_KEYS = (('schema', int), ('family', str), ('product', str), ('release', str), ('pin', str), ('before', str),
         ('repositories', list), ('reverted', bool), ('architecture', str))
# Paths and remedies are those of `host` and `messages`, which cost a file each here; a test holds them equal.
_RECOVER = 'Run `dnf tuxcare recover`.'
_ANEW = 'Run `dnf tuxcare unregister --local`, and register again.'
_REPLACE = 'Run `dnf tuxcare register --replace`.'


class Unsafe(Exception):
    """Something that the guard needs is missing, damaged or contradicts itself. The text ends with the remedy."""


class Host:
    """The witnesses of one root. Each method raises Unsafe for what it does not find whole."""

    def __init__(self, root: str) -> None:
        self._root = root

    def is_cut_off(self) -> bool:
        """Whether an operation of ours is open: files may be half changed."""
        return os.path.lexists(self._outside(_JOURNAL))

    def record(self) -> 'Dict[str, Any]':
        """The registration as a document."""
        data = self._read(_STATE)
        backup = self._read(_BACKUP) if os.geteuid() == 0 else None
        remedy = _RECOVER if backup or os.geteuid() != 0 else _ANEW
        if data is None and backup is None and os.path.lexists(self._outside(_SEALED)):
            raise Unsafe('This host is a sealed image, which registers at its first boot. Run `dnf tuxcare register`, or remove '
                         'the seal with `dnf tuxcare unregister`.')
        if data is None:
            raise Unsafe('{} is missing, though this host was registered by dnf tuxcare. {}'.format(_STATE, remedy))
        try:
            record = json.loads(data.decode('utf-8'))  # type: Dict[str, Any]
            schema, whole = record['schema'], record['seal'] == pin.seal(record)
            if not all(type(record[key]) is kind for key, kind in _KEYS) or not all(
                    type(name) is str for name in record['repositories']) or not pin.parse_release(record['pin']):
                raise ValueError('another type')
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Unsafe('{} is damaged. {}'.format(_STATE, remedy))
        if schema != 1:
            raise Unsafe('{} has schema {!r}, this version reads 1. Install the version of dnf-plugin-tuxcare that '
                         'wrote it.'.format(_STATE, schema))
        if not whole:
            raise Unsafe('{} was edited. {}'.format(_STATE, remedy))
        if os.geteuid() == 0 and (backup is None or record['before'] != pin.digest(backup)):
            raise Unsafe('{} is {}. {}'.format(_BACKUP, 'missing' if backup is None else 'damaged', _RECOVER))
        return record

    def token(self) -> 'Optional[str]':
        """The token; None for an ordinary user, who cannot read it."""
        if os.geteuid() != 0 and not os.access(self._outside(_TOKEN), os.R_OK):
            return None
        value = self._line(_TOKEN)
        if value is None or not pin.is_token(value):
            raise Unsafe('{} is {}. {}'.format(_TOKEN, 'missing' if value is None else 'damaged', _REPLACE))
        self._check_environment('tuxcare_token', value)
        return value

    def words_of_token(self) -> 'List[str]':
        """What may be the token where it is not as it has to be: dnf itself takes it from any file, and from the environment."""
        data = os.environ.get('DNF_VAR_tuxcare_token', '').encode('utf-8', 'replace') + b'\n'
        try:
            descriptor = os.open(self._outside(_TOKEN), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return _words(data)
        try:
            return _words(data + os.read(descriptor, _LIMIT))
        except OSError:
            return _words(data)
        finally:
            os.close(descriptor)

    def fips(self) -> 'Optional[bool]':
        """Whether FIPS mode is to be held strictly; None where it is neither on nor being entered."""
        data = self._read(_FIPS)
        if data is not None:
            try:
                return json.loads(data.decode('utf-8'))['strict'] is not False
            except (ValueError, KeyError, TypeError, RecursionError):
                return True  # what is damaged holds more, not less
        try:
            with open(self._outside(_FIPS_ENABLED), 'rb') as stream:
                return False if stream.read(1) == b'1' else None
        except OSError:
            return None

    def release(self, record: 'Dict[str, Any]', policy: 'Dict[str, Any]') -> 'Tuple[int, int]':
        """What the host is held on, after all of its witnesses said the same."""
        found = pin.impossible(record, policy)
        if found:
            raise Unsafe('The registration cannot be right: {}. {}'.format(found, _RECOVER))
        value = self._line(_RELEASEVER)
        release = pin.pinned_release(record, value or '', policy, self._installed(policy['os_ids'][record['family']]))
        if release is None:
            raise Unsafe('{} {}, and this host is held on {}. {}'.format(
                _RELEASEVER, 'is missing' if value is None else 'holds {!r}'.format(value), record['pin'], _RECOVER))
        self._check_environment('tuxcare_releasever', value)
        self._check_contradictions(record, value or '', policy)
        return release

    def _check_contradictions(self, record: 'Dict[str, Any]', release: str, policy: 'Dict[str, Any]') -> None:
        texts = [(self._read(path) or b'').decode('utf-8', 'replace') for path in (_MARKER, _OWN_REPOSITORIES)]
        found = pin.contradiction(record, release, texts[0].partition('\n')[0], texts[1], policy)
        if found:
            raise Unsafe('This host contradicts its registration: {}. {}'.format(found, _RECOVER))

    def _installed(self, os_id: str) -> 'Tuple[int, int]':
        """The release that is installed by os-release(5), which every release package writes."""
        text = self._os_release()
        values = {name: value.strip().strip('"\'') for name, _, value in (line.partition('=') for line in text.split('\n'))}
        release = pin.parse_release(values.get('VERSION_ID', ''))
        if release is None or values.get('ID') != os_id:
            raise Unsafe('/etc/os-release {}. Run: dnf --disableplugin=tuxcare reinstall {}-release'.format(
                'is missing' if not text else 'does not name a release of {}'.format(os_id), os_id or 'the release package'))
        return release

    def _os_release(self) -> str:
        if self._root != '/':  # links as they are inside of that root
            from tuxcare_lib.errors import FileSystemError
            from tuxcare_lib.rootfs import Root
            try:
                return Root(self._root).text('/etc/os-release') or Root(self._root).text('/usr/lib/os-release') or ''
            except FileSystemError:
                return ''
        for path in ('/etc/os-release', '/usr/lib/os-release'):
            try:
                with open(path, 'rb') as stream:
                    return stream.read(_LIMIT).decode('utf-8', 'replace')
            except OSError:
                continue
        return ''

    def _check_environment(self, name: str, value: 'Optional[str]') -> None:
        """dnf takes variables from the environment, too; one that says something else is somebody's mistake."""
        if os.environ.get('DNF_VAR_' + name, value) != value:
            raise Unsafe('DNF_VAR_{0} in the environment contradicts /etc/dnf/vars/{0}. Run: unset DNF_VAR_{0}'.format(name))

    def _line(self, path: str) -> 'Optional[str]':
        """A dnf variable, without forgiving: one line, at most one end of line."""
        data = self._read(path)
        if data is None:
            return None
        text = data.decode('utf-8', 'replace')
        return text[:-1] if text.endswith('\n') else text

    def _read(self, path: str) -> 'Optional[bytes]':
        try:
            descriptor = os.open(self._outside(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        except OSError as error:
            reason = 'it is a symbolic link' if os.path.islink(self._outside(path)) else error.strerror
            raise Unsafe('{} cannot be read: {}. {}'.format(path, reason, _RECOVER))
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Unsafe('{} is not a plain file. {}'.format(path, _RECOVER))
            if status.st_uid != 0 or status.st_mode & 0o022:
                raise Unsafe('{0} can be written by others than root. Run: chown root {0}; chmod go-w {0}'.format(path))
            return os.read(descriptor, min(status.st_size + 1, _LIMIT))
        except OSError as error:
            raise Unsafe('{} cannot be read: {}. {}'.format(path, error.strerror, _RECOVER))
        finally:
            os.close(descriptor)

    def _outside(self, path: str) -> str:
        return os.path.join(self._root, path.lstrip('/'))


def _words(data: bytes) -> 'List[str]':
    return re.findall(r'[\w-]{8,}', data.decode('ascii', 'replace'), re.A)


# --- the files behind the configuration ------------------------------------------------------------------------------


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
