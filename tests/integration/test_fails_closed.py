# SPDX-License-Identifier: Apache-2.0
"""A registered host on which something is missing or damaged: no transaction passes, reading goes on, and the remedy that the
one line names is run from that very state and works.
"""
import json
import os
import re
import shutil
import subprocess
from typing import Callable, Dict, List, Tuple

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import is_done, register
from tests.integration.test_upgrade import PAST
from tests.sandbox import osfiles
from tests.sandbox.host import PROJECT, Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY

Damage = Callable[[Host], object]

VARIABLE, TOKEN, MARKER = "etc/dnf/vars/tuxcare_releasever", "etc/dnf/vars/tuxcare_token", "etc/tuxcare-release"
STATE, BACKUP = "var/lib/tuxcare/registration.json", "var/lib/tuxcare/before.json"
JOURNAL = "var/lib/tuxcare/journal/operation.json"
OWN, CONFIGURATION = "etc/yum.repos.d/tuxcare.repo", "etc/dnf/plugins/tuxcare.conf"
READING = (["list", "--installed", "bash"], ["repoquery", "bash"])


def put(name: str, data: bytes) -> Damage:
    return lambda host: (host.root / name).write_bytes(data)


def gone(*names: str) -> Damage:
    def damage(host: Host) -> None:
        for name in names:
            path = host.root / name
            shutil.rmtree(str(path)) if path.is_dir() else path.unlink()
    return damage


def edited(name: str, old: str, new: str) -> Damage:
    def damage(host: Host) -> None:
        text = (host.root / name).read_text()
        assert old in text
        (host.root / name).write_text(text.replace(old, new))
    return damage


def cut(name: str) -> Damage:
    return lambda host: os.truncate(str(host.root / name), (host.root / name).stat().st_size // 2)


def linked(name: str) -> Damage:
    """The same bytes behind a symbolic link."""
    def damage(host: Host) -> None:
        path = host.root / name
        path.rename(path.parent.parent / "elsewhere")
        path.symlink_to("../elsewhere")
    return damage


def folder(name: str) -> Damage:
    def damage(host: Host) -> None:
        (host.root / name).unlink()
        (host.root / name).mkdir()
    return damage


def mode(name: str, bits: int) -> Damage:
    return lambda host: (host.root / name).chmod(bits)


def cut_off(host: Host) -> None:
    """A kill in the middle of `unregister`: the journal is open and half of the files are changed."""
    code = ("from tuxcare_lib import facts, journal, restoration; from tuxcare_lib.rootfs import Root; import sys;"
            "root = Root(sys.argv[1]); changes, notes = restoration.unregistration_changes(facts.gather(root));"
            "journal.begin(root, 'dnf tuxcare unregister', changes);"
            "[journal.put(root, change.path, change.after) for change in changes[:int(sys.argv[2])]]")
    subprocess.run(["/usr/bin/python3", "-c", code, str(host.root), "9"], check=True,
                   env={"PYTHONPATH": str(PROJECT)})


def as_distributed(host: Host) -> None:
    """The operating system's repository files as its package has them."""
    for name, text in osfiles.repo_files("9.2").items():
        (host.root / "etc/yum.repos.d" / name).write_text(text)


def all_at_once(*damages: Damage) -> Damage:
    return lambda host: [damage(host) for damage in damages]


# name: (the damage, words of the line)
DAMAGES: Dict[str, Tuple[Damage, List[str]]] = {
    "variable with CR": (put(VARIABLE, b"9.2\r\n"), [VARIABLE]),
    "variable with a blank": (put(VARIABLE, b"9.2 \n"), [VARIABLE]),
    "variable with a blank in front": (put(VARIABLE, b" 9.2\n"), [VARIABLE]),
    "variable of two lines": (put(VARIABLE, b"9.2\n9.4\n"), [VARIABLE]),
    "variable with an empty line": (put(VARIABLE, b"9.2\n\n"), [VARIABLE]),
    "variable with NUL": (put(VARIABLE, b"9.2\0\n"), [VARIABLE]),
    "variable with a byte order mark": (put(VARIABLE, b"\xef\xbb\xbf9.2\n"), [VARIABLE]),
    "variable empty": (put(VARIABLE, b""), [VARIABLE]),
    "variable gone": (gone(VARIABLE), [VARIABLE, "missing"]),
    "variable of another release": (put(VARIABLE, b"9.4\n"), [VARIABLE, "9.4", "9.2"]),
    "variable of the major": (put(VARIABLE, b"9\n"), [VARIABLE]),
    "variable with a path": (put(VARIABLE, b"9.2/../9.4\n"), [VARIABLE]),
    "variable linked": (linked(VARIABLE), [VARIABLE, "link"]),
    "variable a folder": (folder(VARIABLE), [VARIABLE]),
    "marker gone": (gone(MARKER), [MARKER]),
    "marker empty": (put(MARKER, b""), [MARKER]),
    "marker of another release": (edited(MARKER, "9.2", "9.4"), [MARKER]),
    "marker not text": (put(MARKER, bytes(range(128, 256))), [MARKER]),
    "marker linked": (linked(MARKER), [MARKER, "link"]),
    "marker a folder": (folder(MARKER), [MARKER]),
    "token gone": (gone(TOKEN), [TOKEN, "--replace"]),
    "token junk": (put(TOKEN, b"../../9.4\n"), [TOKEN, "--replace"]),
    "token empty": (put(TOKEN, b""), [TOKEN, "--replace"]),
    "token of two lines": (put(TOKEN, b"abcdefgh\nabcdefgh\n"), [TOKEN, "--replace"]),
    "token linked": (linked(TOKEN), [TOKEN, "link"]),
    "token a folder": (folder(TOKEN), [TOKEN]),
    "state cut": (cut(STATE), [STATE, "damaged"]),
    "state empty": (put(STATE, b""), [STATE, "damaged"]),
    "state garbage": (put(STATE, bytes(range(256))), [STATE, "damaged"]),
    "state another document": (put(STATE, b"{}\n"), [STATE, "damaged"]),
    "state nested": (put(STATE, b"[" * 200000), [STATE, "damaged"]),
    "state gone": (gone(STATE), [STATE, "missing"]),
    "state linked": (linked(STATE), [STATE, "link"]),
    "state a folder": (folder(STATE), [STATE]),
    "pin edited": (edited(STATE, '"pin": "9.2"', '"pin": "9.4"'), [STATE, "edited"]),
    "pin and variable edited": (all_at_once(edited(STATE, '"pin": "9.2"', '"pin": "9.4"'), put(VARIABLE, b"9.4\n")), [STATE]),
    "product and variable edited": (
        all_at_once(edited(STATE, '"product": "esu"', '"product": "essential"'), put(VARIABLE, b"9.4\n")), [STATE, "edited"]),
    "backup gone": (gone(BACKUP), [BACKUP, "missing"]),
    "backup cut": (cut(BACKUP), [BACKUP, "damaged"]),
    "backup garbage": (put(BACKUP, b"banana"), [BACKUP, "damaged"]),
    "state and backup gone": (gone(STATE, BACKUP), [STATE, "--local"]),
    "state folder gone": (gone("var/lib/tuxcare"), [STATE, "--local"]),
    "state folder and variables gone": (gone("var/lib/tuxcare", VARIABLE, TOKEN), [STATE, "--local"]),
    "only our own repositories left": (all_at_once(gone("var/lib/tuxcare"), as_distributed), [STATE, "--local"]),
    "own repositories gone": (gone(OWN), [OWN, "missing"]),
    "own repositories empty": (put(OWN, b""), [OWN, "missing"]),
    "an operation cut off": (cut_off, ["cut off", "recover"]),
}


def documented() -> Dict[str, str]:
    """What docs/pin.md says: {damage: remedy}, the commands in their back ticks."""
    text = (PROJECT / "docs/pin.md").read_text()
    table = text.split("## What refuses transactions")[1].split("## ")[0]
    return dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", table, re.M))


def test_the_document_has_a_row_for_each_damage() -> None:
    assert [name for name in documented() if name in DAMAGES] == list(DAMAGES)


def refused(host: Host, *words: str, env: "Dict[str, str] | None" = None) -> str:
    """Asserts that a transaction is refused in one line with all of `words`, whatever it wants; that line."""
    before = host.installed()
    done = host.dnf("-y", "remove", "rsync", env=env)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.returncode == 1 and len(errors) == 1 and errors[0].startswith("Error: tuxcare: "), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr and host.installed() == before
    for word in words:
        assert word in errors[0], errors[0]
    return errors[0]


def reads(host: Host) -> None:
    """Asserts that commands which only read go on, with a warning at most."""
    for args in READING:
        done = host.dnf(*args)
        assert done.returncode == 0 and "Traceback" not in done.stderr and "Error: tuxcare" not in done.stderr, done.stderr


def remedies(line: str) -> List[List[str]]:
    """The commands that a line tells to run, in their order."""
    quoted = re.findall(r"`([^`]+)`", line)
    commands = [command for command in quoted if command.startswith("dnf ")]
    plain = re.search(r"Run: (.+)", line)
    commands += plain.group(1).split("; ") if plain else []
    if "register again" in line:
        commands.append("dnf tuxcare register")
    assert commands, line
    return [command.split() for command in commands]


def run(host: Host, command: List[str], key: str) -> None:
    if command[0] == "dnf":
        done = host.dnf("-y", *command[1:], env={"TUXCARE_LICENSE_KEY": key})
    else:
        done = host.run(command)
    assert done.returncode == 0 and "Traceback" not in done.stderr, (command, done.stdout + done.stderr)


def mended(host: Host, line: str, key: str = ESU_KEY) -> None:
    """Runs what the line names, and what the next line names where one thing was behind another; then updates come."""
    for _ in range(3):
        for command in remedies(line):
            run(host, command, key)
        done = host.dnf("-y", "upgrade")
        if done.returncode == 0:
            return
        line = [text for text in done.stderr.splitlines() if text.startswith("Error: tuxcare: ")][0]
    raise AssertionError(line)


def holds(host: Host) -> None:
    """Asserts that the host takes its updates and stays on 9.2."""
    is_done(host.dnf("-y", "upgrade"))
    held(host)


def held(host: Host) -> None:
    """Asserts that the host has taken its updates and is on 9.2."""
    assert (host.root / VARIABLE).read_bytes() == b"9.2\n" and not (host.root / VARIABLE).is_symlink()
    assert "curl-7.76.1-23.el9_2.4.tuxcare.els1.x86_64" in host.installed() and host.installed() & PAST == set()


@pytest.mark.registered
@pytest.mark.sampled
@pytest.mark.parametrize("damage, words", DAMAGES.values(), ids=list(DAMAGES))
def test_a_damaged_registration(host: Host, damage: Damage, words: List[str]) -> None:
    damage(host)
    line = refused(host, *words)
    name = next(name for name in DAMAGES if DAMAGES[name][0] is damage)
    assert documented()[name].rstrip(".") in line, line
    reads(host)
    mended(host, line)
    held(host)
    is_done(host.dnf("tuxcare", "status", "--check"))


@pytest.mark.registered
@pytest.mark.parametrize("damage", [cut(JOURNAL), gone(JOURNAL), folder(JOURNAL)], ids=["torn", "empty", "a folder"])
def test_an_operation_cut_off_whose_journal_cannot_be_read(host: Host, damage: Damage) -> None:
    """Files that were half changed by then are named by `status --check`, with their remedy."""
    all_at_once(cut_off, damage)(host)
    line = refused(host, "cut off", documented()["an operation cut off whose journal cannot be read"])
    mended(host, line)
    held(host)
    done = host.dnf("tuxcare", "status", "--check")
    for command in remedies(done.stdout.splitlines()[0]) if done.returncode else []:
        run(host, command, ESU_KEY)
    is_done(host.dnf("tuxcare", "status", "--check"))


@pytest.mark.registered
@pytest.mark.parametrize("name", ["variable gone", "token junk", "state gone"])
@pytest.mark.parametrize("args", [["repolist"], ["info", "bash"], ["list", "--available"], ["search", "bash"]], ids=" ".join)
def test_other_commands_that_read(host: Host, name: str, args: List[str]) -> None:
    DAMAGES[name][0](host)
    done = host.dnf(*args)
    assert done.returncode == 0 and "Traceback" not in done.stderr and "Error: tuxcare" not in done.stderr, done.stderr


@pytest.mark.registered
@pytest.mark.parametrize("name", ["tuxcare_releasever", "tuxcare_token"])
def test_a_variable_of_the_environment(host: Host, name: str) -> None:
    env = {"DNF_VAR_" + name: "9.4"}
    line = refused(host, "DNF_VAR_" + name, "unset", env=env)
    assert line.endswith("Run: unset DNF_VAR_" + name)
    assert host.dnf("repolist", env=env).returncode == 0
    holds(host)


@pytest.mark.registered
@pytest.mark.parametrize("name", [VARIABLE, STATE, BACKUP, MARKER], ids=os.path.basename)
def test_what_others_can_write(slash_host: Host, name: str) -> None:
    (slash_host.root / name).chmod(0o666)
    mended(slash_host, refused(slash_host, name, "chmod go-w"))
    held(slash_host)


@pytest.mark.registered
def test_a_record_of_the_future(host: Host) -> None:
    """The way back is the version that wrote it; nothing is guessed."""
    good = (host.root / STATE).read_bytes()
    document = dict(json.loads(good.decode()), schema=2)
    (host.root / STATE).write_text(json.dumps(document))
    assert "Install the version" in refused(host, "schema 2")
    reads(host)
    (host.root / STATE).write_bytes(good)
    holds(host)


CONFIGURATIONS = {"junk": b"banana\n", "unknown key": b"[pin]\nbanana = 1\n", "bad value": b"[service]\ntimeout = soon\n",
                  "enabled=banana": b"[main]\nenabled = banana\n", "no text": bytes(range(256))}


@pytest.mark.registered
@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=list(CONFIGURATIONS))
def test_a_configuration_that_cannot_be_read(slash_host: Host, text: bytes) -> None:
    good = (slash_host.root / CONFIGURATION).read_bytes()
    (slash_host.root / CONFIGURATION).write_bytes(text)
    line = refused(slash_host, CONFIGURATION)
    assert "Correct the file, or remove it" in line
    reads(slash_host)
    (slash_host.root / CONFIGURATION).unlink()
    is_done(slash_host.dnf("-y", "remove", "rsync"))
    (slash_host.root / CONFIGURATION).write_bytes(good)
    holds(slash_host)


def _os_release(text: "str | None") -> Damage:
    def damage(host: Host) -> None:
        is_done(host.run(["rm", "/etc/os-release", "/usr/lib/os-release"]))
        if text is not None:
            (host.root / "etc/os-release").write_text(text)
    return damage


@pytest.mark.registered
@pytest.mark.parametrize("text", [None, "", "banana\n", "ID=rocky\nVERSION_ID=9.2\n", "ID=almalinux\nVERSION_ID=9\n"], ids=str)
def test_os_release(slash_host: Host, text: "str | None") -> None:
    _os_release(text)(slash_host)
    mended(slash_host, refused(slash_host, "/etc/os-release", "almalinux-release"))
    held(slash_host)


# --- dnf itself cannot start ----------------------------------------------------------------------------------------


@pytest.mark.registered
@pytest.mark.parametrize("damage", [None, b"x y\n"], ids=["missing", "damaged"])
def test_a_token_cannot_come_back(host: Host, damage: "bytes | None") -> None:
    path = host.root / "etc/dnf/vars/tuxcare_token"
    path.unlink() if damage is None else path.write_bytes(damage)
    said = is_done(host.dnf("tuxcare", "recover"))
    assert "/etc/dnf/vars/tuxcare_token is missing or damaged" in said and said.rstrip().endswith("register --replace`.")
    register(host, "--replace")
    holds(host)


@pytest.mark.registered
def test_a_variable_that_is_not_utf_8_ends_dnf_and_the_stand_alone_program_mends_it(slash_host: Host) -> None:
    (slash_host.root / VARIABLE).write_bytes(b"\xff9.2\n")
    assert slash_host.dnf("repolist").returncode != 0
    dry = is_done(slash_host.run(["/usr/libexec/tuxcare-recover", "--dry-run"]))
    assert VARIABLE in dry and (slash_host.root / VARIABLE).read_bytes() == b"\xff9.2\n"
    said = is_done(slash_host.run(["/usr/libexec/tuxcare-recover"]))
    assert said.startswith("Put back: /%s\n" % VARIABLE) and "edit is dropped" in said
    assert "nothing is missing" in is_done(slash_host.run(["/usr/libexec/tuxcare-recover"]))
    holds(slash_host)
    (slash_host.root / "etc/dnf/vars/site").write_bytes(b"\xff\n")
    done = slash_host.run(["/usr/libexec/tuxcare-recover"])
    assert done.returncode == 1 and done.stderr.startswith("Error: /etc/dnf/vars/site is not UTF-8")


def test_the_stand_alone_program_below_a_root_and_on_nothing(slash_host: Host) -> None:
    (slash_host.root / MARKER).symlink_to("site-release")  # somebody else's: this host is not registered
    assert "nothing is missing" in is_done(slash_host.run(["/usr/libexec/tuxcare-recover"]))
    assert (slash_host.root / MARKER).is_symlink()
    done = slash_host.run(["/usr/libexec/tuxcare-recover", "--root", "/nowhere"])
    assert done.returncode == 1 and done.stderr.startswith("Error: /") and len(done.stderr.splitlines()) == 1


# --- Essential ------------------------------------------------------------------------------------------------------


@pytest.mark.registered(ESSENTIAL_KEY)
@pytest.mark.parametrize("value", ["9.6", "8.10", "9", "banana", "9.4 "])
def test_a_variable_that_an_essential_host_may_not_have(host: Host, value: str) -> None:
    (host.root / VARIABLE).write_text(value + "\n")
    mended(host, refused(host, VARIABLE), ESSENTIAL_KEY)
    assert (host.root / VARIABLE).read_text() == "9.2\n"


@pytest.mark.registered(ESSENTIAL_KEY)
def test_an_essential_host_that_has_moved_does_not_go_back(host: Host) -> None:
    (host.root / VARIABLE).write_text("9.4\n")
    is_done(host.dnf("-y", "upgrade"))
    (host.root / VARIABLE).write_text("9.2\n")
    mended(host, refused(host, VARIABLE, "9.4"), ESSENTIAL_KEY)
    assert (host.root / VARIABLE).read_text() == "9.4\n"


def test_a_repository_of_the_other_product(hosts: Hosts) -> None:
    """tuxcare.repo copied from an ESU host: told, kept beside, and gone."""
    host, other = hosts.by_installroot(), hosts.by_installroot()
    register(host, key=ESSENTIAL_KEY)
    register(other)
    shutil.copy(str(other.root / OWN), str(host.root / OWN))
    mended(host, refused(host, "tuxcare-esu"), ESSENTIAL_KEY)
    assert not (host.root / OWN).exists() and (host.root / (OWN + ".rpmsave")).exists()
