# SPDX-License-Identifier: Apache-2.0
"""rpm: the database below a root (which packages, which signing keys), and what a package file says of itself."""

from typing import Callable, Iterable, List, NamedTuple, Tuple

import rpm

from tuxcare_lib.errors import FileSystemError
from tuxcare_lib.rootfs import Root


class Package(NamedTuple):
    """An installed package. `epoch` is 0 where the package names none."""

    name: str
    epoch: int
    version: str
    release: str
    architecture: str
    vendor: str

    @property
    def nevra(self) -> str:
        """NAME-EPOCH:VERSION-RELEASE.ARCHITECTURE, the epoch left out where it is 0."""
        epoch = '{}:'.format(self.epoch) if self.epoch else ''
        return '{}-{}{}-{}.{}'.format(self.name, epoch, self.version, self.release, self.architecture)


def installed(root: Root, names: Iterable[str]) -> List[Package]:
    """The installed packages of these names, in the database's order."""
    transaction = rpm.TransactionSet(root.path)
    return [_package(header) for name in names for header in transaction.dbMatch('name', name)]


def everything(root: Root) -> List[Package]:
    """All installed packages, signing keys left out."""
    return [_package(header) for header in rpm.TransactionSet(root.path).dbMatch() if header['name'] != 'gpg-pubkey']


class Contents(NamedTuple):
    """An installed package with the names of what it requires, and its files."""

    package: Package
    requires: Tuple[str, ...]
    files: Tuple[str, ...]


def contents(root: Root, wanted: Callable[[Package], bool]) -> List[Contents]:
    """The installed packages that are wanted; only their lists of files and requirements are read."""
    found = []
    for header in rpm.TransactionSet(root.path).dbMatch():
        package = _package(header)
        if package.name != 'gpg-pubkey' and wanted(package):
            found.append(Contents(package, tuple(header['requirename']), tuple(header['filenames'])))
    return found


class PackageFile(NamedTuple):
    """A package file by its own header; dependencies as texts (`openssl < 2`)."""

    package: Package
    obsoletes: List[str]
    provides: List[str]
    conflicts: List[str]


def of_file(path: str) -> PackageFile:
    """Read a package file's header. Raises FileSystemError. Digests and signatures are not looked at: dnf has done so."""
    transaction = rpm.TransactionSet()
    transaction.setVSFlags(rpm._RPMVSF_NOSIGNATURES | rpm._RPMVSF_NODIGESTS)
    try:
        with open(path, 'rb') as stream:
            header = transaction.hdrFromFdno(stream.fileno())
    except (OSError, rpm.error) as error:
        raise FileSystemError('{} cannot be read: {}.'.format(path, error), 'Run: dnf clean packages')
    return PackageFile(_package(header), list(header['obsoletenevrs']), list(header['providename']), list(header['conflictname']))


def _package(header: 'rpm.hdr') -> Package:
    return Package(header['name'], header['epoch'] or 0, header['version'], header['release'], header['arch'] or '',
                   header['vendor'] or '')


def compare(one: Tuple[str, str, str], other: Tuple[str, str, str]) -> int:
    """Epoch, version and release as rpm orders them: -1, 0 or 1."""
    return int(rpm.labelCompare(one, other))


def has_key(root: Root, fingerprint: str) -> bool:
    """Whether a signing key is trusted: rpm keeps it as gpg-pubkey, the version being the last 8 digits (FACTS 4)."""
    return bool(_key_headers(rpm.TransactionSet(root.path), fingerprint))


def import_key(root: Root, binary: bytes) -> None:
    """Trust a key. Raises FileSystemError where rpm refuses."""
    if rpm.TransactionSet(root.path).pgpImportPubkey(binary) != 0:
        raise FileSystemError('rpm does not take the signing key.', 'Check the rpm database (rpm --rebuilddb).')


def remove_key(root: Root, fingerprint: str) -> None:
    """Stop trusting a key; nothing happens where it is not there."""
    transaction = rpm.TransactionSet(root.path)
    headers = _key_headers(transaction, fingerprint)
    for header in headers:
        transaction.addErase(header)
    if headers and transaction.run(lambda *unused: None, ''):
        raise FileSystemError('rpm does not let the signing key go.', 'Check the rpm database (rpm --rebuilddb).')


def _key_headers(transaction: 'rpm.TransactionSet', fingerprint: str) -> List['rpm.hdr']:
    version = fingerprint[-8:].lower()
    return [header for header in transaction.dbMatch('name', 'gpg-pubkey') if header['version'].lower().endswith(version)]
