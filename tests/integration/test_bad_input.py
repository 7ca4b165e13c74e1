# SPDX-License-Identifier: Apache-2.0
"""Bad input to `dnf tuxcare`: one clear line, exit status 1, nothing changed, no seat taken. More of it is in `failures`."""
import os
import shutil
import subprocess
from pathlib import Path
from typing import Callable, Dict, List, Sequence

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import is_done, own_lines, places_of, refused, untouched
from tests.sandbox import osfiles, template
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY, PLAIN_ESU_KEY
from tests.sandbox.service import Service

KEY = {"TUXCARE_LICENSE_KEY": ESU_KEY}
FEDORA = """\
NAME="Fedora Linux"
VERSION="38 (Server Edition)"
ID=fedora
VERSION_ID=38
PRETTY_NAME="Fedora Linux 38 (Server Edition)"
"""


def attempt(host: Host, *args: str, key: str = ESU_KEY) -> "subprocess.CompletedProcess[str]":
    return host.dnf("tuxcare", "register", *args, env={"TUXCARE_LICENSE_KEY": key})


# --- the host -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [
    ["register", "--dry-run"], ["unregister"], ["fips", "enable"], ["repos", "switch"], ["repos", "revert"],
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


# --- the key ------------------------------------------------------------------------------------------------------

KEYS = {
    "empty": ("", "empty"), "blank": ("  \n", "empty"), "two lines": ("ESU-AAAAAAAA\nESU-BBBBBBBB\n", "line"),
    "long": ("ESU-" + "A" * 200, "128"), "non-ASCII": ("ESU\u2010AAAAAAAA", "ASCII"),
    "Cyrillic": ("ESU-\u041a\u041b\u042e\u0427", "ASCII"),
    "blank within": ("ESU-AAAA BBBB", "blank"), "NUL": ("ESU-AAAA\0BBBB", "ASCII"),
}


@pytest.mark.parametrize("text, word", KEYS.values(), ids=list(KEYS))
@pytest.mark.parametrize("way", ["-l", "environment", "-"])
def test_a_bad_key(host: Host, service: Service, text: str, word: str, way: str) -> None:
    if "\0" in text and way in ("-l", "environment"):
        pytest.skip("no NUL passes through there")
    args = {"-": ["--license-key-file", "-"], "-l": ["-l", text], "environment": []}[way]
    env = {"TUXCARE_LICENSE_KEY": text} if way == "environment" else {}
    with untouched(host, service):
        line = refused(host.dnf("tuxcare", "register", *args, stdin=text, env=env), "key", word)
    assert service.requests == [] and "AAAA" not in line and places_of(host, "AAAA") == []


def test_bytes_that_are_no_text(host: Host, service: Service, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfeE\0S\0U\0")
    (tmp_path / "key").chmod(0o600)
    with untouched(host, service):
        refused(attempt(host, "--license-key-file", str(tmp_path / "key")), "key")


@pytest.mark.parametrize("mode, warns", [(0o600, False), (0o400, False), (0o640, True), (0o604, True), (0o644, True)])
def test_a_key_file_that_others_can_read_is_warned_about(host: Host, tmp_path: Path, mode: int, warns: bool) -> None:
    (tmp_path / "key").write_text(ESU_KEY + "\n")
    (tmp_path / "key").chmod(mode)
    done = attempt(host, "--license-key-file", str(tmp_path / "key"), key="")
    assert "installed successfully" in is_done(done)
    assert [str(tmp_path / "key") in line for line in own_lines(done.stderr)] == [True] * warns


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args, words", [
    (["register", "--pin", "10.0"], ["10.0"]),
    (["register", "--pin", "8.10"], ["8.10"]),
    (["register", "--pin", "banana"], ["banana"]),
    (["register", "now"], ["no further word", "--license-key-file"]),
    (["banana"], ["no such verb", "register"]),
    (["status", "--dry-run"], ["--dry-run"]),
    (["unregister", "-l", ESU_KEY], ["license-key"]),
    (["fips"], ["enable"]),
    (["repos", "banana"], ["diff", "switch", "revert"]),
], ids=" ".join)
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
    "a folder": Path.mkdir,
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


@pytest.mark.parametrize("setting, words", [
    ("proxy=http://me:secret@a..b:3128", ["proxy of dnf.conf", "a host"]), ("proxy=http://me:secret@[::1", ["proxy of dnf.conf"]),
    ("proxy=socks5://127.0.0.1:9", ["the proxy", "dnf.conf"]), ("sslcacert={root}/tmp/pipe", ["/tmp/pipe", "sslcacert"]),
], ids=lambda value: str(value).partition("=")[0] + str(value)[-12:])
def test_what_dnf_takes_for_the_way_to_the_service_and_is_none(
    host: Host, service: Service, setting: str, words: List[str]
) -> None:
    """Nothing was sent, so no seat may be taken; a pipe would be read for ever."""
    path = host.root / "etc/dnf/plugins/tuxcare.conf"
    path.write_text("".join(line for line in path.open() if not line.startswith("ca_file")) + "retries = 0\n")
    os.mkfifo(str(host.root / "tmp/pipe"))
    with untouched(host, service):
        line = refused(host.dnf("--setopt=" + setting.format(root=host.root), "tuxcare", "register", env=KEY), *words)
    assert service.requests == [] and "secret" not in line and "seat" not in line


def test_a_bad_catalogue_addition(host: Host, service: Service) -> None:
    folder = host.root / "etc/dnf/plugins/tuxcare.d"
    folder.mkdir()
    (folder / "local.conf").write_text("[release almalinux banana]\narchitectures = x86_64\navailable = esu\n[banana]\n")
    with untouched(host, service):
        refused(attempt(host), "local.conf:4")
