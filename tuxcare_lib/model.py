# SPDX-License-Identifier: Apache-2.0
"""The values everything else speaks in. Immutable, without behaviour that touches the world."""

import re
from typing import AbstractSet, Any, Dict, NamedTuple, Optional, Tuple, Union


class Release(NamedTuple):
    """`X.Y`, ordered as numbers: 9.10 is after 9.6."""

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Optional['Release']:
        """A release, or None where the text is anything but two plain numbers and a dot."""
        match = re.match(r'(0|[1-9][0-9]{0,3})\.(0|[1-9][0-9]{0,3})\Z', text, re.A)
        return cls(int(match.group(1)), int(match.group(2))) if match else None

    def __str__(self) -> str:
        return '{}.{}'.format(self.major, self.minor)


class LicenceKey:
    """A licence key. Its value is `.secret`; `str` and `repr` never show it (DESIGN 4, rule 8)."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __repr__(self) -> str:
        return 'LicenceKey(hidden)'


class InstanceIdentity:
    """What an AWS instance proves itself by: its identity document, and AWS's signature of exactly these bytes (base64).

    Whoever has both can register in the instance's name, so `str` and `repr` show neither.
    """

    def __init__(self, document: str, signature: str) -> None:
        self.document = document
        self.signature = signature

    def __repr__(self) -> str:
        return 'InstanceIdentity(hidden)'


# What a host asks for its token with.
Credential = Union[LicenceKey, InstanceIdentity]


class Token:
    """An access token of the service. Its value is `.secret`; `str` and `repr` never show it."""

    # FACTS 1: the shapes seen are `[\w-]+`. It becomes a folder of a URL: nothing that means something there may pass.
    PATTERN = re.compile(r'[A-Za-z0-9_-]{4,256}\Z', re.A)

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Token) and self.secret == other.secret

    def __hash__(self) -> int:
        return hash(self.secret)

    def __repr__(self) -> str:
        return 'Token(hidden)'


class Product(NamedTuple):
    """A product of the vendor, as the catalogue has it. `moves` tells whether its hosts may change their minor release.

    `marketplaces` are those whose instances register without a key.
    """

    id: str
    title: str
    key_prefix: str
    moves: bool
    marketplaces: Tuple[str, ...] = ()


class Family(NamedTuple):
    """An operating system family: how its hosts, repositories and packages are recognised."""

    id: str
    title: str
    os_release_id: str
    hosts: Tuple[str, ...]
    vetted_path: str
    trees: Tuple[str, ...]
    tree_aliases: Dict[str, str]
    vendors: Tuple[str, ...]
    release_packages: Tuple[str, ...]


class ReleaseEntry(NamedTuple):
    """What the catalogue knows of one release: which products, which architectures, where it may move."""

    family: str
    release: Release
    architectures: Tuple[str, ...]
    products: Tuple[str, ...]
    planned: Tuple[str, ...]
    moves: Tuple[Release, ...]


class RepositoryEntry(NamedTuple):
    """A repository of the vendor's own. `path` is below the service's repository URL and may hold dnf variables.

    `proves` is the product whose tokens alone open it; empty where it proves nothing.
    """

    id: str
    title: str
    path: str
    products: Tuple[str, ...]
    fips: bool
    proves: str


class PackageSet(NamedTuple):
    """The FIPS 140-3 validated packages of one release and architecture, as NEVRA without the architecture.

    `certificates` has the numbers of the modules' certificates by package name, as far as they are known; `holds` are the names
    of all packages that the same sources make.
    """

    family: str
    release: Release
    architecture: str
    kernel: str
    modules: Tuple[str, ...]
    multilib: Tuple[str, ...]
    certificates: Dict[str, str] = {}
    holds: Tuple[str, ...] = ()


class Boot(NamedTuple):
    """What boots, and in which mode: read from the running system and its boot loader."""

    running_kernel: str
    mode_on: bool
    default_kernel: str
    arguments: str
    policy: str


class Work(NamedTuple):
    """What an operation changes beside files: packages as NEVRA, and `boot` as it was before (None: it stays as it is).

    `kernel` is the image to be started in FIPS mode, once the packages are there; empty where the mode is not entered.
    `arguments` are those that turn it on; empty where fips-mode-setup does.
    `is_done`: rpm has finished the packages, scriptlets included.
    """

    install: Tuple[str, ...] = ()
    erase: Tuple[str, ...] = ()
    boot: Optional[Boot] = None
    kernel: str = ''
    is_done: bool = False
    arguments: str = ''

    def has_begun(self, installed: AbstractSet[str]) -> bool:
        """Whether anything of the packages is not as it was before."""
        return not installed.isdisjoint(self.install) or not set(self.erase) <= installed


class Image(NamedTuple):
    """All of a regular file that has to come back: bytes, mode, owner, extended attributes, time of change (ns)."""

    data: bytes
    mode: int
    uid: int = 0
    gid: int = 0
    xattrs: Tuple[Tuple[str, bytes], ...] = ()
    mtime_ns: Optional[int] = None


class Change(NamedTuple):
    """A file's way from `before` to `after`; None is "no such file". The path is absolute, as seen inside the root."""

    path: str
    before: Optional[Image]
    after: Optional[Image]
    secret: bool = False


class Request(NamedTuple):
    """One HTTP request of the enrolment. `limit` is the greatest size of an answer's body that is read, in bytes.

    `link_local`: of a server on this machine's own link, which answers at once or is not there: no proxy, one attempt, a second.
    """

    method: str
    url: str
    purpose: str
    json: Optional[Dict[str, str]] = None
    limit: int = 65536
    headers: Optional[Dict[str, str]] = None
    link_local: bool = False


class Response(NamedTuple):
    """Its answer: status and body, already limited in size."""

    status: int
    body: bytes


class Plan(NamedTuple):
    """What a verb would do, in order: requests, files, packages, system commands. Printable, comparable, without effects."""

    requests: Tuple[str, ...] = ()
    changes: Tuple[Change, ...] = ()
    packages: Tuple[str, ...] = ()
    commands: Tuple[Tuple[str, ...], ...] = ()
    notes: Tuple[str, ...] = ()


class Report(NamedTuple):
    """What a verb has to say: lines for a person, one document for programs, an exit status (DESIGN 3)."""

    lines: Tuple[str, ...]
    document: Dict[str, Any]
    status: int = 0
    warnings: Tuple[str, ...] = ()
