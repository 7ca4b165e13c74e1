# SPDX-License-Identifier: Apache-2.0
"""Bad input to `dnf tuxcare register`: one clear line, exit status 1, nothing changed, no seat taken."""
import os
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Sequence, Tuple

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import add_settings, is_done, own_lines, places_of, refused, register, untouched
from tests.sandbox import osfiles, template
from tests.sandbox.faults import Body, CutBefore, Fault, Hold, Json, Misbehaviour, Redirect, Status
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY, EXHAUSTED_KEY, PLAIN_ESU_KEY, UNKNOWN_KEY
from tests.sandbox.service import Service

KEY = {"TUXCARE_LICENSE_KEY": ESU_KEY}
FEDORA = 'NAME="Fedora Linux"\nVERSION="38 (Server Edition)"\nID=fedora\nVERSION_ID=38\nPRETTY_NAME="Fedora Linux 38 (Server Edition)"\n'


def attempt(host: Host, *args: str, key: str = ESU_KEY) -> "subprocess.CompletedProcess[str]":
    return host.dnf("tuxcare", "register", *args, env={"TUXCARE_LICENSE_KEY": key})


# --- the host -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [
    ["register"], ["register", "--dry-run"], ["unregister"], ["fips", "enable"], ["repos", "switch"], ["repos", "revert"],
], ids=" ".join)
def test_not_root(slash_host: Host, service: Service, args: List[str]) -> None:
    with untouched(slash_host, service):
        refused(slash_host.dnf("tuxcare", *args, env=KEY, user=template.USER), "superuser")
    assert service.requests == []


@pytest.mark.parametrize("what", ["folder empty", "folder gone", "only others"])
def test_no_repository_files_below_the_installroot(host: Host, service: Service, what: str) -> None:
    folder = host.root / "etc/yum.repos.d"
    shutil.rmtree(str(folder))
    if what != "folder gone":
        folder.mkdir()
    if what == "only others":
        (folder / "other.repo").write_text("[other]\nname=Other\nbaseurl=https://packages.example.com/el9/\n")
    with untouched(host, service):
        refused(attempt(host), "repository file", str(host.root))
    assert service.requests == []


def _system(os_id: str, version: str) -> str:
    return osfiles.os_release(version, os_id)


SYSTEMS: Dict[str, Sequence[str]] = {
    "fedora": (FEDORA, "Fedora"), "rocky 9.6": (_system("rocky", "9.6"), "Rocky"), "no file": ("", "not supported"),
    "junk": ("\x00\x01\n'=\"\n", "not supported"),
    **{"almalinux " + version: (_system("almalinux", version), version) for version in ("8.8", "8.10", "9.4", "9.6", "10.0")},
}


@pytest.mark.parametrize("text, word", SYSTEMS.values(), ids=list(SYSTEMS))
@pytest.mark.parametrize("args", [[], ["--product", "esu"], ["--dry-run"]], ids=["key", "product", "dry run"])
def test_another_system(host: Host, service: Service, text: str, word: str, args: List[str]) -> None:
    """An ESU key, or `--product esu`, on whatever is not AlmaLinux 9.2."""
    (host.root / "usr/lib/os-release").write_text(text)
    with untouched(host, service):
        refused(attempt(host, *args), word)
    assert service.requests == []


def real_systems() -> List[Path]:
    """os-release files of real hosts, where somebody put them beside the project."""
    return sorted((Path(__file__).parents[3] / "shared/data/os-release").glob("*.os-release"))


def test_real_systems(hosts: Hosts, service: Service) -> None:
    if not real_systems():
        pytest.skip("no os-release files of real hosts are at hand")
    for path in real_systems():
        host = hosts.by_installroot()
        (host.root / "usr/lib/os-release").write_bytes(path.read_bytes())
        if path.name == "almalinux-9.2.os-release":
            assert "installed successfully" in is_done(attempt(host))
        else:
            with untouched(host, service):
                refused(attempt(host))


@pytest.mark.parametrize("release", ["9.4", "8.10"])
def test_a_key_without_prefix_for_a_release_that_its_product_does_not_have(
    hosts: Hosts, service: Service, release: str
) -> None:
    """There is no 403 from an ESU repository that does not exist, so nothing proves the key to be Essential's."""
    host = hosts.by_installroot(release)
    with untouched(host, service):
        refused(attempt(host, key=PLAIN_ESU_KEY))


def test_another_architecture(host: Host, service: Service) -> None:
    with untouched(host, service):
        refused(host.dnf("--forcearch=s390x", "tuxcare", "register", env=KEY), "s390x", "x86_64", "aarch64")
    assert service.requests == []


# --- the key ------------------------------------------------------------------------------------------------------

KEYS = {
    "empty": ("", "empty"), "blank": ("  \n", "empty"), "two lines": ("ESU-AAAAAAAA\nESU-BBBBBBBB\n", "line"),
    "long": ("ESU-" + "A" * 200, "128"), "non-ASCII": ("ESU\u2010AAAAAAAA", "ASCII"), "Cyrillic": ("ESU-\u041a\u041b\u042e\u0427", "ASCII"),
    "blank within": ("ESU-AAAA BBBB", "blank"), "NUL": ("ESU-AAAA\0BBBB", "ASCII"),
}


@pytest.mark.parametrize("text, word", KEYS.values(), ids=list(KEYS))
@pytest.mark.parametrize("way", ["-l", "environment", "file", "-"])
def test_a_bad_key(host: Host, service: Service, tmp_path: Path, text: str, word: str, way: str) -> None:
    if "\0" in text and way in ("-l", "environment"):
        pytest.skip("no NUL passes through there")
    file = tmp_path / "licence.key"
    file.write_bytes(text.encode())
    file.chmod(0o600)
    args = {"-l": ["-l", text], "environment": [], "file": ["--license-key-file", str(file)], "-": ["--license-key-file", "-"]}[way]
    env = {"TUXCARE_LICENSE_KEY": text} if way == "environment" else {}
    with untouched(host, service):
        line = refused(host.dnf("tuxcare", "register", *args, stdin=text, env=env), "key", word)
    assert service.requests == [] and "AAAA" not in line and places_of(host, "AAAA") == []


def test_bytes_that_are_no_text(host: Host, service: Service, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfeE\0S\0U\0")
    (tmp_path / "key").chmod(0o600)
    with untouched(host, service):
        refused(attempt(host, "--license-key-file", str(tmp_path / "key")), "key")


def test_no_key_and_no_terminal(any_host: Host, service: Service) -> None:
    with untouched(any_host, service):
        refused(any_host.dnf("tuxcare", "register", timeout=20), "licence key", "--license-key-file", "TUXCARE_LICENSE_KEY")
    assert service.requests == []


def test_two_keys(host: Host, service: Service) -> None:
    with untouched(host, service):
        refused(host.dnf("tuxcare", "register", "-l", ESU_KEY, "--license-key-file", "-", stdin=ESU_KEY))


@pytest.mark.parametrize("what, word", [
    ("missing", "No such file"), ("folder", "directory"), ("below a file", "Not a directory"), ("10 MB", "4096"), ("endless", "4096"),
])
def test_a_bad_key_file(host: Host, service: Service, tmp_path: Path, what: str, word: str) -> None:
    (tmp_path / "large").write_bytes(b"A" * 10_000_000)
    (tmp_path / "large").chmod(0o600)
    paths = {"missing": tmp_path / "none", "folder": tmp_path, "below a file": tmp_path / "large/key", "10 MB": tmp_path / "large",
             "endless": Path("/dev/zero")}
    with untouched(host, service):
        refused(attempt(host, "--license-key-file", str(paths[what])), str(paths[what]) if word != "4096" else "", word)
    assert service.requests == []


@pytest.mark.parametrize("mode, warns", [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o644, True)])
def test_a_key_file_that_others_can_read_is_warned_about(host: Host, tmp_path: Path, mode: int, warns: bool) -> None:
    (tmp_path / "key").write_text(ESU_KEY + "\n")
    (tmp_path / "key").chmod(mode)
    done = attempt(host, "--license-key-file", str(tmp_path / "key"), key="")
    assert "installed successfully" in is_done(done)
    assert [str(tmp_path / "key") in line for line in own_lines(done.stderr)] == [True] * warns


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args, words", [
    (["register", "--product", "banana"], ["banana", "esu", "essential"]),
    (["register", "--product", ""], ["product"]),
    (["register", "--pin", "9.4", "--product", "esu"], ["9.4", "9.2"]),
    (["register", "--pin", "10.0"], ["10.0"]),
    (["register", "--pin", "8.10"], ["8.10"]),
    (["register", "--pin", "banana"], ["banana"]),
    (["register", "--pin", "../9.2"], ["9.2"]),
    (["register", "now"], ["now"]),
    (["banana"], ["banana"]),
    (["status", "--dry-run"], ["--dry-run"]),
    (["unregister", "-l", ESU_KEY], ["license-key"]),
    (["fips"], ["enable"]),
    (["repos", "banana"], ["diff", "switch", "revert"]),
], ids=lambda words: " ".join(words))
def test_what_there_is_not(host: Host, service: Service, args: List[str], words: List[str]) -> None:
    with untouched(host, service):
        refused(host.dnf("tuxcare", *args, env=KEY), *words)
    assert service.requests == []


@pytest.mark.parametrize("args, like", [
    (["register", "--banana"], ["repolist", "--banana"]), (["register", "-l"], ["repolist", "--enablerepo"]),
    (["register", "--pin"], ["repolist", "--enablerepo"]),
], ids=" ".join)
def test_dnfs_own_parser_keeps_its_status(host: Host, service: Service, args: List[str], like: List[str]) -> None:
    with untouched(host, service):
        done = host.dnf("tuxcare", *args, env=KEY)
    assert done.returncode == host.dnf(*like).returncode != 0 and "Traceback" not in done.stderr


# --- repository files ---------------------------------------------------------------------------------------------

OTHER = "[other]\nname=Other\nbaseurl=https://packages.example.com/el9/\nenabled=0\n"


def _link(path: Path, target: str) -> None:
    path.symlink_to(target)


def _out_of_etc(path: Path) -> None:
    elsewhere = path.parents[2] / "srv/other.repo"
    elsewhere.write_text(OTHER)
    path.symlink_to("../../srv/other.repo")


REPO_FILES: Dict[str, Callable[[Path], object]] = {
    "a folder": lambda path: path.mkdir(),
    "junk": lambda path: path.write_bytes(bytes(range(1, 256)) * 4),
    "a line of junk": lambda path: path.write_text(OTHER + "banana\n"),
    "a NUL": lambda path: path.write_text(OTHER.replace("Other", "Ot\0her")),
    "a section twice": lambda path: path.write_text(OTHER * 2),
    "a link that dangles": lambda path: _link(path, "../nowhere/other.repo"),
    "a link in a circle": lambda path: _link(path, path.name),
    "a link out of /etc": _out_of_etc,
    "an absolute link out of /etc": lambda path: _link(path, "/usr/lib/os-release"),
    "a link out of the root": lambda path: _link(path, "../../../../../../../../../../etc/passwd"),
}


@pytest.mark.parametrize("make", REPO_FILES.values(), ids=list(REPO_FILES))
@pytest.mark.parametrize("name", ["other.repo", "almalinux-crb.repo"])
def test_a_bad_repository_file(host: Host, service: Service, make: Callable[[Path], object], name: str) -> None:
    path = host.root / "etc/yum.repos.d" / name
    if path.exists():
        path.unlink()
    make(path)
    with untouched(host, service):
        refused(attempt(host), "/etc/yum.repos.d/" + name)
    assert service.requests == []


def test_all_bad_repository_files_are_named_together(host: Host, service: Service) -> None:
    folder = host.root / "etc/yum.repos.d"
    (folder / "a.repo").write_text(OTHER * 2)
    (folder / "b.repo").mkdir()
    with untouched(host, service):
        refused(attempt(host), "a.repo", "b.repo")


# --- the configuration --------------------------------------------------------------------------------------------

CONFIGURATIONS = {
    "unknown key": ("[service]\nbanana = 1\n", ["tuxcare.conf:2", "banana"]),
    "unknown section": ("[main]\nenabled = 1\n[banana]\n", ["tuxcare.conf:3", "banana"]),
    "bad number": ("[service]\n\ntimeout = soon\n", ["tuxcare.conf:3", "timeout"]),
    "number out of range": ("[service]\nretries = -1\n", ["tuxcare.conf:2", "retries"]),
    "bad address": ("[service]\nregister_url = banana\n", ["tuxcare.conf:2", "register_url"]),
    "password in an address": ("[service]\nrepo_url = https://me:secret@repo.example.com\n", ["tuxcare.conf:2", "repo_url"]),
    "half a fingerprint": ("[service]\ngpg_key_fingerprint = F2A08D50EB66\n", ["tuxcare.conf:2", "fingerprint"]),
    "bad exception": ("[pin]\nallow = nginx\n", ["tuxcare.conf:2", "allow"]),
    "junk": ("banana\n", ["tuxcare.conf:1"]),
    "all of it": ("[main]\nenabled = banana\n[service]\nbanana = 1\ntimeout = soon\n",
                  ["tuxcare.conf:2", "tuxcare.conf:4", "tuxcare.conf:5", "enabled", "banana", "timeout"]),
}


@pytest.mark.parametrize("text, words", CONFIGURATIONS.values(), ids=list(CONFIGURATIONS))
@pytest.mark.parametrize("args", [["register"], ["status"], ["repos", "diff"]], ids=" ".join)
def test_a_bad_configuration(host: Host, service: Service, text: str, words: List[str], args: List[str]) -> None:
    (host.root / "etc/dnf/plugins/tuxcare.conf").write_text(text)
    with untouched(host, service):
        line = refused(host.dnf("tuxcare", *args, env=KEY), *words)
    assert service.requests == [] and "secret" not in line


def test_a_bad_catalogue_addition(host: Host, service: Service) -> None:
    folder = host.root / "etc/dnf/plugins/tuxcare.d"
    folder.mkdir()
    (folder / "local.conf").write_text("[release almalinux banana]\narchitectures = x86_64\navailable = esu\n[banana]\n")
    with untouched(host, service):
        refused(attempt(host), "local.conf:4")


# --- file systems -------------------------------------------------------------------------------------------------


MOUNTED = ("/etc/yum.repos.d", "/etc/dnf/vars")


@pytest.mark.parametrize("folder", ["/etc", "/etc/yum.repos.d", "/etc/dnf/vars", "/var/lib/tuxcare", "/var/lib", "/etc/pki"])
@pytest.mark.parametrize("verb", ["register", "unregister"])
def test_a_read_only_file_system(slash_host: Host, service: Service, folder: str, verb: str) -> None:
    if verb == "unregister":
        register(slash_host)
    mount = 'mkdir -p "$0" && mount --bind "$0" "$0" && mount -o remount,bind,ro "$0"'
    is_done(slash_host.run(["sh", "-c", mount, folder]))
    with untouched(slash_host, service if verb == "register" else None):
        # A folder that is a mount of its own may be told as that.
        refused(slash_host.dnf("tuxcare", verb, env=KEY), folder if folder in MOUNTED else "read-only")
    # The seat stays as long as the token does.
    assert (ESU_KEY in service.seats) == (verb == "unregister")


@pytest.fixture
def immutable(host: Host) -> Iterator[Callable[[str], None]]:
    """Makes a path of the host immutable until the test is over; skips where the file system cannot."""
    made: List[str] = []

    def make(name: str) -> None:
        path = str(host.root / name)
        if not shutil.which("chattr") or subprocess.run(["chattr", "+i", path], stderr=subprocess.DEVNULL).returncode:
            pytest.skip("chattr +i cannot be had here")
        made.append(path)

    yield make
    for path in made:
        subprocess.run(["chattr", "-i", path])


@pytest.mark.parametrize("name", ["etc/yum.repos.d/almalinux-sap.repo", "etc/dnf/vars", "etc/pki/rpm-gpg"])
def test_a_file_that_cannot_be_changed(host: Host, service: Service, immutable: Callable[[str], None], name: str) -> None:
    """It is met in the middle of the changes: those before it are taken back."""
    immutable(name)
    with untouched(host, service):
        refused(attempt(host), "/" + name)


# --- the service --------------------------------------------------------------------------------------------------

REGISTER = "/cln/api/els/token/register"
ANSWERS: Dict[str, Tuple[Misbehaviour, str]] = {
    "400 in HTML": (Body(b"<html>no</html>", status=400), "400"), "403": (Status(403), "403"), "404": (Status(404), "404"),
    "429": (Status(429, {"Retry-After": "1"}), "busy"), "500": (Status(500), "500"), "503": (Status(503), "503"),
    "204": (Status(204), "204"), "a login page": (Body(b"<html>log in</html>"), "JSON"), "nothing": (Body(b""), "JSON"),
    "a list": (Json([]), "JSON"), "deep JSON": (Body(b"[" * 60000, "application/json"), "JSON"), "no token": (Json({}), "token"),
    "a number": (Json({"token": 7}), "token"), "an empty token": (Json({"token": ""}), "token"),
    "a path as token": (Json({"token": "../../9.4"}), "token"), "lines as token": (Json({"token": "a\nb"}), "token"),
    "a long token": (Json({"token": "a" * 5000}), "token"), "another error": (Json({"error": "no\x1b[31m\nwhy"}, 400), "no"),
    "too much": (Body(b" " * 3_000_000, "application/json"), "bytes"),
    "another host": (Redirect("https://elsewhere.example.com/"), "elsewhere.example.com"),
    "plain HTTP": (Redirect("http://localhost/"), "http"), "in a circle": (Redirect(REGISTER), "redirect"),
}


@pytest.mark.parametrize("behaviour, word", ANSWERS.values(), ids=list(ANSWERS))
def test_the_service_answers_something_else(host: Host, service: Service, behaviour: Misbehaviour, word: str) -> None:
    service.order(Fault(behaviour, path=REGISTER))
    add_settings(host, "retries = 0")
    with untouched(host, service):
        line = refused(attempt(host), word)
    assert "\x1b" not in line


@pytest.mark.parametrize("key, word", [(UNKNOWN_KEY, "does not know"), (EXHAUSTED_KEY, "seats")], ids=["unknown", "used up"])
def test_the_service_says_no(any_host: Host, service: Service, key: str, word: str) -> None:
    with untouched(any_host, service):
        line = refused(attempt(any_host, key=key), word)
    assert key not in line


@pytest.mark.parametrize("setting", ["register_url", "repo_url", "gpg_key_url"])
@pytest.mark.parametrize("flaw, word", [
    ("expired", "certificate"), ("wrong-name", "certificate"), ("unknown-issuer", "certificate"), ("not there", "localhost"),
])
def test_a_server_that_is_not_the_right_one(host: Host, service: Service, setting: str, flaw: str, word: str) -> None:
    url = "https://localhost:1" if flaw == "not there" else service.impostor_url(flaw)
    paths = {"register_url": REGISTER, "repo_url": "", "gpg_key_url": "/tuxcare/RPM-GPG-KEY-TuxCare"}
    add_settings(host, "%s = %s%s" % (setting, url, paths[setting]), "retries = 0")
    with untouched(host, service):
        refused(attempt(host), word)


def test_a_lost_answer_is_told_as_a_seat_that_may_be_taken(host: Host, service: Service) -> None:
    service.order(Fault(CutBefore(), path=REGISTER))
    add_settings(host, "retries = 0")
    with untouched(host):
        refused(attempt(host), "a seat may be taken")


# --- two at once --------------------------------------------------------------------------------------------------


def test_the_second_command_waits_for_the_first(host: Host, service: Service, hold: "Held") -> None:
    first, second = hold.first(host), host.start_dnf("tuxcare", "register", env=KEY)
    assert second.stderr is not None
    told = second.stderr.readline()
    assert "Waiting" in told and str(first.pid) in told, told
    hold.release()
    assert first.communicate(timeout=30)[0].startswith("TuxCare installed successfully") and first.returncode == 0
    said = second.communicate(timeout=30)[0]
    assert second.returncode == 0 and "This server already has a TuxCare token installed" in said
    assert len(service.seats[ESU_KEY]) == 1


def test_the_second_command_says_who_holds_the_lock(host: Host, service: Service, hold: "Held") -> None:
    first = hold.first(host)
    refused(host.dnf("--setopt=exit_on_lock=1", "tuxcare", "register", env=KEY), str(first.pid), status=200)
    hold.release()
    first.communicate(timeout=30)
    assert first.returncode == 0 and len(service.seats[ESU_KEY]) == 1


def test_an_interrupted_registration_gives_the_seat_back(host: Host, service: Service, hold: "Held") -> None:
    with untouched(host, service):
        first = hold.first(host, path="*/RPM-GPG-KEY-TuxCare")
        os.killpg(first.pid, signal.SIGINT)
        first.communicate(timeout=30)
        assert first.returncode != 0


class Held:
    """Keeps a first `register` waiting for an answer of the service."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._hold = Hold()

    def first(self, host: Host, path: str = "*/token/register") -> "subprocess.Popen[str]":
        self._service.order(Fault(self._hold, path=path, times=1))
        process = host.start_dnf("tuxcare", "register", env=KEY)
        assert self._hold.reached.wait(20)
        return process

    def release(self) -> None:
        self._hold.release()


@pytest.fixture
def hold(service: Service) -> Iterator[Held]:
    held = Held(service)
    yield held
    held.release()
