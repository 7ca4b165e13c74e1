# SPDX-License-Identifier: Apache-2.0
"""What becomes of an operating system's repository file, line by line, and how it is taken back."""

from typing import List, Optional, Tuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.sandbox import osfiles
from tests.unit.samples import REAL, families
from tuxcare_lib import inifile, repofile
from tuxcare_lib.inifile import Document
from tuxcare_lib.repofile import Switch

FAMILIES = tuple(families())
REPO_URL = 'https://repo.tuxcare.com'
SWITCH = Switch(REPO_URL, FAMILIES)
VETTED = 'baseurl=https://repo.tuxcare.com/almalinux/$tuxcare_releasever/$tuxcare_token/BaseOS/$basearch/os/'
MIRRORS = 'https://mirrors.almalinux.org/mirrorlist/'
REAL_FILES = sorted(REAL.glob('repos/*/*.repo'))
GENERATED = [
    (version, name, text)
    for version, os_id in (('9.2', 'almalinux'), ('8.10', 'almalinux'), ('9.6', 'rocky'))
    for name, text in sorted(osfiles.repo_files(version, os_id).items())
]


def switched(text: str, **changed: object) -> str:
    return repofile.switched(inifile.parse(text), SWITCH._replace(**changed)).render()


def reverted(text: str) -> str:
    return repofile.reverted(inifile.parse(text)).render()


def only(text: str) -> inifile.Section:
    sections = inifile.parse(text).sections
    assert len(sections) == 1
    return sections[0]


# --- properties -----------------------------------------------------------------------------------------------------

_URLS = [
    'https://mirrors.almalinux.org/mirrorlist/$releasever/baseos',
    'https://mirrors.almalinux.org/mirrorlist/9/appstream-debug',
    'https://repo.almalinux.org/vault/9.2/BaseOS/debug/$basearch/',
    'https://repo.almalinux.org/9/BaseOS/Source/8/',
    'https://repo.almalinux.org/$releasever/debug/9/x',
    'https://dl.rockylinux.org/$contentdir/$releasever/AppStream/$basearch/os/',
    'https://repo.almalinux.org/almalinux/${releasever}/isos/',
    'http://nginx.org/packages/9/',
    'https://[::1',
    'https:///9/',
]
_LINES = [
    '[baseos]',
    '[crb]',
    '[other]',
    '',
    ' ',
    '# comment',
    '#tuxcare',
    '#tuxcare-x',
    '#x',
    ' continued',
    '\tcontinued $releasever',
    '  https://mirrors.almalinux.org/mirrorlist/9/extras',
    'enabled=1',
    'enabled=0',
    'enabled = no',
    'sslcacert=/x',
    'name=AlmaLinux $releasever - BaseOS',
    'name=a$releasever_minor.$releasever',
    'name=',
    'junk',
    'k=v\x0cw',
    '\udcff=1',
    '#baseurl=https://repo.almalinux.org/almalinux/$releasever/BaseOS/$basearch/os/',
] + [key + '=' + url for key in ('baseurl', 'mirrorlist', 'metalink', '# baseurl') for url in _URLS]
_DOCUMENTS = st.builds(
    lambda mark, lines, last: mark + ''.join(line + end for line, end in lines) + last,
    st.sampled_from(['', '\ufeff']),
    st.lists(st.tuples(st.sampled_from(_LINES), st.sampled_from(['\n', '\n', '\r\n'])), max_size=14),
    st.sampled_from(['', 'enabled=1', 'name=AlmaLinux $releasever', _LINES[-1], 'baseurl=' + _URLS[0]]),
)
_SWITCHES = st.builds(
    lambda served, ca_file: SWITCH._replace(served=served, ca_file=ca_file),
    st.sampled_from([None, (), ('BaseOS',)]),
    st.sampled_from(['', '/etc/pki/ca.pem']),
)


@settings(max_examples=400, deadline=None)
@given(_DOCUMENTS, _SWITCHES)
@example('[a]\nname=Alma $releasever\n Linux\nbaseurl=' + _URLS[0] + '\n', SWITCH)
def test_reverting_undoes_switching_for_any_document_without_our_stamp(text: str, switch: Switch) -> None:
    document = inifile.parse(text)
    if not repofile.is_ours(document):
        assert repofile.reverted(repofile.switched(document, switch)).render() == text


@settings(max_examples=400, deadline=None)
@given(_DOCUMENTS, _SWITCHES)
@example('[a]\nbaseurl=https://repo.almalinux.org/$releasever/debug/9/x\n', SWITCH)
@example('[a]\nbaseurl=https://repo.almalinux.org/9/BaseOS/Source/8/\n', SWITCH)
@example('[a]\n continued\nmirrorlist=' + _URLS[1] + '\n', SWITCH)
def test_switching_twice_is_switching_once(text: str, switch: Switch) -> None:
    once = repofile.switched(inifile.parse(text), switch)
    assert repofile.switched(once, switch).render() == once.render()


@settings(max_examples=200, deadline=None)
@given(_DOCUMENTS, _SWITCHES)
@example('[a]\n continued\nmirrorlist=' + _URLS[1] + '\n', SWITCH)
def test_after_switching_every_live_url_of_an_os_is_pinned(text: str, switch: Switch) -> None:
    """DESIGN 4, rule 1a; a URL that names no release is what `unpinnable` is for."""
    document = inifile.parse(text)
    if repofile.unpinnable(document, FAMILIES):
        return
    for tree in repofile.trees(repofile.switched(document, switch), FAMILIES):
        assert all('$tuxcare_releasever' in url for url in tree.urls if 'almalinux.org' in url or 'rockylinux' in url)
        assert not tree.enabled


@given(st.binary(max_size=300))
def test_any_bytes_survive_a_switch_and_its_way_back(data: bytes) -> None:
    document = inifile.parse(inifile.decode(data))
    assert inifile.encode(repofile.switched(document, SWITCH).render()) == data
    if b'#tuxcare' not in data:
        assert inifile.encode(repofile.reverted(document).render()) == data


_MARKED = [mark + line for mark in ('#tuxcare- ', '#tuxcare+\n') for line in _LINES] + ['#tuxcare+']
_EDITED = st.lists(st.sampled_from(_LINES + _MARKED), max_size=14).map(lambda lines: '\n'.join(['[a]', 'k=v'] + lines) + '\n')


@settings(max_examples=1000, deadline=None)
@given(_EDITED)
@example('[a]\n#tuxcare+\nname=x\n (web1)\n#tuxcare- name=y\n')
@example('[a]\n#tuxcare- baseurl=x\n# mine\n#tuxcare-  y\n')
@example('#tuxcare+\n[a]\nk=v\n')
def test_what_can_be_read_can_be_read_after_the_way_back(text: str) -> None:
    document = inifile.parse(text)
    if not document.junk:
        assert repofile.reverted(document).junk == ()


# --- real files -----------------------------------------------------------------------------------------------------


def _community_left(document: Document) -> List[str]:
    return [
        line for line in document.lines if not line.startswith('#') and 'releasever' in line and '$tuxcare_releasever' not in line
    ]


@pytest.mark.parametrize('version, name, text', GENERATED, ids=['{}/{}'.format(*known[:2]) for known in GENERATED])
def test_the_files_of_a_release(version: str, name: str, text: str) -> None:
    after = inifile.parse(switched(text))
    assert after.render() != text
    assert _community_left(after) == []
    assert reverted(after.render()) == text
    before = inifile.parse(text)
    assert [section.name for section in after.sections] == [section.name for section in before.sections]
    for section in after.sections:
        vetted = section.value('baseurl').startswith(REPO_URL)
        debug_or_source = any(word in section.name for word in ('debug', 'source', 'Source'))
        assert vetted != debug_or_source or '$tuxcare_releasever' in section.value('mirrorlist')
        assert not (debug_or_source and (vetted or repofile.is_enabled(section)))


@pytest.mark.skipif(not REAL_FILES, reason='no real files beside the project')
@pytest.mark.parametrize('path', REAL_FILES, ids=['{}/{}'.format(path.parent.name, path.name) for path in REAL_FILES])
def test_real_files_there_and_back(path: 'object') -> None:
    data = path.read_bytes()  # type: ignore[attr-defined]
    document = inifile.parse(inifile.decode(data))
    assert repofile.problems('x', document) == []
    assert repofile.unpinnable(document, FAMILIES) == []
    there = repofile.switched(document, SWITCH)
    assert there.render() != document.render()
    assert _community_left(there) == []
    assert inifile.encode(repofile.reverted(there).render()) == data


@pytest.mark.parametrize(
    'release, section, tree',
    [
        ('9.2', 'baseos', 'BaseOS'),
        ('9.2', 'appstream', 'AppStream'),
        ('9.2', 'crb', 'CRB'),
        ('9.2', 'extras', 'extras'),
        ('9.2', 'highavailability', 'HighAvailability'),
        ('9.2', 'saphana', 'SAPHANA'),
        ('9.2', 'plus', 'plus'),
        ('9.2', 'baseos-debuginfo', None),
        ('9.2', 'crb-source', None),
        ('8.10', 'baseos', 'BaseOS'),
        ('8.10', 'ha', 'HighAvailability'),
        ('8.10', 'powertools', 'PowerTools'),
        ('8.10', 'nfv', 'NFV'),
        ('8.10', 'baseos-source', None),
    ],
)
def test_which_vetted_tree_a_section_stands_for(release: str, section: str, tree: Optional[str]) -> None:
    found = [
        known
        for text in osfiles.repo_files(release).values()
        for known in repofile.trees(inifile.parse(text), FAMILIES)
        if known.section == section
    ]
    assert [known.name for known in found] == [tree]


# --- one section, before and after ----------------------------------------------------------------------------------

TABLE = [
    (
        'mirror-list',
        '[baseos]\nmirrorlist={}$releasever/baseos\nenabled=1\n'.format(MIRRORS),
        '[baseos]\n#tuxcare+\n{}\n#tuxcare- mirrorlist={}$releasever/baseos\nenabled=1\n'.format(VETTED, MIRRORS),
    ),
    (
        'fixed-minor',
        '[x]\nbaseurl=https://repo.almalinux.org/almalinux/9.4/BaseOS/x86_64/os/\n',
        '[x]\n#tuxcare+\n{}\n#tuxcare- baseurl=https://repo.almalinux.org/almalinux/9.4/BaseOS/x86_64/os/\n'.format(VETTED),
    ),
    (
        'two-base-urls',
        '[x]\nbaseurl=https://repo.almalinux.org/9/BaseOS/\n https://vault.almalinux.org/9/BaseOS/\n',
        '[x]\n#tuxcare+\n{}\n#tuxcare- baseurl=https://repo.almalinux.org/9/BaseOS/\n'
        '#tuxcare-  https://vault.almalinux.org/9/BaseOS/\n'.format(VETTED),
    ),
    (
        'name',
        '[x]\nname=Alma $releasever\nmirrorlist={}9/baseos\n'.format(MIRRORS),
        '[x]\n#tuxcare+\nname=Alma $tuxcare_releasever\n#tuxcare- name=Alma $releasever\n'
        '#tuxcare+\n{}\n#tuxcare- mirrorlist={}9/baseos\n'.format(VETTED, MIRRORS),
    ),
    (
        'cr-lf',
        '[baseos]\r\nmirrorlist={}9/baseos\r\n'.format(MIRRORS),
        '[baseos]\r\n#tuxcare+\r\n{}\r\n#tuxcare- mirrorlist={}9/baseos\r\n'.format(VETTED, MIRRORS),
    ),
    (
        'debug-is-pinned-and-disabled',
        '[x]\nbaseurl=https://repo.almalinux.org/vault/9/BaseOS/debug/x/\nenabled=1\n',
        '[x]\n#tuxcare+\nbaseurl=https://repo.almalinux.org/vault/$tuxcare_releasever/BaseOS/debug/x/\n'
        '#tuxcare- baseurl=https://repo.almalinux.org/vault/9/BaseOS/debug/x/\n#tuxcare+\nenabled=0\n#tuxcare- enabled=1\n',
    ),
    (
        'enabled-by-silence',
        '[x]\nmirrorlist={}9/devel\n'.format(MIRRORS),
        '[x]\n#tuxcare+\nenabled=0\n#tuxcare+\nmirrorlist={0}$tuxcare_releasever/devel\n#tuxcare- mirrorlist={0}9/devel\n'.format(
            MIRRORS
        ),
    ),
    (
        'variable-of-major-and-minor',
        '[x]\nbaseurl=https://repo.almalinux.org/${releasever_major}.$releasever_minor/debug/\nenabled=0\n',
        '[x]\n#tuxcare+\nbaseurl=https://repo.almalinux.org/$tuxcare_releasever/debug/\n'
        '#tuxcare- baseurl=https://repo.almalinux.org/${releasever_major}.$releasever_minor/debug/\nenabled=0\n',
    ),
]


@pytest.mark.parametrize('before, after', [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_section_before_and_after(before: str, after: str) -> None:
    assert switched(before) == after
    assert reverted(after) == before


@pytest.mark.parametrize(
    'text',
    [
        pytest.param('[nginx]\nbaseurl=http://nginx.org/packages/centos/$releasever/$basearch/\n', id='third-party'),
        pytest.param('[epel]\nmetalink=https://mirrors.fedoraproject.org/metalink?repo=epel-$releasever\n', id='epel'),
        pytest.param('[baseos]\nbaseurl=https://mirror.example.com/almalinux/9/BaseOS/\n', id='own-mirror-by-an-os-id'),
        pytest.param('[x]\nbaseurl=https://example.com/mirrors.almalinux.org/9/BaseOS/\n', id='host-name-as-a-path'),
        pytest.param('[x]\nbaseurl=https://repo.almalinux.org.example.com/9/BaseOS/\n', id='host-name-as-a-prefix'),
        pytest.param('[x]\n#mirrorlist={}9/baseos\nbaseurl=file:///srv\n'.format(MIRRORS), id='commented-out'),
        pytest.param('[x]\nname=no URL\n', id='no-url'),
    ],
)
def test_what_is_not_ours_is_not_touched(text: str) -> None:
    assert switched(text) == text


@pytest.mark.parametrize('served, enabled', [(None, True), (('BaseOS',), True), ((), False), (('AppStream',), False)])
def test_a_tree_that_does_not_answer_is_disabled(served: Optional[Tuple[str, ...]], enabled: bool) -> None:
    section = only(switched('[b]\nmirrorlist={}9/baseos\nenabled=1\n'.format(MIRRORS), served=served))
    assert repofile.is_enabled(section) is enabled
    assert section.value('baseurl') == VETTED[len('baseurl=') :]


def test_a_disabled_section_stays_disabled() -> None:
    assert only(switched('[b]\nmirrorlist={}9/crb\nenabled=0\n'.format(MIRRORS), served=('CRB',))).value('enabled') == '0'


def test_a_private_authority_is_trusted_there_unless_the_administrator_named_one() -> None:
    text = '[b]\nmirrorlist={}9/baseos\n'.format(MIRRORS)
    assert only(switched(text, ca_file='/etc/ca.pem')).value('sslcacert') == '/etc/ca.pem'
    assert only(switched(text + 'sslcacert=/own\n', ca_file='/etc/ca.pem')).value('sslcacert') == '/own'
    assert reverted(switched(text, ca_file='/etc/ca.pem')) == text


def test_the_stamp_is_one_that_the_plugin_finds() -> None:
    after = switched('[b]\nmirrorlist={}9/baseos\n'.format(MIRRORS))
    assert '\n#tuxcare' in after
    assert repofile.is_ours(inifile.parse(after))
    assert not repofile.is_ours(inifile.parse(reverted(after)))


def test_an_administrators_lines_survive_the_way_back() -> None:
    text = switched('[b]\nmirrorlist={}9/baseos\nenabled=1\n'.format(MIRRORS))
    mine = text.replace('enabled=1\n', 'enabled=1\nexclude=kernel*\n# mine\n')
    assert reverted(mine) == '[b]\nmirrorlist={}9/baseos\nenabled=1\nexclude=kernel*\n# mine\n'.format(MIRRORS)


@pytest.mark.parametrize(
    'above, more',
    [('- BaseOS\n', '  (web1)\n'), ('/os/\n', '\thttps://mirror.example.com/\n'), ('baseos\n', '# mine\n'), ('baseos\n', '\n')],
    ids=['name', 'base-url', 'parted-by-a-comment', 'parted-by-a-blank'],
)
def test_a_line_that_goes_on_with_the_value_of_ours_is_an_edit_of_it(above: str, more: str) -> None:
    ours = switched('[b]\nname=$releasever - BaseOS\nmirrorlist={0}9/baseos\n {0}8/baseos\nenabled=1\n'.format(MIRRORS))
    assert repofile.changed_marks(inifile.parse(ours), inifile.parse(ours.replace(above, above + more, 1))) == ['b']
    assert repofile.changed_marks(inifile.parse(ours), inifile.parse(ours.replace('enabled=1\n', 'enabled=1\n' + more, 1))) == []


@pytest.mark.parametrize(
    'text, line, words',
    [
        ('[a]\nk=v\n[a]\n', 0, '[a] stands here twice'),
        ('[a]\nname=a\0b\n', 2, 'NUL'),
        ('rubbish\n[a]\n', 1, 'neither'),
        ('[a]\n\nrubbish\n', 3, 'neither'),
    ],
    ids=['twice', 'nul', 'top', 'inside'],
)
def test_why_a_file_cannot_be_changed(text: str, line: int, words: str) -> None:
    found = repofile.problems('/x.repo', inifile.parse(text))
    assert [(problem.path, problem.line) for problem in found] == [('/x.repo', line)]
    assert words in found[0].text


@pytest.mark.parametrize(
    'text, lines',
    [
        ('[x]\nbaseurl=https://repo.almalinux.org/latest/debug/\n', [2]),
        ('[x]\nbaseurl=https://repo.almalinux.org/9/debug/\n', []),
        ('[x]\nbaseurl=https://repo.almalinux.org/9/debug/\n https://repo.almalinux.org/latest/debug/\n', [2]),
        ('[x]\nbaseurl=https://example.com/latest/debug/\n', []),
    ],
    ids=['none', 'major', 'one-of-two', 'foreign'],
)
def test_an_os_url_that_nothing_could_pin(text: str, lines: List[int]) -> None:
    assert [line for line, _ in repofile.unpinnable(inifile.parse(text), FAMILIES)] == lines


@pytest.mark.parametrize(
    'value, enabled', [('1', True), ('yes', True), ('True', True), ('0', False), ('No', False), ('FALSE', False), ('off', False)]
)
def test_enabled_as_dnf_takes_it(value: str, enabled: bool) -> None:
    assert repofile.is_enabled(only('[a]\nenabled={}\n'.format(value))) is enabled
