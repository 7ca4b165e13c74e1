# SPDX-License-Identifier: Apache-2.0
"""Cut off inside rpm: told with exit 5, the host boots and is held, and one `dnf tuxcare recover` finishes or takes back."""
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

import pytest

from tests.integration.fips_host import NEWEST, STOCK, VALIDATED, Grown, name_of, of_tuxcare, twice
from tests.integration.outcome import State, document, is_done, own_lines, refused, register, untouched
from tests.integration.test_fips import VALIDATED as SET
from tests.integration.test_fips import boot_entries, enable
from tests.sandbox import namespace
from tests.sandbox.faults import Fault, Hold, Status
from tests.sandbox.host import PROJECT, Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

JOURNAL = "var/lib/tuxcare/journal"
TOLD = "tuxcare: an operation was cut off on this host. Run `dnf tuxcare recover`."
RECOVER = "dnf tuxcare recover"


@pytest.fixture(scope="module")
def grown(universe: Universe, servers: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Grown]:
    made = Grown(universe, servers, tmp_path_factory.mktemp("grown"))
    yield made
    made.close()


@pytest.fixture
def upgraded(grown: Grown, host: Host) -> Host:
    return grown.copy("upgraded", host)


@pytest.fixture
def left(grown: Grown, host: Host) -> Host:
    """After the first stage of `uninstall` and a reboot."""
    return grown.copy("left", host)


def killed(host: Host, at: str, *args: str) -> None:
    """`dnf -y ARGS…` dies when a line of its progress matches: rpm has done, or is about to do, what that line says."""
    process = host.start_dnf("-y", *args)
    said = ""
    assert process.stdout is not None
    for line in process.stdout:
        said += line
        if re.search(at, line):
            os.killpg(process.pid, signal.SIGKILL)
            break
    process.communicate()
    assert process.returncode == -signal.SIGKILL, said
    assert (host.root / JOURNAL).exists(), said


def packages_of(host: Host, *names: str) -> List[str]:
    return sorted(nevra for nevra in host.installed() if name_of(nevra) in names)


def is_half(host: Host, kernel: str) -> None:
    """What holds until `recover`: the host boots, is pinned, and every command says what is to be done."""
    booted = host.reboot()
    assert (booted.osrelease, booted.fips_enabled) == (kernel, False)
    found = document(host.dnf("tuxcare", "status", "--check", "--json"), status=4)["findings"]
    assert [finding["code"] for finding in found] == ["journal"] and RECOVER in found[0]["remedy"]
    assert RECOVER in is_done(host.dnf("tuxcare", "status"))
    with untouched(host):
        for verb in (["unregister"], ["fips", "enable"], ["uninstall"], ["repos", "revert"]):
            refused(host.dnf("-y", "tuxcare", *verb), "cut off", RECOVER, status=5)
        is_done(host.dnf("tuxcare", "recover", "--dry-run"))
        for args in ([], ["--assumeno"]):
            done = host.dnf(*args, "tuxcare", "recover", timeout=60)
            assert done.returncode == 5 and "Traceback" not in done.stderr
            assert len(re.findall("^Error: .*`dnf -y tuxcare recover`", done.stderr, re.M)) == 1, done.stderr
    done = host.dnf("--assumeno", "upgrade")
    assert not re.search(r"el9_4|almalinux-release", done.stdout), done.stdout


def recover(host: Host, *args: str) -> str:
    said = is_done(host.dnf("-y", *args, "tuxcare", "recover"))
    assert not (host.root / JOURNAL).exists() and twice(host) == []
    assert is_done(host.dnf("-y", "tuxcare", "recover")) == "Nothing was cut off, and nothing is missing.\n"
    return said


def is_in_fips(host: Host) -> None:
    assert host.installed() >= SET
    assert (host.reboot().osrelease, host.reboot().fips_enabled) == (VALIDATED, True)
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"


# --- fips enable --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["Upgrading .*: openssl-libs", "Cleanup .*: nss-3", "Verifying .* 2/"],
                         ids=["installing", "cleaning up", "verifying"])
def test_fips_enable_is_finished(host: Host, at: str) -> None:
    register(host)
    killed(host, at, "tuxcare", "fips", "enable")
    is_half(host, VALIDATED if at.startswith("Verifying") else STOCK)
    plan = document(host.dnf("tuxcare", "recover", "--dry-run", "--json"))["packages"]
    # What stands beside its predecessor is there already: the predecessor goes.
    assert {line.split()[1] for line in plan if not line.startswith("Removed")} or at.startswith("Cleanup")
    assert "it is finished" in recover(host)
    is_in_fips(host)


def test_a_foreign_transaction_is_told_and_goes_on(host: Host) -> None:
    register(host)
    killed(host, "Upgrading .*: gnutls", "tuxcare", "fips", "enable")
    done = host.dnf("-y", "upgrade", "bash")
    assert is_done(done) and own_lines(done.stderr) == [TOLD]
    assert packages_of(host, "bash") == ["bash-5.1.8-6.el9_1.tuxcare.els1.x86_64"]
    recover(host)
    is_in_fips(host)
    assert packages_of(host, "bash") == ["bash-5.1.8-6.el9_1.tuxcare.els1.x86_64"]


def test_a_foreign_upgrade_may_have_ended_it(host: Host) -> None:
    """It takes later builds of the same packages: `recover` does not go back behind them."""
    register(host)
    killed(host, "Upgrading .*: openssl-1:", "tuxcare", "fips", "enable")
    is_done(host.dnf("-y", "upgrade"))
    recover(host)
    assert host.installed() & {"kernel-" + VALIDATED} and twice(host) == []
    enable(host)
    assert (host.reboot().osrelease, host.reboot().fips_enabled) == (VALIDATED, True)


def test_recover_killed_itself(host: Host) -> None:
    register(host)
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    for at in ("(Reinstalling|Upgrading|Installing) .*: nettle", "(Cleanup|Erasing) .*: nss-util"):
        killed(host, at, "tuxcare", "recover")
    is_half(host, host.reboot().osrelease)
    recover(host)
    is_in_fips(host)


def test_recover_told_as_json(host: Host) -> None:
    register(host)
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    told = document(host.dnf("-y", "tuxcare", "recover", "--json"))
    assert told["changed"] and "it is finished" in told["settled"][0]
    told = document(host.dnf("-y", "tuxcare", "recover", "--json"))
    assert not told["changed"]


def gone(host: Host, service: Service) -> None:
    service.order(Fault(Status(404), path="*/fips/*"))
    is_done(host.dnf("clean", "all"))


def test_what_cannot_be_finished_is_taken_back(host: Host, service: Service) -> None:
    register(host)
    before = State.of(host)
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    gone(host, service)
    done = host.dnf("-y", "--setopt=tuxcare-fips.skip_if_unavailable=1", "tuxcare", "recover")
    assert "its changes were undone" in is_done(done) and "cannot be finished" in done.stderr
    assert host.installed() == before[1] and not (host.root / JOURNAL).exists()
    assert host.reboot().osrelease == STOCK and not host.reboot().fips_enabled
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"
    service.cancel_faults()
    enable(host)
    is_in_fips(host)


def test_a_repository_that_is_gone_is_told(host: Host, service: Service) -> None:
    register(host)
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    gone(host, service)
    with untouched(host):
        done = host.dnf("-y", "tuxcare", "recover")
    assert done.returncode in (1, 5) and "tuxcare-fips" in done.stderr and "Traceback" not in done.stderr
    service.cancel_faults()
    recover(host)
    is_in_fips(host)


def test_no_repository_at_all(host: Host, service: Service) -> None:
    register(host)
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    with untouched(host):
        done = host.dnf("-y", "--disablerepo=*", "tuxcare", "recover")
    assert done.returncode == 5 and len(re.findall("^Error: .*neither be finished nor taken back", done.stderr, re.M)) == 1


# --- uninstall ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", ["Downgrading .*: openssl-libs", "(Erasing|Cleanup) .*: nss", "Verifying .* 2/"],
                         ids=["installing", "erasing", "verifying"])
def test_uninstall_is_finished(left: Host, service: Service, at: str) -> None:
    killed(left, at, "tuxcare", "uninstall")
    is_half(left, NEWEST)
    assert "run `dnf tuxcare uninstall` again for the rest" in recover(left)
    assert of_tuxcare(left.installed()) == set() and len(service.seats[ESU_KEY]) == 1
    assert not (left.root / "var/lib/tuxcare/fips.json").exists()
    assert "De-registration successful" in is_done(left.dnf("-y", "tuxcare", "uninstall"))
    assert ESU_KEY not in service.seats and left.reboot().osrelease == NEWEST


def test_uninstall_after_a_foreign_upgrade(left: Host) -> None:
    """It brought fixes of the vendor's again, which `uninstall` had replaced."""
    killed(left, "(Erasing|Cleanup) .*: nss", "tuxcare", "uninstall")
    is_done(left.dnf("-y", "upgrade", "bash", "zlib"))
    recover(left)
    is_done(left.dnf("-y", "tuxcare", "uninstall"))
    assert of_tuxcare(left.installed()) == set() and left.reboot().osrelease == NEWEST


def test_the_kernel_of_the_first_stage(grown: Grown, host: Host) -> None:
    host = grown.copy("in FIPS mode", host)
    is_done(host.dnf("-y", "remove", *packages_of(host, "kernel-core")[:-1], "kernel-core-" + STOCK, "kernel-core-" + NEWEST)) \
        if False else is_done(host.dnf("-y", "remove", "kernel-core-" + STOCK, "kernel-core-" + NEWEST))
    killed(host, "Installing .*: kernel-core", "tuxcare", "uninstall")
    assert host.reboot().osrelease in (VALIDATED, NEWEST)
    refused(host.dnf("-y", "tuxcare", "uninstall"), "cut off", RECOVER, status=5)
    recover(host)
    is_done(host.dnf("-y", "tuxcare", "uninstall"))
    assert (host.reboot().osrelease, host.reboot().fips_enabled) == (NEWEST, False)
    is_done(host.dnf("-y", "tuxcare", "uninstall"))
    assert of_tuxcare(host.installed()) == set()


# --- failures inside rpm ------------------------------------------------------------------------------------------


def failing_tree(universe: Universe, service: Service, folder: Path, section: str) -> None:
    """The FIPS repository with a scriptlet of nettle that fails as long as the host has /etc/fail."""
    shutil.copytree(str(universe.tree("tuxcare/9.2/fips")), str(folder), ignore=shutil.ignore_patterns("*.src.rpm"))
    fields = {"vendor": "TuxCare", "scriptlets": {section: "[ ! -e /etc/fail ]\n"}}
    universe.build_rpm(folder, "nettle", "3.8-3.el9_2.tuxcare.1", "x86_64", key="TuxCare", **fields)
    universe.index(folder)
    token = next(iter(service.seats[ESU_KEY].values()))
    service.mount("/tuxcare/9.2/%s/fips/x86_64/" % token, folder)


@pytest.mark.parametrize("section", ["pre", "pretrans", "post"])
def test_a_scriptlet_that_fails(host: Host, service: Service, universe: Universe, tmp_path: Path, section: str) -> None:
    register(host)
    failing_tree(universe, service, tmp_path / "fips", section)
    (host.root / "etc/fail").write_text("")
    done = host.dnf("-y", "tuxcare", "fips", "enable")
    if section == "post":  # for rpm that is a warning, and the package is there
        is_done(done)
        return is_in_fips(host)
    assert done.returncode == 5 and "Traceback" not in done.stderr, done.stdout + done.stderr
    errors = re.findall("^Error: .*", done.stderr, re.M)
    assert len(errors) == 1 and RECOVER in errors[0] and "installed in part" in errors[0], done.stderr
    again = host.dnf("-y", "tuxcare", "recover")
    assert again.returncode == 5 and len(re.findall("^Error: .*", again.stderr, re.M)) == 1, again.stderr
    host.reboot()
    (host.root / "etc/fail").unlink()
    recover(host)
    is_in_fips(host)


def test_a_file_that_rpm_cannot_unpack(host: Host) -> None:
    register(host)
    obstacle = host.root / "usr/share/doc/nettle/README"
    obstacle.unlink()
    (obstacle / "full").mkdir(parents=True)
    done = host.dnf("-y", "tuxcare", "fips", "enable")
    assert done.returncode == 5 and len(re.findall("^Error: .*" + RECOVER, done.stderr, re.M)) == 1, done.stderr
    is_half(host, host.reboot().osrelease)
    shutil.rmtree(str(obstacle))
    recover(host)
    is_in_fips(host)


def on_small_disk(host: Host, folder: str, size: str, *args: str) -> "subprocess.CompletedProcess[str]":
    """dnf with a file system of that size at one folder of the host."""
    mount = "mount -t tmpfs -o size=%s none %s && exec \"$@\"" % (size, host.root / folder)
    command = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", mount, "sh", *host.dnf_command(*args)]
    env = dict(host._env(None, None))
    return namespace.run(command, env)


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root")
def test_no_space_for_the_downloads(host: Host, service: Service) -> None:
    register(host)
    with untouched(host, service):
        done = on_small_disk(host, "var/cache/dnf", "4k", "-y", "tuxcare", "fips", "enable")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stdout + done.stderr
    assert not (host.root / JOURNAL).exists()
    enable(host)
    is_in_fips(host)


@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root")
def test_no_space_for_the_packages(host: Host) -> None:
    register(host)
    (host.root / "usr/share/doc").mkdir(parents=True, exist_ok=True)
    done = on_small_disk(host, "usr/share/doc", "4k", "-y", "tuxcare", "fips", "enable")
    assert done.returncode == 5 and len(re.findall("^Error: .*" + RECOVER, done.stderr, re.M)) == 1, done.stderr
    recover(host)
    is_in_fips(host)


# --- around rpm ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL],
                         ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize("verb", [["fips", "enable"], ["uninstall"]], ids=" ".join)
def test_during_the_download(grown: Grown, host: Host, service: Service, by: int, verb: List[str]) -> None:
    host = grown.copy("upgraded" if verb[0] == "uninstall" else "upgraded", host)
    with untouched(host, service):
        hold = Hold()
        service.order(Fault(hold, path="*.rpm", times=1))
        process = host.start_dnf("-y", "tuxcare", *verb)
        assert hold.reached.wait(60)
        os.killpg(process.pid, by)
        if by != signal.SIGKILL:
            hold.release()
        output = process.communicate(timeout=60)
        hold.release()
        assert process.returncode != 0 and "Traceback" not in "".join(output), output
        if by == signal.SIGKILL:
            assert "its changes were undone" in is_done(host.dnf("tuxcare", "recover"))
    assert not (host.root / JOURNAL).exists()


@pytest.mark.parametrize("program, word", [("grubby", "--args=fips=1"), ("fips-mode-setup", "--enable")])
def test_a_boot_program_that_fails(host: Host, program: str, word: str) -> None:
    """Boot loader and policy are as before; the packages stay, and the next run goes on."""
    register(host)
    before = host.snapshot()
    order = host.root / "var/lib/sandbox-standins" / (program + ".fail")
    order.parent.mkdir(parents=True, exist_ok=True)
    order.write_text("1 %s\n" % word)
    line = refused_with_output(host, "-y", "tuxcare", "fips", "enable")
    assert "The packages are installed and stay; run the command again." in line and RECOVER not in line
    after = host.snapshot()
    for path in ("etc/crypto-policies/config", "etc/system-fips", "var/lib/tuxcare/fips.json", "etc/yum.repos.d/tuxcare.repo"):
        assert after.get(path) == before.get(path), path
    assert host.installed() >= SET and (host.reboot().osrelease, host.reboot().fips_enabled) == (STOCK, False)
    assert not [word for entry in boot_entries(host) for word in entry.split() if word.startswith("fips=")]
    order.unlink()
    enable(host)
    is_in_fips(host)


def refused_with_output(host: Host, *args: str) -> str:
    done = host.dnf(*args)
    errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert done.returncode == 1 and len(errors) == 1, done.stderr
    return errors[0]


# --- without dnf --------------------------------------------------------------------------------------------------


def standalone(host: Host, *args: str) -> Tuple[int, str, str]:
    """As on EL, where rpm itself knows its database; Debian's rpm has another place for it, and dnf tells it there."""
    home = host.directory / "home"
    home.mkdir(exist_ok=True)
    (home / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
    code = "from tuxcare_lib.standalone import main; raise SystemExit(main())"
    done = subprocess.run([sys.executable, "-c", code, "--root", str(host.root), *args], cwd=str(PROJECT),
                          env=dict(os.environ, HOME=str(home)), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stdout, done.stderr


def test_without_dnf_it_says_that_it_takes_dnf(host: Host) -> None:
    register(host)
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    with untouched(host):
        status, _, said = standalone(host)
        assert status == 5 and len(said.splitlines()) == 1 and RECOVER in said
    recover(host)


def test_without_dnf_what_rpm_has_finished_is_finished(host: Host) -> None:
    """Nothing is left for rpm once it has begun no package: the program alone undoes."""
    register(host)
    packages: Optional[object] = host.installed()
    killed(host, "Running transaction check", "tuxcare", "fips", "enable")
    if host.installed() != packages:
        pytest.skip("rpm was faster")
    status, said, _ = standalone(host)
    assert status == 0 and "its changes were undone" in said and not (host.root / JOURNAL).exists()
