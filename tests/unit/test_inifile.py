# SPDX-License-Identifier: Apache-2.0
"""An ini file as a lossless document, read as libdnf reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.samples import REAL
from tuxcare_lib import inifile

REAL_FILES = sorted(REAL.glob('repos/*/*.repo'))


def document(text: str) -> inifile.Document:
    return inifile.parse(text)


@given(st.binary())
def test_any_bytes_come_out_again(data: bytes) -> None:
    assert inifile.encode(inifile.parse(inifile.decode(data)).render()) == data


@given(st.lists(st.sampled_from([b'[a]', b'k=v', b' more', b'#c', b'\xff\xfe', b'\xef\xbb\xbf', b'\r', b'\n', b'\n', b'=',
                                 b'\0', b'\x0c', '\u2028'.encode('utf-8'), b'\xed\xa0\x80']), max_size=30))
def test_pieces_of_repository_files_come_out_again(pieces: 'list[bytes]') -> None:
    data = b''.join(pieces)
    assert inifile.encode(inifile.parse(inifile.decode(data)).render()) == data


@pytest.mark.skipif(not REAL_FILES, reason='no real files beside the project')
@pytest.mark.parametrize('path', REAL_FILES, ids=['{}/{}'.format(path.parent.name, path.name) for path in REAL_FILES])
def test_real_files_hold_sections_and_no_junk(path: 'object') -> None:
    data = path.read_bytes()  # type: ignore[attr-defined]
    found = inifile.parse(inifile.decode(data))
    assert inifile.encode(found.render()) == data
    assert len(found.sections) == data.count(b'\n[') + data.startswith(b'[')
    assert found.junk == ()
    assert all(section.option('name') for section in found.sections)


@pytest.mark.parametrize('text, value', [
    pytest.param('[a]\nk=v\n', 'v', id='plain'),
    pytest.param('[a]\nk = v \n', 'v', id='blanks-around'),
    pytest.param('[a]\r\nk=v\r\n', 'v', id='cr-lf'),
    pytest.param('[a]\nk=v', 'v', id='no-end-of-line'),
    pytest.param('\ufeff[a]\nk=v\n', 'v', id='byte-order-mark'),
    pytest.param('[a]\nk=v=w\n', 'v=w', id='equals-in-the-value'),
    pytest.param('[a]\nk=\n', '', id='empty'),
    pytest.param('[a]\nk=\n  v\n\tw\n', 'v\nw', id='continuation'),
    pytest.param('[a]\nk=v #w\n', 'v #w', id='hash-in-the-value'),
    pytest.param('[a]\nk=v\nk=w\n', 'w', id='the-last-counts'),
    pytest.param('[a]\nk=v\x0cw\n', 'v\x0cw', id='form-feed-is-no-line-end'),
    pytest.param('[a]\nk=v\u2028w\n', 'v\u2028w', id='line-separator-is-no-line-end'),
    pytest.param('[a] \nk=v\n', 'v', id='blank-after-the-header'),
])
def test_values_are_read_as_dnf_reads_them(text: str, value: str) -> None:
    found = document(text)
    assert found.sections[0].name == 'a'
    assert found.sections[0].value('k') == value
    assert found.junk == ()


@pytest.mark.parametrize('text, junk', [
    pytest.param('k=v\n[a]\n', (0,), id='an-option-before-any-section'),
    pytest.param('[a]\nhello\n', (1,), id='no-equals'),
    pytest.param('[a]\n  v\n', (1,), id='a-continuation-of-nothing'),
    pytest.param('[a]\nk=v\n\n  w\n', (3,), id='a-continuation-after-a-blank-line'),
    pytest.param('[a]\n=v\n', (1,), id='no-key'),
    pytest.param('[a\nk=v\n', (0, 1), id='an-open-header'),
    pytest.param('# c\n; c\n\n[a]\n', (), id='comments-and-blanks-are-none'),
])
def test_what_means_nothing_is_junk(text: str, junk: 'tuple[int, ...]') -> None:
    assert document(text).junk == junk


def test_lines_and_extents_are_counted_from_zero() -> None:
    section = document('# top\n[a]\nk=v\n w\n\n[b]\n').sections[0]
    assert (section.start, section.end) == (1, 5)
    option = section.option('k')
    assert option is not None and (option.start, option.end) == (2, 4)


@pytest.mark.parametrize('text, names', [('[a]\n[b]\n', []), ('[a]\n[b]\n[a]\n[a]\n', ['a'])])
def test_repeated_sections(text: str, names: 'list[str]') -> None:
    assert document(text).repeated_sections() == names


def test_editing_replaces_lines_and_parses_anew() -> None:
    before = document('[a]\nk=v\nl=w\n')
    after = before.edited({1: ['k=x\n', 'm=y\n'], 2: []})
    assert after.render() == '[a]\nk=x\nm=y\n'
    assert [option.key for option in after.sections[0].options] == ['k', 'm']
    assert before.render() == '[a]\nk=v\nl=w\n'


@pytest.mark.parametrize('line, end', [('k=v\r\n', '\r\n'), ('k=v\n', '\n'), ('k=v', '')])
def test_the_end_of_a_line(line: str, end: str) -> None:
    assert inifile.line_end(line) == end


def test_a_missing_option_has_the_default() -> None:
    section = document('[a]\n').sections[0]
    assert section.option('k') is None
    assert section.value('k', 'd') == 'd'
