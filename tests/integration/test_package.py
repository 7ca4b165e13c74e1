# SPDX-License-Identifier: Apache-2.0
"""The product's RPM: where it installs to, that it verifies, and what is left when it goes."""
import subprocess
from pathlib import Path
from typing import List

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import State, is_done, register
from tests.integration.test_upgrade import FIXES, PAST
from tests.sandbox.host import PROJECT, Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service

NAME = "dnf-plugin-tuxcare"
CONFIGURATION = "/etc/dnf/plugins/tuxcare.conf"


def files(host: Host) -> List[str]:
    return is_done(host.run(["rpm", "-ql", NAME])).splitlines()


def plugin_folder() -> str:
    asked = ["/usr/bin/python3", "-s", "-E", "-c", "import dnf.const; print(dnf.const.PLUGINPATH)"]
    return subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def test_the_places(slash_host: Host) -> None:
    listed = files(slash_host)
    library = str(Path(plugin_folder()).parent / "tuxcare_lib")
    assert {plugin_folder() + "/tuxcare.py", plugin_folder() + "/tuxcare_sentinel.py"} <= set(listed)
    assert library + "/__init__.py" in listed
    assert "/usr/share/dnf-plugin-tuxcare/catalogue.conf" in listed and CONFIGURATION in listed
    assert "/etc/dnf/plugins/tuxcare.d" in listed and "/var/lib/tuxcare" in listed
    metadata = str(Path(library).parent / "dnf_plugin_tuxcare-")
    tops = (plugin_folder(), library, metadata, "/usr/share/", "/etc/dnf/plugins/tuxcare.", "/var/lib/tuxcare",
            "/usr/libexec/tuxcare-recover", "/usr/lib/systemd/system/")
    assert [path for path in listed if not path.startswith(tops)] == []
    assert [path for path in listed if "/tests" in path or path.endswith((".md", ".spec"))] == []


def test_every_module_is_in_it(slash_host: Host) -> None:
    library = str(Path(plugin_folder()).parent / "tuxcare_lib") + "/"
    packed = {path[len(library):] for path in files(slash_host) if path.startswith(library) and path.endswith(".py")}
    assert packed == {str(path.relative_to(PROJECT / "tuxcare_lib")) for path in (PROJECT / "tuxcare_lib").rglob("*.py")}


def test_it_verifies_before_and_after_use(slash_host: Host, service: Service) -> None:
    verify = ["rpm", "-V", "--nodeps", NAME]
    # The sandbox has written the fingerprint of its own signing key into the configuration.
    assert [line for line in slash_host.run(verify).stdout.splitlines() if not line.endswith(" c " + CONFIGURATION)] == []
    register(slash_host)
    is_done(slash_host.dnf("-y", "tuxcare", "unregister"))
    assert [line for line in slash_host.run(verify).stdout.splitlines() if not line.endswith(" c " + CONFIGURATION)] == []


def test_owners_and_modes(slash_host: Host) -> None:
    form = "[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES}\n]"
    rows = [line.split() for line in is_done(slash_host.run(["rpm", "-q", "--qf", form, NAME])).splitlines()]
    assert {owner for _, owner, _ in rows} == {"root:root"}
    modes = {path: perms for perms, _, path in rows}
    # An ordinary user's status reads the registration there; what is secret has a mode of its own.
    assert modes["/var/lib/tuxcare"] == "drwxr-xr-x" and modes[CONFIGURATION] == "-rw-r--r--"
    rows = [row for row in rows if not row[0].startswith("l")]
    assert [path for perms, _, path in rows if perms[5] == "w" or perms[8] == "w" or "s" in perms] == []


def test_what_it_needs(package: Path) -> None:
    asked = subprocess.run(["rpm", "-qp", "--requires", str(package)], stdout=subprocess.PIPE, text=True, check=True)
    names = {line.split()[0] for line in asked.stdout.splitlines()}
    assert {"python3-dnf", "python3-requests", "python3-gnupg", "python3-rpm"} <= names


@pytest.mark.parametrize("with_dnf", [False, True], ids=["rpm -e", "dnf remove"])
def test_removed_it_leaves_nothing(hosts: Hosts, with_dnf: bool) -> None:
    host, bare = hosts.slash(), hosts.slash(product=False)
    command = ["dnf", "-y", "remove", NAME] if with_dnf else ["rpm", "-e", NAME]
    is_done(host.run(command))
    left = {path for path in set(host.snapshot()) - set(bare.snapshot()) if "tuxcare" in path}
    # What rpm keeps of a configuration file that was changed; the sandbox had changed it.
    assert left <= {"etc/dnf/plugins/tuxcare.conf.rpmsave"}
    done = host.dnf("tuxcare", "status")
    assert done.returncode == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize("with_dnf", [False, True], ids=["rpm -e", "dnf remove"])
def test_removed_from_a_registered_host_the_files_hold_it(slash_host: Host, with_dnf: bool) -> None:
    register(slash_host)
    done = slash_host.run(["dnf", "-y", "remove", NAME] if with_dnf else ["rpm", "-e", NAME])
    assert "Traceback" not in is_done(done) + done.stderr
    is_done(slash_host.dnf("-y", "upgrade"))
    assert slash_host.installed() >= FIXES and slash_host.installed() & PAST == set()


def test_installed_again_it_knows_the_host(slash_host: Host, package: Path, service: Service) -> None:
    configuration = (slash_host.root / CONFIGURATION.lstrip("/")).read_text()
    register(slash_host)
    before = State.of(slash_host, service)
    copy = slash_host.root / "root" / package.name
    copy.write_bytes(package.read_bytes())
    for command in (["rpm", "-e", "--nodeps", NAME], ["rpm", "-U", "--nodeps", "/root/" + package.name]):
        is_done(slash_host.run(command))
    (slash_host.root / CONFIGURATION.lstrip("/")).write_text(configuration)
    copy.unlink()
    (slash_host.root / (CONFIGURATION.lstrip("/") + ".rpmsave")).unlink()
    assert before.changes(State.of(slash_host)) == {}
    assert "This server already has a TuxCare token installed" in register(slash_host)
    is_done(slash_host.dnf("-y", "tuxcare", "unregister"))
    assert ESU_KEY not in service.seats


def test_reinstalled_over_itself_while_in_use(slash_host: Host, package: Path) -> None:
    """dnf replaces the plugin that is just running in it."""
    register(slash_host)
    configuration = (slash_host.root / CONFIGURATION.lstrip("/")).read_text()
    copy = slash_host.root / "root" / package.name
    copy.write_bytes(package.read_bytes())
    done = slash_host.dnf("-y", "--nogpgcheck", "--disablerepo=*", "reinstall", "/root/" + package.name)
    assert "Traceback" not in done.stdout + done.stderr
    # Its needs are the machine's, and not in this package database: dnf may refuse, but then leaves all as it is.
    assert (slash_host.root / CONFIGURATION.lstrip("/")).read_text() == configuration
    is_done(slash_host.dnf("tuxcare", "status"))
