# SPDX-License-Identifier: Apache-2.0
"""Programs on dnf's Python API, where no command line is: Ansible's way, dnf-automatic, and callers that swallow errors."""

from typing import Tuple

from tests.integration.bypass.row import HELD, Row, Step, python, repo, run, write

__all__ = ["ROWS"]

_FILE = "/srv/trees/os94/less-590-4.el9_4.x86_64.rpm"
_MARK_FILE = "for package in base.add_remote_rpms(['%s']): base.package_install(package)\n" % _FILE
_ADD = "late = base.repos.add_new_repo('late', base.conf, ['{pub}/%s/'])\n"


def _api(
    name: str,
    words: str,
    code: str,
    tree: str = "newtool",
    enabled: int = 1,
    proof: bool = True,
    steps: Tuple[Step, ...] = (),
    may: Tuple[str, ...] = (),
) -> Row:
    return Row(
        "api-" + name,
        "Python API",
        words,
        (repo("x", "{pub}/%s/" % tree, "enabled=%d" % enabled), *steps, python(code)),
        HELD,
        slash=True,
        proof=proof,
        may=may,
    )


_SWALLOW = """
for attempt in range(3):
    try:
        base.do_transaction()
    except Exception as error:
        print("swallowed", error)
"""
_API = (
    _api("upgrade", "9.4 enabled, upgrade_all", "ready(); base.fill_sack(); base.upgrade_all(); go()", "baseos94"),
    _api("stranger", "a stranger's bash, upgrade_all", "ready(); base.fill_sack(); base.upgrade_all(); go()", "bash"),
    _api(
        "no-pre-configure",
        "a caller that knows no pre_configure_plugins",
        "base.init_plugins()\nbase.conf.substitutions.update_from_etc('/')\nbase.read_all_repos(); base.configure_plugins()\n"
        "base.fill_sack(); base.upgrade_all(); go()",
        "one",
    ),
    _api(
        "no-configure",
        "a caller that knows no configure_plugins",
        "base.init_plugins()\nbase.pre_configure_plugins()\n"
        "base.conf.substitutions.update_from_etc('/'); base.read_all_repos()\nbase.fill_sack(); base.upgrade_all(); go()",
        "baseos94",
    ),
    _api(
        "late",
        "a repository of 9.4 added after configure_plugins",
        "ready()\n" + _ADD % "baseos94" + "base.fill_sack(); base.upgrade_all(); go()",
    ),
    _api(
        "after-sack",
        "a repository added after fill_sack, and put into the sack by hand",
        "ready(); base.fill_sack()\n" + _ADD % "one" + "base._add_repo_to_sack(late); base.upgrade_all(); go()",
    ),
    _api(
        "second-sack",
        "a repository added after fill_sack, and a second fill_sack",
        "ready(); base.fill_sack()\n" + _ADD % "one" + "base.fill_sack(); base.upgrade_all(); go()",
    ),
    _api(
        "enable",
        "a disabled repository enabled after configure_plugins",
        "ready(); base.repos['x'].enable(); base.fill_sack(); base.upgrade_all(); go()",
        "baseos94",
        enabled=0,
    ),
    _api(
        "url",
        "the URL of baseos changed after configure_plugins",
        "ready(); base.repos['baseos'].baseurl = ['{pub}/baseos94/']\n"
        "base.repos['baseos'].gpgcheck = False; base.fill_sack(); base.upgrade_all(); go()",
    ),
    _api(
        "url-late",
        "the URL of baseos changed after the plan was made",
        "ready(); base.fill_sack(); base.upgrade_all(); base.resolve()\n"
        "base.repos['baseos'].baseurl = ['{pub}/baseos94/']\n"
        "base.download_packages(list(base.transaction.install_set)); base.do_transaction()",
        proof=False,
    ),
    _api(
        "excludes",
        "all excludes of the sack taken away",
        "ready(); base.fill_sack(); base.sack.reset_excludes()\nbase.upgrade_all(); go()",
        "one",
    ),
    _api(
        "excludes-empty",
        "set_excludes of nothing",
        "ready(); base.fill_sack(); base.sack.set_excludes(base.sack.query().filter(empty=True))\nbase.upgrade_all(); go()",
        "bash",
    ),
    _api(
        "ignoring",
        "a package found by a query that ignores excludes",
        "import hawkey\nready(); base.fill_sack()\n"
        "for package in base.sack.query(flags=hawkey.IGNORE_EXCLUDES).filter(name='less', release='4.el9_4'):\n"
        "    base.package_upgrade(package)\ngo()",
        "one",
    ),
    _api("file", "a package file", "ready(); base.fill_sack()\n" + _MARK_FILE + "go()"),
    _api(
        "swallow-plan",
        "a package file; the refusal of the plan is swallowed and the transaction run",
        "ready(); base.fill_sack()\n"
        + _MARK_FILE
        + "try:\n    base.resolve()\nexcept dnf.exceptions.Error as error:\n    print('swallowed', error)\n"
        + _SWALLOW,
    ),
    _api(
        "swallow-all",
        "the same with a lying repository, run three times",
        "ready(); base.fill_sack(); base.install('foo')\n"
        "base.resolve(); base.download_packages(list(base.transaction.install_set))\n" + _SWALLOW,
        "lie-name",
    ),
    _api(
        "exception",
        "every exception is caught, and the whole is tried once more",
        "ready(); base.fill_sack()\n"
        + _MARK_FILE
        + "for _ in range(2):\n    try:\n        go()\n    except Exception as error:\n        print('swallowed', error)\n",
    ),
    _api(
        "cached",
        "fill_sack_from_repos_in_cache",
        "ready(); base.fill_sack(); base.reset(sack=True, goal=True)\n"
        "base.fill_sack_from_repos_in_cache(); base.upgrade_all(); go()",
        "one",
    ),
    _api(
        "conf",
        "variables read from another folder after pre_configure_plugins",
        "base.init_plugins(); base.pre_configure_plugins()\n"
        "base.conf.substitutions.update_from_etc('/', varsdir=['/srv/vars'])\n"
        "base.read_all_repos(); base.configure_plugins(); base.repos.get_matching('tuxcare*').disable()\n"
        "base.fill_sack(); base.upgrade_all(); go()",
        steps=(write("srv/vars/tuxcare_releasever", "9.4\n"), write("srv/vars/tuxcare_token", "{token}\n")),
    ),
    _api(
        "substitutions",
        "base.conf.substitutions changed after pre_configure_plugins",
        "base.init_plugins(); base.pre_configure_plugins()\nbase.conf.substitutions['tuxcare_token'] = '{token}'\n"
        "base.conf.substitutions['tuxcare_releasever'] = '9.4'\n"
        "base.read_all_repos(); base.configure_plugins(); base.repos.get_matching('tuxcare*').disable()\n"
        "base.fill_sack(); base.upgrade_all(); go()",
    ),
    _api(
        "module",
        "enable of a foreign stream by the API, upgrade_all",
        "import dnf.module.module_base\nready(); base.fill_sack()\n"
        "dnf.module.module_base.ModuleBase(base).enable(['pager:1']); base.upgrade_all(); go()",
        "stream-os",
    ),
    _api(
        "group",
        "a group of a foreign comps.xml by the API",
        "ready(); base.fill_sack(); base.read_comps()\nbase.group_install('tools', ('mandatory',)); go()",
        "groups-new",
    ),
)
_CONF = (
    "[commands]\nupgrade_type = default\nrandom_sleep = 0\nnetwork_online_timeout = 0\napply_updates = yes\n[emitters]\n"
    "emit_via = stdio\n[base]\ngpgcheck = 0\ndebuglevel = 1\n"
)
_AUTOMATIC = "import sys, dnf.automatic.main; sys.exit(dnf.automatic.main.main(['--installupdates', '/etc/dnf/automatic.conf']))"


def _automatic(name: str, words: str, tree: str) -> Row:
    return Row(
        "automatic-" + name,
        "dnf-automatic",
        words,
        (repo("x", "{pub}/%s/" % tree), write("etc/dnf/automatic.conf", _CONF), run("/usr/bin/python3", "-c", _AUTOMATIC)),
        HELD,
        slash=True,
    )


ROWS: Tuple[Row, ...] = (
    *_API,
    _automatic("os", "dnf-automatic with 9.4 enabled", "baseos94"),
    _automatic("stranger", "dnf-automatic with a stranger's bash", "bash"),
)
