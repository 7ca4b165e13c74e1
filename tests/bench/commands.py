# SPDX-License-Identifier: Apache-2.0
"""The commands that are measured, and with which plugins."""

from typing import Any, Dict, List, NamedTuple, Tuple

from tests.bench.site import AGAIN, BARE, CORE, CORE_TUXCARE, TUXCARE, VERSIONLOCK

__all__ = ["ALL", "CHECK", "FOREIGN", "INSTALLED", "REPOLIST", "REPOQUERY", "REPOQUERY_ALL", "UPGRADE", "Command",
           "argument_vectors"]


class Command(NamedTuple):
    """`status` is dnf's exit status: a declined transaction ends with 1."""

    name: str
    args: Tuple[str, ...]
    variants: Tuple[str, ...]
    status: int = 0

    def key(self, variant: str) -> str:
        return "%s / %s" % (self.name, variant)

    @property
    def typed(self) -> str:
        return "dnf " + " ".join(self.args)


_EACH = (BARE, AGAIN, TUXCARE, VERSIONLOCK, CORE, CORE_TUXCARE)
_BOTH = (BARE, TUXCARE)

UPGRADE = Command("upgrade", ("-C", "--assumeno", "upgrade"), _EACH, 1)
REPOQUERY = Command("repoquery of one name", ("-C", "repoquery", "stock000001"), _EACH)
REPOQUERY_ALL = Command("repoquery of everything", ("-C", "repoquery"), _BOTH)
REPOLIST = Command("repolist", ("-C", "repolist"), _EACH)
FOREIGN = Command("upgrade beside a foreign repository", ("-C", "--assumeno", "--enablerepo=example", "upgrade"), _BOTH, 1)
CHECK = Command("status --check", ("tuxcare", "status", "--check"), (TUXCARE,))
INSTALLED = Command("repoquery --installed", ("repoquery", "--installed"), (TUXCARE,))
ALL = (UPGRADE, REPOQUERY, REPOQUERY_ALL, REPOLIST, FOREIGN, CHECK, INSTALLED)


def argument_vectors(site: Any) -> Dict[str, List[str]]:
    """Each command with each of its variants, by its key."""
    return {command.key(variant): site.dnf(variant, *command.args) for command in ALL for variant in command.variants}
