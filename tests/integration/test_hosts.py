# SPDX-License-Identifier: Apache-2.0
"""Which hosts are held: the table of docs/pin.md, row by row, on a real package from past the pin."""
import re
import shutil
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import pytest

from tests.integration.conftest import Hosts
from tests.integration.outcome import is_done, register
from tests.sandbox import template
from tests.sandbox.host import PROJECT, Host
from tests.sandbox.licences import ESSENTIAL_KEY
from tests.sandbox.universe import Universe

# What a row prepares; gives dnf's options with which the package is tried, and where it would be installed.
Preparation = Callable[[Host, Universe], Tuple[List[str], str]]


def _vendors_tool(host: Host) -> None:
    """What the vendor's own tool leaves (FACTS 2): variables, marker, addresses; nothing of ours."""
    for name, text in (("dnf/vars/tuxcare_token", "SOME-token\n"), ("dnf/vars/tuxcare_releasever", "9.2\n"),
                       ("tuxcare-release", "TuxCare Enterprise Support for AlmaLinux release 9.2\n")):
        (host.root / "etc" / name).write_text(text)
    tree = "baseurl=https://repo.tuxcare.com/almalinux/$tuxcare_releasever/$tuxcare_token/"
    for path in (host.root / "etc/yum.repos.d").glob("almalinux*.repo"):
        text = re.sub(r"^mirrorlist=", "# mirrorlist=", path.read_text(), flags=re.M)
        path.write_text(re.sub(r"^# baseurl=https://repo.almalinux.org/almalinux/\$releasever/", tree, text, flags=re.M))


def _broken(host: Host) -> None:
    library = next(path for path in is_done(host.run(["rpm", "-ql", "dnf-plugin-tuxcare"])).splitlines()
                   if path.endswith("/tuxcare_lib"))
    is_done(host.run(["rm", "-r", library]))
    (host.root / "etc/dnf/plugins/tuxcare.conf").write_bytes(b"\xff banana")


def _image(host: Host, universe: Universe, files: bool = True) -> str:
    """A root of its own within the host; where it is, as the host sees it."""
    template.copy_root(template.open_template(universe, "9.2"), host.root / "srv/image")
    if not files:
        shutil.rmtree(str(host.root / "srv/image/etc/yum.repos.d"))
    return "/srv/image"


def nothing(host: Host, universe: Universe) -> Tuple[List[str], str]:
    return [], "/"


def nothing_broken(host: Host, universe: Universe) -> Tuple[List[str], str]:
    _broken(host)
    return [], "/"


def vendor(host: Host, universe: Universe) -> Tuple[List[str], str]:
    _vendors_tool(host)
    return [], "/"


def vendor_broken(host: Host, universe: Universe) -> Tuple[List[str], str]:
    _vendors_tool(host)
    _broken(host)
    return [], "/"


def registered(host: Host, universe: Universe) -> Tuple[List[str], str]:
    register(host)
    return [], "/"


def damaged(host: Host, universe: Universe) -> Tuple[List[str], str]:
    register(host)
    (host.root / "etc/tuxcare-release").unlink()
    return [], "/"


def root_of_its_own(host: Host, universe: Universe) -> Tuple[List[str], str]:
    image = _image(host, universe)
    is_done(host.dnf("--installroot=" + image, "tuxcare", "register", env={"TUXCARE_LICENSE_KEY": "ESU-SANDBOX5Q7K"}))
    assert not (host.root / "var/lib/tuxcare/registration.json").exists()
    return ["--installroot=" + image], image


def root_with_files_outside(host: Host, universe: Universe) -> Tuple[List[str], str]:
    options, image = root_of_its_own(host, universe)
    (host.root / "srv/outside").mkdir()
    return options + ["--setopt=reposdir=/srv/outside"], image


def root_without_files(host: Host, universe: Universe) -> Tuple[List[str], str]:
    register(host)
    image = _image(host, universe, files=False)
    return ["--installroot=" + image], image


def other_root(host: Host, universe: Universe) -> Tuple[List[str], str]:
    register(host)
    image = _image(host, universe)
    return ["--installroot=" + image], image


ROWS: Dict[str, Preparation] = {
    "not registered": nothing, "not registered, broken": nothing_broken, "vendor's tool": vendor,
    "vendor's tool, broken": vendor_broken, "registered": registered, "damaged": damaged, "root of its own": root_of_its_own,
    "root of its own, files outside": root_with_files_outside, "root without files": root_without_files,
    "other root": other_root,
}


def documented() -> Dict[str, str]:
    """What docs/pin.md says: {host: verdict}."""
    table = (PROJECT / "docs/pin.md").read_text().split("| host | what is there | verdict |")[1].split("\n\n")[0]
    return {name: verdict.split(":")[0].split(";")[0].strip()
            for name, verdict in re.findall(r"^\| `([^`]+)` \|[^|]+\| ([^|]+) \|$", table, re.M)}


@pytest.mark.parametrize("name", ROWS)
def test_a_host(hosts: Hosts, universe: Universe, name: str) -> None:
    assert list(documented()) == list(ROWS)
    host = hosts.slash()
    options, top = ROWS[name](host, universe)
    shutil.copy(str(universe.package("less", "590-4.el9_4")), str(host.root / "srv/less.rpm"))
    done = host.dnf("-y", "--nogpgcheck", "--disablerepo=*", *options, "install", "/srv/less.rpm")
    have = is_done(host.run(["rpm", "--root", top, "-q", "less"]))
    verdict = documented()[name]
    if verdict == "not hindered":
        assert "el9_4" in have and done.returncode == 0 and "tuxcare:" not in done.stderr, done.stderr
    else:
        errors = [line for line in done.stderr.splitlines() if line.startswith("Error: tuxcare: ")]
        assert "el9_4" not in have and done.returncode == 1 and len(errors) == 1, done.stdout + done.stderr
        assert ("past the pin" in errors[0]) == (verdict == "held") and verdict in ("held", "refused")
    assert "Traceback" not in done.stdout + done.stderr


def test_the_root_of_the_host_by_other_names(slash_host: Host, universe: Universe) -> None:
    register(slash_host)
    shutil.copy(str(universe.package("less", "590-4.el9_4")), str(slash_host.root / "srv/less.rpm"))
    for other in ("/", "//", "/.", "/usr/..", "/proc/self/root"):
        done = slash_host.dnf("-y", "--nogpgcheck", "--disablerepo=*", "--installroot=" + other, "install", "/srv/less.rpm")
        assert done.returncode == 1 and "past the pin" in done.stderr, (other, done.stderr)
    assert Path(slash_host.root / "etc/tuxcare-release").exists()


def test_a_pin_that_leads_away_from_esu_is_told(host: Host) -> None:
    done = host.dnf("-y", "tuxcare", "register", "--product", "essential", "--pin", "9.4",
                    env={"TUXCARE_LICENSE_KEY": ESSENTIAL_KEY})
    assert is_done(done) and "A host that has left 9.2 cannot come to Extended Security Updates any more" in done.stderr
    is_done(host.dnf("tuxcare", "release", "9.2"))
    assert (host.root / "etc/dnf/vars/tuxcare_releasever").read_text() == "9.2\n"
