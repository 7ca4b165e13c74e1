# SPDX-License-Identifier: Apache-2.0
"""The text files that an operating system release brings: os-release, the release line, the .repo files.

They are equal, byte for byte, to what almalinux-release, almalinux-repos and rocky-repos install; a test
compares them with real files where those are at hand.
"""

from typing import Dict, List, NamedTuple, Tuple

__all__ = ["RELEASES", "os_release", "release_file_name", "release_line", "repo_files"]


class OsRelease(NamedTuple):
    """What differs between the os-release files; `support_end` is empty where the real one has no such line."""

    os_id: str
    version: str
    code_name: str
    support_end: str = ""

    @property
    def major(self) -> str:
        return self.version.split(".")[0]


_KNOWN = (
    OsRelease("almalinux", "8.8", "Sapphire Caracal"),
    OsRelease("almalinux", "8.10", "Cerulean Leopard", "2029-06-01"),
    OsRelease("almalinux", "9.2", "Turquoise Kodkod"),
    OsRelease("almalinux", "9.4", "Seafoam Ocelot", "2032-06-01"),
    OsRelease("almalinux", "9.6", "Sage Margay", "2032-06-01"),
    OsRelease("almalinux", "10.0", "Purple Lion", "2035-06-01"),
    OsRelease("rocky", "9.6", "Blue Onyx", "2032-05-31"),
)
RELEASES: Dict[Tuple[str, str], OsRelease] = {(known.os_id, known.version): known for known in _KNOWN}

_NAMES = {"almalinux": "AlmaLinux", "rocky": "Rocky Linux"}


# --- os-release -------------------------------------------------------------------------------------------------


def os_release(version: str, os_id: str = "almalinux") -> str:
    """The text of /etc/os-release; KeyError for a release that nobody put into the table."""
    release = RELEASES[os_id, version]
    own = _rocky_lines(release) if os_id == "rocky" else _almalinux_lines(release)
    return "\n".join(_common_lines(release) + own) + "\n"


def release_file_name(os_id: str = "almalinux") -> str:
    """`almalinux-release` or `rocky-release`, a file of /etc."""
    return os_id + "-release"


def release_line(version: str, os_id: str = "almalinux") -> str:
    """The text of /etc/almalinux-release or /etc/rocky-release, with its newline."""
    release = RELEASES[os_id, version]
    return "%s release %s (%s)\n" % (_NAMES[os_id], version, release.code_name)


def _common_lines(release: OsRelease) -> List[str]:
    name = _NAMES[release.os_id]
    titled = "%s (%s)" % (release.version, release.code_name)
    return [
        'NAME="%s"' % name,
        'VERSION="%s"' % titled,
        'ID="%s"' % release.os_id,
        'ID_LIKE="rhel centos fedora"',
        'VERSION_ID="%s"' % release.version,
        'PLATFORM_ID="platform:el%s"' % release.major,
        'PRETTY_NAME="%s %s"' % (name, titled),
        'ANSI_COLOR="0;%s"' % ("32" if release.os_id == "rocky" else "34"),
        'LOGO="fedora-logo-icon"',
        'CPE_NAME="cpe:/o:%s:%s:%s::baseos"' % (release.os_id, release.os_id, release.major),
    ]


def _almalinux_lines(release: OsRelease) -> List[str]:
    vendor = ['VENDOR_NAME="AlmaLinux"', 'VENDOR_URL="https://almalinux.org/"'] if release.major == "10" else []
    end = ["SUPPORT_END=" + release.support_end] if release.support_end else []
    return [
        'HOME_URL="https://almalinux.org/"',
        'DOCUMENTATION_URL="https://wiki.almalinux.org/"',
        *vendor,
        'BUG_REPORT_URL="https://bugs.almalinux.org/"',
        "",
        'ALMALINUX_MANTISBT_PROJECT="AlmaLinux-%s"' % release.major,
        'ALMALINUX_MANTISBT_PROJECT_VERSION="%s"' % release.version,
        'REDHAT_SUPPORT_PRODUCT="AlmaLinux"',
        'REDHAT_SUPPORT_PRODUCT_VERSION="%s"' % release.version,
        *end,
    ]


def _rocky_lines(release: OsRelease) -> List[str]:
    return [
        'HOME_URL="https://rockylinux.org/"',
        'VENDOR_NAME="RESF"',
        'VENDOR_URL="https://resf.org/"',
        'BUG_REPORT_URL="https://bugs.rockylinux.org/"',
        'SUPPORT_END="%s"' % release.support_end,
        'ROCKY_SUPPORT_PRODUCT="Rocky-Linux-%s"' % release.major,
        'ROCKY_SUPPORT_PRODUCT_VERSION="%s"' % release.version,
        'REDHAT_SUPPORT_PRODUCT="Rocky Linux"',
        'REDHAT_SUPPORT_PRODUCT_VERSION="%s"' % release.version,
    ]


# --- repo files -------------------------------------------------------------------------------------------------


class Tree(NamedTuple):
    """One repository of the distribution: section id, human name, folder on the server."""

    repo_id: str
    label: str
    folder: str
    enabled: bool = False


_TREES_9 = (
    Tree("baseos", "BaseOS", "BaseOS", True),
    Tree("appstream", "AppStream", "AppStream", True),
    Tree("extras", "extras", "extras", True),
    Tree("crb", "CRB", "CRB"),
    Tree("highavailability", "HighAvailability", "HighAvailability"),
    Tree("nfv", "NFV", "NFV"),
    Tree("plus", "plus", "plus"),
    Tree("resilientstorage", "ResilientStorage", "ResilientStorage"),
    Tree("rt", "RT", "RT"),
    Tree("sap", "SAP", "SAP"),
    Tree("saphana", "SAPHANA", "SAPHANA"),
)
_TREES_8 = (
    Tree("ha", "HighAvailability", "HighAvailability"),
    Tree("nfv", "Real Time for NFV", "NFV"),
    Tree("plus", "Plus", "plus"),
    Tree("powertools", "PowerTools", "PowerTools"),
    Tree("resilientstorage", "ResilientStorage", "ResilientStorage"),
    Tree("rt", "Real Time", "RT"),
    Tree("sap", "SAP", "SAP"),
    Tree("saphana", "SAP HANA", "SAPHANA"),
)
_MAIN_8 = (
    Tree("baseos", "BaseOS", "BaseOS", True),
    Tree("appstream", "AppStream", "AppStream", True),
    Tree("extras", "Extras", "extras", True),
)
_ROCKY_FILES = {
    "rocky.repo": (
        Tree("baseos", "BaseOS", "BaseOS", True),
        Tree("appstream", "AppStream", "AppStream", True),
        Tree("crb", "CRB", "CRB"),
    ),
    "rocky-extras.repo": (Tree("extras", "Extras", "extras", True), Tree("plus", "Plus", "plus")),
}


def repo_files(version: str, os_id: str = "almalinux") -> Dict[str, str]:
    """File name → text of what lies in /etc/yum.repos.d of that release (9 and 10: one file a repository)."""
    release = RELEASES[os_id, version]
    if os_id == "rocky":
        return {name: _rocky_file(name, trees) for name, trees in _ROCKY_FILES.items()}
    if release.major == "8":
        return _almalinux_8_files()
    key = "RPM-GPG-KEY-AlmaLinux-" + release.major
    return {"almalinux-%s.repo" % tree.repo_id: _almalinux_file(tree, key) for tree in _TREES_9}


def _almalinux_file(tree: Tree, key: str) -> str:
    """One file of AlmaLinux 9: the repository, its debug and its source tree."""
    label = tree.label[0].upper() + tree.label[1:]
    cached = 1 if tree.repo_id in ("baseos", "appstream") else 0
    sections = (
        (tree.repo_id, label, "almalinux", "%s/$basearch/os/" % tree.folder),
        (tree.repo_id + "-debug", label + " - Debug", "vault", "%s/debug/$basearch/" % tree.folder),
        (tree.repo_id + "-source", label + " - Source", "vault", "%s/Source/" % tree.folder),
    )
    texts = []
    for mirror, name, root, path in sections:
        main = mirror == tree.repo_id
        # The mirror list says "debug" where the section says "debuginfo".
        repo_id = mirror + "info" if mirror.endswith("-debug") else mirror
        lines = _almalinux_section(repo_id, name, mirror, root, path, tree.enabled and main, main, key)
        lines += ["metadata_expire=86400", "enabled_metadata=%d" % (cached if main else 0)]
        texts.append("\n".join(lines) + "\n")
    return "\n".join(texts)


def _almalinux_section(
    repo_id: str, name: str, mirror: str, root: str, path: str, enabled: bool, counted: bool, key: str
) -> List[str]:
    return [
        "[%s]" % repo_id,
        "name=AlmaLinux $releasever - " + name,
        "mirrorlist=https://mirrors.almalinux.org/mirrorlist/$releasever/" + mirror,
        "# baseurl=https://repo.almalinux.org/%s/$releasever/%s" % (root, path),
        "enabled=%d" % enabled,
        "gpgcheck=1",
        *(["countme=1"] if counted else []),
        "gpgkey=file:///etc/pki/rpm-gpg/" + key,
    ]


def _almalinux_8_files() -> Dict[str, str]:
    files: Dict[str, Tuple[Tree, ...]] = {"almalinux-%s.repo" % tree.repo_id: (tree,) for tree in _TREES_8}
    files["almalinux.repo"] = _MAIN_8
    return {name: _almalinux_8_file(name, trees) for name, trees in files.items()}


def _almalinux_8_file(name: str, trees: Tuple[Tree, ...]) -> str:
    """One file of AlmaLinux 8: all repositories, then their source trees, then their debug trees."""
    blocks = ["# %s\n" % name]
    for kind, heading in (("", ""), ("-source", "## Sources\n"), ("-debuginfo", "## Debuginfo\n")):
        for position, tree in enumerate(trees):
            blocks.append((heading if position == 0 else "") + _almalinux_8_section(tree, kind))
    return "\n".join(blocks)


def _almalinux_8_section(tree: Tree, kind: str) -> str:
    # The repositories that came later have their headings in the plural; two of them are not counted.
    later = tree.repo_id in ("nfv", "rt", "sap", "saphana")
    counted = tree.repo_id not in ("nfv", "rt") and not kind
    suffix = {
        "": "",
        "-source": " Sources" if later else " Source",
        "-debuginfo": " Debuginfo" if later else " debuginfo",
    }[kind]
    path = {"": "%s/$basearch/os/", "-source": "%s/Source/", "-debuginfo": "%s/debug/$basearch/"}[kind]
    lines = _almalinux_section(
        repo_id=tree.repo_id + kind,
        name=tree.label + suffix,
        mirror=tree.repo_id + kind,
        root="vault" if kind else "almalinux",
        path=path % tree.folder,
        enabled=tree.enabled and not kind,
        counted=counted,
        key="RPM-GPG-KEY-AlmaLinux",
    )
    return "\n".join(lines) + "\n"


_ROCKY_HEADER = """\
# {name}
#
# The mirrorlist system uses the connecting IP address of the client and the
# update status of each mirror to pick current mirrors that are geographically
# close to the client.  You should use this for Rocky updates unless you are
# manually picking other mirrors.
#
# If the mirrorlist does not work for you, you can try the commented out
# baseurl line instead.
"""


def _rocky_file(name: str, trees: Tuple[Tree, ...]) -> str:
    blocks = [_ROCKY_HEADER.format(name=name)]
    for tree in trees:
        blocks += [_rocky_section(tree, kind) for kind in ("", "debug", "source")]
    return "\n".join(blocks)


def _rocky_section(tree: Tree, kind: str) -> str:
    section = tree.repo_id + {"": "", "debug": "-debuginfo", "source": "-source"}[kind]
    path = {"": "$basearch/os/", "debug": "$basearch/debug/tree/", "source": "source/tree/"}[kind]
    # "extras" is the odd one: no second dash in its names, no arch=source.
    odd = tree.repo_id == "extras"
    arch = "source" if kind == "source" and not odd else "$basearch"
    dash = " " if odd else " - "
    lines = [
        "[%s]" % section,
        "name=Rocky Linux $releasever - " + tree.label + (dash + kind.capitalize() if kind else ""),
        "mirrorlist=https://mirrors.rockylinux.org/mirrorlist?arch=%s&repo=%s-$releasever%s$rltype"
        % (arch, tree.folder, "-" + kind if kind else ""),
        "#baseurl=http://dl.rockylinux.org/$contentdir/$releasever/%s/%s" % (tree.folder, path),
        "gpgcheck=1",
        "enabled=%d" % (tree.enabled and not kind),
        *([] if kind else ["countme=1"]),
        "metadata_expire=6h",
        "gpgkey=file:///etc/pki/rpm-gpg/RPM-GPG-KEY-Rocky-9",
    ]
    return "\n".join(lines) + "\n"
