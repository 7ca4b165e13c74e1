# SPDX-License-Identifier: Apache-2.0
"""The documents of a hostile repository beside its packages: modules, groups, advisories."""

from typing import Iterable
from xml.sax.saxutils import quoteattr

__all__ = ["defaults", "group", "stream", "update"]


def stream(name: str, number: str, artifacts: Iterable[str], rpms: Iterable[str], version: int = 9990) -> str:
    """A module stream; `artifacts` are name-epoch:version-release.arch, `rpms` the names in its profile `common`."""
    return (
        "---\ndocument: modulemd\nversion: 2\ndata:\n"
        '  name: {0}\n  stream: "{1}"\n  version: {2}\n  context: "9"\n  arch: x86_64\n'
        "  summary: {0}\n  description: >-\n    {0}\n  license:\n    module:\n      - Apache-2.0\n"
        "  dependencies:\n    - requires:\n        platform: [el9]\n"
        "  profiles:\n    common:\n      rpms:\n{3}  artifacts:\n    rpms:\n{4}...\n"
    ).format(
        name,
        number,
        version,
        "".join("        - %s\n" % rpm for rpm in rpms),
        "".join("      - %s\n" % artifact for artifact in artifacts),
    )


def defaults(name: str, number: str) -> str:
    """Makes a stream and its profile the default ones: it acts without anybody enabling it."""
    return (
        '---\ndocument: modulemd-defaults\nversion: 1\ndata:\n  module: {0}\n  stream: "{1}"\n'
        '  profiles:\n    "{1}": [common]\n...\n'
    ).format(name, number)


def group(group_id: str, names: Iterable[str]) -> str:
    """A comps.xml of one group."""
    packages = "".join('<packagereq type="mandatory">%s</packagereq>' % name for name in names)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<!DOCTYPE comps PUBLIC "-//Red Hat, Inc.//DTD Comps info//EN" "comps.dtd">\n'
        "<comps><group><id>{0}</id><name>{0}</name><description>{0}</description><default>true</default>"
        "<uservisible>true</uservisible><packagelist>{1}</packagelist></group></comps>\n"
    ).format(group_id, packages)


def update(advisory: str, name: str, version: str, release: str, arch: str = "x86_64") -> str:
    """An updateinfo.xml of one security advisory for one package."""
    values = {"name": name, "version": version, "release": release, "epoch": "0", "arch": arch}
    attributes = " ".join("%s=%s" % (key, quoteattr(value)) for key, value in values.items())
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<updates><update from="x" status="final" type="security" version="1">'
        '<id>{0}</id><title>{0}</title><severity>Critical</severity><issued date="2024-05-01 00:00:00"/>'
        "<description>{0}</description><references/><pkglist><collection><name>{0}</name>"
        "<package {1}><filename>{2}-{3}-{4}.{5}.rpm</filename></package></collection></pkglist></update></updates>\n"
    ).format(advisory, attributes, name, version, release, arch)
