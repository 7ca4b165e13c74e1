# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare unregister`: every file is back byte for byte, and what an administrator edited since stays."""
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Dict

import pytest

from tests.integration.outcome import (
    State, add_settings, document, is_done, places_of, refused, register, trusted_keys, untouched,
)  # fmt: skip
from tests.sandbox.faults import Body, CutBefore, Fault, Status
from tests.sandbox.host import Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

UNREGISTER = "/cln/api/els/token/unregister"
BASEOS = "etc/yum.repos.d/almalinux-baseos.repo"


def state(host: Host) -> State:
    return State.of(host)


def unregister(host: Host, *args: str) -> str:
    return is_done(host.dnf("-y", "tuxcare", "unregister", *args))


def same(before: State, host: Host) -> None:
    after = State.of(host)
    assert before.changes(after) == {}
    assert before == after


# --- byte for byte ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [ESU_KEY, ESSENTIAL_KEY], ids=["esu", "essential"])
def test_everything_is_as_before(any_host: Host, service: Service, key: str) -> None:
    before = state(any_host)
    register(any_host, key=key)
    token = (any_host.root / "etc/dnf/vars/tuxcare_token").read_text().strip()
    assert state(any_host) != before and token in service.seats[key].values()
    said = unregister(any_host)
    assert "De-registration successful" in said
    same(before, any_host)
    assert key not in service.seats
    assert service.requests[-1].path == UNREGISTER and service.requests[-1].json()["token"] == token
    assert places_of(any_host, token, folders=("etc", "var/lib", "tmp", "root", "run")) == []


def test_rpm_finds_nothing_changed(slash_host: Host) -> None:
    """The times of the files are restored, too: `rpm -V` looks at them."""
    verify = ["rpm", "-V", "--nodeps", "almalinux-repos"]
    before = slash_host.run(verify).stdout
    register(slash_host)
    assert slash_host.run(verify).stdout != before
    unregister(slash_host)
    assert slash_host.run(verify).stdout == before and "almalinux-baseos.repo" not in before


@pytest.mark.registered
def test_a_file_that_was_removed_stays_so_and_that_is_said(host: Host) -> None:
    (host.root / BASEOS).unlink()
    assert BASEOS + " was removed since the host was registered; it stays so." in unregister(host)
    assert not (host.root / BASEOS).exists()


@pytest.mark.parametrize("what", ["a link out of /etc", "a link to nothing", "a folder"])
def test_something_else_in_the_place_of_a_file(host: Host, service: Service, what: str) -> None:
    """It is not ours to write through, and the lines behind it would stay: the administrator decides."""
    before = state(host)
    register(host)
    path, kept = host.root / BASEOS, host.root / "root/baseos.repo"
    path.rename(kept)
    path.mkdir() if what == "a folder" else path.symlink_to("/root/baseos.repo" if "out" in what else "/nowhere")
    with untouched(host, service):
        refused(host.dnf("-y", "tuxcare", "unregister"), "/" + BASEOS, "--theirs")
    assert "it stays as it is" in unregister(host, "--theirs") and (path.is_symlink() or path.is_dir())
    path.rmdir() if what == "a folder" else path.unlink()
    kept.rename(path)
    assert before.changes(state(host)).keys() == {BASEOS}


def test_where_the_record_was_lost_what_was_edited_is_kept_beside(host: Host) -> None:
    before = state(host)
    register(host)
    shutil.rmtree(str(host.root / "var/lib/tuxcare"))
    (host.root / "var/lib/tuxcare").mkdir()
    path = host.root / "etc/yum.repos.d/tuxcare.repo"
    mine = path.read_text() + "\n[mine]\nname=Mine\nbaseurl=https://mine.example.com\nenabled=0\n"
    path.write_text(mine)
    kept = "etc/yum.repos.d/tuxcare.repo.rpmsave"
    assert "/" + kept in unregister(host, "--local") and (host.root / kept).read_text() == mine
    found = {name for name in before.changes(state(host)) if name.startswith("etc/yum.repos.d")}
    assert found == {kept}


@pytest.mark.parametrize("name", ["etc/yum.repos.d/tuxcare.repo", "etc/dnf/vars/tuxcare_token"])
def test_a_link_in_the_place_of_our_own_file_goes_alone(host: Host, name: str) -> None:
    before = state(host)
    register(host)
    path, mine = host.root / name, host.root / "etc/yum.repos.d/mine.repo"
    mine.write_text("[mine]\nname=Mine\nbaseurl=https://mine.example.com\nenabled=0\n")
    path.unlink()
    path.symlink_to("/etc/yum.repos.d/mine.repo")
    assert "/{}: the symbolic link is removed".format(name) in unregister(host, "--local")
    assert not path.is_symlink() and before.changes(state(host)).keys() == {"etc/yum.repos.d/mine.repo"}


def test_a_renamed_file_loses_our_lines(host: Host) -> None:
    before = (host.root / BASEOS).read_bytes()
    register(host)
    (host.root / BASEOS).rename(host.root / "etc/yum.repos.d/mine.repo")
    said = unregister(host)
    assert BASEOS + " was removed" in said and "/etc/yum.repos.d/mine.repo: there is no before-image" in said
    assert (host.root / "etc/yum.repos.d/mine.repo").read_bytes() == before and not (host.root / BASEOS).exists()


def test_twice_over(host: Host) -> None:
    before = state(host)
    for _ in range(2):
        register(host)
        unregister(host)
    same(before, host)


def _edit(change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        path.write_bytes(change(path.read_bytes()))
    return edit


def _inner_link(path: Path) -> None:
    target = path.parents[1] / "repos.kept/baseos.repo"
    target.parent.mkdir()
    path.rename(target)
    path.symlink_to("../repos.kept/baseos.repo")


def _absolute_link(path: Path) -> None:
    _inner_link(path)
    path.unlink()
    path.symlink_to("/etc/repos.kept/baseos.repo")


def _hard_link(path: Path) -> None:
    os.link(str(path), str(path.with_suffix(".saved")))


SHAPES: Dict[str, Callable[[Path], object]] = {
    "mode": lambda path: path.chmod(0o640),
    "strange mode": lambda path: path.chmod(0o4711),
    "owner": lambda path: os.chown(str(path), 1000, 1000),
    "owner and mode": lambda path: (os.chown(str(path), 0, 1000), path.chmod(0o660)),
    "attributes": lambda path: (os.setxattr(str(path), "user.note", b"kept\0"), os.setxattr(str(path), "user.empty", b"")),
    "security label": lambda path: os.setxattr(str(path), "security.sandbox", b"system_u:object_r:etc_t:s0\0"),
    "link": _inner_link,
    "absolute link": _absolute_link,
    "hard link": _hard_link,
    "CR LF": _edit(lambda data: data.replace(b"\n", b"\r\n")),
    "mixed line ends": _edit(lambda data: data.replace(b"\nenabled", b"\r\nenabled")),
    "bytes that are no UTF-8": _edit(lambda data: b"# Caf\xe9\n" + data + b"# \xff\xfe\n"),
    "byte order mark": _edit(lambda data: b"\xef\xbb\xbf" + data),
    "no newline at the end": _edit(lambda data: data.rstrip(b"\n")),
    "ends in the mirror list": _edit(lambda data: b"[baseos]\nname=x\nmirrorlist=https://mirrors.almalinux.org/mirrorlist/9/baseos"),
    "form feeds": _edit(lambda data: data.replace(b"\n\n", b"\n# \x0c \xe2\x80\xa8 \x1d\n")),
    "several base URLs": _edit(lambda data: data.replace(
        b"mirrorlist=", b"baseurl=https://repo.almalinux.org/almalinux/9/BaseOS/$basearch/os/\n"
        b"  https://vault.almalinux.org/9.2/BaseOS/$basearch/os/\n#mirrorlist=")),
    "blanks around": _edit(lambda data: data.replace(b"mirrorlist=", b"mirrorlist = ").replace(b"enabled=1", b"enabled = yes  ")),
    "exclude of the administrator": _edit(
        lambda data: data.replace(b"gpgcheck=1", b"gpgcheck=1\nexclude=kernel* \nexcludepkgs=a b")),
    "our stamp already there": _edit(lambda data: data + b"#tuxcare is not used here\n"),
}


@pytest.mark.sampled
@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_whatever_a_file_looks_like(host: Host, shape: Callable[[Path], object]) -> None:
    path = host.root / BASEOS
    try:
        shape(path)
    except OSError as error:
        pytest.skip("cannot be had on this file system: %s" % error)
    before, content = state(host), path.resolve().read_bytes() if not path.is_symlink() else b""
    register(host)
    if shape is not _absolute_link:  # seen from outside it leads elsewhere
        is_done(host.dnf("makecache", "--repo=baseos"))
    assert content == b"" or path.read_bytes() != content
    unregister(host)
    same(before, host)


def test_mode_owner_and_attributes_are_kept_while_registered(host: Host) -> None:
    path = host.root / BASEOS
    path.chmod(0o640)
    os.chown(str(path), 0, 1000)
    before = host.snapshot()[BASEOS]
    register(host)
    assert host.snapshot()[BASEOS]._replace(content="") == before._replace(content="")


def test_a_link_stays_a_link_while_registered(host: Host) -> None:
    _inner_link(host.root / BASEOS)
    register(host)
    assert (host.root / BASEOS).is_symlink()
    assert "$tuxcare_token" in (host.root / "etc/repos.kept/baseos.repo").read_text()


def test_files_of_the_administrator_are_not_touched(host: Host) -> None:
    names = {"etc/yum.repos.d/other.repo": "[other]\nname=Other\nbaseurl=https://packages.example.com/$releasever/\n",
             "etc/dnf/vars/site": "north\n", "etc/yum.repos.d/almalinux-baseos.repo.bak": "mirrorlist=https://mirrors.almalinux.org/\n"}
    for name, text in names.items():
        (host.root / name).write_text(text)
    before = host.snapshot()
    register(host)
    after = host.snapshot()
    assert {name for name in names if before[name] != after[name]} == set()


@pytest.mark.parametrize("name, text", [
    ("etc/dnf/vars/tuxcare_releasever", "9\n"), ("etc/tuxcare-release", "own\n"), ("etc/yum.repos.d/tuxcare.repo", "# own\n"),
    ("etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare", "own\n"),
])
def test_a_file_that_stood_in_our_place_comes_back(host: Host, name: str, text: str) -> None:
    (host.root / name).write_text(text)
    before = state(host)
    register(host)
    assert (host.root / name).read_text() != text
    unregister(host)
    same(before, host)


def test_a_key_that_was_trusted_before_stays_trusted(host: Host, universe: Universe) -> None:
    import_key(host, universe.public_key("TuxCare"))
    before = state(host)
    register(host)
    unregister(host)
    same(before, host)


def import_key(host: Host, path: Path) -> None:
    (host.root / "root/key").write_bytes(path.read_bytes())
    command = ["rpm", "--root", str(host.root), "--define", "_dbpath /var/lib/rpm", "--import", str(host.root / "root/key")]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    is_done(done)
    (host.root / "root/key").unlink()
    assert len(trusted_keys(host)) == 2


# --- edited since -------------------------------------------------------------------------------------------------


def _with_edits(text: str) -> str:
    return text.replace("gpgcheck=1", "gpgcheck=1\nexclude=squid", 1) + "\n# mine\n[own]\nname=Own\nenabled=0\n"


def test_the_administrators_edits_stay(host: Host) -> None:
    path = host.root / BASEOS
    original = path.read_text()
    register(host)
    path.write_text(_with_edits(path.read_text()))
    unregister(host)
    assert path.read_text() == _with_edits(original)


def test_a_switch_of_the_administrator_stays(host: Host) -> None:
    path = host.root / "etc/yum.repos.d/almalinux-crb.repo"
    original = path.read_text()
    register(host)
    path.write_text(path.read_text().replace("enabled=0", "enabled=1", 1))
    unregister(host)
    assert path.read_text() == original.replace("enabled=0", "enabled=1", 1)


def test_a_new_mode_stays(host: Host) -> None:
    path, before = host.root / BASEOS, state(host)
    register(host)
    path.chmod(0o600)
    unregister(host)
    assert path.stat().st_mode & 0o777 == 0o600
    path.chmod(0o644)
    same(before, host)


@pytest.mark.registered
def test_a_file_that_the_administrator_removed_stays_away(host: Host) -> None:
    (host.root / "etc/yum.repos.d/almalinux-sap.repo").unlink()
    (host.root / "etc/tuxcare-release").unlink()
    unregister(host)
    assert not (host.root / "etc/yum.repos.d/almalinux-sap.repo").exists() and not (host.root / "etc/tuxcare-release").exists()


def test_a_file_that_an_update_put_back_stays(host: Host) -> None:
    before = state(host)
    original = (host.root / BASEOS).read_bytes()
    register(host)
    (host.root / BASEOS).write_bytes(original)
    unregister(host)
    same(before, host)


@pytest.mark.registered
@pytest.mark.parametrize("edit", [
    lambda text: text.replace("/BaseOS/$basearch", "/BaseOS-mine/$basearch", 1),
    lambda text: text.replace("baseurl=https://", "baseurl=https://mirror.example.com/", 1),
], ids=["path", "host"])
def test_a_conflict_stops_it(host: Host, service: Service, edit: Callable[[str], str]) -> None:
    path = host.root / BASEOS
    path.write_text(edit(path.read_text()))
    with untouched(host, service):
        done = host.dnf("-y", "tuxcare", "unregister")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1 and "/" + BASEOS in errors[0]
    # The diff: as it was left, as it is now.
    assert "--- /" + BASEOS in done.stderr and "+++ /" + BASEOS in done.stderr
    told = document(host.dnf("-y", "tuxcare", "unregister", "--json"), status=1)
    assert told["error"]["code"] == "conflict" and "--- /" + BASEOS in told["error"]["diff"]


@pytest.mark.registered
def test_an_edited_vendor_file_is_kept_aside(host: Host) -> None:
    path = host.root / "etc/yum.repos.d/tuxcare.repo"
    edited = path.read_text() + "exclude=squid\n"
    path.write_text(edited)
    _inner_link(path)
    assert "tuxcare.repo" in unregister(host)
    assert not os.path.lexists(str(path))
    kept = [other for other in path.parent.iterdir() if other.name.startswith("tuxcare.repo.")]
    assert [other.read_text() for other in kept] == [edited]


# --- the seat -----------------------------------------------------------------------------------------------------


def test_a_host_that_is_not_registered(any_host: Host, service: Service) -> None:
    with untouched(any_host, service):
        assert "Server is not registered" in unregister(any_host)
    assert service.requests == []


@pytest.mark.registered
@pytest.mark.parametrize("behaviour", [Status(500), Status(403), CutBefore()], ids=["500", "403", "cut"])
def test_a_service_that_fails_keeps_the_host_registered(host: Host, service: Service, behaviour: Status) -> None:
    service.order(Fault(behaviour, path=UNREGISTER))
    add_settings(host, "retries = 0")
    with untouched(host):
        refused(host.dnf("-y", "tuxcare", "unregister"), "--local")


def test_local_cleans_up_without_the_service(host: Host, service: Service) -> None:
    before = state(host)
    register(host)
    service.clear_requests()
    said = unregister(host, "--local")
    assert service.requests == [] and ESU_KEY in service.seats and "seat" in said
    same(before, host)


def test_a_token_that_the_service_does_not_know_any_more(host: Host, service: Service) -> None:
    before = state(host)
    register(host)
    service.licences.unregister((host.root / "etc/dnf/vars/tuxcare_token").read_text().strip())
    assert "does not know the token" in unregister(host)
    same(before, host)


@pytest.mark.parametrize("body", [b"<html>Not found</html>", b""], ids=["a page", "nothing"])
def test_a_404_that_is_not_the_services_own_gives_no_seat_back(host: Host, service: Service, body: bytes) -> None:
    """A wrong unregister_url, or a portal, knows nothing of the token; the service's own answer is a JSON object."""
    register(host)
    before = set(service.licences.seats())
    service.order(Fault(Body(body, status=404), path=UNREGISTER))
    with untouched(host, service):
        refused(host.dnf("-y", "tuxcare", "unregister"), "unregister_url", "--local")
    assert set(service.licences.seats()) == before
    assert "The seat may still be taken" in is_done(host.dnf("-y", "tuxcare", "unregister", "--local"))


@pytest.mark.registered
@pytest.mark.parametrize("verb", ["unregister", "uninstall"])
def test_an_address_that_is_not_the_services(host: Host, service: Service, verb: str) -> None:
    """A 404 of another service's own: the host is clean, and nobody is told that the seat was given back."""
    service.order(Fault(Status(404, body=b'{"detail": "Not Found"}'), path=UNREGISTER))
    told = document(host.dnf("-y", "tuxcare", verb, "--json"))
    assert not told["registered"] and told["seat_returned"] is False and len(service.seats[ESU_KEY]) == 1


@pytest.mark.registered
def test_an_address_that_is_not_the_services_is_told(host: Host, service: Service) -> None:
    service.order(Fault(Status(404, body=b'{"detail": "Not Found"}'), path=UNREGISTER))
    said = unregister(host)
    assert "may still be taken" in said and "unregister_url" in said and "given back" not in said


@pytest.mark.registered
def test_dry_run_and_json(host: Host, service: Service) -> None:
    with untouched(host, service):
        shown = is_done(host.dnf("-y", "tuxcare", "unregister", "--dry-run"))
    assert "--- /" + BASEOS in shown and UNREGISTER in shown
    planned = document(host.dnf("-y", "tuxcare", "unregister", "--dry-run", "--json"))
    done = document(host.dnf("-y", "tuxcare", "unregister", "--json"))
    assert (done["changed"], done["registered"], done["seat_returned"]) == (True, False, True)
    assert sorted(entry["path"] for entry in planned["files"]) == done["files"]
    again = document(host.dnf("-y", "tuxcare", "unregister", "--json"))
    assert (again["changed"], again["registered"]) == (False, False)


@pytest.mark.registered
def test_the_drift_is_told(host: Host) -> None:
    said = unregister(host)
    assert "not held on 9.2" in said and "cannot be undone" in said


@pytest.mark.parametrize("side, live", [("--ours", "mirrorlist=https://mirrors.almalinux.org/mirrorlist/$releasever/baseos"),
                                        ("--theirs", "baseurl=https://mirror.example.com/baseos/")], ids=["ours", "theirs"])
def test_the_administrator_decides_a_conflict(host: Host, service: Service, side: str, live: str) -> None:
    before = (host.root / BASEOS).read_text()
    register(host)
    text = (host.root / BASEOS).read_text()
    own = r"\1baseurl=https://mirror.example.com/baseos/"
    edited = re.sub(r"(?m)^(#tuxcare\+\n)baseurl=.*/BaseOS/\$basearch/os/$", own, text, count=1)
    assert edited != text
    (host.root / BASEOS).write_text(edited + "# mine\n")
    stopped = host.dnf("-y", "tuxcare", "unregister")
    assert stopped.returncode == 1 and "--ours" in stopped.stderr.splitlines()[-1] and "--theirs" in stopped.stderr
    refused(host.dnf("-y", "tuxcare", "unregister", "--ours", "--theirs"), "exclude each other")
    is_done(host.dnf("-y", "tuxcare", "unregister", side))
    after = (host.root / BASEOS).read_text()
    first = after.split("[baseos-debug")[0].splitlines()
    assert live in first and "#tuxcare" not in after and after.endswith("# mine\n")
    assert len([line for line in first if line.startswith(("baseurl", "mirrorlist"))]) == 1
    if side == "--ours":
        assert after == before + "# mine\n"


@pytest.mark.registered
def test_it_asks_and_says_what_follows(host: Host, service: Service) -> None:
    with untouched(host, service):
        line = refused(host.dnf("tuxcare", "unregister"), "leaves 9.2", "cannot be undone", "without a terminal")
        assert "FIPS" not in line
        refused(host.dnf("--assumeno", "tuxcare", "unregister"), "--assumeno", "leaves 9.2", "cannot be undone")
    is_done(host.dnf("-y", "tuxcare", "unregister"))
