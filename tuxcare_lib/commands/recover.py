# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare recover`: undo what was cut off. Every other changing verb does this by itself before it starts."""

from tuxcare_lib import journal, lock
from tuxcare_lib.commands import Context
from tuxcare_lib.model import Plan, Report
from tuxcare_lib.report import plan_report


def run(context: Context) -> Report:
    """Undo an open operation. Raises RecoveryError where the way back fails as well."""
    if context.options.flag('dry_run'):
        changes = journal.pending(context.root) if journal.is_open(context.root) else []
        return plan_report('recover', Plan(changes=tuple(changes)))
    with lock.held(context.root, context.wait, context.console.warn):
        journal.sweep(context.root)
        verb = journal.undo(context.root) if journal.is_open(context.root) else None
    line = 'Nothing was cut off.' if verb is None else '`{}` was cut off; its changes were undone.'.format(verb)
    return Report((line,), {'command': 'recover', 'exit_status': 0, 'changed': verb is not None, 'undone': verb})
