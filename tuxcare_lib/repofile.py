# SPDX-License-Identifier: Apache-2.0
"""What is done to an operating system's .repo file, and how it is taken back. Pure: text to text.

Every line of ours can be told from the administrator's. A line that we take out of service stays, behind `#tuxcare- `;
a line that we add follows one that says `#tuxcare+`. So the inverse needs nothing but the file itself:

    #tuxcare+
    baseurl=https://repo.tuxcare.com/almalinux/$tuxcare_releasever/$tuxcare_token/BaseOS/$basearch/os/
    #tuxcare- mirrorlist=https://mirrors.almalinux.org/mirrorlist/$releasever/baseos

What becomes of a section follows from its live URLs alone, never from its id or the file's name (FACTS 2):
a tree that the vendor vets gets its address there; debug, source and other trees of the operating system keep their
mirrors, on the pinned release and disabled; everything else is not ours and is not touched.
"""

import re
from collections import Counter
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple
from urllib.parse import urlsplit

from tuxcare_lib import inifile
from tuxcare_lib.errors import Problem
from tuxcare_lib.inifile import Document, Option, Section
from tuxcare_lib.model import Family

REMOVED = '#tuxcare- '
ADDED = '#tuxcare+'
# How the file with the vendor's own repositories begins.
OWN_HEAD = '# Written by `dnf tuxcare register`'
RELEASE_VARIABLE = '$tuxcare_releasever'
TOKEN_VARIABLE = '$tuxcare_token'

_URL_KEYS = ('baseurl', 'mirrorlist', 'metalink')
# dnf's names for the release, alone or as major and minor together.
_VARIABLE = r'\$(?:\{{{0}\}}|{0}(?![A-Za-z0-9_]))'
_RELEASE = re.compile(_VARIABLE.format('releasever(?:_major|_minor)?') + r'(?:[.]' +
                      _VARIABLE.format('releasever_minor') + ')?', re.A)
_FIXED_RELEASE = re.compile(r'(?<=/)[0-9]+(?:\.[0-9]+)?(?=/)', re.A)
_NOT_VETTED = {'debug', 'debuginfo', 'debugsource', 'source', 'sources'}
# dnf's two names of one option.
_EXCLUDES = ('excludepkgs', 'exclude')
_FALSE = {'0', 'no', 'false', 'off'}


class Tree(NamedTuple):
    """An operating system's repository in a file. `name` is the vetted tree's, None where the vendor does not mirror it."""

    section: str
    family: str
    name: Optional[str]
    enabled: bool
    urls: Tuple[str, ...]


def urls_of(section: Section) -> List[str]:
    """The live URLs of a section: base URLs (there may be several), mirror list and metalink."""
    return [url for key in _URL_KEYS for url in re.split(r'[\s,]+', section.value(key)) if url]


def is_enabled(section: Section) -> bool:
    """Whether dnf takes the section as enabled; it does where nothing is said."""
    return section.value('enabled', '1').lower() not in _FALSE


def problems(path: str, document: Document) -> List[Problem]:
    """Why a file cannot be changed safely; empty where it can."""
    found = [Problem(path, number + 1, 'this line is neither a section, an option nor a comment')
             for number in document.junk]
    found += [Problem(path, number + 1, 'the line holds a NUL byte')
              for number, line in enumerate(document.lines) if '\0' in line]
    found += [Problem(path, 0, 'section [{}] stands here twice, and it is not clear which one counts'.format(name))
              for name in document.repeated_sections()]
    return found


def trees(document: Document, families: Sequence[Family]) -> List[Tree]:
    """The operating systems' repositories in a document, in its order."""
    found = []
    for section in document.sections:
        family = _family(section, families)
        if family is not None:
            found.append(Tree(section.name, family.id, _tree_name(document, section, family),
                              is_enabled(section), tuple(urls_of(section))))
    return found


def _family(section: Section, families: Sequence[Family]) -> Optional[Family]:
    hosts = {_host(url) for url in urls_of(section)}
    return next((family for family in families if hosts & set(family.hosts)), None)


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or '').lower().rstrip('.')
    except ValueError:
        return ''


def _tree_name(document: Document, section: Section, family: Family) -> Optional[str]:
    """The vetted tree that a section stands for, from its live URLs and the base URL that the OS ships commented out."""
    known = {name.lower(): name for name in family.trees}
    known.update({alias.lower(): name for alias, name in family.tree_aliases.items()})
    live = [_words(url) for url in urls_of(section)]
    if any(words & _NOT_VETTED for words in live):
        return None
    shipped = [_words(url) for url in _commented_urls(document, section)]
    for words in live + shipped:
        names = {known[word] for word in words if word in known}
        if len(names) == 1:
            return names.pop()
    return None


def _words(url: str) -> Set[str]:
    """What a URL's path and query say, word by word, in lower case; never its host."""
    rest = re.sub(r'^[a-z]+://[^/]*', '', url.lower())
    return set(re.split(r'[^a-z0-9]+', rest))


def _commented_urls(document: Document, section: Section) -> List[str]:
    lines = document.lines[section.start:section.end]
    return [match.group(1) for match in (re.match(r'#\s*baseurl\s*=\s*(\S+)', line) for line in lines) if match]


class Switch(NamedTuple):
    """How sections are switched: where the vetted trees are, and which of them answer (None: not asked, take all).

    `ca_file` is the private authority of the service, which dnf has to trust there too.
    """

    repo_url: str
    families: Tuple[Family, ...]
    served: Optional[Tuple[str, ...]] = None
    ca_file: str = ''


def vetted_url(repo_url: str, family: Family, tree: str) -> str:
    """The address of a vetted tree, with dnf's variables (FACTS 2)."""
    return '{}/{}/{}/{}/{}/$basearch/os/'.format(repo_url, family.vetted_path, RELEASE_VARIABLE, TOKEN_VARIABLE, tree)


def switched(document: Document, switch: Switch) -> Document:
    """The document with every operating system's section on the vetted trees, or pinned and disabled.

    A section that is switched already has no live URL of the community's, so doing it twice changes nothing.
    """
    edits: Dict[int, List[str]] = {}
    for section in document.sections:
        family = _family(section, switch.families)
        if family is not None:
            edits.update(_section_edits(document, section, family, switch))
    return document.edited(edits) if edits else document


def _section_edits(document: Document, section: Section, family: Family, switch: Switch) -> Dict[int, List[str]]:
    tree = _tree_name(document, section, family)
    edits: Dict[int, List[str]] = {}
    urls = [option for option in section.options if option.key in _URL_KEYS]
    if tree:
        new = ['baseurl=' + vetted_url(switch.repo_url, family, tree)]
        if switch.ca_file and not section.value('sslcacert'):
            new.append('sslcacert=' + switch.ca_file)
        for option in urls:
            edits.update(_taken_out(document, option, new if option is urls[0] else []))
    else:
        for option in urls:
            edits.update(_changed(document, option, _pinned(option.value)))
    name = section.option('name')
    if name:
        edits.update(_changed(document, name, _RELEASE.sub(RELEASE_VARIABLE, name.value)))
    if is_enabled(section) and (not tree or (switch.served is not None and tree not in switch.served)):
        _disable(document, section, urls[0], edits)
    return edits


def _pinned(value: str) -> str:
    """URLs of a mirror that stays, on the pinned release instead of the newest."""
    urls = value.split()
    pinned = [_RELEASE.sub(RELEASE_VARIABLE, url) if _RELEASE.search(url) or RELEASE_VARIABLE in url
              else _FIXED_RELEASE.sub(RELEASE_VARIABLE, url, count=1) for url in urls]
    return value if pinned == urls else ' '.join(pinned)


def _changed(document: Document, option: Option, value: str) -> Dict[int, List[str]]:
    if value == option.value:
        return {}
    return _taken_out(document, option, ['{}={}'.format(option.key, value.replace('\n', ' '))])


def _taken_out(document: Document, option: Option, new: Sequence[str]) -> Dict[int, List[str]]:
    """Put an option's lines out of service; the lines of `new` come in their place.

    They stand first, so that a last line without an end stays the last one and the inverse is exact.
    """
    lines = document.lines[option.start:option.end]
    end = inifile.line_end(lines[0]) or '\n'
    edits = {option.start + offset: [REMOVED + line] for offset, line in enumerate(lines)}
    added = [text for line in new for text in (ADDED + end, line + end)]
    edits[option.start] = added + edits[option.start]
    return edits


def _disable(document: Document, section: Section, url: Option, edits: Dict[int, List[str]]) -> None:
    """Add `enabled=0`; where nothing was said, before the section's URL: an option's line goes on with nothing above it."""
    options = [option for option in section.options if option.key == 'enabled']
    for option in options:
        edits.update(_taken_out(document, option, ['enabled=0'] if option is options[-1] else []))
    if not options:
        line = document.lines[url.start]
        end = inifile.line_end(line) or '\n'
        edits[url.start] = [ADDED + end, 'enabled=0' + end] + edits.get(url.start, [line])


def held(document: Document, prefix: str, packages: Sequence[str], names: Sequence[str] = ()) -> Document:
    """The document with packages excluded in the sections whose addresses begin so, and in those of `names`.

    Where that is so already, nothing changes. dnf adds up its two spellings (tried): so the administrator's own excludes stay as
    they are, unless he uses both.
    """
    edits: Dict[int, Sequence[str]] = {}
    for section in document.sections:
        urls = [option for option in section.options if option.key in _URL_KEYS]
        free = [key for key in _EXCLUDES if section.option(key) is None]
        is_meant = section.name in names or any(url.startswith(prefix) for url in urls_of(section))
        if packages and free and urls and is_meant and not _hold_lines(document, section):
            start = urls[0].start - (document.lines[urls[0].start - 1].rstrip('\r\n') == ADDED)
            end = inifile.line_end(document.lines[start]) or '\n'
            edits[start] = [ADDED + end, '{}={}{}'.format(free[0], ' '.join(packages), end), document.lines[start]]
    return document.edited(edits)


def unheld(document: Document) -> Document:
    """The inverse of `held`."""
    return document.edited({line: () for section in document.sections for number in _hold_lines(document, section)
                            for line in (number, number + 1)})


def holding(document: Document) -> List[str]:
    """The sections in which `held` has excluded packages."""
    return [section.name for section in document.sections if _hold_lines(document, section)]


def _hold_lines(document: Document, section: Section) -> List[int]:
    """Where our lines with excluded packages are: the number of the line above each."""
    return [number for number in range(section.start, section.end - 1) if document.lines[number].rstrip('\r\n') == ADDED
            and document.lines[number + 1].startswith(tuple(key + '=' for key in _EXCLUDES))]


def unpinnable(document: Document, families: Sequence[Family]) -> List[Tuple[int, str]]:
    """Lines (from 1) whose URL would stay live and names no release at all, so that nothing holds it on one."""
    found = []
    for section in document.sections:
        family = _family(section, families)
        if family is None or _tree_name(document, section, family):
            continue
        found += [(option.start + 1, option.value) for option in section.options if option.key in _URL_KEYS
                  and not all(RELEASE_VARIABLE in url for url in _pinned(option.value).split())]
    return found


def is_ours(document: Document) -> bool:
    """Whether the stamp of a switch, or the head of our own file, is in the document."""
    return is_own_file(document) or any(line.startswith((REMOVED, ADDED)) for line in document.lines)


def is_own_file(document: Document) -> bool:
    """Whether this is the file with the vendor's own repositories, by whatever name."""
    return any(line.startswith(OWN_HEAD) for line in _head(document))


def added(document: Document) -> Set[str]:
    """The options that stand in the document as added by us, each with the lines that its value goes on in."""
    return {mark.partition('\n')[2] for mark in _marks_of(document.lines) if _is_added(mark.partition('\n')[0])}


def with_vendors_address(document: Document, ours: Document) -> List[str]:
    """Sections with a live address that needs a variable of the registration's, or at the host that `ours` shows the token."""
    hosts = {_host(url) for section in ours.sections for url in urls_of(section) if TOKEN_VARIABLE in url}
    return [section.name for section in document.sections
            if any(_host(url) in hosts or re.search(r'\$\{?tuxcare_', url) for url in urls_of(section))]


def changed_marks(ours: Document, now: Document) -> List[str]:
    """Sections in which our lines are not as in `ours`: edited, whatever the section is called now, or taken out of it.

    A section that was removed as a whole took its lines with it. Lines above the first section are of the section ''.
    """
    before, after = dict(_marks(ours)), _marks(now)
    there = {name for name, _ in after}
    # What a section may have beside its own: lines of one whose header is gone.
    loose = Counter(mark for name, marks in before.items() if name not in there for mark in marks)
    whole = {name for name, marks in after if name in before and not Counter(before[name]) - Counter(marks)}
    changed = [name for name, marks in after if (
        Counter(marks) - Counter(before[name]) - loose or name not in whole if name in before
        else marks and marks not in before.values())]
    return list(dict.fromkeys(changed))


def is_replaced(ours: Document, now: Document) -> bool:
    """Whether another file stands in the place of ours (a package's, `.rpmnew`): no line of ours, and URLs of its own."""
    marked = {name for name, marks in _marks(ours) if marks}
    return not is_ours(now) and RELEASE_VARIABLE not in now.render() and all(
        urls_of(section) for section in now.sections if section.name in marked)


def _marks(document: Document) -> List[Tuple[str, List[str]]]:
    """For each section: the options that we put out of service, and those that we added."""
    return [(name, sorted(_marks_of(document.lines[start:end]))) for name, start, end in _areas(document)]


def _marks_of(lines: Sequence[str]) -> List[str]:
    parts = (part for part in _parts(lines) if _is_added(part[0]) or _is_removed(part[0]))
    return ['\n'.join(line.rstrip('\r\n') for line in part) for part in parts]


def _is_added(line: str) -> bool:
    return line.rstrip('\r\n') == ADDED


def _is_removed(line: str) -> bool:
    return line.startswith(REMOVED)


def _parts(lines: Sequence[str]) -> Iterator[Sequence[str]]:
    """The lines one by one, but for ours: a mark with its option, and an option with the lines that its value goes on in.

    A line that somebody has put below an added one to go on with its value is an edit of that value.
    """
    start = 0
    while start < len(lines):
        end = start + 1
        if _is_added(lines[start]) and inifile.is_option(''.join(lines[end:end + 1])):
            end = _end_of_value(lines, end + 1, '')
        elif _is_removed(lines[start]):
            end = _end_of_value(lines, end, REMOVED)
        yield lines[start:end]
        start = end


def _end_of_value(lines: Sequence[str], number: int, mark: str) -> int:
    while number < len(lines) and lines[number].startswith(mark) and inifile.goes_on(lines[number][len(mark):]):
        number += 1
    return number


def _areas(document: Document) -> List[Tuple[str, int, int]]:
    """Name, first line and end of each section, and of what stands above them."""
    return [('', 0, len(_head(document)))] + [(section.name, section.start, section.end) for section in document.sections]


def _head(document: Document) -> Sequence[str]:
    """What stands above the first section."""
    return document.lines[:document.sections[0].start] if document.sections else document.lines


def with_sections_of(document: Document, other: Document, names: Sequence[str]) -> Document:
    """The document with the sections named as they are in another one; what that one does not have stays."""
    theirs = {section.name: other.lines[section.start:section.end] for section in other.sections}
    edits: Dict[int, Sequence[str]] = {}
    for section in document.sections:
        if section.name in names and section.name in theirs:
            edits.update(dict.fromkeys(range(section.start, section.end), ()))
            edits[section.start] = _fitted(theirs[section.name], document, section)
    return document.edited(edits)


def _fitted(lines: Sequence[str], document: Document, section: Section) -> List[str]:
    """Lines of another document in the place of a section: a byte order mark stands first, and only the last line has no end."""
    mark = inifile.BYTE_ORDER_MARK
    fitted = [line.lstrip(mark) for line in lines]
    if section.start == 0 and document.lines[0].startswith(mark):
        fitted[0] = mark + fitted[0]
    if section.end < len(document.lines) and not inifile.line_end(fitted[-1]):
        fitted[-1] += inifile.line_end(document.lines[section.start]) or '\n'
    return fitted


def without_marks(document: Document, names: Sequence[str]) -> Document:
    """The document with what is live in the sections named, without our marks and the lines that we put out of service."""
    edits: Dict[int, Sequence[str]] = {
        number: () for name, start, end in _areas(document) if name in names for number in range(start, end)
        if _is_removed(document.lines[number]) or _is_added(document.lines[number])}
    return document.edited(edits)


def reverted(document: Document) -> Document:
    """The inverse of `switched`: our lines go, the lines that we put out of service come back, the rest stays as it is.

    A line that would mean nothing where it comes back (the one that it went on with is gone) comes back as a comment.
    """
    kept: List[str] = []
    for part in _parts(document.lines):
        if not _is_added(part[0]):
            kept += [line[len(REMOVED):] if _is_removed(line) else line for line in part]
    found = inifile.parse(''.join(kept))
    return found if document.junk else found.edited({number: ['#' + found.lines[number]] for number in found.junk})
