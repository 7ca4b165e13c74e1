# SPDX-License-Identifier: Apache-2.0
"""OpenSSH's files: which keys FIPS mode refuses, and whom sshd lets in by which way. Pure."""

import base64
import binascii
import struct
from typing import Dict, Iterable, List, NamedTuple, Optional, Tuple

_LEAST_RSA_BITS = 2048
_REFUSED = {'ssh-ed25519': 'ed25519', 'sk-ssh-ed25519@openssh.com': 'ed25519', 'ssh-dss': 'DSA'}
_KINDS = ('ssh-rsa', 'ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521',
          'sk-ecdsa-sha2-nistp256@openssh.com') + tuple(_REFUSED)


class Key(NamedTuple):
    """A public key: the file that has it, and what FIPS mode refuses in it ('ed25519', 'DSA', 'RSA 1024'; '' for nothing)."""

    path: str
    refused: str


class Login(NamedTuple):
    """A user who may log in over SSH: by these keys, and whether by a password."""

    user: str
    keys: Tuple[Key, ...]
    by_password: bool


def keys(path: str, text: str) -> Tuple[Key, ...]:
    """The keys of a .pub file or of authorized_keys(5), whose lines may begin with options; what is no key is left out."""
    found = [_key(path, line.split()) for line in text.split('\n') if not line.lstrip().startswith('#')]
    return tuple(key for key in found if key is not None)


def _key(path: str, words: List[str]) -> Optional[Key]:
    for kind, blob in zip(words, words[1:]):
        if kind in _KINDS:
            bits = _rsa_bits(blob) if kind == 'ssh-rsa' else 0
            return Key(path, 'RSA {}'.format(bits) if 0 < bits < _LEAST_RSA_BITS else _REFUSED.get(kind, ''))
    return None


def _rsa_bits(blob: str) -> int:
    """The length of the modulus (RFC 4253: a name, the exponent, the modulus); 0 for what cannot be read."""
    try:
        data = base64.b64decode(blob)
        for _ in range(2):
            data = data[4 + struct.unpack('>I', data[:4])[0]:]
        return int.from_bytes(data[4:4 + struct.unpack('>I', data[:4])[0]], 'big').bit_length()
    except (binascii.Error, ValueError, struct.error):
        return 0


def settings(texts: Iterable[str]) -> Dict[str, str]:
    """sshd's keywords in lower case, as sshd_config(5) reads its files one after the other: the first value counts.

    What follows a Match, which is for some users alone, is left out.
    """
    found: Dict[str, str] = {}
    for text in texts:
        for line in text.split('\n'):
            keyword, _, value = line.strip().replace('=', ' ', 1).partition(' ')
            if keyword.lower() == 'match':
                break
            if keyword and not keyword.startswith('#'):
                found.setdefault(keyword.lower(), value.strip().strip('"'))
    return found


def has_other_ways(found: Dict[str, str]) -> bool:
    """Whether sshd lets people in by more than the keys and passwords of this host."""
    keywords = ('authorizedkeyscommand', 'authorizedkeysfile', 'trustedusercakeys')
    return any(found.get(keyword, 'none') not in ('none', '.ssh/authorized_keys') for keyword in keywords)


def login(user: str, found: Dict[str, str], own_keys: Tuple[Key, ...], has_password: bool) -> Login:
    """What sshd lets a user do; where it is silent, sshd's defaults count."""
    passwords = found.get('passwordauthentication', 'yes') != 'no' or found.get('kbdinteractiveauthentication') == 'yes'
    root = found.get('permitrootlogin', 'prohibit-password') if user == 'root' else 'yes'
    lets_in = root in ('yes', 'prohibit-password', 'without-password') and found.get('pubkeyauthentication', 'yes') != 'no'
    return Login(user, own_keys if lets_in else (), has_password and passwords and root == 'yes')
