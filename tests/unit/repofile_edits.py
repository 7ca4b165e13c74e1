# SPDX-License-Identifier: Apache-2.0
"""Files for the properties of a .repo document, and edits of them.

A file is drawn from the sections that AlmaLinux, Rocky and others ship, then perturbed, or it is plain junk. Edits are made
to cells, each of which knows its text in the original file and in the switched one; so what has to come out of the way back
is said by the original file with the same edits, and nothing of the product is asked for it.
"""

import re
import sys
from typing import Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.sandbox import osfiles
from tests.unit.samples import REAL, families
from tuxcare_lib import inifile, repofile
from tuxcare_lib.host import Registration
from tuxcare_lib.model import Release

PATH = '/etc/yum.repos.d/almalinux.repo'
REAL_FILES = sorted(REAL.glob('repos/*/*.repo'))
FAMILIES = tuple(families())
RECORD = Registration('esu', 'almalinux', Release(9, 2), Release(9, 2), 'x86_64', 'web1.example.com', '2024-05-06T07:08:09Z',
                      (), 'FAD7859081D0738B7A828496D07BF2A08D50EB66', True)
MARK = '\ufeff'

Options = Tuple[Optional[Tuple[str, ...]], str]
Damage = Tuple[str, List[int]]
Perturbation = Callable[[str, str], str]


def bounded(examples: int) -> settings:
    """The same files in every run; what fails is printed with the blob that draws it again.

    On Python 3.6, whose hypothesis is slow, fewer: what differs there is the language.
    """
    examples = examples if sys.version_info >= (3, 7) else examples // 8
    return settings(max_examples=examples, derandomize=True, database=None, deadline=None, print_blob=True,
                    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])


def _lines(text: str) -> List[str]:
    """Lines with their ends, at LF alone."""
    return re.findall(r'[^\n]*\n|[^\n]+', text)


def _cut(line: str) -> Tuple[str, str]:
    body = line.rstrip('\r\n')
    return body, line[len(body):]


def _end(text: str) -> str:
    return text + '\n' if text and not text.endswith('\n') else text


def header_of(line: str) -> str:
    """The name of the section that begins there; empty where none does."""
    match = re.match(r'\[([^\]]*)\]\s*\Z', line)
    return match.group(1) if match else ''


# --- files ----------------------------------------------------------------------------------------------------------

_FOREIGN_SECTIONS = [
    '[epel]\nname=EPEL $releasever\nmetalink=https://mirrors.fedoraproject.org/metalink?repo=epel-$releasever\nexclude=openssl*\n',
    '[nginx]\nname=nginx\nbaseurl=http://nginx.org/packages/centos/$releasever/$basearch/\nenabled=1\n\n',
    '[own]\nname=Eigenes für $releasever\nbaseurl=https://mirror.example.com/almalinux/9/BaseOS/ file:///srv/own\ngpgcheck=0\n',
]
_SHIPPED_SECTIONS = [
    section for version, os_id in (('9.2', 'almalinux'), ('8.10', 'almalinux'), ('9.6', 'rocky'))
    for _, text in sorted(osfiles.repo_files(version, os_id).items()) for section in re.findall(r'(?ms)^\[.*?(?=^\[|\Z)', text)]

# What may become of a line (its body, its end) in a file that dnf still reads; headers keep their body, and stand once.
_HARMLESS: Dict[str, Perturbation] = {
    'gone': lambda body, end: '',
    'empty': lambda body, end: re.sub('=.*', '=', body) + end,
    'twice': lambda body, end: 2 * (body + end),
    'blanks': lambda body, end: body.replace('=', ' =\t', 1) + ' \t' + end,
    'commented': lambda body, end: '#' + body + end,
    'commented, spaced': lambda body, end: '# ' + body + end,
    'live': lambda body, end: re.sub(r'\A#\s*(?=\w+=)', '', body) + end,
    'continued': lambda body, end: body + end + ('\thttps://vault.almalinux.org/9.2/x/' + end) * (body[:1] not in '#;'),
    'continued twice': lambda body, end: body + end + (' 9/x' + end + '\t-' + end) * (body[:1] not in '#;'),
    'fixed': lambda body, end: body.replace('$releasever', '9.2') + end,
    'braces': lambda body, end: body.replace('$releasever', '${releasever_major}.${releasever_minor}') + end,
    'long': lambda body, end: body + 9000 * ',x' + end,
    'not UTF-8': lambda body, end: body + '\udcff' + end,
    'CR CR LF': lambda body, end: body + '\r\r\n',
}
_AFTER_ANY_LINE: Dict[str, Perturbation] = {
    'CR LF': lambda body, end: body + '\r\n',
    'latin 1': lambda body, end: body + end + '# caf\udce9' + end,
    'separators': lambda body, end: body + end + '#\x0c\x0b\x1c\u2028\x85' + end + '\x0c' + end,
    'excludes': lambda body, end: body + end + 'exclude=kernel* \t' + end + 'exclude=' + end,
    'switched off': lambda body, end: body + end + '#enabled=1' + end + 'enabled = no' + end,
    'key in a comment': lambda body, end: body + end + '#baseurl=http://dl.rockylinux.org/9/CRB/' + end + ';enabled=1' + end,
    'nearly our marks': lambda body, end: body + end + '#tuxcare\n#tuxcare-x\n# tuxcare+' + end,
}
# And in one that registering refuses; it must not be spoilt.
_HARMFUL: Dict[str, Perturbation] = {
    'NUL': lambda body, end: body + '\0' + end,
    'no sense': lambda body, end: body + end + 'rubbish' + end,
    'indented': lambda body, end: '\t' + body + end,
    'lost': lambda body, end: '',
    'repeated': lambda body, end: 2 * (body + end),
    'half a header': lambda body, end: body.rstrip(']') + end,
}
_SOUND = dict(_HARMLESS, **_AFTER_ANY_LINE)
_ALL = dict(_SOUND, **_HARMFUL)
# A lone CR at the very end is test_a_last_line_that_ends_in_a_lone_cr.
_PIECES = [b'[baseos]', b'[', b']', b'baseurl=https://repo.almalinux.org/9/BaseOS/', b'mirrorlist', b'enabled=0', b'# baseurl=',
           b'=', b' more', b'#', b'\xff\xfe', b'\xef\xbb\xbf', b'\r\t', b'\r\n', b'\n', b'\n', b'\0', b'\x0c', b'\xe2\x80\xa8',
           b'\xed\xa0\x80']


def _file(sections: Sequence[str], perturbations: Sequence[Tuple[str, int]], mark: str, end: str, last: str) -> bytes:
    """An `end` of '' leaves LF and CR LF mixed. `last` is LF, '' (no end), or the key behind whose line the file is cut off."""
    lines = _lines(''.join(sections))
    for kind, place in perturbations:
        number = place % len(lines)
        if not (header_of(lines[number]) and kind in _HARMLESS):
            lines[number:number + 1] = _lines(_ALL[kind](*_cut(lines[number]))) or ['\n']
    text = ''.join(lines).replace('\r\n', '\n').replace('\n', end) if end else ''.join(lines)
    if last.isalpha():
        text = re.sub(r'(?s)\A(.*\n{}\s*=[^\n]*\n).*'.format(last), r'\1', text)
    return inifile.encode(mark + (text if last == '\n' else text.rstrip('\r\n')))


def _files(kinds: Iterable[str], most: int, again: bool = False) -> 'st.SearchStrategy[bytes]':
    """Of one to three sections (and the first of them again), perturbed at most so often."""
    return st.builds(
        _file,
        st.lists(st.sampled_from(_SHIPPED_SECTIONS + 8 * _FOREIGN_SECTIONS), min_size=1, max_size=3,
                 unique_by=lambda text: text.partition(']')[0]).map(lambda texts: texts + texts[:again]),
        st.lists(st.tuples(st.sampled_from(sorted(kinds)), st.integers(0, 40)), max_size=most),
        st.sampled_from(['', '', MARK]), st.sampled_from(['', '', '\r\n']),
        st.sampled_from(3 * ['\n'] + ['', 'mirrorlist', 'enabled', 'name']))


def document_of(data: bytes) -> inifile.Document:
    return inifile.parse(inifile.decode(data))


def inverted(data: bytes) -> bytes:
    return inifile.encode(repofile.reverted(document_of(data)).render())


def plain(data: bytes) -> bytes:
    """Without a byte order mark, and with an end to the last line."""
    return inifile.encode(_end(inifile.decode(data).lstrip(MARK)))


ANY_FILE = st.one_of(_files(_SOUND, 6), _files(_ALL, 8), _files(_ALL, 8, again=True), st.binary(max_size=200),
                     st.lists(st.sampled_from(_PIECES), max_size=40).map(b''.join))
# What registering accepts: only such a file is ever switched.
SOUND_FILE = _files(_SOUND, 6).filter(lambda data: not repofile.problems(PATH, document_of(data)))
# The vetted trees that answer (None: all), and the private authority of the service.
OPTIONS = st.tuples(st.sampled_from([None, (), ('BaseOS', 'AppStream')]), st.sampled_from(['', '/etc/pki/ca.pem']))

# --- cells ----------------------------------------------------------------------------------------------------------


class Cell(NamedTuple):
    """A line of the original file as it stands there and in the switched file, or two lines that only the latter has."""

    before: str
    after: str
    ours: bool = False


Section = List[Cell]


def _same(text: str) -> Cell:
    return Cell(text, text)


def text_before(cells: Iterable[Cell]) -> str:
    return ''.join(cell.before for cell in cells)


def text_after(cells: Iterable[Cell]) -> str:
    return ''.join(cell.after for cell in cells)


def joined_of(sections: Iterable[Section]) -> List[Cell]:
    return [cell for section in sections for cell in section]


def cells_of(original: bytes, switched: bytes) -> List[Cell]:
    """Both files side by side. Fails where switching did anything but add marked lines, and mark some."""
    before, after = (_lines(inifile.decode(data).lstrip(MARK)) for data in (original, switched))
    cells = []
    for line in before:
        while _cut(after[0])[0] == '#tuxcare+' and line != after[0]:
            cells.append(Cell('', after.pop(0) + after.pop(0), True))
        ours = after[0] != line
        assert after[0] == ('#tuxcare- ' + line if ours else line)
        cells.append(Cell(line, after.pop(0), ours))
    assert after == []
    return cells


def _ended(cells: Sequence[Cell]) -> List[Cell]:
    """With an end to each line but the last, as an editor leaves them."""
    return [cell._replace(before=_end(cell.before), after=_end(cell.after)) for cell in cells[:-1]] + list(cells[-1:])


def sections_of(cells: Iterable[Cell]) -> List[Section]:
    """The cells before any section, then each section's."""
    found: List[Section] = [[]]
    for cell in cells:
        if header_of(cell.before):
            found.append([])
        found[-1].append(cell)
    return found


def sections_by_name(sections: Iterable[Section]) -> Dict[str, Section]:
    return {header_of(section[0].before): section for section in sections if section}


# --- edits outside our lines ----------------------------------------------------------------------------------------

_NEW_LINES = ['exclude=kernel*', 'enabled=0', 'enabled=1', 'name=Mine', 'priority = 5', '', ' \t', '# mine', '#baseurl=https://x/9/',
              ';enabled=1', ' continued', '\tcontinued', 'baseurl=https://mirror.example.com/9/', 'sslcacert=/own', 'k=',
              '#tuxcare', '#tuxcare-x', '# tuxcare+', '#tuxcare+ ', 'caf\udce9=1', 5000 * 'y', 'k=\0', 'rubbish', '\x0c']


class Edit(NamedTuple):
    """What an administrator does: where (counted around), where to, and with which text."""

    kind: str
    place: int
    other: int
    text: str


# An edit of one foreign line: what it becomes.
_LINE_EDITS: Dict[str, Callable[[str, str, str], str]] = {
    'delete': lambda body, end, text: '',
    'change': lambda body, end, text: text + end,
    'append': lambda body, end, text: body + ',mine' + end,
    'comment out': lambda body, end, text: '# ' + body + end,
    'rename a comment': lambda body, end, text: body.replace('#', '##  ', 1) + end,
    'line end': lambda body, end, text: body + ('\n' if end == '\r\n' else '\r\n'),
}


def _line_edited(cells: List[Cell], edit: Edit) -> List[Cell]:
    places = [number for number, cell in enumerate(cells) if not cell.ours and not header_of(cell.before)]
    if not places:
        return cells
    place = places[edit.place % len(places)]
    if edit.kind == 'move':
        return _inserted(cells[:place] + cells[place + 1:], edit.other, _end(cells[place].before))
    text = _LINE_EDITS[edit.kind](*_cut(cells[place].before) + (edit.text,))
    return cells[:place] + [_same(text)] * bool(text) + cells[place + 1:]


def _inserted(cells: List[Cell], place: int, text: str) -> List[Cell]:
    place %= len(cells) + 1
    return _ended(cells[:place] + [_same('')])[:-1] + [_same(text)] + cells[place:]


def _converted(text: str, end: str) -> str:
    return ''.join(_cut(line)[0] + end if line.endswith('\n') else line for line in _lines(text))


# An edit of a section as a whole: what stands there then, and at the end of the file.
_SECTION_EDITS: Dict[str, Callable[[Section, Edit], Tuple[Section, Section]]] = {
    'new section': lambda section, edit: ([_same('[mine-{}-{}]\n'.format(*edit[1:3])), _same(edit.text + '\n')] + section, []),
    'rename section': lambda section, edit: ([_same('[own-{}-{}]\n'.format(*edit[1:3]))] + section[1:], []),
    'remove section': lambda section, edit: ([], []),
    'move section': lambda section, edit: ([], section),
}
EDITS = ['insert', 'move', 'to CR LF', 'to LF'] + sorted(_LINE_EDITS) + sorted(_SECTION_EDITS)


def _once_edited(cells: List[Cell], edit: Edit) -> List[Cell]:
    if edit.kind == 'insert':
        return _inserted(cells, edit.place, edit.text + '\n')
    if edit.kind in ('to CR LF', 'to LF'):  # our own lines too
        end = '\r\n' if edit.kind == 'to CR LF' else '\n'
        return [Cell(_converted(cell.before, end), _converted(cell.after, end), cell.ours) for cell in cells]
    if edit.kind not in _SECTION_EDITS:
        return _line_edited(cells, edit)
    sections = sections_of(_ended(cells + [_same('')])[:-1])
    if len(sections) > 1:
        place = 1 + edit.place % (len(sections) - 1)
        sections[place], last = _SECTION_EDITS[edit.kind](sections[place], edit)
        sections.append(last)
    return joined_of(sections)


def edited_of(cells: List[Cell], edits: Sequence[Edit]) -> List[Cell]:
    for edit in edits:
        cells = _ended(_once_edited(cells, edit))
    return cells


def touches_ours(cells: Sequence[Cell]) -> bool:
    """Whether a line goes on with the value of one that we added, or parts one that we put out of service from its value."""
    for above, cell in zip(cells, cells[1:]):
        if re.match(r'[ \t]+\S', cell.before) and (
                not (above.ours and above.before) if cell.ours else above.ours and not above.before):
            return True
    return False


def edits_of(kinds: Sequence[str], least: int = 1) -> 'st.SearchStrategy[List[Edit]]':
    one = st.builds(Edit, st.sampled_from(kinds), st.integers(0, 60), st.integers(0, 60), st.sampled_from(_NEW_LINES))
    return st.lists(one, min_size=least, max_size=6)


# --- edits of our lines ---------------------------------------------------------------------------------------------

# What becomes of `#tuxcare- x`, or of `#tuxcare+` and the line behind it.
_DAMAGES: Dict[str, Callable[[str], str]] = {
    'gone': lambda text: '',
    'unmarked': lambda text: re.sub(r'\A#tuxcare(- |\+\r*\n)', '', text),
    'mark damaged': lambda text: text[1:],
    'mark commented': lambda text: '#' + text,
    'mark and blank': lambda text: text.replace('\n', ' \n', 1) if '\n' in text else text + ' ',
    'parted': lambda text: text.replace('\n', '\n# mine\n', 1) if text.startswith('#tuxcare+') else '#tuxcare- \n' + text,
    'twice': lambda text: _end(text) + text,
    'value': lambda text: re.sub(r'([\r\n]*)\Z', r'x\1', text, count=1),
    'commented': lambda text: re.sub(r'(.*[\r\n]*)\Z', r'# \1', text, count=1),
    'goes on': lambda text: _end(text) + (' more\n' if text.startswith('#tuxcare+') else text),
}
DAMAGES = st.tuples(st.sampled_from(sorted(_DAMAGES)), st.lists(st.integers(0, 40), min_size=1, max_size=3))
# Edits that leave no doubt about the section an edited line of ours belongs to.
BESIDE_A_CONFLICT = [kind for kind in EDITS if kind != 'rename section']


def damaged_of(cells: Sequence[Cell], damage: Damage) -> Tuple[List[Section], List[int]]:
    """The sections, and the numbers of those in which lines of ours were edited."""
    sections = sections_of(cells)
    ours = [(number, place) for number, section in enumerate(sections) for place, cell in enumerate(section) if cell.ours]
    chosen = {ours[place % len(ours)] for place in damage[1]} if ours else set()
    for number, place in chosen:
        cell = sections[number][place]
        sections[number][place] = cell._replace(after=_DAMAGES[damage[0]](cell.after))
    return sections, sorted({number for number, _ in chosen})


def text_live(section: Section) -> str:
    """A section as it is now, without our marks and what they put out of service."""
    return ''.join(line for line in _lines(text_after(section))
                   if not line.startswith('#tuxcare- ') and _cut(line)[0] != '#tuxcare+')
