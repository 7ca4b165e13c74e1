# SPDX-License-Identifier: Apache-2.0
"""Foreign dnf commands on a registered host: they stay within its release, and say nothing of ours."""
import re
import shutil
from pathlib import Path
from typing import Dict, List, Set

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import State, document, is_done, places_of, refused, register
from tests.sandbox import osfiles, template
from tests.sandbox.host import Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY
from tests.sandbox.packages import BUILDS
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

FIXES = {"bash-5.1.8-6.el9_1.tuxcare.els1.x86_64", "zlib-1.2.11-39.el9.tuxcare.els1.x86_64",
         "expat-2.5.0-1.el9.tuxcare.els1.x86_64", "curl-7.76.1-23.el9_2.4.tuxcare.els1.x86_64"}
COMMUNITY = {"kernel-5.14.0-284.30.1.el9_2.x86_64", "systemd-252-14.el9_2.3.x86_64"}
THIRD_PARTY = """\
[example]
name=Example Packages
baseurl=%s/thirdparty/9/$basearch/
gpgcheck=1
gpgkey=%s/thirdparty/RPM-GPG-KEY-ThirdParty
"""


def nevras_of(tree: str) -> Set[str]:
    """Every package of a tree of the universe, as `Host.installed` names it."""
    return {"%s-%s.%s" % (package.name, package.evr, package.arch)
            for build in BUILDS if build.tree.startswith(tree) for package, _ in build.packages()}


PAST = nevras_of("almalinux/9.4") - nevras_of("almalinux/9.2") - nevras_of("tuxcare/9.2")


def ours(text: str) -> List[str]:
    """Lines that speak of us, beside names of packages and repositories."""
    # dnf cuts the names of repositories where it shows a download.
    names = re.compile(r"tuxcare-(base|esu|fips)|\.tuxcare\.|^TuxCare Enterprise Support for AlmaLinux 9\.2 - ")
    own = re.compile("tuxcare|pinned|held on", re.I)
    return [line for line in text.splitlines() if own.search(line) and not names.search(line)]


# --- a plain upgrade ----------------------------------------------------------------------------------------------


@pytest.mark.registered
def test_it_stays_within_the_release_and_takes_the_fixes(any_host: Host) -> None:
    done = any_host.dnf("-y", "upgrade")
    assert ours(is_done(done)) == [] and done.stderr == ""
    have = any_host.installed()
    assert have >= FIXES | COMMUNITY and have & PAST == set()
    assert "held on 9.2" in is_done(any_host.dnf("tuxcare", "status"))


def test_without_registration_it_goes_on_to_the_newest_minor(slash_host: Host) -> None:
    """What all of this is for."""
    done = slash_host.dnf("-y", "upgrade")
    assert ours(is_done(done)) == [] and slash_host.installed() & PAST


@pytest.mark.registered
@pytest.mark.parametrize("args", [
    ["--noplugins"], ["--disableplugin=*"], ["--releasever=9"], ["--releasever=9.2"], ["-q"],
], ids=" ".join)
def test_also_so(slash_host: Host, args: List[str]) -> None:
    done = slash_host.dnf("-y", *args, "upgrade")
    assert is_done(done) is not None and slash_host.installed() >= FIXES
    assert slash_host.installed() & PAST == set()


@pytest.mark.registered(ESSENTIAL_KEY)
def test_essential(any_host: Host) -> None:
    done = any_host.dnf("-y", "upgrade")
    assert ours(is_done(done)) == [] and done.stderr == ""
    assert any_host.installed() >= COMMUNITY and any_host.installed() & (PAST | FIXES) == set()


API = """
import sys, dnf
base = dnf.Base()
base.conf.assumeyes = True
if "plugins" in sys.argv:
    base.init_plugins()
    base.pre_configure_plugins()
else:  # as libdnf's other clients do
    base.conf.substitutions.update_from_etc("/")
base.read_all_repos()
if "plugins" in sys.argv:
    base.configure_plugins()
base.fill_sack()
base.upgrade_all()
base.resolve()
for package in base.transaction.install_set:
    print(package)
if "run" in sys.argv:
    base.download_packages(list(base.transaction.install_set))
    base.do_transaction()
"""


@pytest.mark.registered
@pytest.mark.parametrize("args", [["plugins"], ["plugins", "run"], []], ids=["plugins", "plugins, for good", "no plugins"])
def test_the_python_api(slash_host: Host, args: List[str]) -> None:
    done = slash_host.run(["/usr/bin/python3", "-", *args], stdin=API)
    planned = set(is_done(done).split())
    assert planned >= FIXES and planned & PAST == set()
    if "run" in args:
        assert slash_host.installed() >= FIXES


@pytest.mark.registered
@pytest.mark.parametrize("args", [
    ["repolist"], ["list", "--installed", "bash"], ["info", "--installed", "bash"], ["--cacheonly", "repolist"],
], ids=" ".join)
def test_an_ordinary_user(slash_host: Host, args: List[str]) -> None:
    done = slash_host.dnf(*args, user=template.USER)
    assert done.returncode == 0 and done.stderr == "" and "$tuxcare" not in done.stdout


@pytest.mark.registered
def test_an_ordinary_users_own_cache(slash_host: Host, service: Service) -> None:
    """What needs the token is left out; no request with a literal variable goes out."""
    service.clear_requests()
    assert slash_host.dnf("makecache", user=template.USER).stderr == ""
    assert [record.path for record in service.requests if "tuxcare_" in record.path or record.status == 403] == []


@pytest.mark.registered
def test_the_token_is_not_in_the_history(any_host: Host) -> None:
    token = (any_host.root / "etc/dnf/vars/tuxcare_token").read_text().strip()
    is_done(any_host.dnf("-y", "upgrade"))
    assert places_of(any_host, token, folders=("etc", "var/lib", "root", "tmp")) == ["etc/dnf/vars/tuxcare_token"]


# --- other repositories -------------------------------------------------------------------------------------------


def add_third_party(host: Host, service: Service) -> None:
    url = "https://packages.example.com" if host.slash else service.url
    (host.root / "etc/yum.repos.d/example.repo").write_text(THIRD_PARTY % (url, url))


def test_a_third_party_goes_on_serving_its_packages(any_host: Host, service: Service) -> None:
    add_third_party(any_host, service)
    register(any_host)
    before = (any_host.root / "etc/yum.repos.d/example.repo").read_text()
    done = any_host.dnf("-y", "install", "example-agent-2.1", "example-tools", "example-dashboard")
    assert "example-agent-2.1-1.x86_64" in any_host.installed(), is_done(done) + done.stderr
    done = any_host.dnf("-y", "upgrade")
    assert ours(is_done(done)) == [] and done.stderr == ""
    assert "example-agent-2.2-1.x86_64" in any_host.installed() and any_host.installed() & PAST == set()
    assert (any_host.root / "etc/yum.repos.d/example.repo").read_text() == before


def test_a_third_partys_package_past_the_pin_is_out_of_sight(host: Host, service: Service) -> None:
    add_third_party(host, service)
    register(host)
    before = host.installed()
    assert host.dnf("-y", "install", "example-driver").returncode == 1
    assert host.installed() == before


@pytest.mark.registered
def test_a_community_tree_past_the_pin_is_disabled_and_told(slash_host: Host) -> None:
    (slash_host.root / "etc/yum.repos.d/mine.repo").write_text(
        "[mine]\nname=Mine\nbaseurl=https://repo.almalinux.org/almalinux/9.4/BaseOS/$basearch/os/\ngpgcheck=0\n")
    done = slash_host.dnf("-y", "upgrade")
    is_done(done)
    assert len([line for line in done.stderr.splitlines() if "mine" in line and "9.2" in line]) == 1
    assert slash_host.installed() >= FIXES and slash_host.installed() & PAST == set()


@pytest.mark.registered
def test_a_mirror_of_another_minor_does_not_move_the_host(host: Host, service: Service, universe: Universe) -> None:
    url = service.mount("/pub/", universe.tree("almalinux/9.4/BaseOS"))
    done = host.dnf("-y", "--repofrompath=x," + url, "--nogpgcheck", "upgrade")
    assert "Traceback" not in done.stderr and host.installed() & PAST == set()


@pytest.mark.registered
@pytest.mark.parametrize("args", [["-x", "rsync-3*", "install", "rsync-99"], ["-x", "rsync-3*", "install", "FILE"],
                                  ["--setopt=excludepkgs=rsync-3*", "upgrade"]], ids=["repository", "file", "setopt"])
def test_an_exclude_does_not_hide_an_installed_package_from_the_guard(
    host: Host, service: Service, universe: Universe, tmp_path: Path, args: List[str]
) -> None:
    package = universe.build_rpm(tmp_path, "rsync", "99-1.el9", vendor="Example")
    universe.index(tmp_path)
    url = service.mount("/x/", tmp_path)
    (host.root / "etc/yum.repos.d/x.repo").write_text("[x]\nname=X\nbaseurl=%s\ngpgcheck=0\n" % url)
    done = host.dnf("-y", "--nogpgcheck", *[str(package) if word == "FILE" else word for word in args])
    assert "Traceback" not in done.stderr and "rsync-3.2.3-19.el9.x86_64" in host.installed(), done.stdout


@pytest.mark.registered
def test_an_own_mirror_that_was_synchronized_too_far_refuses_every_plan(host: Host, service: Service, universe: Universe) -> None:
    with open(str(host.root / "etc/dnf/plugins/tuxcare.conf"), "a") as stream:
        stream.write("[pin]\ntrusted_url = %s\n" % service.mount("/fleet/", universe.tree("almalinux/9.4/BaseOS")))
    (host.root / "etc/yum.repos.d/fleet.repo").write_text("[fleet]\nname=F\nbaseurl=%s\ngpgcheck=0\n" % (service.url + "/fleet/"))
    before = host.installed()
    refused(host.dnf("-y", "upgrade", "less"), "fleet", "almalinux-release-9.4", "9.2")
    assert host.installed() == before
    is_done(host.dnf("-y", "--disablerepo=fleet", "upgrade", "less"))
    assert host.installed() & PAST == set()


@pytest.mark.registered
@pytest.mark.parametrize("name, evr", [("almalinux-release", "9.4-1.el9"), ("wget", "1.21.1-8.el9_4"), ("zlib", "1.2.11-40.el9")])
def test_a_package_file_past_the_pin_is_refused(host: Host, universe: Universe, name: str, evr: str) -> None:
    is_done(host.dnf("makecache"))
    before = State.of(host)
    done = host.dnf("-y", "--nogpgcheck", "--nobest", "install", str(universe.package(name, evr)))
    assert done.returncode == 1 and name in done.stdout + done.stderr and "Traceback" not in done.stderr
    assert before.changes(State.of(host)) == {} and before[1:] == State.of(host)[1:]


# --- a host that is not registered --------------------------------------------------------------------------------

CONFIGURATIONS: Dict[str, bytes] = {
    "junk": b"banana\n", "enabled=banana": b"[main]\nenabled = banana\n", "unknown keys": b"[banana]\nbanana = 1\n",
    "no text": bytes(range(256)), "bad values": b"[service]\ntimeout = soon\n", "empty": b"",
}


@pytest.mark.parametrize("text", CONFIGURATIONS.values(), ids=list(CONFIGURATIONS))
@pytest.mark.parametrize("registered_once", [False, True], ids=["fresh", "unregistered"])
def test_not_registered_means_never_hindered(host: Host, text: bytes, registered_once: bool) -> None:
    if registered_once:
        register(host)
        is_done(host.dnf("-y", "tuxcare", "unregister"))
    (host.root / "etc/dnf/plugins/tuxcare.conf").write_bytes(text)
    done = host.dnf("-y", "install", "--disablerepo=*", str(Universe.build().package("less", "590-4.el9_4")))
    assert "less-590-4.el9_4.x86_64" in host.installed(), done.stdout + done.stderr
    assert done.returncode == 0 and "tuxcare" not in (done.stdout + done.stderr).replace(str(host.root), "")


@pytest.mark.parametrize("gone", ["library", "catalogue"])
def test_not_registered_and_half_installed(slash_host: Host, gone: str) -> None:
    library = is_done(slash_host.run(["rpm", "-ql", "dnf-plugin-tuxcare"])).splitlines()
    suffix = "/tuxcare_lib" if gone == "library" else "/catalogue.conf"
    is_done(slash_host.run(["rm", "-r", next(path for path in library if path.endswith(suffix))]))
    done = slash_host.dnf("-y", "upgrade", "less")
    assert is_done(done) and done.stderr == "" and "less-590-4.el9_4.x86_64" in slash_host.installed()


@pytest.mark.parametrize("args", [["install", "tuxcare"], ["repoquery", "-l", "bash", "tuxcare"]], ids=" ".join)
def test_our_name_behind_another_command_is_a_word_like_any_other(slash_host: Host, args: List[str]) -> None:
    library = is_done(slash_host.run(["rpm", "-ql", "dnf-plugin-tuxcare"])).splitlines()
    is_done(slash_host.run(["rm", "-r", next(path for path in library if path.endswith("/tuxcare_lib"))]))
    done = slash_host.dnf("-y", *args)
    assert (done.returncode == 1) == ("Unable to find a match: tuxcare" in done.stderr) == (args[0] == "install")
    log = (slash_host.root / "var/log/dnf.log").read_text()
    assert "Command: dnf -y " + " ".join(args) in log and "(hidden)" not in log


# --- a registered host that is damaged ----------------------------------------------------------------------------


@pytest.mark.registered
def test_a_damaged_registration_fails_closed(slash_host: Host, service: Service) -> None:
    """Transactions are refused, a third party's too; reading goes on. All damages: test_fails_closed, test_own_code."""
    add_third_party(slash_host, service)
    is_done(slash_host.dnf("makecache"))
    shutil.rmtree(str(slash_host.root / "var/lib/tuxcare"))
    before = slash_host.installed()
    for args in (["install", "--disablerepo=*", "--enablerepo=example", "example-tools"], ["remove", "rsync"]):
        done = slash_host.dnf("-y", *args)
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert done.returncode == 1 and len(errors) == 1 and "tuxcare" in errors[0], done.stdout + done.stderr
        assert "Traceback" not in done.stderr
    assert slash_host.installed() == before
    assert slash_host.dnf("list", "--installed", "bash").returncode == 0


# --- Essential moves ----------------------------------------------------------------------------------------------


@pytest.mark.registered(ESSENTIAL_KEY)
def test_the_administrator_moves_an_essential_host(any_host: Host) -> None:
    (any_host.root / "etc/dnf/vars/tuxcare_releasever").write_text("9.4\n")
    is_done(any_host.dnf("-y", "upgrade"))
    assert {"almalinux-release-9.4-1.el9.x86_64", "kernel-5.14.0-427.42.1.el9_4.x86_64"} <= any_host.installed()
    # State and marker follow the first transaction that succeeds.
    assert (any_host.root / "etc/tuxcare-release").read_text() == "TuxCare Enterprise Support for AlmaLinux release 9.4\n"
    assert document(any_host.dnf("tuxcare", "status", "--json"))["pin"] == "9.4"
    again = any_host.dnf("-y", "upgrade")
    assert "Nothing to do" in is_done(again) and again.stderr == ""
    is_done(any_host.dnf("-y", "tuxcare", "unregister"))
    assert not (any_host.root / "etc/tuxcare-release").exists()


@pytest.mark.parametrize("key, value", [
    (ESU_KEY, "9.4"), (ESU_KEY, "9"), (ESSENTIAL_KEY, "9.6"), (ESSENTIAL_KEY, "8.10"), (ESSENTIAL_KEY, "9"),
    (ESSENTIAL_KEY, "banana"),
], ids=str)
def test_other_moves_are_refused(host: Host, key: str, value: str) -> None:
    register(host, key=key)
    (host.root / "etc/dnf/vars/tuxcare_releasever").write_text(value + "\n")
    before = host.installed()
    refused(host.dnf("-y", "remove", "rsync"), "tuxcare_releasever", "9.2")
    assert host.installed() == before
    (host.root / "etc/dnf/vars/tuxcare_releasever").write_text("9.2\n")
    is_done(host.dnf("-y", "upgrade"))
    assert host.installed() & PAST == set()


def test_a_host_of_9_4(hosts: Hosts) -> None:
    host = hosts.by_installroot("9.4")
    register(host, key=ESSENTIAL_KEY)
    is_done(host.dnf("-y", "upgrade"))
    assert "kernel-5.14.0-427.42.1.el9_4.x86_64" in host.installed()
    assert Path(host.root / "etc/almalinux-release").read_text() == osfiles.release_line("9.4")
