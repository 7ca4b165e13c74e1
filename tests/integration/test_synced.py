# SPDX-License-Identifier: Apache-2.0
"""What rpm and the system's programs have written is on disk before our journal says that they have done it.

They leave that to the system; a power cut would have lost a boot loader entry that the committed journal counts on.
"""
import re
from typing import List

import pytest

from tests.integration.outcome import is_done, register
from tests.sandbox.host import Host

TRACE = "run/trace"
STRACE = ["strace", "-f", "--seccomp-bpf", "-s", "4096", "-e", "signal=none", "-e", "trace=execve,sync,rename,renameat,renameat2",
          "-o", "/" + TRACE]
JOURNAL = "/var/lib/tuxcare/journal"
EVENTS = (
    ("written", r'execve\("[^"]*/(grubby|fips-mode-setup)", .*"--(set-default|enable|disable|update-kernel)'),
    ("rpm", r"rename\w*\(.*;[0-9a-f]{8}\""),  # how rpm puts a file in its place
    ("sync", r"sync\(\)"),
    ("told", r"rename\w*\(.*\"%s/operation\.json\"" % JOURNAL),
    ("committed", r"rename\w*\(.*\"%s\", .*\"%s\.done\"" % (JOURNAL, JOURNAL)),
)  # fmt: skip


def events(host: Host, *args: str) -> List[str]:
    """What `dnf -y tuxcare ARGS…` did, in order; the same word only once in a row."""
    is_done(host.run([*STRACE, "dnf", "-y", "tuxcare", *args]))
    found: List[str] = []
    for line in (host.root / TRACE).read_text(encoding="utf-8", errors="replace").splitlines():
        found += [word for word, pattern in EVENTS if re.search(pattern, line) and found[-1:] != [word]]
    return found


@pytest.fixture
def traced(slash_host: Host) -> Host:
    tried = slash_host.run(["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"])
    if tried.returncode:
        pytest.skip("strace cannot be had here: " + (tried.stderr.strip() or "no output"))
    register(slash_host)
    return slash_host


def test_fips_mode_is_on_disk_before_it_is_said(traced: Host) -> None:
    assert events(traced, "fips", "enable") == ["rpm", "sync", "told", "written", "sync", "committed"]
    assert events(traced, "fips", "disable") == ["written", "sync", "committed"]
