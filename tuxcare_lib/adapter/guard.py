# SPDX-License-Identifier: Apache-2.0
"""The guard: the rules of the pin (`pin`, pure) applied to dnf's repositories, sack, plan and downloaded packages.

Imported by every dnf command on a registered host: only what is cheap is imported here (see `pin`).
"""

import logging
import os

import dnf
import dnf.transaction
import hawkey
import libdnf.repo

from tuxcare_lib import pin, witness
from tuxcare_lib.witness import Host, Unsafe

MYPY = False
if MYPY:
    from typing import Any, Dict, Iterable, List, Optional, Tuple

logger = logging.getLogger('dnf.plugin')

# What dnf and its plugins write to.
_LOGS = ('dnf', 'dnf.plugin', 'dnf.rpm')


class Past(Exception):
    """A package from past the pin. The text is the whole line."""


def _way_out(root: str) -> str:
    from tuxcare_lib import journal
    from tuxcare_lib.rootfs import Root
    return journal.remedy(Root(root))


class Guard:
    """Holds a registered host on its release, in the hooks of one dnf process. Raises Unsafe when it cannot."""

    def __init__(self, root: str, conf: 'Any') -> None:
        host = Host(root)
        self._root = root
        self._is_cut_off = host.is_cut_off()
        self._is_aloud = True
        self.token = None  # type: Optional[str]
        trouble = None
        try:  # first, and whatever else is damaged: addresses with the token in them may be asked all the same
            self.token = host.token()
            self._keep_secret(self.token)
        except Unsafe as error:
            trouble = error  # told in its turn; dnf itself asks with what there is
            for word in host.words_of_token():
                self._keep_secret(word)
        try:
            self.record = host.record()
            # Whatever else is damaged: what only reads goes on with the release that the registration says.
            conf.substitutions['tuxcare_releasever'] = self.record['pin']
            self.policy = self._read_policy(root, conf)
            if trouble is not None:
                raise trouble
            self.rules = pin.Rules(self.policy, self.record['family'], host.release(self.record, self.policy), self.token)
        except Unsafe as error:
            if self._is_cut_off:  # whatever it is, it is that operation's half
                logger.debug('tuxcare: %s', error)
                raise Unsafe('An operation was cut off on this host. ' + _way_out(root))
            raise
        self.hold = self._read_hold(host)
        # Our own verbs that leave FIPS mode.
        self.is_lifted = False
        self._kinds = {}  # type: Dict[Any, str]
        self._trusted = set()  # type: Any

    def _read_policy(self, root: str, conf: 'Any') -> 'Dict[str, Any]':
        """The policy from our cache, or made anew where a file behind it has changed (or the cache is not root's own)."""
        identity = witness.identity(root)
        place = witness.cache_path(conf.cachedir if os.geteuid() == 0 else conf.system_cachedir, 'policy')
        kept = witness.read_cache(place)
        if isinstance(kept, dict) and kept.get('identity') == identity:
            return kept['policy']  # type: ignore[no-any-return]
        from tuxcare_lib import configuration, policy
        document = policy.make(*configuration.read(root))
        witness.keep_in_cache(place, {'identity': identity, 'policy': document})
        return document

    def _read_hold(self, host: Host) -> 'Any':
        """What holds FIPS mode; None where it is not on, or this host has no validated set.

        By the registered architecture: dnf's own is what `--forcearch` and the variable `basearch` say.
        """
        strict = host.fips()
        document = self.policy['fips'].get('{0[family]} {1} {0[architecture]}'.format(self.record, self.rules.release))
        if strict is None or document is None:
            return None
        from tuxcare_lib.hold import Hold
        return Hold(document, strict)

    def inject(self, substitutions: 'Any') -> None:
        """Give dnf the variables, validated; an ordinary user has no token to give."""
        substitutions['tuxcare_releasever'] = self.rules.release
        if self.token is not None:
            substitutions['tuxcare_token'] = self.token

    @staticmethod
    def _keep_secret(token: 'Optional[str]') -> None:
        """Keep the token out of what dnf logs and says of a repository that fails, and out of librepo's log.

        librepo writes its own, every address in it, and lets nobody change a line: it is not written at all.
        """
        if token is None:
            return
        hidden, logs = _Hidden(token), [logging.getLogger(name) for name in _LOGS]
        for place in logs + logging.getLogger('dnf').handlers:  # a caller of the API has handlers of its own elsewhere, or none
            place.addFilter(hidden)
        libdnf.repo.LibrepoLog.removeAllHandlers()

    def _keep_secret_on_terminal(self, base: 'dnf.Base') -> None:
        """The same for dnf's progress bars, which say what a mirror answered; a caller of the API has none."""
        progress = getattr(getattr(base, 'output', None), 'progress', None)
        if self.token is not None and progress is not None:
            progress.fo = _Stream(progress.fo, _Hidden(self.token))

    # --- before the sack, and in it ---------------------------------------------------------------------------------

    def look_at_repositories(self, base: 'dnf.Base', aloud: bool = True) -> None:
        """Before the sack: a tree past the pin is disabled; so is what needs the token where the user cannot read it.

        `aloud` is False for our own verbs.
        """
        self._keep_secret_on_terminal(base)
        self._is_aloud = aloud
        past, greedy = [], []
        self._trusted = set()
        for repo in base.repos.iter_enabled():
            kind = self._kind(repo)
            if self.token is None and any('$tuxcare_token' in url for url in _urls(repo)):
                repo.disable()
            elif kind == pin.PAST:
                past.append(repo)
            elif kind == pin.TRUSTED:
                self._trusted.add(repo.id)
            elif self.token is not None and any(self.token in url for url in _urls(repo)):
                greedy.append(repo)
        self.disable(past, aloud)
        self.disable(greedy, aloud, 'their addresses would give the token away')

    def disable(self, repos: 'List[Any]', aloud: bool = True, why: str = '') -> None:
        """Disable repositories for the rest of the process, and say so in one line with the remedy."""
        for repo in repos:
            self._kinds[repo.id, tuple(_urls(repo))] = pin.PAST
            repo.disable()
        if not repos or not aloud:
            return
        reason = why or 'this host is held on {} and they are not of it'.format(self.rules.release)
        remedy = 'Disable them for good.' if why else \
            'Run `dnf tuxcare repos switch` to have those of this release again.' if self.record.get('reverted') else \
            'Disable them for good, or run `dnf tuxcare repos switch` where they are the operating system\'s own.'
        logger.warning('tuxcare: disabled, since %s: %s. %s', reason, ', '.join(repo.id for repo in repos), remedy)

    def hide(self, base: 'dnf.Base', specs: 'Iterable[str]' = ()) -> None:
        """In the sack: what is past the pin is out of sight, in foreign repositories alone. `specs` are a command's packages."""
        if self.hold is not None and not self.is_lifted:
            from tuxcare_lib.adapter import hold
            hold.hide(base, self.hold)
            for spec in hold.hidden(base, self.hold, specs):
                logger.warning('tuxcare: %s', hold.refusal(spec, 'it is no build for FIPS mode'))
        if self._trusted.issuperset(repo.id for repo in base.repos.iter_enabled()):
            return  # what an option changed of them since is caught by the last word
        kinds = {repo: self._kind(repo) for repo in base.repos.iter_enabled()}
        others = {repo: kind for repo, kind in kinds.items() if kind != pin.TRUSTED}
        if others:
            from tuxcare_lib.adapter import sight
            strangers, shadows = sight.hide(base, others, self.rules)
            self.disable(strangers)
            self.disable(shadows, why='the module defaults hide packages of the vetted repositories')
            if strangers or shadows:
                base.fill_sack(load_system_repo='auto', load_available_repos=True)  # runs this hook again, on the new sack

    # --- the last word ----------------------------------------------------------------------------------------------

    def check_plan(self, base: 'dnf.Base') -> None:
        """Over what dnf has planned. Raises Past."""
        packages, removed = _planned(base)
        if packages or removed:
            self._tell(removed)
        kinds = self._kinds_of(base, packages)
        if packages:
            self._check_mirrors(base)
        for package in packages:
            reason = self._verdict(base, kinds[package.reponame], package.reponame, package, removed)
            if reason:
                raise Past(pin.refusal(str(package), package.reponame, reason, self.rules))
        self._check_hold(base, packages, removed)

    def _check_hold(self, base: 'dnf.Base', packages: 'List[Any]', removed: 'List[Any]') -> None:
        if self.hold is not None and not self.is_lifted:
            from tuxcare_lib.adapter import hold
            lost = hold.lost_by(base, self.hold, packages, removed)
            if lost is not None:
                raise Past(hold.refusal(*lost))

    def _check_mirrors(self, base: 'dnf.Base') -> None:
        """A trusted tree that has another minor's release package is that one's: a mirror that was synchronized too far.

        Asked here and not of the sack: dnf's indexes are made by now, so it takes a fifth of a millisecond.
        """
        found = base.sack.query(flags=hawkey.IGNORE_EXCLUDES).filterm(name=list(self.rules.release_packages))
        strangers = [package for package in found if pin.moves_the_host(package, self.rules) and package.reponame in base.repos]
        stranger = next((package for package in strangers if self._kind(base.repos[package.reponame]) == pin.TRUSTED), None)
        if stranger is not None:
            raise Past('{0} is trusted as a tree of {1}, and has {2}: it is that release\'s. Disable it (--disablerepo={0}), and '
                       'have the mirror synchronized to {1}.'.format(stranger.reponame, self.rules.release, stranger))

    def _kinds_of(self, base: 'dnf.Base', packages: 'Iterable[Any]') -> 'Dict[str, str]':
        """Classified afresh, by what their URLs are now: options may have changed them since the last look."""
        return {name: pin.FOREIGN if name == '@commandline' else self._kind(base.repos[name])
                for name in {package.reponame for package in packages}}

    def _tell(self, removed: 'List[Any]') -> None:
        if any(package.name == pin.OWN_PACKAGE for package in removed):
            logger.warning('tuxcare: without the plugin this host stays registered, and its repository files alone hold it '
                           'on %s. `dnf tuxcare unregister` takes that back first.', self.rules.release)
        if self._is_cut_off and self._is_aloud:  # our own verbs say themselves what was cut off
            logger.warning('tuxcare: an operation was cut off on this host. %s', _way_out(self._root))
        if self.rules.release in self.policy['closes_esu'].get('{family} {release}'.format(**self.record), ()):
            logger.warning('tuxcare: this host moves from %s to %s; from there it cannot come to ESU any more.',
                           self.record['release'], self.rules.release)

    def check_packages(self, base: 'dnf.Base') -> None:
        """Over what rpm is about to install, by the packages' own headers: metadata can lie. Raises Past."""
        from tuxcare_lib import rpmdb
        from tuxcare_lib.rootfs import Root
        packages, removed = _planned(base)
        self._check_hold(base, packages, removed)  # once more: a caller of the API may have passed the first refusal over
        kinds = self._kinds_of(base, packages)
        for package in packages:
            true = rpmdb.of_file(package.localPkg())
            same_name = rpmdb.installed(Root(base.conf.installroot), [true.package.name])
            what = pin.Package(true.package.name, true.package.version, true.package.release, true.package.vendor,
                               true.obsoletes, true.provides, true.conflicts, true.package.epoch)
            reason = self._verdict(base, kinds[package.reponame], package.reponame, what, removed, [
                pin.protector(other.name, other.vendor, what) for other in same_name])
            if true.package.nevra != str(package):
                reason = 'its repository describes it as {}, so nothing that it says can be trusted'.format(package)
            if reason:
                raise Past(pin.refusal(true.package.nevra, package.reponame, reason, self.rules))
            if self.hold is not None and not self.is_lifted:
                self._check_header(base, what, true.package.nevra)

    def _check_header(self, base: 'dnf.Base', what: 'Any', nevra: str) -> None:
        from tuxcare_lib.adapter import hold
        lost = hold.coming(base, self.hold, what)
        if lost:
            raise Past(hold.refusal(nevra, lost))

    def _verdict(self, base: 'dnf.Base', kind: str, repository: str, what: 'Any', removed: 'List[Any]',
                 same_name: 'Iterable[Optional[str]]' = ()) -> 'Optional[str]':
        """Why a package may not come in; None where it may. `what` is dnf's, by the metadata, or one by its own header."""
        replaced = []  # type: List[Optional[str]]
        if kind != pin.TRUSTED:
            replaced += _obsoleted(base, what) + _supplanted(what, removed)
        if kind == pin.FOREIGN:
            replaced += _of_the_same_name(base, what) + list(same_name)
        return pin.verdict(kind, what, repository, replaced, self.rules)

    def _kind(self, repo: 'Any') -> str:
        urls = _urls(repo)
        key = (repo.id, tuple(urls))
        if key not in self._kinds:
            self._kinds[key] = pin.classify(urls, self.rules)
        return self._kinds[key]


class _Hidden(object):
    """A filter of log records, and of texts, that puts `(token)` in the token's place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def text(self, text: str) -> str:
        """The text without the token."""
        return text.replace(self._token, '(token)')

    def filter(self, record: logging.LogRecord) -> bool:
        """Changes the record where it has to, and lets it through. A traceback is text only once it was formatted."""
        text = record.getMessage()
        if self._token in text:
            record.msg, record.args = self.text(text), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_text = record.exc_text and self.text(record.exc_text)
        return True


class _Stream(object):
    """The terminal as dnf's progress bars see it."""

    def __init__(self, stream: 'Any', hidden: _Hidden) -> None:
        self._stream = stream
        self._hidden = hidden

    def write(self, text: str) -> 'Any':
        return self._stream.write(self._hidden.text(text))

    def __getattr__(self, name: str) -> 'Any':
        return getattr(self._stream, name)


def _planned(base: 'dnf.Base') -> 'Tuple[List[Any], List[Any]]':
    """The packages to be installed, and those that go without another of their name, by one pass over the plan."""
    packages, removed = [], []
    for item in base.transaction or ():
        action = item.action
        if action in dnf.transaction.FORWARD_ACTIONS:
            packages.append(item.pkg)
        elif action == dnf.transaction.PKG_REMOVE:
            removed.append(item.pkg)
    return packages, removed


def _installed(base: 'dnf.Base') -> 'Any':
    """An exclude that matches an installed package hides it from dnf, not from rpm."""
    return base.sack.query(flags=hawkey.IGNORE_EXCLUDES).installed()


def _of_the_same_name(base: 'dnf.Base', what: 'Any') -> 'List[Optional[str]]':
    return [pin.protector(other.name, other.vendor, what) for other in _installed(base).filter(name=what.name)]


def _obsoleted(base: 'dnf.Base', what: 'Any') -> 'List[Optional[str]]':
    """Vendors of the installed packages that a package obsoletes; rpm does that by name alone."""
    return [pin.protector(other.name, other.vendor, what) for dependency in map(str, what.obsoletes)
            for other in _installed(base).filter(name=dependency.split()[0], provides=dependency)]


def _supplanted(what: 'Any', removed: 'List[Any]') -> 'List[Optional[str]]':
    """Vendors of what goes in the same plan, and which a package conflicts with or provides: it takes their place."""
    if not removed:
        return []
    names = {str(dependency).split()[0] for dependency in list(what.provides) + list(what.conflicts)}
    return [pin.protector(other.name, other.vendor, what) for other in removed if other.name in names]


def _urls(repo: 'Any') -> 'List[str]':
    return [url for url in list(repo.baseurl) + [repo.mirrorlist, repo.metalink] if url]
