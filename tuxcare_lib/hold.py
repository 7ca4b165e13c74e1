# SPDX-License-Identifier: Apache-2.0
"""What holds FIPS mode: which builds may stand where a validated one stood (DESIGN 4, rule 9). Pure; docs/fips.md explains.

Imported by every dnf command on a host in FIPS mode: as `pin` it imports no typing.
"""

MYPY = False
if MYPY:
    from typing import Any, Dict, Iterable, Optional

# How dnf knows the package of a kernel that can be started, and by what kernels of other names tell themselves.
KERNELS = ('installonlypkg(kernel)', 'kernel', 'kernel-core')
_KERNELS = ('installonlypkg(kernel', 'kernel-uname-r', 'kernel-core-uname-r')
_MODULES = 'installonlypkg(kernel-module'
# Of the sources of the set what no module needs: it comes as a build of the set, and may go.
_LOOSE = ('-devel', '-headers', '-extra', '-tools', '-utils', '-perl', '-c++', '-dane')
# What is needed to set and to leave the mode.
_TOOLS = ('grubby', 'crypto-policies-scripts')
_REMEDY = 'Leave it out, or leave FIPS mode first (`dnf tuxcare fips disable`).'


def is_fips_build(release: str) -> bool:
    """`.tuxcare.3` is a FIPS build, `.tuxcare.els1` a fix that is none (FACTS 4)."""
    _, mark, number = release.rpartition('.tuxcare.')
    return bool(mark) and number.isdigit()


class Hold:
    """One host's: `names` of the packages that the set's sources make, `validated` as EPOCH:VERSION-RELEASE.

    `strict`: the validated builds alone; else the vendor's later FIPS builds as well.
    """

    def __init__(self, document: 'Dict[str, Any]', strict: bool) -> None:
        self.names = frozenset(document['names'])
        self._validated = frozenset(document['validated'])
        # Architectures whose builds are not validated: nobody needs them.
        self.companions = frozenset(document['companions'])
        self.strict = strict

    def is_validated(self, package: 'Any') -> bool:
        """Whether a build is one of the set itself."""
        return '{}:{}-{}'.format(package.epoch, package.version, package.release) in self._validated

    def accepts(self, package: 'Any') -> bool:
        """Whether a build keeps to FIPS, as far as its name tells."""
        return self.is_validated(package) or (not self.strict and is_fips_build(package.release))

    def coming(self, package: 'Any', replaced: 'Iterable[Any]') -> 'Optional[str]':
        """Why a package may not come in; `replaced` are the installed ones whose place it would take."""
        keeps = self.accepts(package) and package.name in self.names
        lost = next((other for other in replaced if self.accepts(other) and other.name in self.names
                     and not (keeps and other.name == package.name)), None)
        if lost is not None:
            return 'it would take the place of {}'.format(lost)
        if not keeps and any(_tells_a_kernel(str(provided)) for provided in package.provides):
            return 'it is a kernel, and no build for FIPS mode'
        return None

    def going(self, package: 'Any', kernels: 'Iterable[Any]') -> 'Optional[str]':
        """Why a package may not be removed; `kernels` are those that could still be started then."""
        if package.name in _TOOLS:
            return 'without it the mode can neither be set nor left'
        if package.name not in self.names or package.name.endswith(_LOOSE):
            return None
        if package.name.startswith('kernel'):
            if self.is_validated(package):
                return 'it belongs to the validated kernel'
            return None if len(list(kernels)) > 1 else 'no second kernel would be left to start'
        return 'nothing would take its place' if self.accepts(package) else None


def _tells_a_kernel(provided: str) -> bool:
    return provided.split(' ')[0] in KERNELS or provided.startswith(_KERNELS) and not provided.startswith(_MODULES)


def refusal(nevra: str, reason: str) -> str:
    """The one line that refuses a transaction."""
    return '{} is refused while this host is held in FIPS mode: {}. {}'.format(nevra, reason, _REMEDY)
