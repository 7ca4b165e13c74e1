# SPDX-License-Identifier: Apache-2.0
"""The table of the universe: which builds lie in which tree.

A source (see sources.py) says what its packages look like; a row here says that one build of it is there. Names and
versions are those of a real AlmaLinux 9.2 and of the vendor's published builds. In BaseOS and AppStream the first
row of a source is what the release came with, the later ones are its updates.
"""

from typing import Dict, Iterator, List, NamedTuple, Tuple

from tests.sandbox.rpms import Package, split_evr
from tests.sandbox.sources import SOURCES, Member, files_of

__all__ = ["ADVISORIES", "ARCHES", "BUILDS", "MODULES", "OS_TREES", "Advisory", "Build", "Stream", "base_builds"]

ARCHES = ("x86_64", "aarch64")
OS_TREES = tuple("BaseOS AppStream CRB extras HighAvailability NFV plus ResilientStorage RT SAP SAPHANA".split())

# Architectures of a build: i686 is for the members that are multilib, and lies in the x86_64 trees.
MULTI = "x86_64 i686 aarch64"
BOTH = "x86_64 aarch64"

_VENDORS = {"almalinux": "AlmaLinux", "tuxcare": "TuxCare", "thirdparty": "Example Packages"}
_KEYS = {"almalinux": "AlmaLinux-9", "tuxcare": "TuxCare", "thirdparty": "ThirdParty"}


class Build(NamedTuple):
    """One build of a source. `tree` is the path below the trees, without the architecture."""

    tree: str
    source: str
    evr: str
    arches: str = BOTH
    module: str = ""

    @property
    def vendor(self) -> str:
        return _VENDORS[self.tree.split("/")[0]]

    @property
    def key(self) -> str:
        """The name of the key that signs it."""
        return _KEYS[self.tree.split("/")[0]]

    @property
    def sits_in(self) -> Dict[str, str]:
        """Architecture of a tree → its path below the trees."""
        tail = "/os" if self.tree.startswith("almalinux/") else ""
        return {arch: "%s/%s%s" % (self.tree, arch, tail) for arch in ARCHES}

    def packages(self) -> Iterator[Tuple[Package, Tuple[str, ...]]]:
        """Each binary package with the trees (paths below the trees) it lies in."""
        for member in SOURCES[self.source]:
            for arch in self._arches_of(member):
                yield self._package(member, arch), self._trees_of(arch)

    def _arches_of(self, member: Member) -> Tuple[str, ...]:
        if member.noarch:
            return ("noarch",)
        return tuple(arch for arch in self.arches.split() if arch != "i686" or member.multilib)

    def _trees_of(self, arch: str) -> Tuple[str, ...]:
        if arch == "noarch":
            return tuple(self.sits_in[built] for built in ARCHES if built in self.arches.split())
        return (self.sits_in["aarch64" if arch == "aarch64" else "x86_64"],)

    def _package(self, member: Member, arch: str) -> Package:
        return Package(
            name=member.name,
            evr=self.evr,
            arch=arch,
            vendor=self.vendor,
            requires=member.requires,
            provides=member.provides,
            obsoletes=member.obsoletes,
            files=files_of(member, split_evr(self.evr)[1], arch),
            scriptlets=member.scriptlets,
            module=self.module,
            source=self.source,
        )


def _builds(tree: str, rows: str) -> List[Build]:
    """Rows of `source evr [architectures, comma separated] [module:stream:version:context]`."""
    builds = []
    for words in (row.split() for row in rows.strip().splitlines()):
        arches = words[2].replace(",", " ") if len(words) > 2 else (MULTI if _is_multilib(words[0]) else BOTH)
        builds.append(Build(tree, words[0], words[1], arches, words[3] if len(words) > 3 else ""))
    return builds


def _is_multilib(source: str) -> bool:
    return any(member.multilib for member in SOURCES[source])


BUILDS: Tuple[Build, ...] = (
    *_builds(
        "almalinux/9.2/BaseOS",
        """
        almalinux-release 9.2-1.el9
        filesystem        3.16-2.el9
        setup             2.13.7-9.el9
        basesystem        11-13.el9
        glibc             2.34-60.el9
        ncurses           6.2-8.20210508.el9
        bash              5.1.8-6.el9_1
        coreutils         8.32-34.el9
        sed               4.8-9.el9
        grep              3.6-5.el9
        zlib              1.2.11-39.el9
        openssl           1:3.0.7-6.el9_2
        openssl           1:3.0.7-16.el9_2
        gnutls            3.7.6-20.el9_2
        libgcrypt         1.10.0-10.el9_1
        nettle            3.8-3.el9_0
        nspr              4.34.0-18.el9_1
        nss               3.79.0-18.el9_1
        nss               3.90.0-3.el9_2
        crypto-policies   20221215-1.git9a18988.el9
        grubby            8.40-63.el9
        systemd           252-13.el9_2
        systemd           252-14.el9_2.3
        sudo              1.9.5p2-9.el9
        dnf               4.14.0-5.el9_2.alma
        libdnf            0.69.0-3.el9_2.alma
        kernel            5.14.0-284.11.1.el9_2
        kernel            5.14.0-284.18.1.el9_2
        kernel            5.14.0-284.25.1.el9_2
        kernel            5.14.0-284.30.1.el9_2
        kernel-tools      5.14.0-284.11.1.el9_2
        kernel-tools      5.14.0-284.30.1.el9_2
        curl              7.76.1-23.el9
        curl              7.76.1-23.el9_2.4
        expat             2.5.0-1.el9
        less              590-1.el9_0
        which             2.21-28.el9
        tar               1.34-6.el9_1
        xz                5.2.5-8.el9_0
        tzdata            2023c-1.el9
        ca-certificates   2022.2.54-90.2.el9_0
        chrony            4.3-1.el9
        rsync             3.2.3-19.el9
        vim               2:8.2.2637-20.el9_1
        man-db            2.9.3-7.el9
        shim              15.6-1.el9.alma x86_64
        """,
    ),
    *_builds(
        "almalinux/9.2/AppStream",
        """
        wget              1.21.1-7.el9
        httpd             2.4.53-11.el9_2.4
        squid             7:5.5-5.el9_2.1
        nginx             1:1.20.1-14.el9_2.1.alma.1
        nginx             1:1.22.1-3.module_el9.2.0+44+9d9ad3a6.2 x86_64,aarch64 nginx:1.22:9020020230511123456:9
        nodejs            1:18.14.2-3.module_el9.2.0+29+de583a0e x86_64,aarch64 nodejs:18:9020020230327152102:rhel9
        """,
    ),
    *_builds(
        "almalinux/9.4/BaseOS",
        """
        almalinux-release 9.4-1.el9
        filesystem        3.16-2.el9
        setup             2.13.7-10.el9
        basesystem        11-13.el9
        glibc             2.34-100.el9
        ncurses           6.2-10.20210508.el9
        bash              5.1.8-9.el9
        coreutils         8.32-35.el9
        sed               4.8-9.el9
        grep              3.6-5.el9
        zlib              1.2.11-40.el9
        openssl           1:3.0.7-27.el9
        gnutls            3.8.3-4.el9_4
        libgcrypt         1.10.0-10.el9_2
        nettle            3.9.1-1.el9
        nspr              4.35.0-7.el9_4
        nss               3.90.0-7.el9_4
        crypto-policies   20240202-1.git283706d.el9
        grubby            8.40-63.el9
        systemd           252-32.el9_4
        sudo              1.9.5p2-10.el9_3
        dnf               4.14.0-9.el9
        libdnf            0.69.0-8.el9.alma.1
        kernel            5.14.0-427.13.1.el9_4
        kernel            5.14.0-427.42.1.el9_4
        kernel-tools      5.14.0-427.13.1.el9_4
        kernel-tools      5.14.0-427.42.1.el9_4
        curl              7.76.1-29.el9_4
        expat             2.5.0-2.el9_4
        less              590-4.el9_4
        which             2.21-29.el9
        tar               1.34-6.el9_4.1
        xz                5.2.5-8.el9_0
        tzdata            2024a-1.el9
        ca-certificates   2023.2.60_v7.0.306-90.1.el9_2
        chrony            4.5-1.el9
        rsync             3.2.3-20.el9
        vim               2:8.2.2637-20.el9_1
        man-db            2.9.3-7.el9
        shim              15.8-4.el9_3.alma.2 x86_64
        """,
    ),
    *_builds(
        "almalinux/9.4/AppStream",
        """
        wget              1.21.1-8.el9_4
        httpd             2.4.57-8.el9
        squid             7:5.5-13.el9_4
        nginx             1:1.20.1-16.el9_4.1.alma.1
        nginx             1:1.24.0-1.module_el9.4.0+88+c4e4ce6b x86_64,aarch64 nginx:1.24:9040020240403123456:9
        nodejs            1:18.19.1-1.module_el9.4.0+83+f5c8e1a6 x86_64,aarch64 nodejs:18:9040020240321152102:rhel9
        """,
    ),
    *_builds("tuxcare/9.2/base", "tuxcare-release   9.2-1.el9"),
    *_builds(
        "tuxcare/9.2/esu",
        """
        bash              5.1.8-6.el9_1.tuxcare.els1
        zlib              1.2.11-39.el9.tuxcare.els1
        gnutls            3.7.6-21.el9_2.tuxcare.els1
        curl              7.76.1-23.el9_2.4.tuxcare.els1
        expat             2.5.0-1.el9.tuxcare.els1
        squid             7:5.5-5.el9_2.1.tuxcare.els1
        amazon-efs-utils  2.3.0-1.el9.tuxcare.els1
        shim              15.8-4.el9_3.tuxcare.3 x86_64
        openssl           1:3.0.7-20.el9_2.tuxcare.2
        """,
    ),
    *_builds(
        "tuxcare/9.2/fips",
        """
        kernel            5.14.0-284.11.1.el9_2.tuxcare.6
        openssl           1:3.0.7-20.el9_2.tuxcare.1
        gnutls            3.7.6-23.el9_2.tuxcare.3 x86_64,i686
        nettle            3.8-3.el9_2.tuxcare.1 x86_64,i686
        libgcrypt         1.10.0-10.el9_2.tuxcare.3 x86_64,i686
        nss               3.90.0-6.el9_2.tuxcare.1 x86_64,i686
        """,
    ),
    *_builds(
        "thirdparty/9",
        """
        example-agent     2.1-1
        example-agent     2.2-1
        example-tools     1.0-1
        example-dashboard 10.4.2-1
        example-driver    5.0-3.el9_4
        """,
    ),
)


def base_builds(release: str) -> Iterator[Build]:
    """What a release came with: of each source in its BaseOS and AppStream, the first build."""
    seen = set()
    for build in BUILDS:
        place = build.tree.split("/")
        if place[:2] == ["almalinux", release] and build.source not in seen:
            seen.add(build.source)
            yield build


class Advisory(NamedTuple):
    """An entry of updateinfo.xml; it covers all packages of the builds named `source evr` in that tree."""

    tree: str
    advisory_id: str
    kind: str
    severity: str
    title: str
    issued: str
    cves: str
    builds: Tuple[str, ...]


ADVISORIES = (
    Advisory("almalinux/9.2/BaseOS", "ALSA-2023:3722", "security", "Moderate", "openssl security update",
             "2023-06-21", "CVE-2023-0464 CVE-2023-2650", ("openssl 1:3.0.7-16.el9_2",)),
    Advisory("almalinux/9.2/BaseOS", "ALSA-2023:5069", "security", "Important", "kernel security update",
             "2023-09-12", "CVE-2023-3390 CVE-2023-35001",
             ("kernel 5.14.0-284.30.1.el9_2", "kernel-tools 5.14.0-284.30.1.el9_2")),
    Advisory("almalinux/9.2/BaseOS", "ALBA-2023:4384", "bugfix", "None", "systemd bug fix update",
             "2023-08-01", "", ("systemd 252-14.el9_2.3",)),
    Advisory("tuxcare/9.2/esu", "CLSA-2024-1735126310", "security", "Moderate", "squid: Fix of CVE-2023-46724",
             "2024-12-25", "CVE-2023-46724", ("squid 7:5.5-5.el9_2.1.tuxcare.els1",)),
    Advisory("tuxcare/9.2/esu", "CLSA-2023-1700589307", "security", "Critical", "zlib: Fix of CVE-2023-45853",
             "2023-11-21", "CVE-2023-45853", ("zlib 1.2.11-39.el9.tuxcare.els1",)),
    Advisory("tuxcare/9.2/esu", "CLSA-2024-1708029809", "security", "Important", "gnutls: Fix of CVE-2024-0553",
             "2024-02-15", "CVE-2024-0553", ("gnutls 3.7.6-21.el9_2.tuxcare.els1",)),
    Advisory("tuxcare/9.2/esu", "CLSA-2025-1751000001", "security", "Important", "openssl: FIPS-compliant patch",
             "2025-06-27", "CVE-2024-6119", ("openssl 1:3.0.7-20.el9_2.tuxcare.2",)),
)  # fmt: skip


class Stream(NamedTuple):
    """A module stream of an AppStream: its modular builds are found by the label `name:stream:version:context`."""

    tree: str
    label: str
    summary: str
    default: bool = False


MODULES = (
    Stream("almalinux/9.2/AppStream", "nginx:1.22:9020020230511123456:9", "nginx webserver"),
    Stream("almalinux/9.2/AppStream", "nodejs:18:9020020230327152102:rhel9", "Javascript runtime"),
    Stream("almalinux/9.4/AppStream", "nginx:1.24:9040020240403123456:9", "nginx webserver"),
    Stream("almalinux/9.4/AppStream", "nodejs:18:9040020240321152102:rhel9", "Javascript runtime"),
)
