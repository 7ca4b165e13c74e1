# SPDX-License-Identifier: Apache-2.0
"""The command line as data: verbs, options, help, and the secrets in it."""

import argparse
from typing import Any, Dict, List, Optional, Tuple

import pytest

from tuxcare_lib import cli
from tuxcare_lib.errors import UsageError

# The long options of dnf 4.14's own parser.
DNF_OPTIONS = '''advisories advisory allowerasing assumeno assumeyes best bugfix bz bzs cacheonly color comment config cve cves
debuglevel debugsolver destdir disable disableexcludepkgs disableexcludes disableplugin disablerepo downloaddir downloadonly
enable enableplugin enablerepo enhancement errorlevel exclude excludepkgs forcearch help help-cmd installroot newpackage
noautoremove nobest nodocs nogpgcheck noplugins obsoletes quiet randomwait refresh releasever repo repofrompath repoid
rpmverbosity sec-severity secseverity security setopt showduplicates skip-broken verbose version'''.split()
DNF_LETTERS = '46CRbcdehqvxy'


def given(**options: Any) -> Dict[str, object]:
    everything: Dict[str, object] = {option.dest: None if option.metavar else False for option in cli.all_options()}
    everything.update(options)
    return everything


@pytest.mark.parametrize(
    'words, verb',
    [
        ([], None),
        (['register'], 'register'),
        (['status'], 'status'),
        (['fips', 'enable'], 'fips'),
        (['repos', 'revert'], 'repos'),
    ],
)
def test_what_there_is(words: List[str], verb: Optional[str]) -> None:
    found = cli.check(words, given())
    assert (found.verb.name if found.verb else None) == verb
    assert found.words == tuple(words[1:])


@pytest.mark.parametrize(
    'words, options, said',
    [
        (['regster'], {}, "no such verb"),
        (['fips'], {}, 'needs one of: enable'),
        (['fips', 'on'], {}, 'needs one of: enable, disable, status, report'),
        (['fips', 'status', 'x'], {}, 'a word too many'),
        (['fips', 'report', 'x', 'y'], {}, 'a word too many'),
        (['fips', 'status'], {'sign': 'K'}, '`dnf tuxcare fips status` has no option --sign'),
        (['fips', 'enable'], {'sign': 'K'}, '`dnf tuxcare fips enable` has no option --sign'),
        (['repos', 'diff', 'x'], {}, 'a word too many'),
        (['repos'], {}, 'needs one of: diff, switch, revert'),
        (['register', 'ESU-1'], {}, 'takes no further word. A licence key goes into --license-key-file'),
        (['release', '9.2', 'ESU-1'], {}, 'takes no second word'),
        (['status'], {'license_key': 'SECRET'}, 'no option --license-key'),
        (['status'], {'dry_run': True}, 'no option --dry-run'),
        (['unregister'], {'replace': True}, 'no option --replace'),
        ([], {'local': True}, 'no option --local'),
        (['fips', 'status'], {'dry_run': True}, '`dnf tuxcare fips status` has no option --dry-run'),
        (['repos', 'diff'], {'ours': True}, '`dnf tuxcare repos diff` has no option --ours'),
        (['release', '9.2'], {'list': True}, 'either lists'),
        (['recover'], {'pin': '9.2'}, 'no option --pin'),
    ],
)
def test_what_there_is_not(words: List[str], options: Dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        cli.check(words, given(**options))
    assert said in str(caught.value)
    assert caught.value.remedy and caught.value.status == 1
    assert 'SECRET' not in str(caught.value) and 'ESU-1' not in str(caught.value)


@pytest.mark.parametrize('words, options, root', [
    (['fips', 'enable'], {}, True), (['fips', 'status'], {}, False), (['fips', 'report', 'x.html'], {'sign': 'K'}, False),
    (['repos', 'diff'], {}, False), (['repos', 'switch'], {}, True), (['release'], {}, False), (['release', '9.4'], {}, True),
    (['status'], {}, False), (['status'], {'check': True}, True), ([], {}, False)])
def test_who_may(words: List[str], options: Dict[str, Any], root: bool) -> None:
    assert cli.needs_root(cli.check(words, given(**options))) is root


def test_the_command_of_a_report_is_without_its_file() -> None:
    assert cli.check(['fips', 'report', 'x.html'], given()).command == 'fips report'


def test_an_empty_value_counts_as_given() -> None:
    """`-l ''` is an empty key, which is told, and not no key."""
    found = cli.check(['register'], given(license_key=''))
    assert found.value('license_key') == ''
    with pytest.raises(UsageError):
        cli.check(['status'], given(license_key=''))


def test_flags_and_values() -> None:
    found = cli.check(['register'], given(product='esu', dry_run=True))
    assert found.flag('dry_run') and not found.flag('replace') and not found.flag('unheard_of')
    assert found.value('product') == 'esu' and found.value('pin') is None


@pytest.mark.parametrize('verb', cli.VERBS, ids=[verb.name for verb in cli.VERBS])
def test_every_verb_speaks_json_and_every_changing_one_can_be_tried(verb: cli.Verb) -> None:
    dests = [option.dest for option in verb.options]
    assert 'json' in dests
    assert verb.changes or not verb.needs_root
    assert ('dry_run' in dests) == verb.changes
    assert len(dests) == len(set(dests))


@pytest.mark.parametrize('flag', [flag for option in cli.all_options() for flag in option.flags])
def test_no_option_is_one_of_dnfs_or_begins_one(flag: str) -> None:
    if flag.startswith('--'):
        assert [name for name in DNF_OPTIONS if name.startswith(flag[2:])] == []
    else:
        assert flag[1] not in DNF_LETTERS


def test_an_option_is_the_same_everywhere() -> None:
    kinds = {(option.dest, option.flags, option.metavar) for verb in cli.VERBS for option in verb.options}
    assert len(kinds) == len({kind[0] for kind in kinds})


@pytest.mark.parametrize('verb', cli.VERBS, ids=[verb.name for verb in cli.VERBS])
def test_a_verbs_help_has_its_options_and_no_others(verb: cli.Verb) -> None:
    text = cli.help_text(verb.name)
    assert text.startswith('usage: dnf tuxcare ' + verb.name)
    shown = {word.rstrip(',') for line in text.split('\n') if line.startswith('  -') for word in line.split() if word[0] == '-'}
    assert {flag for option in verb.options for flag in option.flags} <= shown
    dests = {option.dest for option in verb.options}
    others = {flag for option in cli.all_options() for flag in option.flags if option.dest not in dests}
    assert not [flag for flag in others if '  ' + flag in text]
    assert all(word in text for word in verb.words)
    assert max(len(line) for line in text.split('\n')) <= 130


@pytest.mark.parametrize('name', [None, 'nonsense'])
def test_without_a_verb_the_help_is_the_list_of_verbs(name: Optional[str]) -> None:
    assert cli.help_text(name) == cli.overview() + '\n'
    assert all('\n  ' + verb.name in cli.overview() and verb.summary in cli.overview() for verb in cli.VERBS)


@pytest.mark.parametrize(
    'arguments, verb',
    [
        (['tuxcare', 'status', '--help'], 'status'),
        (['-y', 'tuxcare', '--json', 'fips', '-h'], 'fips'),
        (['tuxcare', '-h'], None),
        (['status'], None),
        (['status', 'tuxcare'], None),
        ([], None),
    ],
)
def test_the_verb_in_a_raw_command_line(arguments: List[str], verb: Optional[str]) -> None:
    assert cli.verb_in(arguments) == verb


SECRETS = [
    ('-l', 'SECRET'),
    ('-lSECRET',),
    ('-l=SECRET',),
    ('--license-key', 'SECRET'),
    ('--license-key=SECRET',),
    ('--license-ke', 'SECRET'),
    ('--lic=SECRET',),
    ('--li', 'SECRET'),
    ('--l=SECRET',),
    ('-yl', 'SECRET'),
    ('-ylSECRET',),
    ('-qyl', 'SECRET'),
    ('-qyl=SECRET',),
]
# The key where its file is to be named.
FILES = [('--license-key-file', 'SECRET'), ('--license-key-file=SECRET',), ('--license-key-f', 'SECRET')]


@pytest.mark.parametrize('words', SECRETS + FILES, ids=' '.join)
def test_a_key_is_found_however_it_is_joined_or_abbreviated(words: Tuple[str, ...]) -> None:
    """What is found is replaced in dnf's log, which has the raw command line (FACTS 7), a mistaken one too."""
    arguments = ['tuxcare', 'register', *words, '--fips']
    for said in ('Command: dnf ' + ' '.join(arguments) + ' ', 'Extra commands: {!r}'.format(arguments)):
        shown = cli.hidden(said, arguments)
        assert 'SECRET' not in shown and '(hidden)' in shown
        assert shown.startswith(said.partition('register')[0]) and '--fips' in shown


@pytest.mark.parametrize('words', SECRETS, ids=' '.join)
def test_the_ways_to_give_a_key_are_those_of_pythons_parser(words: Tuple[str, ...]) -> None:
    """Those that it takes have to be among those that are found; the others it refuses, after dnf has logged them."""
    parser = argparse.ArgumentParser()
    parser.add_argument('-y', action='store_true')
    parser.add_argument('-q', action='store_true')
    for option in cli.all_options():
        kind: Dict[str, Any] = {} if option.metavar else {'action': 'store_true'}
        parser.add_argument(*option.flags, dest=option.dest, **kind)
    try:
        found = parser.parse_known_args(list(words))[0].license_key
    except SystemExit:
        return
    assert found is None or found.lstrip('=') not in ' '.join(cli.masked(words))


PLAIN = '--license-key-file /root/key|--license-key-file=/root/key|-y --local|--json|-l|--product esu --pin 9.2|--pro esu|-d10|-'


@pytest.mark.parametrize('words', PLAIN.split('|'))
def test_what_is_no_key_is_left_in_the_log(words: str) -> None:
    arguments = ['-yc', '/etc/dnf.conf', '-d10', '--setopt=keepcache=1', '--repo', 'x', 'tuxcare', 'register'] + words.split()
    assert cli.masked(arguments) == arguments


@pytest.mark.parametrize('line', ['repos switch', 'fips enable', 'release 9.4', 'recover --local'])
def test_what_verbs_take_is_left_in_the_log(line: str) -> None:
    assert cli.masked(['tuxcare'] + line.split()) == ['tuxcare'] + line.split()


@pytest.mark.parametrize('line', ['tuxcare SECRET', 'tuxcare register --fips SECRET', 'tuxcare register -- SECRET',
                                  'tuxcare register -y SECRET', 'tuxcare fips SECRET', '-l SECRET tuxcare register',
                                  '-L SECRET tuxcare register', 'tuxcare register -LSECRET', 'tuxcare --licence SECRET',
                                  'tuxcare register --licence-key=SECRET', 'tuxcare --license_key=SECRET=',
                                  'tuxcare register --setopt=license_key=SECRET', '--key SECRET tuxcare', 'tuxcare --key=SECRET',
                                  'tuxcare register --product SECRET', 'tuxcare register --pin=SECRET', 'register -l SECRET',
                                  'TUXCARE_LICENSE_KEY=SECRET tuxcare register', 'tuxcar register --license-key SECRET'])
def test_a_key_in_the_wrong_place_is_hidden(line: str) -> None:
    """It is a mistake, and dnf has it in its log before it is told so."""
    said = 'Command line error: unrecognized arguments: {}. dnf {} '.format(
        next(word for word in line.split() if 'SECRET' in word), line)
    assert 'SECRET' not in cli.hidden(said, line.split())


@pytest.mark.parametrize('key', ['a', '-', 'tuxcare', '(', '\\', "it's", '', '12'])
def test_a_short_or_odd_key_spoils_no_other_word(key: str) -> None:
    said = 'Command: dnf tuxcare register -l {} --json; a-b, tables, e-mail'.format(key)
    shown = cli.hidden(said, ['tuxcare', 'register', '-l', key, '--json'])
    assert shown.endswith('--json; a-b, tables, e-mail') and (' -l (hidden) ' in shown) == bool(key)
    assert cli.hidden(repr([key, 'b']), ['-l', key]) in ("['(hidden)', 'b']", '["(hidden)", \'b\']', "['', 'b']")


@pytest.mark.parametrize('words, command', [(['SECRET'], ''), (['fips', 'SECRET'], 'fips'), (['register', 'SECRET'], 'register')])
def test_a_report_names_known_words_alone(words: List[str], command: str) -> None:
    assert cli.command_of(words) == command
