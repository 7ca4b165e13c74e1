# SPDX-License-Identifier: Apache-2.0
"""The universe holds what its table says, signed and indexed, and real dnf and rpm live in it."""

import subprocess
import threading
import time
from pathlib import Path
from typing import List, Set

import pytest

from tests.sandbox import universe as builder
from tests.sandbox.osfiles import os_release, repo_files
from tests.sandbox.packages import ARCHES, BUILDS, OS_TREES
from tests.sandbox.signing import KEY_UIDS
from tests.sandbox.universe import Universe
from tests.sandbox_tests.roots import STOCK_KERNEL, Root, needs_root, needs_shell, rpm, stock_host

REAL_LIST = Path(__file__).resolve().parents[3] / "shared" / "data" / "almalinux-9.2-rpm-qa.txt"


@pytest.fixture(scope="module")
def universe() -> Universe:
    return Universe.build()


def in_tree(universe: Universe, name: str, arch: str = "x86_64") -> Set[str]:
    files = sorted(universe.tree(name, arch).glob("*.rpm"))
    return set(rpm("-qp", "--qf", "%{nevra}\\n", *files).split()) if files else set()


@pytest.fixture
def root(universe: Universe, tmp_path: Path) -> Root:
    """A stock 9.2 host."""
    return stock_host(universe, tmp_path / "host")


# --- what there is ------------------------------------------------------------------------------------------------


def test_opening_it_again_is_quick(universe: Universe) -> None:
    started = time.monotonic()
    assert Universe.build().path == universe.path
    assert time.monotonic() - started < 0.1


def test_every_tree_is_a_repository(universe: Universe) -> None:
    names = ["almalinux/%s/%s" % (release, tree) for release in ("9.2", "9.4") for tree in OS_TREES]
    names += ["tuxcare/9.2/base", "tuxcare/9.2/esu", "tuxcare/9.2/fips", "thirdparty/9"]
    for name in names:
        for arch in ARCHES:
            assert (universe.tree(name, arch) / "repodata" / "repomd.xml").is_file(), (name, arch)


def test_no_file_but_packages_and_metadata(universe: Universe) -> None:
    odd = [p for p in universe.trees.rglob("*") if p.is_file() and p.suffix != ".rpm" and p.parent.name != "repodata"]
    assert odd == []


def test_every_signature_is_good(universe: Universe, tmp_path: Path) -> None:
    database = ["--dbpath", tmp_path / "db"]
    rpm(*database, "--import", *(universe.public_key(name) for name in KEY_UIDS))
    said = rpm(*database, "-K", *universe.trees.rglob("*.rpm")).splitlines()
    assert len(said) > 400
    assert [line for line in said if not line.endswith(": digests signatures OK")] == []


def test_vendors(universe: Universe) -> None:
    for top, vendor in (("almalinux", "AlmaLinux"), ("tuxcare", "TuxCare"), ("thirdparty", "Example Packages")):
        files = sorted((universe.trees / top).rglob("*.rpm"))
        assert set(rpm("-qp", "--qf", "%{vendor}\\n", *files).splitlines()) == {vendor}


def test_fingerprints_are_those_of_the_keys(universe: Universe, tmp_path: Path) -> None:
    for name, uid in KEY_UIDS.items():
        key = ["gpg", "--homedir", str(tmp_path), "--with-colons", "--show-keys", str(universe.public_key(name))]
        listing = subprocess.run(key, check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True).stdout
        assert "fpr:::::::::%s:" % universe.fingerprint(name) in listing
        assert ":%s:" % uid in listing


def test_the_validated_set_is_exact(universe: Universe) -> None:
    x86_64, aarch64 = in_tree(universe, "tuxcare/9.2/fips"), in_tree(universe, "tuxcare/9.2/fips", "aarch64")
    kernel, openssl = "5.14.0-284.11.1.el9_2.tuxcare.6", "1:3.0.7-20.el9_2.tuxcare.1"
    user_space = {
        "openssl-libs-" + openssl,
        "gnutls-3.7.6-23.el9_2.tuxcare.3",
        "nettle-3.8-3.el9_2.tuxcare.1",
        "libgcrypt-1.10.0-10.el9_2.tuxcare.3",
        "nss-3.90.0-6.el9_2.tuxcare.1",
    }
    assert {"%s.%s" % (name, arch) for name in user_space for arch in ("x86_64", "i686")} <= x86_64
    assert {"kernel-core-%s.x86_64" % kernel, "openssl-%s.x86_64" % openssl} <= x86_64
    assert not [name for name in x86_64 if name.startswith("kernel") and name.endswith("i686")]
    assert {"kernel-%s.aarch64" % kernel, "openssl-%s.aarch64" % openssl} <= aarch64
    assert {name.split("-")[0] for name in aarch64} == {"kernel", "openssl"}


@pytest.mark.skipif(not REAL_LIST.is_file(), reason="no list of a real host beside the project to compare with")
def test_base_packages_are_those_of_a_real_host(universe: Universe) -> None:
    ours = {path.name[: -len(".rpm")] for path in universe.base_packages()}
    assert ours - set(REAL_LIST.read_text().split()) == set()
    assert len(ours) > 50


def test_base_packages_of_every_host_exist(universe: Universe) -> None:
    for release in ("9.2", "9.4"):
        for arch in ARCHES:
            paths = universe.base_packages(release, arch)
            assert len(paths) > 50
            assert [path for path in paths if not path.is_file()] == []


def test_most_packages_do_not_tell_their_minor_and_are_newer_in_9_4() -> None:
    newest = {(build.tree, build.source): build.evr for build in BUILDS}
    plain = {
        source
        for (tree, source), evr in newest.items()
        if tree == "almalinux/9.4/BaseOS" and evr.endswith(".el9") and newest["almalinux/9.2/BaseOS", source] != evr
    }
    assert len(plain) >= 12, plain


def test_an_unknown_package_is_an_error(universe: Universe) -> None:
    with pytest.raises(LookupError):
        universe.package("bash", "1-1")


# --- real dnf in it -----------------------------------------------------------------------------------------------


@needs_root
def test_a_stock_host(root: Root, universe: Universe) -> None:
    assert root.read("etc/os-release") == os_release("9.2")
    for name, text in repo_files("9.2").items():
        assert root.read("etc/yum.repos.d/" + name) == text
    assert root.dnf("repoquery", "--installed", "--whatprovides", "system-release(releasever) = 9").endswith(
        "almalinux-release-0:9.2-1.el9.x86_64\n"
    )
    assert "Nothing to do" in root.dnf("install", *map(str, universe.base_packages()))
    assert rpm("--root", root.path / "root", "-Va", "--nomtime", "--noghost") == ""


@needs_root
def test_an_upgrade_drifts_without_a_pin_and_kernels_stay(root: Root) -> None:
    root.add(["almalinux/9.4/BaseOS", "almalinux/9.4/AppStream"])
    root.dnf("upgrade")
    installed = root.installed()
    assert "almalinux-release-9.4-1.el9.x86_64" in installed
    assert {name for name in installed if name.startswith("kernel-core-")} == {
        "kernel-core-%s" % STOCK_KERNEL,
        "kernel-core-5.14.0-427.42.1.el9_4.x86_64",
    }


@needs_root
def test_the_vendor_fixes_what_the_community_does_not(root: Root) -> None:
    root.add(["tuxcare/9.2/base", "tuxcare/9.2/esu"])
    root.dnf("upgrade")
    installed = root.installed()
    assert "bash-5.1.8-6.el9_1.tuxcare.els1.x86_64" in installed
    assert "curl-7.76.1-23.el9_2.4.tuxcare.els1.x86_64" in installed
    assert "almalinux-release-9.2-1.el9.x86_64" in installed
    assert "kernel-core-5.14.0-284.30.1.el9_2.x86_64" in installed


@needs_root
def test_protected_packages_stay(root: Root) -> None:
    for name in ("dnf", "sudo", "systemd"):
        assert "protected packages: " in root.dnf("remove", name, status=1)


@needs_root
def test_a_multilib_host(root: Root) -> None:
    root.dnf("install", "openssl-libs.i686", "gnutls.i686", "nss.i686", "libgcrypt.i686", "zlib.i686")
    root.add(["tuxcare/9.2/fips"])
    root.dnf("upgrade")
    assert {"gnutls-3.7.6-23.el9_2.tuxcare.3.i686", "gnutls-3.7.6-23.el9_2.tuxcare.3.x86_64"} <= root.installed()


@needs_root
def test_the_validated_set_goes_in_and_out_as_the_guide_says(root: Root) -> None:
    root.add(["tuxcare/9.2/base", "tuxcare/9.2/esu", "tuxcare/9.2/fips"])
    root.dnf("upgrade", "--disablerepo=tuxcare-9.2-fips")
    validated = [
        "kernel-5.14.0-284.11.1.el9_2.tuxcare.6",
        "openssl-1:3.0.7-20.el9_2.tuxcare.1",
        "openssl-libs-1:3.0.7-20.el9_2.tuxcare.1",
        "gnutls-3.7.6-23.el9_2.tuxcare.3",
        "nettle-3.8-3.el9_2.tuxcare.1",
        "libgcrypt-1.10.0-10.el9_2.tuxcare.3",
        "nss-3.90.0-6.el9_2.tuxcare.1",
    ]
    # openssl has a later patch in the ESU tree, installed above: the validated build is a step down.
    root.dnf("install", "--allowerasing", *validated)
    assert {name + ".x86_64" for name in validated} <= root.installed()
    assert len([name for name in root.installed() if name.startswith("kernel-core-")]) == 3
    without = ["--disablerepo=tuxcare-9.2-%s" % name for name in ("base", "esu", "fips")]
    root.dnf(*without, "downgrade", "openssl", "libgcrypt", "gnutls", "nettle", "nss")
    root.dnf(*without, "remove", "kernel*tuxcare*")
    left = {name for name in root.installed() if "tuxcare" in name}
    assert not [name for name in left if name.startswith(("kernel", "openssl", "libgcrypt", "gnutls", "nettle"))], left


@needs_root
def test_metadata_beyond_packages(root: Root) -> None:
    root.add(["tuxcare/9.2/esu"])
    assert "CLSA-2024-1708029809" in root.dnf("updateinfo", "list", "--security")
    assert "nginx" in root.dnf("module", "list")
    assert "Core" in root.dnf("group", "list", "--hidden") + root.dnf("group", "info", "core")
    assert "1.20.1" in root.dnf("install", "nginx", "--downloadonly")
    root.dnf("module", "enable", "nginx:1.22")
    root.dnf("install", "nginx")
    assert "nginx-1:1.22.1-3.module_el9.2.0+44+9d9ad3a6.2.x86_64" in root.installed()


@needs_root
@needs_shell
def test_scriptlets_run(root: Root) -> None:
    root.add(["thirdparty/9"])
    root.dnf("install", "example-agent")
    assert root.read("var/lib/example-agent/state") == "installed\n"


# --- one more package, and two builders --------------------------------------------------------------------------


@needs_root
def test_a_foreign_repository_of_ones_own(root: Root, universe: Universe, tmp_path: Path) -> None:
    folder = tmp_path / "foreign"
    path = universe.build_rpm(
        folder, "openssl", "1:9.9-1.el9_4", "x86_64", key="TuxCare", vendor="AlmaLinux", files={"/etc/odd": "%{x}\n"}
    )
    universe.index(folder)
    assert path == folder / "openssl-9.9-1.el9_4.x86_64.rpm"
    root.dnf("install", "--repofrompath=foreign,%s" % folder, "--setopt=foreign.gpgkey=file://%s"
             % universe.public_key("TuxCare"), "--setopt=foreign.gpgcheck=1", "openssl")  # fmt: skip
    assert root.read("etc/odd") == "%{x}\n"
    unsigned = universe.build_rpm(tmp_path / "unsigned", "plain", "1-1", key=None)
    assert "not signed" in root.dnf("install", "--setopt=localpkg_gpgcheck=1", str(unsigned), status=1)


def test_two_builders_at_once_build_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(builder, "BUILDS", tuple(build for build in BUILDS if build.source == "example-tools"))
    monkeypatch.setattr(builder, "OS_TREES", ())
    built: List[Path] = []
    real = builder._build_into

    def counted(path: Path) -> None:
        built.append(path)
        real(path)

    monkeypatch.setattr(builder, "_build_into", counted)
    threads = [threading.Thread(target=Universe.build, args=(tmp_path,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1 and built[0].is_dir()


def test_a_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no")

    monkeypatch.setattr(builder, "_sign", broken)
    monkeypatch.setattr(builder, "BUILDS", BUILDS[:1])
    with pytest.raises(RuntimeError):
        Universe.build(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]
