# SPDX-License-Identifier: Apache-2.0
"""The guard: the rules of the pin (`pin`, pure) applied to dnf's repositories, sack, plan and rpm transaction."""

import logging
import os
from typing import Any, Dict, List, Optional

import dnf

from tuxcare_lib import inifile, pin, registration
from tuxcare_lib.adapter import read_configuration
from tuxcare_lib.errors import PinError, StateError
from tuxcare_lib.host import REGISTRATION, RELEASEVER, TOKEN, Registration
from tuxcare_lib.model import Release, Token
from tuxcare_lib.pin import FOREIGN, PAST, Candidate, Policy
from tuxcare_lib.rootfs import Root

logger = logging.getLogger('dnf.plugin')


class Guard:
    """Holds a registered host on its release, in the hooks of one dnf process.

    Raises StateError or ConfigurationError when what it needs is missing or contradicts itself.
    """

    def __init__(self, root: Root, conf: Any) -> None:
        data = root.read(REGISTRATION)
        if data is None:
            raise StateError('{} is missing on a registered host.'.format(REGISTRATION),
                             'Put it back, or run `dnf tuxcare unregister --local`.')
        self.registration: Registration = registration.parse(data)
        self.catalogue, self.settings = read_configuration(conf)
        self.token = _token(root)
        self.release = self._release(root)
        self.rules: Policy = pin.policy(self.registration, self.release, self.token or '-', self.catalogue, self.settings)
        self._kinds: Dict[str, str] = {}

    def _release(self, root: Root) -> Release:
        value = _variable(root, RELEASEVER)
        release = pin.pinned_release(self.registration, value or '', self.catalogue)
        if release is None:
            raise StateError('{} holds {!r}, and this host is held on {}.'.format(
                RELEASEVER, value or '', self.registration.pin),
                'Run: echo {} > {}'.format(self.registration.pin, RELEASEVER))
        return release

    def inject(self, substitutions: Any) -> None:
        """Give dnf the variables, validated; an ordinary user has no token to give."""
        substitutions['tuxcare_releasever'] = str(self.release)
        if self.token is not None:
            substitutions['tuxcare_token'] = self.token

    def look_at_repositories(self, base: dnf.Base, aloud: bool = True) -> None:
        """Before the sack: a tree past the pin is disabled; so is what needs the token where the user cannot read it."""
        for repo in base.repos.iter_enabled():
            if self.token is None and any('$tuxcare_token' in url for url in _urls(repo)):
                repo.disable()
            elif self._kind(repo) == PAST:
                repo.disable()
                logger.log(logging.WARNING if aloud else logging.DEBUG,
                           'tuxcare: repository %s is disabled: it is not of release %s, on which this host is held.',
                           repo.id, self.release)

    def hide(self, base: dnf.Base) -> None:
        """In the sack: what is past the pin is out of sight, in foreign repositories alone."""
        foreign = [repo.id for repo in base.repos.iter_enabled() if self._kind(repo) != pin.TRUSTED]
        if not foreign:
            return
        query = base.sack.query().available().filterm(reponame=foreign)
        hidden = [package for package in query if self._verdict(base, package)]
        protected = self._protected(base)
        excludes = base.sack.query().filterm(pkg=hidden)
        for package in query.filter(obsoletes=protected):
            if not self._is_allowed(package):
                excludes = excludes.union(base.sack.query().filterm(pkg=[package]))
        base.sack.add_excludes(excludes)

    def _protected(self, base: dnf.Base) -> Any:
        vendors = self.rules.os_vendors | {pin.VENDOR}
        return base.sack.query().installed().filterm(
            pkg=[package for package in base.sack.query().installed() if package.vendor in vendors])

    def _is_allowed(self, package: Any) -> bool:
        return '{}@{}'.format(package.name, package.reponame) in self.rules.allow

    def check_plan(self, base: dnf.Base) -> None:
        """The last word over what dnf has planned. Raises PinError."""
        for package in base.transaction.install_set if base.transaction else ():
            reason = self._verdict(base, package)
            if reason:
                raise PinError(pin.refusal(str(package), package.reponame, reason, self.rules))

    def check_rpm(self, base: dnf.Base) -> None:
        """The last word over what rpm will really install: metadata can lie about a package. Raises PinError."""
        planned = {str(package): package for package in base.transaction.install_set}
        for element in base._ts or ():
            if element.Type() != 1:  # rpm's TR_ADDED
                continue
            nevra = _nevra(element)
            package = planned.get(nevra)
            if package is None:
                raise PinError('A repository describes the package {} as another one, so nothing it says can be trusted; '
                               'find it with `dnf repoquery` and disable it.'.format(nevra))
        self.check_plan(base)

    def _verdict(self, base: dnf.Base, package: Any) -> Optional[str]:
        replaced = None
        for installed in base.sack.query().installed().filterm(name=package.name):
            replaced = installed.vendor or replaced
        kind = FOREIGN if package.reponame == '@commandline' else self._kind(base.repos[package.reponame])
        return pin.verdict(Candidate(package.name, package.release, package.vendor or '', package.reponame, replaced),
                           kind, self.rules)

    def _kind(self, repo: Any) -> str:
        """A repository's class, by its URLs as they are now: options may have changed them since the last look."""
        urls = _urls(repo)
        key = repr((repo.id, urls))
        if key not in self._kinds:
            self._kinds[key] = pin.classify(urls, self.rules)
        return self._kinds[key]


def _nevra(element: Any) -> str:
    epoch = element.E()
    return '{}-{}{}-{}.{}'.format(element.N(), '{}:'.format(epoch) if epoch not in (None, '', '0', 0) else '',
                                  element.V(), element.R(), element.A())


def _urls(repo: Any) -> List[str]:
    return [url for url in list(repo.baseurl) + [repo.mirrorlist, repo.metalink] if url]


def _variable(root: Root, path: str) -> Optional[str]:
    """A dnf variable as dnf would read it, without forgiving: one line, at most one end of line."""
    data = root.read(path)
    if data is None:
        return None
    text = inifile.decode(data)
    return text[:-1] if text.endswith('\n') else text


def _token(root: Root) -> Optional[str]:
    """The token; None for an ordinary user, who cannot read it. Raises StateError where it cannot be one."""
    if os.geteuid() != 0 and not os.access(root.real(TOKEN), os.R_OK):
        return None
    value = _variable(root, TOKEN)
    if value is None or not Token.PATTERN.match(value):
        raise StateError('{} is {}.'.format(TOKEN, 'missing' if value is None else 'damaged'),
                         'Run `dnf tuxcare register --replace`, or put it back from a backup.')
    return value
