# SPDX-License-Identifier: Apache-2.0
"""What fails in, before or after rpm's work without a kill: half packages are told, everything else is as before."""
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import List, Tuple

import pytest

from tests.integration.fips_host import NEWEST, STOCK, grown, upgraded
from tests.integration.outcome import is_done, untouched
from tests.integration.test_fips import VALIDATED as SET
from tests.integration.test_fips import boot_entries, enable
from tests.integration.test_packages_cut_off import JOURNAL, RECOVER, is_half, is_in_fips, killed, recover
from tests.sandbox import namespace
from tests.sandbox.faults import Fault, Hold
from tests.sandbox.host import PROJECT, Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

__all__ = ["grown", "upgraded"]  # fixtures


# --- failures inside rpm ------------------------------------------------------------------------------------------


def failing_tree(universe: Universe, service: Service, folder: Path, section: str) -> None:
    """The FIPS repository with a scriptlet of nettle that fails as long as the host has /etc/fail."""
    shutil.copytree(str(universe.tree("tuxcare/9.2/fips")), str(folder), ignore=shutil.ignore_patterns("*.src.rpm"))
    fields = {"vendor": "TuxCare", "scriptlets": {section: "[ ! -e /etc/fail ]\n"}}
    universe.build_rpm(folder, "nettle", "3.8-3.el9_2.tuxcare.1", "x86_64", key="TuxCare", **fields)
    universe.index(folder)
    token = next(iter(service.seats[ESU_KEY].values()))
    service.mount("/tuxcare/9.2/%s/fips/x86_64/" % token, folder)


@pytest.mark.registered
@pytest.mark.parametrize("section", ["pre", "pretrans", "post"])
def test_a_scriptlet_that_fails(host: Host, service: Service, universe: Universe, tmp_path: Path, section: str) -> None:
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


@pytest.mark.registered
def test_a_file_that_rpm_cannot_unpack(host: Host) -> None:
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
    script = host.directory / "on-small-disk"
    host.write_wrapper(script, command)
    return namespace.run([str(script)], {"TERM": "dumb"})


@pytest.mark.registered
@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root")
def test_no_space_for_the_downloads(host: Host, service: Service) -> None:
    with untouched(host, service):
        done = on_small_disk(host, "var/cache/dnf", "4k", "-y", "tuxcare", "fips", "enable")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stdout + done.stderr
    assert not (host.root / JOURNAL).exists()
    enable(host)
    is_in_fips(host)


@pytest.mark.registered
@pytest.mark.skipif(os.geteuid() != 0, reason="a file system of its own needs root")
def test_no_space_for_the_packages(host: Host) -> None:
    (host.root / "usr/share/doc").mkdir(parents=True, exist_ok=True)
    done = on_small_disk(host, "usr/share/doc", "4k", "-y", "tuxcare", "fips", "enable")
    assert done.returncode == 5 and len(
        re.findall("^Error: .*" + RECOVER, host.as_of_slash(done.stderr), re.M)) == 1, done.stderr
    recover(host)
    is_in_fips(host)


# --- around rpm ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGKILL],
                         ids=lambda number: signal.Signals(number).name)
@pytest.mark.parametrize("verb", [["fips", "enable"], ["uninstall"]], ids=" ".join)
def test_during_the_download(upgraded: Host, service: Service, by: int, verb: List[str]) -> None:
    with untouched(upgraded, service):
        hold = Hold()
        service.order(Fault(hold, path="*.rpm", times=1))
        process = upgraded.start_dnf("-y", "tuxcare", *verb)
        assert hold.reached.wait(60)
        os.killpg(process.pid, by)
        if by != signal.SIGKILL:
            hold.release()
        output = process.communicate(timeout=60)
        hold.release()
        assert process.returncode != 0 and "Traceback" not in "".join(output), output
        if by == signal.SIGKILL:
            assert "its changes were undone" in is_done(upgraded.dnf("tuxcare", "recover"))
    assert not (upgraded.root / JOURNAL).exists()


@pytest.mark.registered
@pytest.mark.parametrize("program, word", [("grubby", "--args=fips=1"), ("fips-mode-setup", "--enable")])
def test_a_boot_program_that_fails(host: Host, program: str, word: str) -> None:
    """Boot loader and policy are as before; the packages stay, and the next run goes on."""
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


@pytest.mark.registered
def test_without_dnf_it_says_that_it_takes_dnf(host: Host) -> None:
    killed(host, "Upgrading .*: openssl-libs", "tuxcare", "fips", "enable")
    with untouched(host):
        status, _, said = standalone(host)
        assert status == 5 and len(said.splitlines()) == 1 and RECOVER in said
    recover(host)


@pytest.mark.registered
def test_without_dnf_before_rpm_has_begun(host: Host) -> None:
    """No package is half there, so nothing takes dnf."""
    packages = host.installed()
    killed(host, "Running transaction check", "tuxcare", "fips", "enable")
    if host.installed() != packages:
        pytest.skip("rpm was faster")
    status, said, _ = standalone(host)
    assert status == 0 and "its changes were undone" in said and not (host.root / JOURNAL).exists()


def test_the_kernel_that_was_the_default_goes_before_recover(upgraded: Host) -> None:
    """Of a host without the package `kernel` nothing of it is planned, so rpm has not begun, and nobody can set it again."""
    is_done(upgraded.dnf("-y", "remove", "--noautoremove", "kernel"))
    killed(upgraded, "Running transaction check", "tuxcare", "fips", "enable")
    upgraded.run(["grubby", "--set-default=/boot/vmlinuz-" + STOCK])
    is_done(upgraded.dnf("-y", "--noplugins", "remove", "kernel-core-" + NEWEST.rpartition(".")[0]))
    assert "its changes were undone" in is_done(upgraded.dnf("-y", "tuxcare", "recover"))
    assert upgraded.run(["grubby", "--default-kernel"]).stdout.strip() == "/boot/vmlinuz-" + STOCK


@pytest.mark.registered
def test_without_dnf_and_without_rpm_it_is_one_line(host: Host) -> None:
    """A registration that was cut off: the trust in its key is rpm's to end. And Ctrl-C is no traceback, either."""
    home = host.directory / "home"
    home.mkdir()
    (home / "rpm.py").write_text("raise ImportError('librpm.so.9: cannot open shared object file')\n")
    document = {"schema": 1, "verb": "dnf tuxcare register", "made_folder": False, "forward": False, "imports": "0" * 40,
                "install": [], "erase": [], "packages_done": False, "kernel": "", "boot": None, "files": []}
    (host.root / JOURNAL).mkdir()
    (host.root / JOURNAL / "operation.json").write_text(json.dumps(document))
    code = "import sys; sys.path.insert(0, %r); from tuxcare_lib.standalone import main; raise SystemExit(main())" % str(home)
    command = [sys.executable, "-c", code, "--root", str(host.root)]
    done = subprocess.run(command, cwd=str(PROJECT), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 5 and len(done.stderr.splitlines()) == 1 and "librpm.so.9" in done.stderr
    lock = os.open(str(host.root / "etc/dnf"), os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    process = subprocess.Popen(command, cwd=str(PROJECT), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None and "Waiting" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert len(process.communicate(timeout=60)[1].splitlines()) == 1 and process.returncode == 1
    os.close(lock)
