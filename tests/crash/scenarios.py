# SPDX-License-Identifier: Apache-2.0
"""The verbs that change something, each with the host that it begins on."""

import os
from pathlib import Path
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from tests.crash.injector import OURS, RPMS
from tests.sandbox.host import Host

__all__ = ["PREPARED", "SCENARIOS", "Scenario", "Step"]

_REPOSITORIES = "etc/yum.repos.d"


class Scenario(NamedTuple):
    """`products` are those of the licence keys that a point has for itself: the host's own, then the one to be asked with.

    `registered` tells whether the first of them is the host's at the beginning; `asks_with` which key the verb is given.
    `mends` says that the verb is `recover` itself, so the host is whole after any kill and a second one. `packages`: it
    installs some, so packages and boot loader are looked at as well. `places` are those whose calls are counted, `kills_at`
    and `faults_at` at how many of them, by chance, it is killed and refused (None: at all), `is_lost`: also on the model of
    lost writes.
    """

    name: str
    args: Tuple[str, ...]
    prepared: str
    products: Tuple[str, ...] = ("esu",)
    registered: bool = True
    asks_with: int = -1
    mends: bool = False
    packages: bool = False
    places: Tuple[str, ...] = OURS
    kills_at: Optional[int] = None
    faults_at: Optional[int] = None
    is_lost: bool = True


# `dnf …` of a host in preparation.
Step = Callable[..., object]


def _attributes(host: Host) -> None:
    """Whatever of a file has to come back beside its bytes: attributes, a mode, an owner, a time, a link."""
    folder = host.root / _REPOSITORIES
    crb, sap, nfv = (folder / ("almalinux-%s.repo" % name) for name in ("crb", "sap", "nfv"))
    try:
        os.setxattr(str(crb), "user.comment", b"of the administrator")
    except OSError:
        pass  # a file system without them has none to lose
    crb.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(str(sap), 1000, 1000)
    os.utime(str(sap), ns=(1, 1234567890123456789))
    _behind_a_link(nfv, host.root / "etc/dnf/nfv.repo", "../dnf/nfv.repo")


def _behind_a_link(path: Path, place: Path, text: str) -> None:
    path.rename(place)
    path.symlink_to(text)


def _fresh(host: Host, dnf: Step) -> None:
    _attributes(host)


def _registered(host: Host, dnf: Step) -> None:
    _fresh(host, dnf)
    dnf("tuxcare", "register")


def _sealed(host: Host, dnf: Step) -> None:
    _fresh(host, dnf)
    dnf("tuxcare", "register", "--seal")


def _reverted(host: Host, dnf: Step) -> None:
    _registered(host, dnf)
    dnf("-y", "tuxcare", "repos", "revert")


def _damaged(host: Host, dnf: Step) -> None:
    """Variable, marker and the vendor's repositories gone, and a folder where the record was."""
    _registered(host, dnf)
    for path in ("etc/tuxcare-release", "etc/dnf/vars/tuxcare_releasever", "etc/yum.repos.d/tuxcare.repo",
                 "var/lib/tuxcare/registration.json"):
        (host.root / path).unlink()
    (host.root / "var/lib/tuxcare/registration.json").mkdir()


def _in_fips_mode(host: Host, dnf: Step) -> None:
    _registered(host, dnf)
    dnf("-y", "tuxcare", "fips", "enable")
    host.reboot()


def _on_community_kernel(host: Host, dnf: Step) -> None:
    """In FIPS mode still, by the arguments of the boot loader's entry."""
    stock = host.reboot().osrelease
    _in_fips_mode(host, dnf)
    host.reboot(stock)


PREPARED: Dict[str, Callable[[Host, Step], None]] = {
    "fresh": _fresh, "registered": _registered, "sealed": _sealed, "reverted": _reverted, "damaged": _damaged,
    "fips": _in_fips_mode, "community": _on_community_kernel,
}  # fmt: skip

_FIPS_ENABLE = Scenario("fips enable", ("-y", "tuxcare", "fips", "enable"), "registered", packages=True)
_UNINSTALL = Scenario("uninstall", ("-y", "tuxcare", "uninstall"), "community", packages=True)
_INSIDE_RPM: Dict[str, Any] = {"places": RPMS, "kills_at": 40, "faults_at": 0, "is_lost": False}

SCENARIOS = (
    Scenario("register", ("tuxcare", "register"), "fresh", registered=False, asks_with=0),
    Scenario("unregister", ("-y", "tuxcare", "unregister"), "registered"),
    Scenario("unregister --local", ("-y", "tuxcare", "unregister", "--local"), "registered"),
    Scenario("register --replace", ("tuxcare", "register", "--replace"), "registered", ("esu", "esu"), asks_with=1),
    Scenario("release 9.4", ("-y", "tuxcare", "release", "9.4"), "registered", ("essential",)),
    Scenario("repos revert", ("-y", "tuxcare", "repos", "revert"), "registered"),
    Scenario("repos switch", ("-y", "tuxcare", "repos", "switch"), "reverted"),
    Scenario("register --seal", ("tuxcare", "register", "--seal"), "fresh", registered=False, asks_with=0),
    Scenario("unregister, of a seal", ("-y", "tuxcare", "unregister"), "sealed", registered=False, asks_with=0),
    Scenario("recover", ("tuxcare", "recover"), "damaged", mends=True),
    _FIPS_ENABLE,
    _FIPS_ENABLE._replace(name="fips enable, inside rpm", **_INSIDE_RPM),
    Scenario("fips disable", ("-y", "tuxcare", "fips", "disable"), "fips", packages=True),
    Scenario("fips disable --packages", ("-y", "tuxcare", "fips", "disable", "--packages"), "community", packages=True),
    Scenario("uninstall, first stage", ("-y", "tuxcare", "uninstall"), "fips", packages=True),
    _UNINSTALL,
    _UNINSTALL._replace(name="uninstall, inside rpm", **_INSIDE_RPM),
)
