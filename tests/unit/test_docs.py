# SPDX-License-Identifier: Apache-2.0
"""The documents say what the product does: help texts, keys, exit statuses, JSON schemas, paths and the pin's examples."""
import json
import os
import re
from typing import Any, Dict, Iterator, List, Set, Tuple, Type

import pytest

from tuxcare_lib import catalogue, cli, errors, host, pin, policy, preflight, settings
from tuxcare_lib.model import Release
from tuxcare_lib.schema import Key

PROJECT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DOCS = os.path.join(PROJECT, 'docs')
SCHEMAS = os.path.join(DOCS, 'json-schema')
# The whole list of DESIGN 3, those of dnf among them.
STATUSES = {'0', '1', '2', '3', '4', '5', '200'}
Schema = Dict[str, Dict[str, Key]]


def text(name: str) -> str:
    with open(os.path.join(DOCS, name), encoding='utf-8') as stream:
        return stream.read()


def chapters(document: str, level: int = 2) -> Dict[str, str]:
    """Title → body of the headings of one level."""
    parts = re.split('^{} (.+)$'.format('#' * level), document, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def rows(part: str) -> List[List[str]]:
    """The cells of a part's table rows, without heads and rules."""
    lines = part.split('\n')
    found = [line for line, above in zip(lines[1:], lines) if line.startswith('| ') and above.startswith('|')]
    return [[cell.strip() for cell in re.split(r'(?<!\\)\|', line.strip().strip('|'))] for line in found]


def code(cell: str) -> str:
    """What a cell says in backticks; empty where it says nothing so."""
    match = re.match('`([^`]*)`\\Z', cell)
    return match.group(1) if match else ''


def shipped() -> catalogue.Catalogue:
    path = os.path.join(PROJECT, 'conf', 'catalogue.conf')
    with open(path, encoding='utf-8') as stream:
        return catalogue.read([(path, stream.read())])


# --- commands.md --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', [None] + [verb.name for verb in cli.VERBS], ids=str)
def test_help_stands_verbatim(name: Any) -> None:
    body = text('commands.md') if name is None else chapters(text('commands.md'))[name]
    wanted = '```\n' + cli.help_text(name) + '```\n'
    assert wanted in body, 'docs/commands.md has to hold:\n' + wanted


@pytest.mark.parametrize('verb', cli.VERBS, ids=lambda verb: verb.name)
def test_verb_is_described(verb: cli.Verb) -> None:
    body = chapters(text('commands.md'))[verb.name]
    assert 'Exit status: 0' in body
    assert '```\ndnf ' in body
    assert 'Reserved' not in body
    for word in verb.words:
        assert re.search(r'^dnf .*tuxcare {} {}\b'.format(verb.name, word), body, re.M), 'no example of ' + word


def test_no_verb_too_many_is_described() -> None:
    prose = {'What holds for every verb', 'Not there yet'}
    assert set(chapters(text('commands.md'))) - prose == {verb.name for verb in cli.VERBS}


def test_planned_verbs_do_not_exist() -> None:
    for name in re.findall('`([a-z]+)`', chapters(text('commands.md'))['Not there yet']):
        assert cli.find(name) is None, name + ' exists by now'


# --- configuration.md and catalogue.md ----------------------------------------------------------------------------


def described(name: str, kind: str) -> List[List[str]]:
    """The rows of the section's chapter."""
    found = [body for title, body in chapters(text(name)).items() if re.match(r'\[{}[\] ]'.format(kind), title)]
    assert len(found) == 1, '{} needs one chapter [{}]'.format(name, kind)
    return rows(found[0])


@pytest.mark.parametrize('name, schema', [('configuration.md', settings.SCHEMA), ('catalogue.md', catalogue.SCHEMA)],
                         ids=['configuration', 'catalogue'])
def test_every_key_is_described_and_nothing_else(name: str, schema: Schema) -> None:
    kinds = {match.group(1) for match in re.finditer(r'^## \[(\w+)', text(name), re.M)}
    assert kinds == set(schema)
    for kind in schema:
        keys = [code(row[0]) for row in described(name, kind)]
        assert sorted(keys) == sorted(schema[kind]), kind


def test_defaults_of_the_configuration() -> None:
    defaults = shipped().service
    for kind, keys in settings.SCHEMA.items():
        for name, default, _, _ in described('configuration.md', kind):
            value = defaults.get(code(name), keys[code(name)].default)
            shown = str(int(value)) if isinstance(value, (bool, int)) else str(value or '')
            assert (code(default) or default.replace('empty', '')) == shown, name


def test_needed_keys_of_the_catalogue() -> None:
    for kind, keys in catalogue.SCHEMA.items():
        for name, needed, _, _ in described('catalogue.md', kind):
            assert needed == ('yes' if keys[code(name)].required else 'no'), (kind, name)


def test_arguments_of_the_catalogues_sections() -> None:
    for title in chapters(text('catalogue.md')):
        if title.startswith('['):
            kind, _, arguments = title.strip('[]').partition(' ')
            assert len(arguments.split()) == catalogue._ARGUMENTS.get(kind, 0), title


def test_new_release_of_the_document_is_one() -> None:
    addition = re.search(r'\[release almalinux 9\.6\][^`]*', chapters(text('catalogue.md'))['How to add a release'])
    assert addition is not None
    lines = '\n'.join(line.strip() for line in addition.group(0).split('\n'))
    with open(os.path.join(PROJECT, 'conf', 'catalogue.conf'), encoding='utf-8') as stream:
        read = catalogue.read([('shipped', stream.read()), ('addition', lines)])
    assert Release(9, 6) in [entry.release for entry in read.releases_of('esu')]


def test_example_of_the_configuration_is_valid() -> None:
    example = chapters(text('configuration.md'))['[pin]'].split('```')[1]
    read = settings.read(example.strip(), shipped().service)
    assert len(read.trusted_url) == 2 and read.allow


# --- exit-status.md and the JSON schemas --------------------------------------------------------------------------


def error_classes(top: Type[errors.TuxcareError] = errors.TuxcareError) -> Iterator[Type[errors.TuxcareError]]:
    """The tree as `errors` draws it; what other modules derive for themselves has no code of its own."""
    if top.__module__ == errors.__name__:
        yield top
    for child in top.__subclasses__():
        yield from error_classes(child)


def codes() -> Dict[str, int]:
    return {error.code: error.status for error in error_classes()}


def test_every_exit_status() -> None:
    table = [code(row[0]) for row in rows(text('exit-status.md').split('\n## ')[0])]
    assert len(table) == len(set(table)) and set(table) == STATUSES
    assert {str(status) for status in codes().values()} <= STATUSES


def test_every_code_of_an_error() -> None:
    table = {code(row[0]): int(row[1]) for row in rows(chapters(text('exit-status.md'))['Codes of errors'])}
    assert table == codes()


def load(name: str) -> Dict[str, Any]:
    with open(os.path.join(SCHEMAS, name), encoding='utf-8') as stream:
        loaded: Dict[str, Any] = json.load(stream)
    return loaded


def test_schema_of_errors_knows_every_code() -> None:
    schema = load('error.schema.json')
    assert set(schema['properties']['error']['properties']['code']['enum']) == set(codes())
    assert set(schema['properties']['exit_status']['enum']) == set(codes().values())


def commands() -> Set[str]:
    """What a result's `command` may be, as a file's name."""
    return {'-'.join((verb.name,) + ((word,) if word else ())) for verb in cli.VERBS for word in verb.words or ('',)}


def test_a_schema_for_each_document_and_a_place_in_json_md() -> None:
    names = {name[:-len('.schema.json')] for name in os.listdir(SCHEMAS)}
    assert names == commands() | {'error', 'overview', 'plan', 'status-check'}
    assert set(re.findall(r'\(json-schema/([a-z-]+)\.schema\.json\)', text('json.md'))) == names


@pytest.mark.parametrize('name', sorted(os.listdir(SCHEMAS)))
def test_every_key_of_a_document_is_described(name: str) -> None:
    common, own = text('json.md').split('\n## error')[0], text('json.md')
    for key in load(name)['properties']:
        place = common if key in ('schema', 'command', 'exit_status') else own
        assert re.search(r'`{}[`.]'.format(key), place), '{} of {}'.format(key, name)


def test_every_code_of_a_finding() -> None:
    """The codes as check.py spells them: it has no table of them."""
    with open(os.path.join(PROJECT, 'tuxcare_lib', 'commands', 'check.py'), encoding='utf-8') as stream:
        spelled = set(re.findall(r"(?:Finding|_lost)\('([a-z-]+)'", stream.read()))
    table = {code(row[0]) for row in rows(chapters(text('commands.md'))['status'].split('`status --check`')[1])}
    assert table == spelled and len(spelled) > 10


def test_every_check_of_fips() -> None:
    checks = text('fips.md').partition('\n## Checks\n')[2].partition('\n## ')[0]
    table = [(code(row[0]), row[1]) for row in rows(checks)]
    assert table == [(name, level) for name, level, _ in preflight.CHECKS]


# --- files.md -----------------------------------------------------------------------------------------------------

PATHS = sorted(value for name, value in vars(host).items() if name.isupper() and isinstance(value, str)
               and value != host.VARIABLES)


@pytest.mark.parametrize('path', PATHS + ['/var/lib/tuxcare/journal', '/etc/yum.repos.d/tuxcare.repo.rpmsave'])
def test_every_path_is_told(path: str) -> None:
    assert '`{}`'.format(path) in text('files.md')


# --- pin.md: its examples are run ---------------------------------------------------------------------------------


def rules() -> pin.Rules:
    found = shipped()
    return pin.Rules(policy.make(found, settings.read(None, found.service)), 'almalinux', (9, 2), 'TOKEN')


def table_of(title: str, head: str) -> List[Tuple[str, str]]:
    """First column (in backticks) and second of the table whose head begins so."""
    body = chapters(text('pin.md'))[title]
    found = [(code(row[0]), row[1]) for row in rows(body[body.index(head):])]
    examples = [pair for pair in found if pair[0]]
    assert len(examples) > 5
    return examples


@pytest.mark.parametrize('url, kind', table_of('Repositories', '| address |'))
def test_examples_of_repositories(url: str, kind: str) -> None:
    assert pin.classify([url], rules()) == kind


@pytest.mark.parametrize('release, past', table_of('Packages', '| release of a package |'))
def test_examples_of_releases(release: str, past: str) -> None:
    assert past in ('past', 'not past')
    assert pin.is_past(release, (9, 2)) == (past == 'past')


VERDICTS = [row for row in rows(chapters(text('pin.md'))['Packages'].split('| vendor of what it replaces |')[1]) if len(row) == 6]


@pytest.mark.parametrize('row', VERDICTS, ids='-'.join)
def test_examples_of_verdicts(row: List[str]) -> None:
    kind, name, release, vendor, replaced, verdict = row
    assert verdict in ('in', 'out') and len(VERDICTS) > 15
    package = pin.Package(code(name), '9.4', code(release), vendor or None)
    found = pin.verdict(kind, package, 'site', [replaced] if replaced else [], rules())
    assert (found is None) == (verdict == 'in'), found


def test_all_classes_are_described() -> None:
    found = {row[1] for row in rows(chapters(text('pin.md'))['Repositories']) if len(row) == 3}
    assert found == {pin.TRUSTED, pin.DEBUG, pin.PAST, pin.FOREIGN}


# --- links --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize('name', sorted(name for name in os.listdir(DOCS) if name.endswith('.md')))
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r'\]\(([^)#]+)[^)]*\)', text(name)):
        if '://' not in target:
            assert os.path.exists(os.path.join(DOCS, target)), target
