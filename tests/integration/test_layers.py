# SPDX-License-Identifier: Apache-2.0
"""Each layer of the pin by itself: the files without a plugin; the sack, the plan, and rpm's transaction with the real plugin's
other hooks left out. What one layer cannot withstand is shown too: that is what the next one is for.
"""
import subprocess
from typing import Iterator, List, Sequence, Tuple

import pytest

from tests.integration.bypass.site import Ground, Site
from tests.integration.conftest import Hosts
from tests.integration.outcome import is_done, register, sections
from tests.sandbox.faults import Body, Fault, Status
from tests.sandbox.host import PROJECT, Host, slash_available
from tests.sandbox.licences import ESSENTIAL_KEY
from tests.sandbox.service import Service
from tests.sandbox.universe import Universe


@pytest.fixture(scope="module")
def ground(request: pytest.FixtureRequest, universe: Universe, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    made = Ground(universe, tmp_path_factory.mktemp("layers"), lambda: request.getfixturevalue("package"))
    yield made
    made.close()


# --- (a) files ----------------------------------------------------------------------------------------------------


def live_urls(host: Host) -> List[Tuple[str, str]]:
    """(section, URLs) of each operating system's section, enabled or not."""
    found = []
    for path in sorted((host.root / "etc/yum.repos.d").glob("almalinux*.repo")):
        for section, settings in sections(host, path.name).items():
            urls = [settings[key] for key in ("baseurl", "mirrorlist", "metalink") if key in settings]
            assert urls, section
            found += [(section, url) for url in urls]
    return found


def check_urls(host: Host, sections_at_least: int) -> None:
    found = live_urls(host)
    assert len({section for section, _ in found}) >= sections_at_least
    for section, url in found:
        assert "$tuxcare_releasever" in url and "$releasever" not in url, (section, url)


def test_every_live_url_follows_our_variable(any_host: Host) -> None:
    register(any_host)
    check_urls(any_host, 33)


def test_on_8_10(hosts: Hosts, service: Service) -> None:
    host = hosts.by_installroot("8.10")
    service.order(Fault(Body(b"<repomd/>", "text/xml"), path="/almalinux/8.10/*"))
    service.order(Fault(Status(403), path="/tuxcare/8.10/*"))
    register(host, key=ESSENTIAL_KEY)
    check_urls(host, 20)


WITHOUT_PLUGIN = {
    "noplugins": ["--noplugins"], "disableplugin": ["--disableplugin=tuxcare"], "all plugins off": ["--disableplugin=*"],
    "plugins=0": ["--setopt=plugins=0"], "no plugin path": ["--setopt=pluginpath=/srv/nothing"],
}
COMMANDS = {
    "upgrade": ["upgrade"], "distro-sync": ["distro-sync"], "releasever": ["--releasever=9.4", "upgrade"],
    "every section": ["--enablerepo=*", "--setopt=*.skip_if_unavailable=1", "--releasever=9.4", "distro-sync"],
}  # fmt: skip


def _slash(ground: Ground) -> None:
    reason = slash_available()
    if reason:
        pytest.skip(reason)


@pytest.mark.sampled
@pytest.mark.parametrize("command", COMMANDS.values(), ids=list(COMMANDS))
@pytest.mark.parametrize("options", WITHOUT_PLUGIN.values(), ids=list(WITHOUT_PLUGIN))
def test_the_files_alone(ground: Ground, options: Sequence[str], command: Sequence[str]) -> None:
    _slash(ground)
    with ground.site(slash=True) as site:
        # Updates do come by that way: a downgraded package comes back.
        is_done(site.dnf(*options, "downgrade", "expat"))
        is_done(site.dnf(*options, "--refresh", *command))
        assert site.came_in(ground.vetted) == [] and "expat-2.5.0-1.el9.tuxcare.els1.x86_64" in site.host.installed()


def test_the_files_alone_where_the_plugin_is_switched_off(ground: Ground) -> None:
    _slash(ground)
    with ground.site(slash=True) as site:
        (site.host.root / "etc/dnf/plugins/tuxcare.conf").write_text("[main]\nenabled = 0\n")
        is_done(site.dnf("--releasever=9.4", "--refresh", "distro-sync"))
        assert site.came_in(ground.vetted) == []


WITHOUT_PLUGINS_API = """
import sys, dnf
base = dnf.Base()
base.conf.assumeyes = True
base.conf.substitutions.update_from_etc("/")
base.conf.substitutions["releasever"] = sys.argv[1]
base.read_all_repos()
base.fill_sack()
base.distro_sync()
base.resolve()
base.download_packages(list(base.transaction.install_set))
base.do_transaction()
"""


@pytest.mark.parametrize("release", ["9", "9.4", "10"])
def test_the_files_alone_for_programs(ground: Ground, release: str) -> None:
    """As PackageKit and image builders do it."""
    _slash(ground)
    with ground.site(slash=True) as site:
        is_done(site.dnf("downgrade", "expat"))
        is_done(site.host.run(["/usr/bin/python3", "-", release], stdin=WITHOUT_PLUGINS_API))
        assert site.after() == site.before


# --- (b) and (c): one hook of the plugin at a time ----------------------------------------------------------------

# Behind the real plugin's text: the hooks of other layers do nothing.
_LEFT_OUT = "\n\nfor hook in %r:\n    assert hook in vars(_Hooks), hook\n    setattr(TuxcarePlugin, hook, lambda self: None)\n"
_LAYERS = {"files": (), "sack": ("config", "sack"), "plan": ("resolved",), "rpm": ("pre_transaction",)}
_HOOKS = ("config", "sack", "resolved", "pre_transaction")


def _alone(site: Site, layer: str, *args: str) -> "subprocess.CompletedProcess[str]":
    """dnf with the hooks of one layer, and a foreign repository `x` from the first of `args`."""
    folder = site.host.root / "srv/layer"
    folder.mkdir(parents=True)
    left_out = [hook for hook in _HOOKS if hook not in _LAYERS[layer]]
    (folder / "tuxcare.py").write_text((PROJECT / "dnf-plugins/tuxcare.py").read_text() + _LEFT_OUT % left_out)
    tree, *rest = args
    (site.host.root / "etc/yum.repos.d/x.repo").write_text(
        site.fill("[x]\nname=x\nbaseurl={pub}/%s/\ngpgcheck=0\n" % tree))
    return site.dnf("--nogpgcheck", "--setopt=pluginpath=%s" % folder, *rest)


ATTEMPTS = {
    "a stranger's bash": ("bash", "upgrade"),
    "an epoch": ("epoch", "upgrade"),
    "a release tag": ("tags", "install", "tag-el9-10"),
    "a module's tag": ("tags", "install", "tag-module"),
    "another family": ("vendors", "install", "os-rocky"),
    "a package of 9.4": ("one", "upgrade"),
    "all of 9.4": ("baseos94", "upgrade"),
    "obsoletes": ("obsoletes", "upgrade"),
    "a kernel": ("kernel", "install", "kernel-core-9"),
    "a dependency": ("needs", "install", "agent"),
    "a module": ("stream-os", "module", "install", "pager:1/common"),
}
# These the sack cannot see.
_FILE = ("newtool", "install", "{srv}/os94/less-590-4.el9_4.x86_64.rpm")
_LIE = ("lie-name", "install", "foo")


@pytest.mark.parametrize("args", ATTEMPTS.values(), ids=list(ATTEMPTS))
def test_the_files_do_not_withstand_it(ground: Ground, args: Sequence[str]) -> None:
    """Else the tests below would prove nothing."""
    with ground.site(slash=False) as site:
        _alone(site, "files", *args)
        assert site.came_in(ground.vetted)


@pytest.mark.parametrize("args", ATTEMPTS.values(), ids=list(ATTEMPTS))
def test_the_sack_alone(ground: Ground, args: Sequence[str]) -> None:
    with ground.site(slash=False) as site:
        done = _alone(site, "sack", *args)
        assert site.came_in(ground.vetted) == [] and "Error: tuxcare" not in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize("layer", ["plan", "rpm"])
@pytest.mark.parametrize("args", [*ATTEMPTS.values(), _FILE], ids=[*ATTEMPTS, "a file"])
def test_the_last_words_alone(ground: Ground, layer: str, args: Sequence[str]) -> None:
    with ground.site(slash=False) as site:
        done = _alone(site, layer, *args)
        lines = [line for line in done.stderr.splitlines() if line.startswith("Error: tuxcare: ")]
        assert done.returncode == 1 and len(lines) == 1 and "Leave it out" in lines[0], done.stdout + done.stderr
        assert site.after() == site.before


@pytest.mark.parametrize("layer", ["files", "sack", "plan"])
def test_lying_metadata_passes_the_layers_before(ground: Ground, layer: str) -> None:
    """What the very last word is for."""
    with ground.site(slash=False) as site:
        _alone(site, layer, *_LIE)
        assert [nevra for nevra in site.came_in(ground.vetted) if nevra.startswith("less-")]


def test_lying_metadata_and_the_very_last_word(ground: Ground) -> None:
    with ground.site(slash=False) as site:
        done = _alone(site, "rpm", *_LIE)
        assert done.returncode == 1 and "less-590-4.el9_4" in done.stderr, done.stdout + done.stderr
        assert site.after() == site.before


@pytest.mark.parametrize("layer", list(_LAYERS))
def test_each_layer_lets_vetted_updates_through(ground: Ground, layer: str) -> None:
    with ground.site(slash=False) as site:
        is_done(site.dnf("downgrade", "expat"))
        is_done(_alone(site, layer, "newtool", "upgrade"))
        assert site.after() == site.before
