# SPDX-License-Identifier: Apache-2.0
"""Each program of the system that enters or leaves FIPS mode fails, or says that it did what it did not.

The command ends with an error unless all is done; the host boots as before or as after; the same command does the rest later.
"""
from typing import Dict, Tuple

import pytest

from tests.integration.fips_host import grown, in_fips
from tests.integration.outcome import is_done, own_lines
from tests.sandbox import boot
from tests.sandbox.boot import Boot
from tests.sandbox.host import Host

__all__ = ["grown", "in_fips"]  # fixtures

STEPS: Dict[str, Tuple[Tuple[str, str], ...]] = {
    "enable": (("grubby", "--set-default"), ("fips-mode-setup", "--enable"), ("update-crypto-policies", "--set"),
               ("grubby", "--update-kernel")),
    "disable": (("grubby", "--set-default"), ("fips-mode-setup", "--disable"), ("update-crypto-policies", "--set"),
                ("grubby", "--remove-args")),
}  # fmt: skip
ROWS = [(verb, program, word, how) for verb in STEPS for program, word in STEPS[verb] for how in ("1", "lie")]


def next_boot(host: Host) -> Tuple[Boot, str]:
    """What the boot loader starts, and the crypto policy."""
    return boot.choose(host.root), (host.root / "etc/crypto-policies/config").read_text().splitlines()[-1]


@pytest.mark.registered
@pytest.mark.sampled
@pytest.mark.parametrize("verb, program, word, how", ROWS)
def test_a_step(request: pytest.FixtureRequest, host: Host, verb: str, program: str, word: str, how: str) -> None:
    if verb == "disable":
        host = request.getfixturevalue("in_fips")
    before = next_boot(host)
    order = host.root / "var/lib/sandbox-standins" / (program + ".fail")
    order.parent.mkdir(parents=True, exist_ok=True)
    order.write_text("%s %s\n" % (how, word))
    done = host.dnf("-y", "tuxcare", "fips", verb)
    order.unlink()
    assert done.returncode in (0, 1, 5) and "Traceback" not in done.stdout + done.stderr, done.stderr
    assert len([line for line in own_lines(done.stderr) if line.startswith("Error: ")]) == bool(done.returncode), done.stderr
    if done.returncode == 5:
        is_done(host.dnf("-y", "tuxcare", "recover"))
    between = next_boot(host)
    is_done(host.dnf("-y", "tuxcare", "fips", verb))
    after = next_boot(host)
    assert after[0].fips_enabled == (verb == "enable") and after[1].startswith("FIPS") == (verb == "enable")
    assert between == (after if done.returncode == 0 else before)
