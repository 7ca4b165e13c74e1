# SPDX-License-Identifier: Apache-2.0
"""What a host is: read once, through its root, without changing anything."""

import contextlib
import hashlib
import hmac
import os
import platform
import re
import shlex
from typing import Dict, List, NamedTuple, Optional, Tuple

from tuxcare_lib import inifile, registration, repofile
from tuxcare_lib.errors import FileSystemError, HostError, Problem, StateError, TuxcareError
from tuxcare_lib.host import (
    BEFORE, FIPS_STATE, FIRST_BOOT_KEY, MARKER, OWN_FILES, REGISTRATION, REPOSITORY_FOLDERS, SEALED, SIGNING_KEY, STATE_FOLDER,
    TUXCARE_REPO, Facts, Kept, Registration, RepositoryFile)
from tuxcare_lib.model import Image, Release
from tuxcare_lib.rootfs import Root

# machine-id(5): the value itself is confidential, so what leaves the file is hashed with something of the application's own.
_APPLICATION = b'dnf-plugin-tuxcare'
# Of a host's name, on Linux.
_LONGEST_NAME = 64
# Of a repository file: journal and before-images hold each several times over, and have to stay readable themselves.
_GREATEST_FILE = 1 << 20


def gather(root: Root, architecture: Optional[str] = None) -> Facts:
    """Read the host below `root`. Raises FileSystemError where something of ours cannot be read."""
    if root.kind('/') != 'folder':
        raise HostError('{} is not a folder.'.format(root.path), 'Name one that holds an installed system.')
    release_file = _os_release(root)
    files, problems = _repository_files(root)
    images = {path: _own(root, path) for path in OWN_FILES + (SEALED, FIRST_BOOT_KEY, FIPS_STATE)}
    if images[SEALED] is None and root.is_link(SEALED):  # one that dangles refuses transactions, too
        images[SEALED] = Image(b'', 0)
    record = _record(images, any(repofile.is_ours(file.document) for file in files))
    return Facts(
        root=root.path, os_id=release_file.get('ID', ''),
        os_title=release_file.get('PRETTY_NAME') or release_file.get('NAME') or 'an unknown system (/etc/os-release names none)',
        release=Release.parse(release_file.get('VERSION_ID', '')), version_id=release_file.get('VERSION_ID', ''),
        architecture=architecture or platform.machine(), host_name=_host_name(root),
        repository_files=files, problems=problems, images=images, registration=record.registration, kept=record.kept,
        has_state_folder=root.kind(STATE_FOLDER) != '', damage=record.damage, survivor=record.survivor,
        machine=machine(root), is_on_aws=_is_on_aws(root), free_names=_free_names(root, files),
        links={path: root.resolve(path) for path in OWN_FILES if images[path] is not None and root.is_link(path)})


class _Record(NamedTuple):
    registration: Optional[Registration] = None
    kept: Tuple[Kept, ...] = ()
    damage: str = ''
    survivor: Optional[Registration] = None


def _record(images: Dict[str, Optional[Image]], stamped: bool) -> _Record:
    """The registration and the before-images, or what is wrong with them on a host that bears our signs."""
    data, before = (None if image is None else image.data for image in (images[REGISTRATION], images[BEFORE]))
    if data is None and before is None and not stamped:
        return _Record()
    if os.geteuid() != 0:
        return _as_user(data)
    backup, damage = None, ''
    try:
        backup = registration.parse_backup(before)
    except StateError as error:
        damage = error.message
    record, trouble = _registration(data, before)
    damage = trouble or damage
    kept = backup.kept if backup else ()
    if damage:
        return _Record(None, kept, damage, backup.registration if backup else _registration(data, None)[0])
    if backup is not None and record != backup.registration:
        return _Record(None, kept, '{} and {} contradict each other.'.format(REGISTRATION, BEFORE), backup.registration)
    return _Record(record, kept)


def _registration(data: Optional[bytes], backup: Optional[bytes]) -> Tuple[Optional[Registration], str]:
    if data is None:
        return None, '{} is missing, though this host was registered by dnf tuxcare.'.format(REGISTRATION)
    try:
        return registration.parse(data, backup), ''
    except StateError as error:
        return None, error.message


def _as_user(data: Optional[bytes]) -> _Record:
    """Who is not root cannot read the before-images: nothing is said of them."""
    record, damage = _registration(data, None)
    return _Record(record, damage=damage)


def _own(root: Root, path: str) -> Optional[Image]:
    """A file of ours; what an ordinary user may not read is there all the same."""
    try:
        return root.image(path)
    except FileSystemError:
        if os.geteuid() == 0:
            raise
        return Image(b'', 0)


def _os_release(root: Root) -> Dict[str, str]:
    """os-release(5): shell assignments; /usr/lib/os-release where /etc has none."""
    text = root.text('/etc/os-release')
    if text is None:
        text = root.text('/usr/lib/os-release') or ''
    values = {}
    for match in re.finditer(r'^([A-Z][A-Z0-9_]*)=(.*)$', text, re.M | re.A):
        try:
            values[match.group(1)] = ''.join(shlex.split(match.group(2)))
        except ValueError:
            continue  # a broken quote: as if the line were not there
    return values


def _host_name(root: Root) -> str:
    """The name that takes the seat: the running system's, or an image's own where it has one, as systemd will set it."""
    if root.is_host:
        return platform.node()
    lines = [line.strip() for line in (root.text('/etc/hostname') or '').split('\n')]
    name = next((line for line in lines if line and not line.startswith('#')), '')
    return re.sub(r'[^\w.-]', '', name, flags=re.A)[:_LONGEST_NAME].strip('.-') or platform.node()


def machine(root: Root) -> str:
    """The machine-id, hashed; empty for an image that gets its own at its first boot."""
    text = ''
    with contextlib.suppress(FileSystemError):
        text = (root.text('/etc/machine-id') or '').strip()
    if not re.match('[0-9a-f]{32}\\Z', text, re.A):
        return ''
    return hmac.new(bytes.fromhex(text), _APPLICATION, hashlib.sha256).hexdigest()[:32]


def _is_on_aws(root: Root) -> bool:
    """By the two signs that AWS documents ("Identify EC2 instances"): the vendor of a Nitro machine, the UUID of a Xen one."""
    vendor, uuid = '', ''
    with contextlib.suppress(FileSystemError):
        vendor = (root.text('/sys/class/dmi/id/sys_vendor') or '').strip()
    with contextlib.suppress(FileSystemError):
        uuid = (root.text('/sys/hypervisor/uuid') or '').strip().lower()
    return vendor == 'Amazon EC2' or uuid.startswith('ec2')


def _free_names(root: Root, files: Tuple[RepositoryFile, ...]) -> Dict[str, str]:
    """Where an edited file would be kept beside. For root, who alone keeps any."""
    paths = [file.path for file in files] + [MARKER, TUXCARE_REPO, SIGNING_KEY]
    return {path: root.free_name(path) for path in paths} if os.geteuid() == 0 else {}


def _repository_files(root: Root) -> Tuple[Tuple[RepositoryFile, ...], Tuple[Problem, ...]]:
    files: List[RepositoryFile] = []
    problems: List[Problem] = []
    for folder in REPOSITORY_FOLDERS:
        for name in root.names(folder):
            if name.endswith('.repo'):
                path = '{}/{}'.format(folder, name)
                problem = _link_problem(root, path)
                image = None if problem else _image(root, path, problems)
                if problem:
                    problems.append(Problem(path, 0, problem))
                elif image is not None:
                    document = inifile.parse(inifile.decode(image.data))
                    problems += repofile.problems(path, document)
                    files.append(RepositoryFile(path, image, document))
    return tuple(files), tuple(problems)


def _image(root: Root, path: str, problems: List[Problem]) -> Optional[Image]:
    if root.kind(path) == 'folder':
        problems.append(Problem(path, 0, 'this is a folder, not a file'))
        return None
    try:
        image = root.image(path)
    except TuxcareError as error:
        problems.append(Problem(path, 0, str(error)))
        return None
    if image is not None and len(image.data) > _GREATEST_FILE:
        problems.append(Problem(path, 0, 'this is larger than {} MiB'.format(_GREATEST_FILE >> 20)))
        return None
    return image


def _link_problem(root: Root, path: str) -> str:
    """A link within /etc is followed and kept; one that dangles or leads out of /etc is nobody's to write through."""
    if not root.is_link(path):
        return ''
    target = root.resolve(path)
    if root.kind(target) == '':
        return 'the symbolic link dangles: {} does not exist'.format(target)
    if not target.startswith('/etc/'):
        return 'the symbolic link leads out of /etc, to {}'.format(target)
    return ''
