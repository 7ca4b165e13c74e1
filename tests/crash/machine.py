# SPDX-License-Identifier: Apache-2.0
"""What it was run on."""

import datetime
import os
import platform
import subprocess
from typing import List, Tuple

__all__ = ["described"]

_VERSIONS = "import platform, dnf, rpm; print(platform.python_version(), dnf.VERSION, rpm.__version__)"


def described() -> List[Tuple[str, str]]:
    """Names and values, in the order in which they are shown; the versions are those of the dnf that was run."""
    told = subprocess.run(["/usr/bin/python3", "-c", _VERSIONS], stdout=subprocess.PIPE, text=True, check=True).stdout
    python, dnf, rpm = told.split()
    return [
        ("date", datetime.date.today().isoformat()), ("cores", str(os.cpu_count() or 1)), ("kernel", platform.release()),
        ("Python", python), ("dnf", dnf), ("rpm", rpm),
    ]  # fmt: skip
