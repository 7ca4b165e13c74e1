# SPDX-License-Identifier: Apache-2.0
"""The one module that reads and writes the host's files: everything beneath a root folder, nothing outside it.

Paths are absolute as the host itself would say them ("/etc/dnf/vars"). Symbolic links are resolved as after a chroot:
an absolute link is absolute inside the root, and `..` does not leave it.
"""

import errno
import hashlib
import os
import stat
from typing import Iterator, List, Optional, Tuple

from tuxcare_lib.errors import FileSystemError
from tuxcare_lib.model import Image

# Every regular file here means something to dnf, or (a hidden .repo) to libdnf's other clients, a temporary one too (FACTS 7):
# such files are made one folder higher.
_NO_TEMPORARY_FILES = ('/etc/dnf/vars', '/etc/yum/vars', '/etc/yum.repos.d', '/etc/yum/repos.d', '/etc/distro.repos.d')
_GREATEST_FILE = 16 * 1024 * 1024
_MOST_LINKS = 40
_ACL = 'system.posix_acl_access'


class Root:
    """A file system's root. `path` is where it is on the machine that runs us."""

    def __init__(self, path: str = '/') -> None:
        self.path = os.path.abspath(path)

    def __repr__(self) -> str:
        return 'Root({!r})'.format(self.path)

    @property
    def is_host(self) -> bool:
        """Whether this is the running system itself."""
        return self.path == '/'

    def outside(self, path: str) -> str:
        """The machine's own path of a path inside, links not looked at."""
        return os.path.join(self.path, path.lstrip('/'))

    def resolve(self, path: str) -> str:
        """The path inside the root with every symbolic link followed; what does not exist is left as it is.

        Raises FileSystemError for a circle of links.
        """
        pending = [part for part in path.split('/') if part][::-1]
        done: List[str] = []
        links = 0
        while pending:
            part = pending.pop()
            if part in ('.', '..'):
                done = done[:-1] if part == '..' else done
                continue
            try:
                target = os.readlink(self.outside('/'.join(done + [part])))
            except OSError:
                done.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                raise FileSystemError('{}: too many symbolic links.'.format(path), 'Correct the link.')
            if target.startswith('/'):
                done = []
            pending += [piece for piece in target.split('/') if piece][::-1]
        return '/' + '/'.join(done)

    def real(self, path: str) -> str:
        """The machine's path of a path inside, all links followed inside the root."""
        return self.outside(self.resolve(path))

    def is_link(self, path: str) -> bool:
        """Whether the last part of the path is a symbolic link."""
        folder, name = os.path.split(path)
        return os.path.islink(os.path.join(self.real(folder), name))

    def kind(self, path: str) -> str:
        """'file', 'folder', 'other' or '' (nothing there), links followed."""
        try:
            mode = os.stat(self.real(path), follow_symlinks=False).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return ''
        except OSError as error:
            raise _failed('look at', path, error)
        return 'file' if stat.S_ISREG(mode) else 'folder' if stat.S_ISDIR(mode) else 'other'

    def names(self, path: str) -> List[str]:
        """Sorted names in a folder; none where there is no folder."""
        try:
            return sorted(os.listdir(self.real(path)))
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            raise _failed('list', path, error)

    def read(self, path: str) -> Optional[bytes]:
        """A regular file's bytes; None where it does not exist. Raises FileSystemError for anything else."""
        image = self.image(path)
        return None if image is None else image.data

    def text(self, path: str) -> Optional[str]:
        """A file's text, for reading only (what is not UTF-8 is replaced)."""
        data = self.read(path)
        return None if data is None else data.decode('utf-8', 'replace')

    def image(self, path: str) -> Optional[Image]:
        """All of a regular file that has to come back; None where it does not exist."""
        try:
            fd = os.open(self.real(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise _failed('read', path, error)
        try:
            return _image(fd, path)
        except OSError as error:
            raise _failed('read', path, error)
        finally:
            os.close(fd)

    def free_name(self, path: str) -> str:
        """Where a file is kept beside itself: PATH.rpmsave where nothing is, else PATH.rpmsave.1 and so on."""
        name = path + '.rpmsave'
        number = 0
        while self.is_link(name) or self.kind(name):
            number += 1
            name = '{}.rpmsave.{}'.format(path, number)
        return name

    def beginning(self, path: str, size: int) -> bytes:
        """The first bytes of a file or a device, at most `size`; empty where there is none. Raises FileSystemError."""
        try:
            fd = os.open(self.real(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return b''
        except OSError as error:
            raise _failed('read', path, error)
        try:
            return os.read(fd, size)
        except OSError as error:
            raise _failed('read', path, error)
        finally:
            os.close(fd)

    def standing(self, path: str, algorithm: str) -> Tuple[str, str]:
        """What stands at a path itself, a link not followed: its kind, and the digest of a file or the target of a link.

        Kinds as `kind` tells them, and 'link'. Raises FileSystemError where it cannot be read.
        """
        folder, name = os.path.split(path)
        place = os.path.join(self.real(folder), name)
        try:
            if os.path.islink(place):
                return 'link', os.readlink(place)
            kind = self.kind(path)
            return kind, _digest(place, algorithm) if kind == 'file' else ''
        except OSError as error:
            raise _failed('read', path, error)

    def write(self, path: str, image: Image) -> None:
        """Put a file in place, whole: temporary file, fsync, rename, fsync of the folder. A link stays, its target changes."""
        self._put(self.resolve(path), path, image)

    def write_here(self, path: str, image: Image) -> None:
        """Like `write`, but never through a link: one that stands in the place is replaced. The folder has to be there."""
        folder, name = os.path.split(path)
        if self.kind(folder) != 'folder':
            raise FileSystemError('There is no folder {}.'.format(folder), 'Make it, or name another one.')
        self._put(os.path.join(self.resolve(folder), name), path, image)

    def _put(self, target: str, path: str, image: Image) -> None:
        folder = os.path.dirname(target)
        temporary = self._temporary(target)
        try:
            self._make_folder(folder)
            _remove_quietly(temporary)
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            try:
                _fill(fd, image, self.outside(folder))
            finally:
                os.close(fd)
            os.rename(temporary, self.outside(target))
            _sync_folder(self.outside(folder))
        except OSError as error:
            _remove_quietly(temporary)
            raise _failed('write', path, error)

    def _temporary(self, target: str) -> str:
        """Where a file is made before it is renamed into place; one name per file, so that a killed writer's is found again."""
        folder, name = os.path.split(target)
        read_by_dnf = folder in {self.resolve(known) for known in _NO_TEMPORARY_FILES}
        staging = os.path.dirname(folder) if read_by_dnf else folder
        return os.path.join(self.outside(staging), '.tuxcare-new-' + name)

    def discard_temporary(self, path: str) -> None:
        """Remove what a writer of this file that was killed has left; it may hold a secret."""
        _remove_quietly(self._temporary(self.resolve(path)))

    def remove(self, path: str) -> None:
        """Remove a file; nothing happens where it is gone already."""
        target = self.real(path)
        try:
            os.unlink(target)
            _sync_folder(os.path.dirname(target))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            raise _failed('remove', path, error)

    def clear(self, path: str) -> bool:
        """Remove what stands in the place of a file: a symbolic link (not what it leads to), an empty folder. Whether it did.

        Raises FileSystemError for a folder that holds something.
        """
        folder, name = os.path.split(path)
        place = os.path.join(self.real(folder), name)
        try:
            if os.path.islink(place):
                os.unlink(place)
            elif os.path.isdir(place):
                os.rmdir(place)
            else:
                return False
            _sync_folder(os.path.dirname(place))
        except OSError as error:
            raise _failed('remove', path, error)
        return True

    def make_folder(self, path: str, mode: int = 0o755) -> None:
        """Make a folder and those above it that are missing (0755). An existing one keeps its mode."""
        try:
            self._make_folder(self.resolve(path), mode)
        except OSError as error:
            raise _failed('make the folder', path, error)

    def _make_folder(self, resolved: str, mode: int = 0o755) -> None:
        outside = self.outside(resolved)
        if os.path.isdir(outside):
            return
        self._make_folder(os.path.dirname(resolved))
        os.mkdir(outside, mode)
        os.chmod(outside, mode)
        _sync_folder(os.path.dirname(outside))

    def rename(self, old: str, new: str) -> None:
        """Rename a file or a folder in one step and make that durable. An existing `new` folder has to be empty."""
        try:
            os.rename(self.real(old), self.real(new))
            _sync_folder(os.path.dirname(self.real(new)))
        except OSError as error:
            raise _failed('rename', old, error)

    def remove_empty_folder(self, path: str) -> None:
        """Remove a folder of ours if nothing is in it."""
        try:
            os.rmdir(self.real(path))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise _failed('remove', path, error)

    def remove_tree(self, path: str) -> None:
        """Remove a folder of ours with the plain files in it."""
        try:
            for name in self.names(path):
                os.unlink(os.path.join(self.real(path), name))
            os.rmdir(self.real(path))
        except FileNotFoundError:
            return
        except OSError as error:
            raise _failed('remove', path, error)


def _failed(verb: str, path: str, error: OSError) -> FileSystemError:
    hint = {errno.EROFS: 'Mount the file system for writing.', errno.ENOSPC: 'Make room on the file system.',
            errno.EDQUOT: 'Make room within the quota.', errno.EIO: 'Check the disk; `dmesg` tells more.',
            errno.EACCES: 'Run the command as root.', errno.EPERM: 'Run the command as root; `lsattr` shows what is immutable.',
            errno.ELOOP: 'A symbolic link is in the way.'}.get(error.errno or 0, '')
    return FileSystemError('Cannot {} {}: {}.'.format(verb, path, os.strerror(error.errno or 0)), hint)


def _image(fd: int, path: str) -> Image:
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        raise FileSystemError('{} is not a regular file.'.format(path), 'Move it away or put the file back.')
    if status.st_size > _GREATEST_FILE:
        raise FileSystemError('{} is larger than {} MiB.'.format(path, _GREATEST_FILE >> 20), 'It cannot be right.')
    data = b''.join(_chunks(fd))
    return Image(data, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid, _xattrs(fd), status.st_mtime_ns)


def _digest(place: str, algorithm: str) -> str:
    found = hashlib.new(algorithm)
    fd = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        for chunk in _chunks(fd):
            found.update(chunk)
    finally:
        os.close(fd)
    return found.hexdigest()


def _chunks(fd: int) -> Iterator[bytes]:
    while True:
        chunk = os.read(fd, 1 << 20)
        if not chunk:
            return
        yield chunk


def _xattrs(fd: int) -> Tuple[Tuple[str, bytes], ...]:
    try:
        return tuple((name, os.getxattr(fd, name)) for name in sorted(os.listxattr(fd)))
    except OSError as error:
        if error.errno in (errno.ENOTSUP, errno.ENOSYS):
            return ()
        raise


def _fill(fd: int, image: Image, folder: str) -> None:
    """Bytes, owner, mode, extended attributes, time; then fsync. The mode is last: chown clears set-id bits."""
    view = memoryview(image.data)
    while view:
        view = view[os.write(fd, view):]
    if (image.uid, image.gid) != (os.geteuid(), os.getegid()):
        os.fchown(fd, image.uid, image.gid)
    _set_xattrs(fd, image, folder)
    os.fchmod(fd, image.mode)
    if image.mtime_ns is not None:
        os.utime(fd, ns=(image.mtime_ns, image.mtime_ns))
    os.fsync(fd)


def _set_xattrs(fd: int, image: Image, folder: str) -> None:
    """Extended attributes as recorded; a new file takes the SELinux label of the folder that it comes to lie in."""
    wanted = dict(image.xattrs)
    if 'security.selinux' not in wanted and image.mtime_ns is None:
        try:
            wanted['security.selinux'] = os.getxattr(folder, 'security.selinux')
        except OSError:
            pass  # no SELinux here
    for name, value in wanted.items():
        if name not in os.listxattr(fd) or os.getxattr(fd, name) != value:
            os.setxattr(fd, name, value)
    if _ACL not in wanted and _ACL in dict(_xattrs(fd)):  # open(2) gave it the default one of the folder above
        os.removexattr(fd, _ACL)


def sync() -> None:
    """Make durable what other programs have written: rpm, grubby and their like leave that to the system."""
    os.sync()


def _sync_folder(path: str) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _remove_quietly(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        pass  # the first error is the one to tell
