# SPDX-License-Identifier: Apache-2.0
"""What it was measured on."""

import datetime
import os
import platform
from pathlib import Path
from typing import List, Tuple

from tests.bench.site import INTERPRETER, Site

__all__ = ["described", "here"]

_VERSIONS = "import platform, dnf, hawkey, rpm; print(platform.python_version(), dnf.VERSION, hawkey.VERSION, rpm.__version__)"


def described(site: Site) -> List[Tuple[str, str]]:
    """Names and values, in the order in which they are shown."""
    python, dnf, libdnf, rpm = site.host.run([*INTERPRETER, "-c", _VERSIONS]).stdout.split()
    return [*here(), ("Python", python), ("dnf", dnf), ("libdnf", libdnf), ("rpm", rpm)]


def here() -> List[Tuple[str, str]]:
    """Of the machine alone."""
    return [
        ("date", datetime.date.today().isoformat()),
        ("processor", "%s, %d cores" % (_processor(), os.cpu_count() or 1)),
        ("kernel", platform.release()),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
