# SPDX-License-Identifier: Apache-2.0
"""rpm: the database below a root (which packages, which signing keys), and what a package file says of itself."""

import re
import stat
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Tuple

import rpm

from tuxcare_lib.errors import FileSystemError
from tuxcare_lib.rootfs import Root


class Package(NamedTuple):
    """An installed package. `epoch` is 0 where the package names none; `source` is the source package's file name."""

    name: str
    epoch: int
    version: str
    release: str
    architecture: str
    vendor: str
    source: str = ''

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
                   header['vendor'] or '', header['sourcerpm'] or '')


class Verified(NamedTuple):
    """How a package's files differ from the database, as `PATH: what` each.

    `altered` may not differ, `edited` are configuration files that an administrator may edit, `unread` could not be looked at.
    `signer` is the ID (16 hexadecimal digits) of the key that signed the package; empty where none did.
    """

    altered: Tuple[str, ...]
    edited: Tuple[str, ...]
    unread: Tuple[str, ...]
    signer: str


# Requirements of an installation that is over.
_TRANSIENT = rpm.RPMSENSE_INTERP | rpm.RPMSENSE_SCRIPT_PRE | rpm.RPMSENSE_SCRIPT_POST
# By the numbers of RFC 4880, as rpm keeps them: those that FIPS mode has.
_ALGORITHMS = {8: 'sha256', 9: 'sha384', 10: 'sha512', 11: 'sha224'}


def verify(root: Root, package: Package) -> Verified:
    """Compare a package of the host's own architecture with the database as `rpm -V` does.

    What it requires; each file's kind, digest and link, but no mode.
    """
    found: Dict[str, List[str]] = {'altered': [], 'edited': [], 'unread': []}
    signer = ''
    for header in rpm.TransactionSet(root.path).dbMatch('name', package.name):
        if _package(header) == package:
            signer = _signer(header)
            algorithm = _ALGORITHMS.get(header['filedigestalgo'] or 0, '')
            found['altered'] += ['{}: required and not installed'.format(name) for name in _unmet(root, header)]
            for file in rpm.files(header):
                kind, text = _compared(root, file, algorithm)
                if kind:
                    found[kind].append('{}: {}'.format(file.name, text))
    return Verified(tuple(found['altered']), tuple(found['edited']), tuple(found['unread']), signer)


def _signer(header: 'rpm.hdr') -> str:
    """The ID of the key that signed a header; rpm hands out no header whose signature by a key that it trusts is wrong."""
    said = header.format('%{RSAHEADER:pgpsig} %{DSAHEADER:pgpsig} %{SIGPGP:pgpsig} %{SIGGPG:pgpsig}')
    named = re.search(r'Key (?:ID|Fingerprint):? ([0-9a-f]{16,})', said)
    return named.group(1)[-16:] if named else ''


def _unmet(root: Root, header: 'rpm.hdr') -> List[str]:
    """Packages and libraries that a package requires and nobody provides; not what scriptlets alone needed.

    By name alone, but for parts of a kernel: of several kernels each provides the same names, of its own version.
    """
    transaction = rpm.TransactionSet(root.path)
    wanted = [rpm.ds((name, rpm.RPMSENSE_EQUAL, version) if name.endswith('-uname-r') else (name, 0, ''), 'requirename')
              for name, flags, version in zip(header['requirename'], header['requireflags'], header['requireversion'])
              if not flags & _TRANSIENT and not name.startswith(('rpmlib(', '(', 'config(', '/'))]
    return [one.DNEVR()[2:] for one in wanted if not any(
        rpm.ds(other, 'providename').Search(one) >= 0 for other in transaction.dbMatch('providename', one.N()))]


def _is_installed(file: Any) -> bool:
    """A file that another package has replaced (`rpm --replacefiles`) is asked for as well, which `rpm -V` does not."""
    return file.state in (rpm.RPMFILE_STATE_NORMAL, rpm.RPMFILE_STATE_REPLACED)


def _compared(root: Root, file: Any, algorithm: str) -> Tuple[str, str]:
    """How one file differs: a field of Verified and a word; empty where it does not, or where nothing is promised of it."""
    if file.fflags & rpm.RPMFILE_GHOST or not _is_installed(file):
        return '', ''
    wanted = 'link' if stat.S_ISLNK(file.mode) else 'file' if stat.S_ISREG(file.mode) else ''
    if wanted == 'file' and not (algorithm and file.vflags & rpm.RPMVERIFY_FILEDIGEST):
        return ('', '') if algorithm else ('unread', 'the database has no digest that FIPS allows')
    try:
        kind, content = root.standing(file.name, algorithm)
    except FileSystemError as error:
        return 'unread', error.message
    if kind == '':
        return ('', '') if file.fflags & rpm.RPMFILE_MISSINGOK else ('altered', 'missing')
    if not wanted or (kind, content) == (wanted, file.linkto if wanted == 'link' else file.digest):
        return '', ''
    return 'edited' if file.fflags & rpm.RPMFILE_CONFIG else 'altered', 'changed'


def compare(one: Tuple[str, str, str], other: Tuple[str, str, str]) -> int:
    """Epoch, version and release as rpm orders them: -1, 0 or 1."""
    return int(rpm.labelCompare(one, other))


def has_key(root: Root, fingerprint: str) -> bool:
    """Whether a signing key is trusted: rpm keeps it as gpg-pubkey, the version being the last 8 digits (FACTS 4)."""
    return bool(_key_headers(rpm.TransactionSet(root.path), fingerprint))


def key_summaries(root: Root) -> List[str]:
    """The summaries of the trusted signing keys, in the database's order."""
    return [str(header['summary']) for header in rpm.TransactionSet(root.path).dbMatch('name', 'gpg-pubkey')]


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
