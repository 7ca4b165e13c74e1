# SPDX-License-Identifier: Apache-2.0
"""What the next transaction would do, with the plugin and without it; and whether the remedy that a refusal names works."""

import os
import re
from pathlib import Path
from typing import Iterator, List, NamedTuple, Optional, Set, Tuple

from tests.integration.test_upgrade import PAST
from tests.sandbox.host import Host
from tests.sandbox.packages import BUILDS
from tuxcare_lib import registration
from tuxcare_lib.errors import StateError
from tuxcare_lib.registration import Registration

__all__ = [
    "JOURNAL", "PAST", "SEAT", "STATE", "Refusal", "next_transaction", "open_operation", "past_in", "pin_of", "record",
    "remedied", "unpinned", "witnessed",
]  # fmt: skip

STATE = "var/lib/tuxcare"
JOURNAL, SEAT = STATE + "/journal", STATE + "/seat.json"
_RECORD, _BACKUP = STATE + "/registration.json", STATE + "/before.json"
_VARIABLE = "etc/dnf/vars/tuxcare_releasever"
_REPOSITORIES = "etc/yum.repos.d"
_PAST_ROWS = {(package.name, package.arch, package.evr) for build in BUILDS for package, _ in build.packages()
              if "%s-%s.%s" % (package.name, package.evr, package.arch) in PAST}
_REMEDY = re.compile(r"`dnf (tuxcare [^`]+)`")
_OWNER = re.compile(r"Run: chown root (/[^ ;]+); chmod go-w \1")


class Refusal(NamedTuple):
    """The line of ours that ended the transaction, and the command that it names; both "" where there was none."""

    line: str
    remedy: str
    # The file whose owner and mode the line says to mend.
    path: str = ""


# --- what the host says of itself -------------------------------------------------------------------------------------


def record(root: Path) -> Optional[Registration]:
    """None where the record is not whole."""
    try:
        return registration.parse((root / _RECORD).read_bytes(), (root / _BACKUP).read_bytes())
    except (OSError, StateError):
        return None


def open_operation(root: Path) -> bool:
    return (root / JOURNAL).exists() or (root / SEAT).exists()


def witnessed(root: Path) -> bool:
    """Whether anything says that the host is registered."""
    marked = any(b"\n#tuxcare" in b"\n" + path.read_bytes() for path in (root / _REPOSITORIES).glob("*.repo") if path.is_file())
    return marked or any((root / path).exists() for path in (_RECORD, _BACKUP, JOURNAL, _VARIABLE))


def pin_of(root: Path, found: Registration) -> str:
    """An Essential host may be moved by its variable."""
    try:
        variable = (root / _VARIABLE).read_text(errors="replace").strip()
    except OSError:
        variable = ""
    return variable if found.product == "essential" and variable in ("9.2", "9.4") else str(found.pin)


# --- what is planned --------------------------------------------------------------------------------------------------


def past_in(text: str) -> List[str]:
    """Packages past 9.2 in a plan that dnf prints, wherever it breaks the lines."""
    words = text.split()
    rows = set(zip(words, words[1:], words[2:]))
    return sorted("%s-%s.%s" % (name, evr, arch) for name, arch, evr in rows & _PAST_ROWS)


def next_transaction(host: Host, *args: str) -> Tuple[Refusal, str]:
    """What `dnf upgrade` would do, and all that it said."""
    done = host.dnf(*args, "--assumeno", "upgrade")
    return refusal(done.stderr), done.stdout + done.stderr


def refusal(text: str) -> Refusal:
    for line in text.splitlines():
        if line.startswith("Error: tuxcare:"):
            named, owner = _REMEDY.search(line), _OWNER.search(line)
            return Refusal(line, named.group(1) if named else "", owner.group(1) if owner else "")
    return Refusal("", "")


def remedied(host: Host, told: Refusal, key: str) -> List[str]:
    """What is wrong with the remedies named one after the other, on a host that may be spoilt."""
    seen: Set[str] = set()
    while told.line:
        if not (told.remedy or told.path) or told.line in seen or len(seen) == 4:
            return ["no remedy that works is named: " + line for line in [*sorted(seen), told.line]]
        seen.add(told.line)
        if told.path:
            os.chown(str(host.root) + told.path, 0, 0)
            os.chmod(str(host.root) + told.path, 0o644)
            told, _ = next_transaction(host)
            continue
        done = host.dnf("-y", *told.remedy.split(), env={"TUXCARE_LICENSE_KEY": key})
        if done.returncode:
            return ["the remedy `%s` of %r fails with %d: %s" % (told.remedy, told.line, done.returncode, done.stderr.strip())]
        told, _ = next_transaction(host)
    return []


# --- what the files say -----------------------------------------------------------------------------------------------


def unpinned(root: Path) -> List[str]:
    """`FILE: ADDRESS` for live addresses of the operating system's repositories that follow no pin."""
    return ["%s: %s" % (path.name, url) for path in sorted((root / _REPOSITORIES).glob("*.repo")) if path.is_file()
            for url in _live(path.read_text(encoding="utf-8", errors="replace"))
            if "almalinux" in url and "$tuxcare_releasever" not in url]


def _live(text: str) -> Iterator[str]:
    """Addresses of enabled sections."""
    for section in re.split(r"(?m)^\[", text)[1:]:
        pairs = [line.partition("=") for line in section.splitlines() if "=" in line and not line.startswith("#")]
        values = {key.strip(): value.strip() for key, _, value in pairs}
        if values.get("enabled", "1") != "0":
            yield from (values[key] for key in ("baseurl", "mirrorlist", "metalink") if key in values)
