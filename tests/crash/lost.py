# SPDX-License-Identifier: Apache-2.0
"""Lost writes: what of a verb was not synced is gone, torn or out of order after a power cut, and recover has to cope."""

import contextlib
import io
import shutil
import time
from pathlib import Path
from typing import Callable, Dict, List, NamedTuple, Tuple

import rpm

from tests.crash.disk import Disk, write_tree
from tests.crash.injector import Call
from tests.crash.points import Allowed
from tests.crash.site import Point, Site
from tests.crash.state import FOLDERS, MODE, Entry, without_empty_folder
from tuxcare_lib import standalone

__all__ = ["Lost", "lost_writes"]


class Lost(NamedTuple):
    """How many different disks were tried, and what was wrong, each a few lines."""

    disks: int
    wrong: List[str]


def lost_writes(site: Site, allowed: Allowed, seed: int, one_of: int = 1) -> Lost:
    """Every disk that a power cut may leave of the verb is recovered by /usr/libexec/tuxcare-recover's own function.

    With `one_of` N the power goes after each N-th call only.

    Files only: seats and the rpm database are not modelled, nor what other programs write; so of a verb with packages the power
    goes before rpm begins. Not for several threads: standard output is redirected.
    """
    with site.point(allowed.scenario, allowed.taker) as point:
        moment = point.remember()
        owners = [point.whose_now()]
        calls = point.run().calls
        owners.append(point.whose_now())
        ran_in = point.host.root
        point.go_back(moment)
        calls = [call._replace(fields=tuple(field.replace(str(ran_in), str(point.host.root)) for field in call.fields))
                 for call in calls]
        disk = Disk(point.host.root, FOLDERS, _until_packages(calls))
        return _tried(allowed, point, disk, lambda text: owners[1].get(text) or owners[0].get(text, "nobody's"), seed, one_of)


def _tried(allowed: Allowed, point: Point, disk: Disk, whose: Callable[[str], str], seed: int, one_of: int) -> Lost:
    count, wrong = 0, []
    root = point.host.root
    whole = [_ours(end.files) for end in (allowed.before, allowed.after)]
    for calls, tree in disk.states(seed, one_of):
        count += 1
        for folder in FOLDERS:
            shutil.rmtree(str(root / folder), ignore_errors=True)
        started = time.time_ns() - 500_000_000
        write_tree(tree, root)
        status, told = _recover(root)
        found = allowed.taker.files(root, started, whose)
        if status or _ours(found) not in whole:
            wrong.append(_complaint(allowed, calls, found, status, told))
    return Lost(count, wrong)


def _until_packages(calls: List[Call]) -> List[Call]:
    """The calls before the journal says that the packages are done; all of them where it never does."""
    said = (number for number, call in enumerate(calls)
            if call.name == "rename" and call.fields[1].endswith("/journal/operation.json"))
    return calls[:next(said, None)]


def _ours(files: Dict[str, Entry]) -> Dict[str, Entry]:
    """Without what the system's programs write, whose calls are not replayed."""
    theirs = tuple(path for path in MODE if path.startswith("etc/"))
    return {path: entry for path, entry in without_empty_folder(files).items() if not path.startswith(theirs)}


def _recover(root: Path) -> Tuple[int, str]:
    told = io.StringIO()
    rpm.addMacro("_dbpath", "/var/lib/rpm")  # as on EL; Debian's own is another one
    try:
        with contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
            status = standalone.main(["--root", str(root), "--local"])
    finally:
        rpm.delMacro("_dbpath")
    return status, told.getvalue()


def _complaint(allowed: Allowed, calls: int, found: "dict[str, Tuple[str, ...]]", status: int, told: str) -> str:
    ends = [whole._replace(files=found).differences(whole) for whole in (allowed.before, allowed.after)]
    head = "HALF STATE: %s, power cut after call %d; recover: exit status %d, %s" % (
        allowed.scenario.name, calls, status, told.strip())
    return "\n    ".join([head, *min(ends, key=len)])
