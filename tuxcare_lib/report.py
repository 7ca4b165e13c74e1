# SPDX-License-Identifier: Apache-2.0
"""What people and programs get to see of plans, results and errors. Pure."""

import json
from typing import Any, Dict, FrozenSet, List, Optional, Sequence, Tuple

from tuxcare_lib import messages, planner
from tuxcare_lib.errors import Check, ConfigurationError, ConflictError, TuxcareError
from tuxcare_lib.host import SIGNING_KEY
from tuxcare_lib.model import Change, Plan, Report

# Grows by addition only; docs/json.md describes it.
SCHEMA = 1


def to_json(document: Dict[str, Any]) -> str:
    """One document, with the number of its schema."""
    return json.dumps(dict(document, schema=SCHEMA), indent=1, sort_keys=True, ensure_ascii=True) + '\n'


def aimed(document: Any, root: str) -> Any:
    """A document in which each sentence names the root along with the command that it tells to run; a diff stays as it is."""
    if isinstance(document, dict):
        return {key: value if key == 'diff' else aimed(value, root) for key, value in document.items()}
    if isinstance(document, (list, tuple)):
        return [aimed(value, root) for value in document]
    return messages.aimed(document, root) if isinstance(document, str) else document


def error_document(error: TuxcareError, verb: str) -> Dict[str, Any]:
    """An error for programs."""
    document: Dict[str, Any] = {'command': verb, 'exit_status': error.status, 'error': {
        'code': error.code, 'message': error.message, 'remedy': error.remedy}}
    if isinstance(error, ConfigurationError):
        document['error']['problems'] = [problem._asdict() for problem in error.problems]
    if isinstance(error, ConflictError):
        document['error']['diff'] = error.diff
    if error.checks:
        document['checks'] = check_documents(error.checks)
    return document


def check_documents(found: Sequence[Check]) -> List[Dict[str, str]]:
    """What a look ahead found, for programs."""
    return [dict(check._asdict()) for check in found]


def check_lines(found: Sequence[Check]) -> Tuple[str, ...]:
    """The same for people: level, what, and below it the remedy; nothing where nothing was found."""
    return table([(check.level, '{}\n{}'.format(check.text, check.remedy)) for check in found]) if found else ()


def plan_report(verb: str, plan: Plan) -> Report:
    """What --dry-run prints."""
    lines: List[str] = []
    lines += ['Request: ' + request for request in plan.requests]
    lines += ['Package: ' + package for package in plan.packages]
    lines += ['Command: ' + ' '.join(command) for command in plan.commands]
    lines += _files(plan.changes)
    lines += list(plan.notes)
    if not (plan.requests or plan.changes or plan.packages or plan.commands):
        lines.append(messages.NOTHING_TO_DO)
    return Report(tuple(lines) + (messages.DRY_RUN,), {
        'command': verb, 'dry_run': True, 'exit_status': 0, 'requests': list(plan.requests),
        'files': [change_document(change) for change in plan.changes], 'packages': list(plan.packages),
        'commands': [list(command) for command in plan.commands], 'notes': list(plan.notes)})


def _files(changes: Sequence[Change]) -> List[str]:
    """Each change; of several files that get and lose the very same lines the first alone whole, since --json has all."""
    lines: List[str] = []
    shown: Dict[FrozenSet[str], str] = {}
    for change in changes:
        shape = frozenset(line for line in (_diff(change) or '').split('\n')[2:] if line.startswith(('+', '-')))
        first = shown.setdefault(shape, change.path) if shape else change.path
        lines += change_lines(change) if first == change.path else [
            'File: {} ({}, the same lines as {})'.format(change.path, _action(change), first)]
    return lines


def change_lines(change: Change) -> List[str]:
    """A file's change as a unified diff; a secret one and our own record only by name."""
    text = _diff(change)
    return text.rstrip('\n').split('\n') if text else ['File: {} ({})'.format(change.path, _action(change))]


def change_document(change: Change) -> Dict[str, Any]:
    """The same for programs."""
    image = change.after or change.before
    return {'path': change.path, 'action': _action(change), 'mode': '{:04o}'.format(image.mode if image else 0),
            'diff': _diff(change)}


def _action(change: Change) -> str:
    return 'create' if change.before is None else 'remove' if change.after is None else 'change'


def _diff(change: Change) -> Optional[str]:
    # A plan does not know the signing key, which the service has.
    if change.secret or change.path == SIGNING_KEY or change.path.endswith('.json'):
        return None
    before, after = (image.data if image else b'' for image in (change.before, change.after))
    return planner.diff(change.path, before, after) or None


def table(rows: Sequence[Tuple[str, str]]) -> Tuple[str, ...]:
    """Two columns, the first as wide as it has to be; a value of several lines is indented under itself."""
    width = max(len(name) for name, _ in rows)
    lines: List[str] = []
    for name, value in rows:
        first, *rest = value.split('\n')
        lines.append('{:<{}}  {}'.format(name, width, first).rstrip())
        lines += [' ' * (width + 2) + line for line in rest]
    return tuple(lines)
