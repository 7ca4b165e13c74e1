# SPDX-License-Identifier: Apache-2.0
"""Repositories of others: what their packages are called, replace, obsolete, pull in, and what the metadata does not tell."""

from typing import Optional, Sequence, Tuple

from tests.integration.bypass.forge import TAGS, VENDORS
from tests.integration.bypass.row import HELD, UNSEEN, End, Row, Step, dnf, pin, refused, repo, told

__all__ = ["ROWS"]


def _row(
    group: str,
    name: str,
    words: str,
    tree: str,
    args: Sequence[str],
    end: End,
    proof: bool = True,
    may: Tuple[str, ...] = (),
    goes: Tuple[str, ...] = (),
    steps: Tuple[Step, ...] = (),
    comes: Tuple[str, ...] = (),
) -> Row:
    """One foreign repository `x` with a tree of the forge, and one command."""
    return Row(
        name, group, words, (repo("x", "{pub}/%s/" % tree), *steps, dnf(*args)), end, proof=proof, may=may, goes=goes, comes=comes
    )


_TAGS = tuple(
    _row("release tags", name, "a foreign package of release %s" % release, "tags", ["install", name], UNSEEN)
    for name, release in TAGS.items()
)
_VENDORS = tuple(
    _row("vendors", name, "a package of %s in a foreign repository" % vendor, "vendors", ["install", name], UNSEEN)
    for name, vendor in VENDORS.items()
)
_CONTENT = (
    _row("vendors", "content-baseos", "9.4's BaseOS at an address that tells nothing", "baseos94", ["upgrade"], told("x")),
    _row("vendors", "content-appstream", "9.4's AppStream at such an address", "appstream94", ["install", "wget"], told("x")),
    _row("vendors", "content-rocky", "a tree of another family at such an address", "rocky", ["install", "rocky1"], HELD),
    _row("vendors", "content-half", "three of nine packages are the operating system's", "half", ["upgrade"], UNSEEN),
    _row(
        "vendors", "content-one", "one of nine packages is the operating system's", "one", ["install", "less-590-4.el9_4"], UNSEEN
    ),
    _row("vendors", "content-release", "the release packages of 9.4 among others", "release94", ["upgrade"], told("x")),
)


def _replace(name: str, words: str, tree: str, *args: str, proof: bool = True) -> Row:
    return _row("replacing", "replace-" + name, words, tree, args or ["upgrade"], UNSEEN, proof=proof)


_REPLACING = (
    _replace("bash", "a stranger's bash of a higher version", "bash"),
    _replace("epoch", "a stranger's less with a higher epoch", "epoch"),
    _replace("noarch", "a stranger's less without an architecture", "noarch"),
    _replace("i686", "a stranger's zlib for i686, beside the installed one", "i686", "install", "zlib.i686"),
    _replace("nobody", "less of no vendor at all", "nobody"),
    _replace("same", "less of the installed version, by reinstall --repo", "same", "--repo=x", "reinstall", "less"),
    _replace("older", "a stranger's less of a lower version, by downgrade", "older", "downgrade", "less-1"),
    _replace("older-sync", "the same by distro-sync --repo", "older", "--repo=x", "distro-sync", "less"),
    _replace("kernel", "a stranger's kernel-core, which is installed beside", "kernel", "install", "kernel-core-9"),
    _row(
        "replacing",
        "replace-ours",
        "a stranger's tuxcare-release, while the vendor's is installed",
        "fork",
        ["upgrade"],
        UNSEEN,
        steps=(dnf("--disablerepo=x", "install", "tuxcare-release"),),
    ),
    _row("replacing", "replace-release", "a stranger's almalinux-release 9.2-99", "release", ["upgrade"], HELD),
    _row(
        "replacing",
        "replace-conflicts",
        "a stranger's rsync-ng that provides rsync and conflicts with it, --allowerasing",
        "conflicts",
        ["--allowerasing", "install", "rsync-ng"],
        HELD,
    ),
    _row(
        "replacing",
        "replace-erase",
        "a stranger's eraser conflicts with less, --allowerasing",
        "erases",
        ["--allowerasing", "install", "eraser"],
        HELD,
    ),
)
_OBSOLETING = (
    _row(
        "obsoletes",
        "obsolete-openssl",
        "a stranger's openssl-ng obsoletes openssl-libs: upgrade",
        "obsoletes",
        ["upgrade"],
        UNSEEN,
    ),
    _row("obsoletes", "obsolete-install", "the same: install openssl-ng", "obsoletes", ["install", "openssl-ng"], UNSEEN),
    _row(
        "obsoletes",
        "obsolete-swap",
        "the same: swap openssl-libs openssl-ng",
        "obsoletes",
        ["--allowerasing", "swap", "openssl-libs", "openssl-ng"],
        HELD,
    ),
    _row("obsoletes", "obsolete-versioned", "pager obsoletes less < 9999", "obsoletes-less", ["upgrade"], UNSEEN),
    _row("obsoletes", "obsolete-sync", "the same: distro-sync", "obsoletes-less", ["distro-sync"], UNSEEN),
    _row(
        "obsoletes",
        "obsolete-release",
        "system-files obsoletes almalinux-release",
        "obsoletes-release",
        ["--allowerasing", "install", "system-files"],
        HELD,
    ),
    _row(
        "obsoletes",
        "obsolete-off",
        "pager with --setopt=obsoletes=0, so that rpm alone obsoletes",
        "obsoletes-less",
        ["--setopt=obsoletes=0", "install", "pager"],
        HELD,
        may=("pager",),
    ),
)
_PULLING = (
    _row("dependencies", "require", "agent requires the less of 9.4, which lies beside it", "needs", ["install", "agent"], HELD),
    _row("dependencies", "require-rich", "agent requires (less >= 590-4 if bash)", "rich", ["install", "agent"], HELD),
    _row(
        "dependencies",
        "require-path",
        "agent requires a file that a package of the vendor AlmaLinux beside it brings",
        "path",
        ["install", "agent"],
        HELD,
    ),
    _row(
        "dependencies",
        "require-allowerasing",
        "agent requires the less of 9.4: --allowerasing --nobest",
        "needs",
        ["--allowerasing", "--nobest", "install", "agent"],
        HELD,
    ),
    _row("dependencies", "require-skip-broken", "the same: --skip-broken", "needs", ["--skip-broken", "install", "agent"], HELD),
    _row(
        "dependencies",
        "recommend",
        "agent recommends a package of the vendor AlmaLinux",
        "recommends",
        ["install", "agent"],
        HELD,
        may=("agent",),
    ),
    _row(
        "dependencies",
        "supplement",
        "addon-1-1.el9_4 supplements newtool",
        "supplements",
        ["install", "newtool"],
        HELD,
        may=("newtool",),
    ),
    _row(
        "dependencies",
        "provide",
        "fastssl provides openssl-libs = 9:9, which agent requires",
        "provides",
        ["install", "agent"],
        HELD,
        may=("agent", "fastssl"),
        proof=False,
    ),
)


def _lie(
    name: str, words: str, tree: str, package: str, end: Optional[End] = None, args: Sequence[str] = (), proof: bool = True
) -> Row:
    return _row("lying metadata", "lie-" + name, words, tree, args or ["install", package], end or refused("x"), proof)


_LYING = (
    _lie("name", "less of 9.4 is called foo-1.0", "lie-name", "foo", refused("less-590-4.el9_4", "x")),
    _lie(
        "release-package",
        "almalinux-release-9.4 is called foo-release-1.0",
        "lie-release",
        "foo-release",
        HELD,
        ["install", "foo-release", "foo-repos", "foo-gpg-keys"],
        proof=False,
    ),
    _lie("version", "a package of release 1.el9_4 says 1.el9", "lie-version", "newtool", refused("newtool-1-1.el9_4", "x")),
    _lie("epoch", "a package of epoch 9 says 0", "lie-epoch", "newtool"),
    _lie("architecture", "a package for x86_64 says noarch", "lie-arch", "newtool"),
    _lie("vendor", "a package of AlmaLinux says Example Packages", "lie-vendor", "newlib", refused("newlib", "x")),
    _lie("no-vendor", "a package of AlmaLinux names no vendor", "lie-no-vendor", "newlib", refused("newlib", "x")),
    _lie("obsoletes", "a package that obsoletes less does not say so", "lie-obsoletes", "pager", HELD, proof=False),
    _lie(
        "twice", "less of 9.4 is called newtool-3 beside a real newtool", "lie-href", "newtool", refused("less-590-4.el9_4", "x")
    ),
    _lie(
        "no-best",
        "the same as foo-1.0 with every option that makes dnf take what it gets",
        "lie-name",
        "foo",
        refused("less-590-4.el9_4", "x"),
        args=["--nobest", "--allowerasing", "--nogpgcheck", "--disableexcludes=all", "--skip-broken", "install", "foo"],
    ),
    _row(
        "lying metadata",
        "lie-allowed",
        "less of 9.4 is called foo, for which there is an exception",
        "lie-name",
        ["install", "foo"],
        refused("less-590-4.el9_4", "x"),
        steps=(pin("allow = foo@x"),),
    ),
)


def _debug(name: str, words: str, path: str, package: str, end: End) -> Row:
    return Row("debug-" + name, "debug trees", words, (repo("x", "{os}" + path), dnf("install", package)), end, slash=True)


_DEBUG = (
    _debug(
        "new", "9.2's debug tree serves a package that is no debug package", "/vault/9.2/new/debug/x86_64/", "newtool", UNSEEN
    ),
    _debug("stranger", "9.2's debug tree serves a bash", "/vault/9.2/shells/debug/x86_64/", "bash", UNSEEN),
    _debug("source", "9.2's source tree serves a less", "/vault/9.2/pagers/Source/", "less", UNSEEN),
    _debug("past", "9.4's debug tree serves a less of 9.4", "/vault/9.4/BaseOS/debug/x86_64/", "less", told("x")),
    _debug(
        "name",
        "9.2's debug tree serves a -debuginfo of 9.4 that obsoletes less",
        "/vault/9.2/names/debug/x86_64/",
        "pager-debuginfo",
        refused("pager-debuginfo", "x"),
    ),
)
ROWS: Tuple[Row, ...] = (*_TAGS, *_VENDORS, *_CONTENT, *_REPLACING, *_OBSOLETING, *_PULLING, *_LYING, *_DEBUG)
