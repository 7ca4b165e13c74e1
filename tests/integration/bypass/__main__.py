# SPDX-License-Identifier: Apache-2.0
"""Runs the rows and writes docs/bypasses.md; with names of rows, runs those alone and tells what went wrong.

    python3 -m tests.integration.bypass [--without] [ROW…]

`--without` runs the rows named where the plugin is not at work, and tells what comes in.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import List, Optional

from tests.integration.bypass.document import PATH, Outcome, text
from tests.integration.bypass.row import Row
from tests.integration.bypass.site import Ground
from tests.integration.bypass.table import ROWS, faults, gets_in
from tests.sandbox.host import PROJECT, slash_available
from tests.sandbox.universe import Universe


def main() -> int:
    options = _parser().parse_args()
    rows = [row for row in ROWS if not options.rows or row.name in options.rows]
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bypass-") as directory:
        ground = Ground(Universe.build(), Path(directory), _package)
        try:
            failed = _some(ground, rows, options.without) if options.rows else _all(ground, rows)
        finally:
            ground.close()
    print("%d rows, %d not as they have to be, %.0f s" % (len(rows), failed, time.monotonic() - started))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m tests.integration.bypass", description="Runs the table of bypasses.")
    parser.add_argument("--without", action="store_true", help="where the plugin is not at work")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="names of rows; all of them write docs/bypasses.md")
    return parser


def _package() -> Path:
    built = subprocess.run([str(PROJECT / "scripts/build-rpm")], stdout=subprocess.PIPE, text=True, check=True)
    return Path(built.stdout.strip())


def _some(ground: Ground, rows: List[Row], without: bool) -> int:
    failed = 0
    for row in rows:
        found = gets_in(ground, row) if without else faults(ground, row)
        print("%s: %s" % (row.name, "\n  ".join(found) or ("nothing comes in" if without else "as it has to be")))
        failed += not without and bool(found)
    return failed


def _all(ground: Ground, rows: List[Row]) -> int:
    found = {row.name: _outcome(ground, row) for row in rows}
    PATH.write_text(text(found))
    return sum(1 for outcome in found.values() if outcome.held is False)


def _outcome(ground: Ground, row: Row) -> Outcome:
    if row.slash and slash_available():
        return Outcome()
    wrong = faults(ground, row)
    if wrong:
        print("%s: %s" % (row.name, "\n  ".join(wrong)))
    without: Optional[bool] = None if row.end.kind == "passes" else bool(gets_in(ground, row))
    if without is not None and without != row.proof:
        print("%s: without the plugin it %s" % (row.name, "gets in" if without else "does not get in"))
    return Outcome(not wrong, without)


if __name__ == "__main__":
    sys.exit(main())
