# SPDX-License-Identifier: Apache-2.0
"""What `fips enable` tells before anything changes: each check by what really lies on a host, and what a person can do then."""
import subprocess
from pathlib import Path
from typing import Any, Dict, List

from tests.integration.outcome import document, is_done, refused, register, untouched
from tests.integration.terminal import typed
from tests.integration.test_fips import KERNEL, calls
from tests.integration.test_json import check
from tests.sandbox import luks
from tests.sandbox.host import Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe

SECURE_BOOT = "sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
UUID = "9f8b6c9e-3d0b-4f6f-9a55-1f2c4f0a7b11"
ED25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA== root@web1.example.com\n"
DRY = ("tuxcare", "fips", "enable", "--dry-run", "--json")


def put(host: Host, path: str, content: "str | bytes") -> None:
    place = host.root / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content.encode() if isinstance(content, str) else content)


def told(found: Dict[str, Any]) -> Dict[str, str]:
    """Text by code; the document is valid, and each check has all of its parts."""
    assert all(entry["text"] and entry["remedy"] for entry in found["checks"])
    return {entry["code"]: entry["text"] for entry in found["checks"]}


def install(host: Host, path: Path) -> None:
    """A package from elsewhere, whose dependencies this small universe does not have."""
    subprocess.run(["rpm", "--root", str(host.root), "--define", "_dbpath /var/lib/rpm", "-U", "--nodeps", str(path)], check=True)


def add_packages(host: Host, universe: Universe) -> None:
    rows: List[Dict[str, Any]] = [
        {"name": "example-vpn", "requires": ("libcrypto.so.3()(64bit)",), "vendor": "Example Packages"},
        {"name": "site-tool", "requires": ("libnettle.so.8()(64bit)",)},
        {"name": "osdist-tool", "requires": ("libgnutls.so.30()(64bit)",), "vendor": "AlmaLinux"},
        {"name": "plain-tool", "requires": ("libz.so.1()(64bit)",), "vendor": "Example Packages"},
        {"name": "kmod-example", "files": {"/lib/modules/5.14.0-284.30.1.el9_2.x86_64/extra/e.ko": "x"}},
        {"name": "example-dkms", "files": {"/usr/src/example-1.0/dkms.conf": "x"}},
        {"name": "kmod-ready", "files": {"/usr/lib/modules/%s/extra/r.ko" % KERNEL: "x"}},
    ]  # fmt: skip
    for row in rows:
        install(host, universe.build_rpm(host.directory / "rpms", evr="1-1", arch="x86_64", key=None, **row))


def test_everything_that_warns(host: Host, service: Service, universe: Universe) -> None:
    register(host)
    add_packages(host, universe)
    for name, line in (("rsa", "ecdsa-sha2-nistp256 AAAA\n"), ("ed25519", ED25519)):
        put(host, "etc/ssh/ssh_host_%s_key.pub" % name, line)
    put(host, "etc/ssh/sshd_config", "PasswordAuthentication no\n")
    put(host, "root/.ssh/authorized_keys", ED25519)
    put(host, "etc/crypttab", "data /srv/data.img - noauto\nmore UUID=%s\n" % UUID)
    put(host, "srv/data.img", luks.header("argon2id"))
    put(host, "dev/disk/by-uuid/" + UUID, luks.header("argon2id", "pbkdf2"))
    is_done(host.run(["update-crypto-policies", "--set", "LEGACY"]))
    is_done(host.run(["grubby", "--update-kernel=ALL", "--args=fips=0"]))
    with untouched(host, service):
        found = told(check(host.dnf(*DRY), schema="plan"))
        assert list(found) == ["kernel-arguments", "crypto-policy", "ssh-host-keys", "ssh-authorized-keys", "ssh-logins", "luks",
                               "libraries", "kernel-modules"]
        for code, words in {"kernel-arguments": "fips=0", "crypto-policy": "LEGACY", "ssh-authorized-keys": "/root/.ssh",
                            "luks": "/dev/disk/by-uuid/%s, /srv/data.img" % UUID, "libraries": ": example-vpn, site-tool.",
                            "kernel-modules": KERNEL + ": example-dkms, kmod-example."}.items():
            assert words in found[code], found[code]
        document(host.dnf("--assumeno", "tuxcare", "fips", "enable", "--json"), status=1)
    done = host.dnf("-y", "tuxcare", "fips", "enable", "--json")
    assert told(check(done, schema="fips-enable")) == found
    assert all(text in done.stderr for text in found.values())


def test_everything_that_blocks(host: Host, service: Service, universe: Universe) -> None:
    register(host)
    put(host, "run/.containerenv", "")
    put(host, "proc/mounts", "/dev/sda2 / xfs rw 0 0\n/dev/sda1 /boot xfs rw 0 0\n")
    put(host, "dev/disk/by-uuid/" + UUID, luks.header("argon2id"))
    is_done(host.run(["grubby", "--update-kernel=ALL", "--args=rd.luks.uuid=luks-" + UUID]))
    with untouched(host, service):
        for options in (DRY[:3] + ("--json", "-y"), DRY):
            error = check(host.dnf(*options), 1, "error")
            assert error["error"]["code"] == "preflight" and set(told(error)) == {"container", "boot-device", "luks-at-boot"}
        done = host.dnf("-y", "tuxcare", "fips", "enable")
        line, = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert done.returncode == 1 and "3 things" in line and line.endswith(
            ": container, boot-device, luks-at-boot. Each is told with its remedy.")
        assert all(word in done.stderr for word in (".containerenv", "/dev/sda1", UUID, "luksConvertKey", "fstab"))
    # The volume under / is opened at boot, whoever says so to the kernel.
    is_done(host.run(["grubby", "--update-kernel=ALL", "--remove-args=rd.luks.uuid"]))
    put(host, "proc/mounts", "/dev/dm-0 / xfs rw 0 0\n/dev/sda1 /boot xfs rw 0 0\n")
    put(host, "sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-x\n")
    put(host, "sys/class/block/dm-0/slaves/sda3/dev", "8:3\n")
    put(host, "dev/sda3", luks.header("argon2id"))
    assert "/dev/sda3" in told(check(host.dnf(*DRY), 1, "error"))["luks-at-boot"]
    (host.root / "dev/sda3").unlink()
    # Its remedies, one after the other.
    (host.root / "run/.containerenv").unlink()
    put(host, "etc/fstab", "# boot\nUUID=%s /boot xfs defaults 0 0\n" % UUID)
    put(host, "dev/disk/by-uuid/" + UUID, luks.header("pbkdf2"))
    assert told(check(host.dnf(*DRY), schema="plan")) == {}


def test_register_finds_it_before_it_takes_a_seat(host: Host, service: Service) -> None:
    put(host, ".dockerenv", "")
    with untouched(host, service):
        for option in ((), ("--dry-run",)):
            done = host.dnf("-y", "tuxcare", "register", "--fips", *option, env={"TUXCARE_LICENSE_KEY": ESU_KEY})
            refused(done, "/.dockerenv")
    assert service.requests == []


def test_secure_boot(host: Host, service: Service) -> None:
    register(host)
    put(host, SECURE_BOOT, b"\6\0\0\0\1")
    with untouched(host, service):
        refused(host.dnf("-y", "tuxcare", "fips", "enable"), "Secure Boot", "dnf install shim-x64")
    is_done(host.dnf("-y", "install", "shim-x64"))
    assert told(check(host.dnf(*DRY), schema="plan")) == {}


def test_too_little_room(slash_host: Host) -> None:
    """A real /boot of its own, and a real one that is too small."""
    register(slash_host)
    move = "cp -a /boot /tmp/b && mount -t tmpfs -o size=40m tmpfs /boot && cp -a /tmp/b/. /boot"
    is_done(slash_host.run(["sh", "-c", move]))
    put(slash_host, "etc/fstab", "UUID=%s /boot tmpfs defaults 0 0\n" % UUID)
    before = slash_host.installed()
    found = check(slash_host.dnf(*DRY), 1, "error")
    assert list(told(found)) == ["space"] and "/boot has 39 MiB free and needs 150 MiB" in found["error"]["message"]
    assert slash_host.installed() == before and calls(slash_host) == []
    is_done(slash_host.run(["mount", "-t", "tmpfs", "-o", "remount,size=400m", "tmpfs", "/boot"]))
    assert told(check(slash_host.dnf(*DRY), schema="plan")) == {}


def test_a_warning_is_asked_about_once(host: Host, service: Service) -> None:
    register(host)
    put(host, "etc/ssh/ssh_host_ed25519_key.pub", ED25519)
    with untouched(host, service):
        for answers in (["n"], ["y", "n"]):
            shown = typed(host, ["tuxcare", "fips", "enable"], [("[y/N]", answer + "\n") for answer in answers])
            assert shown.status == 1 and "sshd has none left" in shown.shown and "ssh-keygen" in shown.shown
            assert ("Transaction Summary" in shown.shown) == (answers[0] == "y")
        for options in ([], ["--assumeno"]):
            done = host.dnf(*options, "tuxcare", "fips", "enable", timeout=60)
            assert done.returncode == 1 and "sshd has none left" in done.stderr and "Transaction Summary" not in done.stdout
            assert len([line for line in done.stderr.splitlines() if line.startswith("Error: ")]) == 1
