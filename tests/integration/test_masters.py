# SPDX-License-Identifier: Apache-2.0
"""Copies of a registered host: each test finds the same one, with its seat, whatever the test before did."""
from pathlib import Path

from tests.integration.masters import Masters
from tests.integration.outcome import is_done
from tests.sandbox.licences import ESU_KEY
from tests.sandbox.service import Service
from tests.sandbox.snapshot import differences

TOKEN = "etc/dnf/vars/tuxcare_token"


def test_a_copy_is_as_the_first_one_was(masters: Masters, service: Service, tmp_path: Path) -> None:
    first = masters.copy(False, ESU_KEY, tmp_path / "first")
    before, seats = first.snapshot(), service.seats
    assert service.requests == [] and list(service.seats[ESU_KEY].values()) == [(first.root / TOKEN).read_text().strip()]
    is_done(first.dnf("-y", "tuxcare", "unregister"))
    assert ESU_KEY not in service.seats and service.requests != []
    second = masters.copy(False, ESU_KEY, tmp_path / "second")
    assert differences(before, second.snapshot()) == {} and service.seats == seats and service.requests == []
    is_done(second.dnf("makecache"))
