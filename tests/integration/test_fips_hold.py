# SPDX-License-Identifier: Apache-2.0
"""No dnf command takes a host out of FIPS mode (docs/fips.md, Hold); what keeps to FIPS comes through."""
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Tuple, Union

import pytest

from tests.integration.bypass.documents import group, stream
from tests.integration.conftest import Hosts
from tests.integration.fips_host import STOCK, VALIDATED, Grown, grown, in_fips, set_of  # noqa: F401 (fixtures)
from tests.integration.outcome import document, is_done, refused, register, untouched
from tests.integration.test_packages_cut_off import dies
from tests.sandbox import repodata, rpms
from tests.sandbox.boot import choose
from tests.sandbox.host import Host
from tests.sandbox.packages import Build
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe
from tuxcare_lib.hold import is_fips_build

RELEASE = "5.14.0-284.11.1.el9_2.tuxcare.%d"
LATER = [RELEASE % number for number in (7, 8, 9)]
TEN = "6.12.0-55.9.1.el10_0.tuxcare.1"
SET_OF_TEN = """[fips almalinux 9.2 x86_64]
kernel = kernel-%s
modules = openssl-1:3.0.7-20.el9_2.tuxcare.1
holds = kernel kernel-core kernel-modules kernel-modules-core openssl openssl-libs
""" % TEN
Words = Union[List[str], Callable[[Host, Universe], List[str]]]


def boots(host: Host) -> str:
    return choose(host.root).osrelease


def publish(service: Service, universe: Universe, folder: Path, *builds: Tuple[str, str]) -> None:
    """A tree of the pinned release, so a trusted one, with more builds."""
    folder.mkdir()
    for source, evr in builds:
        for package, _ in Build("tuxcare/9.2/esu", source, evr, "x86_64").packages():
            rpms.build(package, folder, {})
    universe.sign(sorted(folder.iterdir()), "TuxCare")
    universe.index(folder)
    service.mount("/tuxcare/9.2/%s/" % folder.name, folder)


def publish_older_kernel(folder: Path) -> None:
    for package, _ in Build("tuxcare/9.2/esu", "kernel", RELEASE % 5, "x86_64").packages():
        rpms.build(package, folder, {})


def enable(host: Host, service: Service, name: str) -> None:
    text = "[%s]\nname=%s\nbaseurl=%s/tuxcare/9.2/%s/\ngpgcheck=0\nsslcacert=%s\n" % (
        name, name, service.url, name, service.ca_file)
    (host.root / ("etc/yum.repos.d/%s.repo" % name)).write_text(text)


@pytest.fixture(scope="module")
def trees(servers: Service, universe: Universe, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`later` has the vendor's later kernels, `odd` what would take the place of the set."""
    folder = tmp_path_factory.mktemp("trees")
    publish(servers, universe, folder / "later", *(("kernel", evr) for evr in LATER))
    publish(servers, universe, folder / "ten", ("kernel", TEN))
    odd = folder / "odd"
    odd.mkdir()
    kernel = ("installonlypkg(kernel)", "kernel = 9")
    universe.build_rpm(odd, "kernel-rt-core", "5.14.0-284.30.1.rt14.315.el9_2", vendor="AlmaLinux", provides=kernel)
    universe.build_rpm(odd, "kernel-uek-core", "5.15.0-200.el9uek", vendor="Oracle America", provides=kernel)
    universe.build_rpm(odd, "kernel-ml-core", "6.9.1-1.el9.elrepo", vendor="Example", provides=("installonlypkg(kernel-ml)",))
    universe.build_rpm(odd, "kernel-lt", "6.1.1-1.el9.elrepo", vendor="Example", provides=("kernel = 6.1.1-1.el9.elrepo",))
    publish_older_kernel(odd)
    universe.build_rpm(odd, "openssl-ng", "9-1.el9", vendor="AlmaLinux", obsoletes=("openssl < 9",), provides=("openssl = 9",))
    universe.build_rpm(odd, "gnutls", "3.7.5-1.el9_2.tuxcare.1", vendor="TuxCare")
    universe.build_rpm(odd, "gnutls", "3.7.9-1.module_el9.2.0+1", "x86_64", vendor="AlmaLinux", module="crypto:9:9990:9")
    repodata.index(odd, group("crypto", ("gnutls", "kernel-rt-core", "openssl-ng")))
    modules = folder / "modules.yaml"
    modules.write_text(stream("crypto", "9", ["gnutls-0:3.7.9-1.module_el9.2.0+1.x86_64"], ["gnutls", "kernel-core"]))
    rpms.run(["modifyrepo_c", "--mdtype", "modules", modules, odd / "repodata"])
    servers.mount("/tuxcare/9.2/odd/", odd)
    return folder


@pytest.fixture(scope="module")
def held(grown: Grown, universe: Universe, servers: Service, trees: Path,  # noqa: F811
         tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """One host in FIPS mode for all attempts: whatever one of them changes is noticed."""
    hosts = Hosts(universe, servers, tmp_path_factory.mktemp("held"), Path)
    host = grown.copy("in FIPS mode", hosts.by_installroot())
    enable(host, servers, "odd")
    yield host
    hosts.close()


def local(name: str, evr: str) -> Callable[[Host, Universe], List[str]]:
    return lambda host, universe: [str(universe.package(name, evr))]


ATTEMPTS: Dict[str, Tuple[Words, ...]] = {
    "upgrade": (["upgrade"],),
    "upgrade with all force": (["upgrade", "--best", "--allowerasing"],),
    "upgrade of the kernel": (["upgrade", "kernel", "kernel-core"],),
    "distro-sync": (["distro-sync", "--allowerasing"],),
    "distro-sync of one": (["distro-sync", "openssl", "--allowerasing"],),
    "downgrade": (["downgrade", "gnutls", "nettle", "libgcrypt", "nss"],),
    "downgrade of openssl": (["downgrade", "openssl", "openssl-libs"],),
    "swap": (["swap", "gnutls", "gnutls-3.7.6-20.el9_2", "--allowerasing"],),
    "a fix that is no FIPS build": (["install", "gnutls-3.7.6-21.el9_2.tuxcare.els1", "--allowerasing"],),
    "an older FIPS build": (["install", "gnutls-3.7.5-1.el9_2.tuxcare.1"],),
    "the community's build by name": (["install", "openssl-1:3.0.7-16.el9_2", "--allowerasing"],),
    "the community's kernel": (["install", "kernel-core-5.14.0-284.25.1.el9_2"],),
    "the community's kernel, whole": (["install", "kernel-5.14.0-284.18.1.el9_2"],),
    "kernel-rt": (["install", "kernel-rt-core"],),
    "kernel-uek": (["install", "kernel-uek-core"],),
    "what obsoletes openssl": (["install", "openssl-ng"],),
    "remove the kernel": (["remove", "kernel-core-" + VALIDATED],),
    "remove all of the vendor's kernel": (["remove", "kernel*tuxcare*"],),
    "remove all of the vendor's, unprotected": (["remove", "kernel*tuxcare*", "--setopt=protected_packages=",
                                                 "--setopt=protect_running_kernel=0"],),
    "kernel-ml": (["install", "kernel-ml-core"],),
    "kernel-lt": (["install", "kernel-lt"],),
    "an older FIPS kernel": (["install", "kernel-core-5.14.0-284.11.1.el9_2.tuxcare.5"],),
    "remove the validated kernel's modules": (["remove", "kernel-modules-" + VALIDATED],),
    "remove what sets the mode": (["remove", "crypto-policies-scripts"],),
    "remove the boot loader's program": (["remove", "grubby"],),
    "remove a module": (["remove", "openssl"],),
    "remove a module, unprotected": (["remove", "nss-sysinit", "gnutls", "--setopt=protected_packages="],),
    "remove every other kernel": (["remove", "kernel-core-5.14.0-284.11.1.el9_2", "kernel-core-5.14.0-284.30.1.el9_2"],),
    "autoremove": (["autoremove"],),
    "autoremove of what was marked": (["mark", "remove", "kernel-core", "kernel-modules", "kernel-modules-core"], ["autoremove"]),
    "history undo": (["history", "undo", "last-1"],),
    "history rollback": (["history", "rollback", "2"],),
    "a local file": ((lambda host, universe: ["install", *local("openssl", "1:3.0.7-16.el9_2")(host, universe),
                                              *local("openssl-libs", "1:3.0.7-16.el9_2")(host, universe)]),),
    "a local downgrade": ((lambda host, universe: ["downgrade", *local("gnutls", "3.7.6-20.el9_2")(host, universe)]),),
    "without excludes": (["upgrade", "--disableexcludes=all"],),
    "downgrade without excludes": (["downgrade", "openssl", "gnutls", "--disableexcludes=all", "--allowerasing"],),
    "excludes set to nothing": (["upgrade", "--setopt=*.excludepkgs=", "--setopt=excludepkgs="],),
    "a community kernel without excludes": (["install", "kernel-core-5.14.0-284.25.1.el9_2", "--disableexcludes=all",
                                             "--setopt=*.excludepkgs="],),
    "the vendor's repositories disabled": (["upgrade", "--disablerepo=tuxcare*", "--disableexcludes=all"],),
    "the vendor's builds excluded": (["distro-sync", "--exclude=*.tuxcare.*", "--allowerasing"],),
    "few kernels": (["install", "kernel-5.14.0-284.25.1.el9_2", "--setopt=installonly_limit=2", "--disableexcludes=all"],),
    "old kernels": (["remove", "--oldinstallonly", "--setopt=installonly_limit=2", "--setopt=protect_running_kernel=0"],),
    "another architecture": (["remove", "gnutls", "--forcearch=aarch64", "--setopt=protected_packages="],),
    "a module's stream": (["module", "install", "crypto:9/common"], ["upgrade", "gnutls", "--disableexcludes=all"],
                          ["module", "remove", "--all", "crypto:9", "--setopt=protected_packages="],
                          ["module", "reset", "crypto"]),
    "a group": (["group", "install", "crypto", "--disableexcludes=all"], ["group", "remove", "crypto"]),
}


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_to_lose_fips(held: Host, universe: Universe, name: str) -> None:
    """Refused, or without effect on the set; and told in one line where it is refused by us."""
    before = set_of(held)
    for words in ATTEMPTS[name]:
        done = held.dnf("-y", *(words(held, universe) if callable(words) else words))
        assert "Traceback" not in done.stdout + done.stderr
        if "tuxcare:" in done.stderr or " filtered out by " in done.stdout and "install" in words:  # dnf says no more than that
            assert done.returncode == 1 and ("fips disable" in done.stderr or "past the pin" in done.stderr)
    assert set_of(held) == before and boots(held) == VALIDATED


def test_the_guard_refuses_and_not_dnf_alone(held: Host) -> None:
    """Where nothing is hidden any more the plan is what stops it; and who passes that over meets it once more before rpm runs."""
    script = ("import dnf, sys\nwith dnf.Base() as base:\n"
              " base.conf.installroot = sys.argv[1]\n base.conf.read(sys.argv[1] + '/etc/dnf/dnf.conf')\n"
              " base.conf.pluginpath = [sys.argv[2]]\n base.conf.pluginconfpath = [sys.argv[1] + '/etc/dnf/plugins']\n"
              " base.conf.cachedir = sys.argv[1] + '/var/cache/dnf'; base.conf.reposdir = [sys.argv[1] + '/etc/yum.repos.d']\n"
              " base.conf.substitutions.update_from_etc(sys.argv[1])\n base.conf.substitutions['releasever'] = '9'\n"
              " base.init_plugins(); base.pre_configure_plugins(); base.read_all_repos(); base.configure_plugins()\n"
              " base.fill_sack()\n base.sack.reset_excludes()\n"
              " older = base.sack.query().available().filter(nevra='gnutls-3.7.6-20.el9_2.x86_64')\n"
              " base.package_downgrade(older[0])\n"
              " try:\n  base.resolve(allow_erasing=True)\n"
              " except dnf.exceptions.Error as error:\n  print(error)\n"
              " base.reset(goal=True)\n base.conf.protected_packages = []\n base.remove('gnutls')\n"
              " try:\n  base.resolve(allow_erasing=True)\n"
              " except dnf.exceptions.Error as error:\n  base.do_transaction()\n")
    arguments = held.dnf_command()
    plugins = next(word for word in arguments if word.startswith("--setopt=pluginpath=")).split("=")[2]
    before = set_of(held)
    done = subprocess.run(["/usr/bin/python3", "-c", script, str(held.root), plugins], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True, env=held._env(None, None))
    assert "held in FIPS mode: it would take the place of gnutls-3.7.6-23.el9_2.tuxcare.3.x86_64" in done.stdout, done.stderr
    assert "held in FIPS mode: nothing would take its place" in done.stderr, done.stderr
    assert set_of(held) == before


@pytest.mark.parametrize("program, order, interrupts, status, words", [
    ("grubby", "lie --set-default", 0, 1, "did not take"), ("grubby", "lie --default-kernel", 0, 1, "Install grubby"),
    ("grubby", "hang --update-kernel", 2, 5, "dnf tuxcare recover"),
], ids=["lies", "names nothing", "hangs, and on the way back"])
def test_leaving_fails(held: Host, program: str, order: str, interrupts: int, status: int, words: str) -> None:
    """Before, or told with exit status 5 until `recover`; a program that hangs is ended by Ctrl-C."""
    before = boot_state(held)
    path = held.root / "var/lib/sandbox-standins" / (program + ".fail")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(order + "\n")
    process = held.start_dnf("-y", "tuxcare", "fips", "disable")
    for _ in range(interrupts):
        wait_for(path.with_suffix(".hangs"))
        os.killpg(process.pid, signal.SIGINT)
    said = held.as_of_slash(process.communicate(timeout=60)[1])
    path.unlink()
    errors = [line for line in said.splitlines() if line.startswith("Error: ")]
    assert process.returncode == status and len(errors) == 1 and words in errors[0], said
    if status == 5:
        assert "its changes were undone" in is_done(held.dnf("tuxcare", "recover"))
    assert boot_state(held) == before


@pytest.mark.parametrize("verb", [["fips", "disable"], ["uninstall"]], ids=" ".join)
def test_what_would_not_boot_does_not_become_the_default(held: Host, verb: List[str]) -> None:
    """An initial file system that a full /boot left empty: where the host came from is no way back before it is there."""
    before = boot_state(held)
    initramfs = held.root / "boot/initramfs-5.14.0-284.30.1.el9_2.x86_64.img"
    whole = initramfs.read_bytes()
    initramfs.write_bytes(b"")
    refused(held.dnf("-y", "tuxcare", *verb), "would not boot", "dracut -f")
    assert boots(held) == VALIDATED and choose(held.root).fips_enabled
    initramfs.write_bytes(whole)
    differing = {path for path, entry in boot_state(held).items() if before.get(path) != entry}
    assert differing <= {str(initramfs.relative_to(held.root))}


def boot_state(host: Host) -> Dict[str, object]:
    """All that leaving FIPS mode changes."""
    places = ("boot/", "etc/crypto-policies", "etc/dracut.conf.d", "etc/system-fips", "etc/yum.repos.d", "var/lib/tuxcare")
    return {path: entry for path, entry in host.snapshot().items() if path.startswith(places)}


def wait_for(path: Path) -> None:
    """Until it is there; then it goes."""
    for _ in range(600):
        if path.exists():
            return path.unlink()
        time.sleep(0.1)
    raise AssertionError("nothing hangs")


def test_companions_may_go(held: Host) -> None:
    """They are not validated; the module itself does not go for one of them."""
    before = set_of(held)
    is_done(held.dnf("-y", "install", "gnutls.i686"))
    done = held.dnf("-y", "swap", "gnutls.x86_64", "gnutls.i686", "--allowerasing")
    assert done.returncode == 1 and "nothing would take its place" in done.stderr
    is_done(held.dnf("-y", "remove", "gnutls.i686", "nettle.i686"))
    assert set_of(held) == before


def test_other_updates_come_through(held: Host) -> None:
    is_done(held.dnf("-y", "remove", "rsync"))
    is_done(held.dnf("-y", "install", "rsync", "nss-tools", "--setopt=strict=0"))
    assert "rsync" in " ".join(held.installed())


def test_what_no_module_needs_may_go(held: Host) -> None:
    """It comes as a build of the set."""
    before = set_of(held)
    is_done(held.dnf("-y", "install", "gnutls-utils"))
    assert "gnutls-utils-3.7.6-23.el9_2.tuxcare.3.x86_64" in held.installed()
    is_done(held.dnf("-y", "remove", "gnutls-utils"))
    assert set_of(held) == before


def test_three_later_kernels_of_the_vendor(in_fips: Host, service: Service, trees: Path) -> None:  # noqa: F811
    """An ordinary upgrade takes them, never with an error; a validated kernel and another one stay, whichever runs."""
    enable(in_fips, service, "later")
    before = set_of(in_fips)
    alone = in_fips.dnf("-y", "install", "kernel-core-" + LATER[0], "--allowerasing", "--setopt=installonlypkgs=",
                        "--setopt=protect_running_kernel=0")
    assert alone.returncode == 1 and "held in FIPS mode" in alone.stderr and set_of(in_fips) == before
    for number, evr in enumerate(LATER):
        words = ["upgrade", "--exclude=" + ",".join("kernel*-%s" % other for other in LATER[number + 1:])]
        if number == 2:
            is_done(in_fips.dnf("-y", *words))
        else:
            dies(in_fips, "Verifying", *words)
            is_put_right(in_fips, evr + ".x86_64", by_recover=number == 0)
        kernels = {nevra for nevra in in_fips.installed() if nevra.startswith("kernel-core-")}
        assert "kernel-core-%s.x86_64" % evr in kernels and "kernel-core-" + VALIDATED in kernels and len(kernels) >= 2
        assert in_fips.reboot().fips_enabled and is_fips_build(boots(in_fips).rpartition(".")[0])
    told = in_fips.dnf("tuxcare", "fips", "status")
    assert told.returncode == 0 and "compliant" in told.stdout
    is_done(in_fips.dnf("tuxcare", "fips", "enable"))
    assert boots(in_fips) == LATER[-1] + ".x86_64"
    in_fips.reboot(VALIDATED)  # the one that is the default goes: another FIPS kernel is, and not the community's
    is_done(in_fips.dnf("-y", "remove", "kernel-core-" + LATER[-1]))
    assert in_fips.reboot().fips_enabled and is_fips_build(boots(in_fips).rpartition(".")[0])


def is_put_right(host: Host, kernel: str, by_recover: bool) -> None:
    """A later kernel came in a transaction that was killed: the default without the mode, until the next one or `recover`."""
    entry = choose(host.root)
    assert (entry.osrelease, entry.fips_enabled) == (kernel, False)
    with untouched(host):
        shown = document(host.dnf("tuxcare", "recover", "--dry-run", "--json"))
    assert shown["commands"] == [["grubby", "--update-kernel=/boot/vmlinuz-" + kernel, "--args=fips=1"]]
    said = is_done(host.dnf("-y", "tuxcare", "recover")) if by_recover else host.dnf("-y", "reinstall", "less").stderr
    assert said.count("The next boot, of /boot/vmlinuz-%s, is in FIPS mode again." % kernel) == 1


@pytest.mark.registered
def test_by_kernel_arguments_alone(host: Host, service: Service, trees: Path) -> None:
    """As on EL 10, which has no fips-mode-setup, and mounts its policy over the configured one at boot."""
    (host.root / "etc/dnf/plugins/tuxcare.d").mkdir(exist_ok=True)
    (host.root / "etc/dnf/plugins/tuxcare.d/ten.conf").write_text(SET_OF_TEN)
    (host.root / "usr/bin/fips-mode-setup").unlink()
    enable(host, service, "ten")
    is_done(host.dnf("-y", "tuxcare", "fips", "enable"))
    assert "pending reboot" in host.dnf("tuxcare", "fips", "status").stdout
    booted = host.reboot()
    assert (booted.osrelease, booted.fips_enabled) == (TEN + ".x86_64", True)
    config = host.root / "etc/crypto-policies/config"
    before = config.read_text()
    for policy, status in (("DEFAULT", 4), ("FIPS", 0)):
        config.write_text(policy + "\n")
        assert host.dnf("tuxcare", "fips", "status").returncode == status
    config.write_text(before)  # the other kernel here is of EL 9, on which a policy is set back
    is_done(host.dnf("-y", "tuxcare", "fips", "disable"))
    assert not host.reboot().fips_enabled
    assert not [path for path in (host.root / "boot/loader/entries").iterdir() if "fips=" in path.read_text()]


def test_the_only_fips_kernel_installed_again(in_fips: Host) -> None:  # noqa: F811
    """Its entry is new, without the mode where the host has no command line for new kernels."""
    is_done(in_fips.dnf("-y", "reinstall", "kernel-core-" + VALIDATED))
    assert choose(in_fips.root).fips_enabled


def test_strict(in_fips: Host) -> None:  # noqa: F811
    """The later FIPS build that the usual hold takes goes back to the validated one, and stays away."""
    assert any(nevra.startswith("openssl-1:3.0.7-20.el9_2.tuxcare.2") for nevra in in_fips.installed())
    is_done(in_fips.dnf("-y", "tuxcare", "fips", "enable", "--strict"))
    assert "openssl-1:3.0.7-20.el9_2.tuxcare.1.x86_64" in in_fips.installed()
    is_done(in_fips.dnf("-y", "upgrade"))
    assert "openssl-1:3.0.7-20.el9_2.tuxcare.1.x86_64" in in_fips.installed()
    told = in_fips.dnf("tuxcare", "fips", "status")
    assert told.returncode == 0 and "validated" in told.stdout and "compliant" not in told.stdout
    assert "held strictly" in is_done(in_fips.dnf("-y", "tuxcare", "fips", "enable"))  # once strict it stays so
    is_done(in_fips.dnf("-y", "upgrade"))
    assert "openssl-1:3.0.7-20.el9_2.tuxcare.1.x86_64" in in_fips.installed()


def test_without_plugins_the_files_hold_it(in_fips: Host) -> None:  # noqa: F811
    before = set_of(in_fips)
    for words in (["upgrade"], ["distro-sync"], ["install", "kernel-core-5.14.0-284.25.1.el9_2"], ["downgrade", "openssl"]):
        in_fips.dnf("-y", "--noplugins", *words)
        assert set_of(in_fips) == before and boots(in_fips) == VALIDATED, words


def test_a_reboot_that_is_due_is_told_once(host: Host) -> None:
    register(host)
    is_done(host.dnf("-y", "tuxcare", "fips", "enable"))
    told = [host.dnf("-y", command, "rsync").stderr for command in ("remove", "install", "remove")]
    assert ["reboot is due" in text for text in told] == [True, False, False]
    codes = {entry["code"] for entry in document(host.dnf("tuxcare", "status", "--check", "--json"), status=4)["findings"]}
    assert codes == {"fips"}
    with untouched(host):
        assert not document(host.dnf("-y", "tuxcare", "fips", "enable", "--json"))["changed"]
    host.reboot()
    assert is_done(host.dnf("tuxcare", "status", "--check")) == "Nothing to attend to.\n"
    path = host.root / "etc/yum.repos.d/almalinux-appstream.repo"
    whole = path.read_text()
    path.write_text(whole.replace("\nbaseurl=", "\nbaseurl=https://mirror.example.com/", 1))
    with untouched(host):  # an address that somebody has changed is held as well
        assert not document(host.dnf("-y", "tuxcare", "fips", "enable", "--json"))["changed"]
        assert "not held" not in host.dnf("tuxcare", "status", "--check").stdout
    path.write_text(whole.replace("excludepkgs=kernel ", "excludepkgs="))
    assert "not held" in host.dnf("tuxcare", "status", "--check").stdout
    is_done(host.dnf("-y", "tuxcare", "fips", "enable"))
    assert path.read_text() == whole


def test_the_way_back_is_kept_from_autoremove(in_fips: Host) -> None:  # noqa: F811
    kernels = {nevra for nevra in in_fips.installed() if nevra.startswith("kernel-core-")}
    assert "kernel-core-" + STOCK in kernels and not [
        nevra for nevra in in_fips.installed() if nevra.startswith("kernel-5") and "tuxcare" not in nevra]
    is_done(in_fips.dnf("-y", "autoremove"))
    assert {nevra for nevra in in_fips.installed() if nevra.startswith("kernel-core-")} == kernels
