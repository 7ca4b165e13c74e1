# SPDX-License-Identifier: Apache-2.0
"""What has to work as ever on a host that is held: not attempts, but what the guard must not hinder."""

from typing import Tuple

from tests.integration.bypass.row import PASSES, Row, Step, dnf, pin, python, repo

__all__ = ["ROWS"]

_EXAMPLE = repo("example", "{third}/thirdparty/9/x86_64/")


def _row(
    name: str,
    words: str,
    *steps: Step,
    comes: Tuple[str, ...] = (),
    goes: Tuple[str, ...] = (),
    slash: bool = False,
    may: Tuple[str, ...] = (),
) -> Row:
    return Row("pass-" + name, "controls", words, steps, PASSES, slash=slash, comes=comes, goes=goes, may=may)


def _reading(name: str, *args: str) -> Row:
    """With a repository that is full of what has to stay out of sight. Nothing is said, and nothing is hindered."""
    return Row(
        "read-" + name,
        "reading",
        "%s with a stranger's bash enabled" % " ".join(args),
        (repo("x", "{pub}/bash/"), dnf(*args)),
        PASSES,
    )


ROWS: Tuple[Row, ...] = (
    _row("install", "a third party's package is installed", _EXAMPLE, dnf("install", "example-tools"), comes=("example-tools",)),
    _row(
        "update",
        "a third party's package is updated",
        _EXAMPLE,
        dnf("install", "example-agent-2.1"),
        dnf("upgrade"),
        comes=("example-agent",),
    ),
    _row("el9_3", "the vendor's el9_3 build from its own tree", dnf("install", "shim-x64"), comes=("shim-x64",)),
    _row(
        "mirror",
        "an own mirror by [pin] trusted_url",
        pin("trusted_url = {pub}/mirror92"),
        repo("x", "{pub}/mirror92/"),
        dnf("--repo=x", "install", "openssl-devel-3.0.7-16.el9_2", "--allowerasing"),
        comes=("openssl-devel",),
    ),
    _row(
        "allow",
        "a package by [pin] allow",
        pin("allow = tag-el9-4@x"),
        repo("x", "{pub}/tags/"),
        dnf("install", "tag-el9-4"),
        comes=("tag-el9-4",),
    ),
    _row(
        "allow-replacing",
        "one of the operating system's by [pin] allow",
        pin("allow = less@x"),
        repo("x", "{pub}/epoch/"),
        dnf("upgrade", "less"),
        comes=("less",),
        goes=("less",),
    ),
    _row("releasever-9", "--releasever=9", dnf("--releasever=9", "install", "wget"), comes=("wget",)),
    _row("releasever-9.2", "--releasever=9.2", dnf("--releasever=9.2", "install", "httpd"), comes=("httpd",)),
    _row("remove", "remove", dnf("remove", "rsync"), goes=("rsync",)),
    _row("autoremove", "autoremove", dnf("autoremove")),
    _row("downgrade", "downgrade within the vetted trees", dnf("downgrade", "curl", "libcurl"), comes=("curl",)),
    _row("sync", "distro-sync back", dnf("downgrade", "expat"), dnf("distro-sync"), comes=("expat",)),
    _row("reinstall", "reinstall", dnf("reinstall", "less")),
    _row("swap", "swap within the vetted trees", dnf("swap", "rsync", "squid"), comes=("squid",), goes=("rsync",)),
    _row("undo", "history undo of an installation", dnf("install", "httpd"), dnf("history", "undo", "last")),
    _row("undo-remove", "history undo of a removal", dnf("remove", "rsync"), dnf("history", "undo", "last"), comes=("rsync",)),
    _row(
        "redo",
        "history redo of an installation",
        dnf("install", "httpd"),
        dnf("remove", "httpd"),
        dnf("history", "redo", "last-1"),
        comes=("httpd",),
    ),
    _row("group", "group install", dnf("group", "install", "web-server"), comes=("httpd",)),
    _row("module", "module install", dnf("module", "install", "nodejs:18/common"), comes=("nodejs",)),
    _row(
        "module-switch",
        "module enable and install",
        dnf("module", "enable", "nginx:1.22"),
        dnf("install", "nginx"),
        comes=("nginx",),
    ),
    _row(
        "module-own",
        "a third party's module",
        repo("x", "{pub}/stream-own/"),
        dnf("module", "install", "exampledb:1/common"),
        comes=("exampledb",),
    ),
    _row(
        "group-own",
        "a third party's group",
        repo("x", "{pub}/groups-own/"),
        dnf("group", "install", "example-tools"),
        comes=("exampletool",),
    ),
    _row(
        "fedora",
        "a package of EPEL's vendor, tagged fc40",
        repo("x", "{pub}/fedora/"),
        dnf("install", "fedoratool"),
        comes=("fedoratool",),
    ),
    _row(
        "file", "a third party's file", dnf("--nogpgcheck", "install", "{srv}/newtool/newtool-1-1.noarch.rpm"), comes=("newtool",)
    ),
    _row(
        "url",
        "a third party's file by its URL",
        dnf("--nogpgcheck", "install", "{pub}/newtool/newtool-2-1.noarch.rpm"),
        comes=("newtool",),
    ),
    _row(
        "from-path",
        "--repofrompath of a third party",
        dnf("--nogpgcheck", "--repofrompath=y,{pub}/newtool/", "install", "newtool"),
        comes=("newtool",),
    ),
    _row("empty", "upgrade with a repository without packages", repo("x", "{pub}/empty/"), dnf("upgrade")),
    _row(
        "beside",
        "a vetted package while a stranger's tree is enabled",
        repo("x", "{pub}/obsoletes/"),
        dnf("install", "squid"),
        comes=("squid",),
    ),
    _row(
        "shell", "dnf's shell", dnf("shell", stdin="install httpd\nremove rsync\nrun\nexit\n"), comes=("httpd",), goes=("rsync",)
    ),
    _row("api", "the Python API", python("ready(); base.fill_sack(); base.install('httpd'); go()"), comes=("httpd",), slash=True),
    _row("minimal", "upgrade-minimal --security", dnf("downgrade", "expat"), dnf("--security", "upgrade-minimal")),
    _row("installroot", "--installroot=/", dnf("--installroot=/", "install", "httpd"), comes=("httpd",), slash=True),
    _reading("list", "list", "bash"),
    _reading("info", "info", "bash"),
    _reading("repoquery", "repoquery", "bash"),
    _reading("provides", "provides", "/usr/bin/bash"),
    _reading("repolist", "repolist", "-v"),
    _reading("makecache", "makecache"),
    _reading("check-update", "check-update"),
    _reading("module", "module", "list"),
)
