# SPDX-License-Identifier: Apache-2.0
"""`dnf --installroot=DIR tuxcare …` in a host: DIR is configured, the host's own `/` is not touched, and the other way round."""
import subprocess
from typing import Dict, List, Set

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import document, is_done, refused, register
from tests.sandbox.host import Entry, Host
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service

IMAGE = "srv/image"
KEY = {"TUXCARE_LICENSE_KEY": ESU_KEY}


@pytest.fixture
def builder(hosts: Hosts) -> Host:
    """A host as `/` with an installed system of its own in /srv/image."""
    host, image = hosts.slash(), hosts.by_installroot()
    subprocess.run(["cp", "-a", str(image.root), str(host.root / IMAGE)], check=True)
    (host.root / IMAGE / "etc/dnf/plugins/tuxcare.conf").unlink()
    text = (host.root / IMAGE / "etc/dnf/dnf.conf").read_text()
    (host.root / IMAGE / "etc/dnf/dnf.conf").write_text(text.replace("sslcacert=", "#"))
    return host


def in_image(host: Host, *args: str) -> "subprocess.CompletedProcess[str]":
    return host.dnf("--installroot=/" + IMAGE, *args, env=KEY)


def parts(host: Host) -> Dict[bool, Dict[str, Entry]]:
    """The snapshot of the host's own files (False) and of the image's (True)."""
    found: Dict[bool, Dict[str, Entry]] = {False: {}, True: {}}
    noise = ("var/cache", "var/log", "var/lib/dnf", "var/lib/rpm", "tmp", "var/tmp")
    for path, entry in host.snapshot().items():
        inside = path.startswith(IMAGE + "/")
        if not (inside and path[len(IMAGE) + 1:].startswith(noise)):
            found[inside][path] = entry
    return found


def image_packages(host: Host) -> Set[str]:
    query = ["rpm", "--root", "/" + IMAGE, "-qa", "--qf", "%{NAME}-%{VERSION}-%{RELEASE}\n"]
    return set(is_done(host.run(query)).splitlines())


def image_keys(host: Host) -> str:
    return is_done(host.run(["rpm", "--root", "/" + IMAGE, "-q", "gpg-pubkey", "--qf", "%{SUMMARY}\n"]))


def test_the_image_is_configured_and_the_host_is_not(builder: Host, service: Service) -> None:
    before, own_keys = parts(builder), is_done(builder.run(["rpm", "-q", "gpg-pubkey"]))
    assert "TuxCare installed successfully" in is_done(in_image(builder, "tuxcare", "register"))
    after = parts(builder)
    assert after[False] == before[False] and after[True] != before[True]
    assert is_done(builder.run(["rpm", "-q", "gpg-pubkey"])) == own_keys
    assert "TuxCare (Software Signing Key)" in image_keys(builder)
    text = (builder.root / IMAGE / "etc/yum.repos.d/almalinux-baseos.repo").read_text()
    assert "baseurl=https://repo.tuxcare.com/almalinux/$tuxcare_releasever/$tuxcare_token/BaseOS/$basearch/os/" in text
    assert len(service.seats[ESU_KEY]) == 1

    assert document(in_image(builder, "tuxcare", "status", "--json"))["registered"] is True
    assert builder.dnf("tuxcare", "status").returncode == 3


def test_the_image_stays_within_its_release(builder: Host) -> None:
    is_done(in_image(builder, "tuxcare", "register"))
    before = builder.installed()
    done = in_image(builder, "-y", "upgrade")
    assert is_done(done) and done.stderr == ""
    have = image_packages(builder)
    assert "bash-5.1.8-6.el9_1.tuxcare.els1" in have and "almalinux-release-9.2-1.el9" in have
    assert builder.installed() == before


def test_what_is_told_to_run_is_for_the_image(builder: Host) -> None:
    """Typed as it stands it would be for the build host."""
    told = "dnf --installroot=/%s tuxcare register" % IMAGE
    assert told in in_image(builder, "tuxcare", "status").stdout
    assert told in in_image(builder, "tuxcare", "fips", "enable").stderr
    assert told in document(in_image(builder, "tuxcare", "fips", "enable", "--json", "-y"), status=3)["error"]["remedy"]
    plan = is_done(in_image(builder, "tuxcare", "register", "--dry-run"))
    assert "+# Written by `dnf tuxcare register`" in plan  # what a file will hold stays as it is
    is_done(in_image(builder, "tuxcare", "register"))
    (builder.root / IMAGE / "etc/dnf/vars/tuxcare_releasever").unlink()
    refused(in_image(builder, "-y", "upgrade"), "dnf --installroot=/%s tuxcare recover" % IMAGE)


def test_unregister_restores_the_image(builder: Host, service: Service) -> None:
    before, keys = parts(builder), image_keys(builder)
    is_done(in_image(builder, "tuxcare", "register"))
    assert "De-registration successful" in is_done(in_image(builder, "-y", "tuxcare", "unregister"))
    assert parts(builder) == before and image_keys(builder) == keys and ESU_KEY not in service.seats


def test_a_registered_hosts_image_is_another_host(builder: Host, service: Service) -> None:
    register(builder)
    before = parts(builder)
    assert in_image(builder, "tuxcare", "status").returncode == 3
    assert "Server is not registered" in is_done(in_image(builder, "-y", "tuxcare", "unregister"))
    is_done(in_image(builder, "tuxcare", "register"))
    assert parts(builder)[False] == before[False] and len(service.seats[ESU_KEY]) == 2
    is_done(in_image(builder, "-y", "tuxcare", "unregister"))
    assert parts(builder) == before and len(service.seats[ESU_KEY]) == 1


def test_an_image_that_is_not_registered_is_not_hindered(builder: Host) -> None:
    register(builder)
    done = in_image(builder, "-y", "upgrade", "less")
    assert is_done(done) and done.stderr == "" and "less-590-4.el9_4" in image_packages(builder)


@pytest.mark.parametrize("verb", [["register"], ["register", "--dry-run"], ["repos", "diff"]], ids=" ".join)
@pytest.mark.parametrize("what", ["no folder", "empty folder", "empty image"])
def test_an_image_without_repository_files_is_refused(builder: Host, service: Service, what: str, verb: List[str]) -> None:
    """The repository files that dnf falls back to are the host's, and not what was meant."""
    script = {"no folder": "rm -r /srv/image/etc/yum.repos.d", "empty folder": "rm /srv/image/etc/yum.repos.d/*",
              "empty image": "rm -r /srv/image && mkdir /srv/image"}[what]
    is_done(builder.run(["sh", "-c", script]))
    before = parts(builder)
    refused(in_image(builder, "tuxcare", *verb))
    assert parts(builder)[False] == before[False] and service.requests == [] and ESU_KEY not in service.seats


def test_fips_in_the_image(builder: Host) -> None:
    is_done(in_image(builder, "tuxcare", "register"))
    before = parts(builder)[False]
    is_done(in_image(builder, "-y", "tuxcare", "fips", "enable"))
    assert "kernel-5.14.0-284.11.1.el9_2.tuxcare.6" in image_packages(builder)
    entries = [path.read_text() for path in (builder.root / IMAGE / "boot/loader/entries").glob("*.conf")]
    assert entries and all("fips=1" in entry.split() for entry in entries)
    assert parts(builder)[False] == before


def test_what_an_image_calls_itself_does_nothing_to_the_terminal(host: Host, service: Service) -> None:
    """An image is anybody's work: its names are shown without what a terminal acts upon, and its host's as systemd sets it."""
    release = host.root / "usr/lib/os-release"
    release.write_text(release.read_text().replace('PRETTY_NAME="', 'PRETTY_NAME="\x1b]0;title\x07'))
    (host.root / "etc/hostname").write_text("web\x1b[2J5 .example.com.\n")
    assert "\ufffd]0;title\ufffdAlmaLinux 9.2" in host.dnf("tuxcare", "status").stdout
    register(host)
    assert list(service.seats[ESU_KEY]) == ["web2J5.example.com"]
    assert document(host.dnf("tuxcare", "status", "--check", "--json"))["findings"] == []
    repository = host.root / "etc/yum.repos.d/almalinux-appstream.repo"
    repository.write_text(repository.read_text().replace("enabled=1", "# \x1b[31m\twhite space stays\nenabled=1", 1))
    (host.root / "etc/hostname").write_text("x" * 65)
    shown = host.dnf("tuxcare", "status", "--check").stdout + is_done(host.dnf("tuxcare", "repos", "diff"))
    assert "its name is %s." % ("x" * 64) in shown
    release.write_text(release.read_text().replace("ID=", "# "))
    for args in (["status"], ["register", "--replace"], ["unregister", "--dry-run"]):
        done = host.dnf("tuxcare", *args, env=KEY)
        shown += done.stdout + done.stderr
    assert "\x1b" not in shown and "\ufffd[31m\twhite space stays" in shown
