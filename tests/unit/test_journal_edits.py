# SPDX-License-Identifier: Apache-2.0
"""Edited between a kill and the way back: nothing of that is lost, and each file is before or after all the same."""

import json
import os
from pathlib import Path
from typing import Callable, List, Tuple

import pytest

from tests.unit.samples import plant
from tests.unit.test_journal import OPEN, changes, dies, recover, top
from tuxcare_lib import journal
from tuxcare_lib.errors import FileSystemError
from tuxcare_lib.model import Change, Image
from tuxcare_lib.rootfs import Root

__all__ = ['top']


def cut_off(top: Path) -> Root:
    """Every file is changed, and nothing committed."""
    root = Root(str(top))
    planned = changes(root)
    journal.begin(root, 'v', planned)
    for change in planned:
        journal.put(root, change.path, change.after)
    return root


@pytest.mark.parametrize('path', ['/etc/yum.repos.d/a.repo', '/etc/marker', '/etc/link'])
def test_an_edit_since_is_kept_beside(top: Path, path: str) -> None:
    before = Root(str(top)).read(path)
    root = cut_off(top)
    Path(root.real(path)).write_bytes(b'mine\n')
    plant(top, {path + '.rpmsave': b'precious', path + '.rpmsave.1/folder': b''})
    said: List[str] = []
    journal.undo(root, said.append)
    assert said == ['{0} was edited since; the edited file is kept as {0}.rpmsave.2.'.format(path)]
    assert (root.read(path), root.read(path + '.rpmsave'), root.read(path + '.rpmsave.2')) == (before, b'precious', b'mine\n')


def test_what_a_link_that_took_our_place_leads_to_stays(top: Path) -> None:
    root = cut_off(top)
    made = top / 'etc/dnf/vars/t'
    made.unlink()
    plant(top, {'/etc/precious': 'mine\n', '/etc/dnf/vars/t': '->/etc/precious'})
    said: List[str] = []
    journal.undo(root, said.append)
    assert said == ['/etc/dnf/vars/t had become a symbolic link, which is removed; what it led to stays.']
    assert root.read('/etc/precious') == b'mine\n' and not root.is_link('/etc/dnf/vars/t')


def test_nothing_is_said_of_a_file_that_was_not_made_yet(top: Path) -> None:
    root = Root(str(top))
    journal.begin(root, 'v', [Change(path, None, Image(b'new\n', 0o644)) for path in ('/etc/yum.repos.d/b.repo', '/etc/b')])
    said: List[str] = []
    journal.undo(root, said.append)
    assert said == []


def test_an_edit_of_a_variable_is_dropped_and_that_is_said(top: Path) -> None:
    root = cut_off(top)
    (top / 'etc/dnf/vars/t').write_bytes(b'mine\n')
    said: List[str] = []
    journal.undo(root, said.append)
    assert said == ['/etc/dnf/vars/t was edited since; it is put right, and the edit is dropped.']
    assert root.names('/etc/dnf/vars') == ['a']


def test_an_edit_is_kept_once_however_often_the_way_back_is_cut_off(top: Path) -> None:
    root = cut_off(top)
    (top / 'etc/yum.repos.d/a.repo').write_bytes(b'mine\n')
    number = 0
    while dies(number + 1, lambda: recover(root)):
        number += 1
    assert number > 20 and root.names('/etc/yum.repos.d') == ['a.repo', 'a.repo.rpmsave']


@pytest.mark.parametrize('edit', [lambda path: path.write_bytes(b'mine\n'), lambda path: path.chmod(0o600), Path.unlink],
                         ids=['bytes', 'mode', 'removed'])
def test_what_was_edited_since_it_was_read_stops_it(top: Path, edit: Callable[[Path], object]) -> None:
    """The service, or a person, may have been asked in between."""
    root = Root(str(top))
    planned = changes(root)
    edit(top / 'etc/yum.repos.d/a.repo')
    now = root.image('/etc/yum.repos.d/a.repo')
    with pytest.raises(FileSystemError, match='a.repo was changed while this command was running'):
        journal.apply(root, 'v', planned)
    assert root.image('/etc/yum.repos.d/a.repo') == now and not journal.is_open(root)


def set_attribute(path: Path) -> Tuple[Tuple[str, bytes], ...]:
    """What was set: nothing on a file system that cannot."""
    try:
        os.setxattr(str(path), 'user.mine', b'x')
    except OSError:
        return ()
    return (('user.mine', b'x'),)


@pytest.mark.parametrize('applied', [True, False], ids=['changed', 'not-yet'])
@pytest.mark.parametrize('kept', [True, False], ids=['journal', 'older-journal'])
def test_mode_and_attributes_set_since_stay(top: Path, applied: bool, kept: bool) -> None:
    """An older journal has no metadata of what a file becomes, and is read all the same."""
    path = '/etc/yum.repos.d/a.repo'
    root = Root(str(top))
    before = root.image(path)
    assert before is not None
    if applied:
        cut_off(top)
    else:
        journal.begin(root, 'v', changes(root))
    if not kept:
        place = Path(root.real(OPEN)) / 'operation.json'
        document = json.loads(place.read_text())
        document['files'] = [{key: entry[key] for key in entry if key != 'metadata'} for entry in document['files']]
        place.write_text(json.dumps(document))
    (top / path[1:]).chmod(0o600)
    attribute = set_attribute(top / path[1:])
    assert bool([change for change in journal.pending(root) if change.path == path]) == (applied or not kept)
    journal.undo(root)
    assert root.image(path) == (before._replace(mode=0o600, xattrs=before.xattrs + attribute) if kept else before)
