# SPDX-License-Identifier: Apache-2.0
"""FIPS mode held in dnf: what would end it is out of sight, and refused in a plan. Imported on a host in FIPS mode alone."""

import dnf.transaction
import hawkey
from dnf.subject import Subject

from tuxcare_lib.hold import KERNELS, Hold, refusal

MYPY = False
__all__ = ['coming', 'hidden', 'hide', 'lost_by', 'refusal']

if MYPY:
    from typing import Any, Iterable, List, Optional, Tuple

    import dnf

# The package that has the image; the limit of dnf counts each name by itself.
_IMAGES = 'kernel-core'
# More kernels than one transaction ever brings.
_MANY = 8


def hide(base: 'dnf.Base', hold: Hold) -> None:
    """In the sack: other builds of the held packages are out of sight, and no kernel goes that is needed."""
    available = _all(base).available()
    builds = available.filter(name=list(hold.names)).union(available.filter(provides=list(KERNELS)))
    base.sack.add_excludes(available.filter(pkg=[package for package in builds if not hold.accepts(package)]))
    base.sack.installonly_limit = _limit(base, hold)


def hidden(base: 'dnf.Base', hold: Hold, specs: 'Iterable[str]') -> 'List[str]':
    """Arguments of a command that only packages out of sight match: dnf says of them that they are filtered out, and not why."""
    found = []
    for spec in specs:
        every = Subject(spec).get_best_query(base.sack, with_src=False, query=_all(base)).available()
        held = every.filter(name=list(hold.names)).union(every.filter(provides=list(KERNELS)))
        if held and not every.intersection(base.sack.query()) and not any(hold.accepts(package) for package in held):
            found.append(spec)
    return found


def _limit(base: 'dnf.Base', hold: Hold) -> int:
    """How many kernels dnf may keep: it removes the oldest but the running one, and that can be the validated one (FACTS 7)."""
    wanted = int(base.conf.installonly_limit)
    running = base.sack.get_running_kernel()
    if not wanted or running is not None and hold.is_validated(running):
        return wanted
    kernels = list(_all(base).installed().filter(name=_IMAGES))
    validated = [kernel for kernel in kernels if hold.is_validated(kernel)]
    if running is None or not hold.accepts(running) or not validated:  # not proved yet: each of them may be the way back
        return max(wanted, len(kernels) + _MANY)
    return max(wanted, len([kernel for kernel in kernels if kernel >= min(validated)]) + 1)


def lost_by(base: 'dnf.Base', hold: Hold, packages: 'List[Any]', removed: 'List[Any]') -> 'Optional[Tuple[str, str]]':
    """What of a plan would end FIPS mode: (package, why); None where nothing does."""
    for package in packages:
        reason = coming(base, hold, package) or _older(base, hold, package)
        if reason:
            return '{} from {}'.format(package, package.reponame), reason
    gone = [package for package in removed if package.arch not in hold.companions] + _replaced_kernels(base)
    if not gone:
        return None
    kernels = [kernel for kernel in _all(base).installed().filter(name=_IMAGES) if kernel not in gone]
    kernels += [package for package in packages if package.name == _IMAGES]
    for package in gone:
        reason = hold.going(package, kernels)
        if reason:
            return 'Removing {}'.format(package), reason
    return None


def _replaced_kernels(base: 'dnf.Base') -> 'List[Any]':
    """Kernels that a plan upgrades away: an option can take from dnf what tells it to keep several."""
    actions = dnf.transaction
    ends = (actions.PKG_UPGRADED, actions.PKG_DOWNGRADED, actions.PKG_OBSOLETED)
    return [item.pkg for item in base.transaction or () if item.action in ends and item.pkg.name.startswith('kernel')]


def coming(base: 'dnf.Base', hold: Hold, what: 'Any') -> 'Optional[str]':
    """Why a package may not come in, whatever its metadata or its own header says."""
    replaced = list(_all(base).installed().filter(name=what.name))
    for dependency in map(str, what.obsoletes):
        replaced += _all(base).installed().filter(name=dependency.split()[0], provides=dependency)
    return hold.coming(what, replaced)


def _older(base: 'dnf.Base', hold: Hold, package: 'Any') -> 'Optional[str]':
    """A FIPS build of before the validated one is none that anybody has proved."""
    if hold.is_validated(package) or package.name not in hold.names:
        return None
    if package.name.startswith('kernel'):  # several of them are installed: the validated one counts
        kernels = _all(base).installed().filter(name=package.name, arch=package.arch)
        newer = [other for other in kernels if hold.is_validated(other) and other.evr_cmp(package) > 0]
        return 'it is older than {}'.format(newer[0]) if newer else None
    newer = [other for other in _all(base).installed().filter(name=package.name) if other.evr_cmp(package) > 0]
    return 'it is older than {}'.format(newer[0]) if newer and hold.accepts(newer[0]) else None


def _all(base: 'dnf.Base') -> 'Any':
    return base.sack.query(flags=hawkey.IGNORE_EXCLUDES)
