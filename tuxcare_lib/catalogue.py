# SPDX-License-Identifier: Apache-2.0
"""The catalogue: what the vendor offers for which release. Data of conf/catalogue.conf, checked; nothing of it is in code."""

import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from tuxcare_lib import schema
from tuxcare_lib.errors import ConfigurationError, Problem
from tuxcare_lib.model import Family, PackageSet, Product, Release, ReleaseEntry, RepositoryEntry
from tuxcare_lib.schema import Key, Read

SCHEMA_VERSION = 1

_NEVR = re.compile(r'[A-Za-z0-9._+-]+-(?:[0-9]+:)?[^-\s:/]+-[^-\s:/]+\Z', re.A)


def _releases(value: str) -> Tuple[Release, ...]:
    found = [Release.parse(word) for word in value.split()]
    if not found or None in found:
        raise ValueError('releases such as 9.2 are needed, separated by white space')
    return tuple(release for release in found if release is not None)


def _aliases(value: str) -> Dict[str, str]:
    pairs = [word.split('=') for word in value.split()]
    if any(len(pair) != 2 for pair in pairs):
        raise ValueError('pairs such as ha=HighAvailability are needed')
    return {pair[0]: pair[1] for pair in pairs}


def _package(value: str) -> str:
    if not _NEVR.match(value):
        raise ValueError('a package such as openssl-1:3.0.7-20.el9_2.tuxcare.1 is needed')
    return value


def _packages(value: str) -> Tuple[str, ...]:
    return tuple(_package(word) for word in value.split())


def _certificates(value: str) -> Dict[str, str]:
    pairs = dict(re.findall(r'(?:^|\s)([A-Za-z0-9._+-]+)=([0-9]{1,6})(?=\s|\Z)', value, re.A))
    if len(pairs) != len(value.split()):
        raise ValueError('pairs of a package name and a certificate number such as openssl=1234 are needed')
    return pairs


def _path(value: str) -> str:
    variables = set(re.findall(r'\$\{?(\w*)', value))
    if not re.match(r'[A-Za-z0-9$_./-]+/\Z', value, re.A) or not variables <= {'tuxcare_releasever', 'tuxcare_token', 'basearch'}:
        raise ValueError('a path that ends in / is needed; it may hold $tuxcare_releasever, $tuxcare_token and $basearch')
    return value


def _version(value: str) -> int:
    if value != str(SCHEMA_VERSION):
        raise ValueError('this version of the product reads schema {} only'.format(SCHEMA_VERSION))
    return SCHEMA_VERSION


_URL = Key(schema.url, required=True)

# docs/catalogue.md describes each; a test compares the two.
SCHEMA: Dict[str, Dict[str, Key]] = {
    'catalogue': {'schema': Key(_version, required=True)},
    'service': {'register_url': _URL, 'check_url': _URL, 'unregister_url': _URL, 'repo_url': _URL, 'gpg_key_url': _URL,
                'gpg_key_fingerprint': Key(schema.fingerprint, required=True)},
    'product': {'title': Key(schema.text, required=True), 'key_prefix': Key(schema.text, default=''),
                'moves': Key(schema.boolean, required=True), 'marketplaces': Key(schema.words, default=())},
    'family': {'title': Key(schema.text, required=True), 'os_release_id': Key(schema.text, required=True),
               'hosts': Key(schema.words, required=True), 'vetted_path': Key(schema.text, default=''),
               'trees': Key(schema.words, default=()), 'tree_aliases': Key(_aliases, default={}),
               'vendors': Key(schema.lines, required=True),
               'release_packages': Key(schema.words, required=True)},
    'release': {'architectures': Key(schema.words, required=True), 'available': Key(schema.words, default=()),
                'planned': Key(schema.words, default=()), 'moves': Key(_releases, default=())},
    'repository': {'title': Key(schema.text, required=True), 'path': Key(_path, required=True),
                   'products': Key(schema.words, required=True), 'fips': Key(schema.boolean, default=False),
                   'proves': Key(schema.text, default='')},
    'fips': {'kernel': Key(_package, required=True), 'modules': Key(_packages, required=True),
             'multilib': Key(schema.words, default=()), 'certificates': Key(_certificates, default={}),
             'holds': Key(schema.words, default=())},
}

# How many words follow the kind in the name of a section.
_ARGUMENTS = {'product': 1, 'family': 1, 'release': 2, 'repository': 1, 'fips': 3}


class Catalogue(NamedTuple):
    """Everything in it, ready to ask."""

    service: Dict[str, str]
    products: Dict[str, Product]
    families: Dict[str, Family]
    releases: Tuple[ReleaseEntry, ...]
    repositories: Tuple[RepositoryEntry, ...]
    package_sets: Tuple[PackageSet, ...]

    def family_of(self, os_release_id: str) -> Optional[Family]:
        """The family whose `ID=` in os-release this is."""
        return next((family for family in self.families.values() if family.os_release_id == os_release_id), None)

    def entry(self, family: str, release: Release) -> Optional[ReleaseEntry]:
        """What is known of this release of a family."""
        return next((entry for entry in self.releases if (entry.family, entry.release) == (family, release)), None)

    def package_set(self, family: str, release: Release, architecture: str) -> Optional[PackageSet]:
        """The FIPS set of a release and architecture; None where there is none."""
        wanted = (family, release, architecture)
        return next((found for found in self.package_sets
                     if (found.family, found.release, found.architecture) == wanted), None)

    def releases_of(self, product: str) -> List[ReleaseEntry]:
        """The releases for which a product is available, in numerical order."""
        return sorted(entry for entry in self.releases if product in entry.products)

    def supported_families(self) -> List[Family]:
        """Families that have a release in the catalogue."""
        return [family for family in self.families.values()
                if any(entry.family == family.id for entry in self.releases)]


def read(sources: Sequence[Tuple[str, str]]) -> Catalogue:
    """The catalogue from (path, text) pairs, the shipped file first; a later section replaces one of the same name.

    Raises ConfigurationError with every problem of every file.
    """
    sections: Dict[Tuple[str, Tuple[str, ...]], Tuple[str, Read]] = {}
    problems: List[Problem] = []
    for path, text in sources:
        found, bad = schema.read(path, text, SCHEMA, _ARGUMENTS)
        problems += bad
        for section in found:
            sections[(section.kind, section.arguments)] = (path, section)
    if not problems:
        problems = _cross_check(sections)
    if problems:
        raise ConfigurationError(problems)
    return _build([section for _, section in sections.values()])


def _cross_check(sections: Dict[Tuple[str, Tuple[str, ...]], Tuple[str, Read]]) -> List[Problem]:
    """References between sections: families, products, releases that are named have to be there."""
    problems: List[Problem] = []
    for kind in ('catalogue', 'service'):
        if (kind, ()) not in sections:
            problems.append(Problem('catalogue', 0, 'section [{}] is missing'.format(kind)))
    for path, section in sections.values():
        for text in _dangling(section, sections):
            problems.append(Problem(path, section.line, text))
    return problems


def _dangling(section: Read, sections: Dict[Tuple[str, Tuple[str, ...]], Tuple[str, Read]]) -> List[str]:
    texts = []
    if section.kind in ('release', 'fips'):
        if ('family', section.arguments[:1]) not in sections:
            texts.append('[{} {}]: there is no such family'.format(section.kind, ' '.join(section.arguments)))
        if Release.parse(section.arguments[1]) is None:
            texts.append('{!r} is not a release such as 9.2'.format(section.arguments[1]))
        elif section.kind == 'fips' and ('release', section.arguments[:2]) not in sections:
            texts.append('[fips {}]: that release is not in the catalogue'.format(' '.join(section.arguments)))
    named = section.values.get('products', ()) or ()
    named = tuple(named) + tuple(section.values.get('available', ()) or ()) + tuple(section.values.get('planned', ()) or ())
    named += (section.values['proves'],) if section.values.get('proves') else ()
    texts += ['there is no product {!r}'.format(name) for name in named if ('product', (name,)) not in sections]
    if section.kind == 'release':
        texts += ['moves to {}, which is not in the catalogue'.format(release) for release in section.values['moves']
                  if ('release', (section.arguments[0], str(release))) not in sections]
    return texts


def _release(text: str) -> Release:
    release = Release.parse(text)
    assert release is not None  # _cross_check has seen to it
    return release


def _build(sections: List[Read]) -> Catalogue:
    by_kind = {kind: [section for section in sections if section.kind == kind] for kind in SCHEMA}

    def named(kind: str, make: Any) -> Dict[str, Any]:
        return {section.arguments[0]: make(section.arguments[0], section.values) for section in by_kind[kind]}

    return Catalogue(
        service=by_kind['service'][0].values,
        products=named('product', lambda name, values: Product(name, **values)),
        families=named('family', lambda name, values: Family(name, **values)),
        releases=tuple(ReleaseEntry(
            family=section.arguments[0], release=_release(section.arguments[1]),
            architectures=section.values['architectures'], products=section.values['available'],
            planned=section.values['planned'], moves=section.values['moves']) for section in by_kind['release']),
        repositories=tuple(RepositoryEntry(section.arguments[0], **section.values)
                           for section in by_kind['repository']),
        package_sets=tuple(PackageSet(
            section.arguments[0], _release(section.arguments[1]), section.arguments[2], **section.values)
            for section in by_kind['fips']))
