# SPDX-License-Identifier: Apache-2.0
"""No edit of an administrator is lost: what the way back leaves, what it keeps beside and what it says of that."""

import os
from pathlib import Path
from typing import Callable, List, Tuple

import pytest

from tests.unit.samples import (
    BASEOS, REPOS, almalinux, catalogue, edited, gather, plant, registered, registration_changes, release, settings)
from tuxcare_lib import host, journal, planner, restoration
from tuxcare_lib.errors import ConflictError
from tuxcare_lib.model import Change
from tuxcare_lib.rootfs import Root

OWN = [host.TUXCARE_REPO, host.MARKER, host.SIGNING_KEY]
OWN_BEFORE = '[own]\nname=Own\nenabled=0\n'
ADDRESS = 'https://repo.tuxcare.com/almalinux/$tuxcare_releasever/$tuxcare_token/BaseOS/$basearch/os/\n'
MIRROR = 'https://mirror.example.com/9.2/BaseOS/\n'
OTHER = REPOS + 'other.repo'


def done(root: Root, planned: Tuple[List[Change], List[str]]) -> str:
    """What was said."""
    journal.apply(root, 'a verb', planned[0])
    return '\n'.join(planned[1])


def unregister(root: Root, side: str = '') -> str:
    return done(root, restoration.unregistration_changes(gather(root), side))


def revert(root: Root, side: str = '') -> str:
    facts = gather(root)
    assert facts.registration is not None
    return done(root, restoration.reverted_changes(facts, facts.registration, side))


def append(folder: Path, path: str, text: str = '# mine\n') -> bytes:
    place = folder / path.lstrip('/')
    place.write_bytes(place.read_bytes() + text.encode('utf-8'))
    return place.read_bytes()


def rename(folder: Path, old: str, new: str = OTHER) -> None:
    (folder / old.lstrip('/')).rename(folder / new.lstrip('/'))


# --- files that are ours alone ----------------------------------------------------------------------------------------


@pytest.mark.parametrize('there', [True, False], ids=['there-before', 'not-there'])
@pytest.mark.parametrize('path', OWN)
def test_an_edited_file_of_ours_gives_way_and_is_kept_beside(tmp_path: Path, path: str, there: bool) -> None:
    root = registered(tmp_path, {path: OWN_BEFORE} if there else None)
    mine = append(tmp_path, path)
    assert '{0} had been edited; the edited file is kept as {0}.rpmsave.'.format(path) in unregister(root)
    assert root.read(path) == (OWN_BEFORE.encode('ascii') if there else None)
    assert root.read(path + '.rpmsave') == mine


@pytest.mark.parametrize('there', [True, False], ids=['there-before', 'not-there'])
@pytest.mark.parametrize('path', OWN + [host.RELEASEVER])
def test_one_that_nobody_edited_is_not_kept(tmp_path: Path, path: str, there: bool) -> None:
    root = registered(tmp_path, {path: OWN_BEFORE} if there else None)
    assert unregister(root) == ''
    assert root.read(path) == (OWN_BEFORE.encode('ascii') if there else None) and root.kind(path + '.rpmsave') == ''


@pytest.mark.parametrize('path', OWN + [host.RELEASEVER])
def test_what_had_stood_in_our_place_comes_back_where_ours_was_removed(tmp_path: Path, path: str) -> None:
    root = registered(tmp_path, {path: OWN_BEFORE})
    root.remove(path)
    assert unregister(root) == '' and root.read(path) == OWN_BEFORE.encode('ascii')


def test_each_file_in_the_folder_of_variables_is_a_variable(tmp_path: Path) -> None:
    root = registered(tmp_path, {host.RELEASEVER: '9\n'})
    names = root.names(host.VARIABLES)
    append(tmp_path, host.RELEASEVER)
    unregister(root)
    assert root.read(host.RELEASEVER) == b'9\n' and set(root.names(host.VARIABLES)) < set(names)


def test_a_mode_set_on_a_file_that_stood_in_our_place_stays(tmp_path: Path) -> None:
    root = registered(tmp_path, {host.MARKER: 'own\n'})
    (tmp_path / host.MARKER.lstrip('/')).chmod(0o640)
    unregister(root)
    image = root.image(host.MARKER)
    assert image is not None and (image.data, image.mode) == (b'own\n', 0o640)


@pytest.mark.parametrize('path', OWN + [host.RELEASEVER])
def test_what_was_the_same_before_registering_stays(tmp_path: Path, path: str) -> None:
    ours = {change.path: change.after for change in registration_changes(almalinux(tmp_path / 'other'))}[path]
    assert ours is not None
    root = registered(tmp_path / 'host', {path: ours.data.decode('utf-8')})
    before = root.image(path)
    unregister(root)
    assert before is not None and root.image(path) == before


def test_a_name_that_is_taken_is_left_alone(tmp_path: Path) -> None:
    root = registered(tmp_path)
    mine = append(tmp_path, host.MARKER)
    place = tmp_path / 'etc'
    (place / 'tuxcare-release.rpmsave').mkdir()
    (place / 'tuxcare-release.rpmsave.1').write_bytes(b'precious\n')
    (place / 'tuxcare-release.rpmsave.2').symlink_to('nowhere')
    assert host.MARKER + '.rpmsave.3.' in unregister(root)
    assert root.read(host.MARKER + '.rpmsave.3') == mine
    assert root.names(host.MARKER + '.rpmsave') == [] and root.read(host.MARKER + '.rpmsave.1') == b'precious\n'
    assert os.readlink(str(place / 'tuxcare-release.rpmsave.2')) == 'nowhere' and not (place / 'nowhere').exists()


@pytest.mark.parametrize('path', OWN + [host.RELEASEVER, host.TOKEN, host.BEFORE])
def test_what_a_link_in_our_place_leads_to_stays(tmp_path: Path, path: str) -> None:
    root = registered(tmp_path)
    root.remove(path)
    plant(tmp_path, {'/etc/precious': OWN_BEFORE, path: '->/etc/precious'})
    said = unregister(root)
    assert restoration._LINK_ALONE.format(path, '/etc/precious') in said
    assert root.read('/etc/precious') == OWN_BEFORE.encode('ascii') and root.kind(path + '.rpmsave') == ''


@pytest.mark.parametrize('path', OWN + [host.RELEASEVER, host.TOKEN, host.BEFORE, host.REGISTRATION])
def test_what_we_wrote_goes_from_behind_a_link(tmp_path: Path, path: str) -> None:
    root = registered(tmp_path)
    (tmp_path / path.lstrip('/')).rename(tmp_path / 'etc/ours')
    plant(tmp_path, {path: '->/etc/ours'})
    assert unregister(root) == restoration._LINK_WITH_TARGET.format(path, '/etc/ours')
    assert root.kind('/etc/ours') == ''


# --- renamed, copied --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('is_edited', [True, False], ids=['edited', 'as-left'])
@pytest.mark.parametrize('is_copy', [True, False], ids=['copied', 'renamed'])
def test_our_own_repository_file_under_another_name_goes(tmp_path: Path, is_copy: bool, is_edited: bool) -> None:
    root = registered(tmp_path)
    ours = root.read(host.TUXCARE_REPO) or b''
    rename(tmp_path, host.TUXCARE_REPO)
    if is_copy:
        (tmp_path / host.TUXCARE_REPO.lstrip('/')).write_bytes(ours)
    mine = append(tmp_path, OTHER) if is_edited else None
    said = unregister(root)
    assert OTHER in said and root.read(OTHER) is None and root.read(OTHER + '.rpmsave') == mine
    assert (OTHER + '.rpmsave' in said) == is_edited
    assert not gather(root).is_registered


@pytest.mark.parametrize('way', [unregister, revert])
def test_our_lines_go_from_a_renamed_file(tmp_path: Path, way: Callable[..., str]) -> None:
    root = registered(tmp_path)
    original = almalinux(tmp_path / 'never-registered').read(BASEOS)
    rename(tmp_path, BASEOS)
    append(tmp_path, OTHER)
    said = way(root)
    assert OTHER in said and original is not None and root.read(OTHER) == original + b'# mine\n'
    assert root.kind(OTHER + '.rpmsave') == '' and root.kind(BASEOS) == ''


@pytest.mark.parametrize('way', [unregister, revert])
@pytest.mark.parametrize('old, new', [(ADDRESS, MIRROR), (ADDRESS, ADDRESS + '  ' + MIRROR)], ids=['edited', 'goes-on'])
def test_a_renamed_file_in_which_a_line_of_ours_was_edited_is_kept_beside(
    tmp_path: Path, way: Callable[..., str], old: str, new: str
) -> None:
    root = registered(tmp_path)
    edited(tmp_path, BASEOS, old, new)
    mine = root.read(BASEOS)
    rename(tmp_path, BASEOS)
    assert OTHER + '.rpmsave' in way(root)
    assert root.read(OTHER + '.rpmsave') == mine and b'#tuxcare' not in (root.read(OTHER) or b'#tuxcare')


def test_without_a_record_a_line_that_goes_on_with_ours_is_kept_beside(tmp_path: Path) -> None:
    root = registered(tmp_path)
    edited(tmp_path, BASEOS, ADDRESS, ADDRESS + '  ' + MIRROR)
    mine = root.read(BASEOS)
    root.remove(host.REGISTRATION)
    root.remove(host.BEFORE)
    unregister(root)
    assert root.read(BASEOS + '.rpmsave') == mine
    assert [name for name in root.names(REPOS) if 'rpmsave' in name] == ['almalinux-baseos.repo.rpmsave']


def _lose_all(root: Root) -> None:
    root.remove_tree(host.STATE_FOLDER)


def _lose_before_images(root: Root) -> None:
    root.remove(host.BEFORE)
    done(root, restoration.mended(gather(root), catalogue(), settings()))


def unregister_by_catalogue(root: Root) -> str:
    facts = gather(root)
    return done(root, restoration.unregistration_changes(facts, '', planner.unedited(facts, catalogue(), settings())))


LOSSES = pytest.mark.parametrize('lose', [_lose_all, _lose_before_images], ids=['all', 'before-images'])


@LOSSES
@pytest.mark.parametrize('path, old, new', [
    (BASEOS, ADDRESS, MIRROR), (host.TUXCARE_REPO, 'gpgcheck=1', 'gpgcheck=1\nexclude=kernel*'),
    (host.TUXCARE_REPO, '[', OWN_BEFORE + '[')], ids=['line', 'option', 'section'])
def test_where_the_record_was_lost_an_edit_of_ours_is_kept_beside(
    tmp_path: Path, lose: Callable[[Root], None], path: str, old: str, new: str
) -> None:
    root = registered(tmp_path)
    edited(tmp_path, path, old, new)
    mine = root.read(path)
    lose(root)
    assert '{0} had been edited; the edited file is kept as {0}.rpmsave.'.format(path) in unregister_by_catalogue(root)
    assert root.read(path + '.rpmsave') == mine and b'tuxcare' not in (root.read(path) or b'')
    assert [name for name in root.names(REPOS) if 'rpmsave' in name] == [path[len(REPOS):] + '.rpmsave']


@LOSSES
@pytest.mark.parametrize('trees', [('AppStream', 'BaseOS', 'extras'), ('BaseOS',), ()], ids=['all', 'one', 'none'])
def test_where_the_record_was_lost_what_nobody_edited_is_not_kept(
    tmp_path: Path, lose: Callable[[Root], None], trees: Tuple[str, ...]
) -> None:
    root = almalinux(tmp_path)
    before = {name: root.read(REPOS + name) for name in root.names(REPOS)}
    journal.apply(root, 'register', registration_changes(root, trees=trees))
    append(tmp_path, BASEOS)
    lose(root)
    unregister_by_catalogue(root)
    before[BASEOS[len(REPOS):]] = (before[BASEOS[len(REPOS):]] or b'') + b'# mine\n'
    assert {name: root.read(REPOS + name) for name in root.names(REPOS)} == before


# --- decided ----------------------------------------------------------------------------------------------------------


def switch(root: Root, side: str) -> str:
    return done(root, restoration.ours_again(gather(root), side, set()))


@pytest.mark.parametrize('way', [unregister, revert, switch])
def test_ours_keeps_the_whole_edited_file_beside(tmp_path: Path, way: Callable[..., str]) -> None:
    root = registered(tmp_path)
    edited(tmp_path, BASEOS, ADDRESS, MIRROR)
    edited(tmp_path, BASEOS, 'enabled=1\n', 'enabled=0\nexclude=kernel*\n')
    mine = root.read(BASEOS)
    with pytest.raises(ConflictError):
        way(root, '')
    assert BASEOS + '.rpmsave.' in way(root, 'ours')
    assert root.read(BASEOS + '.rpmsave') == mine and b'exclude' not in (root.read(BASEOS) or b'exclude')


@pytest.mark.parametrize('new, is_live', [
    (ADDRESS.replace('BaseOS', 'Own'), True), (MIRROR.replace('9.2', '$tuxcare_releasever'), True),
    (ADDRESS.replace('$tuxcare_releasever', '9.2').replace('$tuxcare_token', 'TOKEN'), True), (MIRROR, False),
], ids=['path', 'variable', 'without-variables', 'own-mirror'])
def test_theirs_says_where_the_vendors_address_stays(tmp_path: Path, new: str, is_live: bool) -> None:
    root = registered(tmp_path)
    edited(tmp_path, BASEOS, ADDRESS, new)
    said = unregister(root, 'theirs')
    assert ('{}: [baseos] still has an address'.format(BASEOS) in said) == is_live and said.count('\n') == 0
    assert new.encode('ascii') in (root.read(BASEOS) or b'')


# --- moved, recovered -------------------------------------------------------------------------------------------------


def move(root: Root) -> str:
    facts = gather(root)
    assert facts.registration is not None
    return done(root, planner.release_changes(facts, catalogue(), facts.registration, release('9.4')))


def test_a_move_keeps_an_edited_marker_beside(tmp_path: Path) -> None:
    root = registered(tmp_path)
    assert move(root) == '' and root.read(host.MARKER + '.rpmsave') is None
    mine = append(tmp_path, host.MARKER)
    facts = gather(root)
    assert facts.registration is not None
    assert host.MARKER + '.rpmsave' in done(
        root, planner.release_changes(facts, catalogue(), facts.registration, release('9.2')))
    assert root.read(host.MARKER) == b'TuxCare Enterprise Support for AlmaLinux release 9.2\n'
    assert root.read(host.MARKER + '.rpmsave') == mine


def test_a_move_leaves_mode_and_owner(tmp_path: Path) -> None:
    root = registered(tmp_path)
    for path in (host.RELEASEVER, host.MARKER):
        (tmp_path / path.lstrip('/')).chmod(0o640)
    move(root)
    images = [root.image(path) for path in (host.RELEASEVER, host.MARKER)]
    assert [image and (image.data[-4:], image.mode) for image in images] == 2 * [(b'9.4\n', 0o640)]


def test_recover_keeps_an_edited_marker_beside(tmp_path: Path) -> None:
    root = registered(tmp_path)
    (tmp_path / host.MARKER.lstrip('/')).write_bytes(b'north\n')
    append(tmp_path, host.RELEASEVER)
    said = done(root, restoration.mended(gather(root), catalogue(), settings()))
    assert host.MARKER + '.rpmsave' in said and root.read(host.MARKER + '.rpmsave') == b'north\n'
    assert host.RELEASEVER + ' was edited since; it is put right, and the edit is dropped.' in said
    assert root.read(host.MARKER) == b'TuxCare Enterprise Support for AlmaLinux release 9.2\n'
