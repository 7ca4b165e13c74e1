# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare repos diff|switch|revert`, and what the repository files of a registered host hold."""
from pathlib import Path
from typing import Dict, List

import pytest

from tests.integration.outcome import State, document, is_done, refused, register, sections, untouched
from tests.sandbox import template
from tests.sandbox.host import Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

TREES = ("BaseOS AppStream CRB extras HighAvailability NFV plus ResilientStorage RT SAP SAPHANA").split()
URL_KEYS = ("baseurl", "mirrorlist", "metalink")


def os_sections(host: Host) -> Dict[str, Dict[str, str]]:
    found: Dict[str, Dict[str, str]] = {}
    for path in (host.root / "etc/yum.repos.d").glob("almalinux*.repo"):
        found.update(sections(host, path.name))
    return found


def texts(host: Host) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((host.root / "etc/yum.repos.d").iterdir())}


def without_ours(text: str) -> str:
    """The administrator's text: lines behind `#tuxcare-` are his, the line after `#tuxcare+` is ours."""
    kept: List[str] = []
    lines = iter(text.split("\n"))
    for line in lines:
        if line == "#tuxcare+":
            next(lines)
        else:
            kept.append(line[len("#tuxcare- "):] if line.startswith("#tuxcare- ") else line)
    return "\n".join(kept)


# --- the files of a registered host -------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [ESU_KEY, ESSENTIAL_KEY], ids=["esu", "essential"])
def test_every_live_address_is_pinned(slash_host: Host, key: str) -> None:
    register(slash_host, key=key)
    found = os_sections(slash_host)
    for name, section in found.items():
        urls = [section[field] for field in URL_KEYS if field in section]
        assert len(urls) == 1 and "$tuxcare_releasever" in urls[0] and "$releasever" not in urls[0], (name, urls)
    live = "https://repo.tuxcare.com/almalinux/$tuxcare_releasever/$tuxcare_token/%s/$basearch/os/"
    assert {name: found[name.lower()]["baseurl"] for name in TREES} == {name: live % name for name in TREES}


def test_what_was_enabled_is_enabled_and_nothing_else(host: Host) -> None:
    before = {name: section["enabled"] for name, section in os_sections(host).items()}
    register(host)
    assert {name: section["enabled"] for name, section in os_sections(host).items()} == before


def test_debug_and_source_sections_keep_their_mirrors(host: Host) -> None:
    (host.root / "etc/yum.repos.d/almalinux-baseos.repo").write_text(
        (host.root / "etc/yum.repos.d/almalinux-baseos.repo").read_text().replace("enabled=0", "enabled=1"))
    register(host)
    found = os_sections(host)
    for name in ("baseos-debuginfo", "baseos-source"):
        assert found[name]["mirrorlist"].startswith("https://mirrors.almalinux.org/mirrorlist/$tuxcare_releasever/baseos-")
        assert found[name]["enabled"] == "0"


def test_every_line_of_ours_can_be_told(host: Host) -> None:
    before = texts(host)
    register(host)
    after = texts(host)
    assert {name: without_ours(after[name].decode()).encode() for name in before} == before


@pytest.mark.registered
def test_the_vendors_repositories_are_found_by_scanners(slash_host: Host) -> None:
    found = sections(slash_host, "tuxcare.repo")
    assert {name: section["baseurl"] for name, section in found.items()} == {
        "tuxcare-base": "https://repo.tuxcare.com/tuxcare/$tuxcare_releasever/base/$basearch/",
        "tuxcare-esu": "https://repo.tuxcare.com/tuxcare/$tuxcare_releasever/$tuxcare_token/esu/$basearch/",
        "tuxcare-fips": "https://repo.tuxcare.com/tuxcare/$tuxcare_releasever/$tuxcare_token/fips/$basearch/"}
    assert found["tuxcare-fips"]["name"] == "TuxCare FIPS"
    assert {section["gpgcheck"] for section in found.values()} == {"1"}
    assert {section["gpgkey"] for section in found.values()} == {"file:///etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare"}


# --- diff ---------------------------------------------------------------------------------------------------------


def test_diff_shows_what_register_will_do(host: Host, service: Service) -> None:
    before = texts(host)
    with untouched(host, service):
        shown = is_done(host.dnf("tuxcare", "repos", "diff"))
        told = document(host.dnf("tuxcare", "repos", "diff", "--json"))
    register(host)
    changed = sorted("/etc/yum.repos.d/" + name for name, text in texts(host).items() if before.get(name, text) != text)
    assert sorted(entry["path"] for entry in told["files"]) == changed and len(changed) == len(TREES)
    for entry in told["files"]:
        added = [line[1:] for line in entry["diff"].splitlines() if line.startswith("+") and not line.startswith("+++")]
        assert added and set(added) <= set((host.root / entry["path"].lstrip("/")).read_text().splitlines())
        assert entry["diff"].strip() in shown
    assert service.requests[0].method == "POST"


@pytest.mark.registered
def test_diff_of_a_registered_host_is_empty(any_host: Host) -> None:
    assert is_done(any_host.dnf("tuxcare", "repos", "diff")) == "Nothing to do.\n"


def test_diff_is_for_everybody(slash_host: Host) -> None:
    shown = is_done(slash_host.dnf("tuxcare", "repos", "diff", user=template.USER))
    assert shown.count("--- /etc/yum.repos.d/almalinux-") == len(TREES)


# --- revert and switch --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("word", ["switch", "revert"])
@pytest.mark.parametrize("args", [[], ["-y"], ["--dry-run"]], ids=["plain", "-y", "--dry-run"])
def test_not_registered(host: Host, service: Service, word: str, args: List[str]) -> None:
    with untouched(host, service):
        refused(host.dnf("tuxcare", "repos", word, *args), "not registered", "dnf tuxcare register", status=3)
    assert service.requests == []


def test_there_and_back_again(any_host: Host, service: Service) -> None:
    community, before = texts(any_host), State.of(any_host)
    register(any_host)
    vetted = State.of(any_host)
    service.clear_requests()
    is_done(any_host.dnf("-y", "tuxcare", "repos", "revert"))
    now = texts(any_host)
    assert {name: now[name] for name in community} == community
    is_done(any_host.dnf("tuxcare", "repos", "switch"))
    assert vetted.changes(State.of(any_host)) == {}
    assert service.requests == []
    is_done(any_host.dnf("-y", "tuxcare", "unregister"))
    assert before.changes(State.of(any_host)) == {}


def test_unregister_after_revert(host: Host) -> None:
    before = State.of(host)
    register(host)
    is_done(host.dnf("-y", "tuxcare", "repos", "revert"))
    is_done(host.dnf("-y", "tuxcare", "unregister"))
    assert before.changes(State.of(host)) == {}


@pytest.mark.registered
@pytest.mark.parametrize("args", [[], ["--assumeno"]], ids=["no terminal", "--assumeno"])
def test_revert_is_not_done_without_a_yes(host: Host, service: Service, args: List[str]) -> None:
    with untouched(host, service):
        refused(host.dnf(*args, "tuxcare", "repos", "revert"))


@pytest.mark.registered
def test_dry_runs(host: Host, service: Service) -> None:
    with untouched(host, service):
        shown = is_done(host.dnf("tuxcare", "repos", "revert", "--dry-run"))
    assert shown.count("--- /etc/yum.repos.d/almalinux-") == len(TREES)
    is_done(host.dnf("-y", "tuxcare", "repos", "revert"))
    with untouched(host, service):
        shown = is_done(host.dnf("tuxcare", "repos", "switch", "--dry-run"))
    assert shown.count("--- /etc/yum.repos.d/almalinux-") == len(TREES)


@pytest.mark.registered
@pytest.mark.parametrize("word, twice", [("switch", False), ("revert", True)])
def test_what_is_done_already(host: Host, service: Service, word: str, twice: bool) -> None:
    if twice:
        is_done(host.dnf("-y", "tuxcare", "repos", word))
    with untouched(host, service):
        assert "Nothing to do." in is_done(host.dnf("-y", "tuxcare", "repos", word))
        assert document(host.dnf("-y", "tuxcare", "repos", word, "--json"))["changed"] is False


@pytest.mark.registered
def test_a_reverted_host_is_not_left_to_drift_in_silence(host: Host) -> None:
    """Repository files of the community do not take a registered host past its pin (PIN 5)."""
    is_done(host.dnf("-y", "tuxcare", "repos", "revert"))
    before = host.installed()
    done = host.dnf("-y", "install", "httpd")
    assert done.returncode == 1 and "dnf tuxcare repos switch" in done.stderr, done.stderr
    assert host.installed() == before
    assert "repos switch" in is_done(host.dnf("tuxcare", "status"))


@pytest.mark.parametrize("name", ["almalinux-baseos.repo", "almalinux-new.repo"])
def test_switch_takes_in_a_file_that_an_update_brought(host: Host, name: str) -> None:
    path = host.root / "etc/yum.repos.d" / name
    fresh = (host.root / "etc/yum.repos.d/almalinux-baseos.repo").read_bytes()
    if name == "almalinux-new.repo":
        fresh = fresh.replace(b"baseos", b"plus").replace(b"BaseOS", b"plus").replace(b"[plus", b"[new")
    register(host)
    path.write_bytes(fresh)
    assert "repos switch" in is_done(host.dnf("tuxcare", "status"))
    is_done(host.dnf("tuxcare", "repos", "switch"))
    assert b"$tuxcare_releasever/$tuxcare_token/" in path.read_bytes()
    is_done(host.dnf("-y", "tuxcare", "unregister"))
    assert path.read_bytes() == fresh


@pytest.mark.registered
def test_json_names_the_files(host: Host) -> None:
    told = document(host.dnf("-y", "tuxcare", "repos", "revert", "--json"))
    repo_files = [path for path in told["files"] if path.endswith(".repo")]
    assert told["changed"] and [Path(path).name for path in repo_files] == sorted(
        "almalinux-%s.repo" % tree.lower() for tree in TREES)


@pytest.mark.registered
@pytest.mark.parametrize("args", [["install", "httpd"], ["install", "needs-httpd"]], ids=" ".join)
def test_what_needs_the_operating_system_fails_after_revert_and_names_the_remedy(
    host: Host, service: Service, universe: Universe, tmp_path: Path, args: List[str]
) -> None:
    universe.build_rpm(tmp_path, "needs-httpd", "1-1", requires=("httpd",))
    universe.index(tmp_path)
    url = service.mount("/n/", tmp_path)
    (host.root / "etc/yum.repos.d/site.repo").write_text("[site]\nname=S\nbaseurl=%s\ngpgcheck=0\n" % url)
    is_done(host.dnf("-y", "tuxcare", "repos", "revert"))
    before = host.installed()
    done = host.dnf("-y", *args)
    assert done.returncode == 1 and "`dnf tuxcare repos switch`" in done.stderr and host.installed() == before
    is_done(host.dnf("tuxcare", "repos", "switch"))
    is_done(host.dnf("-y", *args))


@pytest.mark.registered
def test_an_edited_line_of_ours_is_shown(host: Host) -> None:
    path = host.root / "etc/yum.repos.d/almalinux-baseos.repo"
    text = path.read_text()
    path.write_text(text.replace("/BaseOS/$basearch/os/", "/BaseOS/x86_64/os/"))
    shown = is_done(host.dnf("tuxcare", "repos", "diff"))
    assert "edited since" in shown and "\n+baseurl=" in shown and "/BaseOS/x86_64/os/" in shown
    (entry,) = document(host.dnf("tuxcare", "repos", "diff", "--json"))["drift"]
    assert entry["path"] == "/etc/yum.repos.d/almalinux-baseos.repo" and entry["action"] == "change"
    path.write_text(text)
    assert is_done(host.dnf("tuxcare", "repos", "diff")) == "Nothing to do.\n"
