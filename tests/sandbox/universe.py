# SPDX-License-Identifier: Apache-2.0
"""The universe: the trees of signed packages that the sandbox serves, built once and cached.

`python3 -m tests.sandbox.universe` builds it and prints where it lies.
"""

import concurrent.futures
import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from tests.sandbox import repodata, rpms, shell
from tests.sandbox.packages import ARCHES, BUILDS, OS_TREES, Build, base_builds
from tests.sandbox.rpms import File, Package
from tests.sandbox.signing import KEY_UIDS, KeyRing, make_keys
from tests.sandbox.sources import SOURCES

__all__ = ["Universe", "cache_folder"]

_HERE = Path(__file__).resolve().parent
_BUILDERS = ("packages", "sources", "rpms", "signing", "repodata", "shell", "osfiles", "universe")


def cache_folder() -> Path:
    """Where the sandbox keeps what is dear to make: $TUXCARE_SANDBOX_CACHE or ~/.cache/tuxcare-sandbox."""
    return Path(os.environ.get("TUXCARE_SANDBOX_CACHE") or "~/.cache/tuxcare-sandbox").expanduser()


class Universe:
    """An immutable folder of trees and keys; make one by `Universe.build()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.trees = path / "trees"
        self.keys = path / "keys"

    @classmethod
    def build(cls, cache: Optional[Path] = None) -> "Universe":
        """Opens the cached universe of today's table, or builds it (under a minute, progress on standard error).

        Whoever builds holds a lock beside the folder; the folder appears whole, by one rename.
        """
        folder = cache or cache_folder()
        path = folder / ("universe-" + digest())
        if not path.is_dir():
            folder.mkdir(parents=True, exist_ok=True)
            with open(str(path) + ".lock", "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not path.is_dir():
                    _build_into(path)
        return cls(path)

    def fingerprint(self, name: str) -> str:
        """40 upper-case hex digits; `name` is AlmaLinux-9, TuxCare or ThirdParty."""
        return (self.keys / "private" / (name + ".fingerprint")).read_text().strip()

    def public_key(self, name: str) -> Path:
        """The armored public key, the text that a RPM-GPG-KEY file holds."""
        return self.keys / ("RPM-GPG-KEY-" + name)

    def tree(self, name: str, arch: str = "x86_64") -> Path:
        """The repository named as in the table, `almalinux/9.2/BaseOS` or `tuxcare/9.2/fips`."""
        return self.trees / name / arch / ("os" if name.startswith("almalinux/") else "")

    def base_packages(self, release: str = "9.2", arch: str = "x86_64") -> List[Path]:
        """The rpm files of a freshly installed host of that release, the first build of each."""
        return [
            self.trees / places[0] / package.file_name
            for build in base_builds(release)
            for package, places in build.packages()
            if package.arch in (arch, "noarch") and _is_base(build, package) and build.sits_in[arch] in places
        ]

    def package(self, name: str, evr: str, arch: str = "x86_64") -> Path:
        """The rpm file of a package of the table; LookupError when there is none."""
        for build in BUILDS:
            for package, places in build.packages():
                if (package.name, package.evr, package.arch) == (name, evr, arch):
                    return self.trees / places[0] / package.file_name
        raise LookupError("%s-%s.%s is not in the universe" % (name, evr, arch))

    def build_rpm(
        self,
        folder: Path,
        name: str,
        evr: str,
        arch: str = "noarch",
        key: Optional[str] = "ThirdParty",
        files: Optional[Mapping[str, str]] = None,
        **fields: object,
    ) -> Path:
        """Builds one more package into `folder`, signed by the key named (None: unsigned).

        `files` is {path: text}; `fields` are those of rpms.Package (vendor, requires, provides, obsoletes,
        conflicts, scriptlets, module). Follow it by `index(folder)`.
        """
        entries = tuple(File(path, text) for path, text in (files or {}).items())
        package = Package(name=name, evr=evr, arch=arch, files=entries, **fields)  # type: ignore[arg-type]
        path = rpms.build(package, folder, _texts(self.keys))
        if key is not None:
            self.sign([path], key)
        return path

    def sign(self, packages: Sequence[Path], key: str) -> None:
        """Signs packages in place, by the key named."""
        with KeyRing(self.keys / "private") as ring:
            ring.sign(packages, self.fingerprint(key))

    def index(self, folder: Path) -> None:
        """Makes `folder` a repository of the packages that lie in it."""
        repodata.index(folder)


def digest() -> str:
    """Names a universe: the table, the code that builds from it, rpm, and the programs copied from this machine."""
    total = hashlib.sha256()
    sources = [_HERE / (name + ".py") for name in _BUILDERS] + sorted((_HERE / "standins").iterdir())
    for source in sources:
        total.update(source.read_bytes())
    total.update(rpms.run(["rpm", "--version"]).encode())
    total.update(shell.identity().encode())
    return total.hexdigest()[:16]


def _is_base(build: Build, package: Package) -> bool:
    return any(member.base and member.name == package.name for member in SOURCES[build.source]) and not build.module


def _texts(keys: Path) -> Dict[str, str]:
    return {name: (keys / ("RPM-GPG-KEY-" + name)).read_text() for name in KEY_UIDS}


# --- building -----------------------------------------------------------------------------------------------------


class _Task(NamedTuple):
    package: Package
    key: str
    places: Tuple[str, ...]


def _build_into(path: Path) -> None:
    """Builds in a sibling of `path` and renames it when it is whole."""
    started = time.monotonic()
    work = Path(tempfile.mkdtemp(prefix=".building-", dir=str(path.parent)))
    try:
        work.chmod(0o755)
        make_keys(work / "keys")
        tasks = _tasks()
        _tell("building %d packages" % len(tasks))
        built = _build_packages(tasks, work)
        _tell("signing them")
        _sign(tasks, built, work / "keys")
        _tell("indexing the trees")
        _place(tasks, built)
        _index(work / "trees")
        work.rename(path)
    finally:
        shutil.rmtree(str(work), ignore_errors=True)
    _tell("%s: built in %.0f s" % (path.name, time.monotonic() - started))


def _tell(sentence: str) -> None:
    print("sandbox: " + sentence, file=sys.stderr, flush=True)


def _tasks() -> List[_Task]:
    return [_Task(package, build.key, places) for build in BUILDS for package, places in build.packages()]


def _build_packages(tasks: Sequence[_Task], work: Path) -> List[Path]:
    """The rpm files, each in the first of its trees."""
    texts = _texts(work / "keys")
    with concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        return list(pool.map(lambda task: rpms.build(task.package, work / "trees" / task.places[0], texts), tasks))


def _sign(tasks: Sequence[_Task], built: Sequence[Path], keys: Path) -> None:
    with KeyRing(keys / "private") as ring:
        for name, uid in KEY_UIDS.items():
            fingerprint = ring.fingerprint(uid)
            (keys / "private" / (name + ".fingerprint")).write_text(fingerprint + "\n")
            ring.sign([path for task, path in zip(tasks, built) if task.key == name], fingerprint)


def _place(tasks: Sequence[_Task], built: Sequence[Path]) -> None:
    """A noarch package lies in the trees of both architectures, once on the disk."""
    for task, path in zip(tasks, built):
        trees = path
        for _ in Path(task.places[0]).parts:
            trees = trees.parent
        for place in task.places[1:]:
            (trees.parent / place).mkdir(parents=True, exist_ok=True)
            os.link(str(path), str(trees.parent / place / path.name))


def _index(trees: Path) -> None:
    names = {build.tree for build in BUILDS}
    names |= {"almalinux/%s/%s" % (release, name) for release in ("9.2", "9.4") for name in OS_TREES}
    repositories = [(Build(name, "", "").sits_in[arch], name, arch) for name in sorted(names) for arch in ARCHES]
    with concurrent.futures.ThreadPoolExecutor(max(2, os.cpu_count() or 2)) as pool:
        list(pool.map(lambda one: repodata.write_metadata(trees, one[1], one[2], one[0]), repositories))


if __name__ == "__main__":
    print(Universe.build().path)
