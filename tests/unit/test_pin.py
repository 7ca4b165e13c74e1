# SPDX-License-Identifier: Apache-2.0
"""The tables of the pin: the class of a repository by its URLs, the verdict on a package by where it comes from."""

from typing import Any, Dict, List, Optional

import pytest

from tests.unit.samples import TOKEN, catalogue, settings
from tuxcare_lib import pin, policy
from tuxcare_lib.pin import DEBUG, FOREIGN, PAST, TRUSTED, Package, Rules

VETTED = 'https://repo.tuxcare.com/almalinux/9.2/{}/BaseOS/x86_64/os/'.format(TOKEN)
ESU = 'https://repo.tuxcare.com/tuxcare/9.2/{}/esu/x86_64/'.format(TOKEN)
COMMUNITY = 'https://repo.almalinux.org/almalinux/9/BaseOS/x86_64/os/'
OWN = ('https://mirror.example.com/pulp/$tuxcare_releasever/', 'file:///srv/mirror', 'http://10.0.0.1:8080/alma')


def rules(release: 'tuple[int, int]' = (9, 2), token: Optional[str] = TOKEN, **changed: Any) -> Rules:
    return Rules(policy.make(catalogue(), settings(**changed)), 'almalinux', release, token)


URLS = [
    ('vetted', [VETTED], TRUSTED),
    ('vetted-without-the-last-slash', [VETTED.rstrip('/')], TRUSTED),
    ('esu', [ESU], TRUSTED),
    ('base', ['https://repo.tuxcare.com/tuxcare/9.2/base/x86_64/'], TRUSTED),
    ('both', [VETTED, ESU], TRUSTED),
    ('port-by-its-number', [VETTED.replace('.com/', '.com:443/')], TRUSTED),
    ('capitals', [VETTED.replace('repo.t', 'REPO.T')], TRUSTED),
    ('own-mirror', ['https://mirror.example.com/pulp/9.2/BaseOS/'], TRUSTED),
    ('own-file', ['file:///srv/mirror/9.2/'], TRUSTED),
    ('own-http', ['http://10.0.0.1:8080/alma/BaseOS/'], TRUSTED),
    # the traps of PIN 2
    ('two-urls-one-foreign', [VETTED, 'https://example.com/x/'], PAST),
    ('two-urls-one-past', [VETTED, COMMUNITY], PAST),
    ('past-first', [COMMUNITY, VETTED], PAST),
    ('mere-substring', [VETTED.replace('9.2', '9.20')], PAST),
    ('substring-in-front', [VETTED.replace('9.2', '19.2')], PAST),
    ('substring-of-a-word', [VETTED.replace('9.2', 'x9.2')], FOREIGN),
    ('dots', [VETTED + '../../../../../9.4/x/BaseOS/x86_64/os/'], PAST),
    ('dots-to-the-same-minor', [VETTED + '../'], PAST),
    ('dots-encoded', [VETTED + '%2e%2e/%2e%2e/'], FOREIGN),
    ('one-dot', [VETTED + './x'], FOREIGN),
    ('backslash', [VETTED + '..\\'], FOREIGN),
    ('double-slash', [VETTED.replace('/9.2', '//9.2')], FOREIGN),
    ('query', [VETTED + '?x=9.4'], PAST),
    ('fragment', [VETTED + '#x'], FOREIGN),
    ('user', [VETTED.replace('//', '//user@')], FOREIGN),
    ('user-and-password', [VETTED.replace('//', '//u:p@')], FOREIGN),
    ('host-as-user', [VETTED.replace('.com/', '.com@evil.example.com/')], FOREIGN),
    ('port', [VETTED.replace('.com/', '.com:8443/')], FOREIGN),
    ('other-host-same-path', [VETTED.replace('repo.tuxcare.com', 'evil.example.com')], FOREIGN),
    ('longer-host', [VETTED.replace('.com/', '.com.evil.example.com/')], FOREIGN),
    ('plain-http', [VETTED.replace('https', 'http')], FOREIGN),
    ('other-minor', [VETTED.replace('9.2', '9.4')], PAST),
    ('major', [VETTED.replace('9.2', '9')], PAST),
    ('other-token', [VETTED.replace(TOKEN, 'other')], FOREIGN),
    ('own-mirror-other-minor', ['https://mirror.example.com/pulp/9.4/BaseOS/'], PAST),
    ('own-mirror-too-high', ['http://10.0.0.1:8080/alma/9.4/BaseOS/'], PAST),
    ('own-mirror-of-the-major', ['http://10.0.0.1:8080/alma/9/BaseOS/'], TRUSTED),
    ('own-mirror-of-another-number', ['http://10.0.0.1:8080/alma/view/1.4/BaseOS/'], TRUSTED),
    ('own-mirror-longer-name', ['file:///srv/mirror2/9.2/'], FOREIGN),
    ('own-http-other-port', ['http://10.0.0.1/alma/BaseOS/'], FOREIGN),
    # operating systems
    ('community', [COMMUNITY], PAST),
    ('community-minor', [COMMUNITY.replace('/9/', '/9.4/')], PAST),
    ('mirror-list', ['https://mirrors.almalinux.org/mirrorlist/9/baseos'], PAST),
    ('rocky-query', ['https://mirrors.rockylinux.org/mirrorlist?arch=x86_64&repo=BaseOS-9'], PAST),
    ('next-major', ['https://repo.almalinux.org/almalinux/10/BaseOS/x86_64/os/'], PAST),
    ('centos', ['http://mirror.centos.org/centos/7/os/x86_64/'], PAST),
    ('unknown-host-known-path', ['https://mirror.example.org/almalinux/9.4/AppStream/x86_64/os/'], PAST),
    ('community-of-the-pin', [COMMUNITY.replace('/9/', '/9.2/')], FOREIGN),
    ('host-with-a-dot', [COMMUNITY.replace('.org/', '.org./')], PAST),
    ('debug', ['https://repo.almalinux.org/vault/9.2/BaseOS/debug/x86_64/'], DEBUG),
    ('source', ['https://repo.almalinux.org/vault/9.2/BaseOS/Source/'], DEBUG),
    ('debug-list', ['https://mirrors.almalinux.org/mirrorlist/9.2/baseos-debug'], DEBUG),
    ('debug-other-minor', ['https://repo.almalinux.org/vault/9.4/BaseOS/debug/'], PAST),
    ('debug-and-foreign', ['https://repo.almalinux.org/vault/9.2/BaseOS/debug/', 'https://example.com/'], PAST),
    ('debug-elsewhere', ['https://example.com/9.2/BaseOS/debug/x86_64/'], FOREIGN),
    # everybody else
    ('none', [], FOREIGN),
    ('epel', ['https://mirrors.fedoraproject.org/metalink?repo=epel-9&arch=x86_64'], FOREIGN),
    ('epel-tree', ['https://dl.fedoraproject.org/pub/epel/9/Everything/x86_64/'], FOREIGN),
    ('nginx', ['http://nginx.org/packages/centos/9/x86_64/'], FOREIGN),
    ('pgdg', ['https://download.postgresql.org/pub/repos/yum/16/redhat/rhel-9-x86_64'], FOREIGN),
    ('docker', ['https://download.docker.com/linux/centos/9/x86_64/stable'], FOREIGN),
    ('remi', ['http://cdn.remirepo.net/enterprise/9/safe/x86_64/mirror'], FOREIGN),
    ('broken', ['https://[::1'], FOREIGN),
    ('file', ['file:///mnt'], FOREIGN),
]


@pytest.mark.parametrize('urls, kind', [row[1:] for row in URLS], ids=[row[0] for row in URLS])
def test_the_class_of_a_repository(urls: List[str], kind: str) -> None:
    assert pin.classify(urls, rules(trusted_url=OWN)) == kind


def test_without_the_token_only_open_trees_are_trusted() -> None:
    found = rules(token=None)
    assert pin.classify(['https://repo.tuxcare.com/tuxcare/9.2/base/x86_64/'], found) == TRUSTED
    assert pin.classify([VETTED], found) == FOREIGN


def test_an_own_service_is_trusted_in_the_place_of_the_vendors() -> None:
    found = rules(repo_url='http://eportal.example.com')
    assert pin.classify([VETTED], found) == FOREIGN
    assert pin.classify([VETTED.replace('https://repo.tuxcare.com', 'http://eportal.example.com')], found) == TRUSTED


TAGS = [
    ('1.el9_3', True),
    ('1.el9_10', True),
    ('1.el9_4.alma.1', True),
    ('15.8-4.el9_3.tuxcare.3', True),
    ('1.module_el9.4.0+1+a', True),
    ('1.module_el9.10.0+1', True),
    ('1.module+el9.4.0+1+a', True),
    ('1.module+el9.2.0+1+a', False),
    ('1-1.EL9_4', True),
    ('1-1+el9_4', True),
    ('1-1~el9_4', True),
    ('1-1^el9_4', True),
    ('1.el9_4-1', True),
    ('1-model9_4', False),
    ('1.el10', True),
    ('1.el10_0', True),
    ('1.el12', True),
    ('1.el9_3', True),
    ('2.el9_2.x.el9_4', True),
    ('1.el9', False),
    ('1.el9.3', False),
    ('1.el9_2', False),
    ('1.el9_0', False),
    ('1.el9_2.tuxcare.els1', False),
    ('1.el9.alma', False),
    ('1.module_el9.2.0+1+a', False),
    ('1.module_el8.6.0+1', False),
    ('1.el8_10', False),
    ('1.el7', False),
    ('1', False),
    ('1.fc40', False),
    ('1.elephant', False),
    ('1.el', False),
]


@pytest.mark.parametrize('tag, past', TAGS)
def test_a_tag_past_the_pin(tag: str, past: bool) -> None:
    assert pin.is_past(tag, (9, 2)) is past


@pytest.mark.parametrize('tag, past', [('1.el8_10', False), ('1.el8_9', False), ('1.el9', True), ('1.el8_11', True)])
def test_minors_are_numbers(tag: str, past: bool) -> None:
    assert pin.is_past(tag, (8, 10)) is past


VERDICTS = [
    ('trusted-all', TRUSTED, 'shim-x64', '4.el9_3.tuxcare.3', 'TuxCare', ['AlmaLinux'], None),
    ('past-nothing', PAST, 'nginx', '1.el9', 'nginx', [], 'tree'),
    ('foreign-new', FOREIGN, 'nginx', '1.el9.ngx', 'nginx', [], None),
    ('foreign-no-vendor', FOREIGN, 'x', '1', None, [], None),
    ('foreign-own-update', FOREIGN, 'nginx', '2.el9.ngx', 'nginx', ['nginx'], None),
    ('epel', FOREIGN, 'htop', '1.el9', 'Fedora Project', ['Fedora Project'], None),
    ('os-vendor', FOREIGN, 'x', '1.el9', 'AlmaLinux', [], 'operating system'),
    ('rocky', FOREIGN, 'x', '1.el9', 'Rocky Enterprise Software Foundation', [], 'operating system'),
    ('red-hat', FOREIGN, 'x', '1.el9', 'Red Hat, Inc.', [], 'operating system'),
    ('release-package', FOREIGN, 'almalinux-release', '1.el9', 'me', [], 'operating system'),
    ('tag', FOREIGN, 'x', '1.el9_4', 'me', [], 'past 9.2'),
    ('vendor-from-elsewhere', FOREIGN, 'x', '1.el9', 'TuxCare', [], 'operating system'),
    ('oracle', FOREIGN, 'x', '1.el9', 'Oracle America, Inc.', [], 'operating system'),
    ('replaces-the-os', FOREIGN, 'openssl', '99.el9', 'me', ['AlmaLinux'], 'replace a package of AlmaLinux'),
    ('replaces-the-vendors', FOREIGN, 'openssl', '99.el9', 'me', ['TuxCare'], 'replace a package of TuxCare'),
    ('obsoletes-one-of-two', FOREIGN, 'x', '1.el9', 'me', ['me', 'AlmaLinux'], 'replace a package of AlmaLinux'),
    ('debuginfo', DEBUG, 'bash-debuginfo', '1.el9', 'AlmaLinux', [], None),
    ('debugsource', DEBUG, 'bash-debugsource', '1.el9', 'AlmaLinux', [], None),
    ('kernel-debuginfo', DEBUG, 'kernel-debuginfo-common-x86_64', '1.el9_2', 'AlmaLinux', [], None),
    ('no-debug-package', DEBUG, 'bash', '1.el9', 'AlmaLinux', [], 'debug packages only'),
    ('debug-as-a-part', DEBUG, 'x-debuginfo-evil', '1', 'me', [], 'debug packages only'),
]


@pytest.mark.parametrize(
    'kind, name, tag, vendor, replaces, reason', [row[1:] for row in VERDICTS], ids=[row[0] for row in VERDICTS]
)
def test_the_verdict_on_a_package(
    kind: str, name: str, tag: str, vendor: Optional[str], replaces: List[str], reason: Optional[str]
) -> None:
    found = pin.verdict(kind, Package(name, '9.2', tag, vendor), 'site', replaces, rules())
    assert (found is None) == (reason is None)
    assert reason is None or reason in str(found)


@pytest.mark.parametrize('provides, held', [(['system-release = 9.4'], True), (['redhat-release'], True), (['x-release'], False)])
def test_a_release_package_by_what_it_provides(provides: List[str], held: bool) -> None:
    found = pin.verdict(FOREIGN, Package('centos-linux-release', '9.2', '1', 'me', (), provides), 'site', [], rules())
    assert bool(found) is held


def test_an_exception_is_for_one_name_of_one_repository() -> None:
    found = rules(allow=('openssl@site', 'almalinux-release@site'))
    for name, repository, allowed in (('openssl', 'site', True), ('openssl', 'other', False), ('openssl-libs', 'site', False)):
        reason = pin.verdict(FOREIGN, Package(name, '3', '1.el9_4', 'AlmaLinux'), repository, [], found)
        assert (reason is None) is allowed


@pytest.mark.parametrize('kind', [TRUSTED, FOREIGN, PAST, DEBUG])
def test_no_repository_and_no_exception_lets_the_release_package_of_another_minor_in(kind: str) -> None:
    found = rules(allow=('almalinux-release@site',))
    for name, version in (('almalinux-release', '9.4'), ('rocky-release', '9.4'), ('almalinux-release', '9')):
        assert pin.verdict(kind, Package(name, version, '1.el9', 'AlmaLinux'), 'site', [], found)
    assert pin.verdict(TRUSTED, Package('almalinux-release', '9.2', '1.el9', 'AlmaLinux'), 'site', [], found) is None


@pytest.mark.parametrize('vendor, held', [
    ('AlmaLinux', True), ('TuxCare', True), ('almalinux ', True), ('Red  Hat, Inc.', True), ('AlmaLinux Fans', False),
    ('nginx', False), (None, False), ('', False)])
def test_whose_installed_packages_are_held(vendor: Optional[str], held: bool) -> None:
    assert pin.protects(vendor, rules()) is held


MOVES = [
    ('esu', '9.2', '9.2', '9.2', True),
    ('esu', '9.2', '9.2', '9.4', False),
    ('esu', '9.2', '9.2', '', False),
    ('esu', '9.2', '9.2', '9.2 ', False),
    ('essential', '9.2', '9.2', '9.2', True),
    ('essential', '9.2', '9.2', '9.4', True),
    ('essential', '9.2', '9.2', '9.6', False),
    ('essential', '9.2', '9.2', '9', False),
    ('essential', '9.2', '9.2', '../9.4', False),
    ('essential', '9.2', '9.2', '9.4\n', False),
    ('essential', '9.4', '9.4', '9.2', False),
    ('essential', '8.8', '8.8', '8.10', True),
    ('essential', '8.10', '8.10', '8.8', False),
    ('essential', '8.8', '8.8', '9.2', False),
    ('essential', '9.2', '9.2', '9.04', False),
]


@pytest.mark.parametrize('product, recorded, held, variable, good', MOVES)
def test_the_release_that_the_variable_may_name(product: str, recorded: str, held: str, variable: str, good: bool) -> None:
    record = {'product': product, 'family': 'almalinux', 'release': recorded, 'pin': held}
    found = pin.pinned_release(record, variable, policy.make(catalogue(), settings()))
    assert (found is not None) is good
    assert not good or '{}.{}'.format(*found or ()) == variable


@pytest.mark.parametrize('installed, variable, good', [
    ((9, 2), '9.2', True), ((9, 2), '9.4', True), ((9, 4), '9.4', True), ((9, 4), '9.2', False), ((9, 6), '9.4', False)])
def test_never_below_the_release_that_is_installed(installed: 'tuple[int, int]', variable: str, good: bool) -> None:
    """The record may not have followed a move yet: os-release tells what has arrived."""
    record = {'product': 'essential', 'family': 'almalinux', 'release': '9.2', 'pin': '9.2'}
    assert (pin.pinned_release(record, variable, policy.make(catalogue(), settings()), installed) is not None) is good


RECORD = {'product': 'esu', 'family': 'almalinux', 'release': '9.2', 'pin': '9.2',
          'repositories': ['tuxcare-base', 'tuxcare-esu']}
ESSENTIAL = dict(RECORD, product='essential', repositories=[])


@pytest.mark.parametrize('record, word', [
    (RECORD, None), (ESSENTIAL, None), (dict(ESSENTIAL, pin='9.4'), None), (dict(ESSENTIAL, release='9.4', pin='9.4'), None),
    (dict(RECORD, pin='9.4'), 'does not move'), (dict(RECORD, release='9.4', pin='9.4'), 'no esu'),
    (dict(RECORD, release='9.6', pin='9.6'), 'no esu'), (dict(RECORD, product='gold'), 'no gold'),
    (dict(RECORD, family='rocky'), 'no esu'), (dict(RECORD, product='essential'), 'tuxcare-esu'),
], ids=str)
def test_a_registration_that_cannot_be(record: Dict[str, Any], word: Optional[str]) -> None:
    found = pin.impossible(record, policy.make(catalogue(), settings()))
    assert (found is None) if word is None else word in str(found)


MARKER = 'TuxCare Enterprise Support for AlmaLinux release 9.2'


@pytest.mark.parametrize('record, held, line, own, word', [
    (RECORD, '9.2', MARKER, '[tuxcare-esu]\n', None),
    (ESSENTIAL, '9.2', MARKER, '', None),
    (ESSENTIAL, '9.4', MARKER, '', None),
    (ESSENTIAL, '9.4', MARKER.replace('9.2', '9.4'), '', None),
    (ESSENTIAL, '9.2', MARKER.replace('9.2', '9.4'), '', 'does not name'),
    (RECORD, '9.2', '', '[tuxcare-esu]\n', 'missing'),
    (RECORD, '9.2', MARKER + ' ', '[tuxcare-esu]\n', 'does not name'),
    (RECORD, '9.2', MARKER, '', 'tuxcare.repo is missing'),
    (ESSENTIAL, '9.2', MARKER, '[tuxcare-esu]\n', 'for esu'),
], ids=range(9))
def test_witnesses_that_contradict_the_registration(record: Dict[str, Any], held: str, line: str, own: str,
                                                    word: Optional[str]) -> None:
    found = pin.contradiction(record, held, line, own, policy.make(catalogue(), settings()))
    assert (found is None) if word is None else word in str(found)


def test_a_refusal_names_package_repository_and_remedy_in_one_line() -> None:
    line = pin.refusal('bash-5-1.el9_4.x86_64', 'site', 'it was built for a release past 9.2', rules())
    assert '\n' not in line
    assert all(word in line for word in ('bash-5-1.el9_4.x86_64', 'site', '9.2', '--disablerepo=site', '[pin] allow'))
