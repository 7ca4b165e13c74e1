# SPDX-License-Identifier: Apache-2.0
"""Checked reading of our own ini files: all problems at once, each with its place."""

from typing import Any, Callable, List, Tuple

import pytest

from tuxcare_lib import schema
from tuxcare_lib.schema import Key

SCHEMA = {'main': {'size': Key(schema.integer(1, 9), default=5), 'name': Key(schema.text, required=True)},
          'item': {'on': Key(schema.boolean, default=False), 'words': Key(schema.words, default=())}}
ARGUMENTS = {'item': 2}


def problems(text: str) -> List[Tuple[int, str]]:
    found = schema.read('x.conf', text, SCHEMA, ARGUMENTS)[1]
    assert {problem.path for problem in found} <= {'x.conf'}
    return [(problem.line, problem.text) for problem in found]


def test_values_arguments_defaults_and_lines() -> None:
    sections, found = schema.read('x.conf', '[main]\nname=n\n\n[item a b]\nwords = p\n  q\n', SCHEMA, ARGUMENTS)
    assert found == []
    assert [(section.kind, section.arguments, section.line) for section in sections] == [
        ('main', (), 1), ('item', ('a', 'b'), 4)]
    assert sections[0].values == {'size': 5, 'name': 'n'}
    assert sections[1].values == {'on': False, 'words': ('p', 'q')}
    assert sections[1].lines == {'words': 5}


@pytest.mark.parametrize('text, line, words', [
    pytest.param('[main]\nname=n\nsizes=1\n', 3, "unknown key 'sizes' in [main]; known are name, size", id='unknown-key'),
    pytest.param('[mian]\n', 1, 'unknown section [mian]; known are item, main', id='unknown-section'),
    pytest.param('[item a]\n', 1, '[item a]', id='too-few-words'),
    pytest.param('[main x]\nname=n\n', 1, '[main x]', id='too-many-words'),
    pytest.param('[main]\nname=n\nsize=10\n', 3, 'from 1 to 9', id='bad-value'),
    pytest.param('[main]\nsize=1\n', 1, "lacks the key 'name'", id='missing-key'),
    pytest.param('[main]\nname=n\nrubbish\n', 3, 'neither a section', id='junk'),
    pytest.param('[main]\nname=n\n[main]\nname=m\n', 0, '[main] stands here twice', id='section-twice'),
    pytest.param('name=n\n', 1, 'neither a section', id='outside-a-section')])
def test_a_problem_and_its_place(text: str, line: int, words: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert found[0][0] == line
    assert words in found[0][1]


def test_all_problems_are_told_together_in_the_order_of_the_lines() -> None:
    found = problems('rubbish\n[main]\nsize=x\ncolour=red\n[other]\n')
    assert [line for line, _ in found] == [1, 2, 3, 4, 5]


def test_a_bad_value_is_shown() -> None:
    assert "size = 'banana'" in problems('[main]\nname=n\nsize=banana\n')[0][1]


@pytest.mark.parametrize('parse, value, result', [
    (schema.boolean, 'Yes', True), (schema.boolean, '1', True), (schema.boolean, 'OFF', False), (schema.boolean, 'false', False),
    (schema.integer(1, 600), '600', 600), (schema.integer(0, 10), '0', 0), (schema.text, 'a b', 'a b'),
    (schema.words, ' a\n b ', ('a', 'b')), (schema.lines, 'a, b\n c\n', ('a, b', 'c'))])
def test_good_values(parse: Callable[[str], Any], value: str, result: Any) -> None:
    assert parse(value) == result


@pytest.mark.parametrize('parse, value', [
    (schema.boolean, 'banana'), (schema.boolean, ''), (schema.integer(1, 600), '0'), (schema.integer(1, 600), '601'),
    (schema.integer(1, 600), '-1'), (schema.integer(1, 600), '1.5'), (schema.integer(1, 600), '\u0661'),
    (schema.integer(1, 600), ' 1'), (schema.integer(1, 600), '9' * 5000), (schema.text, ''), (schema.text, 'a\nb')])
def test_bad_values(parse: Callable[[str], Any], value: str) -> None:
    with pytest.raises(ValueError):
        parse(value)
