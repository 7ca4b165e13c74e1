# SPDX-License-Identifier: Apache-2.0
"""Roots that real dnf and rpm fill straight from the universe's trees, without service or product."""

import os
import platform
import subprocess
from pathlib import Path
from typing import Dict, Sequence, Set

import pytest

from tests.sandbox.signing import KEY_UIDS
from tests.sandbox.universe import Universe

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="installs packages into a root and enters it: needs root")
needs_shell = pytest.mark.skipif(platform.machine() != "x86_64", reason="enters an x86_64 root")

OS_9_2 = ("almalinux/9.2/BaseOS", "almalinux/9.2/AppStream")
STOCK_KERNEL = "5.14.0-284.11.1.el9_2.x86_64"
FIPS_KERNEL = "5.14.0-284.11.1.el9_2.tuxcare.6.x86_64"


def rpm(*words: object) -> str:
    return subprocess.run(
        ["rpm", *map(str, words)], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ).stdout


class Root:
    """A root that real dnf fills from the trees, every signature checked."""

    def __init__(self, universe: Universe, path: Path) -> None:
        self.universe = universe
        self.path = path
        self.repos: Dict[str, Path] = {}
        (path / "repos").mkdir(parents=True)
        (path / "root").mkdir()
        # With --installroot dnf looks for protected.d on this machine, so the root's has to be named.
        (path / "dnf.conf").write_text(
            "[main]\ngpgcheck=1\ninstallonly_limit=3\nbest=1\nplugins=0\n"
            "protected_packages=glob:%s/root/etc/dnf/protected.d/*.conf\n" % path
        )

    def add(self, trees: Sequence[str], arch: str = "x86_64") -> None:
        keys = " ".join("file://%s" % self.universe.public_key(name) for name in KEY_UIDS)
        for tree in trees:
            section = "[%s]\nname=%s\nbaseurl=file://%s\ngpgkey=%s\n"
            repo_id = tree.replace("/", "-")
            text = section % (repo_id, tree, self.universe.tree(tree, arch), keys)
            (self.path / "repos" / (repo_id + ".repo")).write_text(text)

    def dnf(self, *words: str, status: int = 0) -> str:
        options = ["-y", "--config=%s/dnf.conf" % self.path, "--installroot=%s/root" % self.path, "--releasever=9"]
        options += ["--setopt=reposdir=%s/repos" % self.path, "--setopt=cachedir=%s/cache" % self.path]
        done = subprocess.run(
            ["dnf", *options, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def installed(self) -> Set[str]:
        return set(rpm("--root", self.path / "root", "-qa", "--qf", "%{name}-%{evr}.%{arch}\\n").split())

    def run(self, *words: str, status: int = 0) -> str:
        done = subprocess.run(
            ["chroot", str(self.path / "root"), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            env={"PATH": "/usr/sbin:/usr/bin"},
        )
        assert done.returncode == status, done.stdout
        return done.stdout

    def read(self, name: str) -> str:
        return (self.path / "root" / name).read_text()


def stock_host(universe: Universe, path: Path) -> Root:
    """A freshly installed 9.2 host with its own repositories."""
    made = Root(universe, path)
    made.add(OS_9_2)
    made.dnf("install", *map(str, universe.base_packages()))
    return made
