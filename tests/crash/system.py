# SPDX-License-Identifier: Apache-2.0
"""What packages and the boot loader make of a host: compared by meaning, since other programs write their files."""

import re
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple, Tuple

from tests.sandbox import namespace, template
from tests.sandbox.boot import BootError, choose
from tests.sandbox.host import Host

__all__ = ["NO_SYSTEM", "System", "damaged_files", "take"]

_ENTRIES = "boot/loader/entries"
# A line of `rpm -V` that tells a file of a package gone, or with other bytes than the package's; a configuration file's may be.
_BROKEN = re.compile(r"^(missing|..5)")
_CONFIGURATION = re.compile(r"^\S+\s+c /")


class System(NamedTuple):
    """`packages` has an installed one twice where the database does; `default` is what boots, `entries` its choices."""

    packages: Tuple[str, ...] = ()
    default: str = ""
    entries: Tuple[Tuple[str, str], ...] = ()

    def with_packages_of(self, other: "System") -> "System":
        """This boot state, with another state's packages: their kernels can be booted, with no argument that tells of FIPS."""
        mine = dict(self.entries)
        entries = {version: mine.get(version, _without_mode(words)) for version, words in other.entries}
        return System(other.packages, self.default, tuple(sorted(entries.items())))

    def differences(self, other: "System") -> List[str]:
        """What is not the same, a line each."""
        mine, others = set(self.packages), set(other.packages)
        lines = ["package %s too many" % name for name in sorted(mine - others)]
        lines += ["package %s missing" % name for name in sorted(others - mine)]
        lines += ["package %s twice" % name for name in sorted(mine) if self.packages.count(name) > other.packages.count(name)]
        if self.default != other.default:
            lines.append("boots %s, expected %s" % (self.default, other.default))
        if self.entries != other.entries:
            lines.append("boot entries %s, expected %s" % (self.entries, other.entries))
        return lines


NO_SYSTEM = System()


def take(host: Host) -> System:
    packages = tuple(sorted(_rpm(host, "-qa", "--qf", "%{NEVRA}\n").split()))
    return System(tuple(name for name in packages if not name.startswith("gpg-pubkey-")), _default(host.root),
                  tuple(sorted(_entries(host.root).items())))


def _default(root: Path) -> str:
    try:
        booted = choose(root)
    except (BootError, KeyError, IndexError, OSError) as error:
        return "nothing: %r" % error
    return "%s%s" % (booted.osrelease, " in FIPS mode" if booted.fips_enabled else "")


def _entries(root: Path) -> Dict[str, str]:
    """Version → its arguments; their order means nothing."""
    found = {}
    for path in (root / _ENTRIES).glob("*.conf"):
        fields = dict(line.split(None, 1) for line in path.read_text().splitlines() if len(line.split(None, 1)) == 2)
        found[fields.get("version", path.stem)] = " ".join(sorted(fields.get("options", "").split()))
    return found


def _without_mode(words: str) -> str:
    return " ".join(word for word in words.split() if not word.startswith("fips="))


def damaged_files(host: Host) -> Tuple[str, ...]:
    """Files of packages that are gone or are not the package's own, as `rpm -Va` tells them."""
    lines = _rpm(host, "-Va", "--noscripts").splitlines()
    return tuple(sorted(line for line in lines if _BROKEN.match(line) and not _CONFIGURATION.match(line)))


def _rpm(host: Host, *args: str) -> str:
    """rpm on the host's database; its exit status tells of differences, and is not looked at."""
    command = [*namespace.as_root(), "rpm", "--root", str(host.root), "--define", "_dbpath /var/lib/rpm", *args]
    return subprocess.run(command, stdout=subprocess.PIPE, env=template.outside_env(host.root), text=True).stdout
