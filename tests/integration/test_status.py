# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare status`: what a person reads, what a program reads, and that nothing is touched or asked."""
from pathlib import Path
from typing import Dict

import pytest

from tests.integration.outcome import document, is_done, register, untouched
from tests.sandbox import template
from tests.sandbox.host import Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

TITLES = {"esu": "Extended Security Updates", "essential": "Essential Support"}
PRODUCTS = [(ESU_KEY, "esu"), (ESSENTIAL_KEY, "essential")]


def rows(text: str) -> Dict[str, str]:
    """The table's first lines, by their titles."""
    return {line.split("  ")[0]: line for line in text.splitlines() if line and not line.startswith(" ")}


def test_not_registered(any_host: Host, service: Service) -> None:
    with untouched(any_host, service):
        done = any_host.dnf("tuxcare", "status")
        told = document(any_host.dnf("tuxcare", "status", "--json"), status=3)
    assert done.returncode == 3 and done.stderr == ""
    assert rows(done.stdout)["Registered"].endswith(" no") and "dnf tuxcare register" in done.stdout
    assert (told["registered"], told["product"], told["pin"], told["release"]) == (False, None, None, "9.2")
    assert {entry["id"] for entry in told["repositories"] if entry["enabled"]} == {"baseos", "appstream", "extras"}
    assert not any(entry["vetted"] for entry in told["repositories"])
    assert service.requests == []


@pytest.mark.parametrize("key, product", PRODUCTS, ids=[product for _, product in PRODUCTS])
def test_registered(any_host: Host, service: Service, key: str, product: str) -> None:
    register(any_host, key=key)
    service.clear_requests()
    with untouched(any_host, service):
        shown = is_done(any_host.dnf("tuxcare", "status"))
        told = document(any_host.dnf("tuxcare", "status", "--json"))
    assert TITLES[product] in rows(shown)["Registered"] and "held on 9.2" in rows(shown)["Release"]
    assert {"Registered", "Release", "Repositories", "FIPS mode", "Next"} == set(rows(shown)) and len(shown.splitlines()) < 12
    assert (told["registered"], told["registered_by"], told["product"], told["pin"]) == (True, "dnf tuxcare", product, "9.2")
    own = {"tuxcare-base", "tuxcare-esu"} if product == "esu" else set()
    assert {entry["id"] for entry in told["repositories"] if entry["enabled"]} == {"baseos", "appstream", "extras"} | own
    assert all(entry["vetted"] for entry in told["repositories"] if entry["enabled"])
    assert told["fips"]["mode"] == ("off" if product == "esu" else "not available")
    assert service.requests == []


@pytest.mark.registered
def test_no_secret_is_shown(host: Host) -> None:
    token = (host.root / "etc/dnf/vars/tuxcare_token").read_text().strip()
    for args in ([], ["--json"]):
        done = host.dnf("-v", "tuxcare", "status", *args)
        assert token not in done.stdout + done.stderr and ESU_KEY not in done.stdout + done.stderr


@pytest.mark.registered
def test_for_an_ordinary_user(slash_host: Host) -> None:
    as_root = document(slash_host.dnf("tuxcare", "status", "--json"))
    done = slash_host.dnf("tuxcare", "status", "--json", user=template.USER)
    assert done.stderr == ""
    told = document(done)
    for field in ("registered", "registered_by", "product", "pin", "release"):
        assert told[field] == as_root[field]
    assert told["repositories"] == as_root["repositories"]


def test_set_up_by_the_vendors_own_tool(host: Host, service: Service) -> None:
    for name, text in (("tuxcare_token", "SOME-token\n"), ("tuxcare_releasever", "9.2\n")):
        (host.root / "etc/dnf/vars" / name).write_text(text)
    with untouched(host, service):
        told = document(host.dnf("tuxcare", "status", "--json"))
        shown = is_done(host.dnf("tuxcare", "status"))
    assert (told["registered"], told["registered_by"], told["pin"]) == (True, "vendor", "9.2")
    assert "SOME-token" not in shown and "vendor" in rows(shown)["Registered"]


@pytest.mark.registered
def test_a_repository_of_the_community_is_told(host: Host) -> None:
    (host.root / "etc/yum.repos.d/mine.repo").write_text(
        "[mine]\nname=x\nbaseurl=https://repo.almalinux.org/almalinux/9/BaseOS/$basearch/os/\n")
    told = document(host.dnf("tuxcare", "status", "--json"))
    assert {"id": "mine", "enabled": True, "vetted": False} in told["repositories"]
    assert any("repos switch" in step for step in told["next"])


def test_the_running_kernel_is_told(any_host: Host) -> None:
    told = document(any_host.dnf("tuxcare", "status", "--json"), status=3)
    assert told["fips"]["running_kernel"] == "5.14.0-284.11.1.el9_2.x86_64"
    assert told["fips"]["default_kernel"] == "/boot/vmlinuz-5.14.0-284.11.1.el9_2.x86_64"
    assert told["fips"]["crypto_policy"] == "DEFAULT"


@pytest.mark.registered
def test_what_is_hidden_of_which_repository_and_why(host: Host, service: Service, universe: Universe, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    universe.build_rpm(folder, "site-agent", "1-1.el9_4")
    universe.build_rpm(folder, "site-kit", "1-1.el9", vendor="AlmaLinux")
    universe.build_rpm(folder, "curl", "99-1.el9", "x86_64")
    for name in ("site-a", "site-b", "site-c", "site-d"):
        universe.build_rpm(folder, name, "1-1")
    universe.index(folder)
    url = service.mount("/s/", folder)
    (host.root / "etc/yum.repos.d/site.repo").write_text("[site]\nname=Site\nbaseurl=%s\ngpgcheck=0\n" % url)
    assert document(host.dnf("tuxcare", "status", "--json"))["hidden"] == {}
    assert is_done(host.dnf("-q", "repoquery", "--disablerepo=*", "--enablerepo=site", "--qf", "%{name}")).split() == [
        "site-a", "site-b", "site-c", "site-d"]
    told = document(host.dnf("tuxcare", "status", "--json"))["hidden"]
    assert {reason: count for reason, count in told["site"].items() if "past 9.2" in reason} and sum(told["site"].values()) == 3
    shown = is_done(host.dnf("tuxcare", "status"))
    assert shown.count(" of site: ") == 3 and rows(shown)["Hidden"]
    with open(str(host.root / "etc/yum.repos.d/site.repo"), "a") as stream:
        stream.write("enabled=0\n")
    assert document(host.dnf("tuxcare", "status", "--json"))["hidden"] == {}
