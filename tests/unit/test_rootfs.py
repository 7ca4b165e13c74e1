# SPDX-License-Identifier: Apache-2.0
"""The one module that writes: beneath its root, whole, with all that belongs to a file, and nothing left beside."""

import errno
import hashlib
import os
import stat
import struct
from pathlib import Path
from typing import Any, List, Optional

import pytest

from tests.unit.samples import plant, snapshot
from tuxcare_lib.errors import FileSystemError
from tuxcare_lib.host import REPOSITORY_FOLDERS
from tuxcare_lib.model import Image
from tuxcare_lib.rootfs import Root

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason='needs root')
IMAGE = Image(b'new\n', 0o600, os.geteuid(), os.getegid())


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A root folder, with a file of the machine beside it that nothing may reach."""
    (tmp_path / 'outside').write_bytes(b'outside\n')
    folder = tmp_path / 'root'
    folder.mkdir()
    return folder


def write_failing(root: Root, path: str) -> str:
    with pytest.raises(FileSystemError) as caught:
        root.write(path, IMAGE)
    assert '\n' not in str(caught.value) and path in str(caught.value)
    return str(caught.value)


# --- links and escapes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    'target',
    ['->/etc/real', '->real', '->../etc/real', '->./real', '->../../../../../../etc/real', '->/../../etc/real', '->link2'],
    ids=lambda target: target[2:],
)
def test_links_are_followed_inside_the_root(top: Path, target: str) -> None:
    root = plant(top, {'/etc/real': 'old\n', '/etc/link2': '->/etc/real', '/etc/link': target})
    assert root.resolve('/etc/link') == '/etc/real'
    assert root.read('/etc/link') == b'old\n'
    root.write('/etc/link', IMAGE)
    assert (top / 'etc' / 'link').is_symlink()
    assert (top / 'etc' / 'real').read_bytes() == b'new\n'
    assert root.is_link('/etc/link') and not root.is_link('/etc/real')


@pytest.mark.parametrize('path', ['/etc/link', '/etc/../../outside', '/../outside', '/etc/up/outside', '/etc/absolute'])
def test_nothing_outside_is_read_or_written(top: Path, path: str) -> None:
    root = plant(top, {'/etc/link': '->../../outside', '/etc/up': '->../..', '/etc/absolute': '->{}/outside'.format(top.parent)})
    assert root.read(path) is None
    root.write(path, IMAGE)
    root.remove(path)
    assert (top.parent / 'outside').read_bytes() == b'outside\n'
    assert sorted(os.listdir(str(top.parent))) == ['outside', 'root']


def test_a_folder_that_is_a_link_leads_to_its_place_inside(top: Path) -> None:
    root = plant(top, {'/srv/vars/a': 'old', '/etc/dnf/vars': '->/srv/vars'})
    root.write('/etc/dnf/vars/b', IMAGE)
    assert root.names('/etc/dnf/vars') == ['a', 'b']
    assert (top / 'srv' / 'vars' / 'b').read_bytes() == b'new\n'


def test_a_circle_of_links_is_an_error(top: Path) -> None:
    root = plant(top, {'/etc/a': '->b', '/etc/b': '->a'})
    with pytest.raises(FileSystemError) as caught:
        root.read('/etc/a')
    assert 'too many symbolic links' in str(caught.value)
    write_failing(root, '/etc/a')


def test_a_dangling_link_gets_its_target_and_loses_it_again(top: Path) -> None:
    root = plant(top, {'/etc/link': '->/etc/gone'})
    before = snapshot(top)
    assert root.image('/etc/link') is None and root.kind('/etc/link') == ''
    root.write('/etc/link', IMAGE)
    assert root.read('/etc/gone') == b'new\n'
    root.remove('/etc/link')
    assert snapshot(top) == before


@pytest.mark.parametrize(
    'path, kind', [('/f', 'file'), ('/d', 'folder'), ('/p', 'other'), ('/l', 'file'), ('/x', ''), ('/f/x', '')]
)
def test_what_is_there(top: Path, path: str, kind: str) -> None:
    root = plant(top, {'/f': 'x', '/d/x': 'x', '/l': '->f'})
    os.mkfifo(str(top / 'p'))
    assert root.kind(path) == kind


# --- all that belongs to a file -------------------------------------------------------------------------------------


@pytest.mark.parametrize('mode', [0o600, 0o644, 0o400, 0o640, 0o444, 0o755, 0o4755, 0o000], ids=oct)
def test_the_mode_is_the_images_whatever_the_umask(top: Path, mode: int) -> None:
    old = os.umask(0o077)
    try:
        Root(str(top)).write('/etc/x', IMAGE._replace(mode=mode))
    finally:
        os.umask(old)
    assert stat.S_IMODE((top / 'etc' / 'x').stat().st_mode) == mode
    assert stat.S_IMODE((top / 'etc').stat().st_mode) == 0o755


def test_an_image_comes_back_with_time_and_attributes(top: Path) -> None:
    root = plant(top, {'/etc/x': b'\x00\xff\r\n'})
    place = str(top / 'etc' / 'x')
    try:
        os.setxattr(place, 'user.note', b'\x00\x01')
        os.setxattr(place, 'user.more', b'')
    except OSError:
        pytest.skip('this file system has no extended attributes')
    os.utime(place, ns=(1, 1234567890123456789))
    before = snapshot(top)
    image = root.image('/etc/x')
    assert image is not None and image.mtime_ns == 1234567890123456789
    assert dict(image.xattrs) == {'user.note': b'\x00\x01', 'user.more': b''}
    root.write('/etc/x', IMAGE)
    assert snapshot(top) != before
    root.write('/etc/x', image)
    assert snapshot(top) == before


def test_an_attribute_that_was_not_there_does_not_come(top: Path) -> None:
    root = plant(top, {'/etc/x': 'old'})
    image = root.image('/etc/x')
    assert image is not None
    try:
        os.setxattr(str(top / 'etc' / 'x'), 'user.note', b'1')
    except OSError:
        pytest.skip('this file system has no extended attributes')
    root.write('/etc/x', image)
    assert root.image('/etc/x') == image


def test_the_default_acl_of_a_folder_above_does_not_come_with_a_file(top: Path) -> None:
    root = plant(top, {'/etc/yum.repos.d/x.repo': 'old'})
    entries = [(1, 7, -1), (2, 5, 1234), (4, 5, -1), (16, 5, -1), (32, 5, -1)]
    try:
        os.setxattr(str(top / 'etc'), 'system.posix_acl_default', struct.pack('<I', 2) + b''.join(
            struct.pack('<HHi', *entry) for entry in entries))
    except OSError:
        pytest.skip('this file system has no access control lists')
    image = root.image('/etc/yum.repos.d/x.repo')
    assert image is not None
    root.write('/etc/yum.repos.d/x.repo', image)
    assert root.image('/etc/yum.repos.d/x.repo') == image


@needs_root
def test_the_owner_comes_back(top: Path) -> None:
    root = plant(top, {'/etc/x': 'old'})
    os.chown(str(top / 'etc' / 'x'), 12, 34)
    os.chmod(str(top / 'etc' / 'x'), 0o4750)
    image = root.image('/etc/x')
    assert image is not None and (image.uid, image.gid, image.mode) == (12, 34, 0o4750)
    root.remove('/etc/x')
    root.write('/etc/x', image)
    assert root.image('/etc/x') == image


def test_a_hard_link_elsewhere_keeps_the_old_bytes(top: Path) -> None:
    root = plant(top, {'/etc/x': 'old'})
    os.link(str(top / 'etc' / 'x'), str(top / 'copy'))
    root.write('/etc/x', IMAGE)
    assert (top / 'copy').read_bytes() == b'old'


# --- whole or not at all --------------------------------------------------------------------------------------------


def renames(monkeypatch: pytest.MonkeyPatch, fail: Optional[OSError] = None) -> List[str]:
    """The sources of every rename from now on: where temporary files lie."""
    seen: List[str] = []
    real = os.rename

    def watched(source: Any, target: Any, **options: Any) -> None:
        seen.append(str(source))
        if fail is not None:
            raise fail
        real(source, target, **options)

    monkeypatch.setattr(os, 'rename', watched)
    return seen


@pytest.mark.parametrize('path', ['/etc/dnf/vars/tuxcare_token', '/etc/yum/vars/v'] + [
    folder + '/a.repo' for folder in REPOSITORY_FOLDERS])
@pytest.mark.parametrize(
    'links', [{}, {'/etc/dnf/vars': '->/srv/vars', '/etc/yum.repos.d': '->../srv/repos'}], ids=['plain', 'linked']
)
def test_no_temporary_file_lies_where_dnf_reads(
    top: Path, monkeypatch: pytest.MonkeyPatch, path: str, links: 'dict[str, str]'
) -> None:
    """FACTS 7: every regular file in /etc/dnf/vars is a variable."""
    root = plant(top, dict({'/srv/vars/a': 'x', '/srv/repos/a': 'x', '/etc/dnf/dnf.conf': 'x'}, **links))
    seen = renames(monkeypatch)
    root.write(path, IMAGE)
    assert len(seen) == 1
    assert os.path.dirname(seen[0]) != root.real(os.path.dirname(path))
    assert root.read(path) == b'new\n'


def test_a_file_is_replaced_by_one_rename(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant(top, {'/etc/x': 'old'})
    seen = renames(monkeypatch)
    root.write('/etc/x', IMAGE)
    assert len(seen) == 1 and os.path.dirname(seen[0]) == str(top / 'etc')
    assert os.listdir(str(top / 'etc')) == ['x']


def test_a_secret_is_never_readable_by_others_on_its_way(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modes = []
    real = os.write
    monkeypatch.setattr(os, 'write', lambda fd, data: modes.append(stat.S_IMODE(os.fstat(fd).st_mode)) or real(fd, data))
    old = os.umask(0)
    try:
        Root(str(top)).write('/etc/dnf/vars/tuxcare_token', IMAGE)
    finally:
        os.umask(old)
    assert modes == [0o600]


def test_bytes_and_name_are_on_the_disk_before_it_returns(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: List[str] = []
    for name in ('fsync', 'rename'):
        real = getattr(os, name)

        def watched(*args: Any, _name: str = name, _real: Any = real) -> None:
            folder = _name == 'fsync' and stat.S_ISDIR(os.fstat(args[0]).st_mode)
            events.append('fsync-folder' if folder else _name)
            _real(*args)

        monkeypatch.setattr(os, name, watched)
    root = plant(top, {'/etc/x': 'old'})
    root.write('/etc/x', IMAGE)
    assert events == ['fsync', 'rename', 'fsync-folder']
    root.remove('/etc/x')
    assert events[3:] == ['fsync-folder']


@pytest.mark.parametrize('step', ['write', 'fsync', 'rename', 'fchmod'])
def test_a_failure_leaves_the_old_file_and_nothing_beside(top: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    root = plant(top, {'/etc/x': 'old'})
    before = snapshot(top)

    def full(*unused: Any) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(os, step, full)
    said = write_failing(root, '/etc/x')
    monkeypatch.undo()
    assert 'No space left on device' in said and 'Make room' in said
    assert snapshot(top) == before


def test_a_short_write_goes_on(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, 'write', lambda fd, data: real(fd, bytes(data[:3])))
    root = Root(str(top))
    root.write('/x', IMAGE._replace(data=b'0123456789'))
    assert root.read('/x') == b'0123456789'


def test_what_a_killed_writer_left_is_no_hindrance(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant(top, {'/etc/dnf/vars/a': 'x'})
    seen = renames(monkeypatch)
    root.write('/etc/dnf/vars/t', IMAGE)
    Path(seen[0]).write_bytes(b'left')
    root.write('/etc/dnf/vars/t', IMAGE._replace(data=b'newer'))
    assert root.read('/etc/dnf/vars/t') == b'newer'
    Path(seen[0]).write_bytes(b'left')
    root.discard_temporary('/etc/dnf/vars/t')
    assert not os.path.exists(seen[0])


def test_a_planted_link_in_the_place_of_the_temporary_file_is_not_followed(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = plant(top, {'/etc/x': 'old'})
    seen = renames(monkeypatch)
    root.write('/etc/x', IMAGE)
    os.symlink(str(top.parent / 'outside'), seen[0])
    root.write('/etc/x', IMAGE)
    assert (top.parent / 'outside').read_bytes() == b'outside\n'


# --- what is no plain file ------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', ['folder', 'fifo'])
def test_what_is_no_regular_file_is_refused_at_once(top: Path, name: str) -> None:
    root = plant(top, {'/folder/x': 'x'})
    os.mkfifo(str(top / 'fifo'))
    with pytest.raises(FileSystemError) as caught:
        root.image('/' + name)
    assert 'not a regular file' in str(caught.value)


def test_a_folder_in_the_place_of_a_file_is_an_error_and_stays(top: Path) -> None:
    root = plant(top, {'/etc/x/y': 'x'})
    before = snapshot(top)
    write_failing(root, '/etc/x')
    with pytest.raises(FileSystemError):
        root.remove('/etc/x')
    assert snapshot(top) == before


def test_a_file_of_absurd_size_is_not_read(top: Path) -> None:
    with open(str(top / 'big'), 'wb') as stream:
        stream.truncate(17 << 20)
    with pytest.raises(FileSystemError) as caught:
        Root(str(top)).read('/big')
    assert 'larger than 16 MiB' in str(caught.value)


def test_absent_things(top: Path) -> None:
    root = plant(top, {'/f': 'x'})
    assert root.read('/no/such') is None and root.text('/f/x') is None
    assert root.names('/no') == [] and root.names('/f') == []
    root.remove('/no/such')
    root.remove('/f/x')
    root.remove_tree('/no')
    root.remove_empty_folder('/no')


def test_text_is_for_reading_alone(top: Path) -> None:
    assert plant(top, {'/f': b'a\xff'}).text('/f') == 'a\ufffd'


def test_folders(top: Path) -> None:
    root = Root(str(top))
    root.make_folder('/a/b', 0o700)
    assert [stat.S_IMODE((top / name).stat().st_mode) for name in ('a', 'a/b')] == [0o755, 0o700]
    root.make_folder('/a/b', 0o755)
    assert stat.S_IMODE((top / 'a' / 'b').stat().st_mode) == 0o700
    root.write('/a/b/f', IMAGE)
    root.remove_empty_folder('/a/b')
    assert root.kind('/a/b') == 'folder'
    root.rename('/a/b', '/a/c')
    assert root.names('/a') == ['c']
    root.remove_tree('/a/c')
    root.remove_empty_folder('/a')
    assert os.listdir(str(top)) == []


def test_the_running_system_is_told_from_an_image(top: Path) -> None:
    assert Root('/').is_host and Root('/usr/..').is_host
    assert not Root(str(top)).is_host
    assert Root(str(top) + '/').path == str(top)


# --- what stands at a path itself, and a file that goes nowhere else --------------------------------------------------


@pytest.mark.parametrize('path, kind, content', [
    ('/f', 'file', hashlib.sha256(b'x').hexdigest()), ('/l', 'link', '/f'), ('/dangling', 'link', 'nothing'),
    ('/d', 'folder', ''), ('/up/f', 'file', hashlib.sha256(b'x').hexdigest()), ('/none', '', ''), ('/f/none', '', '')])
def test_what_stands_at_a_path_itself(top: Path, path: str, kind: str, content: str) -> None:
    root = plant(top, {'/f': 'x', '/l': '->/f', '/dangling': '->nothing', '/d/x': '', '/up': '->../../..'})
    assert root.standing(path, 'sha256') == (kind, content)


def test_a_file_that_never_goes_through_a_link(top: Path) -> None:
    root = plant(top, {'/d/link': '->/d/real', '/d/real': 'old\n', '/to': '->/d'})
    root.write_here('/to/link', IMAGE)
    assert not (top / 'd/link').is_symlink() and (top / 'd/link').read_bytes() == b'new\n'
    assert (top / 'd/real').read_bytes() == b'old\n'
    assert sorted(os.listdir(str(top / 'd'))) == ['link', 'real']
    with pytest.raises(FileSystemError):
        root.write_here('/none/file', IMAGE)
    assert not (top / 'none').exists()


@pytest.mark.parametrize('error', [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
@pytest.mark.parametrize('call', ['open', 'write', 'fchmod', 'fsync', 'rename'])
def test_a_disk_that_refuses_leaves_the_old_file_and_is_told_with_a_remedy(
    top: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: int
) -> None:
    root = plant(top, {'/etc/x': 'old'})
    before = snapshot(top)

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(error, os.strerror(error))

    with monkeypatch.context() as patched:
        patched.setattr(os, call, refuse)
        said = write_failing(root, '/etc/x')
    assert snapshot(top) == before
    assert os.strerror(error) in said and not said.endswith(os.strerror(error) + '. ') and said.count('. ') == 1
