# SPDX-License-Identifier: Apache-2.0
"""The life of an aarch64 host in FIPS mode; its validated set is kernel and openssl alone."""
from pathlib import Path

from tests.integration.fips_host import name_of, of_tuxcare
from tests.integration.outcome import document, is_done, register
from tests.sandbox.host import Host
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

KERNEL = "5.14.0-284.11.1.el9_2.tuxcare.6.aarch64"
SET = {"kernel-" + KERNEL, "openssl-1:3.0.7-20.el9_2.tuxcare.1.aarch64", "openssl-libs-1:3.0.7-20.el9_2.tuxcare.1.aarch64"}
LATER = {"openssl-1:3.0.7-20.el9_2.tuxcare.2.aarch64", "gnutls-3.7.6-21.el9_2.tuxcare.els1.aarch64"}


def test_the_whole_life(universe: Universe, service: Service, tmp_path: Path) -> None:
    with Host.create(universe, service, tmp_path / "host", arch="aarch64") as host:
        before = host.installed()
        register(host)
        is_done(host.dnf("-y", "tuxcare", "fips", "enable"))
        assert host.installed() >= SET and not [nevra for nevra in host.installed() if nevra.endswith(("x86_64", "i686"))]
        booted = host.reboot()
        assert (booted.osrelease, booted.fips_enabled) == (KERNEL, True)
        told = document(host.dnf("tuxcare", "fips", "status", "--json"))
        assert told["verdict"] == "validated" and {module["name"] for module in told["modules"]} == {"kernel", "openssl"}

        is_done(host.dnf("-y", "upgrade"))
        assert host.installed() >= LATER and "kernel-core-5.14.0-284.30.1.el9_2.aarch64" not in host.installed()
        assert document(host.dnf("tuxcare", "fips", "status", "--json"))["verdict"] == "compliant"

        is_done(host.dnf("-y", "tuxcare", "fips", "disable", "--packages"))
        assert not host.reboot().fips_enabled
        (reason,) = document(host.dnf("tuxcare", "fips", "status", "--json"), 4)["reasons"]
        is_done(host.dnf("-y", *reason["remedy"].split("`")[1].split()[1:]))  # the rest, as it is told
        assert {name_of(nevra) for nevra in of_tuxcare(host.installed())} & {"kernel", "kernel-core", "openssl"} == set()
        is_done(host.dnf("-y", "tuxcare", "uninstall"))
        assert of_tuxcare(host.installed()) == set() and host.dnf("tuxcare", "status").returncode == 3
        assert {name_of(nevra) for nevra in host.installed()} >= {name_of(nevra) for nevra in before}
