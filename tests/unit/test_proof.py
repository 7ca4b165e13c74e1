# SPDX-License-Identifier: Apache-2.0
"""The verdict over values: what is validated, what merely complies, what is broken and why."""

import os
import re
from typing import Any, Dict, List, Tuple

import pytest

from tests.unit.samples import PROJECT, catalogue, release
from tuxcare_lib import boot, evidence, proof
from tuxcare_lib.model import Boot
from tuxcare_lib.proof import Entry, Evidence, Part, Provider

UNAME = '5.14.0-284.11.1.el9_2.tuxcare.6.x86_64'
STOCK = '5.14.0-284.30.1.el9_2.x86_64'
VENDOR = 'FAD7859081D0738B7A828496D07BF2A08D50EB66'
WANTED = catalogue().package_set('almalinux', release('9.2'), 'x86_64')
SAID = '''Providers:
  base
    name: OpenSSL Base Provider
    version: 3.0.7
    status: active
  fips
    name: OpenSSL FIPS Provider for AlmaLinux 9
    version: 3.0.7-1d2bd88ee26b3c90
    status: active
'''
INFO = '''index=0
kernel="/boot/vmlinuz-{0}"
args="ro quiet $tuned_params fips=1"
root="/dev/mapper/root"
initrd="/boot/initramfs-{0}.img $tuned_initrd"
title="AlmaLinux"
id="x-{0}"
index=1
kernel="/boot/vmlinuz-{1}"
args="ro"
root="/dev/mapper/root"
initrd="/boot/initramfs-{1}.img"
title="AlmaLinux"
non linux entry
'''.format(UNAME, STOCK)


def part(nevr: str, order: int = 0, **changed: Any) -> Part:
    return Part(nevr + '.x86_64', nevr.rsplit('-', 1)[1], order, **dict({'signer': VENDOR[-16:].lower()}, **changed))


def good_parts(**changed: Tuple[Part, ...]) -> Dict[str, Tuple[Part, ...]]:
    assert WANTED is not None
    parts = {nevr.split('-')[0]: (part(nevr),) for nevr in (WANTED.kernel,) + WANTED.modules}
    parts['openssl'] += (part('openssl-libs-1:3.0.7-20.el9_2.tuxcare.1'),)
    parts['kernel'] += (part('kernel-core-5.14.0-284.11.1.el9_2.tuxcare.6'),)
    return dict(parts, **changed)


IN_FIPS = Boot(UNAME, True, '/boot/vmlinuz-' + UNAME, 'ro fips=1', 'FIPS')
GOOD = Evidence(WANTED, IN_FIPS, good_parts(), 'FIPS', boot.parsed(INFO, '/boot/vmlinuz-' + UNAME), evidence.parsed(SAID), True,
                signing_key=VENDOR)
BEFORE = GOOD._replace(boot=IN_FIPS._replace(running_kernel=STOCK, mode_on=False), providers=None)
OFF = Evidence(WANTED, Boot(STOCK, False, '/boot/vmlinuz-' + STOCK, 'ro', 'DEFAULT'), applied='DEFAULT')
LATER = part('openssl-1:3.0.7-20.el9_2.tuxcare.2', 1), part('openssl-libs-1:3.0.7-20.el9_2.tuxcare.2', 1)
FIX = part('gnutls-3.7.6-21.el9_2.tuxcare.els1', -1)


def nettle(**files: Tuple[str, ...]) -> Evidence:
    return GOOD._replace(parts=good_parts(nettle=(part('nettle-3.8-3.el9_2.tuxcare.1', **files),)))


def with_boot(evidence: Evidence, **changed: Any) -> Evidence:
    return evidence._replace(boot=evidence.boot._replace(**changed))


def codes(evidence: Evidence) -> Tuple[str, List[str]]:
    found = proof.judge(evidence)
    assert all(reason.text and reason.remedy for reason in found.reasons)
    return found.verdict, [reason.code for reason in found.reasons]


@pytest.mark.parametrize('evidence, verdict, reasons', [
    (GOOD, 'validated', []),
    (GOOD._replace(parts=good_parts(openssl=LATER)), 'compliant', []),
    (with_boot(GOOD, policy='FIPS:OSPP')._replace(applied='FIPS:OSPP'), 'validated', []),
    (GOOD._replace(providers=None), 'validated', []),  # told as not checked
    (with_boot(GOOD, default_kernel='', arguments=''), 'validated', []),  # the same: who is not root
    (BEFORE, 'pending reboot', ['reboot']),
    (with_boot(GOOD, running_kernel=STOCK), 'pending reboot', ['running-kernel']),
    (OFF, 'off', []),
    (OFF._replace(entered=True), 'off', ['mode']),
    (with_boot(OFF._replace(entered=True), default_kernel=''), 'unknown', ['boot-loader']),
    (with_boot(OFF, policy='FIPS')._replace(applied='FIPS'), 'off', []),  # a policy alone is no mode
    (with_boot(OFF, arguments='ro fips=1'), 'broken', ['package'] * 6 + ['boot-entry', 'crypto-policy', 'reboot']),
    (Evidence(None, IN_FIPS), 'broken', ['no-set']),
    (Evidence(None, OFF.boot), 'off', []),
    (GOOD._replace(parts=good_parts(nettle=())), 'broken', ['package']),
    (GOOD._replace(parts=good_parts(gnutls=(FIX,))), 'broken', ['package']),
    (GOOD._replace(parts=good_parts(gnutls=(FIX._replace(order=1),))), 'broken', ['package']),  # newer, and no FIPS build
    (GOOD._replace(parts=good_parts(nss=(part('nss-3.90.0-5.el9_2.tuxcare.1', -1),))), 'broken', ['package']),
    (GOOD._replace(parts=good_parts(openssl=(LATER[0], part('openssl-libs-1:3.0.7-16.el9_2', -1)))), 'broken', ['package']),
    (GOOD._replace(parts=good_parts(openssl=(part('openssl-libs-1:3.0.7-20.el9_2.tuxcare.1'),))), 'broken', ['package']),
    (nettle(altered=('/l: changed', '/m: missing')), 'broken', ['file', 'file']),
    (nettle(signer='0' * 16), 'broken', ['signature']),
    (nettle(signer=''), 'broken', ['signature']),
    (nettle(edited=('/c: changed',), unread=('/k: no',)), 'validated', []),
    (GOOD._replace(providers=GOOD.providers[:1] if GOOD.providers else None), 'broken', ['provider']),
    (GOOD._replace(providers=(Provider('fips', 'n', '1', 'inactive'),)), 'broken', ['provider']),
    (with_boot(GOOD, policy='DEFAULT'), 'broken', ['crypto-policy']),
    (with_boot(GOOD, policy='FIPSX'), 'broken', ['crypto-policy']),
    (GOOD._replace(applied='DEFAULT'), 'broken', ['crypto-policy']),
    (with_boot(GOOD, arguments='ro fips=10'), 'broken', ['boot-entry']),
    (with_boot(GOOD, arguments='ro fips=1 quiet fips=0'), 'broken', ['boot-entry']),  # the kernel takes the last
    (with_boot(GOOD, arguments='ro fips=0 quiet fips=1'), 'validated', []),
    (with_boot(GOOD, default_kernel='/boot/vmlinuz-' + STOCK), 'broken', ['boot-entry']),
    (with_boot(BEFORE, default_kernel='/boot/vmlinuz-' + STOCK), 'broken', ['boot-entry', 'reboot']),
    (GOOD._replace(entries=(Entry('/k', 'fips=1', '/i', True, ('/i',)), Entry('/o', '', '/j', False, ('/j',)))),
     'broken', ['boot-entry']),
])
def test_the_verdict(evidence: Evidence, verdict: str, reasons: List[str]) -> None:
    assert codes(evidence) == (verdict, reasons)


def test_a_later_fips_kernel_that_runs_complies() -> None:
    later = '5.14.0-284.11.1.el9_2.tuxcare.7'
    both = good_parts()['kernel'] + (part('kernel-' + later, 1), part('kernel-core-' + later, 1))
    running = with_boot(GOOD._replace(parts=good_parts(kernel=both)), running_kernel=later + '.x86_64')
    running = with_boot(running, default_kernel='/boot/vmlinuz-{}.x86_64'.format(later))
    assert codes(running) == ('compliant', [])
    assert codes(GOOD._replace(parts=good_parts(kernel=both))) == ('validated', [])


def test_kernels_of_the_community_may_stay_beside() -> None:
    other = part('kernel-5.14.0-284.30.1.el9_2', 1), part('kernel-core-5.14.0-284.30.1.el9_2', 1)
    found = proof.judge(GOOD._replace(parts=good_parts(kernel=other + good_parts()['kernel'])))
    assert found.verdict == 'validated' and found.modules[0].nevra == 'kernel-' + UNAME
    assert [part.nevra.split('-5')[0] for part in found.modules[0].parts] == ['kernel', 'kernel-core']
    only = proof.judge(GOOD._replace(parts=good_parts(kernel=other)))
    assert [reason.code for reason in only.reasons] == ['package', 'package', 'boot-entry', 'running-kernel']


@pytest.mark.parametrize('evidence, registered, status', [
    (GOOD, True, 0), (GOOD, False, 0), (GOOD._replace(parts=good_parts(openssl=LATER)), True, 0), (OFF, True, 0), (OFF, False, 3),
    (OFF._replace(entered=True), True, 4), (OFF._replace(entered=True), False, 4), (BEFORE, True, 4),
    (Evidence(None, IN_FIPS), False, 4)])
def test_the_exit_status(evidence: Evidence, registered: bool, status: int) -> None:
    assert proof.judge(evidence).status(registered) == status


def test_a_boot_that_was_verified_is_told_with_what_runs() -> None:
    said = proof.verified(GOOD, proof.judge(GOOD))
    assert said.startswith('FIPS mode was verified at this boot: ')
    assert UNAME in said and '3.0.7-1d2bd88ee26b3c90' in said and 'policy FIPS.' in said
    assert 'not asked' in proof.verified(GOOD._replace(providers=None), proof.judge(GOOD))
    assert proof.verified(BEFORE, proof.judge(BEFORE)) == ''


def test_the_remedy_of_a_part_names_the_validated_build() -> None:
    mixed = proof.judge(GOOD._replace(parts=good_parts(openssl=(LATER[0], part('openssl-libs-1:3.0.7-16.el9_2', -1)))))
    assert mixed.reasons[0].remedy == 'Run `dnf install openssl-libs-1:3.0.7-20.el9_2.tuxcare.1.x86_64`.'


def test_what_openssl_says() -> None:
    assert evidence.parsed(SAID)[1] == Provider(
        'fips', 'OpenSSL FIPS Provider for AlmaLinux 9', '3.0.7-1d2bd88ee26b3c90', 'active')
    assert [provider.id for provider in evidence.parsed(SAID)] == ['base', 'fips']
    assert evidence.parsed('') == () == evidence.parsed('Providers:\n')


def test_what_grubby_says() -> None:
    found = boot.parsed(INFO, '/boot/vmlinuz-' + UNAME)
    assert found == (
        Entry('/boot/vmlinuz-' + UNAME, 'ro quiet $tuned_params fips=1', '/boot/initramfs-{}.img'.format(UNAME), True),
        Entry('/boot/vmlinuz-' + STOCK, 'ro', '/boot/initramfs-{}.img'.format(STOCK)))
    assert [entry.is_fips for entry in found] == [True, False] and boot.parsed('', '') == ()


def test_a_certificate_is_shown_where_the_catalogue_has_it() -> None:
    text = ('[fips almalinux 9.2 x86_64]\nkernel = kernel-1-1\nmodules = openssl-1:3.0.7-20.el9_2.tuxcare.1\n'
            'certificates = openssl=1234\n')
    wanted = catalogue(text).package_set('almalinux', release('9.2'), 'x86_64')
    found = proof.judge(GOOD._replace(wanted=wanted))
    assert [module.certificate for module in found.modules] == [None, '1234']
    assert any('certificate #1234' in row[1] for row in proof.rows(GOOD, found))
    assert WANTED is not None and WANTED.certificates == {}


def test_every_code_of_a_reason_is_described() -> None:
    with open(os.path.join(str(PROJECT), 'tuxcare_lib', 'proof.py'), encoding='utf-8') as stream:
        spelled = set(re.findall(r"Reason\('([a-z-]+)'", stream.read()))
    with open(os.path.join(str(PROJECT), 'docs', 'commands.md'), encoding='utf-8') as stream:
        section = stream.read().split('### `fips status`')[1].split('### ')[0]
    assert set(re.findall(r'^\| `([a-z-]+)` \|', section, re.M)) == spelled and len(spelled) == 12
