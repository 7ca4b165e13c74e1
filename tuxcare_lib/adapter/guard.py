# SPDX-License-Identifier: Apache-2.0
"""The guard: the rules of the pin (`pin`, pure) applied to dnf's repositories, sack, plan and rpm transaction.

Imported by every dnf command on a registered host: only what is cheap is imported here (see `pin`).
"""

import json
import logging
import os

from tuxcare_lib import pin

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Optional

    import dnf

logger = logging.getLogger('dnf.plugin')

_STATE = 'var/lib/tuxcare'
_VARIABLES = 'etc/dnf/vars'
_LIMIT = 1 << 20


class Unsafe(Exception):
    """Something that the guard needs is missing, damaged or contradicts itself. The text ends with the remedy."""


class Past(Exception):
    """A package from past the pin. The text is the whole line."""


class Guard:
    """Holds a registered host on its release, in the hooks of one dnf process. Raises Unsafe when it cannot."""

    def __init__(self, root: str, conf: 'Any') -> None:
        self._root = root
        self.record = self._read_record()
        self.policy = self._read_policy(conf)
        self.token = self._read_token()
        self.rules = pin.Rules(self.policy, self.record['family'], self._read_release(), self.token)
        self._kinds = {}  # type: Dict[str, str]

    # --- what it knows ----------------------------------------------------------------------------------------------

    def _read_record(self) -> 'Dict[str, Any]':
        path = '/{}/registration.json'.format(_STATE)
        data = _read(self._root, path)
        remedy = 'Put it back from a backup, or run `dnf tuxcare unregister --local` and register again.'
        if data is None:
            raise Unsafe('{} is missing, though this host was registered by dnf tuxcare. {}'.format(path, remedy))
        try:
            record = json.loads(data.decode('utf-8'))
            for key in ('family', 'product', 'release', 'pin'):
                if not isinstance(record[key], str):
                    raise ValueError(key)
            schema = record['schema']
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Unsafe('{} is damaged. {}'.format(path, remedy))
        if schema != 1:
            raise Unsafe('{} has schema {!r}, this version reads 1. Install the version of dnf-plugin-tuxcare that '
                         'wrote it.'.format(path, schema))
        return record  # type: ignore[no-any-return]

    def _read_policy(self, conf: 'Any') -> 'Dict[str, Any]':
        """The policy from our cache, or made anew where a file behind it has changed (or the cache is not root's own)."""
        from tuxcare_lib.adapter import sources
        identity = sources.identity(conf)
        path = os.path.join(conf.cachedir if os.geteuid() == 0 else conf.system_cachedir, 'tuxcare-policy.json')
        try:
            cached = json.loads((_read('/', path, roots_own=True) or b'').decode('utf-8'))
            if cached['identity'] == identity:
                return cached['policy']  # type: ignore[no-any-return]
        except (Unsafe, ValueError, KeyError, TypeError):
            pass  # made anew
        from tuxcare_lib.adapter.configuration import policy_anew
        return policy_anew(conf, path, identity)

    def _read_token(self) -> 'Optional[str]':
        """The token; None for an ordinary user, who cannot read it."""
        path = '/{}/tuxcare_token'.format(_VARIABLES)
        if os.geteuid() != 0 and not os.access(_outside(self._root, path), os.R_OK):
            return None
        value = self._variable(path)
        if value is None or not pin.is_token(value):
            raise Unsafe('{} is {}. Run `dnf tuxcare register --replace`, or put it back from a backup.'.format(
                path, 'missing' if value is None else 'damaged'))
        return value

    def _read_release(self) -> 'Any':
        path = '/{}/tuxcare_releasever'.format(_VARIABLES)
        value = self._variable(path)
        try:
            release = pin.pinned_release(self.record, value or '', self.policy)
        except KeyError:
            raise Unsafe('The catalogue does not know the product {!r} of this registration. Reinstall '
                         'dnf-plugin-tuxcare.'.format(self.record['product']))
        if release is None:
            raise Unsafe('{} {}, and this host is held on {}. Run: echo {} > {}'.format(
                path, 'is missing' if value is None else 'holds {!r}'.format(value), self.record['pin'],
                self.record['pin'], path))
        return release

    def _variable(self, path: str) -> 'Optional[str]':
        """A dnf variable as dnf would read it, without forgiving: one line, at most one end of line."""
        data = _read(self._root, path)
        if data is None:
            return None
        text = data.decode('utf-8', 'replace')
        return text[:-1] if text.endswith('\n') else text

    # --- what it does -----------------------------------------------------------------------------------------------

    def inject(self, substitutions: 'Any') -> None:
        """Give dnf the variables, validated; an ordinary user has no token to give."""
        substitutions['tuxcare_releasever'] = self.rules.release
        if self.token is not None:
            substitutions['tuxcare_token'] = self.token

    def look_at_repositories(self, base: 'dnf.Base', aloud: bool = True) -> None:
        """Before the sack: a tree past the pin is disabled; so is what needs the token where the user cannot read it."""
        past = []
        for repo in base.repos.iter_enabled():
            if self.token is None and any('$tuxcare_token' in url for url in _urls(repo)):
                repo.disable()
            elif self._kind(repo) == pin.PAST:
                past.append(repo)
        self._disable(past, aloud)

    def _disable(self, repos: 'List[Any]', aloud: bool = True) -> None:
        """Disable repositories past the pin, and say so in one line with the remedy."""
        for repo in repos:
            repo.disable()
        if not repos or not aloud:
            return
        remedy = '`dnf tuxcare repos switch` brings those of {0} back.' if self.record.get('reverted') else \
            'Disable them for good, or run `dnf tuxcare repos switch` where they are the operating system\'s own.'
        logger.warning('tuxcare: disabled, since this host is held on %s and they are not of it: %s. %s',
                       self.rules.release, ', '.join(repo.id for repo in repos), remedy.format(self.rules.release))

    def hide(self, base: 'dnf.Base') -> None:
        """In the sack: what is past the pin is out of sight, in foreign repositories alone."""
        foreign = [repo for repo in base.repos.iter_enabled() if self._kind(repo) != pin.TRUSTED]
        if foreign:
            from tuxcare_lib.adapter import sight
            sight.hide(base, foreign, self)

    def disable_by_content(self, repo: 'Any') -> None:
        """A repository that turned out to be an operating system's: disabled for the rest of the process."""
        self._kinds[_key(repo)] = pin.PAST
        self._disable([repo])

    def check_plan(self, base: 'dnf.Base') -> None:
        """The last word over what dnf has planned. Raises Past."""
        if base.transaction and self.rules.release in self.policy['closes_esu'].get(
                '{family} {release}'.format(**self.record), ()):
            logger.warning('tuxcare: this host moves from %s to %s; from there it cannot come to ESU any more.',
                           self.record['release'], self.rules.release)
        self._check_packages(base)

    def _check_packages(self, base: 'dnf.Base') -> None:
        for package in base.transaction.install_set if base.transaction else ():
            reason = self.verdict(base, package)
            if reason:
                raise Past(pin.refusal(str(package), package.reponame, reason, self.rules))

    def check_rpm(self, base: 'dnf.Base') -> None:
        """The last word over what rpm will really install: metadata can lie about a package. Raises Past."""
        planned = {str(package) for package in base.transaction.install_set} if base.transaction else set()
        for element in base._ts or ():
            if element.Type() == 1 and _nevra(element) not in planned:  # rpm's TR_ADDED
                raise Past('A repository describes the package {} as another one, so nothing that it says can be trusted. '
                           'Find it with `dnf repoquery` and disable it.'.format(_nevra(element)))
        self._check_packages(base)

    def verdict(self, base: 'dnf.Base', package: 'Any') -> 'Optional[str]':
        """Why a package may not come in; None where it may."""
        name = package.reponame
        kind = pin.FOREIGN if name == '@commandline' else self._kind(base.repos[name])
        if kind == pin.TRUSTED or pin.is_allowed(package.name, name, self.rules):
            return None
        return pin.verdict(kind, package.name, package.release, package.vendor, _replaced(base, package), self.rules)

    def _kind(self, repo: 'Any') -> str:
        """A repository's class, by its URLs as they are now: options may have changed them since the last look."""
        key = _key(repo)
        if key not in self._kinds:
            self._kinds[key] = pin.classify(_urls(repo), self.rules)
        return self._kinds[key]


def _replaced(base: 'dnf.Base', package: 'Any') -> 'List[str]':
    """Vendors of the installed packages that a package replaces (same name) or obsoletes."""
    installed = base.sack.query().installed()
    found = list(installed.filter(name=package.name))
    obsoleted = installed.filter(name=[str(dependency).split()[0] for dependency in package.obsoletes])
    if obsoleted and base.sack.query().filterm(pkg=[package], obsoletes=obsoleted):
        found += list(obsoleted)
    return [other.vendor for other in found]


def _nevra(element: 'Any') -> str:
    epoch = element.E()
    return '{}-{}{}-{}.{}'.format(element.N(), '{}:'.format(epoch) if epoch not in (None, '', '0', 0) else '',
                                  element.V(), element.R(), element.A())


def _urls(repo: 'Any') -> 'List[str]':
    return [url for url in list(repo.baseurl) + [repo.mirrorlist, repo.metalink] if url]


def _key(repo: 'Any') -> str:
    return repr((repo.id, _urls(repo)))


def _outside(root: str, path: str) -> str:
    return os.path.join(root, path.lstrip('/'))


def _read(root: str, path: str, roots_own: bool = False) -> 'Optional[bytes]':
    """A regular file's bytes; None where it does not exist. Raises Unsafe for a link, a folder, or what cannot be read."""
    try:
        descriptor = os.open(_outside(root, path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unsafe('{} cannot be read ({}). Put it back as a plain file of root\'s.'.format(path, error.strerror))
    with open(descriptor, 'rb') as stream:
        status = os.fstat(descriptor)
        if roots_own and (status.st_uid != 0 or status.st_mode & 0o022):
            return None
        try:
            return stream.read(_LIMIT)
        except OSError as error:
            raise Unsafe('{} cannot be read ({}). Put it back as a plain file of root\'s.'.format(path, error.strerror))
