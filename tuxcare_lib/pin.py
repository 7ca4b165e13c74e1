# SPDX-License-Identifier: Apache-2.0
"""The rules of the pin: where a package comes from decides, then what it is. Pure; docs/pin.md has the tables.

A repository is `trusted` (all its packages), `debug` (debug and source packages of the pinned release), `past` (an operating
system's tree that is not the pinned one) or `foreign` (somebody else's: only what cannot move the host).
"""

import re
from typing import FrozenSet, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import urlsplit

from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.host import Registration
from tuxcare_lib.model import Release
from tuxcare_lib.settings import Settings

TRUSTED, DEBUG, PAST, FOREIGN = 'trusted', 'debug', 'past', 'foreign'
VENDOR = 'TuxCare'
_DEBUG_PACKAGE = re.compile(r'(-debuginfo|-debugsource|-debuginfo-common(-\w+)?)\Z', re.A)
_TAG = re.compile(r'\.el(\d+)_(\d+)|\.module_el(\d+)\.(\d+)|\.el(\d+)(?![\d_])', re.A)


class Policy(NamedTuple):
    """What counts on one host. `prefixes` are URLs that end in `/`."""

    pin: Release
    prefixes: Tuple[str, ...]
    os_hosts: FrozenSet[str]
    trees: FrozenSet[str]
    os_vendors: FrozenSet[str]
    release_packages: FrozenSet[str]
    allow: FrozenSet[str]


class Candidate(NamedTuple):
    """A package that may come in. `replaces` is the vendor of an installed package that it would replace or obsolete."""

    name: str
    release: str
    vendor: str
    repository: str
    replaces: Optional[str] = None


def policy(registration: Registration, pin: Release, token: str, catalogue: Catalogue, settings: Settings) -> Policy:
    """The policy of a registered host."""
    families = catalogue.families
    own = '{}/{}/{}/{}/'.format(settings.repo_url, families[registration.family].vetted_path, pin, token)
    prefixes = [own, '{}/tuxcare/{}/'.format(settings.repo_url, pin)]
    prefixes += [url.replace('$tuxcare_releasever', str(pin)).rstrip('/') + '/' for url in settings.trusted_url]
    return Policy(
        pin, tuple(prefixes), frozenset(host for family in families.values() for host in family.hosts),
        frozenset(tree.lower() for family in families.values() for tree in family.trees),
        frozenset(vendor for family in families.values() for vendor in family.vendors),
        frozenset(name for family in families.values() for name in family.release_packages),
        frozenset(settings.allow))


def pinned_release(registration: Registration, variable: str, catalogue: Catalogue) -> Optional[Release]:
    """The release that a host is held on, or None where the variable is not one that it may be.

    ESU: the registration is the truth and the variable has to equal it. Where a product may move, the variable is the truth,
    among the installed release and what the catalogue lets it move to.
    """
    release = Release.parse(variable)
    if not catalogue.products[registration.product].moves:
        return release if release == registration.pin else None
    entry = catalogue.entry(registration.family, registration.release)
    allowed = {registration.release, registration.pin} | set(entry.moves if entry else ())
    return release if release in allowed else None


def classify(urls: Sequence[str], rules: Policy) -> str:
    """The class of a repository by all its resolved URLs, never by id, name or file."""
    if not urls:
        return FOREIGN
    if all(_beneath(url, rules.prefixes) for url in urls):
        return TRUSTED
    kinds = {_os_kind(url, rules) for url in urls}
    if kinds == {DEBUG}:
        return DEBUG
    return PAST if PAST in kinds or DEBUG in kinds else FOREIGN


def _beneath(url: str, prefixes: Sequence[str]) -> bool:
    """Whether a URL lies in a folder of the prefixes. Anything that servers may read in two ways is not trusted."""
    if re.search(r'[\\%?#\s]|/\.{1,2}(/|\Z)|//', url.partition('://')[2]):
        return False
    normal = _normal(url)
    return normal is not None and any(normal.startswith(prefix) for prefix in map(_normal, prefixes) if prefix)


def _normal(url: str) -> Optional[str]:
    """Scheme, host and port in one spelling; None for user information or no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {'https': 443, 'http': 80}.get(parts.scheme, 0)
    except ValueError:
        return None
    if parts.username is not None or not parts.scheme:
        return None
    return '{}://{}:{}{}/'.format(parts.scheme, (parts.hostname or '').rstrip('.'), port, parts.path.rstrip('/'))


def _os_kind(url: str, rules: Policy) -> str:
    """PAST, DEBUG or FOREIGN for a URL that is not trusted: a known host, or a path as operating systems have it."""
    try:
        parts = urlsplit(url)
        host = (parts.hostname or '').lower().rstrip('.')
    except ValueError:
        return FOREIGN
    words = [word for word in re.split(r'[/?&=]+', (parts.path + '?' + parts.query).lower()) if word]
    releases = [word for word in words if re.match(r'\d+(\.\d+)?\Z', word, re.A)]
    pinned = releases == [str(rules.pin)]
    if host in rules.os_hosts:
        debug = any(re.search(r'(^|-)(debug|debuginfo|source)(-|\Z)', word) for word in words)
        return FOREIGN if pinned and not debug else DEBUG if pinned else PAST
    if releases and rules.trees & set(words) and not pinned:
        return PAST
    return FOREIGN


def is_past(release: str, pin: Release) -> bool:
    """Whether a package's release tag names a minor past the pin (`.el9_4`, `.module_el9.4.0`) or a later major.

    Most packages do not tell their minor; that is why where they come from decides.
    """
    for match in _TAG.finditer(release):
        numbers = [int(number) for number in match.groups() if number is not None]
        if numbers[0] > pin.major or (numbers[0] == pin.major and len(numbers) > 1 and numbers[1] > pin.minor):
            return True
    return False


def verdict(package: Candidate, kind: str, rules: Policy) -> Optional[str]:
    """Why a package may not come in; None where it may."""
    if kind == TRUSTED or '{}@{}'.format(package.name, package.repository) in rules.allow:
        return None
    if kind == PAST:
        return 'its repository is an operating system\'s tree that is not the one of {}'.format(rules.pin)
    if kind == DEBUG:
        return None if _DEBUG_PACKAGE.search(package.name) else 'its repository is trusted for debug packages only'
    if package.vendor in rules.os_vendors or package.name in rules.release_packages:
        return 'it is a package of an operating system ({}) from outside the vetted repositories'.format(package.vendor)
    if is_past(package.release, rules.pin):
        return 'it was built for a release past {}'.format(rules.pin)
    if package.replaces is not None and (package.replaces in rules.os_vendors or package.replaces == VENDOR):
        return 'it would replace a package of {}'.format(package.replaces)
    return None


def refusal(nevra: str, repository: str, reason: str, rules: Policy) -> str:
    """The one line that refuses a transaction: package, repository, remedy."""
    return ('{} from {} is past the pin: {}. This host is held on {}. Leave it out (--exclude or --disablerepo={}), '
            'or record an exception in [pin] allow of /etc/dnf/plugins/tuxcare.conf.'.format(
                nevra, repository, reason, rules.pin, repository))


def outsiders(kinds: Sequence[Tuple[str, str]], kind: str) -> List[str]:
    """The ids of the repositories of one class, from (id, class) pairs."""
    return [name for name, found in kinds if found == kind]
