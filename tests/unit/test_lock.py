# SPDX-License-Identifier: Apache-2.0
"""One command at a time on a root: who waits, who is told, and that nothing stays behind."""

import fcntl
import os
import signal
from pathlib import Path
from typing import List

import pytest

from tests.unit.samples import plant, snapshot
from tuxcare_lib import lock
from tuxcare_lib.errors import FileSystemError, LockedError
from tuxcare_lib.rootfs import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return plant(tmp_path, {'/etc/dnf/dnf.conf': 'x'})


def never(text: str) -> None:
    raise AssertionError(text)


def test_a_free_lock_is_taken_in_silence_and_leaves_nothing(root: Root) -> None:
    before = snapshot(Path(root.path))
    for _ in range(2):
        with lock.held(root, False, never):
            assert snapshot(Path(root.path)) == before
    assert snapshot(Path(root.path)) == before


def test_who_may_not_wait_is_told_who_holds_it(root: Root) -> None:
    with lock.held(root, True, never):
        with pytest.raises(LockedError) as caught:
            with lock.held(root, False, never):
                raise AssertionError('both hold it')
    assert caught.value.status == 200
    assert 'process {}'.format(os.getpid()) in str(caught.value) or 'process unknown' in str(caught.value)


def test_who_waits_says_so_once_and_goes_on(root: Root) -> None:
    said: List[str] = []
    first = lock.held(root, True, never)
    first.__enter__()

    def say(text: str) -> None:
        said.append(text)
        first.__exit__(None, None, None)  # its end, while the other waits
    with lock.held(root, True, say):
        assert len(said) == 1 and 'Waiting' in said[0]


@pytest.mark.parametrize('error', [ValueError(), KeyboardInterrupt()], ids=lambda error: type(error).__name__)
def test_a_command_that_fails_lets_go(root: Root, error: BaseException) -> None:
    with pytest.raises(type(error)):
        with lock.held(root, False, never):
            raise error
    with lock.held(root, False, never):
        pass


def test_a_killed_command_lets_go(root: Root) -> None:
    child = os.fork()
    if not child:
        lock.held(root, False, never).__enter__()
        os.kill(os.getpid(), 9)
    os.waitpid(child, 0)
    with lock.held(root, False, never):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason='only root can be another user')
def test_nobody_waits_for_another_user(root: Root) -> None:
    started, ready = os.pipe()
    child = os.fork()
    if not child:
        fd = os.open(root.real('/etc/dnf'), os.O_RDONLY)
        os.setuid(65534)
        fcntl.flock(fd, fcntl.LOCK_SH)
        os.write(ready, b'x')
        signal.pause()
    os.read(started, 1)
    with pytest.raises(LockedError) as caught:
        with lock.held(root, True, never):
            raise AssertionError('both hold it')
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert 'process {} of user 65534'.format(child) in str(caught.value) and caught.value.status == 200


def test_other_roots_have_other_locks(root: Root, tmp_path: Path) -> None:
    other = plant(tmp_path / 'other', {'/etc/dnf/dnf.conf': 'x'})
    with lock.held(root, False, never), lock.held(other, False, never):
        pass


def test_a_root_without_dnf(tmp_path: Path) -> None:
    with pytest.raises(FileSystemError) as caught:
        with lock.held(Root(str(tmp_path)), True, never):
            pass
    assert '/etc/dnf' in str(caught.value)
