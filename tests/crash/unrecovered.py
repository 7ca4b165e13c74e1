# SPDX-License-Identifier: Apache-2.0
"""What holds on a host whose packages were cut off, before anybody has recovered it: it boots, is held, and says so."""

import re
from typing import Tuple

from tests.crash import system
from tests.crash.site import Point
from tests.crash.system import System

__all__ = ["PAST", "unrecovered"]

# A package of a later minor release in dnf's table, and the file that makes dnf ask for this one only.
PAST = re.compile(r"^ +\S+ .*\.el9_[3-9].*$", re.M)
_HELD_BY = "etc/dnf/vars/tuxcare_releasever"
_RECOVER = "dnf tuxcare recover"


def unrecovered(point: Point, before: System, after: System) -> Tuple[str, ...]:
    """What is wrong, a line each. The host is the same afterwards."""
    now = system.take(point.host)
    wrong = ["no recover yet: boots " + now.default] if now.default.startswith("nothing") else []
    if (point.host.root / _HELD_BY).exists():
        done = point.plain("--assumeno", "upgrade")
        wrong += ["no recover yet: dnf upgrade goes past the pin: " + line for line in PAST.findall(done.output)]
        wrong += ["no recover yet: dnf upgrade: " + done.output] if "Traceback" in done.output else []
    if now.packages not in (before.packages, after.packages):
        done = point.plain("-y", "tuxcare", "unregister")
        if done.status != 5 or _RECOVER not in done.output or "Traceback" in done.output:
            wrong.append("no recover yet: unregister ends with %d: %s" % (done.status, done.output))
        if system.take(point.host).packages != now.packages:
            wrong.append("no recover yet: unregister changed packages")
    return tuple(wrong)
