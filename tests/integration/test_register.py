# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare register`: what it asks the service, what it makes of the answers, and what it leaves on the host."""
from pathlib import Path
from typing import List, NamedTuple, Optional

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import (
    add_settings, document, is_done, own_lines, places_of, refused, register, sections, trusted_keys, untouched,
)  # fmt: skip
from tests.integration.terminal import typed
from tests.sandbox.faults import Body, Fault, Json, Status
from tests.sandbox.host import Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY, PLAIN_ESSENTIAL_KEY, PLAIN_ESU_KEY, UNKNOWN_KEY, Key
from tests.sandbox.service import Record, Service
from tests.sandbox.universe import Universe

INSTALLED = "TuxCare installed successfully"
ALREADY = "This server already has a TuxCare token installed"
REGISTER = "/cln/api/els/token/register"
UNREGISTER = "/cln/api/els/token/unregister"


def token_of(host: Host) -> str:
    return (host.root / "etc/dnf/vars/tuxcare_token").read_text().strip()


def posts(service: Service) -> List[Record]:
    return [record for record in service.requests if record.method == "POST"]


# --- both products ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", [ESU_KEY, PLAIN_ESU_KEY], ids=["prefix", "no prefix"])
def test_esu(any_host: Host, service: Service, key: str) -> None:
    assert INSTALLED in register(any_host, key=key)
    found = sections(any_host, "tuxcare.repo")
    assert {name: section["enabled"] for name, section in found.items()} == {
        "tuxcare-base": "1", "tuxcare-esu": "1", "tuxcare-fips": "0"}
    assert list(service.seats[key].values()) == [token_of(any_host)]
    listed = is_done(any_host.dnf("repolist"))
    assert "TuxCare Enterprise Support for AlmaLinux 9.2 - ESU" in listed
    assert "TuxCare Enterprise Support for AlmaLinux 9.2 - Base" in listed


@pytest.mark.parametrize("key", [ESSENTIAL_KEY, PLAIN_ESSENTIAL_KEY], ids=["prefix", "no prefix"])
def test_essential_gets_no_section_that_would_fail(any_host: Host, service: Service, key: str) -> None:
    assert INSTALLED in register(any_host, key=key)
    assert not (any_host.root / "etc/yum.repos.d/tuxcare.repo").exists()
    assert list(service.seats[key].values()) == [token_of(any_host)]
    is_done(any_host.dnf("makecache"))
    assert any_host.dnf("makecache", "--enablerepo=*", "--disablerepo=*-source", "--disablerepo=*-debuginfo").returncode == 0


def test_what_is_on_the_host_afterwards(host: Host) -> None:
    register(host)
    files = {name: (host.root / name) for name in (
        "etc/tuxcare-release", "etc/dnf/vars/tuxcare_releasever", "etc/dnf/vars/tuxcare_token")}
    modes = {name.split("/")[-1]: path.stat().st_mode & 0o777 for name, path in files.items()}
    assert files["etc/tuxcare-release"].read_text() == "TuxCare Enterprise Support for AlmaLinux release 9.2\n"
    assert files["etc/dnf/vars/tuxcare_releasever"].read_text() == "9.2\n"
    assert modes == {"tuxcare-release": 0o644, "tuxcare_releasever": 0o644, "tuxcare_token": 0o600}
    assert sorted(path.name for path in (host.root / "etc/dnf/vars").iterdir()) == ["tuxcare_releasever", "tuxcare_token"]


def test_the_token_lies_in_its_one_home(host: Host) -> None:
    register(host)
    assert places_of(host, token_of(host)) == ["etc/dnf/vars/tuxcare_token"]


def test_the_signing_key_is_trusted(any_host: Host, universe: Universe) -> None:
    register(any_host)
    short = universe.fingerprint("TuxCare")[-8:].lower()
    ours = [line for line in trusted_keys(any_host) if line.startswith(short + " ")]
    assert len(ours) == 1 and "TuxCare (Software Signing Key)" in ours[0]
    installed = (any_host.root / "etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare").read_text()
    assert installed.startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")


# --- requests -----------------------------------------------------------------------------------------------------


def test_the_request_is_the_vendors(slash_host: Host, service: Service) -> None:
    register(slash_host)
    asked, = posts(service)
    assert (asked.host, asked.path) == ("cln.cloudlinux.com", REGISTER)
    assert asked.json() == {"key": ESU_KEY, "host_name": slash_host.host_name}
    assert asked.headers["content-type"].split(";")[0] == "application/json"
    assert {record.host for record in service.requests} == {"cln.cloudlinux.com", "repo.tuxcare.com"}
    assert "/tuxcare/RPM-GPG-KEY-TuxCare" in {record.path for record in service.requests}


@pytest.mark.parametrize("tree", ["extras", "AppStream"])
def test_only_trees_that_answer_are_enabled(host: Host, service: Service, tree: str) -> None:
    service.order(Fault(Status(404), path="*/%s/*" % tree))
    register(host)
    name = tree.lower()
    names = ("baseos", "appstream", "extras")
    enabled = {other: sections(host, "almalinux-%s.repo" % other)[other]["enabled"] for other in names}
    assert enabled == {other: "0" if other == name else "1" for other in enabled}


# --- the decision -------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """What the key is and looks like, what is asked for, what the two repositories answer; None is the truth."""

    key: str
    esu: Optional[int] = None
    base: Optional[int] = None
    args: tuple = ()
    product: str = ""
    words: tuple = ()


LIAR_ESSENTIAL = "ESA-LOOKSLIKEESA"
DECISIONS = {
    "esu, asked for": Case(PLAIN_ESU_KEY, args=("--product", "esu"), product="esu"),
    "essential, asked for": Case(PLAIN_ESSENTIAL_KEY, args=("--product", "essential"), product="essential"),
    "esu behind the other prefix": Case(LIAR_ESSENTIAL, product="esu"),
    "no prefix, 403 and 200": Case(PLAIN_ESU_KEY, esu=403, product="essential"),
    "no prefix, both 403": Case(PLAIN_ESU_KEY, esu=403, base=403, words=("403",)),
    "essential prefix, both 403": Case(ESSENTIAL_KEY, esu=403, base=403, words=("403",)),
    "essential asked for, both 403": Case(ESSENTIAL_KEY, 403, 403, ("--product", "essential"), words=("403",)),
}


@pytest.mark.parametrize("case", DECISIONS.values(), ids=list(DECISIONS))
def test_the_proof_decides(host: Host, service: Service, case: Case) -> None:
    service.keys[LIAR_ESSENTIAL] = Key("esu", 9)
    for status, tree in ((case.esu, "esu"), (case.base, "BaseOS")):
        if status:
            service.order(Fault(Status(status), path="*/%s/*" % tree))
    add_settings(host, "retries = 0")
    args = ("tuxcare", "register", "--json", *case.args)
    env = {"TUXCARE_LICENSE_KEY": case.key}
    if case.product:
        assert document(host.dnf(*args, env=env))["product"] == case.product
        return
    with untouched(host, service):
        refused(host.dnf(*args, env=env), *case.words)
    assert [record.path for record in posts(service)] == [REGISTER, UNREGISTER]


@pytest.mark.parametrize("answer", ["y", "n"])
def test_what_is_undecided_is_asked_at_a_terminal(host: Host, service: Service, answer: str) -> None:
    service.order(Fault(Status(404), path="*/esu/*"))
    add_settings(host, "retries = 0")
    before = host.snapshot()
    done = typed(host, ["tuxcare", "register", "-l", PLAIN_ESSENTIAL_KEY], [("[y/N]", answer + "\n")])
    assert done.status == (0 if answer == "y" else 1), done.shown
    assert (INSTALLED in done.shown) == (answer == "y")
    assert (PLAIN_ESSENTIAL_KEY in service.seats) == (answer == "y")
    assert (host.snapshot() == before) == (answer == "n")


# --- where the key comes from -------------------------------------------------------------------------------------


def key_file(host: Host, text: str = ESU_KEY + "\n", mode: int = 0o600) -> str:
    path = host.root / "root/licence.key"
    path.write_text(text)
    path.chmod(mode)
    return "/root/licence.key" if host.slash else str(path)


@pytest.mark.parametrize("way", ["-l", "--license-key", "file", "-", "environment"])
def test_the_key_comes_from(any_host: Host, service: Service, way: str) -> None:
    file = key_file(any_host)
    args = {"file": ["--license-key-file", file], "-": ["--license-key-file", "-"], "environment": []}.get(way, [way, ESU_KEY])
    env = {"TUXCARE_LICENSE_KEY": ESU_KEY if way == "environment" else UNKNOWN_KEY}
    done = any_host.dnf("tuxcare", "register", *args, stdin=ESU_KEY + "\n", env=env)
    assert INSTALLED in is_done(done)
    assert posts(service)[0].json()["key"] == ESU_KEY
    warned = done.stderr.count("on the command line")
    assert warned == (1 if way in ("-l", "--license-key") else 0)
    assert own_lines(done.stderr) == []


def test_the_key_is_asked_for_without_echo(any_host: Host, service: Service) -> None:
    done = typed(any_host, ["tuxcare", "register"], [("key: ", ESU_KEY + "\n")])
    assert done.status == 0 and INSTALLED in done.shown, done.shown
    assert ESU_KEY not in done.shown and list(service.seats[ESU_KEY].values()) == [token_of(any_host)]


@pytest.mark.parametrize("args", [
    ["-l", ESU_KEY], ["-l" + ESU_KEY], ["--license-key", ESU_KEY], ["--license-key=" + ESU_KEY], ["--license-k", ESU_KEY],
], ids=lambda args: " ".join(args).replace(ESU_KEY, "KEY"))
@pytest.mark.parametrize("outcome", ["registered", "refused"])
def test_the_key_is_in_no_file(host: Host, service: Service, args: List[str], outcome: str) -> None:
    if outcome == "refused":
        service.order(Fault(Status(403), path=REGISTER))
    done = host.dnf("-v", "tuxcare", "register", *args)
    # dnf's parser refuses an abbreviation of two options.
    assert done.returncode == (0 if outcome == "registered" and args[0] != "--license-k" else 1), done.stderr
    assert "tuxcare register" in (host.root / "var/log/dnf.log").read_text()
    assert places_of(host, ESU_KEY) == []
    assert ESU_KEY not in done.stdout + done.stderr


SPY = """#!/bin/sh
{ cat /proc/$$/environ; cat /proc/$$/cmdline; echo " $0"; } >> /var/log/children
exec %s.real "$@"
"""


def watch_children(host: Host) -> None:
    """Programs that the product and rpm call note their environment and arguments."""
    for name in ("/usr/bin/gpg", "/usr/sbin/grubby", "/usr/bin/fips-mode-setup"):
        script = 'mv "$0" "$0.real" && cat > "$0" && chmod 755 "$0"'
        is_done(host.run(["sh", "-c", script, name], stdin=SPY % name))


def test_the_key_reaches_neither_children_nor_history(slash_host: Host) -> None:
    watch_children(slash_host)
    env = {"TUXCARE_LICENSE_KEY": ESU_KEY}
    done = slash_host.dnf("-y", "tuxcare", "register", "--fips", "-l", ESU_KEY, env=env)
    is_done(done)
    noted = (slash_host.root / "var/log/children").read_text()
    assert "gpg" in noted and "grubby" in noted and "fips-mode-setup" in noted
    assert ESU_KEY not in noted
    history = is_done(slash_host.dnf("history", "info"))
    assert "tuxcare register" in history and ESU_KEY not in history
    assert places_of(slash_host, ESU_KEY) == []


# --- registered already -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [[], ["-y"], ["--dry-run"]], ids=["plain", "-y", "--dry-run"])
def test_registered_already(any_host: Host, service: Service, args: List[str]) -> None:
    register(any_host)
    service.clear_requests()
    with untouched(any_host, service):
        assert ALREADY in is_done(any_host.dnf("tuxcare", "register", *args, env={"TUXCARE_LICENSE_KEY": ESU_KEY}))
    assert service.requests == []


def test_replace_takes_the_new_seat_before_the_old_one_goes(any_host: Host, service: Service) -> None:
    register(any_host)
    old, before = token_of(any_host), any_host.snapshot()
    service.clear_requests()
    assert INSTALLED in register(any_host, "--replace", key=PLAIN_ESU_KEY)
    assert [record.path for record in posts(service)] == [REGISTER, UNREGISTER]
    assert service.requests[-1].json()["token"] == old
    assert ESU_KEY not in service.seats and list(service.seats[PLAIN_ESU_KEY].values()) == [token_of(any_host)]
    changed = {path for path, entry in any_host.snapshot().items() if before.get(path) != entry}
    # The registration differs where it was made in another second.
    assert changed - {"var/lib/tuxcare/registration.json", "var/lib/tuxcare/before.json"} == {"etc/dnf/vars/tuxcare_token"}
    is_done(any_host.dnf("makecache"))


@pytest.mark.parametrize("key", [UNKNOWN_KEY, ESSENTIAL_KEY], ids=["unknown", "another product"])
def test_replace_with_a_bad_key_keeps_the_old_seat(host: Host, service: Service, key: str) -> None:
    register(host)
    with untouched(host, service):
        refused(host.dnf("tuxcare", "register", "--replace", env={"TUXCARE_LICENSE_KEY": key}))


@pytest.mark.parametrize("fails", [False, True], ids=["proved", "not proved"])
def test_replace_with_the_token_that_the_host_has_keeps_its_seat(host: Host, service: Service, fails: bool) -> None:
    """A service that knows key and name may answer so: that seat is the host's, whatever comes of it."""
    register(host)
    token = token_of(host)
    service.order(Fault(Json({"token": token}), path=REGISTER))
    if fails:
        service.order(Fault(Status(500), path="*/esu/*"))
    done = host.dnf("tuxcare", "register", "--replace", env={"TUXCARE_LICENSE_KEY": ESU_KEY})
    assert done.returncode == int(fails) and "given back" not in done.stderr and "may be taken" not in done.stderr
    assert ("the token that this host had already" in done.stderr) != fails
    service.cancel_faults()
    assert token_of(host) == token and list(service.seats[ESU_KEY].values()) == [token]
    assert not (host.root / "var/lib/tuxcare/seat.json").exists()
    is_done(host.dnf("makecache", "--refresh"))


def test_a_dry_run_of_replace_tells_all_that_it_does(host: Host, service: Service) -> None:
    register(host)
    (host.root / "etc/hostname").write_text("renamed.example.com\n")  # so that the record changes within the same second, too
    service.clear_requests()
    told = document(host.dnf("tuxcare", "register", "--replace", "--dry-run", "--json"))
    assert service.requests == [] and {file["path"] for file in told["files"]} == {
        "/etc/dnf/vars/tuxcare_token", "/var/lib/tuxcare/before.json", "/var/lib/tuxcare/registration.json"}
    register(host, "--replace", key=PLAIN_ESU_KEY)
    asked = [record.method + " " + service.url + record.path for record in service.requests]
    assert sorted(asked) == sorted(line.replace("TOKEN", token_of(host)) for line in told["requests"])


def test_replace_of_a_host_that_is_not_registered_registers_it(host: Host, service: Service) -> None:
    assert INSTALLED in register(host, "--replace")
    assert list(service.seats[ESU_KEY].values()) == [token_of(host)]


# --- dry run, JSON ------------------------------------------------------------------------------------------------


def test_dry_run_shows_everything_and_changes_nothing(any_host: Host, service: Service) -> None:
    with untouched(any_host, service):
        done = any_host.dnf("tuxcare", "register", "--dry-run", "-l", ESU_KEY)
    shown = is_done(done)
    assert posts(service) == [] and ESU_KEY not in shown + done.stderr
    for name in ("baseos", "appstream", "extras", "crb"):
        assert "--- /etc/yum.repos.d/almalinux-%s.repo" % name in shown
    for name in ("yum.repos.d/tuxcare.repo", "dnf/vars/tuxcare_releasever", "tuxcare-release", "dnf/vars/tuxcare_token"):
        assert "/etc/" + name in shown
    assert "POST" in shown and REGISTER in shown and "/tuxcare/RPM-GPG-KEY-TuxCare" in shown


def test_dry_run_does_not_empty_a_signing_key_that_is_there(host: Host) -> None:
    (host.root / "etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare").write_text("one of an image\n")
    assert "one of an image" not in is_done(host.dnf("tuxcare", "register", "--dry-run"))


def test_dry_run_needs_no_key(host: Host, service: Service) -> None:
    with untouched(host, service):
        is_done(host.dnf("tuxcare", "register", "--dry-run"))


def test_dry_run_is_what_happens(host: Host) -> None:
    planned = document(host.dnf("tuxcare", "register", "--dry-run", "--json", env={"TUXCARE_LICENSE_KEY": ESU_KEY}))
    done = document(host.dnf("tuxcare", "register", "--json", env={"TUXCARE_LICENSE_KEY": ESU_KEY}))
    assert sorted(entry["path"] for entry in planned["files"]) == done["files"]


def test_json_documents(host: Host, service: Service) -> None:
    args = ("tuxcare", "register", "--json")
    env = {"TUXCARE_LICENSE_KEY": ESU_KEY}
    bad = document(host.dnf(*args, env={"TUXCARE_LICENSE_KEY": UNKNOWN_KEY}), status=1)
    assert bad["command"] == "register" and bad["error"]["code"] == "service" and bad["error"]["remedy"]
    first = document(host.dnf(*args, env=env))
    assert (first["changed"], first["registered"], first["product"], first["pin"]) == (True, True, "esu", "9.2")
    assert "/etc/dnf/vars/tuxcare_token" in first["files"] and token_of(host) not in str(first)
    again = document(host.dnf(*args, env=env))
    assert (again["changed"], again["registered"], again["product"]) == (False, True, "esu")


def test_json_goes_alone_to_standard_output(host: Host) -> None:
    done = host.dnf("-y", "tuxcare", "register", "--fips", "--json", env={"TUXCARE_LICENSE_KEY": ESU_KEY})
    assert document(done)["exit_status"] == 0
    assert "Complete!" in done.stderr


# --- releases, certificates --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("release", ["9.2", "8.10"])
def test_essential_releases(hosts: Hosts, service: Service, release: str, tmp_path: Path) -> None:
    """AlmaLinux 8 keeps most of its repositories in one file, and calls CRB powertools."""
    host = hosts.by_installroot(release)
    service.order(Fault(Body(b"<repomd/>", "text/xml"), path="/almalinux/8.10/*"))
    service.order(Fault(Status(403), path="/tuxcare/8.10/*"))
    register(host, key=ESSENTIAL_KEY)
    names = {"8.10": ["almalinux.repo", "almalinux-powertools.repo"], "9.2": ["almalinux-baseos.repo", "almalinux-crb.repo"]}
    for name in names[release]:
        for section in sections(host, name).values():
            assert "$releasever" not in "".join(section.values())
            assert "$tuxcare_releasever" in section.get("baseurl", "") + section.get("mirrorlist", "")
    assert (host.root / "etc/dnf/vars/tuxcare_releasever").read_text() == release + "\n"


@pytest.mark.parametrize("verify", ["1", "0"])
def test_certificates_as_dnf_conf_says(host: Host, service: Service, verify: str) -> None:
    """Without a private authority named anywhere: refused, and no seat can be taken; accepted where dnf.conf says so, aloud."""
    for name in ("etc/dnf/dnf.conf", "etc/dnf/plugins/tuxcare.conf"):
        path = host.root / name
        path.write_text("".join(line for line in path.open() if not line.startswith(("sslcacert", "ca_file"))))
    done = host.dnf("--setopt=sslverify=" + verify, "tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY})
    assert ("sslverify is off" in done.stderr) == (verify == "0") and "InsecureRequestWarning" not in done.stderr
    if verify == "0":
        is_done(done)
    else:
        assert "still be taken" not in refused(done, "its issuer is unknown", "ca_file")
    assert (ESU_KEY in service.seats) == (verify == "0")
