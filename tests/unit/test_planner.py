# SPDX-License-Identifier: Apache-2.0
"""From facts to changes: the checks in the guide's order, what registering writes, the three-way way back."""

from pathlib import Path
from typing import Dict, Optional, Tuple

import pytest

from tests.sandbox import osfiles
from tests.unit.samples import (
    BASEOS,
    NO_WISH,
    REPOS,
    TOKEN,
    almalinux,
    catalogue,
    edited,
    gather,
    outcome,
    plant,
    registered,
    registration_changes,
    release,
    settings,
)
from tuxcare_lib import host, journal, planner, registration, restoration
from tuxcare_lib.enrolment import Enquiry
from tuxcare_lib.errors import (
    ConfigurationError,
    ConflictError,
    EntitlementError,
    HostError,
    RepositoryFileError,
    TuxcareError,
    UsageError,
)
from tuxcare_lib.model import Change, Image
from tuxcare_lib.planner import Supported, Wish
from tuxcare_lib.rootfs import Root


def check(
    folder: Path, version: str = '9.2', architecture: str = 'x86_64', os_release: Optional[str] = None, **wish: str
) -> Supported:
    root = almalinux(folder, version if (('almalinux', version) in osfiles.RELEASES) else '9.2')
    if os_release is not None:
        plant(folder, {'/etc/os-release': os_release})
    return planner.check_host(gather(root, architecture), catalogue(), Wish(**wish))


@pytest.mark.parametrize(
    'version, wish, products, pin',
    [
        ('9.2', {}, ['esu', 'essential'], '9.2'),
        ('9.2', {'product': 'esu'}, ['esu'], '9.2'),
        ('9.4', {}, ['essential'], '9.4'),
        ('8.10', {}, ['essential'], '8.10'),
        ('8.8', {'pin': '8.10'}, ['essential'], '8.10'),
        ('9.2', {'product': 'essential', 'pin': '9.4'}, ['essential'], '9.4'),
        ('9.2', {'product': 'esu', 'pin': '9.2'}, ['esu'], '9.2'),
    ],
)
def test_a_host_that_can_register(tmp_path: Path, version: str, wish: Dict[str, str], products: 'list[str]', pin: str) -> None:
    found = check(tmp_path, version, **wish)
    assert [product.id for product in found.products] == products
    assert str(found.pin) == pin


@pytest.mark.parametrize(
    'version, architecture, wish, kind, words',
    [
        ('9.4', 'x86_64', {'product': 'esu'}, HostError, 'Release 9.4 of AlmaLinux is not available for Extended'),
        ('9.6', 'x86_64', {}, HostError, '9.6'),
        ('10.0', 'x86_64', {}, HostError, '10.0'),
        ('9.2', 's390x', {}, HostError, 's390x'),
        ('9.2', 'x86_64', {'product': 'gold'}, UsageError, 'gold'),
        ('9.2', 'x86_64', {'product': 'esu', 'pin': '9.4'}, UsageError, '9.4'),
        ('9.2', 'x86_64', {'pin': '9.6'}, UsageError, '9.6'),
        ('9.2', 'x86_64', {'pin': '9'}, UsageError, '9'),
        ('9.4', 'x86_64', {'pin': '9.2'}, UsageError, '9.2'),
        ('9.2', 'x86_64', {'pin': ''}, UsageError, 'pin'),
    ],
)
def test_a_host_or_a_wish_that_cannot(
    tmp_path: Path, version: str, architecture: str, wish: Dict[str, str], kind: type, words: str
) -> None:
    with pytest.raises(kind) as caught:
        check(tmp_path, version, architecture, **wish)
    assert words in str(caught.value) and caught.value.remedy and '\n' not in str(caught.value)


@pytest.mark.parametrize(
    'text, words',
    [
        (osfiles.os_release('9.6', 'rocky'), 'Rocky Linux'),
        ('ID=fedora\nNAME="Fedora Linux"\nVERSION_ID=40\n', 'Fedora Linux'),
        ('', 'unknown system'),
        ('ID=almalinux\nVERSION_ID="9"\n', 'Release 9'),
        ('ID="almalinux\nVERSION_ID=9.2\n', 'unknown'),
    ],
    ids=['rocky', 'fedora', 'empty', 'no-minor', 'broken-quote'],
)
def test_another_operating_system(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(HostError) as caught:
        check(tmp_path, os_release=text)
    assert words in str(caught.value)
    assert 'AlmaLinux' in caught.value.remedy and '9.2' in caught.value.remedy


@pytest.mark.parametrize(
    'files, kind, words',
    [
        ({REPOS + 'x.repo': 'rubbish\n'}, RepositoryFileError, 'x.repo:1'),
        ({REPOS + 'x.repo': '[a]\nname=\0\n'}, RepositoryFileError, 'NUL'),
        ({REPOS + 'x.repo': '[a]\n[a]\n'}, RepositoryFileError, 'twice'),
        ({REPOS + 'x.repo': '[a]\n' + '#\n' * (1 << 19)}, RepositoryFileError, 'larger than 1 MiB'),
        ({REPOS + 'x.repo': '->gone'}, RepositoryFileError, 'dangles'),
        ({REPOS + 'x.repo': '->/srv/x', '/srv/x': '[a]\n'}, RepositoryFileError, 'out of /etc'),
        ({REPOS + 'x.repo/a': ''}, RepositoryFileError, 'folder'),
        ({REPOS + 'x.repo': '[a]\nbaseurl=https://repo.almalinux.org/latest/debug/\n'}, ConfigurationError, 'x.repo:2'),
    ],
    ids=['junk', 'nul', 'twice', 'large', 'dangling', 'leading-out', 'folder', 'unpinnable'],
)
def test_a_repository_file_that_cannot_be_changed(tmp_path: Path, files: Dict[str, str], kind: type, words: str) -> None:
    facts = gather(almalinux(tmp_path, files=files))
    with pytest.raises(kind) as caught:
        planner.check_repositories(facts, catalogue(), catalogue().families['almalinux'])
    assert words in str(caught.value)


def test_a_folder_without_an_operating_systems_files(tmp_path: Path) -> None:
    facts = gather(
        plant(
            tmp_path,
            {REPOS + 'nginx.repo': '[n]\nbaseurl=http://nginx.org/packages/9/\n', '/etc/os-release': osfiles.os_release('9.2')},
        )
    )
    with pytest.raises(HostError) as caught:
        planner.check_repositories(facts, catalogue(), catalogue().families['almalinux'])
    assert str(tmp_path) + '/etc/yum.repos.d' in str(caught.value)


def enquiry(root: Root, hinted: Optional[str] = None, wish: Wish = NO_WISH) -> Enquiry:
    facts = gather(root)
    supported = planner.check_host(facts, catalogue(), wish)
    trees = planner.check_repositories(facts, catalogue(), supported.family)
    return planner.enquiry(facts, catalogue(), settings(), supported, trees, wish, hinted)


def test_what_is_asked_of_the_service(tmp_path: Path) -> None:
    found = enquiry(almalinux(tmp_path), 'esu')
    assert found.trees == ('AppStream', 'BaseOS', 'extras')
    assert (found.host_name, found.hinted, str(found.release)) == ('web1.example.com', 'esu', '9.2')


def test_an_esu_key_where_there_is_no_esu_is_refused_before_the_service_is_asked(tmp_path: Path) -> None:
    with pytest.raises(EntitlementError):
        enquiry(almalinux(tmp_path, '9.4'), 'esu')


def test_esu_never_passes_its_release(tmp_path: Path) -> None:
    """DESIGN 4, rule 2: whichever way the product is found out, an ESU host is not pinned on 9.4."""
    root = almalinux(tmp_path)
    with pytest.raises(TuxcareError):
        enquiry(root, 'esu', Wish(pin='9.4'))
    with pytest.raises(TuxcareError):
        registration_changes(root, Wish(pin='9.4'), product='esu')


# --- what registering writes ----------------------------------------------------------------------------------------


def written(changes: 'list[Change]') -> Dict[str, Image]:
    return {change.path: change.after for change in changes if change.after is not None}


def test_the_files_of_a_registration(tmp_path: Path) -> None:
    found = written(registration_changes(almalinux(tmp_path)))
    assert (found[host.TOKEN].data, found[host.TOKEN].mode) == ((TOKEN + '\n').encode('ascii'), 0o600)
    assert found[host.RELEASEVER].data == b'9.2\n'
    assert found[host.MARKER].data == b'TuxCare Enterprise Support for AlmaLinux release 9.2\n'
    assert found[host.SIGNING_KEY].data == b'the key\n'
    assert (found[host.BEFORE].mode, found[host.REGISTRATION].mode) == (0o600, 0o644)
    assert {path for path in found if path.startswith(REPOS)} == {
        REPOS + name for name in list(osfiles.repo_files('9.2')) + ['tuxcare.repo']
    }


def test_the_secret_is_in_one_file_and_that_one_is_marked(tmp_path: Path) -> None:
    changes = registration_changes(almalinux(tmp_path))
    assert [change.path for change in changes if change.after and TOKEN.encode('ascii') in change.after.data] == [host.TOKEN]
    assert host.TOKEN in [change.path for change in changes if change.secret]


def test_the_vendors_repositories(tmp_path: Path) -> None:
    text = planner.tuxcare_repo(catalogue(), settings(), outcome().repositories).decode('utf-8')
    assert '[tuxcare-base]\nname=TuxCare Enterprise Support for AlmaLinux $tuxcare_releasever - Base\n' in text
    assert 'baseurl=https://repo.tuxcare.com/tuxcare/$tuxcare_releasever/$tuxcare_token/esu/$basearch/\nenabled=1\n' in text
    assert '[tuxcare-fips]\nname=TuxCare FIPS\n' in text and text.count('enabled=0') == 1 and text.count('gpgcheck=1') == 3
    alone = planner.tuxcare_repo(catalogue(), settings(), outcome('essential').repositories).decode('utf-8')
    assert [line for line in alone.split('\n') if line.startswith('[')] == [
        '[{}]'.format(entry.id) for entry in catalogue().repositories if 'essential' in entry.products
    ]
    assert '/esu/' not in alone and '/fips/' not in alone


def test_a_name_outside_ascii_is_no_hindrance() -> None:
    data = planner.tuxcare_repo(catalogue(), settings(ca_file='/etc/pki/Pr\u00fcf.pem'), outcome().repositories)
    assert data.count('sslcacert=/etc/pki/Pr\u00fcf.pem'.encode('utf-8')) == 3


def test_planning_touches_nothing_and_is_the_same_each_time(tmp_path: Path) -> None:
    root = almalinux(tmp_path)
    assert registration_changes(root) == registration_changes(root)
    assert root.kind(host.STATE_FOLDER) == ''


# --- the way back ---------------------------------------------------------------------------------------------------


def back(root: Root) -> Tuple[Dict[str, Optional[Image]], 'list[str]']:
    changes, notes = restoration.unregistration_changes(gather(root))
    return {change.path: change.after for change in changes}, notes


def original(name: str) -> bytes:
    return osfiles.repo_files('9.2')[name[len(REPOS) :]].encode('utf-8')


def test_untouched_files_come_back_and_ours_go(tmp_path: Path) -> None:
    root = almalinux(tmp_path)
    before = gather(root)
    journal.apply(root, 'register', registration_changes(root))
    found, notes = back(root)
    assert notes == []
    for file in before.repository_files:
        assert found[file.path] == file.image
    assert {path for path, image in found.items() if image is None} == {
        host.TOKEN,
        host.RELEASEVER,
        host.MARKER,
        host.TUXCARE_REPO,
        host.SIGNING_KEY,
        host.BEFORE,
        host.REGISTRATION,
    }


EXCLUDE = ('enabled=1\n', 'enabled=1\nexclude=kernel*\n')


def test_an_administrators_lines_stay_and_ours_go(tmp_path: Path) -> None:
    root = registered(tmp_path)
    edited(tmp_path, BASEOS, *EXCLUDE)
    image = back(root)[0][BASEOS]
    assert image is not None and image.data == original(BASEOS).replace(b'enabled=1\n', b'enabled=1\nexclude=kernel*\n')


def test_an_administrators_mode_stays(tmp_path: Path) -> None:
    root = registered(tmp_path)
    (tmp_path / BASEOS.lstrip('/')).chmod(0o600)
    image = back(root)[0][BASEOS]
    assert image is not None and (image.data, image.mode) == (original(BASEOS), 0o600)


def test_a_file_that_was_removed_stays_removed(tmp_path: Path) -> None:
    root = registered(tmp_path)
    root.remove(BASEOS)
    assert BASEOS not in back(root)[0]


LINE = 'baseurl=https://repo.tuxcare.com/almalinux/$tuxcare_releasever/$tuxcare_token/BaseOS/$basearch/os/\n'
TAKEN_OUT = '#tuxcare- mirrorlist=https://mirrors.almalinux.org/mirrorlist/$releasever/baseos\n'


@pytest.mark.parametrize(
    'old, new',
    [(LINE, LINE.replace('BaseOS', 'Own')), ('#tuxcare+\n' + LINE, LINE), ('#tuxcare+\n' + LINE, '#tuxcare+\n'), (TAKEN_OUT, '')],
    ids=['edited', 'stamp-removed', 'line-removed', 'taken-out-line-removed'],
)
def test_a_line_of_ours_that_was_edited_is_a_conflict_and_shown(tmp_path: Path, old: str, new: str) -> None:
    """DESIGN 4, rule 5: stop, name the file, show the diff. What is left otherwise has no address, or one without a token."""
    root = registered(tmp_path)
    edited(tmp_path, BASEOS, old, new)
    with pytest.raises(ConflictError) as caught:
        back(root)
    assert BASEOS in str(caught.value) and '\n' not in str(caught.value)
    assert caught.value.diff.startswith('--- ' + BASEOS)


def test_an_edit_of_our_own_repository_file_is_kept_beside(tmp_path: Path) -> None:
    root = registered(tmp_path)
    edited(tmp_path, host.TUXCARE_REPO, 'enabled=1', 'enabled=1\ncost=5')
    found, notes = back(root)
    saved = found[host.TUXCARE_REPO + '.rpmsave']
    assert found[host.TUXCARE_REPO] is None and saved is not None and b'cost=5' in saved.data
    assert '.rpmsave' in notes[0]


def test_an_edit_of_the_marker_is_not_lost(tmp_path: Path) -> None:
    root = registered(tmp_path)
    edited(tmp_path, host.MARKER, 'release 9.2\n', 'release 9.2\nsite: north\n')
    try:
        found, _ = back(root)
    except ConflictError:
        return
    assert any(image is not None and b'site: north' in image.data for image in found.values())


def test_a_record_that_is_gone_leaves_what_can_be_told_from_the_files(tmp_path: Path) -> None:
    root = registered(tmp_path)
    root.remove(host.REGISTRATION)
    root.remove(host.BEFORE)
    facts = gather(root)
    assert facts.damage and facts.is_registered and not facts.by_vendors_tool
    found, notes = back(root)
    image = found[BASEOS]
    assert image is not None and image.data == original(BASEOS)
    assert found[host.TOKEN] is None and found[host.TUXCARE_REPO] is None and notes


# --- repos switch, repos revert -------------------------------------------------------------------------------------


def test_reverting_and_switching_the_repositories_again(tmp_path: Path) -> None:
    root = registered(tmp_path)
    there = {path: root.read(path) for path in [BASEOS, host.BEFORE]}
    facts = gather(root)
    assert facts.registration is not None
    journal.apply(root, 'revert', restoration.reverted_changes(facts, facts.registration)[0])
    record = registration.parse(root.read(host.REGISTRATION) or b'')
    assert record.reverted and root.read(BASEOS) == original(BASEOS) and root.read(host.TOKEN) is not None
    assert restoration.reverted_changes(gather(root), record) == ([], [])
    journal.apply(root, 'switch', planner.switched_again(gather(root), catalogue(), settings(), record))
    assert {path: root.read(path) for path in there} == there
    assert not registration.parse(root.read(host.REGISTRATION) or b'').reverted


def test_an_edit_is_not_taken_over_with_a_new_section(tmp_path: Path) -> None:
    root = registered(tmp_path)
    path = tmp_path / BASEOS.lstrip('/')
    community = original(BASEOS).decode('utf-8').replace('[baseos', '[more')
    path.write_text(path.read_text().replace('/BaseOS/$basearch/os/', '/BaseOS/x86_64/os/', 1) + community)
    record = registration.parse(root.read(host.REGISTRATION) or b'')
    journal.apply(root, 'switch', planner.switched_again(gather(root), catalogue(), settings(), record))
    assert path.read_text().count('/$tuxcare_token/BaseOS/') >= 2
    assert [change.path for change in restoration.drift(gather(root))] == [BASEOS]
    with pytest.raises(ConflictError):
        restoration.unregistration_changes(gather(root))
    changes, _ = restoration.ours_again(gather(root), 'ours', set())
    journal.apply(root, 'switch', changes)
    journal.apply(root, 'unregister', restoration.unregistration_changes(gather(root))[0])
    assert path.read_text() == original(BASEOS).decode('utf-8') + community


@pytest.mark.parametrize('edit', ['', '/x86_64/'])
def test_a_renamed_file_is_in_the_record_after_a_switch_unless_it_was_edited(tmp_path: Path, edit: str) -> None:
    root = registered(tmp_path)
    path = (tmp_path / BASEOS.lstrip('/')).with_name('mine.repo')
    (tmp_path / BASEOS.lstrip('/')).rename(path)
    path.write_text(path.read_text().replace('/$basearch/', edit or '/$basearch/', 1))
    record = registration.parse(root.read(host.REGISTRATION) or b'')
    journal.apply(root, 'switch', planner.switched_again(gather(root), catalogue(), settings(), record))
    journal.apply(root, 'unregister', restoration.unregistration_changes(gather(root))[0])
    assert path.read_bytes() == original(BASEOS)
    assert path.with_name('mine.repo.rpmsave').exists() == bool(edit)


def test_what_is_switched_does_not_change(tmp_path: Path) -> None:
    assert planner.switch_changes(gather(registered(tmp_path)), catalogue(), settings()) == []


# --- diffs ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'before, after, lines',
    [
        (b'a\nb\n', b'a\nc\n', ['-b', '+c']),
        (b'', b'a\n', ['+a']),
        (b'a', b'a\n', ['-a', '\\ No newline at end of file', '+a']),
        (b'a\x0cb\n', b'a\x0cc\n', ['-a\x0cb', '+a\x0cc']),
        (b'\xff\n', b'x\n', ['-?', '+x']),
    ],
    ids=['line', 'new', 'no-end', 'form-feed', 'not-utf-8'],
)
def test_a_diff_is_one_that_patch_reads(before: bytes, after: bytes, lines: 'list[str]') -> None:
    found = planner.diff('/x', before, after).split('\n')
    assert [line for line in found[3:] if line and line != ' a'] == lines


def test_same_bytes_have_no_diff() -> None:
    assert planner.diff('/x', b'a', b'a') == ''


def test_the_marker_is_the_scanners() -> None:
    family = catalogue().families['almalinux']
    assert planner.marker(family, release('9.10')) == b'TuxCare Enterprise Support for AlmaLinux release 9.10\n'
