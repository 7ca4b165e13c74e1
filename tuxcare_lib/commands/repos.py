# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare repos diff|switch|revert`: what registering does to the operating system's repository files, by itself."""

from typing import List, Tuple

from tuxcare_lib import facts as gathering, journal, messages, planner, restoration
from tuxcare_lib.commands import Context, exclusive, intact, side
from tuxcare_lib.errors import DeclinedError, NotRegisteredError
from tuxcare_lib.host import Facts
from tuxcare_lib.model import Change, Plan, Report
from tuxcare_lib.planner import Wish
from tuxcare_lib.report import change_document, change_lines, plan_report

_WARNING = ('On the community\'s mirrors clients without plugins (PackageKit, image builders) are not held on {} any more, '
            'and a move past it cannot be undone.')


def run(context: Context) -> Report:
    """Show or change the repository files."""
    word = context.options.words[0]
    facts = gathering.gather(context.root, context.architecture)
    if word == 'diff':
        return _diff(context, facts)
    intact(facts)
    if facts.registration is None:
        raise NotRegisteredError('This host is not registered.', messages.REGISTER_HINT)
    if context.options.flag('dry_run'):
        return _dry_run(context, facts, word)
    with exclusive(context):
        return _apply(context, gathering.gather(context.root, context.architecture), word)


def _diff(context: Context, facts: Facts) -> Report:
    """What `switch` (or `register`) would change now; and where our lines were edited since, from as they were to as they are."""
    if facts.registration is None:
        host = planner.check_host(facts, context.catalogue, Wish())
        planner.check_repositories(facts, context.catalogue, host.family)
    changes = planner.switch_changes(facts, context.catalogue, context.settings)
    drift = restoration.drift(facts)
    lines = [line for change in changes for line in change_lines(change)]
    for change in drift:
        lines += ['{}: lines of dnf tuxcare were edited since they were written:'.format(change.path)] + change_lines(change)
    return Report(tuple(lines) or (messages.NOTHING_TO_DO,), {
        'command': 'repos diff', 'exit_status': 0, 'files': [change_document(change) for change in changes],
        'drift': [change_document(change) for change in drift]})


def _dry_run(context: Context, facts: Facts, word: str) -> Report:
    changes, notes = _changes(context, facts, word)
    return plan_report('repos ' + word, Plan(changes=tuple(changes), notes=tuple(notes)))


def _changes(context: Context, facts: Facts, word: str) -> Tuple[List[Change], List[str]]:
    """The changes, and what there is to say of them."""
    assert facts.registration is not None
    planner.check_readable(facts)
    if word == 'revert':
        return restoration.reverted_changes(facts, facts.registration, side(context),
                                            planner.unedited(facts, context.catalogue, context.settings))
    switched = planner.switched_again(facts, context.catalogue, context.settings, facts.registration)
    changes, notes = restoration.ours_again(facts, side(context), {change.path for change in switched})
    return changes + switched, notes


def _apply(context: Context, facts: Facts, word: str) -> Report:
    changes, notes = _changes(context, facts, word)
    document = {'command': 'repos ' + word, 'exit_status': 0, 'changed': bool(changes),
                'files': sorted(change.path for change in changes), 'notes': notes}
    if not changes:
        return Report((messages.NOTHING_TO_DO,), document)
    assert facts.registration is not None
    if word == 'revert':
        if not context.console.ask('Go on?', _WARNING.format(facts.registration.pin)):
            raise DeclinedError('Nothing was changed.')
    journal.apply(context.root, 'dnf tuxcare repos ' + word, changes)
    files = [change.path for change in changes if change.path.endswith('.repo')]
    return Report(tuple('Changed {}'.format(path) for path in files) + tuple(notes), document)
