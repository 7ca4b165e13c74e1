# SPDX-License-Identifier: Apache-2.0
"""Nobody's edit is lost on the way back: what does not come back by itself is kept beside, under a name that was free."""

import os
from pathlib import Path
from typing import Callable, List

import pytest

from tests.unit.samples import (
    BASEOS, REPOS, almalinux, catalogue, gather, outcome, registered, registration_changes, release)
from tuxcare_lib import host, journal, planner, restoration
from tuxcare_lib.model import Change, Image
from tuxcare_lib.rootfs import Root

OWN = [host.MARKER, host.TUXCARE_REPO, host.SIGNING_KEY]


def back(root: Root, side: str = '') -> List[str]:
    """Unregisters the files; the notes."""
    changes, notes = restoration.unregistration_changes(gather(root), side)
    journal.apply(root, 'test', changes)
    return notes


def write(root: Root, path: str, data: bytes) -> None:
    Path(root.real(path)).write_bytes(data)


@pytest.mark.parametrize('before', [b'what was there before\n', None], ids=['there before', 'not there before'])
@pytest.mark.parametrize('path', OWN)
def test_a_file_of_ours_that_was_edited(tmp_path: Path, path: str, before: bytes) -> None:
    root = almalinux(tmp_path, files={path: before.decode()} if before else None)
    journal.apply(root, 'test', registration_changes(root))
    edit = (root.read(path) or b'') + b'# mine\n'
    write(root, path, edit)
    notes = back(root)
    assert root.read(path) == before and root.read(path + '.rpmsave') == edit
    assert any(path + '.rpmsave' in note for note in notes)


@pytest.mark.parametrize('make', [
    lambda place: place.write_text('older\n'), lambda place: place.mkdir(), lambda place: place.symlink_to('/nowhere')],
    ids=['file', 'folder', 'link'])
def test_a_saved_name_that_is_taken(tmp_path: Path, make: Callable[[Path], object]) -> None:
    root = registered(tmp_path)
    place = tmp_path / (host.TUXCARE_REPO.lstrip('/') + '.rpmsave')
    make(place)
    was = os.lstat(str(place))
    write(root, host.TUXCARE_REPO, b'mine\n')
    notes = back(root)
    assert root.read(host.TUXCARE_REPO + '.rpmsave.1') == b'mine\n' and any('.rpmsave.1' in note for note in notes)
    assert os.lstat(str(place)) == was


@pytest.mark.parametrize('edit', [b'', b'# mine\n'], ids=['as it was', 'edited'])
def test_a_copy_of_our_repositories(tmp_path: Path, edit: bytes) -> None:
    root = registered(tmp_path)
    copy = REPOS + 'vendor.repo'
    write(root, copy, (root.read(host.TUXCARE_REPO) or b'') + edit)
    saved = root.read(copy)
    back(root)
    assert root.read(copy) is None and root.read(copy + '.rpmsave') == (saved if edit else None)


def test_a_renamed_file_is_reverted(tmp_path: Path) -> None:
    root = registered(tmp_path)
    renamed = REPOS + 'renamed.repo'
    write(root, renamed, root.read(BASEOS) or b'')
    root.remove(BASEOS)
    facts = gather(root)
    assert facts.registration is not None
    journal.apply(root, 'test', restoration.reverted_changes(facts, facts.registration))
    assert b'$tuxcare_' not in (root.read(renamed) or b'') and b'mirrorlist=' in (root.read(renamed) or b'')


@pytest.mark.parametrize('path, data', [
    (host.RELEASEVER, '9.2\n'), (host.MARKER, 'TuxCare Enterprise Support for AlmaLinux release 9.2\n'),
    (host.SIGNING_KEY, outcome().signing_key.decode())])
def test_what_had_our_bytes_before_stays(tmp_path: Path, path: str, data: str) -> None:
    root = almalinux(tmp_path, files={path: data})
    before = root.image(path)
    journal.apply(root, 'test', registration_changes(root))
    back(root)
    assert root.image(path) == before


def test_our_side_of_a_conflict_keeps_what_it_drops(tmp_path: Path) -> None:
    root = registered(tmp_path)
    edit = (root.read(BASEOS) or b'').replace(b'/BaseOS/$basearch', b'/BaseOS/x86_64') + b'exclude=mine\n'
    write(root, BASEOS, edit)
    back(root, 'ours')
    assert root.read(BASEOS + '.rpmsave') == edit


def test_a_move_keeps_an_edited_marker_and_the_modes(tmp_path: Path) -> None:
    root = registered(tmp_path)
    write(root, host.MARKER, b'mine\n')
    os.chmod(root.real(host.MARKER), 0o640)
    os.chmod(root.real(host.RELEASEVER), 0o640)
    facts = gather(root)
    assert facts.registration is not None
    record = facts.registration._replace(product='essential')
    journal.apply(root, 'test', planner.release_changes(facts, catalogue(), record, release('9.4')))
    assert root.read(host.MARKER + '.rpmsave') == b'mine\n' and b'9.4' in (root.read(host.MARKER) or b'')
    modes = [image.mode for image in (root.image(host.MARKER), root.image(host.RELEASEVER)) if image]
    assert modes == [0o640, 0o640]


# --- between a kill and recover -------------------------------------------------------------------------------------


def cut_off(root: Root, *changes: Change) -> None:
    """An operation that was killed before its end."""
    journal.begin(root, 'test', changes)
    for change in changes:
        journal.put(root, change.path, change.after)


@pytest.mark.parametrize('path, kept', [(host.MARKER, True), (host.SIGNING_KEY, True), (BASEOS, True), (host.RELEASEVER, False)])
def test_an_edit_between_a_kill_and_recover(tmp_path: Path, path: str, kept: bool) -> None:
    root = registered(tmp_path)
    before = root.image(path)
    assert before is not None
    cut_off(root, Change(path, before, before._replace(data=b'ours\n', mtime_ns=None)))
    write(root, path, b'mine\n')
    told: List[str] = []
    journal.undo(root, told.append)
    assert root.read(path) == before.data and root.read(path + '.rpmsave') == (b'mine\n' if kept else None)
    assert len(told) == 1 and path in told[0]


def test_a_mode_between_a_kill_and_recover(tmp_path: Path) -> None:
    root = registered(tmp_path)
    before = root.image(BASEOS)
    assert before is not None
    cut_off(root, Change(BASEOS, before, before._replace(data=b'ours\n', mtime_ns=None)))
    os.chmod(root.real(BASEOS), 0o600)
    journal.undo(root)
    image = root.image(BASEOS)
    assert image is not None and (image.data, image.mode) == (before.data, 0o600)


def test_a_mode_that_was_ours_goes_back(tmp_path: Path) -> None:
    root = registered(tmp_path)
    before = root.image(BASEOS)
    assert before is not None
    cut_off(root, Change(BASEOS, before, Image(b'ours\n', 0o600)))
    journal.undo(root)
    assert root.image(BASEOS) == before
