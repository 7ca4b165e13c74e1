# SPDX-License-Identifier: Apache-2.0
"""What holds for any .repo file and for any edit of one (DESIGN 4, rule 5): nothing of the administrator's is lost."""

import re
from pathlib import Path
from typing import Callable, List, NamedTuple, Sequence

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.unit.repofile_edits import (
    ANY_FILE, BESIDE_A_CONFLICT, Cell, DAMAGES, Damage, EDITS, Edit, FAMILIES, MARK, OPTIONS, Options, PATH, REAL_FILES,
    RECORD, SOUND_FILE, Section, bounded, cells_of, damaged_of, document_of, edited_of, edits_of, header_of, inverted,
    joined_of, plain, sections_by_name, sections_of, text_after, text_before, text_live, touches_ours)
from tests.unit.samples import PROJECT
from tuxcare_lib import inifile, repofile, restoration
from tuxcare_lib import host
from tuxcare_lib.errors import ConflictError
from tuxcare_lib.host import Facts, Kept, RepositoryFile
from tuxcare_lib.model import Change, Image, Release
from tuxcare_lib.repofile import Switch

# --- the way back ---------------------------------------------------------------------------------------------------


class Host(NamedTuple):
    """One repository file: before registering, and as that left it."""

    before: bytes
    after: bytes

    @property
    def cells(self) -> List[Cell]:
        return cells_of(self.before, self.after)

    def data(self, text: str) -> bytes:
        """A file's bytes: an editor keeps a byte order mark at its beginning."""
        mark = re.match(MARK + '*', inifile.decode(self.before))
        return inifile.encode((mark.group() if mark else '') + text)

    def facts(self, now: bytes) -> Facts:
        kept = (Kept(PATH, Image(self.before, 0o644), Image(self.after, 0o644), False),) if self.before != self.after else ()
        return Facts(
            root='/', os_id='almalinux', os_title='AlmaLinux 9.2', release=Release(9, 2), version_id='9.2', architecture='x86_64',
            host_name='web1.example.com', problems=(), images=dict.fromkeys(host.OWN_FILES), registration=RECORD, kept=kept,
            has_state_folder=True, repository_files=(RepositoryFile(PATH, Image(now, 0o644), document_of(now)),))

    def unregistered(self, now: bytes, side: str = '') -> bytes:
        """By `unregister`, and `repos revert` has to come to the same."""
        found = _outcome(restoration.unregistration_changes(self.facts(now), side)[0], now)
        assert _outcome(restoration.reverted_changes(self.facts(now), RECORD, side)[0], now) == found
        return found

    def put_on_again(self, now: bytes, side: str = '') -> bytes:
        """By `repos switch`, of a file in which nothing else is to be switched."""
        return _outcome(restoration.ours_again(self.facts(now), side, set())[0], now)


def _registered(before: bytes, options: Options) -> Host:
    switch = Switch('https://repo.tuxcare.com', FAMILIES, *options)
    return Host(before, inifile.encode(repofile.switched(document_of(before), switch).render()))


def _outcome(changes: Sequence[Change], now: bytes) -> bytes:
    """What the file becomes by changes; those of our own records are not looked at."""
    found = [change for change in changes if change.path == PATH]
    assert len(found) < 2 and all(change.before is not None and change.before.data == now for change in found)
    return found[0].after.data if found and found[0].after else now


# --- properties: there and back -------------------------------------------------------------------------------------


@bounded(400)
@given(ANY_FILE)
def test_what_is_parsed_renders_as_it_was(data: bytes) -> None:
    document = document_of(data)
    assert inifile.encode(document.render()) == data
    assert document.edited({}) == document
    extents = [(section.start, section.end) for section in document.sections]
    assert [start for start, _ in extents[1:]] + [len(document.lines)] * bool(extents) == [end for _, end in extents]


@bounded(400)
@given(ANY_FILE, OPTIONS)
def test_switching_adds_marked_lines_alone_and_goes_back_to_the_byte(data: bytes, options: Options) -> None:
    there = _registered(data, options)
    assert there.data(text_before(there.cells)) == data
    assert inverted(there.after) == data
    assert there.unregistered(there.after) == data


@bounded(400)
@given(ANY_FILE, OPTIONS, edits_of(EDITS))
def test_inverting_our_lines_keeps_every_edit(data: bytes, options: Options, edits: List[Edit]) -> None:
    """By the marks alone, as where the before-images are lost."""
    there = _registered(data, options)
    cells = edited_of(there.cells, edits)
    assume(not touches_ours(cells))
    now, expected = there.data(text_after(cells)), there.data(text_before(cells))
    assert inverted(now) == expected
    assert _outcome(restoration.unregistration_changes(there.facts(now)._replace(kept=()))[0], now) == expected


def _check_edits(there: Host, edits: List[Edit]) -> None:
    cells = edited_of(there.cells, edits)
    assume(not touches_ours(cells))
    now, expected = there.data(text_after(cells)), there.data(text_before(cells))
    assert there.unregistered(now) == expected
    assert there.put_on_again(now) == now


@bounded(400)
@given(SOUND_FILE, OPTIONS, edits_of(EDITS))
def test_an_edit_outside_our_lines_outlives_the_way_back(data: bytes, options: Options, edits: List[Edit]) -> None:
    """Three-way: the host's file is the switched one with the edits, and becomes the original one with the same edits."""
    there = _registered(data, options)
    assert repofile.problems(PATH, document_of(there.after)) == []
    _check_edits(there, edits)


# --- properties: conflicts ------------------------------------------------------------------------------------------


@bounded(400)
@given(SOUND_FILE, OPTIONS, edits_of(EDITS, 0), DAMAGES)
def test_an_edit_of_a_line_of_ours_stops_the_way_back(data: bytes, options: Options, edits: List[Edit], damage: Damage) -> None:
    there = _registered(data, options)
    sections, changed = damaged_of(edited_of(there.cells, edits), damage)
    now = there.data(text_after(joined_of(sections)))
    for verb in (there.unregistered, there.put_on_again) if changed else ():
        with pytest.raises(ConflictError) as caught:
            verb(now)
        assert PATH in caught.value.message and '--ours' in caught.value.remedy and '--theirs' in caught.value.remedy
        assert re.search(r'(?m)^[-+](?![-+]{2} )', caught.value.diff)


@bounded(400)
@given(SOUND_FILE, OPTIONS, edits_of(['insert', 'move'], 1))
def test_a_line_that_goes_on_with_one_of_ours_stops_the_way_back(data: bytes, options: Options, edits: List[Edit]) -> None:
    there = _registered(data, options)
    cells = edited_of(there.cells, [edit._replace(text=' more') for edit in edits])
    assume(touches_ours(cells))
    for verb in (there.unregistered, there.put_on_again):
        with pytest.raises(ConflictError):
            verb(there.data(text_after(cells)))


class Sides:
    """An edited host in which lines of ours were edited too, and what a decision has to make of it."""

    def __init__(self, there: Host, edits: List[Edit], damage: Damage) -> None:
        self.there = there
        self.sections, self.changed = damaged_of(edited_of(there.cells, edits), damage)
        self.now = there.data(text_after(joined_of(self.sections)))
        self.known = sections_by_name(sections_of(there.cells))

    def expected(self, chosen: Callable[[Section], str], other: Callable[[Section], str]) -> bytes:
        """One thing for the sections concerned, another for the rest."""
        return self.there.data(''.join(chosen(section) if number in self.changed else other(section)
                                       for number, section in enumerate(self.sections)))

    def as_left(self, section: Section) -> Section:
        return self.known[header_of(section[0].before)]

    def check_theirs(self) -> None:
        """The sections concerned stay as they are, the rest keeps its edits."""
        assert self.there.unregistered(self.now, 'theirs') == self.expected(text_live, text_before)
        assert self.there.put_on_again(self.now, 'theirs') == self.now

    def check_ours(self) -> None:
        """The sections concerned are as they were, the rest keeps its edits."""
        assert self.there.unregistered(self.now, 'ours') == self.expected(
            lambda part: text_before(self.as_left(part)), text_before)
        assert self.there.put_on_again(self.now, 'ours') == self.expected(lambda part: text_after(self.as_left(part)), text_after)


def _sides(there: Host, edits: List[Edit], damage: Damage) -> Sides:
    assume(not touches_ours(edited_of(there.cells, edits)))
    return Sides(there, edits, damage)


@bounded(300)
@given(SOUND_FILE, OPTIONS, edits_of(BESIDE_A_CONFLICT, 0), DAMAGES)
def test_theirs_keeps_the_section_and_ours_alone_goes(data: bytes, options: Options, edits: List[Edit], damage: Damage) -> None:
    _sides(_registered(data, options), edits, damage).check_theirs()


# Another first or last line: test_ours_puts_a_section_back_where_the_first_or_last_line_is_special.
@bounded(300)
@given(SOUND_FILE.map(plain), OPTIONS, edits_of(BESIDE_A_CONFLICT, 0), DAMAGES)
def test_ours_puts_the_section_back_as_it_was(data: bytes, options: Options, edits: List[Edit], damage: Damage) -> None:
    _sides(_registered(data, options), edits, damage).check_ours()


@pytest.mark.skipif(not REAL_FILES, reason='no real files beside the project')
@bounded(100)
@given(st.sampled_from(REAL_FILES or [PROJECT]), OPTIONS, edits_of(BESIDE_A_CONFLICT), DAMAGES)
def test_real_files_keep_every_edit(path: Path, options: Options, edits: List[Edit], damage: Damage) -> None:
    there = _registered(path.read_bytes(), options)
    assert there.unregistered(there.after) == there.before
    _check_edits(there, edits)
    _sides(there, edits, damage).check_theirs()
    _sides(there, edits, damage).check_ours()


# --- odd ends -------------------------------------------------------------------------------------------------------

_SECTION = b'[baseos]\nname=AlmaLinux $releasever\nmirrorlist=https://mirrors.almalinux.org/mirrorlist/$releasever/baseos\n'
_WRONG = (AssertionError, pytest.fail.Exception)
_TWO = b'[epel]\nbaseurl=https://example.com/\n' + _SECTION
_OURS = b'#tuxcare+\nbaseurl=https://repo.tuxcare.com/'
_THEIRS = b'#tuxcare+\nbaseurl=https://mirror.example.com/'


def _copied(now: bytes) -> bytes:
    """The section is copied to the end, and the first of both edited."""
    return now.replace(_OURS, _THEIRS) + now


def test_a_last_line_that_ends_in_a_lone_cr() -> None:
    there = _registered(_SECTION[:-1] + b'\r', (None, ''))
    assert document_of(there.after).sections[0].value('baseurl').startswith('https://repo.tuxcare.com/')
    assert inverted(there.after) == there.before


@pytest.mark.parametrize('edit', [
    pytest.param(lambda now: now.replace(_OURS, _THEIRS).replace(b'[baseos]', b'[own]'), id='renamed'),
    pytest.param(lambda now: now.replace(_OURS, _THEIRS).replace(b'[baseos]', b'#[baseos]'), id='header commented out'),
    pytest.param(_copied, id='copied'),
])
def test_an_edited_line_of_ours_is_a_conflict_whatever_its_section_is_called(edit: Callable[[bytes], bytes]) -> None:
    there = _registered(_SECTION, (None, ''))
    now = edit(there.after)
    assert _THEIRS in now
    with pytest.raises(ConflictError):
        there.unregistered(now)


@pytest.mark.parametrize('before, edit', [
    pytest.param(b'\xef\xbb\xbf' + _SECTION, Edit('insert', 0, 0, '# mine'), id='byte order mark'),
    pytest.param(_TWO[:-1], Edit('move section', 0, 0, ''), id='last line without an end'),
])
def test_ours_puts_a_section_back_where_the_first_or_last_line_is_special(before: bytes, edit: Edit) -> None:
    there = _registered(before, (None, ''))
    side = Sides(there, [edit], ('value', [0]))
    found = document_of(there.unregistered(side.now, 'ours'))
    assert found.junk == ()
    assert sorted(section.name for section in found.sections) == sorted(section.name for section in document_of(before).sections)
