# SPDX-License-Identifier: Apache-2.0
"""Which packages make the validated set of a host, and what has to be run beside installing them."""

from pathlib import Path
from typing import Dict, List, Set, Tuple

import pytest

from tests.unit.samples import (
    BASEOS, REPOS, almalinux, catalogue, edited, gather, registered, registration_changes, release, settings)
from tuxcare_lib import fips, host, journal, planner, restoration
from tuxcare_lib.errors import HostError, NotRegisteredError, StateError
from tuxcare_lib.hold import is_fips_build
from tuxcare_lib.model import Boot, Change, PackageSet
from tuxcare_lib.rootfs import Root

KERNEL = 'kernel-5.14.0-284.11.1.el9_2.tuxcare.6'
IMAGE = '/boot/vmlinuz-5.14.0-284.11.1.el9_2.tuxcare.6.x86_64'
STOCK = Boot('5.14.0-284.30.1.el9_2.x86_64', False, '/boot/vmlinuz-5.14.0-284.30.1.el9_2.x86_64', 'ro quiet', 'DEFAULT')
DEFAULT = ('grubby', '--set-default=' + IMAGE)
ENABLE = ('fips-mode-setup', '--enable')


def validated(architecture: str = 'x86_64') -> PackageSet:
    found = catalogue().package_set('almalinux', release('9.2'), architecture)
    assert found is not None
    return found


@pytest.mark.parametrize('have, companions', [
    (set(), []), ({('openssl', 'x86_64'), ('nss', 'aarch64')}, []),
    ({('openssl-libs', 'i686')}, ['openssl-libs-1:3.0.7-20.el9_2.tuxcare.1.i686']),
    ({('nss', 'i686'), ('nettle', 'i686')}, ['nettle-3.8-3.el9_2.tuxcare.1.i686', 'nss-3.90.0-6.el9_2.tuxcare.1.i686']),
    ({('kernel', 'i686'), ('zlib', 'i686')}, [])], ids=['none', 'others', 'libraries', 'two', 'no-module'])
def test_i686_companions_only_where_i686_is_installed(have: Set[Tuple[str, str]], companions: List[str]) -> None:
    specs = fips.specs(validated(), have)
    assert [spec for spec in specs if spec.endswith('.i686')] == companions
    assert specs[0] == KERNEL + '.x86_64'
    assert len(specs) == 6 + len(companions)


def test_aarch64_has_kernel_and_openssl_alone() -> None:
    have = {('nss', 'aarch64'), ('openssl-libs', 'i686')}
    assert fips.specs(validated('aarch64'), have) == (KERNEL + '.aarch64', 'openssl-1:3.0.7-20.el9_2.tuxcare.1.aarch64')


@pytest.mark.parametrize('boot, commands', [
    (STOCK, [DEFAULT, ENABLE]),
    (STOCK._replace(default_kernel=IMAGE), [ENABLE]),
    (STOCK._replace(arguments='ro fips=1', policy='FIPS'), [DEFAULT]),
    (STOCK._replace(default_kernel=IMAGE, arguments='ro fips=1', policy='FIPS:AD-SUPPORT'), []),
    (STOCK._replace(default_kernel=IMAGE, arguments='ro fips=1', policy='DEFAULT'), [ENABLE]),
    (STOCK._replace(default_kernel=IMAGE, arguments='ro fips=0', policy='FIPS'), [ENABLE]),
    (STOCK._replace(default_kernel=IMAGE, arguments='ro fips=1 fips=0', policy='FIPS'), [ENABLE]),
    (STOCK._replace(default_kernel=IMAGE, arguments='ro nofips=1 fips=10', policy='FIPS'), [ENABLE])],
    ids=['stock', 'kernel-done', 'mode-done', 'all-done', 'policy-missing', 'left-before', 'the-last-counts', 'mere-substring'])
def test_what_still_has_to_be_run(boot: Boot, commands: List[Tuple[str, str]]) -> None:
    assert list(fips.commands(fips.kernel_image(validated()), boot)) == commands


def test_the_kernel_as_the_boot_loader_names_it() -> None:
    assert fips.kernel_image(validated()) == IMAGE
    assert fips.kernel_image(validated('aarch64')) == IMAGE.replace('x86_64', 'aarch64')


@pytest.mark.parametrize('nevr, name, evr', [
    ('openssl-1:3.0.7-20.el9_2.tuxcare.1', 'openssl', ('1', '3.0.7', '20.el9_2.tuxcare.1')),
    ('nettle-3.8-3.el9', 'nettle', ('0', '3.8', '3.el9')), ('a-b-c-1-2', 'a-b-c', ('0', '1', '2'))])
def test_the_parts_of_a_package(nevr: str, name: str, evr: Tuple[str, str, str]) -> None:
    assert fips.name_of(nevr) == name
    assert fips.evr(nevr) == evr


@pytest.mark.parametrize('tag, build', [
    ('23.el9_2.tuxcare.3', True), ('21.el9_2.tuxcare.els1', False), ('6.el9_2', False), ('1.el9.tuxcare.10', True),
    ('1.el9.tuxcare.3.1', False), ('1.el9.tuxcare.', False), ('1.el9.tuxcare.3\n', False)])
def test_a_fips_build_by_its_tag(tag: str, build: bool) -> None:
    assert is_fips_build(tag) is build


def test_a_registered_esu_host_has_its_set(tmp_path: Path) -> None:
    facts = gather(registered(tmp_path))
    assert fips.package_set(facts, catalogue()) == validated()
    assert fips.package_set(facts._replace(architecture='aarch64'), catalogue()) == validated('aarch64')


def test_who_has_no_set(tmp_path: Path) -> None:
    with pytest.raises(NotRegisteredError) as caught:
        fips.package_set(gather(almalinux(tmp_path / 'a')), catalogue())
    assert caught.value.status == 3 and 'dnf tuxcare register' in str(caught.value)
    facts = gather(registered(tmp_path / 'b'))
    assert facts.registration is not None
    for other in (facts._replace(registration=facts.registration._replace(product='essential')),
                  facts._replace(registration=facts.registration._replace(pin=release('9.4'))),
                  facts._replace(architecture='s390x')):
        with pytest.raises(HostError) as refused:
            fips.package_set(other, catalogue())
        assert 'AlmaLinux 9.2 x86_64' in refused.value.remedy


def planned(root: Root, on: bool) -> Dict[str, Change]:
    wanted = validated() if on else None
    return {change.path: change for change in planner.hold_changes(gather(root), catalogue(), settings(), wanted)}


def apply(root: Root, on: bool) -> None:
    journal.apply(root, 'test', list(planned(root, on).values()))


def test_the_files_hold_the_set_and_let_it_go(tmp_path: Path) -> None:
    """Added to what an administrator excludes himself; nothing else changes, and the way back is exact."""
    root = registered(tmp_path)
    edited(tmp_path, host.TUXCARE_REPO, '[tuxcare-esu]\n', '[tuxcare-esu]\n# mine\n')
    edited(tmp_path, BASEOS, 'enabled=1\n', 'enabled=1\nexcludepkgs=mine\n')
    before = {path: root.read(path) for path in (host.TUXCARE_REPO, BASEOS)}
    apply(root, True)
    assert planned(root, True) == {}
    text = (root.read(host.TUXCARE_REPO) or b'').decode()
    assert 'enabled=0' not in text and 'openssl-*-*.tuxcare.els*' in text
    lines = (root.read(BASEOS) or b'').decode().split('\n')
    added = [line for line in lines if line.startswith('exclude=')]
    assert 'excludepkgs=mine' in lines and added and 'kernel-core' in added[0].split('=')[1].split()
    apply(root, False)
    assert {path: root.read(path) for path in before} == before and planned(root, False) == {}


def test_what_is_held_is_no_conflict_when_the_host_unregisters(tmp_path: Path) -> None:
    root = almalinux(tmp_path)
    before = {path: root.read(path) for path in (REPOS + name for name in root.names(REPOS))}
    journal.apply(root, 'test', registration_changes(root))
    apply(root, True)
    changes, notes = restoration.unregistration_changes(gather(root))
    journal.apply(root, 'test', changes)
    assert {path: root.read(path) for path in before} == before and notes == []


def test_what_is_held_is_no_edit_where_the_record_was_lost(tmp_path: Path) -> None:
    root = registered(tmp_path)
    stamped = planner.unedited(gather(root), catalogue(), settings())
    apply(root, True)
    root.remove_tree(host.STATE_FOLDER)
    assert host.TUXCARE_REPO in stamped and BASEOS in stamped
    assert planner.unedited(gather(root), catalogue(), settings()) == stamped


@pytest.mark.parametrize('image, arguments, steps', [
    ('/boot/vmlinuz-6.12.0-55.el10_0.tuxcare.1.x86_64', 'fips=1', ['--args=fips=1']),
    ('/boot/vmlinuz-6.12.0-55.el10_0.tuxcare.1.x86_64', 'fips=1 boot=UUID=1-2', ['--args=fips=1 boot=UUID=1-2']),
    (IMAGE, '', ['--enable']),
])
def test_el_10_has_kernel_arguments_alone(image: str, arguments: str, steps: List[str]) -> None:
    """FACTS 4; entered and left."""
    source = '/dev/sda1' if 'boot=' in arguments else ''
    assert fips.arguments_for(image, source, '1-2') == arguments
    now = Boot('k', False, image, 'ro', 'DEFAULT')
    (command,) = fips.commands(image, now, arguments)
    assert list(command)[-1:] == steps
    if arguments:
        on = now._replace(arguments='ro ' + arguments)
        assert fips.will_be_on(on) and fips.commands(image, on, arguments) == ()
        gone = '--remove-args=' + ' '.join(sorted(arguments.split()))
        assert fips.way_back(on, now) == (('grubby', '--update-kernel=ALL', gone),)


# --- the way back -------------------------------------------------------------------------------------------------

OFF = Boot('k', False, '/boot/old', 'ro quiet', 'DEFAULT')
ON = Boot('k', True, '/boot/new', 'ro quiet fips=1', 'FIPS')
DISABLE, CLEAN = ('fips-mode-setup', '--disable'), ('grubby', '--update-kernel=ALL', '--remove-args=fips=0')
OLD = ('grubby', '--set-default=/boot/old')


def policy(name: str) -> Tuple[str, ...]:
    return ('update-crypto-policies', '--no-reload', '--set', name)


@pytest.mark.parametrize('now, before, steps', [
    (OFF, OFF, []), (ON, ON, []),
    (ON, OFF, [OLD, DISABLE, CLEAN]),
    (ON, OFF._replace(policy='DEFAULT:SHA1'), [OLD, DISABLE, policy('DEFAULT:SHA1'), CLEAN]),
    (ON._replace(arguments='ro fips=1 boot=UUID=1'), OFF,
     [OLD, DISABLE, ('grubby', '--update-kernel=ALL', '--remove-args=boot=UUID=1 fips=0')]),
    (ON, OFF._replace(arguments='ro quiet boot=UUID=1'), [OLD, DISABLE, CLEAN]),
    (ON, OFF._replace(arguments='ro fips=0'), [OLD, DISABLE]),
    (ON._replace(default_kernel='/boot/old'), OFF, [DISABLE, CLEAN]),
    (OFF._replace(policy='FIPS'), OFF, [DISABLE, CLEAN]),  # cut off inside fips-mode-setup --enable
    (OFF._replace(arguments='ro fips=1'), OFF, [DISABLE, CLEAN]),
    (OFF._replace(arguments='ro fips=0'), OFF, [CLEAN]),  # cut off behind fips-mode-setup --disable
    (OFF._replace(arguments='ro fips=0'), OFF._replace(policy='FUTURE'), [policy('FUTURE'), CLEAN]),
    (OFF._replace(default_kernel='/boot/new'), OFF, [OLD]),
    (OFF, OFF._replace(default_kernel=''), []),
    # Left, and to be entered again: an `uninstall` that is undone.
    (OFF, ON, [('grubby', '--set-default=/boot/new'), ENABLE]),
    (OFF, ON._replace(policy='FIPS:OSPP'), [('grubby', '--set-default=/boot/new'), ENABLE, policy('FIPS:OSPP')]),
    (OFF._replace(policy='FIPS'), ON._replace(default_kernel='/boot/old'), [ENABLE]),
])
def test_way_back(now: Boot, before: Boot, steps: List[Tuple[str, ...]]) -> None:
    assert list(fips.way_back(now, before)) == steps


def test_what_booted_before_is_remembered() -> None:
    assert fips.remembered(fips.render(OFF).data) == OFF and fips.remembered(None) is None


@pytest.mark.parametrize('data', [b'', b'{}', b'[]', b'\xff',
                                  b'{"schema": 1, "before": {"policy": 7}}', fips.render(OFF).data.replace(b'false', b'"no"')])
def test_a_damaged_memory_is_refused(data: bytes) -> None:
    with pytest.raises(StateError):
        fips.remembered(data)


def test_a_memory_of_a_later_version_is_left_to_it() -> None:
    with pytest.raises(StateError, match='schema 2') as caught:
        fips.remembered(fips.render(OFF).data.replace(b'"schema": 1', b'"schema": 2'))
    assert caught.value.remedy.startswith('Install the version')


def ran(state: Boot, step: Tuple[str, ...]) -> Boot:
    """What a program of the system makes of the next boot (FACTS 4)."""
    words = state.arguments.split()
    if step[0] == 'update-crypto-policies':
        return state._replace(policy=step[-1])
    if step[0] == 'fips-mode-setup':
        on = step[1] == '--enable'
        kept = [word for word in words if not word.startswith('fips=')] + ['fips=1' if on else 'fips=0']
        policy = 'DEFAULT' if not on else state.policy if state.policy.startswith('FIPS') else 'FIPS'
        return state._replace(policy=policy, arguments=' '.join(kept))
    if step[1].startswith('--set-default='):
        return state._replace(default_kernel=step[1].partition('=')[2])
    gone = step[2].partition('=')[2].split()
    return state._replace(arguments=' '.join(word for word in words if word not in gone))


STATES = [Boot('k', False, kernel, arguments, name) for kernel in ('/boot/old', '/boot/new')
          for arguments in ('ro', 'ro fips=0', 'ro fips=1', 'ro boot=UUID=1', 'ro fips=1 boot=UUID=1', 'ro boot=UUID=2 fips=0')
          for name in ('DEFAULT', 'FUTURE', 'FIPS', 'FIPS:OSPP')]


@pytest.mark.parametrize('before', STATES, ids=lambda state: ' '.join(state[2:]))
def test_the_way_back_arrives(before: Boot) -> None:
    """Whatever boots now: it ends as it was, and with nothing more to be done."""
    for now in STATES:
        state = now
        for step in fips.way_back(now, before):
            state = ran(state, step)
        assert fips.way_back(state, before) == (), now
        assert (state.default_kernel, state.policy) == (before.default_kernel, before.policy), now
        assert fips.will_be_on(state) == fips.will_be_on(before), now
        added = [word for word in state.arguments.split() if word not in before.arguments.split()]
        assert fips.will_be_on(before) or added == [], now


def test_what_is_remembered_is_a_file_for_everybody_to_read() -> None:
    image = fips.render(OFF)
    assert image.mode == 0o644 and image.data.endswith(b'}\n') and fips.render(OFF) == image
