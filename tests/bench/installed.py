# SPDX-License-Identifier: Apache-2.0
"""RPM files of the packages that a measured host has: one rpmbuild makes all of them, once."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import List

from tests.bench import trees
from tests.sandbox import rpms
from tests.sandbox.universe import cache_folder

__all__ = ["packages"]

_MAIN = "Name: stock-all\nVersion: 1.0\nRelease: 1\nSummary: Source of the packages\nLicense: Apache-2.0\nAutoReqProv: no\n"


def packages() -> List[Path]:
    """As many as `trees.INSTALLED`, in the order in which a host should get them."""
    digest = hashlib.sha256(Path(__file__).read_bytes() + Path(trees.__file__).read_bytes()).hexdigest()[:12]
    folder = cache_folder() / ("bench-installed-" + digest)
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        with open(str(folder) + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                _build(folder)
    return [folder / _file_name(build) for build in trees.installed()]


def _build(folder: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix=".making-bench-", dir=str(folder.parent)))
    try:
        (work / "stock.spec").write_text(_MAIN + "%description\nNothing.\n" + "".join(map(_section, trees.installed())))
        settings = {"_topdir": str(work), "_rpmdir": str(work / "rpms"), "_build_name_fmt": _NAMES, "debug_package": "%{nil}",
                    "_binary_payload": "w1.gzdio", "_buildhost": "localhost"}
        defines = [word for name, value in settings.items() for word in ("--define", "%s %s" % (name, value))]
        rpms.run(["rpmbuild", "-bb", "--quiet", "--target", "x86_64-linux", *defines, work / "stock.spec"])
        os.rename(str(work / "rpms"), str(folder))
    finally:
        shutil.rmtree(str(work), ignore_errors=True)


_NAMES = "%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm"


def _file_name(build: trees.Build) -> str:
    return "%s-%s-%s.%s.rpm" % (build.name, build.version, build.release, build.arch)


def _section(build: trees.Build) -> str:
    """A package without files: rpm's database is all that it goes into."""
    lines = ["%package -n " + build.name, "Version: " + build.version, "Release: " + build.release, "Summary: A library",
             "Vendor: " + build.vendor, "Provides: libstock%d.so.1()(64bit)" % build.soname]
    lines += ["Requires: libstock%d.so.1()(64bit)" % number for number in build.requires]
    return "\n".join([*lines, "%description -n " + build.name, "A library.", "%files -n " + build.name, ""])
