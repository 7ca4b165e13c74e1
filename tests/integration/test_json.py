# SPDX-License-Identifier: Apache-2.0
"""Every JSON document of real runs: one on standard output, valid by docs/json-schema, with no key that is not described."""
import copy
import fcntl
import json
import os
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Set

import jsonschema
import pytest

from tests.integration.masters import Masters
from tests.integration.outcome import add_settings, is_done, places_of, register
from tests.sandbox import template
from tests.sandbox.host import PROJECT, Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY, EXHAUSTED_KEY
from tests.sandbox.service import Service
from tuxcare_lib import cli

SCHEMAS = PROJECT / "docs/json-schema"
KEY = {"TUXCARE_LICENSE_KEY": ESU_KEY}
BASEOS = "etc/yum.repos.d/almalinux-baseos.repo"
_VALIDATED: Set[str] = set()


def schema_of(document: Dict[str, Any]) -> str:
    """As docs/json.md tells which schema is whose."""
    if "error" in document:
        return "error"
    if document["command"] is None:
        return "overview"
    if document.get("check"):
        return "status-check"
    return "plan" if document.get("dry_run") else document["command"].replace(" ", "-")


def closed(schema: Any) -> Any:
    """The schema with no key allowed that it does not name: what is printed has to be described."""
    if isinstance(schema, list):
        return [closed(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if "properties" in made and made.get("type") == "object":
        made["additionalProperties"] = False
    return made


def check(done: "subprocess.CompletedProcess[str]", status: int = 0, schema: Optional[str] = None) -> Dict[str, Any]:
    """Asserts one valid document with the command's exit status, and nothing else on standard output."""
    assert done.returncode == status, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout.endswith("}\n") and done.stdout.isascii(), done.stdout
    document: Dict[str, Any] = json.loads(done.stdout)
    name = schema_of(document)
    assert name == (schema or name)
    rules = json.loads((SCHEMAS / (name + ".schema.json")).read_text(encoding="ascii"))
    jsonschema.Draft7Validator.check_schema(rules)
    jsonschema.validate(document, closed(rules), jsonschema.Draft7Validator)
    assert document["exit_status"] == status and document["schema"] == 1
    _VALIDATED.add(name)
    return document


def refusal(done: "subprocess.CompletedProcess[str]", code: str, command: str, status: int = 1) -> Dict[str, Any]:
    document = check(done, status, "error")
    assert (document["error"]["code"], document["command"]) == (code, command)
    assert document["error"]["message"]
    error: Dict[str, Any] = document["error"]
    return error


def _open_to_all(host: Host) -> None:
    """Lets the host's ordinary user reach its root, which lies in a private folder of pytest's."""
    for folder in (host.directory, *host.directory.parents):
        mode = folder.stat().st_mode
        if mode & 0o005 != 0o005:
            folder.chmod(mode | 0o055)


@pytest.fixture
def esu(service: Service, masters: Masters, tmp_path: Path) -> Host:
    """A registered host."""
    return masters.copy(False, ESU_KEY, tmp_path / "host")


# --- results ------------------------------------------------------------------------------------------------------


def test_register_and_again(host: Host) -> None:
    first = check(host.dnf("tuxcare", "register", "--json", env=KEY), schema="register")
    assert first["changed"] is True and first["product"] == "esu" and first["pin"] == first["release"] == "9.2"
    assert "tuxcare-esu" in first["repositories"] and "/etc/dnf/vars/tuxcare_token" in first["files"]
    assert all((host.root / path.lstrip("/")).is_file() for path in first["files"])
    again = check(host.dnf("tuxcare", "register", "--json", env=KEY), schema="register")
    assert again["changed"] is False and again["product"] == "esu"


def test_register_replaces(esu: Host) -> None:
    document = check(esu.dnf("tuxcare", "register", "--replace", "--json", env=KEY), schema="register")
    assert document["changed"] is True and "/etc/dnf/vars/tuxcare_token" in document["files"]


def test_unregister_and_again(esu: Host) -> None:
    first = check(esu.dnf("-y", "tuxcare", "unregister", "--json"), schema="unregister")
    assert first["changed"] is True and first["seat_returned"] is True and "/etc/tuxcare-release" in first["files"]
    again = check(esu.dnf("-y", "tuxcare", "unregister", "--json"), schema="unregister")
    assert again["changed"] is False


def test_unregister_locally(esu: Host, service: Service) -> None:
    document = check(esu.dnf("-y", "tuxcare", "unregister", "--local", "--json"), schema="unregister")
    assert document["seat_returned"] is False and len(service.seats[ESU_KEY]) == 1


def test_status_of_a_host_that_is_not_registered(host: Host) -> None:
    document = check(host.dnf("tuxcare", "status", "--json"), 3, "status")
    assert document["registered"] is False and document["registered_by"] is None and document["pin"] is None
    assert {"id": "baseos", "enabled": True, "vetted": False} in document["repositories"]
    assert document["next"]


def test_status_of_a_registered_host(esu: Host) -> None:
    document = check(esu.dnf("tuxcare", "status", "--json"), schema="status")
    assert (document["registered_by"], document["product"], document["pin"]) == ("dnf tuxcare", "esu", "9.2")
    assert {"id": "baseos", "enabled": True, "vetted": True} in document["repositories"]
    assert document["next"] == [] and document["fips"]["mode"] == "off"


def test_status_for_an_ordinary_user(esu: Host) -> None:
    _open_to_all(esu)
    document = check(esu.dnf("tuxcare", "status", "--json", user=template.USER), schema="status")
    assert document["registered"] is True and document["product"] == "esu" and document["fips"]["mode"] == "unknown"


def test_status_of_a_host_of_the_vendors_tool(host: Host) -> None:
    (host.root / "etc/dnf/vars/tuxcare_token").write_text("SOME-TOKEN\n")
    (host.root / "etc/dnf/vars/tuxcare_releasever").write_text("9.2\n")
    document = check(host.dnf("tuxcare", "status", "--json"), schema="status")
    assert document["registered_by"] == "vendor" and document["product"] is None and document["pin"] == "9.2"
    again = check(host.dnf("tuxcare", "register", "--json", env=KEY), schema="register")
    assert again["changed"] is False and again["product"] is None
    refusal(host.dnf("-y", "tuxcare", "unregister", "--json"), "usage", "unregister")


def test_fips_enable_and_what_follows(esu: Host) -> None:
    first = check(esu.dnf("-y", "tuxcare", "fips", "enable", "--json"), schema="fips-enable")
    assert first["changed"] is True and first["reboot"] is True and set(first["installed"]) == set(first["packages"])
    assert ["fips-mode-setup", "--enable"] in first["commands"]
    assert check(esu.dnf("tuxcare", "status", "--json"))["fips"]["mode"] == "pending"
    told = check(esu.dnf("tuxcare", "fips", "status", "--json"), 4, "fips-status")
    assert told["verdict"] == "pending reboot" and [reason["code"] for reason in told["reasons"]] == ["reboot"]
    esu.reboot()
    report = check(esu.dnf("tuxcare", "fips", "report", "--json"), schema="fips-report")
    assert report["verdict"] == "validated" and len(report["checks"]) == 4 and report["providers"] and report["boot_entries"]
    again = check(esu.dnf("-y", "tuxcare", "fips", "enable", "--json"), schema="fips-enable")
    assert (again["changed"], again["installed"], again["commands"], again["reboot"]) == (False, [], [], False)
    assert check(esu.dnf("tuxcare", "status", "--json"))["fips"]["mode"] == "on"
    left = [check(esu.dnf("-y", "tuxcare", "fips", "disable", "--json"), schema="fips-disable") for _ in range(2)]
    assert [document["changed"] for document in left] == [True, False]


def test_register_with_fips_is_one_document(host: Host) -> None:
    document = check(host.dnf("-y", "tuxcare", "register", "--fips", "--json", env=KEY), schema="register")
    assert document["changed"] is True and document["pin"] == "9.2"
    assert document["fips"]["command"] == "fips enable" and document["fips"]["reboot"] is True
    again = check(host.dnf("-y", "tuxcare", "register", "--fips", "--json", env=KEY), schema="register")
    assert again["changed"] is False and again["fips"]["installed"] == []


def test_repos(esu: Host) -> None:
    assert check(esu.dnf("tuxcare", "repos", "diff", "--json"), schema="repos-diff")["files"] == []
    reverted = check(esu.dnf("-y", "tuxcare", "repos", "revert", "--json"), schema="repos-revert")
    assert reverted["changed"] is True and "/" + BASEOS in reverted["files"]
    shown = check(esu.dnf("tuxcare", "repos", "diff", "--json"), schema="repos-diff")
    assert "/" + BASEOS in [file["path"] for file in shown["files"]]
    switched = check(esu.dnf("tuxcare", "repos", "switch", "--json"), schema="repos-switch")
    assert switched["changed"] is True and sorted(switched["files"]) == sorted(reverted["files"])
    assert check(esu.dnf("tuxcare", "repos", "switch", "--json"))["changed"] is False


def test_overview(host: Host) -> None:
    document = check(host.dnf("tuxcare", "--json"), schema="overview")
    assert document["verbs"] == [verb.name for verb in cli.VERBS]


def test_release_shown_listed_and_moved(host: Host) -> None:
    listed = check(host.dnf("tuxcare", "release", "--list", "--json"), schema="release")
    assert {"9.2", "9.4", "9.10"} <= {entry["release"] for entry in listed["releases"]}
    register(host, key=ESSENTIAL_KEY)
    shown = check(host.dnf("tuxcare", "release", "--json"), schema="release")
    assert (shown["product"], shown["pin"], shown["moves"]) == ("essential", "9.2", ["9.4"]) and "9.6" in shown["refused"]
    assert check(host.dnf("tuxcare", "release", "9.4", "--dry-run", "--json"), schema="plan")["command"] == "release"
    refusal(host.dnf("tuxcare", "release", "9.4", "--assumeno", "--json"), "declined", "release")
    moved = check(host.dnf("-y", "tuxcare", "release", "9.4", "--json"), schema="release")
    assert moved["changed"] is True and moved["pin"] == "9.4" and "/etc/tuxcare-release" in moved["files"]
    assert check(host.dnf("-y", "tuxcare", "release", "9.4", "--json"), schema="release")["changed"] is False


def test_release_refused(esu: Host) -> None:
    refusal(esu.dnf("-y", "tuxcare", "release", "9.4", "--json"), "host-not-supported", "release")
    refusal(esu.dnf("-y", "tuxcare", "release", "banana", "--json"), "usage", "release")


def test_audit(esu: Host) -> None:
    assert check(esu.dnf("tuxcare", "status", "--check", "--json"), schema="status-check")["findings"] == []
    (esu.root / "etc/tuxcare-release").unlink()
    (esu.root / "etc/dnf/vars/tuxcare_token").chmod(0o644)
    found = check(esu.dnf("tuxcare", "status", "--check", "--json"), 4, "status-check")
    assert {finding["code"] for finding in found["findings"]} == {"marker", "token-permissions"}
    assert all(finding["remedy"] for finding in found["findings"])


def test_audit_of_a_host_that_is_not_registered(host: Host) -> None:
    refusal(host.dnf("tuxcare", "status", "--check", "--json"), "not-registered", "status", 3)


def test_uninstall(esu: Host) -> None:
    is_done(esu.dnf("-y", "upgrade", "zlib"))
    document = check(esu.dnf("-y", "tuxcare", "uninstall", "--json"), schema="uninstall")
    assert document["changed"] and document["seat_returned"] and not document["registered"] and not document["reboot"]
    assert document["installed"] == ["zlib-1.2.11-39.el9.x86_64"]
    assert document["erased"] == ["zlib-1.2.11-39.el9.tuxcare.els1.x86_64"] and document["files"]
    again = check(esu.dnf("-y", "tuxcare", "uninstall", "--json"), schema="uninstall")
    assert again["changed"] is False


def test_recover(host: Host) -> None:
    document = check(host.dnf("tuxcare", "recover", "--json"), schema="recover")
    assert document["changed"] is False and document["settled"] == document["restored"] == []


# --- plans --------------------------------------------------------------------------------------------------------


def test_plan_of_register(host: Host) -> None:
    document = check(host.dnf("tuxcare", "register", "--dry-run", "--json", env=KEY), schema="plan")
    files = {file["path"]: file for file in document["files"]}
    assert document["command"] == "register" and document["requests"][0].startswith("POST https://")
    token = files["/etc/dnf/vars/tuxcare_token"]
    assert (token["action"], token["mode"], token["diff"]) == ("create", "0600", None)
    assert files["/" + BASEOS]["action"] == "change" and files["/" + BASEOS]["diff"].startswith("--- /" + BASEOS)


@pytest.mark.parametrize("arguments, command", [
    (["unregister"], "unregister"), (["fips", "enable"], "fips enable"), (["repos", "revert"], "repos revert"),
    (["repos", "switch"], "repos switch"), (["register", "--replace"], "register"), (["recover"], "recover"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_plans_of_a_registered_host(esu: Host, arguments: List[str], command: str) -> None:
    document = check(esu.dnf("tuxcare", *arguments, "--dry-run", "--json", env=KEY), schema="plan")
    assert document["command"] == command
    if command == "fips enable":
        assert "Upgrade openssl-1:3.0.7-20.el9_2.tuxcare.1.x86_64" in document["packages"]
        assert ["fips-mode-setup", "--enable"] in document["commands"]


# --- errors -------------------------------------------------------------------------------------------------------


def test_usage(host: Host) -> None:
    refusal(host.dnf("tuxcare", "nonsense", "--json"), "usage", "")
    refusal(host.dnf("tuxcare", "fips", "enable", "--json"), "usage", "fips enable")
    refusal(host.dnf("tuxcare", "register", "--product", "gold", "--json", env=KEY), "usage", "register")


def test_not_registered(host: Host) -> None:
    refusal(host.dnf("-y", "tuxcare", "fips", "enable", "--json"), "not-registered", "fips enable", 3)
    refusal(host.dnf("tuxcare", "repos", "switch", "--json"), "not-registered", "repos switch", 3)


def test_licence_key_and_service(host: Host) -> None:
    refusal(host.dnf("tuxcare", "register", "--json"), "licence-key", "register")
    refusal(host.dnf("tuxcare", "register", "--json", env={"TUXCARE_LICENSE_KEY": EXHAUSTED_KEY}), "service", "register")
    add_settings(host, "register_url = https://localhost:1/", "retries = 0")
    refusal(host.dnf("tuxcare", "register", "--json", env=KEY), "transport", "register")


def test_entitlement(host: Host) -> None:
    done = host.dnf("tuxcare", "register", "--product", "esu", "--json", env={"TUXCARE_LICENSE_KEY": ESSENTIAL_KEY})
    refusal(done, "entitlement", "register")


def test_signing_key(host: Host) -> None:
    add_settings(host, "gpg_key_fingerprint = " + "0" * 40)
    refusal(host.dnf("tuxcare", "register", "--json", env=KEY), "signing-key", "register")


def test_host_not_supported(host: Host) -> None:
    (host.root / "etc/os-release").write_text("ID=fedora\nNAME=Fedora\nVERSION_ID=40\n")
    refusal(host.dnf("tuxcare", "register", "--json", env=KEY), "host-not-supported", "register")


def test_repository_file(host: Host) -> None:
    (host.root / BASEOS).write_text("junk\n")
    refusal(host.dnf("tuxcare", "register", "--json", env=KEY), "repository-file", "register")


def test_configuration_with_every_problem(host: Host) -> None:
    add_settings(host, "timeout = soon", "nonsense = 1")
    error = refusal(host.dnf("tuxcare", "status", "--json"), "configuration", "status")
    assert len(error["problems"]) == 2 and all(problem["line"] for problem in error["problems"])


def test_conflict_with_its_diff(esu: Host) -> None:
    path = esu.root / BASEOS
    path.write_text(path.read_text().replace("#tuxcare+\nbaseurl=", "#tuxcare+\nbaseurl=http://mirror.example.com/"))
    error = refusal(esu.dnf("-y", "tuxcare", "unregister", "--json"), "conflict", "unregister")
    assert "+baseurl=http://mirror.example.com/" in error["diff"]


def test_state(esu: Host) -> None:
    (esu.root / "var/lib/tuxcare/registration.json").write_text("{")
    document = check(esu.dnf("tuxcare", "status", "--json"), schema="status")
    assert document["damage"] and document["registered"] is True and document["product"] is None
    refusal(esu.dnf("tuxcare", "repos", "switch", "--json"), "state", "repos switch")
    refusal(esu.dnf("-y", "tuxcare", "unregister", "--json"), "state", "unregister")
    document = check(esu.dnf("-y", "tuxcare", "unregister", "--local", "--json"), schema="unregister")
    assert document["changed"] is True and "/" + BASEOS in document["files"]


@pytest.fixture
def locked(host: Host) -> Iterator[Host]:
    """A host on which somebody else holds the lock."""
    lock = os.open(str(host.root / "etc/dnf"), os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield host
    os.close(lock)


def test_lock(locked: Host) -> None:
    done = locked.dnf("tuxcare", "register", "--json", "--setopt=exit_on_lock=1", env=KEY)
    refusal(done, "locked", "register", 200)


def test_declined(esu: Host) -> None:
    refusal(esu.dnf("tuxcare", "repos", "revert", "--json", "--assumeno"), "declined", "repos revert")


def test_a_declined_transaction(esu: Host, service: Service) -> None:
    refusal(esu.dnf("tuxcare", "fips", "enable", "--json", "--assumeno"), "declined", "fips enable")
    refusal(esu.dnf("tuxcare", "uninstall", "--json", "--assumeno"), "declined", "uninstall")


def test_not_root(esu: Host) -> None:
    _open_to_all(esu)
    refusal(esu.dnf("-y", "tuxcare", "unregister", "--json", user=template.USER), "error", "unregister")


def test_registered_but_fips_declined(host: Host) -> None:
    """The one error that says what was done: the host is registered."""
    done = host.dnf("--assumeno", "tuxcare", "register", "--fips", "--json", env=KEY)
    refusal(done, "declined", "register")
    document = json.loads(done.stdout)
    assert document["registered"] is True and document["files"]
    assert check(host.dnf("tuxcare", "status", "--json"))["registered"] is True


# --- what they must not hold --------------------------------------------------------------------------------------


def test_no_document_holds_a_secret(host: Host, service: Service) -> None:
    said = is_done(host.dnf("tuxcare", "register", "--json", env=KEY))
    token = (host.root / "etc/dnf/vars/tuxcare_token").read_text().strip()
    assert len(token) > 10 and places_of(host, token) == ["etc/dnf/vars/tuxcare_token"]
    for arguments in (["status"], ["repos", "diff"], ["unregister", "--dry-run"], ["fips", "enable", "--dry-run"]):
        said += host.dnf("tuxcare", *arguments, "--json").stdout
    assert token not in said and ESU_KEY not in said


def test_check_sees_what_it_should(host: Host) -> None:
    """The check itself: a key that is not described, one that is missing, another type, are all refused."""
    done = host.dnf("tuxcare", "recover", "--json")
    good = check(done)
    for change in ({"secret": 1}, {"changed": "no"}, {"command": "register"}):
        broken = copy.copy(done)
        broken.stdout = json.dumps(dict(good, **change)) + "\n"
        with pytest.raises((jsonschema.ValidationError, AssertionError)):
            check(broken)


def test_every_schema_was_used() -> None:
    """Last in the file, and meaningful only where the whole file has run in one process."""
    names = {path.name.partition(".")[0] for path in SCHEMAS.iterdir()}
    if len(_VALIDATED) < 3:
        pytest.skip("the other tests have not run in this process")
    assert _VALIDATED == names


def test_a_document_that_cannot_be_written(host: Host) -> None:
    """A full disk behind standard output: status 0 would be a lie."""
    done = host.dnf("tuxcare", "--json", first="exec >/dev/full")
    assert (done.returncode, "Traceback" in done.stderr) == (120, False)
    assert "Error: The JSON document cannot be written: No space left on device." in done.stderr
