# SPDX-License-Identifier: Apache-2.0
"""The bench runs, its table has every row, and a budget that is missed is seen. The figures are `make bench`'s business."""
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict, List
from xml.etree import ElementTree

import pytest

from tests.bench import chart, commands, figures, table
from tests.bench.site import TUXCARE, BenchError
from tests.sandbox.host import PROJECT, slash_available

PLUGINS = ("nothing (the noise)", "tuxcare", "versionlock, 500 entries", "dnf-plugins-core", "dnf-plugins-core and tuxcare")


def expected() -> List[str]:
    """`what | plugins` of each row but those of the share, which names milliseconds."""
    ratios = ["%s | %s" % (command.name, plugins) for command in (commands.UPGRADE, commands.REPOQUERY) for plugins in PLUGINS]
    added = ["repolist | %s" % plugins for plugins in PLUGINS]
    ours = ["repoquery of everything", "upgrade beside a foreign repository", "import and hooks", "hooks",
            "hooks beside a foreign repository", "the same, with the first query's indexes",
            "status --check against repoquery --installed",
            "of " + ", ".join(figures.FORBIDDEN), "upgrade", "repoquery of one name", "repolist"]
    return sorted(ratios + added + ["%s | tuxcare" % what for what in ours])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a quick run has written."""
    reason = slash_available()
    if reason:
        pytest.skip(reason)
    output = tmp_path_factory.mktemp("bench")
    argv = [sys.executable, "-m", "tests.bench", "--quick", "--output", str(output)]
    done = subprocess.run(argv, cwd=str(PROJECT), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    (output / "terminal").write_text(done.stdout)
    return output


def tables(folder: Path) -> str:
    """The part of the document that the terminal shows, too."""
    return (folder / "bench.md").read_text().split("### Where the time goes")[0]


def test_every_row_is_there(folder: Path) -> None:
    text = tables(folder)
    rows = re.findall(r"^\| ([^|]+ \| [^|]+) \| -?\d[\d.]*(?: ms| MiB| %)? \|", text, re.M)
    shares = [row for row in rows if "packages (" in row]
    assert sorted(row for row in rows if row not in shares) == expected()
    assert [row.split(" packages")[0] for row in shares] == ["3,000", "4,000"]
    # Each of ours, but for the ratio beside a foreign repository, is held against a budget; so is the second share.
    assert len(re.findall(r"\| (?:met|\*\*missed\*\*) \|$", text, re.M)) == 13


def test_terminal_and_document_agree(folder: Path) -> None:
    shown = (folder / "terminal").read_text()
    for line in re.findall(r"^\| ([^|]+) \| ([^|]+) \| (-?\d[^|]*) \|", tables(folder), re.M):
        assert re.search(r"\s{2,}".join(re.escape(cell) for cell in line), shown), line


def test_hooks_are_told(folder: Path) -> None:
    text = (folder / "bench.md").read_text().split("### Where the time goes")[1]
    told = re.findall(r"^\| `(\w+)` \| \d+\.\d\d \| \d+\.\d\d \|$", text, re.M)
    assert told == ["import", "read_config", "__init__", "pre_config", "config", "sack", "resolved"]
    assert "- `tuxcare_lib.adapter.guard`" in text


def test_picture_is_whole(folder: Path) -> None:
    picture = ElementTree.parse(str(folder / "bench.svg")).getroot()
    dots = list(picture.iter("{http://www.w3.org/2000/svg}circle"))
    assert len(dots) == 12 + 5 + 4 + 2 + 1


# --- figures ------------------------------------------------------------------------------------------------------


def row(median: float, budget: float, unit: str = "x") -> figures.Row:
    return figures.Row(figures.RATIO, "upgrade", "tuxcare", figures.Spread(median, median, median), unit, None, budget)


@pytest.mark.parametrize("median, budget, unit, missed", [
    (1.0201, 1.02, "x", False), (1.021, 1.02, "x", True), (4.04, 4.0, "ms", False), (4.06, 4.0, "ms", True),
    (1.1, 1.0, "MiB", True), (1.0, 0.0, "", True), (0.0, 0.0, "", False)])
def test_budget_is_compared_as_shown(median: float, budget: float, unit: str, missed: bool) -> None:
    assert row(median, budget, unit).is_missed == missed


def test_missed_budget_is_told_everywhere() -> None:
    rows = [row(1.5, 1.02)]
    assert table.lines(rows)[-1].endswith("MISSED")
    assert 'class="missed"' in chart.drawn([row(1.5, 1.02)._replace(group=group) for group in chart.PANELS], "")


def runs(machine: List[float]) -> List[Dict[str, Any]]:
    """Every command with every variant: the plugin takes a tenth more than all others; the machine's speed by round."""
    return [{"key": command.key(variant), "round": number, "status": command.status, "rss": 60000 + 512 * (variant == TUXCARE),
             "cpu": speed * (1.1 if variant == TUXCARE else 1.0), "wall": 2 * speed}
            for command in commands.ALL for variant in command.variants for number, speed in enumerate(machine)]


def test_pairs_are_those_of_one_round() -> None:
    """The machine is three times as slow in the second round: no ratio sees it, and the order of the lines does not matter."""
    found = figures.rows_of_rounds(runs([1.0, 3.0, 2.0])[::-1])
    ratios = {(row.what, row.plugins): row.spread for row in found if row.group == figures.RATIO}
    for (_, plugins), spread in ratios.items():
        assert tuple(spread) == pytest.approx([1.1 if plugins == "tuxcare" else 1.0] * 3)
    added = [row for row in found if row.group == figures.ADDED and row.plugins == "tuxcare"]
    assert tuple(added[0].spread) == pytest.approx([150, 200, 250]) and added[0].is_missed
    assert {row.spread.median for row in found if row.group == figures.MEMORY} == {0.5}


def test_run_that_failed_is_no_measurement() -> None:
    told = runs([1.0, 2.0])
    told[0]["status"] = 200
    with pytest.raises(BenchError, match="ended with 200"):
        figures.rows_of_rounds(told)


def test_growing_share_is_missed() -> None:
    """Shares of 2 %, 2 % and 4 %: the last one grows."""
    told = {size: [{"cpu": {"sack": share}, "total": 100.0}] * 2 for size, share in ((3000, 2.0), (30000, 2.0), (300000, 4.0))}
    assert [found.is_missed for found in figures.scaling(told)] == [False, False, True]


def test_forbidden_module_is_missed() -> None:
    added, found = figures.modules({"modules": ["dnf"]}, {"modules": ["dnf", "requests.adapters", "tuxcare_lib.pin"]})
    assert added == ["requests.adapters", "tuxcare_lib.pin"] and found.is_missed
