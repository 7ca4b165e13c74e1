# SPDX-License-Identifier: Apache-2.0
"""One command at a time on a root: flock(2) on its /etc/dnf folder, which leaves nothing behind, not even after a kill."""

import contextlib
import fcntl
import os
import time
from typing import Callable, Iterator

from tuxcare_lib.errors import FileSystemError, LockedError
from tuxcare_lib.rootfs import Root

_FOLDER = '/etc/dnf'


@contextlib.contextmanager
def held(root: Root, wait: bool, say: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock. Waits as dnf does, saying for whom; raises LockedError where `wait` is false."""
    try:
        fd = os.open(root.real(_FOLDER), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise FileSystemError('{} cannot be opened: {}.'.format(_FOLDER, os.strerror(error.errno or 0)),
                              'Is dnf installed there?')
    try:
        _take(fd, wait, say)
        yield
    finally:
        os.close(fd)


def _take(fd: int, wait: bool, say: Callable[[str], None]) -> None:
    told = False
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            process = _holder(fd)
            _check_owner(process)
            if not wait:
                raise LockedError('Another `dnf tuxcare` is running (process {}).'.format(process), 'Wait for its end.')
        if not told:
            say('Waiting for another `dnf tuxcare` to finish (process {}).'.format(process))
            told = True
        time.sleep(0.2)


def _check_owner(process: str) -> None:
    """Any user can lock a folder that he can read; nobody waits for one. Raises LockedError."""
    try:
        with open('/proc/{}/status'.format(process)) as stream:
            owner = next((int(line.split()[2]) for line in stream if line.startswith('Uid:')), 0)
    except OSError:  # it has ended, or is none of this container's
        return
    if owner not in (0, os.geteuid()):
        raise LockedError('The lock on {} is held by process {} of user {}, which is no `dnf tuxcare`.'.format(
            _FOLDER, process, owner), 'End that process.')


def _holder(fd: int) -> str:
    """The process that holds a flock on the same inode, as /proc/locks tells it."""
    inode = ':{} '.format(os.fstat(fd).st_ino)
    try:
        with open('/proc/locks') as stream:
            lines = [line.split() for line in stream if ' FLOCK ' in line and inode in line and '->' not in line]
    except OSError:
        lines = []
    return lines[0][4] if lines else 'unknown'
