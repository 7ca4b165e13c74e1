# SPDX-License-Identifier: Apache-2.0
"""Values and trees that the unit tests start from: the shipped catalogue, an AlmaLinux root in a folder, a registered one."""

import os
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Union

from tests.sandbox import osfiles
from tuxcare_lib import catalogue as catalogues
from tuxcare_lib import facts as gathering
from tuxcare_lib import inifile, journal, planner
from tuxcare_lib import settings as configuration
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.enrolment import Enrolment
from tuxcare_lib.host import Facts
from tuxcare_lib.model import Change, Family, Release, Token
from tuxcare_lib.planner import Wish
from tuxcare_lib.rootfs import Root
from tuxcare_lib.settings import Settings

PROJECT = Path(__file__).resolve().parents[2]
REAL = PROJECT.parent / 'shared' / 'data'
REPOS = '/etc/yum.repos.d/'
TOKEN = 'EXTENDED_SECURITY_UPDATES-SERVER-a1b2c'
WHEN = '2024-05-06T07:08:09Z'
NO_WISH = Wish()
BASEOS = REPOS + 'almalinux-baseos.repo'


def shipped_text() -> str:
    """The catalogue file of the source tree."""
    return (PROJECT / 'conf' / 'catalogue.conf').read_text(encoding='utf-8')


def catalogue(additions: str = '') -> Catalogue:
    """The shipped catalogue, with an administrator's additions."""
    return catalogues.read([('catalogue.conf', shipped_text()), ('site.conf', additions)])


def families() -> List[Family]:
    """All families of the shipped catalogue."""
    return list(catalogue().families.values())


def settings(**changed: Any) -> Settings:
    """The default configuration, with some of it changed."""
    return configuration.read(None, catalogue().service)._replace(**changed)


def plant(folder: Path, files: Mapping[str, Union[str, bytes]]) -> Root:
    """A root made of {path: content}; a content that begins with `->` is the target of a symbolic link."""
    for path, content in files.items():
        place = folder / path.lstrip('/')
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith('->'):
            place.symlink_to(content[2:])
        else:
            place.write_bytes(content if isinstance(content, bytes) else content.encode('utf-8'))
    return Root(str(folder))


def almalinux(folder: Path, version: str = '9.2', files: Optional[Dict[str, str]] = None) -> Root:
    """An AlmaLinux root as far as facts look at it."""
    tree = {REPOS + name: text for name, text in osfiles.repo_files(version).items()}
    tree.update({'/etc/os-release': osfiles.os_release(version), '/etc/hostname': 'web1.example.com\n',
                 '/etc/dnf/vars/note': 'x\n', '/etc/pki/rpm-gpg/RPM-GPG-KEY-AlmaLinux-9': 'a key\n'})
    tree.update(files or {})
    return plant(folder, tree)


def gather(root: Root, architecture: str = 'x86_64') -> Facts:
    """The facts of a root."""
    return gathering.gather(root, architecture)


def outcome(product: str = 'esu', **changed: Any) -> Enrolment:
    """What came of an enrolment in which everything answered."""
    repositories = tuple(entry.id for entry in catalogue().repositories if product in entry.products)
    return Enrolment(Token(TOKEN), product, repositories, ('AppStream', 'BaseOS', 'extras'), b'the key\n')._replace(**changed)


def registration_changes(root: Root, wish: Wish = NO_WISH, when: str = WHEN, **changed: Any) -> List[Change]:
    """What registering this root would change."""
    facts = gather(root)
    host = planner.check_host(facts, catalogue(), wish)
    return planner.registration_changes(facts, catalogue(), settings(), host, outcome(**changed), when, True)


def registered(folder: Path, files: Optional[Dict[str, str]] = None) -> Root:
    """A registered 9.2 root, its files written by the journal."""
    root = almalinux(folder, files=files)
    journal.apply(root, 'dnf tuxcare register', registration_changes(root))
    return root


def snapshot(folder: Path) -> Dict[str, Any]:
    """Every path of a tree with all that has to come back: type, mode, owner, attributes, bytes or target, time of files."""
    found: Dict[str, Any] = {}
    for top, folders, names in os.walk(str(folder)):
        for name in folders + names:
            path = os.path.join(top, name)
            status = os.lstat(path)
            if os.path.islink(path):
                content: Any = os.readlink(path)
            else:
                content = None if os.path.isdir(path) else (Path(path).read_bytes(), status.st_mtime_ns)
            attributes = [(key, os.getxattr(path, key, follow_symlinks=False))
                          for key in sorted(os.listxattr(path, follow_symlinks=False))]
            found[os.path.relpath(path, str(folder))] = (
                oct(status.st_mode), status.st_uid, status.st_gid, attributes, content)
    return found


def release(text: str) -> Release:
    """A release that is known to be one."""
    found = Release.parse(text)
    assert found is not None
    return found


def edited(folder: Path, path: str, old: str, new: str) -> None:
    """An administrator's edit of a file in the tree."""
    place = folder / path.lstrip('/')
    text = inifile.decode(place.read_bytes())
    assert old in text
    place.write_bytes(inifile.encode(text.replace(old, new)))
