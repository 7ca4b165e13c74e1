# SPDX-License-Identifier: Apache-2.0
"""The rules of the pin: where a package comes from decides, then what it is. Pure; docs/pin.md has the tables.

Every dnf command on a registered host imports this module, so it costs little: no typing, no value classes, no parser
(importing `typing` alone takes longer than all the hooks together). A policy is a plain document, made by `policy`.

A repository is `trusted` (all its packages), `debug` (debug and source packages of the pinned release), `past` (an operating
system's tree that is not the pinned one) or `foreign` (somebody else's: only what cannot move the host).
"""

import hashlib
import json
import re
from urllib.parse import urlsplit

MYPY = False
if MYPY:
    from typing import Any, Dict, Iterable, List, Optional, Tuple

TRUSTED, DEBUG, PAST, FOREIGN = 'trusted', 'debug', 'past', 'foreign'
# The vendor tag of TuxCare's own packages [inferred, FACTS 7].
VENDOR = 'TuxCare'
# Expressions are compiled where a foreign repository asks for them: five of them would take as long as all hooks together.
_DEBUG_PACKAGE = r'-(debuginfo|debugsource|debuginfo-common(-\w+)?)\Z'
_TAG = r'(?:[._+~^-]|^)(?:el(\d+)_(\d+)|module[_+]el(\d+)\.(\d+)|el(\d+)(?![\d_]))'
# Our own package: a stranger's must not take the guard away.
OWN_PACKAGE = 'dnf-plugin-tuxcare'
_MOVES = 'it would make this host one of'
# What dnf knows the release package of any operating system by (FACTS 3).
RELEASE_PROVIDES = ('system-release', 'redhat-release')
_DIGITS = frozenset('0123456789')
# No character that a server may read in two ways: percent, backslash, query, fragment, blanks, anything outside ASCII.
_PLAIN = frozenset(chr(code) for code in range(0x21, 0x7f)) - frozenset('\\%?#')
_TOKEN = _DIGITS.union('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-')


class Rules:
    """A policy, bound to the release and the token of one host. `pin` is (major, minor)."""

    def __init__(self, document: 'Dict[str, Any]', family: str, pin: 'Tuple[int, int]', token: 'Optional[str]') -> None:
        self.pin = pin
        self.os_hosts = frozenset(document['os_hosts'])
        self.trees = frozenset(document['trees'])
        self.os_vendors = frozenset(vendor.lower() for vendor in document['os_vendors'])
        self.release_packages = frozenset(document['release_packages'])
        self.allow = frozenset(document['allow'])
        release = '{}.{}'.format(*pin)
        own = '{}/{}/{}/{}/'.format(document['repo_url'], document['vetted_paths'][family], release, token or '-')
        prefixes = [own, '{}/tuxcare/{}/'.format(document['repo_url'], release)]
        prefixes += [url.replace('$tuxcare_releasever', release).rstrip('/') + '/' for url in document['trusted_url']]
        self.prefixes = tuple(prefix for prefix in map(_normal, prefixes) if prefix)

    @property
    def release(self) -> str:
        """The release as people write it."""
        return '{}.{}'.format(*self.pin)


def digest(data: bytes) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def seal(document: 'Dict[str, Any]') -> str:
    """The checksum of a record over all of its keys but `seal`: a damaged or edited one is known as such.

    No secret is in it, so it keeps no attacker out.
    """
    rest = {key: value for key, value in document.items() if key != 'seal'}
    return digest(json.dumps(rest, sort_keys=True).encode('ascii'))


def parse_release(text: str) -> 'Optional[Tuple[int, int]]':
    """(major, minor), or None where the text is anything but two plain numbers and a dot."""
    parts = text.split('.')
    if len(parts) != 2 or not all(0 < len(part) < 5 and _DIGITS.issuperset(part) and str(int(part)) == part for part in parts):
        return None
    return int(parts[0]), int(parts[1])


def is_token(text: str) -> bool:
    """Whether a text can be a token; it becomes a folder of a URL."""
    return 4 <= len(text) <= 256 and _TOKEN.issuperset(text)


def pinned_release(record: 'Dict[str, Any]', variable: str, document: 'Dict[str, Any]',
                   installed: 'Optional[Tuple[int, int]]' = None) -> 'Optional[Tuple[int, int]]':
    """The release that a host is held on, or None where the variable is not one that it may be.

    ESU: the registration is the truth and the variable has to equal it. Where a product may move, the variable is the truth,
    among the release it was registered on and what the catalogue lets it move to; never below the release that is `installed`.
    """
    if not document['moves_of_products'][record['product']]:
        return parse_release(variable) if variable == record['pin'] else None
    allowed = [record['release'], record['pin']]
    for start in {record['release'], '{}.{}'.format(*installed) if installed else ''}:
        allowed += document['moves'].get('{} {}'.format(record['family'], start), [])
    release = parse_release(variable) if variable in allowed else None
    return None if release and installed and release < installed else release


def marker_line(title: str, release: object) -> str:
    """The line of /etc/tuxcare-release, as security scanners look for it (FACTS 2)."""
    return 'TuxCare Enterprise Support for {} release {}'.format(title, release)


def impossible(record: 'Dict[str, Any]', document: 'Dict[str, Any]') -> 'Optional[str]':
    """What in a registration cannot be, by the catalogue; None where it can."""
    product = record['product']
    if product not in document['available'].get('{} {}'.format(record['family'], record['release']), ()):
        return 'the catalogue has no {} for {} {}'.format(product, record['family'], record['release'])
    if not document['moves_of_products'][product] and record['pin'] != record['release']:
        return '{} does not move, and the registration holds {} on {}'.format(product, record['release'], record['pin'])
    return next(('the registration is for {} and has the repository {}, which is for {}'.format(product, name, proved)
                 for name, proved in document['proves'].items() if proved != product and name in record['repositories']), None)


def contradiction(record: 'Dict[str, Any]', release: str, line: str, own_repositories: str,
                  document: 'Dict[str, Any]') -> 'Optional[str]':
    """What of a host's other witnesses contradicts its registration; None where all say the same.

    `release` is what the host is held on, `line` the first one of the marker, `own_repositories` the text of tuxcare.repo.
    """
    for name, proved in document['proves'].items():
        if proved != record['product'] and '[{}]'.format(name) in own_repositories:
            return 'it is for {}, and the repository {} is there, which is for {}'.format(record['product'], name, proved)
    if record['repositories'] and not own_repositories:
        return '/etc/yum.repos.d/tuxcare.repo is missing'
    if line not in [marker_line(document['titles'][record['family']], known) for known in (record['pin'], release)]:
        return '/etc/tuxcare-release {}'.format('is missing or empty' if not line else 'does not name the release')
    return None


def classify(urls: 'Iterable[str]', rules: Rules) -> str:
    """The class of a repository by all its resolved URLs, never by id, name or file."""
    urls = list(urls)
    if not urls:
        return FOREIGN
    if all(_beneath(url, rules.prefixes) for url in urls):
        # An own prefix may have been set one folder too high: it does not outweigh another release in the address itself.
        return PAST if any(_names_another_minor(url, rules) for url in urls) else TRUSTED
    if any(_beneath(url, rules.prefixes) for url in urls):
        # Half trusted: dnf keeps its metadata where those of the trusted address alone would be, and takes them for those later.
        return PAST
    kinds = {_os_kind(url, rules) for url in urls}
    if kinds == {DEBUG}:
        return DEBUG
    return PAST if PAST in kinds or DEBUG in kinds else FOREIGN


def _beneath(url: str, prefixes: 'Tuple[str, ...]') -> bool:
    """Whether a URL lies in a folder of the prefixes. Anything that servers may read in two ways is not trusted."""
    rest = url.partition('://')[2].lstrip('/')
    if not _PLAIN.issuperset(rest) or any(part in ('', '.', '..') for part in rest.rstrip('/').split('/')) or '//' in rest:
        return False
    normal = _normal(url)
    return normal is not None and normal.startswith(prefixes)


def _normal(url: str) -> 'Optional[str]':
    """Scheme, host and port in one spelling; None for user information or no URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {'https': 443, 'http': 80}.get(parts.scheme, 0)
    except ValueError:
        return None
    if parts.username is not None or not parts.scheme:
        return None
    return '{}://{}:{}{}/'.format(parts.scheme, (parts.hostname or '').rstrip('.'), port, parts.path.rstrip('/'))


def _words(url: str) -> 'List[str]':
    parts = urlsplit(url)
    return [word for word in re.split(r'[/?&=]+', (parts.path + '?' + parts.query).lower()) if word]


def _names_another_minor(url: str, rules: Rules) -> bool:
    """Whether a URL names an operating system's tree, and another minor of the pinned major."""
    if rules.release in url:
        return False
    words = _words(url)
    minors = [release for release in map(parse_release, words) if release and release[0] == rules.pin[0]]
    return bool(minors and rules.trees.intersection(words))


def _os_kind(url: str, rules: Rules) -> str:
    """PAST, DEBUG or FOREIGN for a URL that is not trusted: a known host, or a path as operating systems have it."""
    try:
        host = (urlsplit(url).hostname or '').lower().rstrip('.')
        words = _words(url)
    except ValueError:
        return FOREIGN
    releases = [word for word in words if re.match(r'\d+(\.\d+)?\Z', word, re.A)]
    pinned = releases == [rules.release] and '..' not in words
    if host in rules.os_hosts:
        debug = any(re.search(r'(^|-)(debug|debuginfo|source)(-|\Z)', word) for word in words)
        return FOREIGN if pinned and not debug else DEBUG if pinned else PAST
    if releases and rules.trees & set(words) and not pinned:
        return PAST
    return FOREIGN


def is_past(release: str, pin: 'Tuple[int, int]') -> bool:
    """Whether a package's release tag names a minor past the pin (`.el9_4`, `.module_el9.4.0`) or a later major.

    Most packages do not tell their minor; that is why where they come from decides.
    """
    for match in re.finditer(_TAG, release, re.A | re.I):
        numbers = tuple(int(number) for number in match.groups() if number is not None)
        if numbers[0] > pin[0] or (numbers[0] == pin[0] and len(numbers) > 1 and numbers[1] > pin[1]):
            return True
    return False


class Package:
    """What decides of a package; dependencies are texts (`openssl < 2`). dnf's own packages will do, too."""

    def __init__(self, name: str, version: str, release: str, vendor: 'Optional[str]', obsoletes: 'Iterable[str]' = (),
                 provides: 'Iterable[str]' = (), conflicts: 'Iterable[str]' = (), epoch: int = 0) -> None:
        self.name = name
        self.epoch = epoch
        self.version = version
        self.release = release
        self.vendor = vendor
        self.obsoletes = list(obsoletes)
        self.provides = list(provides)
        self.conflicts = list(conflicts)


def protector(name: str, vendor: 'Optional[str]', package: Package) -> 'Optional[str]':
    """The vendor that an installed package counts as when `package` would replace it: ours is held against other vendors, too."""
    same = package.name == OWN_PACKAGE and (package.vendor or '') == (vendor or '')
    return VENDOR if name == OWN_PACKAGE and not same else vendor


def is_os_vendor(vendor: 'Optional[str]', rules: Rules) -> bool:
    """Whether a vendor tag is an operating system's, however it is spelled."""
    return ' '.join((vendor or '').lower().split()) in rules.os_vendors


def protects(vendor: 'Optional[str]', rules: Rules) -> bool:
    """Whether installed packages of this vendor may be replaced from trusted repositories only."""
    return vendor == VENDOR or is_os_vendor(vendor, rules)


def content_verdict(package: Package, rules: Rules) -> 'Optional[str]':
    """Why a package of a foreign repository may not come in, by itself; None where nothing speaks against it."""
    if protects(package.vendor, rules) or package.name in rules.release_packages:
        return 'it is a package of an operating system ({}) from outside the vetted repositories'.format(
            package.vendor or 'no vendor')
    return _tag_verdict(package, rules)


def _tag_verdict(package: Package, rules: Rules) -> 'Optional[str]':
    past = is_past('{}-{}'.format(package.version, package.release), rules.pin)
    return 'it was built for a release past {}'.format(rules.release) if past else None


def moves_the_host(package: Package, rules: Rules) -> bool:
    """Whether it is the release package of another minor: with it, the host is on that one."""
    return package.name in rules.release_packages and parse_release(package.version) != rules.pin


def verdict(kind: str, package: Package, repository: str, replaces: 'Iterable[Optional[str]]', rules: Rules) -> 'Optional[str]':
    """Why a package may not come in; None where it may.

    `replaces` are the vendors of the installed packages that it would replace or obsolete; of a debug package, of those only
    that it would obsolete.
    """
    if moves_the_host(package, rules):  # from a vetted tree, too: an own mirror may have been synchronized too far
        return '{} {}'.format(_MOVES, package.version)
    if kind == TRUSTED or '{}@{}'.format(package.name, repository) in rules.allow:
        return None
    if kind == PAST:
        return 'its repository is an operating system\'s tree that is not the one of {}'.format(rules.release)
    if kind == DEBUG and not re.search(_DEBUG_PACKAGE, package.name, re.A):
        return 'its repository is trusted for debug packages only'
    found = _tag_verdict(package, rules) if kind == DEBUG else content_verdict(package, rules)
    if found is None and any(str(provided).split(' ')[0] in RELEASE_PROVIDES for provided in package.provides):
        found = 'it is the release package of an operating system'
    if found is None:
        found = next(('it would replace a package of {}'.format(other) for other in replaces if protects(other, rules)), None)
    return found


def refusal(nevra: str, repository: str, reason: str, rules: Rules) -> str:
    """The one line that refuses a transaction: package, repository, remedy."""
    place = 'the command line' if repository == '@commandline' else repository
    remedy = 'Leave it out.' if repository == '@commandline' else 'Leave it out (--exclude or --disablerepo={}){}.'.format(
        repository, '' if reason.startswith(_MOVES) else
        ', or record an exception in [pin] allow of /etc/dnf/plugins/tuxcare.conf')
    return '{} from {} is past the pin: {}. This host is held on {}. {}'.format(nevra, place, reason, rules.release, remedy)
