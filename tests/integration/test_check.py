# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare status --check`: each finding, made by what really makes it; told with a remedy that ends it."""
import shutil
import subprocess
from typing import Callable, Dict, List, Tuple

import pytest

from tests.integration.outcome import document, is_done, own_lines, refused, register, untouched
from tests.integration.test_fails_closed import MARKER, OWN, STATE, TOKEN, VARIABLE, cut_off, edited, gone, mode, put, remedies
from tests.sandbox import osfiles, template
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

REPOS = "etc/yum.repos.d/"
BASEOS = REPOS + "almalinux-baseos.repo"
MINE = "[mine]\nname=Mine\nbaseurl=https://mirror.example.org/almalinux/9.4/BaseOS/$basearch/os/\n"
Damage = Callable[[Host], object]


def pristine(host: Host) -> None:
    (host.root / BASEOS).write_text(osfiles.repo_files("9.2")["almalinux-baseos.repo"])


def rpm(host: Host, *args: str) -> str:
    """rpm itself, on the host's database."""
    command = ["rpm", "--root", str(host.root), *args]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, universal_newlines=True,
                          env=template.outside_env(host.root)).stdout


def without_key(host: Host) -> None:
    for line in rpm(host, "-q", "gpg-pubkey", "--qf", "%{name}-%{version}-%{release} %{summary}\n").splitlines():
        if "TuxCare" in line:
            rpm(host, "-e", "--allmatches", line.split()[0])


def appended(name: str, text: str) -> Damage:
    def damage(host: Host) -> None:
        with open(str(host.root / name), "a") as stream:
            stream.write(text)
    return damage


def junk_folder(host: Host) -> None:
    (host.root / REPOS / "x.repo").mkdir()


# code: (what makes it, what else it may bring); in the order of docs/commands.md
FINDINGS: Dict[str, Tuple[Damage, List[str]]] = {
    "configuration": (mode("etc/dnf/plugins/tuxcare.conf", 0o666), []),
    "journal": (cut_off, ["variable", "token", "marker", "unpinned", "own-repositories", "signing-key", "record", "drift"]),
    "record": (edited(STATE, '"esu"', '"essential"'), []),
    "variable": (put(VARIABLE, b"9.4\n"), []),
    "own-repositories": (gone(OWN), []),
    "signing-key-file": (gone("etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare"), []),
    "token": (gone(TOKEN), []),
    "token-permissions": (mode(TOKEN, 0o644), []),
    "marker": (gone(MARKER), []),
    "copy": (put("etc/machine-id", b"fedcba9876543210fedcba9876543210\n"), []),
    "renamed": (put("etc/hostname", b"renamed.example.com\n"), []),
    "repository-file": (junk_folder, []),
    "unpinned": (pristine, []),
    "drift": (edited(BASEOS, "/BaseOS/$basearch/os/", "/BaseOS/x86_64/os/"), []),
    "foreign-tree": (put(REPOS + "mine.repo", MINE.encode()), []),
    "rpmnew": (lambda host: shutil.copy(str(host.root / BASEOS), str(host.root / BASEOS) + ".rpmnew"), []),
    "exception": (appended("etc/dnf/plugins/tuxcare.conf", "[pin]\nallow = openssl@site\n"), []),
    "signing-key": (without_key, []),
}


@pytest.mark.registered
def test_nothing_to_find(host: Host) -> None:
    """On the host that each of the next test's is a copy of."""
    assert document(host.dnf("tuxcare", "status", "--check", "--json"))["findings"] == []


@pytest.mark.registered
@pytest.mark.parametrize("code", FINDINGS)
def test_a_finding(host: Host, code: str) -> None:
    damage, others = FINDINGS[code]
    damage(host)
    told = document(host.dnf("tuxcare", "status", "--check", "--json"), status=4)
    codes = [entry["code"] for entry in told["findings"]]
    assert code in codes and set(codes) - {code} <= set(others), told["findings"]
    shown = host.dnf("tuxcare", "status", "--check")
    assert shown.returncode == 4 and len(shown.stdout.splitlines()) == len(codes) and own_lines(shown.stderr) == []
    assert all(entry["remedy"] or "chown root" in entry["text"] for entry in told["findings"])


@pytest.mark.registered
@pytest.mark.parametrize("code", ["record", "variable", "own-repositories", "token", "marker", "unpinned", "drift", "journal"])
def test_the_remedy_ends_it(host: Host, code: str) -> None:
    FINDINGS[code][0](host)
    (told,) = [entry for entry in document(host.dnf("tuxcare", "status", "--check", "--json"), status=4)["findings"]
               if entry["code"] == code]
    for command in remedies(told["remedy"]):
        is_done(host.dnf("-y", *command[1:], env={"TUXCARE_LICENSE_KEY": ESU_KEY}))
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"


@pytest.mark.registered
@pytest.mark.parametrize("content", [None, b"{", b"[]"], ids=["none", "torn", "another document"])
def test_a_journal_that_cannot_be_read(host: Host, content: "bytes | None") -> None:
    """What each verb names ends it, without a backup."""
    folder = host.root / "var/lib/tuxcare/journal"
    folder.mkdir(0o700)
    if content is not None:
        (folder / "operation.json").write_bytes(content)
    remedy = "Run: mv /var/lib/tuxcare/journal /root/tuxcare-journal; dnf tuxcare recover"
    for verb in ("recover", "unregister --local"):
        done = host.dnf("-y", "tuxcare", *verb.split())
        assert done.returncode == 5 and remedy in " ".join(done.stderr.split()), done.stderr
    assert remedy in is_done(host.dnf("tuxcare", "status"))
    (told,) = document(host.dnf("tuxcare", "status", "--check", "--json"), status=4)["findings"]
    assert remedy in told["remedy"] and told["code"] == "journal"
    assert remedy in host.dnf("-y", "upgrade").stderr
    (host.root / "root").mkdir(exist_ok=True)
    folder.rename(host.root / "root/tuxcare-journal")
    is_done(host.dnf("-y", "tuxcare", "recover"))
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"


@pytest.mark.registered
@pytest.mark.parametrize("name, evr, word", [("less", "590-4.el9_4", "past 9.2"), ("almalinux-release", "9.4-1.el9", "past 9.2")])
def test_a_package_that_came_by_rpm_itself(host: Host, universe: Universe, name: str, evr: str, word: str) -> None:
    """What no plugin can stop is found afterwards, and the guard lets its way back through."""
    path = universe.package(name, evr)
    rpm(host, "-U", "--nodeps", "--nosignature", str(path))
    told = document(host.dnf("tuxcare", "status", "--check", "--json"), status=4)["findings"]
    assert [entry["code"] for entry in told] == ["package"] and name in told[0]["text"] and word in told[0]["text"]
    (command,) = remedies(told[0]["remedy"])
    is_done(host.dnf("-y", *command[1:]))
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"


@pytest.mark.registered
def test_a_package_of_another_operating_system(host: Host, universe: Universe) -> None:
    path = universe.build_rpm(host.directory, "rocky-logos", "90.1-1.el9", vendor="Rocky Enterprise Software Foundation")
    rpm(host, "-U", "--nodeps", "--nosignature", str(path))
    told = document(host.dnf("tuxcare", "status", "--check", "--json"), status=4)["findings"]
    assert [entry["code"] for entry in told] == ["package"] and "another operating system" in told[0]["text"]


@pytest.mark.registered
def test_it_touches_and_asks_nothing(host: Host, service: Service) -> None:
    (host.root / VARIABLE).write_text("9.4\n")
    service.clear_requests()
    with untouched(host, service):
        assert host.dnf("tuxcare", "status", "--check").returncode == 4
    assert service.requests == []


@pytest.mark.registered
@pytest.mark.parametrize("verb", ["unregister", "uninstall", "register --replace"])
def test_a_copy_leaves_the_seat_of_its_original_alone(host: Host, service: Service, verb: str) -> None:
    """A template that was cloned with its registration: -y in a script of the clone must not cut the original off."""
    put("etc/machine-id", b"fedcba9876543210fedcba9876543210\n")(host)
    with untouched(host, service):
        done = host.dnf("-y", "tuxcare", *verb.split(), env={"TUXCARE_LICENSE_KEY": ESU_KEY})
        refused(done, "is a copy of", "unregister --local")
    is_done(host.dnf("-y", "tuxcare", "unregister", "--local"))
    seats = len(service.licences.seats())
    register(host)
    assert len(service.licences.seats()) == seats + 1
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"


@pytest.mark.registered
def test_a_host_that_was_renamed(host: Host, service: Service) -> None:
    put("etc/hostname", b"renamed.example.com\n")(host)
    assert host.dnf("tuxcare", "status", "--check").returncode == 4
    is_done(host.dnf("tuxcare", "register", "--replace", env={"TUXCARE_LICENSE_KEY": ESU_KEY}))
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"
    assert [seat.host_name for seat in service.licences.seats() if seat.key == ESU_KEY] == ["renamed.example.com"]
