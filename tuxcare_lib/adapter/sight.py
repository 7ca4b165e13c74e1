# SPDX-License-Identifier: Apache-2.0
"""What is out of sight in foreign repositories. Imported only where one is enabled (see `pin`).

Looking at each package of a repository takes a millisecond for a thousand; so what its vendors and tags say is kept beside
dnf's cache, by the identity of the repository's metadata file. What depends on the installed packages is asked natively.
"""

import hashlib
import json
import os

from tuxcare_lib import pin

MYPY = False
if MYPY:
    from typing import Any, Dict, List

    import dnf

    from tuxcare_lib.adapter.guard import Guard


def hide(base: 'dnf.Base', repos: 'List[Any]', guard: 'Guard') -> None:
    """Exclude what may not come in; a repository that is an operating system's by content is disabled, the sack filled anew."""
    verdicts = {repo.id: _verdicts(base, repo, guard.rules) for repo in repos}
    strangers = [repo for repo in repos if verdicts[repo.id]['os_tree']]
    if strangers:
        for repo in strangers:
            guard.disable_by_content(repo)
        base.fill_sack(load_system_repo='auto', load_available_repos=True)  # runs this hook again, on the new sack
        return
    for repo in repos:
        base.sack.add_excludes(_hidden(base, repo, verdicts[repo.id]['hidden'], guard.rules))


def _hidden(base: 'dnf.Base', repo: 'Any', nevras: 'List[str]', rules: pin.Rules) -> 'Any':
    packages = base.sack.query().available().filterm(reponame=repo.id)
    hidden = packages.filter(nevra_strict=nevras)
    installed = base.sack.query().installed()
    shared = packages.filter(name=[package.name for package in installed])
    names = {package.name for package in shared}
    protected = {package.name for package in installed.filter(name=list(names)) if pin.protects(package.vendor, rules)}
    hidden = hidden.union(packages.filter(name=list(protected)))
    obsoleting = packages.filter(obsoletes=installed)
    if obsoleting:
        guarded = [package for package in installed if pin.protects(package.vendor, rules)]
        hidden = hidden.union(packages.filter(obsoletes=installed.filter(pkg=guarded)))
    allowed = [entry.partition('@')[0] for entry in rules.allow if entry.partition('@')[2] == repo.id]
    return hidden.difference(packages.filter(name=allowed)) if allowed else hidden


def _verdicts(base: 'dnf.Base', repo: 'Any', rules: pin.Rules) -> 'Dict[str, Any]':
    """{'hidden': [NEVRA], 'os_tree': bool} for a repository, from the cache where its metadata is the same as then."""
    key = _key(repo, rules)
    path = os.path.join(base.conf.cachedir, 'tuxcare-{}.json'.format(hashlib.sha256(repo.id.encode('utf-8')).hexdigest()[:16]))
    found: 'Dict[str, Any]' = _cached(path, key)
    if not found:
        found = _looked_at(base, repo, rules)
        _keep(path, {'key': key, 'verdicts': found})
    return found


def _looked_at(base: 'dnf.Base', repo: 'Any', rules: pin.Rules) -> 'Dict[str, Any]':
    packages = list(base.sack.query().available().filterm(reponame=repo.id))
    hidden = [str(package) for package in packages
              if pin.content_verdict(package.name, package.release, package.vendor, rules)]
    releases = [package for package in packages if package.name in rules.release_packages]
    of_os = sum(package.vendor in rules.os_vendors for package in packages)
    other = any(pin.parse_release(package.version) != rules.pin for package in releases)
    return {'hidden': hidden, 'os_tree': other or 2 * of_os > len(packages)}


def _key(repo: 'Any', rules: pin.Rules) -> 'List[Any]':
    """The identity of the primary metadata and of the rules; empty where there is no file to go by."""
    path = repo._repo.getMetadataPath('primary')
    try:
        status = os.stat(path)
    except OSError:
        return []
    digest = hashlib.sha256(repr((rules.pin, sorted(rules.os_vendors), sorted(rules.release_packages))).encode('utf-8'))
    return [path, status.st_size, status.st_mtime_ns, status.st_ino, digest.hexdigest()]


def _cached(path: str, key: 'List[Any]') -> 'Any':
    """What is kept, if it is of this key and nobody else than root could have written it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with open(descriptor, 'rb') as stream:
        status = os.fstat(descriptor)
        if status.st_uid != 0 or status.st_mode & 0o022:
            return None
        try:
            document = json.loads(stream.read().decode('utf-8'))
            return document['verdicts'] if key and document['key'] == key else None
        except (ValueError, KeyError, TypeError):
            return None


def _keep(path: str, document: 'Dict[str, Any]') -> None:
    """A cache of root's in dnf's own folder: whole or not there, and not worth an error."""
    if os.geteuid() != 0 or not document['key']:
        return
    temporary = '{}.{}'.format(path, os.getpid())
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        with open(descriptor, 'w', encoding='ascii') as stream:
            json.dump(document, stream)
        os.rename(temporary, path)
    except OSError:
        return
