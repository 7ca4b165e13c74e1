# SPDX-License-Identifier: Apache-2.0
"""Checked reading of our own ini files: every key is declared, and all problems are found in one go.

A schema is {kind of section: {key: Key}}. A section's name is its kind, or the kind and its arguments: `[release almalinux 9.2]`.
"""

import contextlib
import re
from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Tuple
from urllib.parse import urlsplit

from tuxcare_lib import inifile
from tuxcare_lib.errors import Problem

Parser = Callable[[str], Any]


class Key(NamedTuple):
    """How a value is read. `parse` raises ValueError with a text that says what would be right."""

    parse: Parser
    required: bool = False
    default: Any = None


class Read(NamedTuple):
    """A section as read: arguments of its name, checked values (defaults filled in), and the line (from 1) of each."""

    kind: str
    arguments: Tuple[str, ...]
    values: Dict[str, Any]
    lines: Dict[str, int]
    line: int


Schema = Mapping[str, Mapping[str, Key]]


def read(path: str, text: str, schema: Schema, arguments: Mapping[str, int]) -> Tuple[List[Read], List[Problem]]:
    """All sections that the schema knows, and every problem with its place. Never raises.

    `arguments` tells how many words follow a kind in a section's name; none where it says nothing.
    """
    document = inifile.parse(text)
    problems = [Problem(path, number + 1, 'this line is neither a section, an option nor a comment')
                for number in document.junk]
    problems += [Problem(path, 0, 'section [{}] stands here twice'.format(name))
                 for name in document.repeated_sections()]
    sections: List[Read] = []
    for section in document.sections:
        kind, _, rest = section.name.partition(' ')
        if kind not in schema:
            problems.append(Problem(path, section.start + 1, 'unknown section [{}]; known are {}'.format(
                section.name, ', '.join(sorted(schema)))))
            continue
        if len(rest.split()) != arguments.get(kind, 0):
            problems.append(Problem(path, section.start + 1, 'section [{}]: {} word(s) are needed after {!r}'.format(
                section.name, arguments.get(kind, 0), kind)))
            continue
        values, found = _values(path, section, schema[kind])
        problems += found
        numbers = {option.key: option.start + 1 for option in section.options}
        sections.append(Read(kind, tuple(rest.split()), values, numbers, section.start + 1))
    return sections, sorted(problems, key=lambda problem: problem.line)


def _shown(value: str) -> str:
    """A value that is refused: an address may hold a password, also one without its scheme, as curl takes it."""
    user, at, host = value.rpartition('@')
    scheme = user[:user.find('//') + 2] if '//' in user else ''
    return scheme + '(hidden)@' + host if at and ':' in user else value


def _values(path: str, section: inifile.Section, keys: Mapping[str, Key]) -> Tuple[Dict[str, Any], List[Problem]]:
    values = {name: key.default for name, key in keys.items()}
    problems: List[Problem] = []
    for option in section.options:
        key = keys.get(option.key)
        place = option.start + 1
        if key is None:
            problems.append(Problem(path, place, 'unknown key {!r} in [{}]; known are {}'.format(
                option.key, section.name, ', '.join(sorted(keys)))))
            continue
        try:
            values[option.key] = key.parse(option.value)
        except ValueError as error:
            problems.append(Problem(path, place, '{} = {!r}: {}'.format(option.key, _shown(option.value), error)))
    present = {option.key for option in section.options}
    problems += [Problem(path, section.start + 1, '[{}] lacks the key {!r}'.format(section.name, name))
                 for name, key in keys.items() if key.required and name not in present]
    return values, problems


def words(value: str) -> Tuple[str, ...]:
    """White space separated words."""
    return tuple(value.split())


def lines(value: str) -> Tuple[str, ...]:
    """Values that may hold blanks and commas, one a line."""
    return tuple(line.strip() for line in value.split('\n') if line.strip())


def text(value: str) -> str:
    """One non-empty line."""
    if not value or '\n' in value:
        raise ValueError('one line of text is needed')
    return value


def boolean(value: str) -> bool:
    """The words that dnf takes for yes and no."""
    known = {'1': True, 'yes': True, 'true': True, 'on': True, '0': False, 'no': False, 'false': False, 'off': False}
    if value.lower() not in known:
        raise ValueError('yes or no is needed')
    return known[value.lower()]


def integer(low: int, high: int) -> Parser:
    """A whole number from low to high."""
    def parse(value: str) -> int:
        if not re.match('[0-9]{1,9}\\Z', value) or not low <= int(value) <= high:
            raise ValueError('a whole number from {} to {} is needed'.format(low, high))
        return int(value)
    return parse


def address(value: str, schemes: Tuple[str, ...]) -> str:
    """An address without user name, query, fragment, blank or variable; a final slash does not count."""
    try:
        parts, port = urlsplit(value), urlsplit(value).port
    except ValueError as error:
        raise ValueError('not an address: {}'.format(error))
    if parts.scheme not in schemes or (not parts.hostname and parts.scheme != 'file'):
        raise ValueError('an address that begins with {} is needed'.format(' or '.join(name + '://' for name in schemes)))
    if parts.hostname:
        host(value)
    if port == 0 or parts.username is not None or re.search(r'[\s$?#\x00-\x1f\x7f]', value):
        raise ValueError('an address without user name, query, fragment, blank or variable is needed')
    return value.rstrip('/')


def host(value: str) -> None:
    """Raises ValueError where the host or the port of an address cannot be one, without its words: they may hold a password."""
    found = None
    with contextlib.suppress(ValueError):
        parts = urlsplit(value)
        if parts.port != 0:  # raises ValueError where it is none
            found = re.match(r'(([\w-]{1,63}\.)*[\w-]{1,63}\.?|[0-9a-f.]*:[0-9a-f:.]+)\Z', parts.hostname or '')
    if not found:
        raise ValueError('an address with a host, and with a port from 1 to 65535 or none, is needed')


def url(value: str) -> str:
    """The address of a service."""
    return address(value, ('https', 'http'))


def fingerprint(value: str) -> str:
    """The whole fingerprint of a key, blanks removed."""
    digits = re.sub(r'\s', '', value).upper()
    if not re.match('[0-9A-F]{40}\\Z', digits):
        raise ValueError('a whole fingerprint of 40 hexadecimal digits is needed')
    return digits
