# SPDX-License-Identifier: Apache-2.0
"""What a person is told to do next is true, and does it: status, plans of what cannot be taken back, `repos switch`."""
from pathlib import Path

import pytest

from tests.integration.outcome import document, is_done, refused, register
from tests.integration.test_cut_off import PROBE, UNREGISTER, cut_off
from tests.integration.test_fails_closed import DAMAGES, VARIABLE
from tests.sandbox.host import Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

BASEOS = "etc/yum.repos.d/almalinux-baseos.repo"


@pytest.mark.registered
@pytest.mark.parametrize("name", ["variable of another release", "variable gone", "marker gone", "token gone",
                                  "own repositories gone", "pin edited", "state folder gone", "an operation cut off"])
def test_status_names_what_refuses_transactions(host: Host, name: str) -> None:
    assert document(host.dnf("tuxcare", "status", "--json"))["next"] == []
    DAMAGES[name][0](host)
    error = [line for line in host.dnf("-y", "remove", "rsync").stderr.splitlines() if line.startswith("Error: tuxcare: ")][0]
    told = host.dnf("tuxcare", "status", "--json")
    (step, *_) = document(told, status=told.returncode)["next"]
    remedy = error[error.rindex("Run `dnf tuxcare ") + 5:].split("`")[0]
    assert "`%s`" % remedy in step, (step, error)


@pytest.mark.registered(ESSENTIAL_KEY)
def test_status_says_where_an_essential_host_is_going(host: Host) -> None:
    (host.root / VARIABLE).write_text("9.4\n")
    told = document(host.dnf("tuxcare", "status", "--json"))
    assert told["pin"] == "9.4" and any("dnf upgrade" in step and "9.4" in step for step in told["next"])
    assert document(host.dnf("tuxcare", "release", "--json"))["pin"] == "9.4"
    is_done(host.dnf("-y", "upgrade"))
    assert document(host.dnf("tuxcare", "status", "--json"))["next"] == []


@pytest.mark.registered(ESSENTIAL_KEY)
def test_the_plan_of_a_move_warns_as_the_move_does(host: Host) -> None:
    assert "cannot be undone" in is_done(host.dnf("tuxcare", "release", "9.4", "--dry-run"))
    refused(host.dnf("tuxcare", "release", "9.4"), "cannot be undone", "-y answers")
    done = host.dnf("-y", "tuxcare", "release", "9.4")
    assert "cannot be undone" in is_done(done) + done.stderr and "dnf upgrade" in done.stdout
    assert "cannot be undone" not in is_done(host.dnf("tuxcare", "release", "9.2", "--dry-run"))
    assert "dnf upgrade" not in is_done(host.dnf("tuxcare", "release", "9.2"))


def test_the_plan_of_recover_says_what_recover_does(host: Host, service: Service) -> None:
    with cut_off(host, service, PROBE, "register", key=ESU_KEY):
        pass
    told = document(host.dnf("tuxcare", "recover", "--dry-run", "--json"))
    assert [request.split("/")[-1] for request in told["requests"]] == ["unregister"] and told["files"] == []
    status = host.dnf("tuxcare", "status")
    assert status.returncode == 3 and "`dnf tuxcare recover`" in status.stdout
    assert document(host.dnf("tuxcare", "status", "--check", "--json"), status=4)["findings"][0]["code"] == "seat"
    is_done(host.dnf("tuxcare", "recover"))
    register(host)
    with cut_off(host, service, UNREGISTER, "unregister"):
        pass
    told = document(host.dnf("tuxcare", "recover", "--dry-run", "--json"))
    assert told["files"] == [] and "not held any more" in told["notes"][0] and len(told["requests"]) == 1
    assert document(host.dnf("tuxcare", "status", "--check", "--json"), status=4)["findings"][0]["code"] == "journal"


@pytest.mark.registered
@pytest.mark.parametrize("side", ["--ours", "--theirs"])
def test_switch_over_an_edited_line_of_ours(host: Host, side: str) -> None:
    text = (host.root / BASEOS).read_text()
    edited = text.replace("/BaseOS/$basearch/os/", "/BaseOS/x86_64/os/") + "# mine\n"
    (host.root / BASEOS).write_text(edited)
    stopped = host.dnf("tuxcare", "repos", "switch")
    assert stopped.returncode == 1 and "--ours" in stopped.stderr.splitlines()[-1] and (host.root / BASEOS).read_text() == edited
    is_done(host.dnf("tuxcare", "repos", "switch", side))
    assert (host.root / BASEOS).read_text() == (text + "# mine\n" if side == "--ours" else edited)
    assert (host.dnf("tuxcare", "status", "--check").returncode == 0) == (side == "--ours")


@pytest.mark.registered
def test_switch_forgets_a_file_that_is_not_needed_any_more(host: Host) -> None:
    (host.root / "etc/yum.repos.d/almalinux-sap.repo").unlink()
    told = host.dnf("tuxcare", "status", "--check")
    assert told.returncode == 4 and "`dnf tuxcare repos switch`" in told.stdout
    is_done(host.dnf("tuxcare", "repos", "switch"))
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"
    is_done(host.dnf("-y", "tuxcare", "unregister"))


def _site(host: Host, service: Service, folder: Path, path: str = "/site/") -> None:
    url = service.mount("/site/", folder)
    text = "[site]\nname=S\nbaseurl=%s\ngpgcheck=0\n" % url.replace("/site/", path)
    (host.root / "etc/yum.repos.d/site.repo").write_text(text)


@pytest.mark.registered
def test_a_repository_that_asks_for_the_token_does_not_get_it(
    host: Host, service: Service, universe: Universe, tmp_path: Path
) -> None:
    token = (host.root / "etc/dnf/vars/tuxcare_token").read_text().strip()
    universe.build_rpm(tmp_path, "site-agent", "1-1")
    universe.index(tmp_path)
    _site(host, service, tmp_path, "/site/$tuxcare_token/")
    service.clear_requests()
    done = host.dnf("makecache")
    told = [line for line in done.stderr.splitlines() if "give the token away" in line]
    assert is_done(done) and len(told) == 1 and "site" in told[0]
    assert [record.path for record in service.requests if record.path.startswith("/site/")] == []
    assert token not in done.stdout + done.stderr


@pytest.mark.registered
def test_a_folder_named_as_a_repository_file_hinders_no_transaction(host: Host) -> None:
    (host.root / "etc/yum.repos.d/x.repo").mkdir()
    (host.root / "etc/yum.repos.d/y.repo").symlink_to("y.repo")
    assert "rsync" in is_done(host.dnf("-y", "remove", "rsync"))


@pytest.mark.registered
def test_packages_that_are_only_downloaded_turn_nothing_on(host: Host) -> None:
    done = host.dnf("-y", "--downloadonly", "tuxcare", "fips", "enable")
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.returncode == 1 and len(errors) == 1 and "not installed" in errors[0] and "Traceback" not in done.stderr
    log = host.root / "var/log/standins.log"
    assert not log.exists() or not {"--set-default", "--enable"}.intersection(log.read_text().replace("=", " ").split())
