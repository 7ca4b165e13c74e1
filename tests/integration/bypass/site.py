# SPDX-License-Identifier: Apache-2.0
"""The ground of an attempt: a registered 9.2 host, copied anew for each, and hostile repositories within its reach."""

import contextlib
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Callable, Dict, Iterable, Iterator, List, Mapping, Optional, Set

from tests.integration.bypass import forge
from tests.integration.bypass.judge import Installed, intruders, packages_of, vetted
from tests.integration.outcome import is_done, register
from tests.sandbox.host import HOST_NAME, Host
from tests.sandbox.service import Service
from tests.sandbox.template import copy_root
from tests.sandbox.universe import Universe

__all__ = ["Ground", "Site"]

_PROLOGUE = """\
import sys, dnf, dnf.cli, dnf.exceptions
base = dnf.Base()
base.conf.assumeyes = True
base.conf.gpgcheck = False
def ready():
    base.init_plugins()
    base.pre_configure_plugins()
    base.conf.substitutions.update_from_etc("/")
    base.read_all_repos()
    base.configure_plugins()
def said(kind, error, trace):
    if not issubclass(kind, dnf.exceptions.Error):
        return sys.__excepthook__(kind, error, trace)
    sys.stderr.write("Error: %s\\n" % error)
sys.excepthook = said
def go():
    base.resolve()
    base.download_packages(list(base.transaction.install_set))
    base.do_transaction()
"""
# What lies where a community's debug and source trees do.
_DEBUG_TREES = {
    "9.2/new/debug/x86_64": "newtool",
    "9.2/shells/debug/x86_64": "bash",
    "9.2/pagers/Source": "epoch",
    "9.4/BaseOS/debug/x86_64": "one",
    "9.2/names/debug/x86_64": "debug",
}


class Site:
    """A host for one attempt, and the places that its {names} stand for.

    `bare` means that nothing of the product's plugin is at work: what then comes in is what the plugin keeps out.
    """

    def __init__(self, host: Host, places: Mapping[str, str], before: Set[Installed], bare: bool) -> None:
        self.host = host
        self.bare = bare
        self.before = before
        self._places = dict(places)
        if bare:
            (host.root / "etc/dnf/plugins/tuxcare.conf").write_text("[main]\nenabled = 0\n")

    def fill(self, text: str) -> str:
        """Puts the places in; any other braces stay."""
        return re.sub(r"\{(\w+)\}", lambda found: self._places.get(found.group(1), found.group(0)), text)

    def dnf(
        self, *args: str, env: Optional[Mapping[str, str]] = None, stdin: Optional[str] = None
    ) -> "subprocess.CompletedProcess[str]":
        own = ["--disableplugin=tuxcare"] if self.bare else []
        filled = {name: self.fill(value) for name, value in (env or {}).items()}
        return self.host.dnf("-y", *own, *map(self.fill, args), env=filled, stdin=self.fill(stdin) if stdin else None)

    def run(self, *argv: str) -> "subprocess.CompletedProcess[str]":
        return self.host.run([self.fill(word) for word in argv])

    def python(self, code: str) -> "subprocess.CompletedProcess[str]":
        return self.host.run(["/usr/bin/python3", "-"], stdin=_PROLOGUE + self.fill(code))

    def after(self) -> Set[Installed]:
        return packages_of(self.host.root)

    def came_in(self, trusted: Set[str], may: Iterable[str] = ()) -> List[str]:
        """What has come onto the host since, and is neither of `trusted` digests nor one of the names in `may`."""
        return intruders(self.before, self.after(), trusted, may)


class Ground:
    """Servers, hostile trees and a registered master of each kind of host; made once, hosts are copies."""

    def __init__(self, universe: Universe, directory: Path, package: Callable[[], Path]) -> None:
        self._universe = universe
        self._directory = directory
        self._package = package
        self._masters: Dict[bool, Host] = {}
        self._before: Dict[bool, Set[Installed]] = {}
        self._count = 0
        self.vetted = vetted(universe)
        self.trees = forge.open_trees(universe)
        self.service = Service(universe, directory / "service").start()
        # Another server, whose paths are the vendor's and whose packages are 9.4's.
        self._evil = Service(universe, directory / "evil").start()
        self._mount()

    def close(self) -> None:
        self._evil.stop()
        self.service.stop()

    def _mount(self) -> None:
        for path in sorted(self.trees.iterdir()):
            self.service.mount("/pub/%s/" % path.name, path)
        for place, tree in _DEBUG_TREES.items():
            self.service.mount("/vault/%s/" % place, self.trees / tree)

    @contextlib.contextmanager
    def site(self, slash: bool, bare: bool = False) -> Iterator[Site]:
        """One host, registered and with all vetted updates; gone afterwards."""
        master = self._master(slash)
        self._count += 1
        directory = self._directory / ("host%d" % self._count)
        directory.mkdir()
        copy_root(master.root, directory / "root")
        host = Host(directory, self.service, slash, HOST_NAME)
        host.reboot()
        try:
            yield Site(host, self._places(host), self._before[slash], bare)
        finally:
            host.close()
            shutil.rmtree(str(directory), ignore_errors=True)

    @contextlib.contextmanager
    def unregistered(self) -> Iterator[Site]:
        """A host as `/` with the product's package, fresh from its installation."""
        self._count += 1
        directory = self._directory / ("host%d" % self._count)
        with Host.create(self._universe, self.service, directory, slash=True, rpm=self._package()) as host:
            yield Site(host, {}, packages_of(host.root), bare=False)
        shutil.rmtree(str(directory), ignore_errors=True)

    def _master(self, slash: bool) -> Host:
        if slash not in self._masters:
            directory = self._directory / ("slash" if slash else "root")
            rpm = self._package() if slash else None
            with Host.create(self._universe, self.service, directory, slash=slash, rpm=rpm) as host:
                register(host)
                is_done(host.dnf("-y", "upgrade"))
                if slash:
                    self._complete(host)
            self._shrink(host.root)
            self._masters[slash] = host
            self._before[slash] = packages_of(host.root)
        return self._masters[slash]

    @staticmethod
    def _shrink(root: Path) -> None:
        """Each row copies this: the history's journal goes into the database, and what nothing reads any more goes away."""
        with contextlib.closing(sqlite3.connect(str(root / "var/lib/dnf/history.sqlite"))) as database:
            database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for log in (root / "var/log").glob("dnf*"):
            log.unlink()

    def _complete(self, host: Host) -> None:
        """What only a host that is `/` has to have itself: a little of 9.4 as files, and dnf's own config-manager."""
        shutil.copytree(str(self.trees / "os94"), str(host.root / "srv/trees/os94"))
        told = host.run(["/usr/bin/python3", "-c", "import dnf.const; print(dnf.const.PLUGINPATH)"])
        plugins = Path(is_done(told).strip())
        if (plugins / "config_manager.py").exists():
            shutil.copy(str(plugins / "config_manager.py"), str(host.root / plugins.relative_to("/")))

    def _places(self, host: Host) -> Dict[str, str]:
        """`pub`: hostile trees at an address that tells nothing; `os94`: 9.4 at its own; `srv`: the trees as files."""
        vendor = "https://repo.tuxcare.com" if host.slash else self.service.url
        token = (host.root / "etc/dnf/vars/tuxcare_token").read_text().strip()
        self._evil_tree(token)
        return {
            "vendor": vendor,
            "token": token,
            "third": "https://packages.example.com" if host.slash else self.service.url,
            "pub": ("https://packages.example.com" if host.slash else self.service.url) + "/pub",
            "os": ("https://repo.almalinux.org" if host.slash else self.service.url),
            "srv": "/srv/trees" if host.slash else str(self.trees),
            "trees": str(self.trees),
            "root": "" if host.slash else str(host.root),
            "evil": self._evil.url.replace("localhost", "127.0.0.1"),
            "evilplain": self._evil.plain_url,
            "evilproxy": self._evil.proxy.url,
            "outside": str(self._outside()),
            "port": str(self.service.port),
            "evilport": str(self._evil.port),
        }

    def _outside(self) -> Path:
        """A folder of repository files that lies below no host's root."""
        folder = self._directory / "outside"
        folder.mkdir(exist_ok=True)
        text = "[mine]\nname=mine\nbaseurl=%s/pub/baseos94/\ngpgcheck=0\n" % self.service.url
        (folder / "mine.repo").write_text(text)
        return folder

    def _evil_tree(self, token: str) -> None:
        """9.4 below the path of the vetted 9.2 trees, on the other server."""
        top = self._directory / "evil-trees" / token
        if not top.exists():
            for tree in ("BaseOS", "AppStream"):
                (top / tree / "x86_64").mkdir(parents=True)
                (top / tree / "x86_64/os").symlink_to(self._universe.tree("almalinux/9.4/" + tree))
            self._evil.mount("/almalinux/9.2/", top.parent)
