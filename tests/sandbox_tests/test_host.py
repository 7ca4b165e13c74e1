# SPDX-License-Identifier: Apache-2.0
"""The make-believe host: both ways to run commands in it, and that nothing of it is left on the machine."""
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Dict, Iterator, List

import pytest

from tests.sandbox import osfiles, template
from tests.sandbox.host import PROJECT, BootError, Host, slash_available
from tests.sandbox.service import Service
from tests.sandbox.snapshot import differences
from tests.sandbox.universe import Universe

NEEDS_SLASH = pytest.mark.skipif(slash_available() is not None, reason=slash_available() or "")
SLASH = pytest.param(True, id="slash", marks=NEEDS_SLASH)
INSTALLROOT = pytest.param(False, id="installroot")
BOTH_WAYS = pytest.mark.parametrize("host", [INSTALLROOT, SLASH], indirect=True)
AS_SLASH = pytest.mark.parametrize("host", [SLASH], indirect=True)
BY_INSTALLROOT = pytest.mark.parametrize("host", [INSTALLROOT], indirect=True)
KERNEL = "5.14.0-284.11.1.el9_2.x86_64"


@pytest.fixture(scope="module")
def universe() -> Universe:
    return Universe.build()


@pytest.fixture(scope="module")
def servers(universe: Universe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with Service(universe, tmp_path_factory.mktemp("servers")) as service:
        yield service


@pytest.fixture
def host(request: pytest.FixtureRequest, universe: Universe, servers: Service, tmp_path: Path) -> Iterator[Host]:
    servers.clear_requests()
    with Host.create(universe, servers, tmp_path / "host", slash=request.param) as made:
        yield made


@pytest.fixture(scope="module")
def product(universe: Universe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with a plugin that says that it is there."""
    text = "import dnf\n\n\nclass Tuxcare(dnf.Plugin):\n    name = 'tuxcare'\n\n    def config(self):\n        print('here')\n"
    asked = ["/usr/bin/python3", "-c", "import dnf.const; print(dnf.const.PLUGINPATH)"]
    folder = subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    return universe.build_rpm(
        tmp_path_factory.mktemp("product"), "dnf-plugin-tuxcare", "1-1", key=None, requires=("python3-requests",),
        files={folder + "/tuxcare.py": text},
    )


def mounts() -> List[str]:
    return Path("/proc/self/mountinfo").read_text().splitlines()


def gone(pid: int) -> bool:
    """Whether a process ends within some seconds."""
    for _ in range(100):
        if not Path("/proc/%d" % pid).exists():
            return True
        time.sleep(0.05)
    return False


# --- what a host is ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slash", [INSTALLROOT, SLASH])
def test_a_host_is_made_within_a_second(universe: Universe, servers: Service, tmp_path: Path, slash: bool) -> None:
    """Of a processor, its programs' share included: what else the machine does counts for nothing."""
    template.open_template(universe, "9.2")
    started = sum(os.times()[:4])
    with Host.create(universe, servers, tmp_path / "host", slash=slash) as host:
        host.run(["true"])
    assert sum(os.times()[:4]) - started < 1


@BOTH_WAYS
def test_the_package_database_holds_the_base_packages(host: Host, universe: Universe) -> None:
    names = {path.name[:-len(".rpm")] for path in universe.base_packages()}
    assert {nevra.replace("-1:", "-").replace("-2:", "-") for nevra in host.installed()} == names


@BOTH_WAYS
def test_nothing_that_nobody_asked_for_is_installed(host: Host) -> None:
    assert host.dnf("autoremove", "--disablerepo=*", "--assumeno").stdout.count("Nothing to do") == 1
    reasons = host.dnf("repoquery", "--disablerepo=*", "--installed", "--qf", "%{name} %{reason}").stdout.splitlines()
    assert {"kernel user", "kernel-core dependency", "openssl-libs dependency"} <= set(reasons)


@BOTH_WAYS
def test_reading_commands_leave_a_host_as_it_was(host: Host) -> None:
    before = host.snapshot()
    assert host.dnf("repolist", "--all").returncode == 0
    assert host.run(["cat", "/etc/os-release"]).stdout == osfiles.os_release("9.2")
    assert differences(before, host.snapshot()) == {}


@BOTH_WAYS
def test_a_snapshot_tells_content_mode_owner_and_attributes(host: Host) -> None:
    path = host.root / "etc/dnf/dnf.conf"
    for change in (
        lambda: path.write_text("[main]\n"),
        lambda: path.chmod(0o600),
        lambda: os.chown(str(path), 1000, 1000),
        lambda: os.setxattr(str(path), "user.note", b"x"),
        path.unlink,
    ):
        before = host.snapshot()
        change()
        assert list(differences(before, host.snapshot())) == ["etc/dnf/dnf.conf"]


@pytest.mark.parametrize("release", ["8.10", "9.4"])
@pytest.mark.parametrize("slash", [INSTALLROOT, SLASH])
def test_other_releases(universe: Universe, servers: Service, tmp_path: Path, slash: bool, release: str) -> None:
    with Host.create(universe, servers, tmp_path / "host", release=release, slash=slash) as host:
        assert (host.root / "etc/os-release").read_text() == osfiles.os_release(release)
        found = {path.name: path.read_text() for path in (host.root / "etc/yum.repos.d").iterdir()}
        assert found == osfiles.repo_files(release)
        listed = host.dnf("repolist", "baseos").stdout
        assert "AlmaLinux %s - BaseOS" % release.split(".")[0] in listed


def test_a_folder_holds_one_host(universe: Universe, servers: Service, tmp_path: Path) -> None:
    Host.create(universe, servers, tmp_path)
    with pytest.raises(FileExistsError):
        Host.create(universe, servers, tmp_path)


# --- commands ---------------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_nothing_of_the_callers_environment_is_seen(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://192.0.2.1:1")
    seen = host.run(["cat", "/proc/self/environ"] if host.slash else ["sh", "-c", "echo $HOME$https_proxy$ADDED"],
                    env={"ADDED": "added"}).stdout
    assert "192.0.2.1" not in seen and "/root" in seen and "added" in seen


@BOTH_WAYS
def test_standard_input_and_exit_status(host: Host) -> None:
    done = host.run(["sh", "-c", "cat; echo no >&2; exit 7"], stdin="given\n")
    assert (done.returncode, done.stdout, done.stderr) == (7, "given\n", "no\n")
    assert host.dnf("no-such-command").returncode == 1


@BOTH_WAYS
def test_an_ordinary_user(host: Host) -> None:
    assert host.run(["sh", "-c", "cat /root/.rpmmacros"], user=template.USER).returncode == 1
    assert host.run(["sh", "-c", "cat /etc/hostname"], user=template.USER).stdout == host.host_name + "\n"
    with pytest.raises(LookupError):
        host.run(["true"], user="stranger")


@AS_SLASH
def test_an_ordinary_users_dnf(host: Host) -> None:
    assert host.dnf("repolist", user=template.USER).returncode == 0
    assert "superuser" in host.dnf("upgrade", user=template.USER).stderr


@AS_SLASH
def test_a_timeout_ends_the_children_too(host: Host) -> None:
    with pytest.raises(subprocess.TimeoutExpired):
        host.run(["sh", "-c", "sleep 1000 & wait"], timeout=0.5)
    assert "sleep" not in host.run(["ps", "-e"]).stdout


@BY_INSTALLROOT
def test_by_installroot_the_servers_addresses_are_configured(host: Host, servers: Service, universe: Universe) -> None:
    lines = (host.root / "etc/dnf/plugins/tuxcare.conf").read_text().splitlines()
    assert "gpg_key_fingerprint = " + universe.fingerprint("TuxCare") in lines
    assert "register_url = %s/cln/api/els/token/register" % servers.url in lines
    fetched = host.dnf("makecache", "--disablerepo=*", "--repofrompath=x,%s/almalinux/9/BaseOS/x86_64/os" % servers.url)
    assert fetched.returncode == 0, fetched.stderr


@BY_INSTALLROOT
@pytest.mark.skipif(template.kernel_tellable() is not None, reason=template.kernel_tellable() or "")
def test_by_installroot_the_machines_authorities_are_not_seen(host: Host) -> None:
    """And nothing else is hidden: Debian's libcurl would read that folder for each connection, whatever sslcacert says."""
    code = "import os; print(sorted(os.listdir('/etc')) == sorted(item.name for item in os.scandir('/etc/ssl/..')))"
    command = ["/usr/bin/python3", "-c", code + "; os.listdir('/etc/ssl/certs')"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=template.outside_env(host.root))
    assert done.stdout == "True\n" and "FileNotFoundError" in done.stderr


# --- as / -------------------------------------------------------------------------------------------------------


@AS_SLASH
def test_the_default_host_names_lead_to_the_servers(host: Host, servers: Service) -> None:
    done = host.dnf("makecache")
    assert done.returncode == 0, done.stderr
    assert {"mirrors.almalinux.org", "repo.almalinux.org"} <= {record.host for record in servers.requests}


@AS_SLASH
@pytest.mark.parametrize("code", ["import requests; print(requests.get(url).status_code)",
                                  "import urllib.request as r; print(r.urlopen(url).status)"])
def test_python_trusts_the_servers(host: Host, code: str) -> None:
    url = "url = 'https://repo.tuxcare.com/tuxcare/RPM-GPG-KEY-TuxCare'; "
    done = host.run(["/usr/bin/python3", "-c", url + code])
    assert done.stdout == "200\n", done.stderr


@AS_SLASH
def test_the_host_sees_only_the_machines_usr(host: Host) -> None:
    (host.root / "etc/only-here").touch()
    listed = host.run(["ls", "/etc", "/usr/local", "/root"]).stdout.split()
    assert "only-here" in listed and "debian_version" not in listed
    assert host.run(["ls", str(PROJECT)]).returncode == 2
    assert host.run(["cat", "/proc/sys/kernel/hostname"]).stdout == host.host_name + "\n"


@AS_SLASH
def test_what_is_written_to_usr_lands_in_the_root(host: Host) -> None:
    assert host.run(["sh", "-c", "echo x > /usr/share/written; rm /usr/bin/python3"]).returncode == 0
    assert (host.root / "usr/share/written").read_text() == "x\n"
    assert not Path("/usr/share/written").exists() and Path("/usr/bin/python3").exists()
    assert "usr/share/written" in host.snapshot() and "usr/bin/python3" not in host.snapshot()


@AS_SLASH
def test_devices_work_and_cannot_be_removed(host: Host) -> None:
    assert host.run(["sh", "-c", "echo x > /dev/null && test -c /dev/null"]).returncode == 0
    assert host.run(["rm", "/dev/null"]).returncode == 1


@AS_SLASH
def test_the_product_comes_from_its_package(
    host: Host, universe: Universe, servers: Service, tmp_path: Path, product: Path
) -> None:
    with Host.create(universe, servers, tmp_path / "second", slash=True, rpm=product) as second:
        assert second.dnf("repolist").stdout.startswith("here\n")
        assert second.installed() - host.installed() == {"dnf-plugin-tuxcare-1-1.noarch"}
        told = (second.root / "etc/dnf/plugins/tuxcare.conf").read_text()
    assert told == "[service]\ngpg_key_fingerprint = %s\n" % universe.fingerprint("TuxCare")
    assert not host.dnf("repolist").stdout.startswith("here")


@AS_SLASH
def test_commands_of_one_host_see_each_other(host: Host) -> None:
    """dnf finds the holder of its lock by pid: two pid namespaces would make two of them the same."""
    first = host.start(["sh", "-c", "echo $$; read line"])
    assert first.stdout is not None
    pid = first.stdout.readline().strip()
    second = host.run(["sh", "-c", "echo $$; test -d /proc/%s" % pid])
    assert second.returncode == 0 and second.stdout.strip() != pid
    first.communicate("\n")


@NEEDS_SLASH
def test_nothing_is_left_on_the_machine(universe: Universe, servers: Service, tmp_path: Path) -> None:
    before = mounts()
    hosts = [Host.create(universe, servers, tmp_path / name, slash=True) for name in ("one", "two")]
    running = [host.start(["sh", "-c", "sleep 1000"]) for host in hosts]
    assert mounts() == before
    for host, process in zip(hosts, running):
        host.close()
        assert process.wait(5) != 0
        process.communicate()
    assert mounts() == before


@AS_SLASH
def test_a_host_ends_with_its_maker(host: Host, tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import os, signal, sys
        from pathlib import Path
        from tests.sandbox.namespace import Namespace
        print(Namespace(Path(sys.argv[1]), "x.example.com").enter(["true"])[2], flush=True)
        os.kill(os.getpid(), signal.SIGKILL)
    """)
    host.close()
    done = subprocess.run([sys.executable, "-c", code, str(host.directory)], cwd=str(PROJECT), stdout=subprocess.PIPE,
                          text=True)
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))


def test_an_ordinary_user_is_told_why_not() -> None:
    if os.geteuid() != 0 or not os.access(str(PROJECT), os.R_OK):
        pytest.skip("only root can become another user")
    code = "from tests.sandbox.host import slash_available; print(slash_available())"
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/python3", "-B", "-c", code]
    assert "need root" in subprocess.run(command, cwd=str(PROJECT), stdout=subprocess.PIPE, text=True).stdout


# --- boots ------------------------------------------------------------------------------------------------------


def running_kernel(host: Host) -> Dict[str, str]:
    names = {"osrelease": "sys/kernel/osrelease", "cmdline": "cmdline", "fips": "sys/crypto/fips_enabled"}
    return {key: host.run(["cat", "/proc/" + name]).stdout.strip() for key, name in names.items()}


@BOTH_WAYS
def test_a_fresh_host_runs_the_releases_kernel(host: Host) -> None:
    fresh = running_kernel(host)
    assert (fresh["osrelease"], fresh["fips"]) == (KERNEL, "0")
    host.reboot()
    assert running_kernel(host) == fresh
    if template.kernel_tellable() is None:
        assert host.run(["uname", "-r"]).stdout == KERNEL + "\n"


@BOTH_WAYS
def test_a_reboot_follows_the_boot_loader(host: Host) -> None:
    entry, = (host.root / "boot/loader/entries").glob("*.conf")
    other = "5.14.0-284.11.1.el9_2.tuxcare.6.x86_64"
    for name in ("vmlinuz-%s", "initramfs-%s.img"):
        (host.root / "boot" / (name % other)).touch()
    text = entry.read_text().replace(KERNEL, other).replace("quiet", "quiet fips=1")
    (entry.parent / entry.name.replace(KERNEL, other)).write_text(text)
    host.reboot()
    assert running_kernel(host)["osrelease"] == KERNEL
    (host.root / "boot/grub2/grubenv").write_text("saved_entry=%s\n" % entry.stem.replace(KERNEL, other))
    assert host.reboot().osrelease == other
    after = running_kernel(host)
    assert (after["osrelease"], after["fips"]) == (other, "1") and after["cmdline"].endswith("quiet fips=1")
    assert host.reboot(KERNEL).fips_enabled is False


@BOTH_WAYS
def test_a_kernel_without_initramfs_does_not_boot(host: Host) -> None:
    (host.root / "boot" / ("initramfs-%s.img" % KERNEL)).unlink()
    with pytest.raises(BootError, match="initramfs"):
        host.reboot()
    with pytest.raises(BootError, match="no entry for 6.0"):
        host.reboot("6.0")


@AS_SLASH
def test_a_reboot_ends_what_runs(host: Host) -> None:
    process = host.start(["sleep", "1000"])
    (host.root / "run/left").touch()
    host.reboot()
    process.communicate(timeout=5)
    assert host.run(["ls", "/run"]).stdout == ""


# --- by hand ----------------------------------------------------------------------------------------------------


@AS_SLASH
def test_by_hand(host: Host, product: Path) -> None:
    command = [sys.executable, "-m", "tests.sandbox.interactive", "--quiet", "--rpm", str(product)]
    process = subprocess.Popen(command, cwd=str(PROJECT), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("Ctrl-C"):
            break
    wrapper = next(line.split()[0] for line in said if line.endswith(" upgrade\n"))
    done = subprocess.run([wrapper, "dnf", "repolist"], stdout=subprocess.PIPE, text=True)
    assert done.stdout.startswith("here\n")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0 and not Path(wrapper).exists()
