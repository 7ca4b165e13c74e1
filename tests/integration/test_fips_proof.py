# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare fips status` and `fips report` on hosts that are off, pending, proved and broken; remedies of dnf's are run."""
import contextlib
import json
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import document, is_done, places_of, refused, register, untouched
from tests.sandbox import namespace, template
from tests.sandbox.boot import choose
from tests.sandbox.host import Host
from tests.sandbox.licences import ESSENTIAL_KEY, ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.signing import KeyRing
from tests.sandbox.universe import Universe

STOCK = "5.14.0-284.11.1.el9_2.x86_64"
KERNEL = "5.14.0-284.11.1.el9_2.tuxcare.6.x86_64"
INITRAMFS = "boot/initramfs-%s.img" % KERNEL
NETTLE = "usr/share/doc/nettle/README"
INACTIVE = "var/lib/sandbox-standins/openssl.inactive"
Damage = Callable[[Host], Any]


def status(host: Host, code: int = 4) -> Dict[str, Any]:
    return document(host.dnf("tuxcare", "fips", "status", "--json"), code)


def codes(told: Dict[str, Any]) -> List[str]:
    return [reason["code"] for reason in told["reasons"]]


def states(told: Dict[str, Any]) -> Dict[str, str]:
    return {module["name"]: module["state"] for module in told["modules"]}


def rpm(host: Host, *args: str) -> None:
    """rpm by hand, as an administrator does who is past asking dnf."""
    namespace.check([*namespace.as_root(), "rpm", "--root", str(host.root), *args], template.outside_env(host.root))


@pytest.fixture(scope="module")
def proved(universe: Universe, servers: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host in FIPS mode with exactly the validated builds, booted. Whoever damages it puts it right again."""
    hosts = Hosts(universe, servers, tmp_path_factory.mktemp("proved"), Path)
    host = hosts.by_installroot()
    register(host)
    assert status(host, 0)["verdict"] == "off"
    is_done(host.dnf("-y", "tuxcare", "fips", "enable"))
    pending = status(host)
    assert (pending["verdict"], codes(pending), pending["entered"]) == ("pending reboot", ["reboot"], True)
    host.reboot()
    yield host
    hosts.close()


@contextlib.contextmanager
def changed(host: Host, name: str, data: Optional[bytes]) -> Iterator[None]:
    """A file of the host's is another one for a while, or none."""
    path = host.root / name
    before = path.read_bytes() if path.exists() else None
    for content in (data, before):
        path.parent.mkdir(exist_ok=True)
        path.unlink() if content is None else path.write_bytes(content)
        if content is data:
            yield


# --- off ----------------------------------------------------------------------------------------------------------


def test_not_registered(host: Host, service: Service) -> None:
    with untouched(host, service):
        told = status(host, 3)
        shown = host.dnf("tuxcare", "fips", "status")
    assert told["verdict"] == "off" and set(states(told).values()) == {"neither"} and told["reasons"] == []
    assert shown.returncode == 3 and "dnf tuxcare register" in shown.stdout and shown.stderr == ""
    assert service.requests == []


def test_an_essential_host_has_no_set(host: Host) -> None:
    register(host, key=ESSENTIAL_KEY)
    told = status(host, 0)
    assert told["verdict"] == "off" and told["modules"] == []


@pytest.mark.parametrize("registered", [True, False], ids=["registered", "not registered"])
def test_every_remedy_leads_on(host: Host, registered: bool) -> None:
    """Where the mode was turned on by hand: dnf has no package of the set before `fips enable`, which needs a registration."""
    if registered:
        register(host)
    is_done(host.run(["fips-mode-setup", "--enable"]))
    host.reboot()
    told = document(host.dnf("tuxcare", "fips", "report", "--json"))
    wanted = "Run `dnf tuxcare fips enable`." if registered else "Register it with `dnf tuxcare register --fips`."
    assert {reason["remedy"] for reason in told["reasons"]} == {wanted, "Reboot."}
    assert {check["note"] for check in told["checks"] if check["result"] == "open"} == {wanted}
    words = wanted.split("`")[1].split()[1:]
    is_done(host.dnf("-y", *words, env={} if registered else {"TUXCARE_LICENSE_KEY": ESU_KEY}))
    host.reboot()
    assert status(host, 0)["verdict"] == "validated"


def test_remedies_of_a_host_that_is_off(host: Host) -> None:
    def notes() -> List[str]:
        checks = document(host.dnf("tuxcare", "fips", "report", "--json"))["checks"]
        return [check["note"] for check in checks if check["result"] == "open"]

    assert notes() == ["Register it with `dnf tuxcare register --fips`."] * 4
    register(host, key=ESSENTIAL_KEY)
    assert notes() == ["See `dnf tuxcare release --list`."] * 3


# --- proved -------------------------------------------------------------------------------------------------------


def test_validated(proved: Host) -> None:
    with untouched(proved):
        told = status(proved, 0)
        shown = is_done(proved.dnf("tuxcare", "fips", "status"))
        general = is_done(proved.dnf("tuxcare", "status"))
    assert told["verdict"] == "validated" and set(states(told).values()) == {"validated"} and len(told["modules"]) == 6
    parts = {part["nevra"].rsplit("-", 2)[0] for module in told["modules"] for part in module["parts"]}
    assert {"openssl-libs", "nss-softokn-freebl", "kernel-core"} <= parts and "nspr" not in parts and "kernel-tools" not in parts
    assert told["providers"][-1]["version"] == "3.0.7-1d2bd88ee26b3c90" and told["crypto_policy"]["applied"] == "FIPS"
    assert [entry["kernel"][14:] for entry in told["boot_entries"] if entry["default"] and entry["fips"]] == [KERNEL]
    for text in (shown, general):
        assert text.count("FIPS mode was verified at this boot: kernel %s" % KERNEL) == 1 and "validated" in text


BROKEN = {
    "file of a module altered": (NETTLE, b"x", "broken", ["file"]),
    "file of a module gone": (NETTLE, None, "broken", ["file"]),
    "initramfs gone": (INITRAMFS, None, "broken", ["boot-entry"]),
    "initramfs empty": (INITRAMFS, b"", "broken", ["boot-entry"]),
    "provider inactive": (INACTIVE, b"", "broken", ["provider"]),
    "policy not in effect": ("etc/crypto-policies/state/current", b"DEFAULT\n", "broken", ["crypto-policy"]),
    "policy another one": ("etc/crypto-policies/config", b"LEGACY\n", "broken", ["crypto-policy"]),
    "mode off": ("proc/sys/crypto/fips_enabled", b"0\n", "pending reboot", ["reboot"]),
    "another kernel runs": ("proc/sys/kernel/osrelease", STOCK.encode() + b"\n", "pending reboot", ["running-kernel"]),
    "another kernel is the default": ("boot/grub2/grubenv", b"saved_entry=0\n", "broken", ["boot-entry"]),
}


@pytest.mark.parametrize("name", sorted(BROKEN))
def test_one_thing_wrong(proved: Host, name: str) -> None:
    path, data, verdict, reasons = BROKEN[name]
    with changed(proved, path, data):
        told = status(proved)
    assert (told["verdict"], codes(told), told["verified"]) == (verdict, reasons, None)
    assert told["reasons"][0]["text"] and told["reasons"][0]["remedy"]


def test_another_entry_of_the_validated_kernel(proved: Host) -> None:
    """grubby tells the first of them by the kernel's path; what boots is the default one, here without FIPS mode."""
    folder, environment = proved.root / "boot/loader/entries", "boot/grub2/grubenv"
    entry = next(folder.glob("*-%s.conf" % KERNEL))
    other = entry.with_name(entry.stem + ".again.conf")
    other.write_text(entry.read_text().replace(" fips=1", ""))
    assert status(proved, 0)["verdict"] == "validated"
    with changed(proved, environment, b"saved_entry=%s\n" % other.stem.encode()):
        assert not choose(proved.root).fips_enabled
        told = status(proved)
        assert (told["verdict"], codes(told)) == ("broken", ["boot-entry"])
        assert [shown["fips"] for shown in told["boot_entries"] if shown["default"]] == [False]
        is_done(proved.dnf("-y", "tuxcare", "fips", "enable"))
        assert choose(proved.root).fips_enabled and status(proved, 0)["verdict"] == "validated"
    other.unlink()


def test_an_entry_for_one_boot_is_told(proved: Host) -> None:
    environment = "boot/grub2/grubenv"
    with changed(proved, environment, (proved.root / environment).read_bytes() + b"next_entry=0\n"):
        assert any("grub2-reboot" in note for note in status(proved, 0)["not_checked"])
    assert not any("grub2-reboot" in note for note in status(proved, 0)["not_checked"])


def test_enable_says_what_it_cannot_mend(proved: Host) -> None:
    with changed(proved, NETTLE, b"x"):
        told = document(proved.dnf("-y", "tuxcare", "fips", "enable", "--json"), 4)
    assert codes(told) == ["file"] and not told["changed"] and not told["reboot"]


def test_status_has_the_same_verdict(proved: Host) -> None:
    with changed(proved, INACTIVE, b""):
        told = document(proved.dnf("tuxcare", "status", "--json"))
        shown = is_done(proved.dnf("tuxcare", "status"))
    assert (told["fips"]["mode"], told["fips"]["verdict"]) == ("not validated", "broken") and codes(told["fips"]) == ["provider"]
    assert "on, broken" in shown and "openssl list -providers" in told["next"][-1] and "was verified" not in shown


def test_configuration_may_be_edited(proved: Host) -> None:
    with changed(proved, "etc/pki/tls/openssl.cnf", b"mine\n"):
        told = status(proved, 0)
    edited = [text for module in told["modules"] for part in module["parts"] for text in part["edited"]]
    assert told["verdict"] == "validated" and edited == ["/etc/pki/tls/openssl.cnf: changed"]


def test_openssl_that_cannot_be_asked_is_told_as_not_checked(proved: Host) -> None:
    with changed(proved, "var/lib/sandbox-standins/openssl.fail", b"127 list\n"):
        told = status(proved, 0)
    assert told["providers"] is None and any("openssl list -providers" in text for text in told["not_checked"])


def test_openssl_that_fails_has_no_provider(proved: Host) -> None:
    """As it does where its provider cannot be loaded in FIPS mode: then nothing is validated."""
    with changed(proved, "var/lib/sandbox-standins/openssl.fail", b"1 list\n"):
        told = status(proved)
    assert (told["verdict"], codes(told), told["verified"]) == ("broken", ["provider"], None)


def test_a_later_build_of_the_vendors_complies(proved: Host, universe: Universe) -> None:
    later = [str(universe.package(name, "1:3.0.7-20.el9_2.tuxcare.2")) for name in ("openssl", "openssl-libs")]
    validated = [str(universe.package(name, "1:3.0.7-20.el9_2.tuxcare.1")) for name in ("openssl", "openssl-libs")]
    rpm(proved, "-U", *later)
    told = status(proved, 0)
    assert told["verdict"] == "compliant" and states(told)["openssl"] == "compliant"
    assert "FIPS mode was verified" in told["verified"]
    rpm(proved, "-U", "--oldpackage", *validated)
    assert status(proved, 0)["verdict"] == "validated"


def test_a_build_of_the_community_that_was_forced_in(proved: Host, universe: Universe) -> None:
    """Of the module's second package alone, where the cryptography is; then what the remedy says."""
    rpm(proved, "-U", "--oldpackage", "--nodeps", str(universe.package("openssl-libs", "1:3.0.7-16.el9_2")))
    told = status(proved)
    assert told["verdict"] == "broken" and codes(told) == ["package"] and states(told)["openssl"] == "neither"
    remedy = told["reasons"][0]["remedy"].split("`")[1].split()
    assert remedy[0] == "dnf"
    is_done(proved.dnf("-y", *remedy[1:]))
    assert status(proved, 0)["verdict"] == "validated"


@pytest.mark.parametrize("name", ["nss-softokn-freebl", "openssl-libs", "kernel-modules-core-" + KERNEL])
def test_a_part_that_was_forced_out(proved: Host, name: str) -> None:
    """The module's own package alone has no cryptography in it, and of a kernel another one has the same parts; then what the
    remedy says."""
    rpm(proved, "-e", "--nodeps", name)
    told = status(proved)
    assert told["verdict"] == "broken" and set(codes(told)) == {"file"}
    remedy = told["reasons"][0]["remedy"].split("`")[1].split()
    is_done(proved.dnf("-y", *remedy[1:]))
    assert status(proved, 0)["verdict"] == "validated"


def test_a_file_that_another_package_has_replaced(proved: Host, universe: Universe, tmp_path: Path) -> None:
    """rpm -V looks no further at such a file; what stands there is no module's all the same."""
    other = universe.build_rpm(tmp_path, "example-crypto", "1-1", files={"/" + NETTLE: "x"})
    rpm(proved, "-i", "--replacefiles", str(other))
    told = status(proved)
    assert (told["verdict"], codes(told)) == ("broken", ["file"])
    rpm(proved, "-e", "example-crypto")
    is_done(proved.dnf("-y", "reinstall", "nettle"))
    assert status(proved, 0)["verdict"] == "validated"


@pytest.mark.parametrize("key, signed", [(None, "is not signed by"), ("ThirdParty", "is signed by the key ")])
def test_a_build_of_somebody_elses_under_the_validated_name(proved: Host, universe: Universe, tmp_path: Path,
                                                            key: Optional[str], signed: str) -> None:
    """rpm's own check of the signature is switched off; the database keeps what the package was signed with."""
    fake = universe.build_rpm(tmp_path, "nettle", "3.8-3.el9_2.tuxcare.1", "x86_64", key, vendor="TuxCare")
    rpm(proved, "-U", "--force", "--nosignature", "--nodigest", str(fake))
    told = status(proved)
    assert codes(told) == ["signature"] and signed in told["reasons"][0]["text"]
    assert universe.fingerprint("TuxCare")[-16:] in told["reasons"][0]["text"]
    is_done(proved.dnf("-y", *told["reasons"][0]["remedy"].split("`")[1].split()[1:]))
    assert {part["signer"] for module in status(proved, 0)["modules"] for part in module["parts"]} == {
        universe.fingerprint("TuxCare")[-16:].lower()}


def test_an_altered_file_comes_back_by_its_remedy(proved: Host) -> None:
    (proved.root / NETTLE).write_text("x")
    remedy = status(proved)["reasons"][0]["remedy"].split("`")[1].split()
    is_done(proved.dnf("-y", *remedy[1:]))
    assert status(proved, 0)["verdict"] == "validated"


def test_left_by_hand_is_told(host: Host, proved: Host) -> None:
    with changed(host, "var/lib/tuxcare/fips.json", (proved.root / "var/lib/tuxcare/fips.json").read_bytes()):
        told = status(host)
    assert (told["verdict"], codes(told)) == ("off", ["mode"])


# --- the report ---------------------------------------------------------------------------------------------------


def report(host: Host, *args: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    return host.dnf("tuxcare", "fips", "report", *args, **options)


def test_files_of_the_report(proved: Host, tmp_path: Path) -> None:
    page, data = tmp_path / "r.html", tmp_path / "r.json"
    with untouched(proved):
        shown = is_done(report(proved, str(page)))
        told = document(report(proved, str(data), "--json"))
        summary = is_done(report(proved))
    assert page.stat().st_mode & 0o7777 == 0o644 and sorted(tmp_path.iterdir())[:1] and "Written: %s" % page in shown
    assert json.loads(data.read_text()) == told and "FILE.html" in summary
    results = {check["id"]: check["result"] for check in told["checks"]}
    assert results["V-269125"] == results["V-269127"] == results["ALMA-09-009700"] == "not a finding"
    loose = [check["output"] for check in told["checks"] if check["id"] == "V-269126"][0]
    assert (results["V-269126"] == "open") == bool(loose) and "tuxcare" not in loose
    text = page.read_text()
    assert all(word in text for word in ("V-269126", KERNEL, "FIPS mode is enabled.", "tuxcare-esu", proved.host_name))
    token = (proved.root / "etc/dnf/vars/tuxcare_token").read_text().strip()
    assert token not in text + data.read_text()


def test_the_report_of_a_host_that_is_off(host: Host, tmp_path: Path) -> None:
    (host.root / "etc/hostname").unlink()  # an image; the name of this machine is none of its
    told = document(report(host, "--json"))
    assert told["host"] == "unknown"
    assert [check["result"] for check in told["checks"]] == ["open"] * 4 and all(check["note"] for check in told["checks"])
    assert told["verdict"] == "off" and told["product"] is None


@pytest.mark.parametrize("args, words", [
    (["r.pdf"], [".html"]), (["r"], [".json"]), (["no/r.html"], ["no folder"]), (["--sign", "K"], ["FILE"]),
    (["link.html"], ["symbolic link"]), (["vars/r.html"], ["dnf reads"]), (["repos/r.json"], ["dnf reads"]),
    (["folder.html"], ["folder.html"]), (["r.html", "--sign", "nobody"], ["No secret key"]),
], ids=" ".join)
def test_a_report_that_is_refused_leaves_nothing(host: Host, tmp_path: Path, args: List[str], words: List[str]) -> None:
    (tmp_path / "link.html").symlink_to("target.html")
    (tmp_path / "vars").symlink_to("/etc/dnf/vars")
    (tmp_path / "repos").symlink_to("/etc/yum.repos.d")
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "gnupg").mkdir(mode=0o700)
    folders = [path for path in (tmp_path, Path("/etc/dnf/vars"), Path("/etc/yum.repos.d")) if path.exists()]
    before = [sorted(path.iterdir()) for path in folders]
    named = [str(tmp_path / word) if word.endswith((".html", ".json", ".pdf", "r")) else word for word in args]
    refused(report(host, *named, env={"GNUPGHOME": str(tmp_path / "gnupg")}), *words)
    assert [sorted(path.iterdir()) for path in folders] == before


def test_a_report_is_signed(host: Host, universe: Universe, tmp_path: Path) -> None:
    page, key = tmp_path / "r.html", "packages@example.com"
    with KeyRing(universe.keys / "private") as ring:
        is_done(report(host, str(page), "--sign", key, env={"GNUPGHOME": str(ring.home)}))
        ring.gpg("--verify", str(page) + ".asc", str(page))
        page.write_text(page.read_text() + " ")
        with pytest.raises(RuntimeError):
            ring.gpg("--verify", str(page) + ".asc", str(page))
        (tmp_path / "f.html").mkdir()
        refused(report(host, str(tmp_path / "f.html"), "--sign", key, env={"GNUPGHOME": str(ring.home)}), "f.html")
    assert sorted(path.name for path in tmp_path.glob("*.html*")) == ["f.html", "r.html", "r.html.asc"]
    assert "earlier report" in report(host, str(page)).stderr


def test_a_dry_run_writes_nothing(host: Host, tmp_path: Path) -> None:
    assert "would be written" in is_done(report(host, str(tmp_path / "r.html"), "--dry-run"))
    assert not (tmp_path / "r.html").exists()


# --- who is not root ----------------------------------------------------------------------------------------------


def test_for_an_ordinary_user(slash_host: Host) -> None:
    register(slash_host)
    is_done(slash_host.dnf("-y", "tuxcare", "fips", "enable"))
    slash_host.reboot()
    told = document(slash_host.dnf("tuxcare", "fips", "status", "--json", user=template.USER))
    assert told["verdict"] == "validated" and told["not_checked"]
    is_done(slash_host.dnf("tuxcare", "fips", "report", "/tmp/mine.html", user=template.USER))
    assert (slash_host.root / "tmp/mine.html").stat().st_uid == 1000
    refused(slash_host.dnf("tuxcare", "fips", "report", "/root/mine.html", user=template.USER), "/root")
    assert places_of(slash_host, "V-269127") == ["tmp/mine.html"]
