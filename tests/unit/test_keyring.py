# SPDX-License-Identifier: Apache-2.0
"""The signing key: exactly one, by its whole fingerprint, alive. With real keys of a real gpg."""

import os
import shutil
import struct
import subprocess
import tempfile
import zlib
from pathlib import Path
from typing import Iterator, List, NamedTuple

import pytest

pytest.importorskip('gnupg')
if shutil.which('gpg') is None:
    pytest.skip('there is no gpg', allow_module_level=True)

from tests.unit.samples import REAL
from tuxcare_lib import keyring
from tuxcare_lib.errors import CommandError, SigningKeyError


class Gpg(NamedTuple):
    """A keyring of the test's own; a short path, since sockets have short names."""

    home: str

    def run(self, *arguments: str, given: bytes = b'') -> bytes:
        return subprocess.run(
            ['gpg', '--homedir', self.home, '--batch', '--quiet', '--pinentry-mode', 'loopback', '--passphrase', '', '--yes']
            + list(arguments),
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        ).stdout

    def make(self, name: str, *more: str) -> str:
        """A key; its fingerprint."""
        self.run(*more, '--quick-generate-key', name, 'ed25519', 'sign', '1d' if more else '0')
        lines = self.run('--with-colons', '--list-keys', name).decode('utf-8').split('\n')
        return next(line.split(':')[9] for line in lines if line.startswith('fpr'))

    def export(self, *names: str) -> bytes:
        return self.run('--armor', '--export', *names)


@pytest.fixture(scope='module')
def gpg() -> Iterator[Gpg]:
    home = tempfile.mkdtemp(prefix='k')
    yield Gpg(home)
    subprocess.run(['gpgconf', '--homedir', home, '--kill', 'all'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope='module')
def prints(gpg: Gpg) -> List[str]:
    return [gpg.make('Good Key'), gpg.make('Other Key')]


def refused(data: bytes, fingerprint: str) -> str:
    with pytest.raises(SigningKeyError) as caught:
        keyring.check(data, fingerprint)
    assert '\n' not in str(caught.value) and caught.value.remedy
    return str(caught.value)


def test_the_key_comes_out_armored_and_binary(gpg: Gpg, prints: List[str]) -> None:
    found = keyring.check(gpg.export('Good Key'), prints[0])
    assert found.fingerprint == prints[0]
    assert found.armored.startswith(b'-----BEGIN PGP PUBLIC KEY BLOCK-----')
    assert keyring.check(found.binary, prints[0]) == found
    assert gpg.run('--show-keys', '--with-colons', given=found.binary).count(b'pub:') == 1


def test_what_else_the_file_held_does_not_come_along(gpg: Gpg, prints: List[str]) -> None:
    data = b'<html>evil</html>\n' + gpg.export('Good Key') + b'trailing words\n'
    found = keyring.check(data, prints[0])
    assert b'evil' not in found.armored and b'words' not in found.armored


def test_another_key_is_refused(gpg: Gpg, prints: List[str]) -> None:
    said = refused(gpg.export('Other Key'), prints[0])
    assert prints[0] in said and prints[1] in said


@pytest.mark.parametrize('first, second', [('Good Key', 'Other Key'), ('Other Key', 'Good Key')])
def test_a_second_key_in_the_file_is_refused(gpg: Gpg, prints: List[str], first: str, second: str) -> None:
    assert prints[1] in refused(gpg.export(first) + gpg.export(second), prints[0])
    assert prints[1] in refused(gpg.export(first, second), prints[0])


def test_a_part_of_the_fingerprint_is_not_enough(gpg: Gpg, prints: List[str]) -> None:
    for part in (prints[0][-8:], prints[0][-16:], prints[0][:-1] + ('0' if prints[0][-1] != '0' else '1')):
        refused(gpg.export('Good Key'), part)


@pytest.mark.parametrize(
    'data',
    [b'', b'<html>Please log in</html>', b'-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nAAAA\n', b'\x99\x01', b'\0' * 5000],
    ids=['empty', 'html', 'broken', 'cut', 'zeros'],
)
def test_what_is_no_key_is_refused(data: bytes, prints: List[str]) -> None:
    refused(data, prints[0])


def test_a_truncated_key_is_refused(gpg: Gpg, prints: List[str]) -> None:
    data = gpg.export('Good Key')
    refused(data[: len(data) // 2], prints[0])


def test_an_expired_key_is_refused(gpg: Gpg) -> None:
    fingerprint = gpg.make('Old Key', '--faked-system-time', '20200101T000000')
    assert 'expired' in refused(gpg.export('Old Key'), fingerprint)


def test_a_revoked_key_is_refused(gpg: Gpg) -> None:
    fingerprint = gpg.make('Lost Key')
    with open('{}/openpgp-revocs.d/{}.rev'.format(gpg.home, fingerprint), 'rb') as stream:
        revocation = stream.read().replace(b':-----BEGIN', b'-----BEGIN')
    key = gpg.run('--export', 'Lost Key')
    assert 'revoked' in refused(gpg.run('--dearmor', given=revocation) + key, fingerprint)
    gpg.run('--import', given=revocation)
    assert 'revoked' in refused(gpg.export('Lost Key'), fingerprint)


def test_all_that_gpg_does_with_a_file_has_one_clock(
    gpg: Gpg, prints: List[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / 'gpg'
    slow.write_text('#!/bin/sh\nsleep 0.5\nexec {} "$@"\n'.format(shutil.which('gpg')))
    slow.chmod(0o755)
    monkeypatch.setitem(keyring._ENVIRONMENT, 'PATH', '{}:{}'.format(tmp_path, keyring._ENVIRONMENT['PATH']))
    with pytest.raises(SigningKeyError, match='took longer than 1.5 s'):
        keyring.check(gpg.export('Good Key'), prints[0], 1.5)


def test_a_file_that_keeps_gpg_busy_is_refused(gpg: Gpg, prints: List[str]) -> None:
    packed = b'\x02' + zlib.compress(b'\xca\x03PGP' * 16000000)
    data = gpg.run('--export', 'Good Key') + (b'\xc8\xff' + struct.pack('>I', len(packed)) + packed)
    assert len(data) < 128 * 1024
    with pytest.raises(SigningKeyError, match='took longer than 0.1 s'):
        keyring.check(data, prints[0], 0.1)


def test_no_agent_is_started(gpg: Gpg, prints: List[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # It would remove its sockets while the folder is being removed, and now and then be faster.
    left: List[str] = []
    whole = tempfile.TemporaryDirectory.cleanup

    def cleanup(folder: 'tempfile.TemporaryDirectory[str]') -> None:
        left.extend(os.listdir(folder.name))
        whole(folder)

    monkeypatch.setattr(tempfile.TemporaryDirectory, 'cleanup', cleanup)
    keyring.check(gpg.export('Good Key'), prints[0])
    assert 'pubring.kbx' in left
    assert not [name for name in left if 'agent' in name]


@pytest.mark.skipif(not REAL.is_dir(), reason='no real files beside the project')
def test_the_vendors_real_key() -> None:
    data = (REAL / 'RPM-GPG-KEY-TuxCare').read_bytes()
    fingerprint = 'FAD7859081D0738B7A828496D07BF2A08D50EB66'
    assert keyring.check(data, fingerprint).fingerprint == fingerprint


# --- a signature of the administrator's -----------------------------------------------------------------------------


@pytest.fixture
def own(gpg: Gpg, prints: List[str], monkeypatch: pytest.MonkeyPatch) -> Gpg:
    """The test's keyring as the caller's own."""
    monkeypatch.setenv('GNUPGHOME', gpg.home)
    return gpg


def verified(gpg: Gpg, data: bytes, signature: bytes) -> str:
    """Whose signature it is, by gpg's own word."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(signature)
        file.flush()
        lines = gpg.run('--status-fd', '1', '--verify', file.name, '-', given=data).decode('utf-8').split('\n')
    return next(line.split()[-1] for line in lines if 'VALIDSIG' in line)


@pytest.mark.parametrize('place', [0, 1])
def test_a_signature_is_by_the_key_that_was_named(own: Gpg, prints: List[str], place: int) -> None:
    """Also by the one that gpg does not take of itself."""
    assert verified(own, b'text', keyring.sign(b'text', prints[place])) == prints[place]
    assert keyring.sign(b'text', ['Good Key', 'Other Key'][place]).startswith(b'-----BEGIN PGP SIGNATURE-----')


@pytest.mark.parametrize('key', ['Key', 'nobody@example.com', '0' * 40, '', '--list-keys', '-a'])
def test_a_key_that_is_not_one_signs_nothing(own: Gpg, key: str) -> None:
    """gpg would take its default key: for a name that it does not know, and for one that several have."""
    with pytest.raises(CommandError) as caught:
        keyring.sign(b'text', key)
    assert '\n' not in str(caught.value) and caught.value.remedy


def test_a_key_that_cannot_sign_is_one_line(own: Gpg) -> None:
    expired = own.make('Late Key', '--faked-system-time', '20200101T000000')
    with pytest.raises(CommandError) as caught:
        keyring.sign(b'text', expired)
    assert expired in str(caught.value) and '\n' not in str(caught.value)
