# SPDX-License-Identifier: Apache-2.0
"""Repositories of any size, as metadata alone: what `dnf -C` reads, without a single RPM file.

A tree of the same size and kind is always the same. Of ten packages in a row one is a newer build of the first, one its i686
build, and two are noarch; each has a vendor, five requirements, three provides, a program, and ten files.
"""

import fcntl
import hashlib
import os
import shutil
import tempfile
import zlib
from pathlib import Path
from typing import Iterator, List, NamedTuple

from tests.sandbox.universe import cache_folder

__all__ = ["FOREIGN", "INSTALLED", "VETTED", "Build", "builds", "foreign", "installed", "tree"]

VETTED = "vetted"
FOREIGN = "foreign"
# How many packages a host can have of the vetted tree, and every which of them has a newer build there.
INSTALLED = 300
_UPGRADED_EVERY = 8
_SONAMES = 20
_TIME = 1700000000


class Build(NamedTuple):
    """One package of a tree. `requires` are numbers of sonames, each provided by the package of that number."""

    name: str
    version: str
    release: str
    arch: str
    vendor: str
    requires: List[int]
    soname: int
    obsoletes: str = ""

    @property
    def shelf(self) -> str:
        """The folder of a thousand packages' folders: libsolv looks through all folders beside one that it adds."""
        return self.name[:-3]


def builds(size: int) -> Iterator[Build]:
    """The packages of a vetted tree of that size; a bigger tree holds all of a smaller one's."""
    for number in range(size):
        place = number % 10
        own = number - place if place in (7, 8) else number
        arch = "i686" if place == 8 else "noarch" if place in (6, 9) else "x86_64"
        yield _vetted(own, "2.0" if place == 7 else "1.0", arch)


def installed() -> List[Build]:
    """What a host has of the vetted tree, by its first builds: names that each tree of 3,000 packages holds."""
    return [_vetted(_number_installed(index), "1.0", "x86_64") for index in range(INSTALLED)]


def foreign(size: int) -> Iterator[Build]:
    """A third party's packages: a few past the pin, a few of an OS vendor, a few with names of installed packages.

    None of them is newer than what it could replace, so a host without the plugin plans the same transaction.
    """
    for number in range(size):
        name, version = "guest%06d" % number, "3.%d" % (number % 9)
        if number % 200 == 1:
            name, version = "stock%06d" % _number_installed(number // 200 % INSTALLED), "0.1"
        vendor = "AlmaLinux" if number % 50 == 2 else "Example Packages"
        release = "1.el9_4" if number % 40 == 3 else "1.el9"
        obsoletes = "stock%06d" % _number_installed(number // 200 % INSTALLED) if number % 200 == 4 else ""
        yield Build(name, version, release, "x86_64", vendor, _requires(number), number, obsoletes)


def tree(kind: str, size: int) -> Path:
    """The folder with `repodata` of such a tree: made once, and kept beside the sandbox's universe."""
    source = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    folder = cache_folder() / ("bench-%s-%d-%s" % (kind, size, source))
    folder.parent.mkdir(parents=True, exist_ok=True)
    if not folder.is_dir():
        with open(str(folder) + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not folder.is_dir():
                _write(kind, size, folder)
    return folder


def _vetted(number: int, version: str, arch: str) -> Build:
    release = "%d.el9%s" % (number % 30 + 1, "_2" if number % 5 == 0 else "")
    return Build("stock%06d" % number, version, release, arch, "AlmaLinux", _requires(number), number)


def _number_installed(index: int) -> int:
    """The first packages provide the sonames that all others require, so they come first."""
    return index * 10 + (0 if index % _UPGRADED_EVERY == 0 else 1) if index >= _SONAMES else _soname_owner(index)


def _soname_owner(index: int) -> int:
    return index // 5 * 10 + 1 + index % 5


def _requires(number: int) -> List[int]:
    return [_soname_owner((number * step + step) % _SONAMES) for step in (1, 3, 7, 9, 11)]


# --- metadata -----------------------------------------------------------------------------------------------------


class _Document:
    """A compressed file of metadata, written piece by piece."""

    def __init__(self, folder: Path, kind: str, head: str) -> None:
        self.kind = kind
        self._path = folder / (kind + ".xml.gz")
        self._file = open(str(self._path), "wb")
        self._packer = zlib.compressobj(1, zlib.DEFLATED, 31)
        self._open = hashlib.sha256()
        self._size = 0
        self.add('<?xml version="1.0" encoding="UTF-8"?>\n' + head)

    def add(self, text: str) -> None:
        data = text.encode("ascii")
        self._open.update(data)
        self._size += len(data)
        self._file.write(self._packer.compress(data))

    def close(self) -> str:
        """Its entry in repomd.xml."""
        self._file.write(self._packer.flush())
        self._file.close()
        packed = self._path.read_bytes()
        return _DATA.format(kind=self.kind, sum=hashlib.sha256(packed).hexdigest(), open=self._open.hexdigest(),
                            size=len(packed), open_size=self._size, time=_TIME)


def _write(kind: str, size: int, folder: Path) -> None:
    work = Path(tempfile.mkdtemp(prefix=".making-bench-", dir=str(folder.parent)))
    try:
        work.chmod(0o755)
        (work / "repodata").mkdir()
        entries = _write_documents(work / "repodata", builds(size) if kind == VETTED else foreign(size), size)
        (work / "repodata/repomd.xml").write_text(_REPOMD.format(revision=_TIME, entries="".join(entries)))
        os.rename(str(work), str(folder))
    finally:
        shutil.rmtree(str(work), ignore_errors=True)


def _write_documents(folder: Path, packages: Iterator[Build], size: int) -> List[str]:
    primary = _Document(folder, "primary", _PRIMARY_HEAD % size)
    filelists = _Document(folder, "filelists", _FILELISTS_HEAD % size)
    for number, build in enumerate(packages):
        # libsolv finds packages by the first bytes of it: mere numbers would all collide.
        identity = hashlib.sha256(b"%d" % number).hexdigest()
        primary.add(_primary(build, identity))
        filelists.add(_filelists(build, identity))
    primary.add("</metadata>\n")
    filelists.add("</filelists>\n")
    return [primary.close(), filelists.close()]


def _primary(build: Build, identity: str) -> str:
    requires = "".join('<rpm:entry name="libstock%d.so.1()(64bit)"/>' % number for number in build.requires)
    obsoletes = '<rpm:obsoletes><rpm:entry name="%s" flags="LT" epoch="0" ver="0.1"/></rpm:obsoletes>' % build.obsoletes
    return _PACKAGE.format(
        b=build, identity=identity, requires=requires, obsoletes=obsoletes if build.obsoletes else "",
        isa={"x86_64": "(x86-64)", "i686": "(x86-32)", "noarch": "(noarch)"}[build.arch],
        bits="()(64bit)" if build.arch == "x86_64" else "")


def _filelists(build: Build, identity: str) -> str:
    return _FILES.format(b=build, identity=identity)


_PRIMARY_HEAD = ('<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm"'
                 ' packages="%d">\n')
_FILELISTS_HEAD = '<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="%d">\n'
_PACKAGE = """\
<package type="rpm"><name>{b.name}</name><arch>{b.arch}</arch><version epoch="0" ver="{b.version}" rel="{b.release}"/>\
<checksum type="sha256" pkgid="YES">{identity}</checksum><summary>The {b.name} library and its program</summary>\
<description>{b.name} is a library with a program.
It stands for one of the many packages of a distribution.</description><packager>packager@example.com</packager>\
<url>https://www.example.com/{b.name}/</url><time file="1700000000" build="1700000000"/>\
<size package="81234" installed="204800" archive="206000"/>\
<location href="Packages/{b.name}-{b.version}-{b.release}.{b.arch}.rpm"/><format><rpm:license>Apache-2.0</rpm:license>\
<rpm:vendor>{b.vendor}</rpm:vendor><rpm:group>Unspecified</rpm:group><rpm:buildhost>build.example.com</rpm:buildhost>\
<rpm:sourcerpm>{b.name}-{b.version}-{b.release}.src.rpm</rpm:sourcerpm><rpm:header-range start="4504" end="9001"/>\
<rpm:provides><rpm:entry name="{b.name}" flags="EQ" epoch="0" ver="{b.version}" rel="{b.release}"/>\
<rpm:entry name="{b.name}{isa}" flags="EQ" epoch="0" ver="{b.version}" rel="{b.release}"/>\
<rpm:entry name="libstock{b.soname}.so.1{bits}"/></rpm:provides><rpm:requires>{requires}</rpm:requires>{obsoletes}\
<file>/usr/bin/{b.name}</file></format></package>
"""
_FILES = """\
<package pkgid="{identity}" name="{b.name}" arch="{b.arch}"><version epoch="0" ver="{b.version}" rel="{b.release}"/>\
<file>/usr/bin/{b.name}</file><file>/usr/lib64/lib{b.name}.so.1</file><file>/usr/lib64/lib{b.name}.so.1.0</file>\
<file type="dir">/usr/share/doc/{b.shelf}/{b.name}</file><file>/usr/share/doc/{b.shelf}/{b.name}/README.md</file>\
<file>/usr/share/doc/{b.shelf}/{b.name}/NEWS</file><file type="dir">/usr/share/licenses/{b.shelf}/{b.name}</file>\
<file>/usr/share/licenses/{b.shelf}/{b.name}/LICENSE</file><file>/usr/share/man/man1/{b.name}.1.gz</file>\
<file>/usr/share/locale/de/LC_MESSAGES/{b.name}.mo</file></package>
"""
_REPOMD = """\
<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
<revision>{revision}</revision>
{entries}</repomd>
"""
_DATA = """\
<data type="{kind}"><checksum type="sha256">{sum}</checksum><open-checksum type="sha256">{open}</open-checksum>\
<location href="repodata/{kind}.xml.gz"/><timestamp>{time}</timestamp><size>{size}</size><open-size>{open_size}</open-size></data>
"""
