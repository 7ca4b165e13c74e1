# SPDX-License-Identifier: Apache-2.0
"""The stand-ins of grubby, fips-mode-setup, update-crypto-policies and openssl, run in a root made of packages alone."""

from pathlib import Path
from typing import List

import pytest

from tests.sandbox.universe import Universe
from tests.sandbox_tests.roots import FIPS_KERNEL, STOCK_KERNEL, Root, needs_root, needs_shell, stock_host

pytestmark = [needs_root, needs_shell]


@pytest.fixture
def host(tmp_path: Path) -> Root:
    """With the validated kernel beside the stock one."""
    root = stock_host(Universe.build(), tmp_path / "host")
    root.add(["tuxcare/9.2/fips"])
    root.dnf("install", "kernel-5.14.0-284.11.1.el9_2.tuxcare.6")
    return root


def fips_enabled(host: Root, value: str) -> None:
    (host.path / "root/proc/sys/crypto").mkdir(parents=True, exist_ok=True)
    (host.path / "root/proc/sys/crypto/fips_enabled").write_text(value + "\n")


def options(host: Root) -> List[str]:
    texts = [path.read_text() for path in (host.path / "root/boot/loader/entries").iterdir()]
    return [line for text in texts for line in text.splitlines() if line.startswith("options ")]


def test_grubby_chooses_the_default(host: Root) -> None:
    for kernel in (STOCK_KERNEL, FIPS_KERNEL):
        said = host.run("grubby", "--set-default=/boot/vmlinuz-" + kernel)
        assert said.startswith("The default is /boot/loader/entries/")
        assert said.endswith("and kernel /boot/vmlinuz-%s\n" % kernel)
        assert host.run("grubby", "--default-kernel") == "/boot/vmlinuz-%s\n" % kernel
    assert host.run("grubby", "--set-default", "/boot/vmlinuz-none", status=1) == (
        "The param /boot/vmlinuz-none is incorrect\n"
    )
    assert host.run("grubby", "--default-kernel") == "/boot/vmlinuz-%s\n" % FIPS_KERNEL
    info = host.run("grubby", "--info=ALL")
    assert info.count("index=") == 2 and 'root="/dev/mapper/almalinux-root"' in info


def test_grubby_changes_arguments(host: Root) -> None:
    before = options(host)
    host.run("grubby", "--update-kernel=ALL", "--args=fips=1 boot=UUID=1-2")
    assert all(line.endswith(" fips=1 boot=UUID=1-2") for line in options(host))
    host.run("grubby", "--update-kernel=ALL", "--args=fips=0")
    assert not [line for line in options(host) if "fips=1" in line]
    host.run("grubby", "--update-kernel", "ALL", "--remove-args", "fips boot")
    assert options(host) == before


def test_a_kernel_that_goes_takes_its_entry(host: Root) -> None:
    host.run("grubby", "--set-default=/boot/vmlinuz-" + FIPS_KERNEL)
    host.dnf("remove", "kernel*tuxcare*")
    assert not (host.path / "root/boot" / ("vmlinuz-" + FIPS_KERNEL)).exists()
    assert host.run("grubby", "--default-kernel") == "/boot/vmlinuz-%s\n" % STOCK_KERNEL


def test_fips_mode_on_and_off(host: Root) -> None:
    assert host.run("fips-mode-setup", "--check") == (
        "Installation of FIPS modules is not completed.\nFIPS mode is disabled.\n"
    )
    said = host.run("fips-mode-setup", "--enable")
    assert said.endswith("FIPS mode will be enabled.\nPlease reboot the system for the setting to take effect.\n")
    assert host.run("fips-mode-setup", "--check") == "FIPS mode is disabled.\n"
    host.run("fips-mode-setup", "--is-enabled", status=2)
    assert "fips" not in host.run("openssl", "list", "-providers")
    fips_enabled(host, "1")
    assert host.run("openssl", "list", "-providers").endswith(
        "  fips\n    name: OpenSSL FIPS Provider for AlmaLinux 9\n    version: 3.0.7-1d2bd88ee26b3c90\n    status: active\n")
    host.run("openssl", "version", status=1)
    assert host.run("fips-mode-setup", "--check") == "FIPS mode is enabled.\n"
    assert host.run("fips-mode-setup", "--is-enabled") == ""
    assert host.run("update-crypto-policies", "--show") == "FIPS\n"
    assert all(line.endswith(" fips=1") for line in options(host))
    host.run("fips-mode-setup", "--disable")
    host.run("fips-mode-setup", "--is-enabled", status=1)
    assert "Inconsistent state detected." in host.run("fips-mode-setup", "--check", status=1)
    fips_enabled(host, "0")
    host.run("fips-mode-setup", "--is-enabled", status=2)
    assert host.run("update-crypto-policies", "--show") == "DEFAULT\n"
    assert all(line.endswith(" fips=0") for line in options(host))


def test_crypto_policies(host: Root) -> None:
    host.run("update-crypto-policies", "--set", "FUTURE:AD-SUPPORT")
    assert host.run("update-crypto-policies", "--show") == "FUTURE:AD-SUPPORT\n"
    assert host.run("update-crypto-policies", "--is-applied") == "The configured policy is applied\n"
    assert "Unknown policy `NONE`" in host.run("update-crypto-policies", "--set", "NONE", status=1)
    assert host.run("update-crypto-policies", "--show") == "FUTURE:AD-SUPPORT\n"


def test_calls_are_logged_and_fail_on_order(host: Root) -> None:
    orders = host.path / "root/var/lib/sandbox-standins"
    orders.mkdir()
    (orders / "fips-mode-setup.fail").write_text("7 --enable\n")
    host.run("fips-mode-setup", "--enable", status=7)
    host.run("fips-mode-setup", "--check")
    host.run("grubby", "--default-kernel")
    assert host.read("var/log/standins.log").splitlines() == [
        "fips-mode-setup --enable",
        "fips-mode-setup --check",
        "grubby --default-kernel",
    ]
