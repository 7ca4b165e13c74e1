# SPDX-License-Identifier: Apache-2.0
"""A registered host on which our own code is damaged, the library or the plugin's own file: no transaction passes, reading goes
on, and the remedy that the line names is run from that very state.
"""
import os
import shutil
from pathlib import Path
from typing import Callable, Dict, List

import pytest

from tests.integration.outcome import is_done
from tests.integration.test_fails_closed import Damage, held, mended, reads, refused
from tests.sandbox.host import Host
from tests.sandbox.universe import Universe

def library(host: Host, name: str = "") -> Path:
    """A file of the installed library, as the machine sees it."""
    paths = is_done(host.run(["rpm", "-ql", "dnf-plugin-tuxcare"])).splitlines()
    return host.root / (next(path for path in paths if path.endswith("/tuxcare_lib")) + name).lstrip("/")


def serve_the_product(host: Host, universe: Universe, package: Path) -> None:
    folder = host.root / "srv/product"
    folder.mkdir(parents=True)
    shutil.copy(str(package), str(folder))
    # What it needs is the machine's there, not the host's database's.
    needs = ("python3-dnf = 4.14", "python3-rpm", "python3-requests", "python3-gnupg", "gnupg2", "/usr/bin/python3")
    universe.build_rpm(folder, "python3-site", "1-1", provides=needs)
    universe.index(folder)
    (host.root / "etc/yum.repos.d/product.repo").write_text("[product]\nname=Product\nbaseurl=file:///srv/product\ngpgcheck=0\n")


def raising(method: str) -> Damage:
    return lambda host: _append(host, "/adapter/guard.py", "\n\nGuard.{0} = lambda *arguments: 1 // 0\n".format(method))


def _append(host: Host, name: str, text: str) -> None:
    path = library(host, name)
    is_done(host.run(["sh", "-c", 'cat >> "$0"', "/" + str(path.relative_to(host.root))], stdin=text))


def _removed(name: str) -> Damage:
    return lambda host: is_done(host.run(["rm", "-r", "/" + str(library(host, name).relative_to(host.root))]))


CODE: Dict[str, Damage] = {
    "library gone": _removed(""), "a module gone": _removed("/pin.py"), "the guard gone": _removed("/adapter/guard.py"),
    "a syntax error": lambda host: _append(host, "/pin.py", "\ndef (:\n"),
    "NUL in a module": lambda host: _append(host, "/adapter/guard.py", "\n\0\n"),
    "a name gone": lambda host: _append(host, "/witness.py", "\ndel Host\n"),
    "inject raises": raising("inject"), "look_at_repositories raises": raising("look_at_repositories"),
    "hide raises": raising("hide"), "check_plan raises": raising("check_plan"),
    "check_packages raises": raising("check_packages"),
}


@pytest.mark.registered
@pytest.mark.sampled
@pytest.mark.parametrize("damage", CODE.values(), ids=list(CODE))
def test_our_own_code_damaged(slash_host: Host, universe: Universe, package: Path, damage: Damage) -> None:
    serve_the_product(slash_host, universe, package)
    damage(slash_host)
    line = refused(slash_host, "dnf --disableplugin=tuxcare reinstall dnf-plugin-tuxcare")
    reads(slash_host)
    told = slash_host.dnf("tuxcare", "status")
    assert "Traceback" not in told.stderr and told.returncode in (0, 1)
    mended(slash_host, line)
    held(slash_host)


# --- the plugin's own file -------------------------------------------------------------------------------------------


def plugin(host: Host) -> str:
    return next(path for path in is_done(host.run(["rpm", "-ql", "dnf-plugin-tuxcare"])).splitlines()
                if path.endswith("dnf-plugins/tuxcare.py"))


def _cut(share: float) -> "Callable[[Host], None]":
    """A file that lost its end, as after a power cut; 0 leaves an empty one. What was compiled of it is gone, too."""
    def damage(host: Host) -> None:
        path = plugin(host)
        lines = is_done(host.run(["cat", path])).splitlines(keepends=True)
        is_done(host.run(["sh", "-c", 'cat > "$0"; rm -f "${0%/*}"/__pycache__/tuxcare.*', path],
                         stdin="".join(lines[:int(share * len(lines))])))
    return damage


def _compiled(host: Host) -> None:
    folder = os.path.dirname(plugin(host)) + "/__pycache__"
    script = 'for f in "$0"/tuxcare.*; do head -c 16 "$f" > /tmp/x; echo junkjunk >> /tmp/x; cat /tmp/x > "$f"; done'
    is_done(host.run(["sh", "-c", script, folder]))


def _syntax(host: Host) -> None:
    is_done(host.run(["sh", "-c", 'echo "def (:" >> "$0"', plugin(host)]))


@pytest.mark.registered
@pytest.mark.parametrize("damage", [_cut(0), _cut(0.3), _cut(0.6), _cut(0.8), _cut(0.97), _compiled, _syntax],
                         ids=["empty", "cut at 30 %", "cut at 60 %", "cut at 80 %", "cut at 97 %", "compiled", "syntax"])
def test_the_plugins_own_file_damaged(slash_host: Host, universe: Universe, package: Path, damage: Damage) -> None:
    """dnf logs what it cannot load and goes on; the sentinel does not."""
    serve_the_product(slash_host, universe, package)
    damage(slash_host)
    line = refused(slash_host, "dnf --disableplugin=tuxcare* reinstall dnf-plugin-tuxcare")
    assert slash_host.dnf("list", "--installed", "bash").returncode == 0
    mended(slash_host, line)
    held(slash_host)


@pytest.mark.registered
@pytest.mark.parametrize("args", [["--disableplugin=tuxcare"], ["--disableplugin=tuxcare*"], ["--noplugins"]], ids=" ".join)
def test_the_sentinel_says_nothing_of_a_plugin_that_was_switched_off(slash_host: Host, args: List[str]) -> None:
    done = slash_host.dnf("-y", *args, "remove", "rsync")
    assert is_done(done) and "tuxcare" not in done.stderr


@pytest.mark.registered
def test_another_folder_of_configuration_does_not_switch_the_plugin_off(slash_host: Host, universe: Universe) -> None:
    (slash_host.root / "srv/conf").mkdir()
    (slash_host.root / "srv/conf/tuxcare.conf").write_text("[main]\nenabled = 0\n[pin]\ntrusted_url = file:///srv\n")
    shutil.copy(str(universe.package("less", "590-4.el9_4")), str(slash_host.root / "srv/less.rpm"))
    done = slash_host.dnf("-y", "--setopt=pluginconfpath=/srv/conf", "--nogpgcheck", "install", "/srv/less.rpm")
    assert done.returncode == 1 and "past the pin" in done.stderr
