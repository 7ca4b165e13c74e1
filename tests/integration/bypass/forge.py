# SPDX-License-Identifier: Apache-2.0
"""Hostile repositories: small trees of packages that claim, replace, obsolete or pull in what they should not."""

import concurrent.futures
import fcntl
import hashlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Dict, List, Mapping, NamedTuple, Tuple

from tests.integration.bypass import lies
from tests.integration.bypass.documents import defaults, group, stream, update
from tests.integration.bypass.lies import Lie, claim, nothing_of
from tests.sandbox import repodata, rpms
from tests.sandbox.rpms import File, Package
from tests.sandbox.universe import Universe

__all__ = ["TAGS", "TREES", "VENDORS", "WHOLE_TREES", "open_trees"]

# Trees of the universe that are served at addresses which tell nothing.
WHOLE_TREES = {"baseos94": "almalinux/9.4/BaseOS", "appstream94": "almalinux/9.4/AppStream", "mirror92": "almalinux/9.2/BaseOS"}

# Release tags that name a minor or major past 9.2, by the name of the package that has it.
TAGS = {
    "tag-el9-4": "1.el9_4.example.2",
    "tag-el9-10": "1.el9_10",
    "tag-el10": "1.el10",
    "tag-module": "1.module_el9.4.0+7+0a1b",
    "tag-late": "1.example.el9_6",
}
VENDORS = {
    "os-alma": "AlmaLinux",
    "os-rocky": "Rocky Enterprise Software Foundation",
    "os-redhat": "Red Hat, Inc.",
    "os-oracle": "Oracle America",
    "os-centos": "CentOS",
}

_WORKERS = max(2, os.cpu_count() or 2)


class Tree(NamedTuple):
    """`real` are (name, EVR) of the universe. The metadata is made, then lied about, then the documents are added."""

    forged: Tuple[Package, ...] = ()
    real: Tuple[Tuple[str, str], ...] = ()
    lies: Tuple[Lie, ...] = ()
    documents: Mapping[str, str] = {}
    comps: str = ""


def strange(name: str, evr: str = "1-1", arch: str = "noarch", vendor: str = "Example Packages", **fields: object) -> Package:
    """A package of nobody that the host trusts."""
    path = File("/usr/share/doc/%s/%s" % (name, evr), evr + "\n")
    return Package(name=name, evr=evr, arch=arch, vendor=vendor, files=(path, *fields.pop("files", ())), **fields)  # type: ignore


def weak(tag: str, text: str) -> str:
    """An entry of `provides` that is followed by a weak dependency, for which Package has no field."""
    return "weak-%s\n%s: %s" % (tag.lower(), tag, text)


# So many harmless packages that a few of an operating system do not make a tree one.
FILL = tuple(strange("filler%d" % number) for number in range(8))
LESS, RSYNC, TZDATA = ("less", "590-4.el9_4"), ("rsync", "3.2.3-20.el9"), ("tzdata", "2024a-1.el9")
RELEASE = tuple((name, "9.4-1.el9") for name in ("almalinux-release", "almalinux-repos", "almalinux-gpg-keys"))
KERNEL = tuple((name, "5.14.0-427.13.1.el9_4") for name in ("kernel", "kernel-core", "kernel-modules", "kernel-modules-core"))

_SSL = (strange("openssl-libs", "9:9-1", "x86_64"), strange("openssl", "9:9-1", "x86_64"))
_NGINX = strange("nginx", "9:1.99-1.module_el9.2.0+1", "x86_64", module="nginx:1.99:9990:9")

TREES: Dict[str, Tree] = {
    "tags": Tree(tuple(strange(name, "1-" + release) for name, release in TAGS.items()) + FILL),
    "vendors": Tree(tuple(strange(name, vendor=vendor) for name, vendor in VENDORS.items()) + FILL),
    "rocky": Tree(tuple(strange("rocky%d" % number, vendor=VENDORS["os-rocky"]) for number in range(3))),
    "newtool": Tree((strange("newtool"), strange("newtool", "2-1"))),
    "fedora": Tree((strange("fedoratool", "1-3.fc40", vendor="Fedora Project"),)),
    "empty": Tree(),
    # --- what replaces --------------------------------------------------------------------------------------------
    "bash": Tree((strange("bash", "9-1", "x86_64", provides=("/bin/sh", "/bin/bash", "/usr/bin/bash", "/usr/bin/sh")),)),
    "epoch": Tree((strange("less", "99:1-1", "x86_64"),)),
    "noarch": Tree((strange("less", "999-1"),)),
    "i686": Tree((strange("zlib", "9-1", "i686"),)),
    "older": Tree((strange("less", "1-1", "x86_64"),)),
    "same": Tree((strange("less", "590-1.el9_0", "x86_64"),)),
    "nobody": Tree((strange("less", "999-1", "x86_64", vendor=""),)),
    "kernel": Tree((strange("kernel-core", "9-1", "x86_64", provides=("installonlypkg(kernel)",)),)),
    "release": Tree(
        (
            strange(
                "almalinux-release",
                "9.2-99",
                "x86_64",
                provides=(
                    "system-release = 9.2-1.el9",
                    "redhat-release = 9.2-99",
                    "system-release(releasever) = 9",
                    "base-module(platform:el9)",
                ),
            ),
        )
    ),
    "fork": Tree((strange("tuxcare-release", "99-1", "x86_64"), *FILL)),
    # --- what obsoletes -------------------------------------------------------------------------------------------
    "obsoletes": Tree(
        (
            strange(
                "openssl-ng",
                "1-1",
                "x86_64",
                obsoletes=("openssl", "openssl-libs"),
                provides=("openssl-libs(x86-64) = 9:9", "openssl-libs = 9:9", "openssl = 9:9"),
            ),
        )
    ),
    "obsoletes-less": Tree((strange("pager", "1-1", obsoletes=("less < 9999",), provides=("less = 9999",)),)),
    "obsoletes-release": Tree(
        (
            strange(
                "system-files",
                "9.4-1",
                obsoletes=("almalinux-release",),
                provides=("system-release = 9.2-1.el9", "system-release(releasever) = 9", "base-module(platform:el9)"),
            ),
        )
    ),
    "erases": Tree((strange("eraser", conflicts=("less",)),)),
    "moves": Tree(
        (strange("zz-release", provides=("system-release(releasever) = 9.4", "system-release = 9.4", "redhat-release = 9.4")),)
    ),
    "conflicts": Tree((strange("rsync-ng", "1-1", provides=("rsync = 9",), conflicts=("rsync",)),)),
    "debug": Tree((strange("pager-debuginfo", "1-1.el9_4", obsoletes=("less",), provides=("less = 9999",)),)),
    # --- what pulls in --------------------------------------------------------------------------------------------
    "needs": Tree((strange("agent", requires=("less >= 590-4",)), *FILL), (LESS,)),
    "rich": Tree((strange("agent", requires=("(less >= 590-4 if bash)",)), *FILL), (LESS,)),
    "recommends": Tree(
        (strange("agent", provides=(weak("Recommends", "newlib"),)), strange("newlib", vendor="AlmaLinux"), *FILL)
    ),
    "supplements": Tree((strange("addon", "1-1.el9_4", provides=(weak("Supplements", "newtool"),)), strange("newtool"), *FILL)),
    "path": Tree(
        (
            strange("agent", requires=("/usr/share/newfile",)),
            strange("newlib", vendor="AlmaLinux", files=(File("/usr/share/newfile", "x\n"),)),
            *FILL,
        )
    ),
    "provides": Tree((strange("fastssl", provides=("openssl-libs = 9:9",)), strange("agent", requires=("openssl-libs >= 9:9",)))),
    "half": Tree((*FILL[:5], strange("newtool")), (LESS, RSYNC, TZDATA)),
    "one": Tree(FILL, (LESS,)),
    "os94": Tree((), (LESS, RSYNC, TZDATA)),
    "release94": Tree(FILL, RELEASE),
    "kernels94": Tree(FILL, KERNEL),
    # --- what its metadata does not say ---------------------------------------------------------------------------
    "lie-name": Tree((), (LESS,), (claim("less", name="foo", ver="1.0", rel="1", vendor="Example Packages"),)),
    "lie-release": Tree(
        (),
        RELEASE,
        tuple(claim(name, name="foo" + name[9:], ver="1.0", rel="1", vendor="Example Packages") for name, _ in RELEASE),
    ),
    "lie-version": Tree((strange("newtool", "1-1.el9_4"),), (), (claim("newtool", rel="1.el9"),)),
    "lie-epoch": Tree((strange("newtool", "9:1-1"),), (), (claim("newtool", epoch="0"),)),
    "lie-arch": Tree((strange("newtool", "1-1", "x86_64"),), (), (claim("newtool", arch="noarch"),)),
    "lie-vendor": Tree((strange("newlib", vendor="AlmaLinux"),), (), (claim("newlib", vendor="Example Packages"),)),
    "lie-no-vendor": Tree((strange("newlib", vendor="AlmaLinux"),), (), (nothing_of("newlib", "rpm:vendor"),)),
    "lie-obsoletes": Tree(
        (strange("pager", "1-1", obsoletes=("less",), provides=("less = 9999",)),), (), (nothing_of("pager", "rpm:obsoletes"),)
    ),
    "lie-href": Tree(
        (strange("newtool"),), (LESS,), (claim("less", name="newtool", ver="3", rel="1", vendor="Example Packages"),)
    ),
    # --- modules, groups, advisories ------------------------------------------------------------------------------
    "shadow": Tree(
        (*_SSL, *FILL),
        documents={
            "modules": stream("ssl", "9", ["openssl-9:9-1.x86_64", "openssl-libs-9:9-1.x86_64"], ["openssl"])
            + defaults("ssl", "9")
        },
    ),
    "shadow-own": Tree(
        (strange("curl", "1-1", "x86_64"), *FILL),
        documents={"modules": stream("transfer", "1", ["curl-0:1-1.x86_64"], ["curl"]) + defaults("transfer", "1")},
    ),
    "stream": Tree(
        (_NGINX, *FILL), documents={"modules": stream("nginx", "1.99", ["nginx-9:1.99-1.module_el9.2.0+1.x86_64"], ["nginx"])}
    ),
    "stream-os": Tree(
        (strange("less", "999-1.module_el9.2.0+1", "x86_64", module="pager:1:9990:9"), *FILL),
        documents={"modules": stream("pager", "1", ["less-0:999-1.module_el9.2.0+1.x86_64"], ["less"])},
    ),
    "stream-94": Tree(
        (strange("newdb", "1-1.module_el9.4.0+1", "x86_64", module="newdb:1:9990:9"), *FILL),
        documents={"modules": stream("newdb", "1", ["newdb-0:1-1.module_el9.4.0+1.x86_64"], ["newdb"])},
    ),
    "stream-own": Tree(
        (strange("exampledb", "1-1", "x86_64", module="exampledb:1:9990:9"),),
        documents={"modules": stream("exampledb", "1", ["exampledb-0:1-1.x86_64"], ["exampledb"])},
    ),
    "groups": Tree(FILL, (LESS, TZDATA), comps=group("core", ["less", "tzdata"])),
    "groups-new": Tree((strange("tag-el9-4", "1-1.el9_4"), *FILL), comps=group("tools", ["tag-el9-4"])),
    "groups-own": Tree((strange("exampletool"),), comps=group("example-tools", ["exampletool"])),
    "advisory": Tree(FILL, (LESS,), documents={"updateinfo": update("ALSA-2024:9999", "less", "590", "4.el9_4")}),
    # --- what brings files ----------------------------------------------------------------------------------------
    "brings-repo": Tree(
        (
            strange(
                "extra-release",
                files=(File("/etc/yum.repos.d/extra.repo", "[extra]\nname=extra\nbaseurl=file:///srv/trees/os94\ngpgcheck=0\n"),),
            ),
        )
    ),
    "brings-variable": Tree((strange("extra-vars", files=(File("/etc/dnf/vars/extra", "9.4\n"),)),)),
}


def open_trees(universe: Universe) -> Path:
    """The folder with all trees, made beside the universe where it is not there yet; nobody may write to it."""
    folder = universe.path.parent / ("hostile-" + _digest(universe))
    if not folder.is_dir():
        with open(str(folder) + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                _make(universe, folder)
    return folder


def _digest(universe: Universe) -> str:
    total = hashlib.sha256(universe.path.name.encode())
    for name in ("forge.py", "lies.py", "documents.py"):
        total.update(Path(__file__).with_name(name).read_bytes())
    return total.hexdigest()[:16]


def _make(universe: Universe, folder: Path) -> None:
    """Builds in a sibling, which is renamed when it is whole."""
    with tempfile.TemporaryDirectory(prefix=".making-hostile-", dir=str(folder.parent)) as work:
        _build(universe, Path(work) / "trees")
        (Path(work) / "trees").rename(folder)


def _build(universe: Universe, folder: Path) -> None:
    """Unsigned, for a hostile repository says gpgcheck=0."""
    with tempfile.TemporaryDirectory(prefix="forge-") as work, concurrent.futures.ThreadPoolExecutor(_WORKERS) as pool:
        packages = _distinct()
        made = pool.map(lambda item: rpms.build(item[1], Path(work) / str(item[0]), {}), enumerate(packages))
        built = dict(zip(map(repr, packages), made))
        list(pool.map(lambda item: _build_tree(universe, folder / item[0], item[1], built), TREES.items()))
    for name, tree in WHOLE_TREES.items():
        (folder / name).symlink_to(universe.tree(tree))


def _distinct() -> List[Package]:
    """Each package once: most of the time goes into building them."""
    return list({repr(package): package for tree in TREES.values() for package in tree.forged}.values())


def _build_tree(universe: Universe, folder: Path, tree: Tree, built: Mapping[str, Path]) -> None:
    folder.mkdir(parents=True)
    for package in tree.forged:
        shutil.copy(str(built[repr(package)]), str(folder))
    for name, evr in tree.real:
        arch = "noarch" if name == "tzdata" else "x86_64"
        shutil.copy(str(universe.package(name, evr, arch)), str(folder))
    repodata.index(folder, tree.comps)
    if tree.lies:
        lies.tell(folder, tree.lies)
    for kind, text in tree.documents.items():
        lies.add(folder, kind, text)
