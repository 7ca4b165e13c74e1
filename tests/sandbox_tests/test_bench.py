# SPDX-License-Identifier: Apache-2.0
"""The bench runs, and its table has every row. What the figures are is `make bench`'s business."""
import re
import subprocess
import sys
from pathlib import Path
from typing import List
from xml.etree import ElementTree

import pytest

from tests.bench import commands, figures
from tests.sandbox.host import PROJECT, slash_available

reason = slash_available()
pytestmark = pytest.mark.skipif(reason is not None, reason=str(reason))

PLUGINS = ("nothing (the noise)", "tuxcare", "versionlock, 500 entries", "dnf-plugins-core", "dnf-plugins-core and tuxcare")


def expected() -> List[str]:
    """`what | plugins` of each row but those of the share, which names milliseconds."""
    ratios = ["%s | %s" % (command.name, plugins) for command in (commands.UPGRADE, commands.REPOQUERY) for plugins in PLUGINS]
    added = ["repolist | %s" % plugins for plugins in PLUGINS]
    ours = ["repoquery of everything", "upgrade beside a foreign repository", "import and hooks", "hooks",
            "hooks beside a foreign repository", "status --check against repoquery --installed",
            "of " + ", ".join(figures.FORBIDDEN), "upgrade", "repoquery of one name", "repolist"]
    return sorted(ratios + added + ["%s | tuxcare" % what for what in ours])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a quick run has written."""
    output = tmp_path_factory.mktemp("bench")
    argv = [sys.executable, "-m", "tests.bench", "--quick", "--output", str(output)]
    done = subprocess.run(argv, cwd=str(PROJECT), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (output / "terminal").write_text(done.stdout)
    return output


def test_every_row_is_there(folder: Path) -> None:
    text = (folder / "bench.md").read_text()
    rows = re.findall(r"^\| ([^|]+ \| [^|]+) \| -?\d[\d.]*(?: ms| MiB| %)? \|", text, re.M)
    shares = [row for row in rows if "packages (" in row]
    assert sorted(row for row in rows if row not in shares) == expected()
    assert [row.split(" packages")[0] for row in shares] == ["3,000", "4,000"]
    # Each of ours, but for the ratio beside a foreign repository, is held against a budget; so is the second share.
    assert len(re.findall(r"\| (?:met|\*\*missed\*\*) \|$", text, re.M)) == 13


def test_terminal_and_document_agree(folder: Path) -> None:
    shown = (folder / "terminal").read_text()
    for line in re.findall(r"^\| ([^|]+) \| ([^|]+) \| (-?\d[^|]*) \|", (folder / "bench.md").read_text(), re.M):
        assert re.search(r"\s{2,}".join(re.escape(cell) for cell in line), shown), line


def test_picture_is_whole(folder: Path) -> None:
    picture = ElementTree.parse(str(folder / "bench.svg")).getroot()
    dots = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(dots) == 12 + 5 + 3 + 2 + 1
