# SPDX-License-Identifier: Apache-2.0
"""What is out of sight in foreign repositories. Imported only where one is enabled (see `pin`).

Looking at each package of a repository takes a millisecond for a thousand; so what its vendors and tags say is kept beside
dnf's cache, by the identity of the repository's metadata file. What depends on the installed packages is asked natively.
"""

import hashlib
import os

import hawkey

from tuxcare_lib import __version__, pin, witness

MYPY = False
if MYPY:
    from typing import Any, Dict, List, Tuple

    import dnf

_DEBUG_PACKAGES = ('*-debuginfo', '*-debugsource', '*-debuginfo-common', '*-debuginfo-common-*')


def hide(base: 'dnf.Base', kinds: 'Dict[Any, str]', rules: pin.Rules) -> 'Tuple[List[Any], List[Any]]':
    """Exclude what may not come in from repositories that are not trusted ({repository: kind}).

    Those for which an exclude comes too late are returned instead, to be disabled: what turns out to be an operating system's
    by content, and what hides vetted packages behind its module defaults. Then nothing is excluded: fill the sack anew.
    """
    foreign = [repo for repo in kinds if kinds[repo] == pin.FOREIGN]
    verdicts = {repo: _verdicts(base, repo, rules) for repo in foreign}
    strangers = [repo for repo in foreign if verdicts[repo]['os_tree']]
    shadows = [repo for repo in foreign if repo not in strangers and _shadows(base, repo, kinds)]
    for repo in [] if strangers or shadows else kinds:
        hidden = _replacing(base, repo, verdicts[repo], rules) if repo in verdicts else _no_debug_packages(base, repo)
        base.sack.add_excludes(hidden)
    return strangers, shadows


def _all(base: 'dnf.Base') -> 'Any':
    """Every package: what other excludes say does not matter here, and following them costs a pass over the whole sack."""
    return base.sack.query(flags=hawkey.IGNORE_EXCLUDES)


def _no_debug_packages(base: 'dnf.Base', repo: 'Any') -> 'Any':
    packages = _all(base).available().filterm(reponame=repo.id)
    trusted = packages.filter(name__glob=list(_DEBUG_PACKAGES)).union(packages.filter(arch=['src', 'nosrc']))
    return packages.difference(trusted)


def _replacing(base: 'dnf.Base', repo: 'Any', verdicts: 'Dict[str, Any]', rules: pin.Rules) -> 'Any':
    """What its vendor or tag hides, and what would replace or obsolete an installed package that is protected."""
    packages = _all(base).available().filterm(reponame=repo.id)
    hidden = packages.filter(nevra_strict=verdicts['hidden'])
    protected = _protected(base, rules)
    hidden = hidden.union(packages.filter(name=[package.name for package in protected]))
    own = list(_all(base).installed().filterm(name=pin.OWN_PACKAGE))
    if own:
        hidden = hidden.union(packages.filter(pkg=[package for package in packages.filter(name=pin.OWN_PACKAGE)
                                                   if pin.protector(package.name, own[0].vendor, package) == pin.VENDOR]))
    if verdicts['obsoletes']:
        hidden = hidden.union(packages.filter(obsoletes=_all(base).filterm(pkg=protected + own)))
    allowed = [entry.partition('@')[0] for entry in rules.allow if entry.partition('@')[2] == repo.id]
    return hidden.difference(packages.filter(name=allowed)) if allowed else hidden


def _protected(base: 'dnf.Base', rules: pin.Rules) -> 'List[Any]':
    """The installed packages that trusted repositories alone may replace; a system has a thousand of them and few vendors."""
    held = {}  # type: Dict[Any, bool]
    found = []
    for package in _all(base).installed():
        vendor = package.vendor
        if vendor not in held:
            held[vendor] = pin.protects(vendor, rules)
        if held[vendor]:
            found.append(package)
    return found


def _shadows(base: 'dnf.Base', repo: 'Any', kinds: 'Dict[Any, str]') -> bool:
    """Whether a module stream hides vetted packages (FACTS 7): one that nobody enabled, active by the repository's own defaults,
    or a later build of a stream that the vetted repositories have.
    """
    container = base._moduleContainer
    if container is None or not repo._repo.getMetadataPath('modules'):
        return False
    vetted = [other.id for other in base.repos.iter_enabled() if other not in kinds]
    modules = container.getModulePackages()
    streams = {module.getNameStream() for module in modules if module.getRepoID() in vetted}
    active = [module for module in modules if module.getRepoID() == repo.id and container.isModuleActive(module)
              and (module.getNameStream() in streams or not container.isEnabled(module))]
    names = {artifact.rsplit('-', 2)[0] for module in active for artifact in module.getArtifacts()}
    return bool(base.sack.query(flags=hawkey.IGNORE_MODULAR_EXCLUDES).filterm(reponame=vetted, name=list(names)))


def _verdicts(base: 'dnf.Base', repo: 'Any', rules: pin.Rules) -> 'Dict[str, Any]':
    """What is known of a repository's packages, from the cache where its metadata is the same as then."""
    key = _key(repo, rules)
    place = witness.cache_path(base.conf.cachedir, hashlib.sha256(repo.id.encode('utf-8')).hexdigest()[:16])
    kept = witness.read_cache(place)
    if key and isinstance(kept, dict) and kept.get('key') == key:
        return kept['verdicts']  # type: ignore[no-any-return]
    found = _looked_at(base, repo, rules)
    replacing = len(_replacing(base, repo, found, rules)) - len(found['hidden'])
    if replacing > 0:
        found['reasons']['it would replace an installed package of the operating system or of TuxCare'] = replacing
    if key:
        witness.keep_in_cache(place, {'key': key, 'repository': repo.id, 'verdicts': found})
    return found


def _looked_at(base: 'dnf.Base', repo: 'Any', rules: pin.Rules) -> 'Dict[str, Any]':
    """`hidden` NEVRAs, `reasons` with how many each, whether it is an `os_tree`, whether anything in it `obsoletes`."""
    packages = list(_all(base).available().filterm(reponame=repo.id))
    reasons = {}  # type: Dict[str, List[str]]
    for package in packages:
        reason = pin.content_verdict(package, rules)
        if reason:
            reasons.setdefault(reason, []).append(str(package))
    provided = _all(base).filterm(reponame=repo.id, provides=list(pin.RELEASE_PROVIDES))
    reasons.setdefault('it is the release package of an operating system', []).extend(
        str(package) for package in provided if not any(str(package) in nevras for nevras in reasons.values()))
    of_os = sum(pin.protects(package.vendor, rules) for package in packages)
    moves = any(pin.moves_the_host(package, rules) for package in packages)
    return {'hidden': [nevra for nevras in reasons.values() for nevra in nevras],
            'reasons': {reason: len(nevras) for reason, nevras in reasons.items() if nevras},
            'os_tree': moves or 2 * of_os > len(packages),
            'obsoletes': any(package.obsoletes for package in packages)}


def _key(repo: 'Any', rules: pin.Rules) -> 'List[Any]':
    """The identity of the primary metadata and of the rules; empty where there is no file to go by."""
    path = repo._repo.getMetadataPath('primary')
    try:
        status = os.stat(path)
    except OSError:
        return []
    known = repr((__version__, rules.pin, sorted(rules.os_vendors), sorted(rules.release_packages)))
    return [path, status.st_size, status.st_mtime_ns, status.st_ino, hashlib.sha256(known.encode('utf-8')).hexdigest()]
