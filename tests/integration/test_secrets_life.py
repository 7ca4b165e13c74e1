# SPDX-License-Identifier: Apache-2.0
"""A whole life with failures at dnf's greatest debug level, every command traced: keys and tokens are in their one home alone.

Searched after each command are what it printed, each write(2) of it and of its children (so files that are gone again, too),
arguments and environment of each child, and every file of the host that has changed since the life began.
"""
import base64
import os
import re
import signal
from pathlib import Path
from typing import Dict, Iterable, List, Optional, Set

import pytest

from tests.sandbox.faults import Body, CutBefore, Fault, Hold, Misbehaviour, Status
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY, PLAIN_ESU_KEY
from tests.sandbox.service import Service

TOKEN, SEAT = "etc/dnf/vars/tuxcare_token", "var/lib/tuxcare/seat.json"
JOURNAL = "var/lib/tuxcare/journal/operation.json"
REGISTER, UNREGISTER, PROBE = "*/token/register", "*/token/unregister", "*/BaseOS/*repomd.xml"
TRACE = "run/trace"
STRACE = ["strace", "-f", "--seccomp-bpf", "-y", "-v", "-s", "65536", "-e", "signal=none", "-e",
          "trace=execve,write,pwrite64,writev,sendto,sendmsg", "-o", "/" + TRACE]
WRITE = re.compile(r"\d+ +(?:write|pwrite64|writev|sendto|sendmsg)\(\d+<([^>]*)>")
# The temporary files of the three that may hold a token: each becomes one of them by a rename.
HOMES = {"/etc/dnf/.tuxcare-new-tuxcare_token", "/var/lib/tuxcare/.tuxcare-new-seat.json",
         "/var/lib/tuxcare/journal.new/.tuxcare-new-operation.json", "/var/lib/tuxcare/journal/.tuxcare-new-operation.json"}
# What the user has in the environment, and the programs that are started by us and not by rpm: they get nothing of it.
USERS = {"LD_LIBRARY_PATH": "/nonexistent", "GNUPGHOME": "/nonexistent", "BASH_ENV": "/nonexistent"}
OURS = re.compile(r'execve\("[^"]*/(gpg|grubby|fips-mode-setup)"')
NOT_ON_DISK = ("dev", "proc", "sys")


class Life:
    """A host, every command of which is traced and looked at."""

    def __init__(self, host: Host, service: Service) -> None:
        self._host = host
        self._service = service
        self._keys = {ESU_KEY, PLAIN_ESU_KEY}
        self._tokens: Set[str] = set()
        self._begun = os.stat(str(self._touched("run/begin"))).st_ctime_ns
        self.own: List[str] = []  # files of the administrator's that have a key in them
        self.files: Set[str] = set()
        self.written: Set[str] = set()
        self.programs: Set[str] = set()
        self.lines = self.children = self.writes = 0

    @staticmethod
    def _env(key: Optional[str]) -> Dict[str, str]:
        return {**USERS, **({"TUXCARE_LICENSE_KEY": key} if key else {})}

    def _touched(self, name: str) -> Path:
        path = self._host.root / name
        path.touch()
        return path

    def dnf(self, *words: str, status: int = 0, fault: Optional[Fault] = None, stdin: Optional[str] = None,
            key: Optional[str] = None, homes: Iterable[str] = ()) -> str:
        """One command and what it said; afterwards a token may be in `homes` alone."""
        if fault:
            self._service.order(fault)
        done = self._host.run([*STRACE, "dnf", "-d10", "-y", "--setopt=retries=1", *words], stdin=stdin, env=self._env(key))
        self._service.cancel_faults()
        assert done.returncode == status, done.stdout + done.stderr
        self._look(done.stdout + done.stderr, homes)
        return done.stdout + done.stderr

    def killed(self, path: str, *words: str, key: Optional[str] = None, homes: Iterable[str] = ()) -> None:
        """One command that dies when the service has done what `path` asks, and before its answer."""
        hold = Hold()
        self._service.order(Fault(hold, path=path, times=1))
        process = self._host.start([*STRACE, "dnf", "-d10", "-y", *words], env=self._env(key))
        try:
            assert hold.reached.wait(60)
            os.killpg(process.pid, signal.SIGKILL)
            said = "".join(process.communicate(timeout=60))
        finally:
            hold.release()
        self._service.cancel_faults()
        self._look(said, homes)

    def _look(self, said: str, homes: Iterable[str]) -> None:
        self._tokens |= {seat.token for seat in self._service.licences.seats()} | {
            record.json()["token"] for record in self._service.requests if record.path.endswith("/unregister")}
        trace = self._host.root / TRACE
        lines = trace.read_text(errors="surrogateescape").splitlines()
        trace.unlink()
        self.lines += len(said.splitlines())
        assert self._found(said) == set(), said
        self._look_at_children([line for line in lines if " execve(" in line])
        self._look_at_writes(lines)
        self._look_at_files(set(homes))

    def _look_at_children(self, lines: List[str]) -> None:
        """The first is dnf, which was given the key."""
        for line in lines[1:]:
            assert self._found(line) == set(), line
            ours = OURS.search(line)
            if ours:
                self.programs.add(ours.group(1))
                assert [name for name in USERS if '"%s=' % name in line] == [], line
        self.children += len(lines) - 1

    def _look_at_writes(self, lines: List[str]) -> None:
        for line in lines:
            match = WRITE.match(line)
            if match:
                self.writes += 1
                found = self._found(line)
                assert not found & self._keys and (not found or match.group(1) in HOMES), line
                self.written |= {match.group(1)} if found else set()

    def _look_at_files(self, homes: Set[str]) -> None:
        found: Dict[str, Set[str]] = {}
        for path in self._changed():
            name = str(path.relative_to(self._host.root))
            self.files.add(name)
            found[name] = self._found(path.read_bytes().decode("latin-1"))
        assert {name for name in found if found[name]} == homes.union(self.own), found
        assert all(found[name] <= self._tokens for name in homes)

    def _changed(self) -> Iterable[Path]:
        for top in self._host.root.iterdir():
            if top.name not in NOT_ON_DISK and not top.is_symlink():
                for path in top.rglob("*"):
                    if path.is_file() and not path.is_symlink() and path.stat().st_ctime_ns >= self._begun:
                        yield path

    def _found(self, text: str) -> Set[str]:
        """The secrets in a text, as they are or in base64."""
        return {secret for secret in self._keys | self._tokens
                if secret in text or base64.b64encode(secret.encode())[:-4].decode() in text}


@pytest.fixture
def life(slash_host: Host, service: Service) -> Life:
    tried = slash_host.run(["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"])
    if tried.returncode:
        pytest.skip("strace cannot be had here: " + (tried.stderr.strip() or "no output"))
    return Life(slash_host, service)


def once(behaviour: Misbehaviour, path: str) -> Fault:
    return Fault(behaviour, path=path, times=1)


def test_a_whole_life(life: Life, slash_host: Host) -> None:
    key_file, aliases = slash_host.root / "root/licence.key", slash_host.root / "etc/dnf/aliases.d/site.conf"
    key_file.write_text(ESU_KEY + "\n")
    key_file.chmod(0o600)
    aliases.write_text("[aliases]\nenrol = tuxcare register -l %s\n" % ESU_KEY)
    life.own = ["root/licence.key", "etc/dnf/aliases.d/site.conf"]

    # Each way to give a key, each with another failure.
    register = ("tuxcare", "register")
    life.dnf(*register, "--license-key-file", "/root/licence.key", status=1, fault=Fault(Status(500), path=REGISTER))
    life.dnf(*register, "--license-key-file", "-", stdin=ESU_KEY + "\n", status=1, fault=once(CutBefore(), REGISTER))
    life.dnf("tuxcare", "recover")
    life.dnf(*register, "-l", ESU_KEY, status=1, fault=Fault(Status(403), path="*repomd.xml"))
    life.dnf(*register, "--license-key=" + ESU_KEY, status=1, fault=Fault(Body(b"<html>"), path="*/RPM-GPG-KEY-TuxCare"))
    assert "takes no further word" in life.dnf(*register, ESU_KEY, status=1)
    assert '"code": "usage"' in life.dnf(*register, "--json", ESU_KEY, status=1)
    assert "read from that file" in life.dnf(*register, "--license-key-file", ESU_KEY, status=1)
    assert "no such verb" in life.dnf("tuxcare", ESU_KEY, status=1)
    assert "No such command: (hidden)" in life.dnf("-l", ESU_KEY, *register, status=1)
    assert "No such command: register" in life.dnf("register", "-l", ESU_KEY, status=1)
    assert "no product '(hidden)'" in life.dnf(*register, "--product", ESU_KEY, status=1)
    assert "broke off" in life.dnf("enrol", status=1, fault=Fault(CutBefore(), path=PROBE))
    life.killed(PROBE, *register, "-l" + ESU_KEY, homes=[SEAT])
    life.dnf("tuxcare", "recover")
    life.dnf(*register, key=ESU_KEY, homes=[TOKEN])

    life.dnf("upgrade", status=1, fault=Fault(Status(403), path="*/esu/*"), homes=[TOKEN])
    life.dnf("upgrade", homes=[TOKEN])
    order = slash_host.root / "var/lib/sandbox-standins/grubby.fail"
    order.parent.mkdir(parents=True, exist_ok=True)
    order.write_text("1 --update-kernel\n")
    life.dnf("tuxcare", "fips", "enable", status=5, homes=[TOKEN])
    order.unlink()
    life.dnf("tuxcare", "recover", homes=[TOKEN])
    life.dnf("tuxcare", "fips", "enable", homes=[TOKEN])
    life.dnf(*register, "--replace", key=PLAIN_ESU_KEY, status=1, fault=Fault(Status(403), path=PROBE), homes=[TOKEN])
    life.dnf("enrol", "--replace", fault=Fault(Status(500), path=UNREGISTER), homes=[TOKEN])
    life.dnf("tuxcare", "status", "--check", homes=[TOKEN], status=4)  # a reboot is due
    life.dnf("tuxcare", "release", homes=[TOKEN])
    life.dnf("tuxcare", "unregister", status=1, fault=Fault(Status(500), path=UNREGISTER), homes=[TOKEN])
    life.killed(UNREGISTER, "tuxcare", "unregister", homes=[JOURNAL])
    life.dnf("tuxcare", "recover")
    life.dnf("repolist", "--all")

    # So the search finds what is there.
    assert life.written == HOMES and life.programs == {"gpg", "grubby", "fips-mode-setup"}
    print("%d files, %d lines printed, %d processes and %d writes searched: 0 found" % (
        len(life.files), life.lines, life.children, life.writes))
