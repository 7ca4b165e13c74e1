# SPDX-License-Identifier: Apache-2.0
"""What an operation changes beside files stands in its journal: packages, boot state, how far rpm has come."""

import json
import os
import stat
from pathlib import Path
from typing import Any, Set

import pytest

from tests.unit.samples import snapshot
from tests.unit.test_journal import OPEN, _valid, changes, dies, top
from tuxcare_lib import journal
from tuxcare_lib.errors import RecoveryError
from tuxcare_lib.model import Boot, Work
from tuxcare_lib.rootfs import Root

__all__ = ['top']  # a fixture

BOOT = Boot('5.14.0', False, '/boot/old', 'ro quiet', 'DEFAULT')
WORK = Work(('new-2-1.x86_64', 'more-1:1-1.noarch'), ('old-1-1.x86_64',), BOOT, '/boot/new')


@pytest.mark.parametrize('installed, begun', [
    ({'old-1-1.x86_64', 'other-1-1.noarch'}, False), ({'old-1-1.x86_64', 'new-2-1.x86_64'}, True), ({'other-1-1.noarch'}, True),
    ({'new-2-1.x86_64', 'more-1:1-1.noarch'}, True), ({'old-1-1.x86_64', 'new-2-1.i686', 'more-1-1.noarch'}, False),
    (set(), True),
], ids=['as-before', 'both-builds', 'erased', 'all-done', 'namesakes', 'nothing'])
def test_whether_packages_have_begun(installed: Set[str], begun: bool) -> None:
    assert WORK.has_begun(installed) is begun
    assert Work().has_begun(installed) is False


@pytest.mark.parametrize('work', [Work(), WORK, WORK._replace(boot=None), WORK._replace(is_done=True), Work(kernel='/boot/new')],
                         ids=['none', 'all', 'no-boot', 'done', 'kernel'])
def test_the_work_is_what_was_written_down(top: Path, work: Work) -> None:
    root = Root(str(top))
    journal.begin(root, 'v', changes(root)[:1], work=work)
    found = journal.opened(root)
    assert (found.verb, found.forward, found.work) == ('v', False, work)
    assert list(found.before) == ['/etc/yum.repos.d/a.repo']


def test_packages_that_are_done_are_noted_durably(top: Path) -> None:
    root = Root(str(top))
    journal.begin(root, 'v', changes(root)[:1], work=WORK)
    before = journal.opened(root)
    journal.packages_are_done(root)
    assert journal.opened(Root(str(top))) == before._replace(work=WORK._replace(is_done=True))
    assert stat.S_IMODE(os.stat(root.real(OPEN + '/operation.json')).st_mode) == 0o600


def test_killed_while_packages_are_noted_the_journal_says_one_or_the_other(top: Path) -> None:
    root, work = Root(str(top)), WORK._replace(boot=None)
    seen = set()
    for number in range(1, 60):
        journal.begin(root, 'v', changes(root)[:1], work=work)
        ended = not dies(number, lambda: journal.packages_are_done(root))
        seen.add(journal.opened(root).work)
        journal.undo(root)
        if ended:
            break
    assert seen == {work, work._replace(is_done=True)} and number > 3


@pytest.mark.parametrize('key, value', [
    ('install', None), ('install', 7), ('erase', None), ('boot', []), ('boot', {'policy': 'DEFAULT'}),
    ('boot', dict(BOOT._asdict(), mode_on='no')), ('boot', dict(BOOT._asdict(), more='x'))])
def test_work_that_is_damaged_changes_nothing_and_is_kept(top: Path, key: str, value: Any) -> None:
    root, place, document = _valid(top)
    place.write_text(json.dumps(dict(document, **{key: value})))
    before = snapshot(top)
    for step in (journal.opened, journal.undo):
        with pytest.raises(RecoveryError) as caught:
            step(root)
        assert caught.value.status == 5 and '\n' not in str(caught.value)
    assert snapshot(top) == before and journal.is_open(root)


@pytest.mark.parametrize('key', ['install', 'erase', 'boot', 'kernel', 'packages_done'])
def test_work_that_is_missing_is_damage(top: Path, key: str) -> None:
    root, place, document = _valid(top)
    del document[key]
    place.write_text(json.dumps(document))
    with pytest.raises(RecoveryError):
        journal.opened(root)
    assert journal.is_open(root)
