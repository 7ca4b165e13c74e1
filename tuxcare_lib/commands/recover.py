# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare recover`: finish or undo what was cut off, then put back what is missing or damaged of a registration."""

from typing import Callable, List, Sequence, Tuple

from tuxcare_lib import boot, facts as gathering, fips, journal, lock, messages, restoration
from tuxcare_lib.commands import Context, interruptible, packages_have_begun, settled
from tuxcare_lib.errors import DeclinedError, RecoveryError, TuxcareError
from tuxcare_lib.host import BEFORE, FIPS_STATE, MARKER, OWN_FILES, REGISTRATION, RELEASEVER, SEAT, TOKEN, TUXCARE_REPO, Facts
from tuxcare_lib.journal import Open
from tuxcare_lib.model import Change, Plan, Report
from tuxcare_lib.report import plan_report


def run(context: Context) -> Report:
    """Raises RecoveryError where the way back fails as well, StateError where nothing whole is left to restore from."""
    if context.options.flag('dry_run'):
        return plan_report('recover', _plan(context))
    with lock.held(context.root, context.wait, context.console.warn), interruptible():
        lines = settled(context, context.console.say, intents=True)
        cleared: List[str] = []
        try:
            _clear(context, cleared)
            changes, notes = _mended(context)
            if changes:
                journal.apply(context.root, 'dnf tuxcare recover', changes)
        except TuxcareError as error:
            if not cleared:
                raise
            raise RecoveryError('What stood in its place may be gone: {}. {}'.format(', '.join(cleared), error.message),
                                error.remedy)
        is_held, commands = _next_boot(context)
        if is_held:
            boot.run(context.root, commands, context.console.say)
            now = boot.read(context.root)
            notes.append((messages.KEPT if fips.is_kept(now) else messages.NOT_KEPT).format(kernel=now.default_kernel))
    restored = sorted(change.path for change in changes if change.path in OWN_FILES)
    report = ['Removed what stood in its place: {}'.format(path) for path in cleared]
    report += ['Put back: {}'.format(path) for path in restored] + notes
    if not report and not lines:
        report = ['Nothing was cut off, and nothing is missing.']
    return Report(tuple(report), {
        'command': 'recover', 'exit_status': 0, 'changed': bool(lines or cleared or restored or commands), 'settled': lines,
        'restored': restored, 'notes': notes})


def _clear(context: Context, cleared: List[str]) -> None:
    """Make room for our files; `cleared` has each path from before its place is touched, and keeps those that were.

    Where no record of ours stands, or stood, in its place, these are somebody else's.
    """
    if not any(context.root.kind(path) or context.root.is_link(path) for path in (BEFORE, REGISTRATION)):
        return
    for path in (TOKEN, RELEASEVER, MARKER, TUXCARE_REPO, BEFORE, REGISTRATION):
        cleared.append(path)
        if not context.root.clear(path):
            cleared.remove(path)


def packages_are_half(context: Context) -> bool:
    """Whether an operation was cut off in dnf's transaction, so that it takes another one to end it."""
    if not journal.is_open(context.root):
        return False
    found = journal.opened(context.root)
    return not found.work.is_done and packages_have_begun(context.root, found)


def dry_run(found: Open, transaction: Sequence[str], forward: bool) -> Report:
    """What would be done with packages; `transaction` has them as dnf resolved it."""
    words = 'finished' if forward else 'taken back'
    return plan_report('recover', Plan(packages=tuple(transaction), notes=(
        'The packages of `{}` were cut off half way; they are {}.'.format(found.verb, words),)))


def carry_out(context: Context, found: Open, forward: bool, transaction: Callable[[], None]) -> None:
    """The packages of an operation that was cut off, finished or taken back; what follows is `run`'s.

    Raises RecoveryError where the transaction fails, or is declined: then it is cut off as before.
    """
    before = found.work.boot
    try:
        if not forward and before and context.root.kind(before.default_kernel) == 'file':
            boot.restore(context.root, before, context.console.say)  # no kernel goes while it is the default
        transaction()
    except TuxcareError as error:
        remedy = 'Run `dnf -y tuxcare recover`.' if isinstance(error, DeclinedError) else messages.RECOVER_HINT
        raise RecoveryError('The packages of `{}` are installed in part: {}'.format(found.verb, error.message), remedy)
    if forward:
        journal.packages_are_done(context.root)


def _plan(context: Context) -> Plan:
    give_back = () if context.options.flag('local') else ('POST ' + context.settings.unregister_url,)
    found = journal.opened(context.root) if journal.is_open(context.root) else None
    if found and found.forward:
        return Plan(give_back, notes=('`dnf tuxcare unregister` was cut off; it is finished: the host is not held any more.',))
    owed = give_back if context.root.kind(SEAT) else ()
    pending = journal.pending(context.root) if found else []
    if pending:
        return Plan(owed, tuple(pending))
    changes, notes = _mended(context)
    return Plan(owed, tuple(changes), commands=_next_boot(context)[1], notes=tuple(notes))


def _next_boot(context: Context) -> Tuple[bool, Tuple[Tuple[str, ...], ...]]:
    """Whether this host is held in FIPS mode and the next boot is not in it; and what puts that right, if anything does.

    So it is after dnf was killed in a transaction that brought a later FIPS kernel. Where another kernel was chosen and runs, it
    stays the default.
    """
    data = context.root.read(FIPS_STATE) if context.root.kind(REGISTRATION) else None
    now = boot.read(context.root)
    if data is None or fips.leaving(data) or not now.default_kernel or fips.is_kept(now):
        return False, ()
    return True, boot.kept(context.root, now) if now.mode_on or fips.is_fips_image(now.default_kernel) else ()


def _mended(context: Context) -> Tuple[List[Change], List[str]]:
    facts = gathering.gather(context.root, context.architecture)
    return restoration.mended(facts, context.catalogue, context.settings) if _is_ours(facts) else ([], [])


def _is_ours(facts: Facts) -> bool:
    return facts.registration is not None or bool(facts.damage)
