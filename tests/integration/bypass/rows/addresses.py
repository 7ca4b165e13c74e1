# SPDX-License-Identifier: Apache-2.0
"""Other addresses for the repositories that are there: --releasever, base URLs, mirror lists."""

from typing import Tuple

from tests.integration.bypass.row import HELD, UNSEEN, Row, dnf, told, write

__all__ = ["ROWS"]

_PAST = "{os}/almalinux/9.4/BaseOS/x86_64/os/"
_VETTED = "{vendor}/almalinux/9.2/{token}/BaseOS/x86_64/os/"
_EVIL = "/almalinux/9.2/{token}/BaseOS/x86_64/os/"


def _releasever(name: str, words: str, *args: str) -> Row:
    return Row("releasever-" + name, "releasever", words, (dnf(*args),), HELD, proof=False)


_RELEASEVER = (
    _releasever("9.4", "--releasever=9.4 upgrade", "--releasever=9.4", "upgrade"),
    _releasever("9.4-sync", "--releasever=9.4 distro-sync", "--releasever=9.4", "distro-sync"),
    _releasever("9.4-install", "--releasever=9.4 install squid", "--releasever=9.4", "install", "squid"),
    _releasever("10", "--releasever=10 upgrade", "--releasever=10", "upgrade"),
    _releasever("path", "--releasever=9/../9.4 upgrade", "--releasever=9/../9.4", "upgrade"),
    Row(
        "releasever-in-an-own-repository",
        "releasever",
        "--releasever=9.4 beside a repository whose URL holds $releasever",
        (
            write(
                "etc/yum.repos.d/mine.repo",
                "[mine]\nname=mine\nbaseurl={os}/almalinux/$releasever/BaseOS/$basearch/os/\ngpgcheck=0\n",
            ),
            dnf("--releasever=9.4", "upgrade"),
        ),
        told("mine"),
    ),
    Row(
        "releasever-variable",
        "releasever",
        "a file /etc/dnf/vars/releasever that holds 9.4, beside the same",
        (
            write("etc/dnf/vars/releasever", "9.4\n"),
            write(
                "etc/yum.repos.d/mine.repo",
                "[mine]\nname=mine\nbaseurl={os}/almalinux/$releasever/BaseOS/$basearch/os/\ngpgcheck=0\n",
            ),
            dnf("upgrade"),
        ),
        told("mine"),
    ),
)


def _baseurl(name: str, words: str, url: str, end: object = None, *more: str, repo: str = "baseos", proof: bool = True) -> Row:
    args = ["--setopt=%s.baseurl=%s" % (repo, url), "--setopt=%s.gpgcheck=0" % repo, "--setopt=sslverify=0", *more]
    return Row("baseurl-" + name, "base URLs", words, (dnf(*args, "upgrade"),), end or told(repo), proof=proof)  # type: ignore


_BASE_URLS = (
    _baseurl("past", "--setopt=baseos.baseurl= the 9.4 tree", _PAST),
    _baseurl("past-and-vetted", "two base URLs, the 9.4 tree first", _PAST + "," + _VETTED),
    _baseurl("vetted-and-past", "two base URLs, the 9.4 tree second", _VETTED + "," + _PAST, proof=False),
    _baseurl("neutral", "9.4 at an address that tells nothing", "{pub}/baseos94/"),
    _baseurl("neutral-and-vetted", "9.4 at an address that tells nothing, then the vetted tree", "{pub}/baseos94/ " + _VETTED),
    _baseurl("dots", "the vetted prefix, then .. into 9.4", "{vendor}/almalinux/9.2/{token}/../../9.4/BaseOS/x86_64/os/"),
    _baseurl(
        "encoded-dots",
        "the vetted prefix, then %2e%2e into 9.4",
        "{vendor}/almalinux/9.2/{token}/%2e%2e/%2e%2e/9.4/BaseOS/x86_64/os/",
        proof=False,
    ),
    _baseurl("encoded-release", "9%2e4", "{os}/almalinux/9%2e4/BaseOS/x86_64/os/"),
    _baseurl(
        "user",
        "user information in front of the 9.4 tree's host",
        "https://user@localhost:{port}/almalinux/9.4/BaseOS/x86_64/os/",
    ),
    _baseurl(
        "user-as-host",
        "the vetted host as user information of another host",
        "https://localhost:{port}@127.0.0.1:{evilport}" + _EVIL,
    ),
    _baseurl("port", "the vetted path on another port of the vetted host", "https://localhost:{evilport}" + _EVIL),
    _baseurl("other-host", "the vetted path on another host", "{evil}" + _EVIL),
    _baseurl("plain-http", "the vetted path over http", "{evilplain}" + _EVIL),
    _baseurl("upper-case", "the 9.4 tree on LOCALHOST", "https://LOCALHOST:{port}/almalinux/9.4/BaseOS/x86_64/os/"),
    _baseurl(
        "trailing-dot",
        "the vetted path on the vetted host with a dot behind, another port",
        "https://localhost.:{evilport}" + _EVIL,
        HELD,
        proof=False,
    ),
    _baseurl("substring", "a folder whose name holds 9.2 leads to 9.4", "{pub}/9.2/../baseos94/"),
    _baseurl("two-releases", "9.2 and 9.4 in one path", "{vendor}/almalinux/9.2/../9.4/BaseOS/x86_64/os/"),
    _baseurl("double-slash", "// where the token should be", "{vendor}/almalinux//9.4/BaseOS/x86_64/os/", HELD, proof=False),
    _baseurl("file", "9.4 by file://", "file://{srv}/baseos94"),
    _baseurl("query", "the 9.4 tree with a query that names 9.2", _PAST + "?release=9.2", HELD, proof=False),
    _baseurl("releasever", "the community's own line, with $releasever", "{os}/almalinux/$releasever/BaseOS/$basearch/os/"),
    _baseurl("all", "--setopt=*.baseurl= the 9.4 tree", _PAST, HELD, repo="*"),
    _baseurl("own", "the URL of tuxcare-esu", "{pub}/baseos94/", repo="tuxcare-esu"),
    _baseurl("disabled-one", "the URL of crb, enabled at the same time", _PAST, None, "--enablerepo=crb", repo="crb"),
    _baseurl("foreign", "the vetted name baseos for a foreign tree", "{pub}/bash/", UNSEEN),
)


def _mirrors(name: str, words: str, *args: str, end: object = None, steps: Tuple[object, ...] = ()) -> Row:
    last = dnf(*args, "--setopt=baseos.gpgcheck=0", "--refresh", "upgrade")
    return Row("mirrors-" + name, "mirror lists", words, (*steps, last), end or told("baseos"))  # type: ignore[arg-type]


_LIST = write("srv/list", _PAST + "\n")
_METALINK = write(
    "srv/metalink",
    """\
<?xml version="1.0" encoding="utf-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/"><files><file name="repomd.xml"><resources maxconnections="1">
<url protocol="https" type="https" location="XX" preference="100">%srepodata/repomd.xml</url>
</resources></file></files></metalink>
"""
    % _PAST,
)
_MIRRORS = (
    _mirrors(
        "past",
        "a mirror list of 9.4 in the place of the base URL",
        "--setopt=baseos.baseurl=",
        "--setopt=baseos.mirrorlist={os}/mirrorlist/9.4/baseos",
    ),
    _mirrors(
        "major",
        "the community's mirror list of 9",
        "--setopt=baseos.baseurl=",
        "--setopt=baseos.mirrorlist={os}/mirrorlist/9/baseos",
    ),
    _mirrors(
        "beside", "a mirror list of 9.4 beside the vetted base URL", "--setopt=baseos.mirrorlist={os}/mirrorlist/9.4/baseos"
    ),
    _mirrors(
        "file",
        "a mirror list that is a file and names 9.4",
        "--setopt=baseos.baseurl=",
        "--setopt=baseos.mirrorlist=file://{root}/srv/list",
        steps=(_LIST,),
    ),
    _mirrors(
        "metalink",
        "a metalink that is a file and names 9.4",
        "--setopt=baseos.baseurl=",
        "--setopt=baseos.metalink=file://{root}/srv/metalink",
        steps=(_METALINK,),
    ),
)

ROWS: Tuple[Row, ...] = (*_RELEASEVER, *_BASE_URLS, *_MIRRORS)
