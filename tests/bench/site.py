# SPDX-License-Identifier: Apache-2.0
"""A registered host to measure on, as `/` in its own namespaces, and the folders of plugins that it is measured with."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from tests.bench import installed, trees
from tests.sandbox.host import PROJECT, Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

__all__ = ["AGAIN", "BARE", "CORE", "CORE_TUXCARE", "INTERPRETER", "LOCKED", "TUXCARE", "VERSIONLOCK", "BenchError", "Site"]

AGAIN = "bare again"
BARE, TUXCARE, VERSIONLOCK, CORE, CORE_TUXCARE = "bare", "tuxcare", "versionlock", "core", "core+tuxcare"
LOCKED = 500
# As in the first line of /usr/bin/dnf; nothing that a user has installed for himself is seen.
INTERPRETER = ["/usr/bin/python3", "-s", "-E"]
_HERE = Path(__file__).resolve().parent
_PLACE = "/opt/bench"
# Packages of their own on EL, and local adds a repository that `dnf -C` complains of.
_LEFT_OUT = ("tuxcare.py", "tuxcare_sentinel.py", "local.py")
_EXAMPLE = "[example]\nname=A third party\nbaseurl=https://packages.example.com/bench/\nenabled=0\ngpgcheck=0\n"


class BenchError(Exception):
    """Nothing can be measured; the text says why."""


class Site:
    """A host held on 9.2 with 300 packages. `close` ends it; the folder stays."""

    def __init__(self, directory: Path) -> None:
        universe = Universe.build()
        self._service = Service(universe, directory / "service").start()
        self.host = Host.create(universe, self._service, directory / "host", slash=True, rpm=_product())
        self.packages = 0
        try:
            self._register()
            self._install_packages()
            self._add_plugins()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        self.host.close()
        self._service.stop()

    def __enter__(self) -> "Site":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- what is measured on --------------------------------------------------------------------------------------

    def serve(self, vetted: int, foreign: int = 0) -> None:
        """The AppStream tree gets so many packages; dnf's caches are filled anew, and what is to be measured is looked at.

        Raises BenchError where the variants would not do the same work.
        """
        token = (self.host.root / "etc/dnf/vars/tuxcare_token").read_text().strip()
        self._service.mount("/almalinux/9.2/%s/AppStream/x86_64/os/" % token, trees.tree(trees.VETTED, vetted))
        enabled = []
        if foreign:
            self._service.mount("/bench/", trees.tree(trees.FOREIGN, foreign))
            enabled = ["--enablerepo=example"]
        self._run("dnf", "clean", "all")
        self._run("dnf", *enabled, "makecache")
        self._check_plan(enabled, (TUXCARE, VERSIONLOCK, CORE, CORE_TUXCARE) if foreign else (TUXCARE,))

    def dnf(self, variant: str, *args: str) -> List[str]:
        """The command, with that variant's plugins and no others."""
        return ["/usr/bin/dnf", *self.options(variant), *args]

    def options(self, variant: str) -> List[str]:
        """What chooses the plugins, of the same form for each variant."""
        folder = "%s/%s" % (_PLACE, variant.replace(" ", "-"))
        return ["--setopt=pluginpath=%s/plugins" % folder, "--setopt=pluginconfpath=%s/conf" % folder]

    def rounds(self, commands: Dict[str, Sequence[str]], rounds: int, told: Callable[[int], None]) -> List[Dict[str, Any]]:
        """What `measure` tells of each run. The first round fills caches and is left out of it."""
        plan = {"rounds": rounds + 1, "seed": 20230510, "commands": commands}
        (self.host.root / "opt/bench/plan.json").write_text(json.dumps(plan))
        runs = []
        for run in self._lines([*INTERPRETER, _PLACE + "/measure.py", _PLACE + "/plan.json"]):
            if run["round"]:
                runs.append(run)
            told(run["round"])
        return runs

    def inside(self, variant: str, *args: str, mode: str = "plain") -> Dict[str, Any]:
        """What `inside` tells of one process."""
        self._run(*INTERPRETER, _PLACE + "/inside.py", _PLACE + "/inside.json", mode, *self.options(variant), *args, status=None)
        told: Dict[str, Any] = json.loads((self.host.root / "opt/bench/inside.json").read_text())
        return told

    def _lines(self, argv: List[str]) -> Iterator[Dict[str, Any]]:
        process = self.host.start(argv)
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            yield json.loads(line)
        said = process.stderr.read()
        if process.wait():
            raise BenchError("measuring failed: " + said)

    # --- making it ------------------------------------------------------------------------------------------------

    def _register(self) -> None:
        (self.host.root / "etc/yum.repos.d/example.repo").write_text(_EXAMPLE)
        self._run("dnf", "tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY})

    def _install_packages(self) -> None:
        """Fills rpm's database up; the sandbox's own packages are there already, the product is one of them."""
        missing = trees.INSTALLED - len(self.host.installed())
        names = []
        for path in installed.packages()[:missing]:
            shutil.copyfile(str(path), str(self.host.root / "tmp" / path.name))
            names.append("/tmp/" + path.name)
        self._run("rpm", "-i", "--justdb", "--nosignature", *names)
        for name in names:
            (self.host.root / name.lstrip("/")).unlink()
        self.packages = len(self.host.installed())

    def _add_plugins(self) -> None:
        """A folder of plugins and one of their configuration for each variant, with compiled bytecode."""
        asked = self._run(*INTERPRETER, "-c", "import dnf.const; print(dnf.const.PLUGINPATH)").strip()
        ours = [self.host.root / asked.lstrip("/") / name for name in ("tuxcare.py", "tuxcare_sentinel.py")]
        theirs = sorted(path for path in Path(asked).glob("*.py") if path.name not in _LEFT_OUT)
        locking = [path for path in theirs if path.name == "versionlock.py"]
        if not locking:
            raise BenchError("dnf-plugins-core is not installed: there is no versionlock in " + asked)
        for variant, files in ((BARE, []), (AGAIN, []), (TUXCARE, ours), (VERSIONLOCK, locking), (CORE, theirs),
                               (CORE_TUXCARE, [*theirs, *ours])):
            self._add_variant(variant, files)
        for name in ("measure.py", "inside.py"):
            shutil.copyfile(str(_HERE / name), str(self.host.root / "opt/bench" / name))
        self._run(*INTERPRETER, "-m", "compileall", "-q", _PLACE, str(Path(asked).parent / "tuxcare_lib"))

    def _add_variant(self, variant: str, files: Sequence[Path]) -> None:
        top = self.host.root / "opt/bench" / variant.replace(" ", "-")
        (top / "plugins").mkdir(parents=True)
        (top / "conf").mkdir()
        for path in files:
            shutil.copyfile(str(path), str(top / "plugins" / path.name))
        if variant in (CORE, CORE_TUXCARE):
            for path in Path("/etc/dnf/plugins").glob("*.conf"):
                shutil.copyfile(str(path), str(top / "conf" / path.name))
        if "tuxcare" in variant:
            shutil.copyfile(str(self.host.root / "etc/dnf/plugins/tuxcare.conf"), str(top / "conf/tuxcare.conf"))
        (top / "conf/versionlock.conf").write_text("[main]\nenabled=1\nlocklist=%s/%s/locks\n" % (_PLACE, variant))
        (top / "locks").write_text(_locks() if variant == VERSIONLOCK else "")

    def _check_plan(self, enabled: Sequence[str], variants: Sequence[str]) -> None:
        """They have to plan the same transaction as bare dnf, and none of them may say anything of its own."""
        args = ["-C", "--assumeno", *enabled, "upgrade"]
        expected = self._said(BARE, args)
        if "Operation aborted" not in expected:
            raise BenchError("bare dnf has nothing to upgrade:\n" + expected)
        for variant in variants:
            if self._said(variant, args) != expected:
                raise BenchError("%s plans another transaction:\n%s" % (variant, self._said(variant, args)))
        self._run("dnf", "tuxcare", "status", "--check")
        if "tuxcare_lib.adapter.guard" not in self.inside(TUXCARE, *args)["modules"]:
            raise BenchError("the guard was not loaded")

    def _said(self, variant: str, args: Sequence[str]) -> str:
        done = self.host.run(self.dnf(variant, *args), timeout=600)
        lines = (done.stdout + done.stderr).splitlines()
        return "\n".join(line for line in lines if not line.startswith("Last metadata expiration check"))

    def _run(self, *argv: str, status: Optional[int] = 0, env: Optional[Dict[str, str]] = None) -> str:
        done = self.host.run(list(argv), env=env, timeout=600)
        if status is not None and done.returncode != status:
            raise BenchError("%s: exit %d\n%s%s" % (" ".join(argv[:4]), done.returncode, done.stdout, done.stderr))
        return done.stdout


def _locks() -> str:
    """Names that the host does not have, each locked on the build that is there: the transaction stays the same."""
    free = [build for build in trees.builds(3000) if build.version == "1.0" and build.arch == "x86_64"
            and build.name not in {one.name for one in trees.installed()}]
    return "".join("%s-0:%s-%s.*\n" % (build.name, build.version, build.release) for build in free[:LOCKED])


def _product() -> Path:
    """The product's package, built from the working tree."""
    built = subprocess.run([str(PROJECT / "scripts/build-rpm")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if built.returncode:
        raise BenchError("the product's package cannot be built:\n" + built.stderr)
    return Path(built.stdout.strip())
