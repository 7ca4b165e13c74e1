# SPDX-License-Identifier: Apache-2.0
"""An ini file, as dnf reads one, as a lossless document: every byte that came in goes out again.

Bytes are decoded as UTF-8 with `surrogateescape`, so a file in another encoding survives. A byte order mark, CR LF,
a last line without an end, comments and blank lines are all kept. What libdnf's own reader does is followed:
`[section]`, `key=value`, a line that begins with white space goes on with the value above it, `#` and `;` begin a comment.
"""

import re
from typing import List, Mapping, NamedTuple, Optional, Sequence, Tuple

_SECTION = re.compile(r'\[(?P<name>[^\]]*)\]\s*\Z')
_OPTION = re.compile(r'(?P<key>[^=\s][^=]*?)\s*=\s*(?P<value>.*?)\s*\Z', re.S)
BYTE_ORDER_MARK = '\ufeff'


def decode(data: bytes) -> str:
    """Text of a file's bytes; `encode` gives exactly these bytes back."""
    return data.decode('utf-8', 'surrogateescape')


def encode(text: str) -> bytes:
    """The inverse of `decode`."""
    return text.encode('utf-8', 'surrogateescape')


class Option(NamedTuple):
    """`key=value`. Lines count from 0 and end before `end`; `value` has its continuation lines joined by `\\n`."""

    key: str
    value: str
    start: int
    end: int


class Section(NamedTuple):
    """`[name]` and the lines up to the next section: from `start` (the header) to before `end`."""

    name: str
    start: int
    end: int
    options: Tuple[Option, ...]

    def option(self, key: str) -> Optional[Option]:
        """The option that counts: the last of that name, as in libdnf; None where there is none."""
        found = [option for option in self.options if option.key == key]
        return found[-1] if found else None

    def value(self, key: str, default: str = '') -> str:
        """Its value, or the default."""
        option = self.option(key)
        return default if option is None else option.value


class Document(NamedTuple):
    """A parsed file. `lines` keep their ends; `junk` are the numbers (from 0) of lines that mean nothing."""

    lines: Tuple[str, ...]
    sections: Tuple[Section, ...]
    junk: Tuple[int, ...]

    def render(self) -> str:
        """The text, unchanged."""
        return ''.join(self.lines)

    def repeated_sections(self) -> List[str]:
        """Names of sections that stand in the file more than once."""
        names = [section.name for section in self.sections]
        return sorted({name for name in names if names.count(name) > 1})

    def edited(self, edits: Mapping[int, Sequence[str]]) -> 'Document':
        """A new document in which the line numbered by a key is replaced by the lines given (with their ends)."""
        lines: List[str] = []
        for number, line in enumerate(self.lines):
            lines.extend(edits.get(number, (line,)))
        return parse(''.join(lines))


def line_end(line: str) -> str:
    """The end of a line as it is there: CR LF, LF, or none; a lone CR ends no line."""
    return line[len(line.rstrip('\r\n')):] if line.endswith('\n') else ''


def split_lines(text: str) -> List[str]:
    """Lines with their ends, at LF alone: str.splitlines would also split at form feeds and U+2028."""
    lines = [line + '\n' for line in text.split('\n')]
    lines[-1] = lines[-1][:-1]
    return lines if lines[-1] else lines[:-1]


def parse(text: str) -> Document:
    """Read a document. Never fails: what means nothing is listed as junk."""
    lines = tuple(split_lines(text))
    junk: List[int] = []
    heads: List[Tuple[str, int, List[Option]]] = []
    for number, line in enumerate(lines):
        bare = line.lstrip(BYTE_ORDER_MARK) if number == 0 else line
        if not bare.strip() or bare[0] in '#;':
            continue
        section = _SECTION.match(bare)
        if section:
            heads.append((section.group('name'), number, []))
        elif not heads or not _take_option(heads[-1][2], bare, number):
            junk.append(number)
    ends = [head[1] for head in heads[1:]] + [len(lines)]
    sections = tuple(Section(name, start, end, tuple(options))
                     for (name, start, options), end in zip(heads, ends))
    return Document(lines, sections, tuple(junk))


def goes_on(line: str) -> bool:
    """Whether a line goes on with the value above it, where there is one."""
    return line[:1] in (' ', '\t') and bool(line.strip())


def is_option(line: str) -> bool:
    """Whether a line begins an option, where it stands in a section."""
    return line[:1] not in ('#', ';', '[') and bool(_OPTION.match(line))


def _take_option(options: List[Option], line: str, number: int) -> bool:
    """Add an option, or a continuation to the last one; False where the line is neither."""
    if goes_on(line):
        if not options or options[-1].end != number:
            return False
        last = options[-1]
        options[-1] = last._replace(value=(last.value + '\n' + line.strip()).strip(), end=number + 1)
        return True
    match = _OPTION.match(line)
    if not match:
        return False
    options.append(Option(match.group('key'), match.group('value'), number, number + 1))
    return True
