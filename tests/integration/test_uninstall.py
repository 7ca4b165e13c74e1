# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare uninstall`: out of FIPS mode, the community's packages, unregistered; in two stages on a kernel of TuxCare's."""
import re
from typing import Dict, List

import pytest

from tests.integration.fips_host import (
    NEWEST, STOCK, THIRD_PARTY, VALIDATED, grown, in_fips, left, name_of, newest_of, of_tuxcare,
    remove_community_kernels, twice, upgraded,
)
from tests.integration.outcome import document, is_done, register, trusted_keys, untouched
from tests.integration.test_fips import boot_entries, calls, enable
from tests.integration.test_installroot import builder, image_packages, in_image, parts
from tests.sandbox.host import Entry, Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

__all__ = ["builder", "grown", "in_fips", "left", "upgraded"]  # fixtures

AGAIN = "A reboot is due. Then run `dnf tuxcare uninstall` again"


def uninstall(host: Host, *args: str) -> str:
    done = host.dnf("-y", "tuxcare", "uninstall", *args)
    assert "Error" not in done.stderr
    return is_done(done)


def files(host: Host) -> Dict[str, Entry]:
    """What has to come back; the empty folder that fips-mode-setup makes is not ours to take away."""
    return {path: entry for path, entry in host.snapshot().items()
            if path.startswith(("etc/", "var/lib/tuxcare")) and path != "etc/dracut.conf.d"}


def is_clean(host: Host, release: str = "9.2") -> None:
    """Nothing of TuxCare's is left, and what is there is a release's newest, each once."""
    have = host.installed()
    assert of_tuxcare(have) == set() and twice(host) == []
    newest = newest_of(release)
    strangers = {nevra for nevra in have if name_of(nevra) in newest and nevra != newest[name_of(nevra)]}
    assert {nevra for nevra in strangers if not name_of(nevra).startswith("kernel")} == set()
    assert list(host.root.glob("var/lib/tuxcare/*")) == []  # the package has the folder itself
    assert host.dnf("tuxcare", "status").returncode == 3


def boots(host: Host, kernel: str) -> None:
    """By default this kernel, not in FIPS mode, with the arguments that it had from its installation."""
    words = [word for entry in boot_entries(host) for word in entry.split()]
    assert not [word for word in words if word.startswith(("fips=", "boot="))]
    booted = host.reboot()
    assert (booted.osrelease, booted.fips_enabled) == (kernel, False)


# --- the whole way ------------------------------------------------------------------------------------------------


def test_there_and_back(any_host: Host, service: Service) -> None:
    is_done(any_host.run(["update-crypto-policies", "--set", "DEFAULT:SHA1"]))
    before, keys = files(any_host), trusted_keys(any_host)
    register(any_host)
    is_done(any_host.dnf("-y", "upgrade"))
    enable(any_host)
    assert any_host.reboot().osrelease == VALIDATED and len(of_tuxcare(any_host.installed())) > 15

    packages = any_host.installed()
    said = uninstall(any_host)
    assert AGAIN in said and "grubby --set-default=/boot/vmlinuz-" + NEWEST in said
    assert any_host.installed() == packages and len(service.seats[ESU_KEY]) == 1
    assert document(any_host.dnf("tuxcare", "status", "--json"))["fips"]["crypto_policy"] == "DEFAULT:SHA1"
    with untouched(any_host, service):
        assert AGAIN in is_done(any_host.dnf("tuxcare", "uninstall"))

    boots(any_host, NEWEST)
    assert "Complete!" in uninstall(any_host)
    is_clean(any_host)
    assert files(any_host) == before and trusted_keys(any_host) == keys and ESU_KEY not in service.seats
    boots(any_host, NEWEST)
    assert "FIPS mode is disabled." in any_host.run(["fips-mode-setup", "--check"]).stdout
    assert any_host.run(["update-crypto-policies", "--show"]).stdout == "DEFAULT:SHA1\n"
    with untouched(any_host, service):
        assert is_done(any_host.dnf("tuxcare", "uninstall")) == "Nothing to do.\n"


def test_in_one_stage_without_fips(upgraded: Host, service: Service) -> None:
    said = uninstall(upgraded)
    assert "reboot" not in said.lower() and "next `dnf upgrade` takes it to the newest minor release" in said
    is_clean(upgraded)
    assert ESU_KEY not in service.seats and upgraded.installed() >= THIRD_PARTY
    assert [call for call in calls(upgraded) if not call.startswith("grubby --default")] == []


def test_an_essential_host(host: Host, service: Service, universe: Universe) -> None:
    """Its repositories have none of the vendor's builds, so it has what it had before."""
    before = files(host)
    fix = universe.package("expat", "2.5.0-1.el9.tuxcare.els1")
    is_done(host.dnf("-y", "--disablerepo=*", "--nogpgcheck", "install", str(fix)))
    register(host, key=ESSENTIAL_KEY)
    packages = host.installed()
    uninstall(host)
    assert packages ^ host.installed() == {"expat-2.5.0-1.el9.tuxcare.els1.x86_64", "expat-2.5.0-1.el9.x86_64"}
    assert files(host) == before and ESSENTIAL_KEY not in service.seats


def test_a_host_that_has_none_of_the_packages_is_only_unregistered(host: Host, service: Service) -> None:
    before, packages = files(host), host.installed()
    register(host)
    said = uninstall(host)
    assert "De-registration successful" in said and "Complete!" not in said
    assert files(host) == before and host.installed() == packages and ESU_KEY not in service.seats


def community(host: Host, service: Service) -> None:
    """By --installroot the community's names lead nowhere: its repositories are to be had from the sandbox."""
    for path in (host.root / "etc/yum.repos.d").glob("almalinux*.repo"):
        text = path.read_text().replace("\nmirrorlist=", "\n#mirrorlist=")
        path.write_text(text.replace("# baseurl=https://repo.almalinux.org/", "baseurl=%s/" % service.url))


@pytest.mark.parametrize("args", [[], ["--local"]], ids=["", "--local"])
def test_after_unregister_the_packages_come_back(upgraded: Host, service: Service, args: List[str]) -> None:
    """The host is not held any more: what the community's repositories have by then is a later minor's."""
    is_done(upgraded.dnf("-y", "tuxcare", "unregister"))
    community(upgraded, service)
    service.clear_requests()
    vendors = {name_of(nevra) for nevra in of_tuxcare(upgraded.installed())}
    uninstall(upgraded, *args)
    have = upgraded.installed()
    assert of_tuxcare(have) == set() and twice(upgraded) == []
    assert {newest_of("9.4")[name] for name in vendors} <= have >= THIRD_PARTY
    assert not [record for record in service.requests if "/token/" in record.path]
    assert is_done(upgraded.dnf("tuxcare", "uninstall")) == "Nothing to do.\n"


def test_after_unregister_in_fips_mode(in_fips: Host, service: Service) -> None:
    is_done(in_fips.dnf("-y", "tuxcare", "unregister"))
    community(in_fips, service)
    assert AGAIN in uninstall(in_fips)
    boots(in_fips, NEWEST)
    uninstall(in_fips)
    assert of_tuxcare(in_fips.installed()) == set() and list(in_fips.root.glob("var/lib/tuxcare/*")) == []
    assert not in_fips.reboot().fips_enabled


def test_before_the_reboot_into_the_mode(host: Host) -> None:
    """The kernel that runs is the community's still, so there is one stage."""
    is_done(host.run(["update-crypto-policies", "--set", "DEFAULT:SHA1"]))
    before, packages = files(host), host.installed()
    register(host)
    enable(host)
    assert "reboot" not in uninstall(host).lower() and of_tuxcare(host.installed()) == set()
    assert host.run(["update-crypto-policies", "--show"]).stdout == "DEFAULT:SHA1\n"
    assert files(host) == before and {nevra for nevra in packages if nevra.startswith("kernel")} <= host.installed()
    boots(host, STOCK)


def test_third_party_packages_stay(left: Host) -> None:
    uninstall(left)
    assert left.installed() >= THIRD_PARTY
    assert (left.root / "var/lib/example-agent/state").read_text() == "installed\n"


def test_a_package_that_the_community_does_not_have_goes(upgraded: Host) -> None:
    is_done(upgraded.dnf("-y", "install", "amazon-efs-utils", "tuxcare-release"))
    said = uninstall(upgraded)
    assert re.search(r"Removed:\s.*amazon-efs-utils", said, re.S)
    is_clean(upgraded)
    assert {"amazon-efs-utils", "tuxcare-release"}.isdisjoint(map(name_of, upgraded.installed()))


def test_companions_of_another_architecture_come_back_too(upgraded: Host) -> None:
    is_done(upgraded.dnf("-y", "install", "openssl-libs.i686"))
    assert any(nevra.endswith(".i686") for nevra in of_tuxcare(upgraded.installed()))
    uninstall(upgraded)
    assert "openssl-libs-1:3.0.7-16.el9_2.i686" in upgraded.installed() and of_tuxcare(upgraded.installed()) == set()


# --- the first stage ----------------------------------------------------------------------------------------------


def test_with_the_validated_kernel_alone_another_is_installed_first(in_fips: Host) -> None:
    remove_community_kernels(in_fips)
    told = document(in_fips.dnf("-y", "tuxcare", "uninstall", "--json"))
    assert "kernel-core-" + NEWEST in told["installed"] and told["erased"] == [] and told["reboot"]
    assert "kernel-core-" + VALIDATED in in_fips.installed()
    with untouched(in_fips):
        assert AGAIN in is_done(in_fips.dnf("tuxcare", "uninstall"))
    boots(in_fips, NEWEST)
    uninstall(in_fips)
    is_clean(in_fips)
    boots(in_fips, NEWEST)


def test_dry_run_with_the_validated_kernel_alone(in_fips: Host, service: Service) -> None:
    remove_community_kernels(in_fips)
    with untouched(in_fips, service):
        told = document(in_fips.dnf("tuxcare", "uninstall", "--dry-run", "--json"))
    assert "Install kernel-core-" + NEWEST in told["packages"]
    assert ["fips-mode-setup", "--disable"] in told["commands"]


def test_a_boot_argument_of_the_mode_goes_with_it(host: Host) -> None:
    """fips-mode-setup adds boot= where /boot is a file system of its own, and leaves it behind."""
    (host.root / "proc/mounts").write_text("/dev/sda2 /boot xfs rw 0 0\n")
    (host.root / "etc/fstab").write_text("UUID=1b2c3d4e-0000-4000-8000-000000000000 /boot xfs defaults 0 0\n")
    register(host)
    enable(host)
    assert all("boot=/dev/sda2" in entry.split() for entry in boot_entries(host))
    host.reboot()
    uninstall(host)
    boots(host, STOCK)


def test_arguments_that_were_there_before_stay(host: Host) -> None:
    is_done(host.run(["grubby", "--update-kernel=ALL", "--args=boot=/dev/sdb1 fips=0"]))
    before = boot_entries(host)
    register(host)
    enable(host)
    host.reboot()
    uninstall(host)
    host.reboot()
    uninstall(host)
    assert [sorted(entry.split()) for entry in boot_entries(host)] == [sorted(entry.split()) for entry in before]


def test_what_is_not_remembered_is_the_default(in_fips: Host) -> None:
    """A host that entered the mode by hand: the newest kernel of the community, the policy DEFAULT."""
    (in_fips.root / "var/lib/tuxcare/fips.json").unlink()
    is_done(in_fips.run(["update-crypto-policies", "--set", "FIPS:OSPP"]))
    uninstall(in_fips)
    assert in_fips.run(["update-crypto-policies", "--show"]).stdout == "DEFAULT\n"
    boots(in_fips, NEWEST)


def test_a_policy_of_the_mode_before_the_mode(host: Host) -> None:
    """Some sites have FIPS as their policy without the mode: that is what comes back."""
    is_done(host.run(["update-crypto-policies", "--set", "FIPS"]))
    register(host)
    enable(host)
    host.reboot()
    assert AGAIN in uninstall(host)
    assert host.run(["update-crypto-policies", "--show"]).stdout == "FIPS\n"
    boots(host, STOCK)


def test_the_remembered_kernel_may_be_gone(in_fips: Host) -> None:
    is_done(in_fips.dnf("-y", "remove", "kernel-core-" + NEWEST))
    uninstall(in_fips)
    boots(in_fips, STOCK)
    uninstall(in_fips)
    is_clean(in_fips)
    boots(in_fips, STOCK)


def test_back_into_the_mode_after_the_first_stage(left: Host) -> None:
    enable(left)
    assert (left.reboot().osrelease, left.reboot().fips_enabled) == (VALIDATED, True)
    assert AGAIN in uninstall(left)
    boots(left, NEWEST)


# --- another root -------------------------------------------------------------------------------------------------


def test_in_an_image(builder: Host, service: Service) -> None:
    """The image's packages and registration go back, the host's own stay."""
    register(builder)
    outside = parts(builder)[False]
    is_done(in_image(builder, "tuxcare", "register"))
    is_done(in_image(builder, "-y", "upgrade", "bash", "openssl"))
    assert len(service.seats[ESU_KEY]) == 2
    is_done(in_image(builder, "-y", "tuxcare", "uninstall"))
    assert {"bash-5.1.8-6.el9_1", "openssl-3.0.7-16.el9_2"} <= image_packages(builder)
    assert in_image(builder, "tuxcare", "status").returncode == 3 and len(service.seats[ESU_KEY]) == 1
    assert parts(builder)[False] == outside


def test_disable_where_the_kernel_that_becomes_the_default_alone_has_the_arguments(in_fips: Host) -> None:
    stock = "/boot/vmlinuz-" + STOCK
    for command in (["grubby", "--set-default=" + stock], ["grubby", "--update-kernel=" + stock, "--remove-args=fips=1"],
                    ["update-crypto-policies", "--no-reload", "--set", "DEFAULT"]):
        assert in_fips.run(command).returncode == 0
    assert "--set-default" not in is_done(in_fips.dnf("tuxcare", "uninstall", "--dry-run"))  # it was chosen since, and stays
    is_done(in_fips.dnf("-y", "tuxcare", "fips", "disable"))
    assert "fips=" not in in_fips.run(["grubby", "--info=ALL"]).stdout
    booted = in_fips.reboot()
    assert (booted.osrelease, booted.fips_enabled) == (STOCK, False)


def test_disable_of_what_was_in_fips_mode_before(upgraded: Host) -> None:
    """By hand: then that is how it was, and it is not said that the mode is off."""
    assert upgraded.run(["fips-mode-setup", "--enable"]).returncode == 0
    is_done(upgraded.dnf("-y", "tuxcare", "fips", "enable"))
    said = is_done(upgraded.dnf("-y", "tuxcare", "fips", "disable"))
    assert "was in FIPS mode, too" in said and "is off" not in said and upgraded.reboot().fips_enabled
    assert "FIPS mode is off from the next boot" in is_done(upgraded.dnf("-y", "tuxcare", "fips", "disable"))
