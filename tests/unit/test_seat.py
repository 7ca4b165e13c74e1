# SPDX-License-Identifier: Apache-2.0
"""What is owed of a registration that was cut off: read whole, or refused in a line that says what to do with the file."""

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.unit.samples import plant, snapshot
from tuxcare_lib import seat
from tuxcare_lib.errors import StateError
from tuxcare_lib.host import SEAT
from tuxcare_lib.seat import Owed

WRITTEN = json.loads(seat.image(Owed('web1', None)).data.decode())


def refused(top: Path, text: str) -> str:
    root = plant(top, {SEAT: text})
    before = snapshot(top)
    with pytest.raises(StateError) as caught:
        seat.read(root)
    assert '\n' not in str(caught.value) and SEAT in str(caught.value) and snapshot(top) == before
    return str(caught.value)


@pytest.mark.parametrize('document', [{'schema': 2}, dict(WRITTEN, schema=2), dict(WRITTEN, schema=2, token=['x'])],
                         ids=['other-fields', 'same-fields', 'other-token'])
def test_one_of_a_later_version_is_left_to_it(tmp_path: Path, document: Dict[str, Any]) -> None:
    """It may hold the only token of a seat."""
    said = refused(tmp_path, json.dumps(document))
    assert 'Install the version' in said and 'Remove' not in said


@pytest.mark.parametrize('text', ['', '{', '[]', 'null', '5', '{}', '[' * 100000, json.dumps(dict(WRITTEN, token='../x')),
                                  json.dumps(dict(WRITTEN, host_name=5))],
                         ids=['empty', 'cut', 'list', 'null', 'number', 'nothing', 'deep', 'bad-token', 'bad-name'])
def test_a_damaged_one_is_told(tmp_path: Path, text: str) -> None:
    assert 'damaged' in refused(tmp_path, text)
