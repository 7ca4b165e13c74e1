# SPDX-License-Identifier: Apache-2.0
"""Repositories that somebody adds: by files, by --repofrompath, by config-manager, and the options that act on them."""

import shutil
from typing import TYPE_CHECKING, Optional, Tuple

from tests.integration.bypass.row import HELD, UNSEEN, End, Row, Step, act, dnf, repo, run, told, write

if TYPE_CHECKING:
    from tests.integration.bypass.site import Site

__all__ = ["ROWS"]

_PAST = "{os}/almalinux/9.4/BaseOS/x86_64/os/"
_NEUTRAL = "{pub}/baseos94/"
_FROM_RELEASEVER = "[mine]\nname=mine\nbaseurl={os}/almalinux/$%s/BaseOS/$basearch/os/\ngpgcheck=0\n"
_VARS = (write("srv/vars/tuxcare_releasever", "9.4\n"), write("srv/vars/tuxcare_token", "{token}\n"))
# Our own repositories have no 9.4 there; a host that were moved would do without them.
_OFF = "--disablerepo=tuxcare*"
_UPGRADE_94 = dnf("--setopt=varsdir={root}/srv/vars", _OFF, "--refresh", "upgrade")


def _lies_there(tree: str) -> Step:
    """Puts a tree in the place of the one that was there."""

    def step(site: "Site") -> None:
        target = site.host.root / "srv/swap"
        shutil.rmtree(str(target), ignore_errors=True)
        shutil.copytree(site.fill("{trees}/" + tree), str(target))

    return step


def _edited(site: "Site") -> None:
    """The base URL of the operating system's own section is a tree of 9.4."""
    url, path = site.fill(_NEUTRAL), site.host.root / "etc/yum.repos.d/almalinux-baseos.repo"
    lines = path.read_text().splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("baseurl="))
    lines[first] = "baseurl=%s\ngpgcheck=0" % url
    path.write_text("\n".join(lines) + "\n")


def _repo(
    name: str,
    words: str,
    *args: str,
    end: Optional[End] = None,
    tree: str = "baseos94",
    lines: Tuple[str, ...] = (),
    proof: bool = True,
) -> Row:
    """A repository file `x` for a tree at an address that tells nothing, with further lines, and one command."""
    return Row(
        "repo-" + name, "repositories", words, (repo("x", "{pub}/%s/" % tree, *lines), dnf(*args)), end or told("x"), proof=proof
    )


def _from_path(name: str, words: str, option: str, *args: str, end: Optional[End] = None, proof: bool = True) -> Row:
    return Row(
        "from-path-" + name,
        "--repofrompath",
        words,
        (dnf("--nogpgcheck", "--repofrompath=" + option, *args),),
        end or told("x"),
        proof=proof,
    )


_FROM_PATH = (
    _from_path("neutral", "--repofrompath=x, 9.4 at an address that tells nothing", "x," + _NEUTRAL, "upgrade"),
    _from_path("past", "--repofrompath=x, the 9.4 tree", "x," + _PAST, "upgrade"),
    _from_path("file", "--repofrompath=x, a folder of the machine", "x,{srv}/baseos94", "upgrade"),
    _from_path("only", "the same with --repo=x", "x," + _NEUTRAL, "--repo=x", "upgrade"),
    _from_path(
        "baseos", "--repofrompath under the id baseos", "baseos," + _NEUTRAL, "--refresh", "upgrade", end=HELD, proof=False
    ),
    _from_path(
        "releasever",
        "--repofrompath with $releasever, and --releasever=9.4",
        "x,{os}/almalinux/$releasever/BaseOS/x86_64/os/",
        "--releasever=9.4",
        "upgrade",
    ),
    _from_path("stranger", "--repofrompath with a stranger's bash", "x,{pub}/bash/", "upgrade", end=UNSEEN),
    _from_path(
        "two", "two --repofrompath, the second of them 9.4", "y,{pub}/newtool/", "--repofrompath=x," + _NEUTRAL, "upgrade"
    ),
)
_REPOSITORIES = (
    _repo("enabled", "a repository file for 9.4 at an address that tells nothing", "upgrade", tree="baseos94"),
    _repo("only", "--repo=x", "--repo=x", "upgrade", end=HELD),
    _repo("id", "--repoid=x", "--repoid=x", "upgrade", "less", end=HELD),
    _repo("others-off", "--disablerepo=* --enablerepo=x", "--disablerepo=*", "--enablerepo=x", "upgrade", end=HELD),
    _repo("priority", "priority=1", "upgrade", lines=("priority=1",)),
    _repo("priority-stranger", "a stranger's bash with priority=1", "upgrade", tree="bash", lines=("priority=1",), end=UNSEEN),
    _repo("hotfixes", "module_hotfixes=1", "upgrade", tree="stream-os", lines=("module_hotfixes=1",), end=UNSEEN),
    _repo("include", "includepkgs=less", "upgrade", tree="one", lines=("includepkgs=less",), end=UNSEEN),
    _repo(
        "exclude-vetted",
        "--setopt=baseos.excludepkgs=bash, and a stranger's bash",
        "--setopt=baseos.excludepkgs=bash",
        "upgrade",
        "bash",
        tree="bash",
        end=UNSEEN,
    ),
    _repo("no-excludes", "--disableexcludes=all", "--disableexcludes=all", "upgrade", tree="one", end=UNSEEN),
    _repo("no-excludes-own", "--disableexcludes=x", "--disableexcludes=x", "upgrade", tree="bash", end=UNSEEN),
    _repo("no-best", "--nobest", "--nobest", "upgrade", tree="one", end=UNSEEN),
    _repo("erasing", "--allowerasing", "--allowerasing", "upgrade", tree="obsoletes", end=UNSEEN),
    _repo(
        "options",
        "--nobest --allowerasing --nogpgcheck --disableexcludes=all --skip-broken at once: distro-sync",
        "--nobest",
        "--allowerasing",
        "--nogpgcheck",
        "--disableexcludes=all",
        "--skip-broken",
        "--setopt=obsoletes=1",
        "distro-sync",
        tree="one",
        end=UNSEEN,
    ),
    _repo(
        "ignore",
        "--setopt=ignorearch=1 --setopt=protected_packages=",
        "--setopt=ignorearch=1",
        "--setopt=protected_packages=",
        "upgrade",
        tree="i686",
        end=UNSEEN,
        proof=False,
    ),
    _repo(
        "empty",
        "a repository without packages beside 9.4 in the command's own options",
        "--repofrompath=y," + _PAST,
        "--nogpgcheck",
        "upgrade",
        tree="empty",
        end=told("y"),
    ),
    _repo("continued", "a base URL on a continued line", "upgrade", lines=("baseurl={pub}/gone/", "  " + _PAST), tree="newtool"),
    _repo(
        "comment",
        "a vetted base URL, and 9.4 behind a # on the next line that is continued",
        "upgrade",
        lines=("baseurl={pub}/empty/ # {vendor}/almalinux/9.2/", "  " + _PAST),
        tree="newtool",
        end=HELD,
        proof=False,
    ),
    Row(
        "repo-disabled",
        "repositories",
        "a disabled one and --enablerepo=*",
        (repo("x", _NEUTRAL, "enabled=0"), dnf("--nogpgcheck", "--enablerepo=*", "--setopt=*.skip_if_unavailable=1", "upgrade")),
        told("x"),
        slash=True,
    ),
    Row(
        "repo-second-section",
        "repositories",
        "a second file with a section [baseos] of 9.4",
        (repo("baseos", _PAST, path="etc/yum.repos.d/zzz.repo"), dnf("--refresh", "upgrade")),
        HELD,
        proof=False,
    ),
    Row(
        "repo-second-section-first",
        "repositories",
        "the same in a file that is read before the operating system's",
        (repo("baseos", _PAST, path="etc/yum.repos.d/000.repo"), dnf("--refresh", "upgrade")),
        told("baseos"),
    ),
    Row(
        "repo-like-ours",
        "repositories",
        "a file tuxcare2.repo with a section [tuxcare-base2] whose name is TuxCare's",
        (
            repo(
                "tuxcare-base2",
                _NEUTRAL,
                "name=TuxCare Enterprise Support for AlmaLinux 9.2 - Base",
                path="etc/yum.repos.d/tuxcare2.repo",
            ),
            dnf("upgrade"),
        ),
        told("tuxcare-base2"),
    ),
    Row(
        "repo-link",
        "repositories",
        "a repository file that is a link",
        (
            repo("x", _NEUTRAL, path="srv/x.txt"),
            act(lambda root: (root / "etc/yum.repos.d/x.repo").symlink_to(root / "srv/x.txt")),
            dnf("upgrade"),
        ),
        told("x"),
    ),
    Row(
        "repo-distro-folder",
        "repositories",
        "a repository file in /etc/distro.repos.d",
        (repo("x", _NEUTRAL, path="etc/distro.repos.d/x.repo"), dnf("upgrade")),
        told("x"),
    ),
    Row(
        "repo-yum-folder",
        "repositories",
        "a repository file in /etc/yum/repos.d",
        (repo("x", _NEUTRAL, path="etc/yum/repos.d/x.repo"), dnf("upgrade")),
        told("x"),
    ),
    Row(
        "repo-moves-releasever",
        "repositories",
        "a third party's package provides system-release(releasever) = 9.4, and a URL holds $releasever",
        (
            repo("x", "{pub}/moves/"),
            dnf("install", "zz-release"),
            write("etc/yum.repos.d/mine.repo", _FROM_RELEASEVER % "releasever"),
            dnf("upgrade"),
        ),
        told("mine"),
        may=("zz-release",),
    ),
    _repo("include-os", "includepkgs=less of 9.4's BaseOS", "upgrade", lines=("includepkgs=less",)),
    _repo("exclude-release", "excludepkgs=*-release of 9.4's BaseOS", "upgrade", "less", lines=("excludepkgs=*-release",)),
    Row(
        "repo-edited",
        "repositories",
        "an edited section of the operating system's own file",
        (_edited, dnf("--refresh", "upgrade")),
        told("baseos"),
    ),
    Row(
        "repo-changed",
        "repositories",
        "a harmless tree, whose packages are others at the second command",
        (
            repo("x", "file://{root}/srv/swap/"),
            _lies_there("newtool"),
            dnf("upgrade"),
            _lies_there("bash"),
            dnf("--refresh", "upgrade"),
        ),
        UNSEEN,
    ),
    Row(
        "repo-changed-os",
        "repositories",
        "the same; the second time it is 9.4's",
        (
            repo("x", "file://{root}/srv/swap/"),
            _lies_there("newtool"),
            dnf("upgrade"),
            _lies_there("baseos94"),
            dnf("--refresh", "upgrade"),
        ),
        told("x"),
    ),
    Row(
        "repo-brought",
        "repositories",
        "a third party's package brings a repository file of 9.4",
        (repo("x", "{pub}/brings-repo/"), dnf("install", "extra-release"), dnf("upgrade")),
        told("extra"),
        slash=True,
        may=("extra-release",),
    ),
    Row(
        "repo-variable-brought",
        "repositories",
        "a third party's package brings a variable that a URL holds",
        (
            repo("x", "{pub}/brings-variable/"),
            write("etc/yum.repos.d/mine.repo", _FROM_RELEASEVER % "extra"),
            dnf("--disablerepo=mine", "install", "extra-vars"),
            dnf("upgrade"),
        ),
        told("mine"),
        may=("extra-vars",),
    ),
)


_MANAGER = (
    Row(
        "manager-add",
        "config-manager",
        "config-manager --add-repo of 9.4",
        (run("dnf", "config-manager", "--add-repo=" + _PAST), dnf("--nogpgcheck", "upgrade")),
        HELD,
        slash=True,
    ),
    Row(
        "manager-add-file",
        "config-manager",
        "config-manager --add-repo of a repository file",
        (
            repo("mine", _NEUTRAL, path="srv/mine.repo"),
            run("dnf", "config-manager", "--add-repo=file:///srv/mine.repo"),
            dnf("upgrade"),
        ),
        told("mine"),
        slash=True,
    ),
    Row(
        "manager-save",
        "config-manager",
        "config-manager --save --setopt=baseos.baseurl= the 9.4 tree",
        (
            run("dnf", "config-manager", "--save", "--setopt=baseos.baseurl=" + _PAST, "--setopt=baseos.gpgcheck=0", "baseos"),
            dnf("--refresh", "upgrade"),
        ),
        told("baseos"),
        slash=True,
    ),
    Row(
        "manager-enable",
        "config-manager",
        "config-manager --set-enabled of a disabled one",
        (repo("mine", _NEUTRAL, "enabled=0"), run("dnf", "config-manager", "--set-enabled", "mine"), dnf("upgrade")),
        told("mine"),
        slash=True,
    ),
)


ROWS: Tuple[Row, ...] = (*_FROM_PATH, *_REPOSITORIES, *_MANAGER)
