# SPDX-License-Identifier: Apache-2.0
"""The plugin upgraded or removed by the very dnf that it is loaded in, by real packages."""
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.outcome import is_done, sections
from tests.integration.test_upgrade import PAST
from tests.sandbox import osfiles
from tests.sandbox.host import PROJECT, Host
from tests.sandbox.universe import Universe

INPUTS = ("setup.py", "MANIFEST.in", "README.md", "LICENSE", "rpm", "conf", "dnf-plugins", "tuxcare_lib", "scripts")
# What the package needs is the machine's there, not the host's database's.
NEEDS = ("python3-dnf = 4.14", "python3-rpm", "python3-requests", "python3-gnupg", "gnupg2", "/usr/bin/python3")


@pytest.fixture(scope="module")
def later_package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The product's next package, built from a copy of the working tree whose guard refuses everything.

    So whichever of the two versions a hook runs, it can be told.
    """
    tree = tmp_path_factory.mktemp("later")
    for name in INPUTS:
        source = PROJECT / name
        if source.is_dir():
            shutil.copytree(str(source), str(tree / name), ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(str(source), str(tree / name))
    spec = tree / "rpm/dnf-plugin-tuxcare.spec"
    spec.write_text(spec.read_text().replace("Release:        1", "Release:        2"))
    aftermath = tree / "tuxcare_lib/adapter/aftermath.py"
    aftermath.write_text(aftermath.read_text() + "\n\nraise ImportError('the new module was loaded in the old process')\n")
    built = subprocess.run([str(tree / "scripts/build-rpm")], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert built.returncode == 0, built.stderr
    return Path(built.stdout.strip())


def serve(host: Host, universe: Universe, *packages: Path) -> Path:
    """An own mirror in the host, trusted by its configuration, with packages in it."""
    folder = host.root / "srv/fleet"
    folder.mkdir(parents=True)
    for package in packages:
        shutil.copy(str(package), str(folder))
    universe.build_rpm(folder, "python3-site", "1-1", provides=NEEDS)
    universe.index(folder)
    (host.root / "etc/yum.repos.d/fleet.repo").write_text("[fleet]\nname=Fleet\nbaseurl=file:///srv/fleet/\ngpgcheck=0\n")
    with open(str(host.root / "etc/dnf/plugins/tuxcare.conf"), "a") as stream:
        stream.write("[pin]\ntrusted_url = file:///srv/fleet\n")
    return folder


@pytest.mark.registered
def test_it_upgrades_itself_and_heals_a_file_in_the_same_transaction(
    slash_host: Host, universe: Universe, later_package: Path
) -> None:
    folder = serve(slash_host, universe, later_package)
    pristine = {"/etc/yum.repos.d/" + name: text for name, text in osfiles.repo_files("9.2").items()}
    universe.build_rpm(folder, "almalinux-repos", "9.2-2.el9", "x86_64", key="AlmaLinux-9", vendor="AlmaLinux",
                       provides=("almalinux-repos(9) = 9.2-2.el9",), files=pristine)
    universe.index(folder)
    done = slash_host.dnf("-y", "upgrade", "dnf-plugin-tuxcare", "almalinux-repos")
    is_done(done)
    assert {"dnf-plugin-tuxcare-0.1.0-2.noarch", "almalinux-repos-9.2-2.el9.x86_64"} <= slash_host.installed()
    told = [line for line in done.stderr.splitlines() if "tuxcare" in line]
    assert len(told) == 1 and all(name in told[0] for name in pristine) and "vetted mirror again" in told[0], done.stderr
    assert "$tuxcare_releasever/$tuxcare_token" in sections(slash_host, "almalinux-baseos.repo")["baseos"]["baseurl"]
    assert is_done(slash_host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"


@pytest.mark.registered
def test_removed_it_leaves_the_pin_to_the_files(slash_host: Host, universe: Universe, package: Path) -> None:
    serve(slash_host, universe, package)
    before = {path: entry for path, entry in slash_host.snapshot().items() if path.startswith("etc/")}
    done = slash_host.dnf("-y", "remove", "dnf-plugin-tuxcare")
    is_done(done)
    assert len([line for line in done.stderr.splitlines() if "repository files alone hold it on 9.2" in line]) == 1
    assert not any(name.startswith("dnf-plugin-tuxcare") for name in slash_host.installed())
    after = slash_host.snapshot()
    ours = [path for path in before if "tuxcare" in path and not path.startswith("etc/dnf/plugins") or path.endswith(".repo")]
    assert ours and all(after.get(path) == before[path] for path in ours)
    is_done(slash_host.dnf("-y", "upgrade"))
    assert "curl-7.76.1-23.el9_2.4.tuxcare.els1.x86_64" in slash_host.installed() and slash_host.installed() & PAST == set()
    is_done(slash_host.dnf("-y", "install", "dnf-plugin-tuxcare"))
    assert "held on 9.2" in is_done(slash_host.dnf("tuxcare", "status"))
    is_done(slash_host.dnf("-y", "tuxcare", "unregister"))


@pytest.mark.registered
@pytest.mark.parametrize("name, fields", [("dnf-plugin-tuxcare", {}), ("innocent", {"obsoletes": ("dnf-plugin-tuxcare",)})],
                         ids=["same name", "obsoletes"])
def test_a_stranger_does_not_take_the_guard_away(slash_host: Host, universe: Universe, name: str, fields: dict) -> None:
    folder = slash_host.root / "srv/site"
    folder.mkdir(parents=True)
    file = universe.build_rpm(folder, name, "99-1", vendor="Example", **fields)
    universe.index(folder)
    (slash_host.root / "etc/yum.repos.d/site.repo").write_text("[site]\nname=Site\nbaseurl=file:///srv/site/\ngpgcheck=0\n")
    is_done(slash_host.dnf("-y", "upgrade"))
    slash_host.dnf("-y", "--nogpgcheck", "install", "/srv/site/" + file.name)
    have = slash_host.installed()
    assert "dnf-plugin-tuxcare-0.1.0-1.noarch" in have and not any(entry.startswith("innocent") for entry in have)
