# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare recover`: finish or undo what was cut off, then put back what is missing or damaged of a registration."""

from typing import List

from tuxcare_lib import facts as gathering, journal, lock, restoration
from tuxcare_lib.commands import Context, interruptible, settled
from tuxcare_lib.host import BEFORE, MARKER, REGISTRATION, RELEASEVER, SEAT, TOKEN, TUXCARE_REPO, Facts
from tuxcare_lib.model import Change, Plan, Report
from tuxcare_lib.report import plan_report


def run(context: Context) -> Report:
    """Raises RecoveryError where the way back fails as well, StateError where nothing whole is left to restore from."""
    if context.options.flag('dry_run'):
        return plan_report('recover', _plan(context))
    with lock.held(context.root, context.wait, context.console.warn), interruptible():
        lines = settled(context, context.console.say)
        cleared = [path for path in (TOKEN, RELEASEVER, MARKER, TUXCARE_REPO, BEFORE, REGISTRATION) if context.root.clear(path)]
        changes = _mended(context)
        if changes:
            journal.apply(context.root, 'dnf tuxcare recover', changes)
    restored = sorted(change.path for change in changes)
    report = ['Removed what stood in its place: {}'.format(path) for path in cleared]
    report += ['Put back: {}'.format(path) for path in restored]
    if not report and not lines:
        report = ['Nothing was cut off, and nothing is missing.']
    return Report(tuple(report), {
        'command': 'recover', 'exit_status': 0, 'changed': bool(lines or cleared or restored), 'settled': lines,
        'restored': restored})


def _plan(context: Context) -> Plan:
    give_back = () if context.options.flag('local') else ('POST ' + context.settings.unregister_url,)
    if journal.is_open(context.root) and journal.forward(context.root) is not None:
        return Plan(give_back, notes=('`dnf tuxcare unregister` was cut off; it is finished: the host is not held any more.',))
    owed = give_back if context.root.kind(SEAT) else ()
    pending = journal.pending(context.root) if journal.is_open(context.root) else []
    return Plan(owed, tuple(pending or _mended(context)))


def _mended(context: Context) -> List[Change]:
    facts = gathering.gather(context.root, context.architecture)
    return restoration.mended(facts, context.catalogue, context.settings) if _is_ours(facts) else []


def _is_ours(facts: Facts) -> bool:
    return facts.registration is not None or bool(facts.damage)
