# SPDX-License-Identifier: Apache-2.0
"""Loaded by the Python of a host's dnf: notes where it connects to, for attempts that never reach a server."""
import os
import sys
from typing import Any, Tuple


def _note(event: str, arguments: Tuple[Any, ...]) -> None:
    if event == "socket.getaddrinfo":
        with open(os.environ["FAILURES_NOTES"], "a", encoding="utf-8") as notes:
            notes.write("%s %s\n" % arguments[:2])


if "FAILURES_NOTES" in os.environ:
    sys.addaudithook(_note)
