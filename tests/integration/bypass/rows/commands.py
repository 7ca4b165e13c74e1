# SPDX-License-Identifier: Apache-2.0
"""Package files, and commands other than install and upgrade: history, groups, modules, advisories, dnf's shell."""

from typing import Optional, Tuple

from tests.integration.bypass.documents import defaults
from tests.integration.bypass.row import HELD, UNSEEN, End, Row, Step, dnf, refused, repo, told, write

__all__ = ["ROWS"]

_LESS = "{srv}/os94/less-590-4.el9_4.x86_64.rpm"
_PAST_LESS = "less-590-4.el9_4"


def _file(
    name: str,
    words: str,
    *args: str,
    end: Optional[End] = None,
    steps: Tuple[Step, ...] = (),
    proof: bool = True,
    may: Tuple[str, ...] = (),
) -> Row:
    return Row(
        "file-" + name,
        "package files",
        words,
        (*steps, dnf("--nogpgcheck", *args)),
        end or refused(_PAST_LESS),
        proof=proof,
        may=may,
    )


_FILES = (
    _file("install", "install a file of 9.4", "install", _LESS),
    _file("upgrade", "upgrade to a file of 9.4", "upgrade", _LESS),
    _file("url", "install a file's URL", "install", "{pub}/baseos94/less-590-4.el9_4.x86_64.rpm"),
    _file("url-scheme", "install by file://", "install", "file://" + _LESS),
    _file("swap", "swap less for a file of 9.4", "--allowerasing", "swap", "less", _LESS),
    _file("offline", "install a file with --disablerepo=*", "--disablerepo=*", "install", _LESS),
    _file("cache", "install a file with -C", "-C", "install", _LESS),
    _file(
        "options",
        "install a file with every option that makes dnf take what it gets",
        "--nobest",
        "--allowerasing",
        "--disableexcludes=all",
        "--skip-broken",
        "install",
        _LESS,
    ),
    _file(
        "provision",
        "install dir/*.rpm: one of three is of 9.4",
        "install",
        "{srv}/newtool/newtool-1-1.noarch.rpm",
        "{srv}/fedora/fedoratool-1-3.fc40.noarch.rpm",
        _LESS,
    ),
    _file(
        "release",
        "the release packages of 9.4",
        "upgrade",
        *("{srv}/release94/almalinux-%s-9.4-1.el9.x86_64.rpm" % name for name in ("release", "repos", "gpg-keys")),
        end=refused("almalinux-", "9.4"),
    ),
    _file(
        "kernel",
        "the kernel of 9.4",
        "install",
        *(
            "{srv}/kernels94/%s-5.14.0-427.13.1.el9_4.x86_64.rpm" % name
            for name in ("kernel", "kernel-core", "kernel-modules", "kernel-modules-core")
        ),
        end=refused("kernel", "427"),
    ),
    _file(
        "no-tag",
        "a file of 9.4 whose name does not tell",
        "upgrade",
        "{srv}/half/tzdata-2024a-1.el9.noarch.rpm",
        end=refused("tzdata-2024a"),
    ),
    _file(
        "tag",
        "a third party's file of release 1.el9_10",
        "install",
        "{srv}/tags/tag-el9-10-1-1.el9_10.noarch.rpm",
        end=refused("tag-el9-10"),
    ),
    _file(
        "vendor", "a new name by the vendor Rocky", "install", "{srv}/vendors/os-rocky-1-1.noarch.rpm", end=refused("os-rocky")
    ),
    _file("stranger", "a stranger's bash", "upgrade", "{srv}/bash/bash-9-1.x86_64.rpm", end=refused("bash-9-1")),
    _file(
        "epoch", "a stranger's less with a higher epoch", "upgrade", "{srv}/epoch/less-1-1.x86_64.rpm", end=refused("less-99:1-1")
    ),
    _file("older", "downgrade to a stranger's less", "downgrade", "{srv}/older/less-1-1.x86_64.rpm", end=refused("less-1-1")),
    _file(
        "same",
        "reinstall a stranger's less of the installed version",
        "reinstall",
        "{srv}/same/less-590-1.el9_0.x86_64.rpm",
        end=refused("less-590-1.el9_0"),
    ),
    _file(
        "obsoletes",
        "a file that obsoletes openssl-libs",
        "--allowerasing",
        "install",
        "{srv}/obsoletes/openssl-ng-1-1.x86_64.rpm",
        end=refused("openssl-ng"),
    ),
    _file(
        "needs",
        "a file that requires the less of 9.4, with that one beside it",
        "install",
        "{srv}/needs/agent-1-1.noarch.rpm",
        "{srv}/needs/" + _PAST_LESS + ".x86_64.rpm",
    ),
    _file(
        "conflicts",
        "a file that provides rsync and conflicts with it, --allowerasing",
        "--allowerasing",
        "install",
        "{srv}/conflicts/rsync-ng-1-1.noarch.rpm",
        end=HELD,
    ),
    _file(
        "downloaded",
        "--downloadonly from 9.4 without plugins, then install what was downloaded",
        "install",
        "{root}/srv/down/" + _PAST_LESS + ".x86_64.rpm",
        steps=(
            dnf(
                "--noplugins",
                "--nogpgcheck",
                "--repofrompath=x,{pub}/one/",
                "--downloadonly",
                "--downloaddir={root}/srv/down",
                "upgrade",
                "less",
            ),
        ),
    ),
)


def _command(name: str, words: str, tree: str, *args: str, end: End = UNSEEN, proof: bool = True) -> Row:
    return Row("command-" + name, "commands", words, (repo("x", "{pub}/%s/" % tree), dnf(*args)), end, proof=proof)


_COMMANDS = (
    _command("sync", "distro-sync with 9.4 enabled", "baseos94", "distro-sync", end=told("x")),
    _command("sync-name", "distro-sync less", "one", "distro-sync", "less"),
    _command("minimal", "upgrade-minimal by an advisory of 9.4", "advisory", "upgrade-minimal"),
    _command("advisory", "upgrade --advisory=ALSA-2024:9999", "advisory", "--advisory=ALSA-2024:9999", "upgrade"),
    _command("install-newer", "install 'less > 590-3'", "one", "install", "less > 590-3"),
    _command("upgrade-to", "upgrade less-590-4.el9_4", "one", "upgrade", "less-590-4.el9_4"),
    _command("swap", "swap rsync for the less of 9.4", "one", "swap", "rsync", "less-590-4.el9_4", end=HELD),
    _command(
        "swap-ng",
        "swap less for a stranger's pager that obsoletes it",
        "obsoletes-less",
        "--allowerasing",
        "swap",
        "less",
        "pager",
        end=HELD,
    ),
    _command(
        "installonly",
        "a kernel of 9.4 beside the installed one",
        "kernels94",
        "install",
        "kernel-core-5.14.0-427.13.1.el9_4",
        end=HELD,
    ),
    _command("background", "upgrade -C with a repository that was never read", "one", "-C", "upgrade", proof=False),
    Row(
        "command-twice",
        "commands",
        "--downloadonly, and then the upgrade from the cache with -C",
        (repo("x", "{pub}/one/"), dnf("--noplugins", "--downloadonly", "upgrade", "less"), dnf("-C", "upgrade", "less")),
        UNSEEN,
    ),
)
_GROUPS = (
    _command("group-install", "group install core, where a foreign comps.xml lists 9.4's", "groups", "group", "install", "core"),
    _command("group-upgrade", "group upgrade core", "groups", "group", "upgrade", "core", end=HELD, proof=False),
    _command("group-at", "install @core", "groups", "install", "@core"),
    _command("group-new", "group install tools, a package past the pin", "groups-new", "group", "install", "tools", end=HELD),
    _command(
        "group-optional",
        "group install --with-optional of 9.4's own group",
        "baseos94",
        "group",
        "install",
        "--with-optional",
        "core",
        end=told("x"),
    ),
)


def _module(name: str, words: str, tree: str, *steps: Step, end: End = HELD, proof: bool = True) -> Row:
    return Row("module-" + name, "modules", words, (repo("x", "{pub}/%s/" % tree), *steps), end, proof=proof)


_MODULES = (
    _module("shadow", "a default stream hides the vetted openssl-libs", "shadow", dnf("upgrade")),
    _module("shadow-curl-sync", "a default stream hides the vetted curl: distro-sync", "shadow-own", dnf("distro-sync")),
    _module(
        "enable",
        "module enable of a stream that holds less, then upgrade",
        "stream-os",
        dnf("module", "enable", "pager:1"),
        dnf("upgrade"),
    ),
    _module("install", "module install of a stream that holds less", "stream-os", dnf("module", "install", "pager:1/common")),
    _module("install-at", "install @pager:1", "stream-os", dnf("install", "@pager:1/common")),
    _module(
        "switch",
        "module switch-to, after module enable of that stream",
        "stream-os",
        dnf("module", "enable", "pager:1"),
        dnf("module", "switch-to", "pager:1"),
    ),
    _module("sync", "module enable, then distro-sync", "stream-os", dnf("module", "enable", "pager:1"), dnf("distro-sync")),
    _module("tag", "module install of a stream built for 9.4", "stream-94", dnf("module", "install", "newdb:1/common")),
    _module(
        "nginx",
        "nginx of the vetted stream is installed, a foreign stream of nginx is switched to",
        "stream",
        dnf("--disablerepo=x", "module", "install", "nginx:1.22/common"),
        dnf("module", "reset", "nginx"),
        dnf("module", "switch-to", "nginx:1.99"),
    ),
    _module(
        "update",
        "the same: module update",
        "stream",
        dnf("--disablerepo=x", "module", "install", "nginx:1.22/common"),
        dnf("--setopt=module_stream_switch=1", "module", "enable", "nginx:1.99"),
        dnf("upgrade"),
    ),
    _module(
        "appstream",
        "module install nginx:1.24 from 9.4's AppStream at an address that tells nothing",
        "appstream94",
        dnf("module", "install", "nginx:1.24/common"),
        end=HELD,
    ),
    _module(
        "appstream-nodejs",
        "module install nodejs:18, of which 9.4's is later",
        "appstream94",
        dnf("module", "install", "nodejs:18/common"),
        end=told("x"),
    ),
    _module(
        "hotfixes",
        "module_hotfixes and module enable together",
        "stream-os",
        dnf("--setopt=x.module_hotfixes=1", "module", "enable", "pager:1"),
        dnf("--setopt=x.module_hotfixes=1", "upgrade"),
    ),
    _module(
        "defaults-file",
        "a file in /etc/dnf/modules.defaults.d makes a foreign stream the default one",
        "stream-os",
        write("etc/dnf/modules.defaults.d/pager.yaml", defaults("pager", "1")),
        dnf("upgrade"),
    ),
    _module(
        "enabled-file",
        "a file in /etc/dnf/modules.d enables a foreign stream",
        "stream-os",
        write("etc/dnf/modules.d/pager.module", "[pager]\nname=pager\nstream=1\nprofiles=\nstate=enabled\n"),
        dnf("upgrade"),
    ),
)

# --- what was done before -----------------------------------------------------------------------------------------

# The package was brought in without the plugin once; then the host went back.
_BEFORE = (dnf("--disableplugin=tuxcare", "--nogpgcheck", "install", _LESS), dnf("history", "undo", "last"))


def _history(name: str, words: str, *steps: Step, end: End = HELD, tree: str = "one") -> Row:
    return Row("history-" + name, "history", words, (*_BEFORE, repo("x", "{pub}/%s/" % tree), *steps), end)


_HISTORY = (
    _history("redo", "history redo of the transaction that brought it", dnf("history", "redo", "last-1")),
    _history("redo-os", "the same with 9.4's tree", dnf("history", "redo", "last-1"), tree="baseos94"),
    _history("undo", "history undo of the way back", dnf("history", "undo", "last")),
    _history("rollback", "history rollback to when it was there", dnf("history", "rollback", "last-1")),
    _history(
        "replay",
        "history store, then replay",
        dnf("history", "store", "-o", "{root}/srv/stored.json", "last-1"),
        dnf("history", "replay", "{root}/srv/stored.json"),
    ),
    _history(
        "replay-offline",
        "history replay from the cache, as offline upgrades do",
        dnf("history", "store", "-o", "{root}/srv/stored.json", "last-1"),
        dnf("--noplugins", "--downloadonly", "upgrade", "less"),
        dnf("-C", "history", "replay", "{root}/srv/stored.json"),
    ),
)

# --- dnf's shell --------------------------------------------------------------------------------------------------


def _shell(name: str, words: str, tree: str, *lines: str, enabled: int = 1, proof: bool = True) -> Row:
    script = "".join(line + "\n" for line in lines)
    return Row(
        "shell-" + name,
        "dnf's shell",
        words,
        (repo("x", "{pub}/%s/" % tree, "enabled=%d" % enabled), dnf("--nogpgcheck", "shell", stdin=script)),
        HELD,
        proof=proof,
    )


_SHELL = (
    _shell("run", "a file of 9.4, run", "newtool", "install " + _LESS, "run", "exit"),
    _shell("again", "a file of 9.4, refused, and run once more", "newtool", "install " + _LESS, "run", "run", "run", "exit"),
    _shell(
        "after",
        "a file of 9.4, refused; then a harmless package, run",
        "newtool",
        "install " + _LESS,
        "run",
        "remove rsync",
        "run",
        "exit",
    ),
    _shell(
        "reset",
        "a file of 9.4, refused, reset, and again",
        "newtool",
        "install " + _LESS,
        "run",
        "ts reset",
        "install " + _LESS,
        "run",
        "exit",
    ),
    _shell(
        "enable",
        "a disabled repository of 9.4, enabled in the shell",
        "baseos94",
        "repo enable x",
        "upgrade",
        "run",
        "exit",
        enabled=0,
    ),
    _shell(
        "enable-late",
        "the same after the packages were read",
        "baseos94",
        "list --installed less",
        "repo enable x",
        "upgrade",
        "run",
        "exit",
        enabled=0,
    ),
    _shell(
        "enable-stranger",
        "a disabled repository of a stranger's bash, enabled in the shell",
        "bash",
        "list --installed less",
        "repo enable x",
        "upgrade",
        "run",
        "exit",
        enabled=0,
    ),
    _shell("lie", "less of 9.4 called foo, run, run", "lie-name", "install foo", "run", "run", "exit"),
    Row(
        "shell-file",
        "dnf's shell",
        "a script file instead of standard input",
        (write("srv/script", "install " + _LESS + "\nrun\nrun\nexit\n"), dnf("--nogpgcheck", "shell", "{root}/srv/script")),
        HELD,
    ),
)
ROWS: Tuple[Row, ...] = (*_FILES, *_COMMANDS, *_GROUPS, *_MODULES, *_HISTORY, *_SHELL)
