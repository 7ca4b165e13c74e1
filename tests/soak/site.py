# SPDX-License-Identifier: Apache-2.0
"""A service and the hosts of it, one sequence after the other; and how a step is done to a host."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from tests.crash import injector
from tests.integration.outcome import add_settings
from tests.sandbox import licences, osfiles, rpms, template
from tests.sandbox.faults import Body, CutBefore, CutWithin, Fault, Fields, Hold, Json, Misbehaviour, Status, Truncated
from tests.sandbox.host import Host
from tests.sandbox.rpms import File, Package
from tests.sandbox.service import Service
from tests.sandbox.signing import KeyRing
from tests.sandbox.universe import Universe
from tests.soak.edits import EDITS, Place
from tests.soak.steps import Harm, Step

__all__ = ["KEYS", "LATER_REPOS", "Done", "Lane", "Patient"]

KEYS = {"esu": licences.ESU_KEY, "plain esu": licences.PLAIN_ESU_KEY, "essential": licences.ESSENTIAL_KEY,
        "plain essential": licences.PLAIN_ESSENTIAL_KEY, "unknown": licences.UNKNOWN_KEY, "exhausted": licences.EXHAUSTED_KEY}
_SECONDS = 60
BEHAVIOURS: Dict[str, Callable[[], Misbehaviour]] = {
    "500": lambda: Status(500), "429": lambda: Status(429, {"Retry-After": "1"}), "cut before": CutBefore,
    "cut within": lambda: CutWithin(5), "hold": Hold, "no token": lambda: Fields(token=None),
    "token a path": lambda: Fields(token="../../9.4"), "a list": lambda: Json([]),
    "html": lambda: Body(b"<html>log in</html>"), "truncated": lambda: Truncated(9),
    "key limit": lambda: Json({"error": "key-limit-reached"}, 400),
}
# The repository files as almalinux-repos-9.2-2 has them: changed, so an edited file keeps and gets a .rpmnew beside it.
LATER_REPOS = {name: text + "# 9.2-2\n" for name, text in osfiles.repo_files("9.2").items()}


class Done(NamedTuple):
    """`hurt` tells that the harm of the step really happened; `skipped` that an edit found nothing to edit."""

    status: int = 0
    out: str = ""
    err: str = ""
    hurt: bool = False
    skipped: bool = False

    @property
    def said(self) -> str:
        return self.out + self.err


class Lane:
    """One service; one sequence at a time runs on it."""

    def __init__(self, universe: Universe, service: Service, folder: Path) -> None:
        self.universe = universe
        self.service = service
        self._folder = folder
        self._library = injector.build(folder)
        self._fleet = _fleet(universe, folder / "fleet")

    @contextlib.contextmanager
    def patient(self) -> Iterator["Patient"]:
        """A fresh host, and nothing that the service remembers; gone afterwards."""
        folder = self._folder / "sequence"
        shutil.rmtree(str(folder), ignore_errors=True)
        self.service.clear_requests()
        self.service.cancel_faults()
        before = set(self.service.licences.seats())
        host = Host.create(self.universe, self.service, folder / "host")
        self._configure(host)
        try:
            yield Patient(self.service, self._library, host, folder)
        finally:
            for seat in set(self.service.licences.seats()) - before:
                self.service.licences.unregister(seat.token)
            shutil.rmtree(str(folder), ignore_errors=True)

    def _configure(self, host: Host) -> None:
        """All host names lead to the service, by a proxy: so the community's mirrors are there for a host that leaves."""
        url = self.service.mount("/fleet/", self._fleet)
        with open(str(host.root / "etc/dnf/dnf.conf"), "a", encoding="utf-8") as stream:
            stream.write("proxy=%s\nretries=1\ntimeout=5\n" % self.service.proxy.url)
        add_settings(host, "timeout = 2", "retries = 1")
        with open(str(host.root / "etc/dnf/plugins/tuxcare.conf"), "a", encoding="utf-8") as stream:
            stream.write("[pin]\ntrusted_url = %s\n" % url)
        (host.root / "etc/yum.repos.d/fleet.repo").write_text("[fleet]\nname=Fleet\nbaseurl=%s\ngpgcheck=0\n" % url)


def _fleet(universe: Universe, folder: Path) -> Path:
    """An own mirror with the update of almalinux-repos."""
    files = tuple(File("/etc/yum.repos.d/" + name, text, "%config(noreplace)") for name, text in sorted(LATER_REPOS.items()))
    package = Package("almalinux-repos", "9.2-2.el9", "x86_64", vendor="AlmaLinux", files=files,
                      provides=("almalinux-repos(9) = {evr}",), requires=("system-release",))
    path = rpms.build(package, folder, {})
    with KeyRing(universe.keys / "private") as ring:
        ring.sign([path], universe.fingerprint("AlmaLinux-9"))
    universe.index(folder)
    return folder


class Patient:
    """The host of one sequence, and what is done to it."""

    def __init__(self, service: Service, library: Path, host: Host, folder: Path) -> None:
        self.service = service
        self.host = host
        self._library = library
        self._folder = folder
        self._numbers = itertools.count(1)
        self._own = set(service.licences.seats())
        self.pristine = {name: text.encode() for name, text in osfiles.repo_files("9.2").items()}

    # --- what is there ----------------------------------------------------------------------------------------------

    def seats(self) -> List[str]:
        """Tokens of the seats that this host has taken, oldest first."""
        return [seat.token for seat in self.service.licences.seats() if seat not in self._own]

    def tokens(self) -> List[str]:
        """All that the service ever gave this host."""
        answers = [record.answer for record in self.service.requests if record.path.endswith("/token/register")]
        return sorted({part for answer in answers for part in answer.decode("ascii", "replace").split('"') if "-SERVER-" in part}
                      | set(self.seats()))

    @contextlib.contextmanager
    def copy(self) -> Iterator[Host]:
        """The host as it is now, to try something on; the seats are as they were afterwards."""
        directory = self._folder / ("copy%d" % next(self._numbers))
        directory.mkdir()
        template.copy_root(self.host.root, directory / "root")
        licence = self.service.licences
        seats = licence.seats()
        try:
            yield Host(directory, self.service, False, self.host.host_name)
        finally:
            with licence._lock:  # tokens are random: no seat can be taken a second time with the same one
                licence._seats = seats
            shutil.rmtree(str(directory))

    # --- a step -----------------------------------------------------------------------------------------------------

    def do(self, step: Step) -> Done:
        if step.kind == "edit":
            return self._edit(step)
        words, env, stdin = self._with_key(step)
        harm = step.harm
        if harm is None:
            return _done(self.host.dnf(*words, env=env, stdin=stdin))
        if harm.kind == "kill":
            return self._killed(words, env, stdin, harm)
        if harm.kind == "signal":
            return self._signalled(words, env, harm)
        return self._faulty(words, env, stdin, harm)

    def _edit(self, step: Step) -> Done:
        name, file = (*step.words, "")[:2]
        done = EDITS[name].act(Place(self.host.root, file, self.service.url, self.pristine))
        return Done(skipped=done is False)

    def _with_key(self, step: Step) -> Tuple[List[str], Dict[str, str], Optional[str]]:
        words, key = list(step.words), KEYS.get(step.key, "")
        if step.key_by == "option":
            return [*words, "-l", key], {}, None
        if step.key_by == "standard input":
            return [*words, "--license-key-file", "-"], {}, key + "\n"
        if step.key_by == "file":
            path = self._folder / "licence.key"
            path.write_text(key + "\n")
            path.chmod(0o600)
            return [*words, "--license-key-file", str(path)], {}, None
        return words, {"TUXCARE_LICENSE_KEY": key} if key else {}, None

    def _killed(self, words: List[str], env: Dict[str, str], stdin: Optional[str], harm: Harm) -> Done:
        log = self._folder / ("log%d" % next(self._numbers))
        added = injector.settings(self._library, self.host.root, log, injector.KILL, harm.at)
        other = template.outside_env(self.host.root).get("LD_PRELOAD")
        added["LD_PRELOAD"] += ":" + other if other else ""
        done = _done(self.host.dnf(*words, env={**env, **added}, stdin=stdin))
        return done._replace(hurt=done.status == -signal.SIGKILL)

    def _faulty(self, words: List[str], env: Dict[str, str], stdin: Optional[str], harm: Harm) -> Done:
        behaviour = BEHAVIOURS[harm.name]()
        fault = self.service.order(Fault(behaviour, path=harm.path, times=harm.at))
        try:
            done = _done(self.host.dnf(*words, env=env, stdin=stdin))
        finally:
            self.service.cancel_fault(fault)
            if isinstance(behaviour, Hold):
                behaviour.release()
        return done._replace(hurt=fault.used > 0)

    def _signalled(self, words: List[str], env: Dict[str, str], harm: Harm) -> Done:
        hold = Hold()
        fault = self.service.order(Fault(hold, path=harm.path, times=1))
        process = self.host.start_dnf(*words, env=env)
        said: List[str] = []
        reader = threading.Thread(target=lambda: said.extend(process.communicate()), daemon=True)
        reader.start()
        try:
            hurt = _reached(hold, process)
            if hurt:
                os.killpg(process.pid, harm.at)
            hold.release()
            reader.join(_SECONDS)
        finally:
            hold.release()
            self.service.cancel_fault(fault)
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            reader.join(_SECONDS)
        return Done(process.returncode, *map(self.host.as_of_slash, said), hurt)


def _reached(hold: Hold, process: "subprocess.Popen[str]") -> bool:
    """Whether the client waits for the answer; it may end without asking for it."""
    end = time.monotonic() + _SECONDS
    while process.poll() is None and time.monotonic() < end:
        if hold.reached.wait(0.05):
            return process.poll() is None
    return False


def _done(done: "subprocess.CompletedProcess[str]") -> Done:
    return Done(done.returncode, done.stdout, done.stderr)
