# SPDX-License-Identifier: Apache-2.0
"""A change is whole or not at all: killed at any point, failing at any point, undone byte for byte."""

import errno
import json
import os
import shutil
import signal
import stat
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import pytest

from tests.unit.samples import TOKEN, almalinux, gather, plant, registration_changes, snapshot
from tuxcare_lib import journal, restoration
from tuxcare_lib.errors import FileSystemError, RecoveryError
from tuxcare_lib.host import BEFORE, REGISTRATION, STATE_FOLDER
from tuxcare_lib.model import Change, Image, Work
from tuxcare_lib.rootfs import Root

OPEN = STATE_FOLDER + '/journal'
# What alters a file system; each call is a point at which power can fail, before it and after it.
CALLS = ('open', 'write', 'fsync', 'rename', 'unlink', 'mkdir', 'rmdir', 'chmod', 'fchmod', 'fchown', 'setxattr', 'utime')


class Failing(Root):
    """A root whose N-th change fails: by an error of the file system, or by something that nobody expects."""

    def __init__(self, path: str, number: int, error: BaseException, times: int = 1) -> None:
        super().__init__(path)
        self.number, self.error, self.times = number, error, times
        self.count = 0

    def _step(self) -> None:
        self.count += 1
        if self.number <= self.count < self.number + self.times:
            raise self.error

    def write(self, path: str, image: Image) -> None:
        self._step()
        super().write(path, image)

    def remove(self, path: str) -> None:
        self._step()
        super().remove(path)

    def rename(self, old: str, new: str) -> None:
        self._step()
        super().rename(old, new)


def changes(root: Root) -> List[Change]:
    """A file replaced, one made, one made in a folder that is not there, one removed, one behind a link, a secret."""

    def now(path: str) -> Optional[Image]:
        return root.image(path)

    new = Image(b'new\n', 0o644)
    return [
        Change(path, now(path), after)
        for path, after in (
            ('/etc/yum.repos.d/a.repo', new._replace(mode=0o640)),
            ('/etc/dnf/vars/t', Image(TOKEN.encode('ascii'), 0o600)),
            ('/etc/marker', new),
            ('/etc/old', None),
            ('/etc/link', new),
            ('/etc/absent', None),
        )
    ]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    plant(
        tmp_path,
        {
            '/etc/yum.repos.d/a.repo': b'\xff\r\nx',
            '/etc/dnf/vars/a': 'x',
            '/etc/old': 'old',
            '/etc/real': 'r',
            '/etc/link': '->real',
            STATE_FOLDER + '/keep': 'x',
        },
    )
    for name, mode in (('etc/yum.repos.d/a.repo', 0o604), ('etc/old', 0o400)):
        os.utime(str(tmp_path / name), ns=(1, 1234567890123456789))
        os.chmod(str(tmp_path / name), mode)
    return tmp_path


def test_what_is_applied_is_there_and_the_journal_is_gone(top: Path) -> None:
    root = Root(str(top))
    planned = changes(root)
    journal.apply(root, 'a verb', planned)
    for change in planned:
        found = root.image(change.path)
        expected = change.after
        assert (found and (found.data, found.mode)) == (expected and (expected.data, expected.mode))
    assert (top / 'etc' / 'link').is_symlink()
    assert root.names(STATE_FOLDER) == ['keep'] and not journal.is_open(root)


def test_an_open_operation_is_undone_byte_for_byte(top: Path) -> None:
    root = Root(str(top))
    before = snapshot(top)
    planned = changes(root)
    journal.begin(root, 'a verb', planned)
    assert journal.is_open(root)
    for change in planned:
        journal.put(root, change.path, change.after)
    assert snapshot(top) != before
    assert journal.undo(root) == 'a verb'
    assert snapshot(top) == before and not journal.is_open(root)


@pytest.mark.parametrize('folder', ['etc/yum.repos.d', 'etc/dnf', 'etc'])
def test_a_folder_that_vanished_since_the_kill_does_not_hinder_the_way_back(top: Path, folder: str) -> None:
    """A repository file that somebody removed stays so; what else had been there comes back."""
    root = Root(str(top))
    planned = changes(root)
    journal.begin(root, 'a verb', planned)
    for change in planned:
        journal.put(root, change.path, change.after)
    shutil.rmtree(str(top / folder))
    said: List[str] = []
    journal.undo(root, said.append)
    assert not journal.is_open(root) and root.read('/etc/old') == b'old' and root.image('/etc/dnf/vars/t') is None
    gone = folder != 'etc/dnf'
    assert said == ['/etc/yum.repos.d/a.repo was removed since; it stays so.'] * gone
    assert (root.image('/etc/yum.repos.d/a.repo') is None) == gone


def test_where_the_journal_vanished_under_a_command_the_change_is_whole(top: Path) -> None:
    root = Root(str(top))
    planned = changes(root)
    journal.apply(root, 'a verb', planned, finish=lambda: shutil.rmtree(str(top / STATE_FOLDER.lstrip('/'))))
    assert not journal.is_open(root) and [root.read(change.path) for change in planned] == [
        change.after and change.after.data for change in planned]


def test_the_journal_may_hold_a_secret_and_nobody_else_reads_it(top: Path) -> None:
    root = Root(str(top))
    journal.begin(root, 'a verb', changes(root))
    modes = [stat.S_IMODE(os.stat(root.real(path)).st_mode) for path in (OPEN, OPEN + '/operation.json')]
    assert modes == [0o700, 0o600]


def test_finish_comes_after_the_files_and_before_the_commit(top: Path) -> None:
    root = Root(str(top))
    seen = []
    journal.apply(root, 'v', changes(root), finish=lambda: seen.append((root.read('/etc/marker'), journal.is_open(root))))
    assert seen == [(b'new\n', True)]


@pytest.mark.parametrize(
    'error', [FileSystemError('full'), KeyboardInterrupt(), ZeroDivisionError()], ids=lambda error: type(error).__name__
)
def test_a_finish_that_fails_takes_everything_back(top: Path, error: BaseException) -> None:
    before = snapshot(top)

    def fail() -> None:
        raise error

    with pytest.raises(type(error)):
        journal.apply(Root(str(top)), 'v', changes(Root(str(top))), finish=fail)
    assert snapshot(top) == before


def steps_of(top: Path) -> int:
    counting = Failing(str(top), 0, ValueError(), 0)
    journal.apply(counting, 'v', changes(counting))
    return counting.count


@pytest.mark.parametrize('number', range(1, 10))
@pytest.mark.parametrize(
    'error', [FileSystemError('full'), KeyboardInterrupt(), MemoryError()], ids=lambda error: type(error).__name__
)
def test_failing_at_the_nth_write_leaves_everything_as_before(top: Path, number: int, error: BaseException) -> None:
    """An error that is told means: nothing has changed, and nothing of ours stays, no journal with a secret either."""
    before = snapshot(top)
    root = Failing(str(top), number, error)
    with pytest.raises(type(error)):
        journal.apply(root, 'v', changes(root))
    assert snapshot(top) == before


@pytest.mark.parametrize('call', ['write', 'mkdir'])
def test_a_quota_that_is_met_at_any_call_leaves_everything_as_before(
    top: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    before = snapshot(top)
    planned = changes(Root(str(top)))
    real, left = getattr(os, call), [0]

    def limited(*args: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.EDQUOT, os.strerror(errno.EDQUOT))
        return real(*args, **options)

    monkeypatch.setattr(os, call, limited)
    for number in range(1, 100):
        left[0] = number
        try:
            journal.apply(Root(str(top)), 'v', planned)
            break
        except FileSystemError as error:
            assert 'Make room within the quota.' in str(error) and '\n' not in str(error)
        assert snapshot(top) == before, 'refused at call {}'.format(number)
    assert left[0] > 0 and number > 1


def test_the_failing_numbers_above_are_all_that_there_are(top: Path) -> None:
    assert steps_of(top) == 9


@pytest.mark.parametrize('number', range(3, 9))
def test_where_the_way_back_fails_too_it_is_told_and_recover_mends_it(top: Path, number: int) -> None:
    before = snapshot(top)
    root = Failing(str(top), number, FileSystemError('read-only'), times=100)
    with pytest.raises(RecoveryError) as caught:
        journal.apply(root, 'v', changes(root))
    assert caught.value.status == 5 and 'dnf tuxcare recover' in caught.value.remedy
    assert journal.is_open(root)
    assert journal.undo(Root(str(top))) == 'v'
    assert snapshot(top) == before


# --- killed ---------------------------------------------------------------------------------------------------------


def _child(number: int, work: Callable[[], None], after: bool) -> None:
    """In the child: die by kill -9 at the N-th call that alters a file system, before it or after it."""
    count = [0]

    def deadly(real: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            count[0] += 1
            if count[0] == number and not after:
                os.kill(os.getpid(), signal.SIGKILL)
            mine = count[0]
            try:
                return real(*args, **options)
            finally:
                if mine == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        return call

    for name in CALLS:
        setattr(os, name, deadly(getattr(os, name)))
    try:
        work()
    finally:
        os._exit(0)


def dies(number: int, work: Callable[[], None], after: bool = False) -> bool:
    """Whether a child that does the work was killed before its end."""
    child = os.fork()
    if not child:
        _child(number, work, after)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def recover(root: Root) -> None:
    """What the next changing command does."""
    if journal.is_open(root):
        journal.undo(root)


def holds_secret(folder: Path) -> bool:
    return any(TOKEN.encode('ascii') in path.read_bytes() for path in folder.rglob('*') if path.is_file())


def without_leftovers(found: Dict[str, Any]) -> Dict[str, Any]:
    """A journal that was not opened yet, or is over, is cleared by the next operation; it has no part in the comparison."""
    return {path: entry for path, entry in found.items() if 'var/lib/tuxcare/journal.' not in path}


@pytest.mark.parametrize('after', [False, True], ids=['before-the-call', 'after-the-call'])
def test_killed_at_any_point_and_recovered_it_is_before_or_after(top: Path, after: bool) -> None:
    root = Root(str(top))
    planned = changes(root)
    before = snapshot(top)
    ends = {'before': 0, 'after': 0}
    for number in range(1, 400):
        if not dies(number, lambda: journal.apply(root, 'v', planned), after):
            break
        recover(root)
        found = without_leftovers(snapshot(top))
        undone = root.read('/etc/old') is not None
        ends['before' if undone else 'after'] += 1
        if undone:
            assert found == before, 'killed at call {}'.format(number)
            assert not holds_secret(top), 'killed at call {}'.format(number)
        else:
            assert {path for path in found if 'tuxcare-new' in path} == set()
            restore(root, planned)
    assert number > 50 and ends['before'] > 40 and 1 <= ends['after'] <= 6


def restore(root: Root, planned: List[Change]) -> None:
    for change in planned:
        journal.put(root, change.path, change.before)
    for leftover in ('.new', '.done', ''):
        root.remove_tree(OPEN + leftover)


def test_killed_while_recovering_it_recovers_the_next_time(top: Path) -> None:
    root = Root(str(top))
    planned = changes(root)
    before = snapshot(top)
    for number in range(1, 400):
        journal.begin(root, 'v', planned)
        for change in planned:
            journal.put(root, change.path, change.after)
        ended = not dies(number, lambda: recover(root))
        recover(root)
        assert without_leftovers(snapshot(top)) == before, 'killed at call {}'.format(number)
        if ended:
            break
    assert 30 < number < 399


def test_the_next_operation_clears_what_a_killed_one_left(top: Path) -> None:
    root = plant(top, {OPEN + '.new/operation.json': TOKEN, OPEN + '.done/operation.json': TOKEN})
    journal.apply(root, 'v', changes(root)[:1])
    assert root.names(STATE_FOLDER) == ['keep']
    assert not holds_secret(top)


def test_a_real_registration_killed_half_way_comes_back(tmp_path: Path) -> None:
    root = almalinux(tmp_path)
    before = snapshot(tmp_path)
    planned = registration_changes(root)
    for number in (5, 30, 60, 90, 120):
        assert dies(number, lambda: journal.apply(root, 'v', planned))
        recover(root)
        for leftover in ('.new', '.done'):
            root.remove_tree(OPEN + leftover)
        root.remove_empty_folder(STATE_FOLDER)
        found = {path: entry for path, entry in snapshot(tmp_path).items() if path not in ('var', 'var/lib')}
        assert found == before, 'killed at call {}'.format(number)


def test_registering_and_unregistering_leaves_no_trace(tmp_path: Path) -> None:
    root = almalinux(tmp_path)
    before = snapshot(tmp_path)
    journal.apply(root, 'register', registration_changes(root))
    back, notes = restoration.unregistration_changes(gather(root))
    journal.apply(root, 'unregister', back)
    assert notes == []
    found = {path: entry for path, entry in snapshot(tmp_path).items() if not path.startswith('var')}
    assert found == before
    assert root.names(STATE_FOLDER) == []


@pytest.mark.parametrize('year', [1970, 2038, 2099, 9999])
def test_a_clock_that_jumps_by_years_changes_the_date_of_the_record_alone(tmp_path: Path, year: int) -> None:
    """Registered by one clock, with files of another; killed, recovered, registered by a third, unregistered."""
    root = almalinux(tmp_path)
    for name in root.names('/etc/yum.repos.d')[::2]:
        os.utime(str(tmp_path / 'etc/yum.repos.d' / name), (0, min(year - 1970, 130) * 31556952))
    before = snapshot(tmp_path)
    planned, usual = registration_changes(root, when='{}-01-01T00:00:00Z'.format(year)), registration_changes(root)
    differing = [change.path for change, other in zip(planned, usual) if change.after != other.after]
    assert [change.path for change in planned] == [change.path for change in usual] and differing == [BEFORE, REGISTRATION]
    assert dies(60, lambda: journal.apply(root, 'v', planned)) and journal.is_open(root)
    recover(root)
    assert {path: entry for path, entry in snapshot(tmp_path).items() if not path.startswith('var')} == before
    journal.apply(root, 'register', planned)
    record = gather(root).registration
    assert record is not None and record.registered_at.startswith(str(year)) and gather(root).damage == ''
    journal.apply(root, 'unregister', restoration.unregistration_changes(gather(root))[0])
    assert {path: entry for path, entry in snapshot(tmp_path).items() if not path.startswith('var')} == before


# --- damaged --------------------------------------------------------------------------------------------------------


def _valid(top: Path) -> Tuple[Root, Path, Dict[str, Any]]:
    root = Root(str(top))
    journal.begin(root, 'v', changes(root)[:1])
    place = Path(root.real(OPEN)) / 'operation.json'
    return root, place, json.loads(place.read_text())


@pytest.mark.parametrize(
    'damage',
    [
        lambda text: '',
        lambda text: text[:-5],
        lambda text: '[]',
        lambda text: 'null',
        lambda text: '5',
        lambda text: '{}',
        lambda text: '[' * 100000,
        lambda text: text.replace('"schema": 1', '"schema": 2'),
        lambda text: text.replace('"data": "', '"data": "!'),
        lambda text: text.replace('"mode": ', '"mode": "x", "y": '),
        lambda text: text.replace('"path"', '"pfad"'),
    ],
    ids=['empty', 'cut', 'list', 'null', 'number', 'nothing', 'deep', 'later-schema', 'bad-base64', 'bad-mode', 'no-path'],
)
def test_a_damaged_journal_changes_nothing_and_is_kept(top: Path, damage: Callable[[str], str]) -> None:
    root, place, _ = _valid(top)
    place.write_text(damage(place.read_text()))
    before = snapshot(top)
    with pytest.raises(RecoveryError) as caught:
        journal.undo(root)
    assert caught.value.status == 5 and '\n' not in str(caught.value)
    assert snapshot(top) == before and journal.is_open(root)


def test_a_journal_without_its_list_is_damaged(top: Path) -> None:
    root, place, _ = _valid(top)
    place.unlink()
    with pytest.raises(RecoveryError):
        journal.undo(root)
    assert journal.is_open(root)


def test_pending_tells_what_undo_would_do(top: Path) -> None:
    root = Root(str(top))
    planned = changes(root)
    journal.begin(root, 'v', planned)
    assert journal.pending(root) == []
    journal.put(root, '/etc/marker', Image(b'new\n', 0o644))
    before = snapshot(top)
    assert [(change.path, change.after) for change in journal.pending(root)] == [('/etc/marker', None)]
    assert snapshot(top) == before


def test_what_is_half_undone_does_not_go_forward_any_more(top: Path) -> None:
    """FIPS mode was to be entered after the packages; what puts the files back is cut off."""
    root = Root(str(top))
    planned = changes(root)
    journal.begin(root, 'v', planned, work=Work(('a-1-1.noarch',), (), None, '/boot/vmlinuz-1', True))
    for change in planned:
        journal.put(root, change.path, change.after)
    with pytest.raises(RecoveryError):
        journal.undo(Failing(str(top), 3, FileSystemError('no', 'no'), 99))
    assert journal.opened(root).work == Work(is_done=True)
    journal.undo(root)
    assert [root.image(change.path) == change.before for change in planned] == [True] * len(planned)


class Interrupted(Root):
    """A root on which Ctrl-C is pressed in the commit: after its rename, or while what was kept is removed."""

    def __init__(self, path: str, name: str) -> None:
        super().__init__(path)
        self.name = name

    def rename(self, old: str, new: str) -> None:
        super().rename(old, new)
        self._press(self.name == 'rename' and new.endswith('.done'))

    def remove_tree(self, path: str) -> None:
        self._press(self.name == 'remove_tree' and self.kind(path) != '')
        super().remove_tree(path)

    @staticmethod
    def _press(now: bool) -> None:
        if now:
            raise KeyboardInterrupt


@pytest.mark.parametrize('name', ['rename', 'remove_tree'])
def test_an_interrupt_after_the_commit_comes_too_late(tmp_path: Path, name: str) -> None:
    root = Interrupted(str(tmp_path), name)
    try:
        journal.apply(root, 'dnf tuxcare register', [Change('/etc/x', None, Image(b'new', 0o644))])
    except KeyboardInterrupt:
        pytest.fail('it was interrupted')
    assert root.read('/etc/x') == b'new' and not journal.is_open(root)


def test_a_journal_of_a_later_version_is_left_to_it(tmp_path: Path) -> None:
    root = plant(tmp_path, {OPEN + '/operation.json': '{"schema": 2}'})
    with pytest.raises(RecoveryError) as caught:
        journal.opened(root)
    assert 'Install the version' in str(caught.value) and 'backup' not in str(caught.value)
