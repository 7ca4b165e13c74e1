# SPDX-License-Identifier: Apache-2.0
"""What a command did and said, looked at: refusals, JSON documents, and that a host is as it was."""
import contextlib
import json
import re
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Tuple

from tests.sandbox.host import Entry, Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.snapshot import differences

Done = "subprocess.CompletedProcess[str]"

# What dnf itself says on standard error, whatever the command is; and our one warning of a key that all can see.
_NOISE = re.compile(
    r"Failed loading |Warning: failed loading |Unable to detect release version"
    r"|A licence key on the command line can be seen by every user"
)


def is_done(done: "subprocess.CompletedProcess[str]") -> str:
    """Asserts that a command succeeded; its standard output."""
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return done.stdout


def own_lines(text: str) -> List[str]:
    """Lines of standard error that are not dnf's noise."""
    return [line for line in text.splitlines() if line.strip() and not _NOISE.search(line)]


def refused(done: "subprocess.CompletedProcess[str]", *words: str, status: int = 1) -> str:
    """Asserts exit status and one clear line on standard error, with all of `words` in it; that line."""
    assert done.returncode == status, (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stdout + done.stderr
    lines = own_lines(done.stderr)
    assert len(lines) == 1, done.stderr
    line = lines[0]
    assert line.startswith("Error: ") and len(line) < 1000, line
    for word in words:
        assert word.lower() in line.lower(), (word, line)
    return line


def document(done: "subprocess.CompletedProcess[str]", status: int = 0) -> Dict[str, Any]:
    """Asserts that standard output is one JSON document of the known schema and nothing else."""
    assert done.returncode == status, done.stdout + done.stderr
    found = json.loads(done.stdout)
    assert isinstance(found, dict) and found["schema"] == 1 and found["exit_status"] == status
    return found


def register(host: Host, *args: str, key: str = ESU_KEY) -> str:
    """Registers a host that has to let itself be registered; what was said."""
    return is_done(host.dnf("tuxcare", "register", *args, env={"TUXCARE_LICENSE_KEY": key}))


# --- hosts --------------------------------------------------------------------------------------------------------


def trusted_keys(host: Host) -> List[str]:
    """`version summary` of each key in the package database."""
    query = ["rpm", "-q", "gpg-pubkey", "--qf", "%{VERSION} %{SUMMARY}\n"]
    if host.slash:
        return sorted(host.run(query).stdout.splitlines())
    query[1:1] = ["--root", str(host.root), "--define", "_dbpath /var/lib/rpm"]
    return sorted(subprocess.run(query, stdout=subprocess.PIPE, text=True).stdout.splitlines())


class State(tuple):
    """Everything of a host and its seats that a refused command must not change."""

    @classmethod
    def of(cls, host: Host, service: Optional[Service] = None) -> "State":
        return cls((host.snapshot(), host.installed(), trusted_keys(host), service.seats if service else None))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == tuple(other) if isinstance(other, State) else False

    def __hash__(self) -> int:
        raise TypeError("not hashable")

    def changes(self, other: "State") -> Dict[str, Tuple[Optional[Entry], Optional[Entry]]]:
        return differences(self[0], other[0])


@contextlib.contextmanager
def untouched(host: Host, service: Optional[Service] = None) -> Iterator[None]:
    """Asserts that what is done inside changes no file, package, trusted key or seat."""
    before = State.of(host, service)
    yield
    after = State.of(host, service)
    assert before.changes(after) == {}
    assert before[1:] == after[1:]


def places_of(host: Host, text: str, folders: Sequence[str] = ("etc", "var", "tmp", "root", "run", "home")) -> List[str]:
    """Every file below the host's root whose bytes hold `text`: logs, databases and caches too."""
    needle = text.encode()
    files = [path for folder in folders for path in (host.root / folder).rglob("*") if _is_plain(path)]
    return sorted(str(path.relative_to(host.root)) for path in files if needle in path.read_bytes())


def _is_plain(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def add_settings(host: Host, *lines: str) -> None:
    """Adds lines to [service] of the host's tuxcare.conf, which ends with that section; a later line counts."""
    path = host.root / "etc/dnf/plugins/tuxcare.conf"
    names = {line.partition("=")[0].strip() for line in lines}
    kept = [line for line in path.read_text().splitlines() if line.partition("=")[0].strip() not in names]
    path.write_text("\n".join([*kept, *lines]) + "\n")


def sections(host: Host, name: str) -> Dict[str, Dict[str, str]]:
    """A .repo file as a client reads it."""
    found: Dict[str, Dict[str, str]] = {}
    for line in (host.root / "etc/yum.repos.d" / name).read_text().splitlines():
        if line.startswith("["):
            found[line.strip("[]")] = {}
        elif "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            list(found.values())[-1][key.strip()] = value.strip()
    return found
