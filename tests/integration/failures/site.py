# SPDX-License-Identifier: Apache-2.0
"""The ground of a row: a fresh 9.2 host, the sandbox's servers, and what is needed to break either."""
import contextlib
import os
import subprocess
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional

from tests.integration.failures.forge import Forged
from tests.integration.failures.row import Row
from tests.integration.outcome import add_settings
from tests.sandbox import namespace
from tests.sandbox.host import PROJECT, Host, slash_available
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

__all__ = ["Ground", "Site", "unavailable"]

_OBSERVER = Path(__file__).with_name("observer")


def unavailable(row: Row) -> Optional[str]:
    """Why this machine cannot have what the row needs; None where it can."""
    if row.user:
        return slash_available()
    return "file systems of its own need root" if row.mounts and os.geteuid() != 0 else None


class Site:
    """A host for one row. `mounts` are shell commands that give the first command file systems of its own."""

    def __init__(self, host: Host, service: Service, forged: Forged) -> None:
        self.host = host
        self.service = service
        self.forged = forged
        self.mounts: List[str] = []
        self.conf = host.root / "etc/dnf/plugins/tuxcare.conf"

    def fill(self, text: str) -> str:
        """Puts the host's root in where the text says {root}."""
        return text.replace("{root}", "" if self.host.slash else str(self.host.root))

    def register(self, row: Row, user: Optional[str] = None) -> "subprocess.CompletedProcess[str]":
        """The row's command, as JSON: then the line is on standard error and its parts on standard output."""
        args = ["tuxcare", "register", "--json", *map(self.fill, row.args)]
        env = {} if row.key is None else {"TUXCARE_LICENSE_KEY": row.key}
        if not self.host.slash:
            env.update(PYTHONPATH="%s:%s" % (_OBSERVER, PROJECT), FAILURES_NOTES=str(self._notes))
        if self.mounts:
            return self._with_mounts(args, env)
        return self.host.dnf(*args, env=env, user=user)

    def _with_mounts(self, args: List[str], env: Dict[str, str]) -> "subprocess.CompletedProcess[str]":
        inside = " && ".join([*self.mounts, 'exec "$@"'])
        private = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", inside, "sh"]
        script = self.host.directory / "with-mounts"
        self.host.write_wrapper(script, [*private, *self.host.dnf_command(*args)], **env)
        return namespace.run([str(script)], {"TERM": "dumb"})

    @property
    def _notes(self) -> Path:
        return self.host.directory / "connections"

    def connections_elsewhere(self) -> int:
        """How often the commands so far have tried to connect to anything but the service's own port."""
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return sum(1 for line in lines if not line.endswith(" %d" % self.service.port))


class Ground:
    """Servers, made once; each row gets a host of its own."""

    def __init__(self, universe: Universe, directory: Path, package: Callable[[], Path]) -> None:
        self._universe = universe
        self._directory = directory
        self._package = package
        self._count = 0
        self._forged = Forged(universe)
        self.service = Service(universe, directory / "service").start()

    def close(self) -> None:
        self.service.stop()

    @contextlib.contextmanager
    def site(self, row: Row) -> Iterator[Site]:
        """One host, gone afterwards; the service remembers nothing of it."""
        self._count += 1
        slash = row.user is not None
        directory = self._directory / ("host%d" % self._count)
        rpm = self._package() if slash else None
        keys, seats = dict(self.service.keys), set(self.service.licences.seats())
        with Host.create(self._universe, self.service, directory, slash=slash, rpm=rpm) as host:
            add_settings(host, "retries = 1")
            try:
                yield Site(host, self.service, self._forged)
            finally:
                self.service.cancel_faults()
                self.service.keys.clear()
                self.service.keys.update(keys)
                for seat in set(self.service.licences.seats()) - seats:
                    self.service.licences.unregister(seat.token)
                subprocess.run(["rm", "-rf", "--", str(directory)])
