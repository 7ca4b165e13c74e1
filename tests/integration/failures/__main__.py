# SPDX-License-Identifier: Apache-2.0
"""Runs the rows and writes docs/errors.md; with names of rows, runs those alone and tells what they said.

    python3 -m tests.integration.failures [ROW…]
"""
import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Dict, List

from tests.integration.failures import document
from tests.integration.failures.site import Ground, unavailable
from tests.integration.failures.table import ROWS, Outcome, run
from tests.sandbox.host import PROJECT
from tests.sandbox.universe import Universe


def main() -> int:
    parser = argparse.ArgumentParser(prog="python3 -m tests.integration.failures", description="Runs the table of failures.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="names of rows; all of them write docs/errors.md")
    names = parser.parse_args().rows
    started = time.monotonic()
    found = _run(names or [row.name for row in ROWS if not unavailable(row)])
    failed = sum(1 for outcome in found.values() if outcome.wrong)
    for name, outcome in found.items():
        if names or outcome.wrong:
            print("\n  ".join(["%s: %s %s" % (name, outcome.message, outcome.remedy), *outcome.wrong]))
    if not names:
        kept = document.read(document.PATH.read_text()) if document.PATH.exists() else {}
        told = {**kept, **{name: document.told(outcome) for name, outcome in found.items()}}
        document.PATH.write_text(document.text(told, failed))
    print("%d rows, %d not as they have to be, %.0f s" % (len(found), failed, time.monotonic() - started))
    return 1 if failed else 0


def _run(names: List[str]) -> Dict[str, Outcome]:
    with tempfile.TemporaryDirectory(prefix="failures-") as directory:
        Path(directory).chmod(0o755)  # one row's command is an ordinary user's
        ground = Ground(Universe.build(), Path(directory), _package)
        try:
            found = {}
            for row in ROWS:
                if row.name in names:
                    with ground.site(row) as site:
                        found[row.name] = run(site, row)
            return found
        finally:
            ground.close()


def _package() -> Path:
    built = subprocess.run([str(PROJECT / "scripts/build-rpm")], stdout=subprocess.PIPE, text=True, check=True)
    return Path(built.stdout.strip())


if __name__ == "__main__":
    sys.exit(main())
