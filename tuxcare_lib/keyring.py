# SPDX-License-Identifier: Apache-2.0
"""Keys: the vendor's, exactly one and by its whole fingerprint the configured one (DESIGN 4, rule 7); the administrator's own."""

import contextlib
import os
import tempfile
import threading
import time
from typing import Any, Iterator, NamedTuple

import gnupg

from tuxcare_lib.errors import CommandError, SigningKeyError


# Not TMPDIR: who owns that folder could put another one in the place of ours. In this one nobody renames what is root's.
_FOLDER = '/tmp'
# python-gnupg hands its whole environment on to gpg, and takes gpg from PATH.
_ENVIRONMENT = {'PATH': '/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL': 'C'}
# An import would start an agent, which takes its sockets out of the folder while that is being removed.
_OPTIONS = ['--no-autostart']
# Where the administrator's own keyring is, and the terminal on which its passphrase is asked for.
_OF_THE_CALLER = ('HOME', 'GNUPGHOME', 'GPG_TTY', 'TERM')


class SigningKey(NamedTuple):
    """The key as a file for /etc/pki/rpm-gpg (armored) and as rpm takes it (binary)."""

    fingerprint: str
    armored: bytes
    binary: bytes


class _Ring(gnupg.GPG):  # type: ignore[misc]
    """gpg, ended by the clock: a few bytes of a compressed packet keep it busy for long."""

    until = 0.0
    took_longer = False

    def _open_subprocess(self, *arguments: Any, **options: Any) -> Any:
        process = super()._open_subprocess(*arguments, **options)
        if self.until:
            clock = threading.Timer(max(0, self.until - time.monotonic()), self._end, [process])
            clock.daemon = True
            clock.start()
        return process

    def _end(self, process: Any) -> None:
        if process.poll() is None:
            self.took_longer = True
            process.kill()


def check(data: bytes, fingerprint: str, seconds: float = 20) -> SigningKey:
    """The one key in a file. What comes out is exported anew, so nothing else that the file held can ever be trusted.

    Raises SigningKeyError for no key, a second one, another one, one that has expired or was revoked, or one that gpg has not
    read in `seconds`.
    """
    with _folder() as home, _own_environment(HOME=home), _ring(home, seconds) as ring:
        path = os.path.join(home, 'key')
        with open(path, 'wb') as stream:
            stream.write(data)
        found = ring.scan_keys(path)
        prints = [str(key['fingerprint']) for key in found]
        if not prints:
            raise SigningKeyError('The file fetched as the signing key holds no key.', 'Check gpg_key_url in the configuration.')
        if prints != [fingerprint]:
            raise SigningKeyError('The file fetched as the signing key holds {}, and not exactly {}.'.format(
                ' and '.join(prints), fingerprint),
                'Do not trust it; compare gpg_key_fingerprint with what the vendor publishes.')
        for _ in range(2):  # a revocation in front of the key finds it at the second time
            ring.import_keys(data)
        if any(key['trust'] in ('r', 'e') for key in ring.list_keys() if key['fingerprint'] == fingerprint):
            raise SigningKeyError('The signing key {} was revoked or has expired.'.format(fingerprint), 'Ask the vendor.')
        armored, binary = ring.export_keys(fingerprint), ring.export_keys(fingerprint, armor=False)
    if not armored or not binary:
        raise SigningKeyError('The signing key {} cannot be used.'.format(fingerprint), 'Ask the vendor.')
    return SigningKey(fingerprint, _bytes(armored), _bytes(binary))


def _folder() -> 'tempfile.TemporaryDirectory[str]':
    try:
        return tempfile.TemporaryDirectory(prefix='tuxcare-keyring-', dir=_FOLDER)
    except OSError as error:
        raise SigningKeyError('The signing key cannot be checked: no folder can be made in {}: {}.'.format(
            _FOLDER, os.strerror(error.errno or 0)), 'Mend that and run the command again.')


@contextlib.contextmanager
def _own_environment(**more: str) -> Iterator[None]:
    """Nothing of the user's reaches gpg but what is named."""
    users = dict(os.environ)
    os.environ.clear()
    os.environ.update(_ENVIRONMENT, **more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(users)


@contextlib.contextmanager
def _ring(home: str, seconds: float) -> Iterator[_Ring]:
    try:
        ring = _Ring(gnupghome=home, options=_OPTIONS)
    except (OSError, ValueError):
        raise SigningKeyError('The program gpg cannot be run.', 'Install gnupg2.')
    ring.until = time.monotonic() + seconds
    try:
        yield ring
    finally:
        if ring.took_longer:  # whatever it had said until then
            raise SigningKeyError('gpg took longer than {} s to read the file fetched as the signing key.'.format(seconds),
                                  'Check gpg_key_url in the configuration.')


def _bytes(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode('latin-1')


def sign(data: bytes, key: str) -> bytes:
    """A detached, armored signature by a secret key of the caller's own keyring (GNUPGHOME, or HOME). Raises CommandError.

    gpg takes its default key where it does not find the one that it is told to prefer, so the signature is looked at.
    """
    with _own_environment(**{name: os.environ[name] for name in _OF_THE_CALLER if name in os.environ}):
        try:
            ring = gnupg.GPG()
        except (OSError, ValueError):
            raise CommandError('The program gpg cannot be run.', 'Install gnupg2.')
        found = [] if key.startswith('-') else ring.list_keys(True, keys=[key])
        if len(found) != 1:
            raise CommandError('{} secret key of your keyring is the one of --sign.'.format('More than one' if found else 'No'),
                               'Name one by its fingerprint: gpg --list-secret-keys')
        fingerprint = str(found[0]['fingerprint'])
        made = ring.sign(data, keyid=fingerprint, detach=True, clearsign=False)
    if not made.data or str(made.fingerprint) not in {fingerprint}.union(str(subkey[2]) for subkey in found[0]['subkeys']):
        lines = str(made.stderr or '').strip().split('\n')
        said = next((line[5:] for line in reversed(lines) if line.startswith('gpg: ')), 'no signature came.')
        raise CommandError('gpg did not sign with {}: {}'.format(fingerprint, said),
                           'Try: gpg --local-user {} --detach-sign'.format(fingerprint))
    return _bytes(made.data)
