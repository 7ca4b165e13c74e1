# SPDX-License-Identifier: Apache-2.0
"""A folder that somebody removes under a command, or between two: everything is before or after, and a line says which."""
import shutil
from typing import List

import pytest

from tests.integration.outcome import is_done, refused, register
from tests.integration.test_bad_circumstances import Held, hold  # noqa: F401 (a fixture)
from tests.integration.test_cut_off import UNREGISTER, cut_off, same, seats
from tests.sandbox.host import Host
from tests.sandbox.service import Service

REPOS, STATE = "etc/yum.repos.d", "var/lib/tuxcare"
GONE = "/var/lib/tuxcare/registration.json is missing"


def unregistered(host: Host, service: Service) -> None:
    """Nothing is open or owed, and no file of ours is left."""
    assert seats(service) == 0 and not (host.root / STATE).exists()
    assert not (host.root / "etc/dnf/vars/tuxcare_token").exists() and not (host.root / REPOS / "tuxcare.repo").exists()
    assert is_done(host.dnf("tuxcare", "recover")) == "Nothing was cut off, and nothing is missing.\n"


def test_the_repository_files_while_the_service_is_asked(host: Host, service: Service, hold: Held) -> None:  # noqa: F811
    before = host.snapshot()
    first = hold.first(host)
    (host.root / REPOS).rename(host.root / "srv/aside")
    hold.release()
    said = first.communicate(timeout=60)[1]
    assert first.returncode == 1 and "Traceback" not in said, said
    assert ".repo was changed while this command was running" in said and "The seat was given back." in said, said
    unregistered(host, service)
    assert not (host.root / REPOS).exists()
    (host.root / "srv/aside").rename(host.root / REPOS)
    assert same(host, before)


def test_our_folder_while_the_service_is_asked(host: Host, service: Service, hold: Held) -> None:  # noqa: F811
    before = host.snapshot()
    first = hold.first(host)
    shutil.rmtree(str(host.root / STATE))
    hold.release()
    assert first.communicate(timeout=60)[0].startswith("TuxCare installed successfully") and first.returncode == 0
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n" and seats(service) == 1
    is_done(host.dnf("-y", "tuxcare", "unregister"))
    unregistered(host, service)
    assert same(host, before)


def test_the_repository_files_before_recover_and_unregister(host: Host, service: Service) -> None:
    register(host)
    shutil.rmtree(str(host.root / REPOS))
    assert is_done(host.dnf("tuxcare", "recover")) == "Put back: /etc/yum.repos.d/tuxcare.repo\n"
    assert "almalinux-baseos.repo is gone since" in host.dnf("tuxcare", "status", "--check").stdout
    shutil.rmtree(str(host.root / REPOS))
    assert "/etc/yum.repos.d/almalinux-baseos.repo was removed since" in is_done(host.dnf("-y", "tuxcare", "unregister"))
    unregistered(host, service)


@pytest.mark.parametrize("verb", [["recover"], ["unregister"]], ids=" ".join)
def test_our_folder_before_recover_and_unregister(host: Host, service: Service, verb: List[str]) -> None:
    """Nobody knows what was before: no verb builds on that, and the way out is told."""
    before = host.snapshot()
    register(host)
    shutil.rmtree(str(host.root / STATE))
    refused(host.dnf("-y", "tuxcare", *verb), GONE, "unregister --local")
    assert "the lines marked by dnf tuxcare were inverted" in is_done(host.dnf("-y", "tuxcare", "unregister", "--local"))
    (host.root / "etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare").unlink()  # it is said that it stays
    assert {name: entry for name, entry in host.snapshot().items() if "repos.d" in name}.keys() == {
        name for name in before if "repos.d" in name}


@pytest.mark.parametrize("folder", [REPOS, STATE])
def test_after_a_kill(host: Host, service: Service, folder: str) -> None:
    register(host)
    with cut_off(host, service, UNREGISTER, "unregister"):
        pass
    shutil.rmtree(str(host.root / folder))
    assert ("it is finished. The service does not know the token" in is_done(host.dnf("tuxcare", "recover"))) == (folder == REPOS)
    unregistered(host, service)
