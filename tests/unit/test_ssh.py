# SPDX-License-Identifier: Apache-2.0
"""OpenSSH's files: keys made by ssh-keygen, sshd's settings as sshd_config(5) reads them."""

import base64
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

from tuxcare_lib import ssh
from tuxcare_lib.ssh import Key


def rsa(bits: int) -> str:
    """The blob of an RSA key of that length (RFC 4253)."""
    modulus = (1 << (bits - 1)).to_bytes(bits // 8 + 1, 'big')
    fields = (b'ssh-rsa', b'\1\0\1', modulus)
    return base64.b64encode(b''.join(struct.pack('>I', len(field)) + field for field in fields)).decode('ascii')


@pytest.mark.parametrize('line, refused', [
    ('ssh-ed25519 AAAA root@example.com', ['ed25519']), ('ssh-dss AAAA', ['DSA']),
    ('sk-ssh-ed25519@openssh.com AAAA', ['ed25519']),
    ('ssh-rsa ' + rsa(1024), ['RSA 1024']), ('ssh-rsa ' + rsa(2048), ['']), ('ssh-rsa ' + rsa(2040), ['RSA 2040']),
    ('ecdsa-sha2-nistp256 AAAA', ['']), ('command="echo a b",no-pty ssh-ed25519 AAAA x', ['ed25519']),
    ('from="10.0.0.1" ecdsa-sha2-nistp521 AAAA', ['']), ('cert-authority ssh-dss AAAA', ['DSA']),
    ('# ssh-ed25519 AAAA', []), ('  # ssh-ed25519 AAAA', []), ('', []),
    ('ssh-ed25519', []), ('ssh-rsa AAAA', ['']), ('ssh-rsa ?', ['']),
    ('ssh-ed25519 AAAA\necdsa-sha2-nistp256 AAAA\n', ['ed25519', '']),
])
def test_keys(line: str, refused: List[str]) -> None:
    assert ssh.keys('/file', line) == tuple(Key('/file', word) for word in refused)


@pytest.mark.parametrize('kind, refused', [(('ed25519',), 'ed25519'), (('rsa', '-b', '1024'), 'RSA 1024'),
                                           (('rsa', '-b', '3072'), ''), (('ecdsa',), '')], ids=str)
def test_keys_of_openssh(tmp_path: Path, kind: List[str], refused: str) -> None:
    if shutil.which('ssh-keygen') is None:
        pytest.skip('ssh-keygen is not installed')
    path = tmp_path / 'key'
    subprocess.check_call(['ssh-keygen', '-q', '-N', '', '-t'] + list(kind) + ['-f', str(path)])
    assert ssh.keys('/file', path.with_suffix('.pub').read_text(encoding='ascii')) == (Key('/file', refused),)


def test_the_first_value_counts_and_a_match_is_for_some_alone() -> None:
    texts = ['# PermitRootLogin yes\nPermitRootLogin no\nMatch User a\nPasswordAuthentication yes\n',
             'permitrootlogin yes\nPasswordAuthentication=no\nAuthorizedKeysFile "/etc/keys/%u"\n']
    assert ssh.settings(texts) == {'permitrootlogin': 'no', 'passwordauthentication': 'no', 'authorizedkeysfile': '/etc/keys/%u'}


@pytest.mark.parametrize('found, others', [
    ({}, False), ({'authorizedkeysfile': '.ssh/authorized_keys'}, False), ({'authorizedkeysfile': '/etc/keys/%u'}, True),
    ({'trustedusercakeys': 'none'}, False), ({'trustedusercakeys': '/etc/ca.pub'}, True),
    ({'authorizedkeyscommand': '/usr/bin/sss_ssh_authorizedkeys'}, True)])
def test_other_ways_in(found: Dict[str, str], others: bool) -> None:
    assert ssh.has_other_ways(found) == others


KEYS = (Key('/root/.ssh/authorized_keys', ''),)


@pytest.mark.parametrize('user, found, keys, by_password', [
    ('root', {}, True, False), ('root', {'permitrootlogin': 'yes'}, True, True),
    ('root', {'permitrootlogin': 'no'}, False, False),
    ('root', {'permitrootlogin': 'without-password'}, True, False), ('user', {'permitrootlogin': 'no'}, True, True),
    ('user', {'passwordauthentication': 'no'}, True, False), ('user', {'pubkeyauthentication': 'no'}, False, True),
    ('user', {'passwordauthentication': 'no', 'kbdinteractiveauthentication': 'yes'}, True, True)])
def test_what_sshd_lets_a_user_do(user: str, found: Dict[str, str], keys: bool, by_password: bool) -> None:
    login = ssh.login(user, found, KEYS, True)
    assert (login.keys, login.by_password) == (KEYS if keys else (), by_password)
    assert not ssh.login(user, found, KEYS, False).by_password
