# SPDX-License-Identifier: Apache-2.0
"""Metadata that says of a package what its header does not."""

import gzip
import re
from pathlib import Path
from typing import Callable, Iterable

from tests.sandbox.rpms import run

__all__ = ["Lie", "add", "claim", "nothing_of", "tell"]

# Of the text of a primary.xml to another one.
Lie = Callable[[str], str]


def tell(folder: Path, lies: Iterable[Lie]) -> None:
    """Puts another primary.xml into an indexed folder; its checksums are right."""
    repodata = folder / "repodata"
    text = gzip.decompress(next(repodata.glob("*-primary.xml.gz")).read_bytes()).decode()
    for lie in lies:
        changed = lie(text)
        assert changed != text, "a lie that says nothing else"
        text = changed
    run(["modifyrepo_c", "--remove", "primary", repodata])
    (folder / "primary.xml").write_text(text)
    run(["modifyrepo_c", "--mdtype", "primary", folder / "primary.xml", repodata])
    (folder / "primary.xml").unlink()


def add(folder: Path, kind: str, text: str) -> None:
    """One more document of the repository."""
    (folder / (kind + ".txt")).write_text(text)
    run(["modifyrepo_c", "--mdtype", kind, "--new-name", kind + ".xml", folder / (kind + ".txt"), folder / "repodata"])
    (folder / (kind + ".txt")).unlink()


def claim(package: str, **values: str) -> Lie:
    """Of a package another name, vendor, arch, epoch, ver, rel or href; its dependencies on itself follow."""

    def lie(text: str) -> str:
        return _in_package(text, package, lambda entry: _claimed(entry, values))

    return lie


def nothing_of(name: str, tag: str) -> Lie:
    """A part of the package `name` is missing: `rpm:obsoletes`, `rpm:vendor`, `rpm:requires`."""

    def lie(text: str) -> str:
        return _in_package(text, name, lambda entry: re.sub(r"<{0}>.*?</{0}>|<{0}/>".format(tag), "", entry, flags=re.S))

    return lie


def _in_package(text: str, name: str, change: Lie) -> str:
    entries = re.split(r"(?=<package type)", text)
    return "".join(change(entry) if "<name>%s</name>" % name in entry else entry for entry in entries)


def _claimed(entry: str, values: "dict[str, str]") -> str:
    for key, value in values.items():
        if key == "name":
            entry = re.sub(r"<name>.*?</name>", "<name>%s</name>" % value, entry)
        elif key == "arch":
            entry = re.sub(r"<arch>.*?</arch>", "<arch>%s</arch>" % value, entry)
        elif key == "vendor":
            entry = re.sub(r"<rpm:vendor>.*?</rpm:vendor>|<rpm:vendor/>", "<rpm:vendor>%s</rpm:vendor>" % value, entry)
        elif key == "href":
            entry = re.sub(r'href="[^"]*"', 'href="%s"' % value, entry)
        else:
            entry = re.sub(r'(<version [^>]*%s=)"[^"]*"' % key, r'\1"%s"' % value, entry)
    return entry
