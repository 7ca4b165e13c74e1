# SPDX-License-Identifier: Apache-2.0
"""The generated texts are those of the real releases, byte for byte."""

from pathlib import Path

import pytest

from tests.sandbox import osfiles

REAL = Path(__file__).resolve().parents[3] / "shared" / "data"

pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no real files beside the project to compare with")


@pytest.mark.parametrize("version", ["8.10", "9.2"])
def test_repo_files_are_the_real_ones(version: str) -> None:
    real = {path.name: path.read_bytes() for path in (REAL / "repos" / ("almalinux-" + version)).iterdir()}
    made = {name: text.encode() for name, text in osfiles.repo_files(version).items()}
    assert made == real


def test_rocky_repo_files_are_the_real_ones() -> None:
    made = osfiles.repo_files("9.6", "rocky")
    assert "rocky.repo" in made
    for name, text in made.items():
        assert text.encode() == (REAL / "repos" / "rocky-9.6" / name).read_bytes()


@pytest.mark.parametrize("path", sorted((REAL / "os-release").glob("*")), ids=lambda path: path.name)
def test_release_files_are_the_real_ones(path: Path) -> None:
    release, kind = path.name.rsplit(".", 1)
    os_id, version = release.split("-")
    made = osfiles.os_release(version, os_id) if kind == "os-release" else osfiles.release_line(version, os_id)
    assert made.encode() == path.read_bytes()
