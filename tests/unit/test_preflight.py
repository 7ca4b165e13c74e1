# SPDX-License-Identifier: Apache-2.0
"""Each check over values: which circumstances it tells, which it lets pass."""

from typing import Any, Dict, List

import pytest

from tests.sandbox import luks as volumes
from tuxcare_lib import luks, preflight, report
from tuxcare_lib.errors import PreflightError
from tuxcare_lib.model import Boot
from tuxcare_lib.preflight import Circumstances, Room, Volume
from tuxcare_lib.ssh import Key, Login

BOOT = Boot('5.14.0-284.30.1.el9_2.x86_64', False, '/boot/vmlinuz-5.14.0-284.30.1.el9_2.x86_64', 'ro quiet', 'DEFAULT')
HOST = Circumstances(BOOT, '/boot/vmlinuz-5.14.0-284.11.1.el9_2.tuxcare.6.x86_64')
GOOD, BAD = Key('/etc/ssh/ssh_host_rsa_key.pub', ''), Key('/root/.ssh/authorized_keys', 'ed25519')
OLD_SHIM, NEW_SHIM = 'shim-x64-15.6-1.el9.alma.x86_64', 'shim-x64-15.8-4.el9_3.tuxcare.3.x86_64'
Changes = Dict[str, Any]


def boot(**changed: str) -> Changes:
    return {'boot': BOOT._replace(**changed)}


def logins(*found: Login, **changed: Any) -> Changes:
    return dict(logins=found, **changed)


TOLD: Dict[str, List[Changes]] = {
    'container': [{'container': '/.dockerenv'}],
    'boot-loader': [boot(default_kernel='')],
    'boot-device': [{'boot_source': '/dev/sda1'}],
    'luks-at-boot': [{'volumes': (Volume('/dev/sda3', True, ('argon2id',)),)}, {
        'volumes': (Volume('/dev/sda3', True, ('argon2i', 'argon2id')), Volume('/dev/sda4', True, ('pbkdf2',)))}],
    'secure-boot': [{'secure_boot': True, 'planned': (), 'shims': (OLD_SHIM,)},
                    {'secure_boot': True, 'planned': ('kernel-5.14.0-284.11.1.el9_2.tuxcare.6.x86_64',)}],
    'space': [{'rooms': (Room('/usr', 100, 100), Room('/boot', 99, 100))}],
    'kernel-arguments': [boot(arguments='ro fips=0'), boot(arguments='nofips ro'),
                         dict(boot(arguments='boot=/dev/sdb1 ro'), boot_source=''),
                         dict(boot(arguments='boot=UUID=b'), boot_source='/dev/sda1', boot_uuid='a')],
    'crypto-policy': [boot(policy='LEGACY'), boot(policy='DEFAULT:SHA1')],
    'ssh-host-keys': [{'host_keys': (GOOD, BAD)}, {'host_keys': (BAD,)}],
    'ssh-authorized-keys': [{'authorized_keys': (GOOD, BAD)}],
    'ssh-logins': [logins(Login('root', (BAD,), False), Login('user', (), False))],
    'luks': [{'volumes': (Volume('/dev/sdb', False, ('argon2id',)),)},
             {'volumes': (Volume('/dev/sda3', True, ('argon2id', 'pbkdf2')),)}],
    'libraries': [{'libraries': ('example-vpn',)}],
    'kernel-modules': [{'modules': ('kmod-example',)}],
}
PASSED: List[Changes] = [
    {}, {'boot_source': '/dev/sda1', 'boot_uuid': 'a'}, {'volumes': (Volume('/dev/sda3', True, ('pbkdf2',)),)},
    {'volumes': (Volume('/dev/sda3', True, ()),)},
    {'secure_boot': True}, {'secure_boot': None, 'planned': ()}, {'secure_boot': False, 'planned': ()},
    {'secure_boot': True, 'planned': (), 'shims': (NEW_SHIM,)},
    {'secure_boot': True, 'planned': (NEW_SHIM,), 'shims': (OLD_SHIM,)},
    {'rooms': (Room('/usr', 100, 100),)}, boot(policy='FIPS:OSPP'), boot(policy=''), boot(arguments='fips=1 x=fips=0'),
    dict(boot(arguments='boot=UUID=a'), boot_source='/dev/sda1', boot_uuid='a'),
    dict(boot(arguments='boot=/dev/sda1'), boot_source='/dev/sda1', boot_uuid='a'),
    boot(arguments='boot=UUID=a'), {'host_keys': (GOOD,)}, {'authorized_keys': (GOOD,)}, logins(Login('root', (), False)),
    logins(Login('root', (BAD,), False), Login('user', (), True)), logins(Login('root', (BAD, GOOD), False)),
    logins(Login('root', (BAD,), False), has_other_logins=True),
]


def test_each_check_has_its_circumstances() -> None:
    assert list(TOLD) == [code for code, _, _ in preflight.CHECKS]


@pytest.mark.parametrize('code, changed', [(code, changed) for code in TOLD for changed in TOLD[code]], ids=str)
def test_told_and_nothing_else(code: str, changed: Changes) -> None:
    (found,) = preflight.checks(HOST._replace(**changed))
    assert (found.code, found.level) == (code, {known: level for known, level, _ in preflight.CHECKS}[code])
    assert found.text.endswith('.') and found.remedy
    assert report.check_lines([found])[0].startswith(found.level) and found.remedy in report.check_lines([found])[1]


@pytest.mark.parametrize('changed', PASSED, ids=str)
def test_passed(changed: Changes) -> None:
    assert preflight.checks(HOST._replace(**changed)) == ()


def test_only_what_blocks_stops_and_all_is_told() -> None:
    warned = preflight.checks(HOST._replace(libraries=('example-vpn',)))
    preflight.stop(warned)
    assert preflight.stop(()) is None and report.check_lines(()) == ()
    found = preflight.checks(HOST._replace(libraries=('example-vpn',), container='/.dockerenv', boot_source='/dev/sda1'))
    with pytest.raises(PreflightError) as raised:
        preflight.stop(found)
    assert raised.value.message == '2 things keep this host out of FIPS mode: container, boot-device.'
    with pytest.raises(PreflightError) as alone:
        preflight.stop(found[:1] + warned)
    assert str(alone.value) == '{} {}'.format(found[0].text, found[0].remedy)
    assert list(report.error_document(raised.value, 'fips enable')['checks']) == [check._asdict() for check in found]


def test_many_names_are_some_names_and_a_number() -> None:
    (found,) = preflight.checks(HOST._replace(libraries=tuple('package{}'.format(number) for number in range(8))))
    assert 'package4 and 3 more.' in found.text and 'package5' not in found.text


@pytest.mark.parametrize('derivations', [('argon2id',), ('pbkdf2', 'argon2i'), ()])
def test_the_header_of_a_volume(derivations: Any) -> None:
    data = volumes.header(*derivations)
    assert luks.header_size(data[:luks.BINARY_SIZE]) == len(data)
    assert luks.derivations(data) == derivations


@pytest.mark.parametrize('data', [
    b'', b'LUKS', b'\0' * 4096, volumes.header('argon2id').replace(b'\xba\xbe\0\2', b'\xba\xbe\0\1', 1),
    b'LUKS\xba\xbe\0\2' + b'\xff' * 8, b'LUKS\xba\xbe\0\2' + b'\0' * 8], ids=['empty', 'short', 'zeros', 'LUKS1', 'huge', 'none'])
def test_what_is_no_volume(data: bytes) -> None:
    assert luks.header_size(data) == 0


@pytest.mark.parametrize('area', [b'', b'{', b'[]', b'{"keyslots": []}', b'{"keyslots": {"0": 1}}', b'\xff', b'[' * 12000])
def test_a_damaged_header_tells_nothing(area: bytes) -> None:
    assert luks.derivations(volumes.header('argon2id')[:luks.BINARY_SIZE] + area) == ()
