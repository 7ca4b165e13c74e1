# SPDX-License-Identifier: Apache-2.0
"""The architecture, held by a walk over the syntax trees: who may import whom, and what no module may do."""

import ast
from pathlib import Path
from typing import Iterator, List, Set, Tuple

import pytest

from tests.unit.samples import PROJECT

# Lowest first. A module imports modules of lower layers only; a new module has to be given its place here.
LAYERS = (
    ('__init__', 'messages', 'errors', 'model'),
    ('inifile', 'images', 'licence', 'luks', 'ssh', 'rootfs', 'pin', 'hold', 'cli', 'console', 'transport', 'keyring'),
    ('host', 'schema', 'repofile', 'rpmdb', 'lock', 'witness', 'preflight'),
    ('catalogue', 'settings', 'registration', 'sealing'),
    ('policy', 'enrolment', 'facts', 'fips', 'configuration'),
    ('planner', 'executor', 'instance', 'proof', 'seat'),
    ('report', 'boot', 'restoration', 'audit', 'circumstances'),
    ('journal', 'evidence'),
    ('commands',),
    ('commands.check', 'commands.seal'),
    ('commands.register', 'commands.unregister', 'commands.status', 'commands.release', 'commands.fips', 'commands.fips_status',
     'commands.fips_report', 'commands.repos', 'commands.recover'),
    ('commands.uninstall',),
    ('commands.fips_disable',),
    ('standalone', 'adapter'),
    ('adapter.sight', 'adapter.output', 'adapter.packages', 'adapter.cache', 'adapter.hold'),
    ('adapter.guard',),
    ('adapter.aftermath', 'adapter.verb'),
)
LAYER = {name: number for number, layer in enumerate(LAYERS) for name in layer}
PURE = ('model', 'hold', 'inifile', 'repofile', 'pin', 'planner', 'restoration', 'enrolment', 'fips', 'sealing', 'proof', 'audit',
        'instance', 'preflight', 'luks', 'ssh', 'cli', 'catalogue', 'schema', 'settings', 'policy',
        'licence', 'registration', 'report', 'host', 'images', 'messages', 'errors')
WORLD = {'os', 'io', 'subprocess', 'socket', 'requests', 'dnf', 'rpm', 'gnupg', 'tempfile', 'pathlib', 'shutil', 'sys',
         'time', 'datetime', 'random', 'platform', 'libdnf', 'hawkey', 'glob', 'logging'}
# Who may import a package that costs time, or that ties the library to a platform.
ONLY_IN = {'requests': {'transport'}, 'rpm': {'rpmdb'}, 'gnupg': {'keyring'}, 'subprocess': {'executor'},
           'dnf': {'adapter.guard', 'adapter.hold', 'adapter.verb', 'adapter.packages', 'adapter.cache', 'plugin', 'sentinel'},
           'libdnf': {'plugin', 'adapter.guard', 'adapter.verb', 'adapter.packages'},
           'hawkey': {'adapter.guard', 'adapter.sight', 'adapter.hold'}, 'tempfile': {'keyring'}, 'socket': set()}
# A key file that the user names, dnf's own configuration, a private keyring, /proc, standard output, and what the guard
# reads without the library: never a change of a file of the host's own.
MAY_OPEN = {'commands.register', 'configuration', 'witness', 'rpmdb', 'adapter.output', 'keyring', 'lock', 'plugin'}
# The cache lies beside dnf's own and is made anew when it is lost.
WRITERS = {'rootfs', 'keyring', 'witness'}
WRITING = {'rename', 'replace', 'unlink', 'remove', 'rmdir', 'mkdir', 'makedirs', 'chmod', 'fchmod', 'chown', 'fchown',
           'setxattr', 'symlink', 'link', 'utime', 'truncate'}


def _name(path: Path) -> str:
    if path.parent.name == 'dnf-plugins':
        return {'tuxcare': 'plugin', 'tuxcare_sentinel': 'sentinel'}[path.stem]
    parts = path.relative_to(PROJECT / 'tuxcare_lib').with_suffix('').parts
    return '.'.join(part for part in parts if part != '__init__') or '__init__'


FILES = sorted((PROJECT / 'tuxcare_lib').rglob('*.py')) + sorted((PROJECT / 'dnf-plugins').glob('*.py'))
TREES = [(_name(path), ast.parse(path.read_text(encoding='utf-8'))) for path in FILES]
LIBRARY = [(name, tree) for name, tree in TREES if name not in ('plugin', 'sentinel')]


def _imports(tree: ast.AST) -> Iterator[Tuple[str, List[str]]]:
    """Each import, inside functions too: the module, and the names taken out of it. What only mypy sees is none."""
    for node in _running(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, []
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, 'a relative import hides its layer'
            yield node.module or '', [alias.name for alias in node.names]


def _running(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id in ('MYPY', 'TYPE_CHECKING'):
            continue
        yield node
        yield from _running(node)


def _packages(tree: ast.AST) -> Set[str]:
    return {module.split('.')[0] for module, _ in _imports(tree)}


def _ours(tree: ast.AST) -> Set[str]:
    """Modules of the library that are imported; a name of a package that is no module stands for the package itself."""
    found = set()
    for module, names in _imports(tree):
        if module.split('.')[0] != 'tuxcare_lib':
            continue
        inside = module[len('tuxcare_lib.'):]
        for name in names or ['']:
            full = '.'.join(part for part in (inside, name) if part)
            found.add(full if full in LAYER else inside or '__init__')
    return found


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
        return '{}.{}'.format(function.value.id, function.attr)
    return function.id if isinstance(function, ast.Name) else ''


def test_every_module_has_its_layer_and_every_layer_its_module() -> None:
    assert {name for name, _ in LIBRARY} == set(LAYER)


@pytest.mark.parametrize('name, tree', LIBRARY, ids=[name for name, _ in LIBRARY])
def test_imports_lower_layers_only(name: str, tree: ast.AST) -> None:
    upward = {other for other in _ours(tree) if LAYER[other] >= LAYER[name]}
    assert upward - {name.rpartition('.')[0]} == set()


@pytest.mark.parametrize('name', PURE)
def test_pure_modules_import_nothing_of_the_world(name: str) -> None:
    assert _packages(dict(TREES)[name]) & WORLD == set()


@pytest.mark.parametrize('name', PURE)
def test_pure_modules_import_pure_modules_only(name: str) -> None:
    assert _ours(dict(TREES)[name]) <= set(PURE)


@pytest.mark.parametrize('package, allowed', sorted(ONLY_IN.items()), ids=sorted(ONLY_IN))
def test_a_package_is_imported_only_where_it_belongs(package: str, allowed: Set[str]) -> None:
    assert {name for name, tree in TREES if package in _packages(tree)} - allowed == set()


def test_nothing_costly_is_imported_when_the_plugin_is_loaded() -> None:
    top = list(ast.iter_child_nodes(dict(TREES)['plugin']))
    loaded = set().union(*(_packages(ast.Module(body=[node])) for node in top
                           if isinstance(node, (ast.Import, ast.ImportFrom))))
    assert loaded <= {'dnf', 'libdnf', 'logging', 'os', 'sys', 'typing'}


def test_files_are_opened_only_where_allowed() -> None:
    opening = {name for name, tree in TREES for call in _calls(tree)
               if _called(call) in ('open', 'io.open', 'os.fdopen', 'codecs.open')}
    assert opening - MAY_OPEN == set()


def test_only_the_root_writes_files() -> None:
    writing = {name for name, tree in TREES for call in _calls(tree)
               if _called(call) in {'os.' + verb for verb in WRITING}}
    assert writing - WRITERS == set()


@pytest.mark.parametrize('banned', ['print', 'sys.exit', 'exit', 'quit', 'os._exit', 'eval', 'exec', 'os.system'])
def test_no_module_calls(banned: str) -> None:
    allowed = ['adapter.output'] if banned == 'os._exit' else []  # at the very end, where nothing else sets the status
    assert [name for name, tree in TREES for call in _calls(tree) if _called(call) == banned] == allowed


def test_no_module_raises_system_exit() -> None:
    assert [name for name, tree in TREES for node in ast.walk(tree)
            if isinstance(node, ast.Name) and node.id == 'SystemExit'] == []


def _is_broad(handler: ast.ExceptHandler) -> bool:
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(kind is None or (isinstance(kind, ast.Name) and kind.id in ('Exception', 'BaseException')) for kind in kinds)


def test_two_broad_excepts_in_the_whole_product_and_dnf_loads_both() -> None:
    """What fails closed has to catch whatever it is; anywhere else a broad except hides a mistake."""
    broad = [name for name, tree in TREES for node in ast.walk(tree)
             if isinstance(node, ast.ExceptHandler) and _is_broad(node)]
    assert broad == ['plugin', 'sentinel']


def test_no_module_keeps_state() -> None:
    assert [name for name, tree in TREES for node in ast.walk(tree) if isinstance(node, ast.Global)] == []


def _last_line(node: ast.AST) -> int:
    return max(getattr(inner, 'lineno', 0) for inner in ast.walk(node))


def test_no_function_is_longer_than_fifty_lines() -> None:
    functions = [(name, node.name, _last_line(node) - node.lineno + 1) for name, tree in TREES for node in ast.walk(tree)
                 if isinstance(node, ast.FunctionDef)]
    assert [found for found in functions if found[2] > 50] == []


@pytest.mark.parametrize('path', FILES, ids=[name for name, _ in TREES])
def test_no_file_is_longer_than_four_hundred_lines(path: Path) -> None:
    assert len(path.read_text(encoding='utf-8').split('\n')) <= 401


@pytest.mark.parametrize('path', FILES, ids=[name for name, _ in TREES])
def test_each_file_says_its_licence_and_what_it_is(path: Path) -> None:
    text = path.read_text(encoding='utf-8')
    assert text.startswith('# SPDX-License-Identifier: Apache-2.0\n')
    assert ast.get_docstring(ast.parse(text))
