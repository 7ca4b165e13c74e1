# SPDX-License-Identifier: Apache-2.0
"""Hosts that have come a long way: upgraded with the vendor's fixes, or in FIPS mode; made once, then copied."""
import shutil
import subprocess
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Set

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import is_done, register
from tests.sandbox import template
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.packages import BUILDS
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe
from tuxcare_lib.hold import is_fips_build

STOCK = "5.14.0-284.11.1.el9_2.x86_64"
NEWEST = "5.14.0-284.30.1.el9_2.x86_64"
VALIDATED = "5.14.0-284.11.1.el9_2.tuxcare.6.x86_64"
THIRD_PARTY = {"example-agent-2.2-1.x86_64", "example-tools-1.0-1.x86_64"}
KERNEL_PACKAGES = ("kernel", "kernel-core", "kernel-modules", "kernel-modules-core")

_TOKEN = "etc/dnf/vars/tuxcare_token"
_SITE = "[example]\nname=Example Packages\nbaseurl=%s/thirdparty/9/$basearch/\ngpgcheck=0\n"


class Grown:
    """Hosts of one kind. The registration of a copy is its own: it gets a seat and a token that no other copy has."""

    def __init__(self, universe: Universe, service: Service, directory: Path) -> None:
        self._service = service
        self._hosts = Hosts(universe, service, directory, Path)
        self._roots: Dict[str, Path] = {}

    def close(self) -> None:
        self._hosts.close()

    def copy(self, kind: str, host: Host) -> Host:
        """A fresh host by --installroot becomes one of a kind: "upgraded", "in FIPS mode" (booted) or "left" (stage one
        of `uninstall` is done, and the host is booted again)."""
        if kind not in self._roots:
            self._roots[kind] = self._made(kind).root
            self._service.licences.unregister((self._roots[kind] / _TOKEN).read_text().strip())
        shutil.rmtree(str(host.root))
        subprocess.run(["cp", "-a", "--reflink=auto", str(self._roots[kind]), str(host.root)], check=True)
        token = self._service.licences.register(ESU_KEY, host.host_name)
        (host.root / _TOKEN).write_text(token + "\n")
        return host

    def _made(self, kind: str) -> Host:
        host = self._hosts.by_installroot()
        if kind == "upgraded":
            register(host)
            (host.root / "etc/yum.repos.d/site.repo").write_text(_SITE % self._service.url)
            is_done(host.dnf("-y", "upgrade"))
            is_done(host.dnf("-y", "install", "example-agent", "example-tools"))
            return host
        self.copy({"in FIPS mode": "upgraded", "left": "in FIPS mode"}[kind], host)
        is_done(host.dnf("-y", "tuxcare", *(["fips", "enable"] if kind == "in FIPS mode" else ["uninstall"])))
        assert host.reboot().fips_enabled == (kind == "in FIPS mode")
        return host


@pytest.fixture(scope="module")
def grown(universe: Universe, servers: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    made = Grown(universe, servers, tmp_path_factory.mktemp("grown"))
    yield made
    made.close()


@pytest.fixture
def upgraded(grown: Grown, host: Host) -> Host:
    """A registered host with the vendor's fixes."""
    return grown.copy("upgraded", host)


@pytest.fixture
def in_fips(grown: Grown, host: Host) -> Host:
    """The same in FIPS mode, on the validated kernel."""
    return grown.copy("in FIPS mode", host)


@pytest.fixture
def left(grown: Grown, host: Host) -> Host:
    """The same after the first stage of `uninstall` and a reboot."""
    return grown.copy("left", host)


# --- packages -----------------------------------------------------------------------------------------------------


def set_of(host: Host) -> Set[str]:
    """The FIPS builds, of openssl's validated and later one as the same, and which kernels are there."""
    nevras = host.installed()
    builds = {nevra.replace("openssl-1:3.0.7-20.el9_2.tuxcare.1", "openssl-1:3.0.7-20.el9_2.tuxcare.2").replace(
        "libs-1:3.0.7-20.el9_2.tuxcare.1", "libs-1:3.0.7-20.el9_2.tuxcare.2")
        for nevra in nevras if is_fips_build(nevra.rpartition(".")[0])}
    return builds | {nevra for nevra in nevras if nevra.startswith("kernel")}


def newest_of(release: str) -> Dict[str, str]:
    """The newest builds that BaseOS and AppStream of a release have, as NEVRA by name; no modules."""
    return {package.name: _nevra(package.name, package.evr, package.arch)
            for build in BUILDS if build.tree.startswith("almalinux/%s/" % release) and not build.module
            for package, _ in build.packages() if package.arch in ("x86_64", "noarch")}


def _nevra(name: str, evr: str, arch: str) -> str:
    return "%s-%s.%s" % (name, evr, arch)


def name_of(nevra: str) -> str:
    return nevra.rsplit("-", 2)[0]


def of_tuxcare(nevras: Iterable[str]) -> Set[str]:
    """Of these, the vendor's; the plugin is none of what it brings back."""
    return {nevra for nevra in nevras if "tuxcare" in nevra and name_of(nevra) != "dnf-plugin-tuxcare"}


def twice(host: Host) -> List[str]:
    """Names with two versions that can have only one."""
    names = [(name_of(nevra), nevra.rsplit(".", 1)[1]) for nevra in host.installed()]
    return sorted({name for name, arch in names if names.count((name, arch)) > 1 and name not in KERNEL_PACKAGES})


def remove_community_kernels(host: Host) -> None:
    kernels = [nevra for nevra in host.installed() if name_of(nevra) == "kernel-core" and "tuxcare" not in nevra]
    rpm = ["rpm", "--root", str(host.root), "-e", "--nodeps", *kernels]  # dnf is kept from it
    subprocess.run(rpm, check=True, env=template.outside_env(host.root))
    assert {nevra for nevra in host.installed() if name_of(nevra) == "kernel-core"} == {"kernel-core-" + VALIDATED}
