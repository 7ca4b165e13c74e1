# SPDX-License-Identifier: Apache-2.0
"""What of the environment steers us, and what does not: docs/security.md has the table of these tests."""
import resource
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List, NamedTuple

import pytest

from tests.integration.outcome import is_done, refused, register, untouched
from tests.integration.test_bad_circumstances import Held, hold  # noqa: F401 (a fixture)
from tests.sandbox import template
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service

TOKEN = "etc/dnf/vars/tuxcare_token"
NOWHERE = "http://127.0.0.1:1"
MODES = {
    TOKEN: 0o600, "etc/dnf/vars/tuxcare_releasever": 0o644, "etc/tuxcare-release": 0o644, "etc/yum.repos.d/tuxcare.repo": 0o644,
    "etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare": 0o644, "etc/yum.repos.d/almalinux-baseos.repo": 0o644,
    "var/lib/tuxcare": 0o755, "var/lib/tuxcare/registration.json": 0o644, "var/lib/tuxcare/before.json": 0o600,
}  # fmt: skip


class Row(NamedTuple):
    """Variables of the environment (`{}` is a folder of the test's), and what a shell does before it becomes dnf."""

    env: Dict[str, str]
    first: str = ""


CERTIFICATES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")
NOTE = """
#include <fcntl.h>
#include <unistd.h>
__attribute__((constructor)) static void note(void)
{
    char name[64];
    int from = open("/proc/self/comm", O_RDONLY), to = open("%s", O_WRONLY | O_CREAT | O_APPEND, 0666);
    ssize_t length = read(from, name, sizeof name);
    if (length > 0 && write(to, name, length) < 0)
        _exit(1);
    close(from);
    close(to);
}
"""
ROWS = {
    "network": Row({"SSLKEYLOGFILE": "{}/none", **dict.fromkeys(CERTIFICATES, "{}/none"), **dict.fromkeys(PROXIES, NOWHERE)}),
    "programs": Row({"PATH": "{}:/usr/sbin:/usr/bin:/sbin:/bin", "GNUPGHOME": "{}", "TMPDIR": "{}", "OPENSSL_CONF": "{}/none",
                     "PYTHONSTARTUP": "{}/gpg", "BASH_ENV": "{}/gpg", "ENV": "{}/gpg"}),
    "home": Row({"HOME": "{}"}),
    "libraries": Row({"LD_LIBRARY_PATH": "{}/lib"}),
    "Turkish": Row({"LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR.UTF-8", "LANGUAGE": "tr"}),
    "ASCII": Row({"LC_ALL": "POSIX", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}),
    "umask 0": Row({}, "umask 000"),
    "umask 777": Row({}, "umask 777"),
    "closed": Row({}, "exec <&- 2>&-"),
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS.values(), ids=list(ROWS))
def test_a_registration_is_the_same(host: Host, service: Service, tmp_path: Path, row: Row) -> None:
    before = host.snapshot()
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "gpg").write_text("#!/bin/sh\ntouch %s/ran\n" % tmp_path)
    (folder / "gpg").chmod(0o755)
    (folder / "lib").mkdir()
    (folder / "lib/libreadline.so.8").write_text("no library: of the programs that run here, gpg alone would take it\n")
    shutil.copy(str(host.root / "root/.rpmmacros"), str(folder))  # rpm's own settings are where HOME says
    for home in (folder, host.root / "root"):
        (home / ".netrc").write_text("default login site password secret\n")
    time = folder.stat().st_mtime_ns
    env = {name: value.replace("{}", str(folder)) for name, value in row.env.items()}
    is_done(host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY, **env}, first=row.first))
    assert (folder.stat().st_mtime_ns, (tmp_path / "ran").exists()) == (time, False)
    assert [record for record in service.requests if "authorization" in record.headers] == []
    assert {name: (host.root / name).stat().st_mode & 0o777 for name in MODES} == MODES
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"
    is_done(host.dnf("-y", "tuxcare", "unregister", env=env, first=row.first))
    (host.root / "root/.netrc").unlink()
    assert {path for path, entry in host.snapshot().items() if entry != before.get(path)} <= {"root", "var", "var/lib"}


def test_a_library_of_the_environment_is_in_dnf_alone(host: Host, service: Service, tmp_path: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is missing")
    (tmp_path / "note.c").write_text(NOTE % (tmp_path / "loaded"))
    library = str(tmp_path / "note.so")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, str(tmp_path / "note.c")], check=True)
    others = template.outside_env(host.root).get("LD_PRELOAD", "")
    env = {"TUXCARE_LICENSE_KEY": ESU_KEY, "LD_PRELOAD": (others + ":" + library).lstrip(":")}
    is_done(host.dnf("tuxcare", "register", env=env))
    loaded = (tmp_path / "loaded").read_text().split()
    assert loaded and not {name for name in loaded if name.startswith("gpg")}, loaded


def test_an_exception_from_the_proxy_is_none_of_ours(host: Host, service: Service) -> None:
    with (host.root / "etc/dnf/dnf.conf").open("a") as conf:
        conf.write("proxy=%s\n" % NOWHERE)
    with untouched(host, service):
        refused(host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY, "NO_PROXY": "*", "no_proxy": "*"}), "proxy")
    assert service.requests == []


def test_a_bundle_of_the_environment_makes_no_server_trusted(host: Host, service: Service) -> None:
    """The sandbox's own authority, which neither dnf.conf nor tuxcare.conf names any more."""
    for name in ("etc/dnf/dnf.conf", "etc/dnf/plugins/tuxcare.conf"):
        path = host.root / name
        path.write_text("".join(line for line in path.open() if not line.startswith(("sslcacert", "ca_file"))))
    env = {"TUXCARE_LICENSE_KEY": ESU_KEY, **dict.fromkeys(CERTIFICATES[:3], str(service.ca_file))}
    with untouched(host, service):
        refused(host.dnf("tuxcare", "register", env=env), "its issuer is unknown")


def test_an_empty_key(host: Host, service: Service) -> None:
    with untouched(host, service):
        refused(host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ""}), "licence key is empty")
    assert service.requests == []


def test_without_standard_output_dnf_itself_does_not_start(host: Host, service: Service) -> None:
    with untouched(host, service):
        done = host.dnf("tuxcare", "register", env={"TUXCARE_LICENSE_KEY": ESU_KEY}, first="exec <&- >&- 2>&-")
    assert done.returncode == 1 and service.requests == []


def test_no_core_of_a_process_that_has_the_key(host: Host, hold: Held) -> None:  # noqa: F811
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (limits[1], limits[1]))
    try:
        process = hold.first(host)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, limits)
    found = Path("/proc/%d/limits" % process.pid).read_text().splitlines()
    hold.release()
    process.communicate(timeout=60)
    assert next(line for line in found if line.startswith("Max core file size")).split()[4] == "0"


# --- what cannot be defended --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHOME"])
def test_python_itself(slash_host: Host, name: str) -> None:
    """Who sets these for root's dnf has root's Python. A library that is none lets no transaction pass; recover hears neither."""
    register(slash_host)
    library = slash_host.root / "srv/tuxcare_lib"
    library.mkdir()
    (library / "__init__.py").write_text("raise ImportError('not this one')\n")
    env = {name: "/srv"}
    done = slash_host.dnf("-y", "upgrade", env=env)
    assert done.returncode == 1 and ("Run: dnf" in done.stderr) == (name == "PYTHONPATH")
    said: List[str] = is_done(slash_host.run(["/usr/libexec/tuxcare-recover"], env=env)).splitlines()
    assert said == ["Nothing was cut off, and nothing is missing."]
