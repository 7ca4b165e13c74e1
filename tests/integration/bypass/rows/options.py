# SPDX-License-Identifier: Apache-2.0
"""Options, folders, configuration files, variables and roots that somebody else has chosen."""

import shutil
from pathlib import Path
from typing import Dict, Optional, Tuple

from tests.integration.bypass.row import HELD, UNSEEN, End, Row, Step, act, dnf, refused, repo, told, write

__all__ = ["ROWS"]

_PAST = "{os}/almalinux/9.4/BaseOS/x86_64/os/"
_NEUTRAL = "{pub}/baseos94/"
_FROM_RELEASEVER = "[mine]\nname=mine\nbaseurl={os}/almalinux/$%s/BaseOS/$basearch/os/\ngpgcheck=0\n"
_MINE = "[mine]\nname=mine\nbaseurl=%s\nenabled=1\ngpgcheck=0\n"


# --- variables, folders, configuration ----------------------------------------------------------------------------


def _folder(name: str, words: str, steps: Tuple[Step, ...], end: End, slash: bool = True, proof: bool = True) -> Row:
    return Row("conf-" + name, "configuration", words, steps, end, slash=slash, proof=proof)


_VARS = (write("srv/vars/tuxcare_releasever", "9.4\n"), write("srv/vars/tuxcare_token", "{token}\n"))
# Our own repositories have no 9.4 there; a host that were moved would do without them.
_OFF = "--disablerepo=tuxcare*"
_UPGRADE_94 = dnf("--setopt=varsdir={root}/srv/vars", _OFF, "--refresh", "upgrade")


def _plugin_conf(name: str, words: str, tree: str, lines: str, args: Tuple[str, ...], end: End) -> Row:
    steps = (
        repo("x", "{pub}/%s/" % tree),
        write("srv/conf/tuxcare.conf", lines),
        dnf("--setopt=pluginconfpath=/srv/conf", *args),
    )
    return _folder("plugin-" + name, words, steps, end)


def _environment(name: str, words: str, env: Dict[str, str], end: End, *steps: Step, proof: bool = True) -> Row:
    return Row(
        "env-" + name,
        "environment",
        words,
        (*steps, dnf("--disablerepo=tuxcare*", "--refresh", "upgrade", env=env)),
        end,
        proof=proof,
    )


def _moved_away(root: Path) -> None:
    """The folder of repository files lies elsewhere, and a link leads there."""
    shutil.move(str(root / "etc/yum.repos.d"), str(root / "srv/repos"))
    (root / "etc/yum.repos.d").symlink_to("/srv/repos")


def _appended(root: Path, name: str, text: str) -> None:
    (root / name).write_text((root / name).read_text() + text)


_CONFIGURATION = (
    _folder("varsdir", "--setopt=varsdir= a folder in which tuxcare_releasever is 9.4", (*_VARS, _UPGRADE_94), HELD),
    _folder("varsdir-root", "the same below --installroot", (*_VARS, _UPGRADE_94), HELD, slash=False),
    _folder(
        "reposdir",
        "--setopt=reposdir= a folder with 9.4's own address",
        (repo("mine", _PAST, path="srv/repos/mine.repo"), dnf("--setopt=reposdir=/srv/repos", "upgrade")),
        told("mine"),
    ),
    _folder(
        "reposdir-neutral",
        "the same at an address that tells nothing",
        (repo("mine", _NEUTRAL, path="srv/repos/mine.repo"), dnf("--setopt=reposdir=/srv/repos", "upgrade")),
        told("mine"),
    ),
    _folder(
        "reposdir-outside",
        "a registered --installroot and a reposdir that lies outside of it",
        (dnf("--setopt=reposdir={outside}", "upgrade"),),
        told("mine"),
        slash=False,
    ),
    _folder(
        "reposdir-outside-file",
        "the same, and a package file",
        (dnf("--setopt=reposdir={outside}", "--disablerepo=*", "install", "{srv}/os94/less-590-4.el9_4.x86_64.rpm"),),
        refused("less-590-4.el9_4"),
        slash=False,
    ),
    _folder(
        "reposdir-and-varsdir",
        "both at once",
        (
            *_VARS,
            repo("mine", "{vendor}/almalinux/$tuxcare_releasever/$tuxcare_token/BaseOS/x86_64/os/", path="srv/repos/mine.repo"),
            dnf("--setopt=reposdir=/srv/repos", "--setopt=varsdir=/srv/vars", _OFF, "upgrade"),
        ),
        HELD,
    ),
    _folder(
        "reposdir-link",
        "/etc/yum.repos.d is a link to a folder with 9.4 in it too",
        (act(_moved_away), repo("mine", _PAST, path="srv/repos/mine.repo"), dnf("upgrade")),
        told("mine"),
    ),
    _folder(
        "cachedir",
        "--setopt=cachedir= a folder that 9.4 was already read into",
        (
            repo("x", _NEUTRAL),
            dnf("--noplugins", "--setopt=cachedir=/srv/cache", "makecache"),
            dnf("-C", "--setopt=cachedir=/srv/cache", "upgrade"),
        ),
        told("x"),
        proof=False,
    ),
    _plugin_conf(
        "trusted",
        "--setopt=pluginconfpath= a folder whose tuxcare.conf trusts the 9.4 tree",
        "baseos94",
        "[pin]\ntrusted_url = {pub}/baseos94/\n",
        ("upgrade",),
        told("x"),
    ),
    _plugin_conf(
        "allow",
        "the same with an exception for a package",
        "tags",
        "[pin]\nallow = tag-el9-4@x\n",
        ("install", "tag-el9-4"),
        UNSEEN,
    ),
    _plugin_conf(
        "off",
        "the same, in which it is switched off",
        "baseos94",
        "[main]\nenabled = 0\n",
        ("upgrade",),
        told("x"),
    ),
    _plugin_conf(
        "service",
        "the same with another repo_url",
        "baseos94",
        "[service]\nrepo_url = https://packages.example.com\n",
        ("upgrade",),
        told("x"),
    ),
    _folder(
        "config",
        "-c FILE with a section of 9.4 in it",
        (write("srv/dnf.conf", "[main]\ngpgcheck=0\n" + _MINE % _PAST), dnf("-c", "/srv/dnf.conf", "upgrade")),
        told("mine"),
    ),
    _folder(
        "config-reposdir",
        "-c FILE with a reposdir",
        (
            repo("mine", _NEUTRAL, path="srv/repos/mine.repo"),
            write("srv/dnf.conf", "[main]\nreposdir=/srv/repos\n"),
            dnf("-c", "/srv/dnf.conf", "upgrade"),
        ),
        told("mine"),
    ),
    _folder(
        "config-varsdir",
        "-c FILE with a varsdir in which tuxcare_releasever is 9.4",
        (*_VARS, write("srv/dnf.conf", "[main]\ngpgcheck=0\nvarsdir=/srv/vars\n"), dnf("-c", "/srv/dnf.conf", _OFF, "upgrade")),
        HELD,
    ),
    _folder(
        "config-plugin",
        "-c FILE with a pluginconfpath that trusts the 9.4 tree",
        (
            repo("x", _NEUTRAL),
            write("srv/conf/tuxcare.conf", "[pin]\ntrusted_url = {pub}/baseos94/\n"),
            write("srv/dnf.conf", "[main]\npluginconfpath=/srv/conf\n"),
            dnf("-c", "/srv/dnf.conf", "upgrade"),
        ),
        told("x"),
    ),
    _folder(
        "main",
        "a section of 9.4 in /etc/dnf/dnf.conf",
        (act(lambda root: _appended(root, "etc/dnf/dnf.conf", _MINE % "file:///srv/trees/os94")), dnf("upgrade")),
        told("mine"),
    ),
)
_ENVIRONMENT = (
    _environment(
        "release",
        "DNF_VAR_tuxcare_releasever=9.4",
        {"DNF_VAR_tuxcare_releasever": "9.4"},
        refused("DNF_VAR_tuxcare_releasever"),
        proof=False,
    ),
    _environment(
        "token",
        "DNF_VAR_tuxcare_token leads to another folder",
        {"DNF_VAR_tuxcare_token": "../9.4"},
        refused("DNF_VAR_tuxcare_token"),
        proof=False,
    ),
    _environment(
        "releasever",
        "DNF_VAR_releasever=9.4 beside a repository whose URL holds it",
        {"DNF_VAR_releasever": "9.4"},
        told("mine"),
        write("etc/yum.repos.d/mine.repo", _FROM_RELEASEVER % "releasever"),
    ),
    _environment(
        "own",
        "DNF_VAR_mine=9.4, in the URL of a repository",
        {"DNF_VAR_mine": "9.4"},
        told("mine"),
        write("etc/yum.repos.d/mine.repo", _FROM_RELEASEVER % "mine"),
    ),
    _environment(
        "numbered",
        "DNF0=9.4, in the URL of a repository",
        {"DNF0": "9.4"},
        told("mine"),
        write("etc/yum.repos.d/mine.repo", _FROM_RELEASEVER % "DNF0"),
    ),
)


def _proxy(name: str, words: str, option: str, *args: str) -> Row:
    """Through a proxy that answers in the place of the vetted server."""
    return Row(
        "proxy-" + name, "proxy", words, (dnf(option, "--setopt=sslverify=0", "--refresh", *args),), refused("baseos", "9.4")
    )


_PROXY = (
    _proxy(
        "all",
        "a proxy that serves 9.4 in the place of the vetted trees, sslverify=0",
        "--setopt=proxy={evilproxy}",
        "--disablerepo=tuxcare*,extras",
        "upgrade",
    ),
    _proxy("one", "the same: upgrade less", "--setopt=proxy={evilproxy}", "--disablerepo=tuxcare*,extras", "upgrade", "less"),
    _proxy("repository", "the same for baseos alone", "--setopt=baseos.proxy={evilproxy}", "upgrade", "less"),
)
# --- the root -----------------------------------------------------------------------------------------------------


def _root(name: str, words: str, root: str, *args: str, end: Optional[End] = None, steps: Tuple[Step, ...] = ()) -> Row:
    return Row(
        "installroot-" + name,
        "--installroot",
        words,
        (repo("x", _NEUTRAL), *steps, dnf("--installroot=" + root, *(args or ("upgrade",)))),
        end or told("x"),
        slash=True,
    )


_FILE = "/srv/trees/os94/less-590-4.el9_4.x86_64.rpm"
_ROOTS = (
    _root("slash", "--installroot=/", "/"),
    _root("dot", "--installroot=/./", "/./"),
    _root("back", "--installroot=/srv/..", "/srv/.."),
    _root("self", "--installroot=/proc/self/root", "/proc/self/root"),
    _root("link", "--installroot= a link to /", "/srv/link", steps=(act(lambda root: (root / "srv/link").symlink_to("/")),)),
    _root(
        "file", "--installroot=/ and a package file", "/", "--disablerepo=x", "install", _FILE, end=refused("less-590-4.el9_4")
    ),
    _root(
        "self-file",
        "--installroot=/proc/self/root and a package file",
        "/proc/self/root",
        "--disablerepo=x",
        "install",
        _FILE,
        end=refused("less-590-4.el9_4"),
    ),
    _root(
        "self-reposdir",
        "--installroot=/proc/self/root with a reposdir elsewhere",
        "/proc/self/root",
        "--setopt=reposdir=/srv/repos",
        "upgrade",
        steps=(repo("x", _NEUTRAL, path="srv/repos/x.repo"),),
    ),
)

ROWS: Tuple[Row, ...] = (*_CONFIGURATION, *_ENVIRONMENT, *_PROXY, *_ROOTS)
