# SPDX-License-Identifier: Apache-2.0
"""The metadata of a tree: createrepo_c, and the comps, updateinfo and modules documents that go with it."""

from pathlib import Path
from typing import Iterable, Iterator, List, Tuple
from xml.sax.saxutils import escape, quoteattr

from tests.sandbox.packages import ADVISORIES, BUILDS, MODULES, Advisory, Build, Stream
from tests.sandbox.rpms import BUILD_TIME, Package, run, split_evr

__all__ = ["index", "write_metadata"]


def index(folder: Path, comps: str = "") -> None:
    """Makes repodata anew for the packages that lie in `folder`; `comps` is the text of a comps.xml."""
    options: List[object] = ["--quiet", "--workers", "1", "--revision", BUILD_TIME, "--set-timestamp-to-revision"]
    folder.mkdir(parents=True, exist_ok=True)
    document = folder / "comps.xml"
    if comps:
        document.write_text(comps)
        options += ["--groupfile", document]
    run(["createrepo_c", *options, folder])
    if comps:
        document.unlink()


def write_metadata(trees: Path, tree: str, arch: str, place: str) -> None:
    """Everything below repodata of the tree named `tree` in packages.BUILDS, for one architecture."""
    folder = trees / place
    index(folder, _comps(tree))
    _add(folder, "updateinfo", "updateinfo.xml", _updateinfo(tree, arch))
    _add(folder, "modules", "modules.yaml", _modules(tree, arch))


def _add(folder: Path, kind: str, name: str, text: str) -> None:
    if not text:
        return
    document = folder / name
    document.write_text(text)
    run(["modifyrepo_c", "--mdtype", kind, document, folder / "repodata"])
    document.unlink()


def _built(builds: Iterable[Build], arch: str) -> Iterator[Package]:
    for build in builds:
        for package, places in build.packages():
            if build.sits_in[arch] in places:
                yield package


# --- comps --------------------------------------------------------------------------------------------------------

_GROUPS = {
    "BaseOS": ("core", "Core", "bash coreutils dnf kernel openssl sudo systemd"),
    "AppStream": ("web-server", "Basic Web Server", "httpd"),
}


def _comps(tree: str) -> str:
    group = _GROUPS.get(tree.split("/")[-1])
    if group is None or not tree.startswith("almalinux/"):
        return ""
    names = "".join('<packagereq type="mandatory">%s</packagereq>' % name for name in group[2].split())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">\n'
        "<comps><group><id>%s</id><name>%s</name><description>%s</description><default>true</default>"
        "<uservisible>true</uservisible><packagelist>%s</packagelist></group></comps>\n"
        % (group[0], group[1], group[1], names)
    )


# --- updateinfo ---------------------------------------------------------------------------------------------------


def _updateinfo(tree: str, arch: str) -> str:
    updates = "".join(_update(advisory, arch) for advisory in ADVISORIES if advisory.tree == tree)
    return '<?xml version="1.0" encoding="UTF-8"?>\n<updates>\n%s</updates>\n' % updates if updates else ""


def _update(advisory: Advisory, arch: str) -> str:
    builds = [b for b in BUILDS if b.tree == advisory.tree and "%s %s" % (b.source, b.evr) in advisory.builds]
    references = "".join(
        '<reference href="https://www.cve.org/CVERecord?id=%s" id="%s" type="cve" title="%s"/>' % (cve, cve, cve)
        for cve in advisory.cves.split()
    )
    vendor = "packager@tuxcare.com" if advisory.tree.startswith("tuxcare/") else "packager@almalinux.org"
    return (
        '<update from="%s" status="final" type="%s" version="1"><id>%s</id><title>%s</title><severity>%s</severity>'
        '<issued date="%s 00:00:00"/><updated date="%s 00:00:00"/><description>%s</description>'
        "<references>%s</references><pkglist><collection><name>%s</name>%s</collection></pkglist></update>\n"
        % (
            vendor,
            advisory.kind,
            advisory.advisory_id,
            escape(advisory.title),
            advisory.severity,
            advisory.issued,
            advisory.issued,
            escape(advisory.title),
            references,
            advisory.advisory_id,
            "".join(map(_update_package, _built(builds, arch))),
        )
    )


def _update_package(package: Package) -> str:
    epoch, version, release = split_evr(package.evr)
    values = (
        ("name", package.name),
        ("version", version),
        ("release", release),
        ("epoch", epoch),
        ("arch", package.arch),
    )
    attributes = " ".join("%s=%s" % (key, quoteattr(value)) for key, value in values)
    return "<package %s><filename>%s</filename></package>" % (attributes, package.file_name)


# --- modules ------------------------------------------------------------------------------------------------------


def _modules(tree: str, arch: str) -> str:
    return "".join(_stream(stream, arch) for stream in MODULES if stream.tree == tree)


def _stream(stream: Stream, arch: str) -> str:
    name, number, version, context = stream.label.split(":")
    builds = [build for build in BUILDS if build.tree == stream.tree and build.module == stream.label]
    packages = list(_built(builds, arch))
    return _STREAM.format(
        name=name,
        stream=number,
        version=version,
        context=context,
        arch=arch,
        summary=stream.summary,
        names="".join("        - %s\n" % package.name for package in packages),
        artifacts="".join("      - %s-%s.%s\n" % _with_epoch(package) for package in packages),
    )


def _with_epoch(package: Package) -> Tuple[str, str, str]:
    return package.name, "%s:%s-%s" % split_evr(package.evr), package.arch


_STREAM = """\
---
document: modulemd
version: 2
data:
  name: {name}
  stream: "{stream}"
  version: {version}
  context: "{context}"
  arch: {arch}
  summary: {summary}
  description: >-
    {summary}
  license:
    module:
      - Apache-2.0
  dependencies:
    - requires:
        platform: [el9]
  profiles:
    common:
      rpms:
{names}  artifacts:
    rpms:
{artifacts}...
"""
