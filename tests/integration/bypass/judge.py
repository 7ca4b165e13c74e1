# SPDX-License-Identifier: Apache-2.0
"""What came onto a host, by the packages' own headers: a name, a version or a vendor can be anybody's, a digest cannot."""

from pathlib import Path
from typing import Dict, Iterable, List, NamedTuple, Set

from tests.sandbox import namespace, rpms, template
from tests.sandbox.universe import Universe

__all__ = ["Installed", "intruders", "lost", "packages_of", "vetted"]

_QUERY = "%{NAME}\t%{NEVRA}\t%|VENDOR?{%{VENDOR}}|\t%{SHA1HEADER}\n"
_VETTED = ("almalinux/9.2", "tuxcare/9.2")
# As the catalogue has them; what is installed from these may be replaced from the vetted trees only.
_PROTECTED = ("AlmaLinux", "TuxCare")


class Installed(NamedTuple):
    name: str
    nevra: str
    vendor: str
    digest: str


def packages_of(root: Path) -> Set[Installed]:
    """The package database below a root."""
    command = [*namespace.as_root(), "rpm", "--root", str(root), "-qa", "--qf", _QUERY]
    lines = namespace.check(command, template.outside_env(root)).splitlines()
    return {package for package in map(_parsed, lines) if package.name != "gpg-pubkey"}


def vetted(universe: Universe) -> Set[str]:
    """Digests of all packages of the trees that a host held on 9.2 may take from."""
    files = [path for tree in _VETTED for path in sorted((universe.trees / tree).rglob("*.rpm"))]
    return {_parsed(line).digest for line in rpms.run(["rpm", "-qp", "--nosignature", "--qf", _QUERY, *files]).splitlines()}


def intruders(before: Set[Installed], after: Set[Installed], trusted: Set[str], may: Iterable[str]) -> List[str]:
    """What came in and is neither vetted nor one of the names in `may`."""
    return sorted(package.nevra for package in after - before if package.digest not in trusted and package.name not in may)


def lost(before: Set[Installed], after: Set[Installed], goes: Iterable[str]) -> List[str]:
    """Names of protected packages that are not there any more, or are of somebody else now."""
    vendors: Dict[str, Set[str]] = {}
    for package in after:
        vendors.setdefault(package.name, set()).add(package.vendor)
    return sorted(
        {
            package.name
            for package in before
            if package.vendor in _PROTECTED
            and package.name not in goes
            and not vendors.get(package.name, set()) & set(_PROTECTED)
        }
    )


def _parsed(line: str) -> Installed:
    name, nevra, vendor, digest = line.split("\t")
    return Installed(name, nevra, vendor, digest)
