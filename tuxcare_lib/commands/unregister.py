# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare unregister`: the seat given back, then every file as it was before. Packages stay."""

import contextlib
from typing import List, Tuple

from tuxcare_lib import boot, enrolment, executor, facts as gathering, fips, journal, messages, planner, restoration
from tuxcare_lib.commands import Context, distrust, exclusive, intact, no_copy, remove_own_folder, seal, side
from tuxcare_lib.errors import DeclinedError, FileSystemError, ServiceError, UsageError
from tuxcare_lib.host import TOKEN, Facts
from tuxcare_lib.model import Change, Plan, Report, Token
from tuxcare_lib.report import plan_report

_LOCAL = '`dnf tuxcare unregister --local` cleans this host without the service.'


def run(context: Context) -> Report:
    """Unregister. Raises ServiceError (nothing changed), ConflictError (the same), or the file system's errors."""
    facts = gathering.gather(context.root, context.architecture)
    if facts.by_vendors_tool:
        raise UsageError('This host was registered by the vendor\'s own tool, not by dnf tuxcare.', 'Use `tuxctl -d`.')
    if facts.has_seal:
        return seal.unseal(context, facts)
    if not facts.is_registered:
        return _done_already()
    if not context.options.flag('local'):
        intact(facts)
    if context.options.flag('dry_run'):
        return _dry_run(context, facts)
    taken_back(context, facts)  # a conflict is told before anybody is asked
    no_copy(context, facts)
    loose = fips.will_be_on(boot.read(context.root))
    if not context.console.ask(messages.GO_ON.format(leaves(facts) + (' ' + messages.FIPS_LOOSE if loose else ''))):
        raise DeclinedError('Nothing was changed.')
    return carry_out(context, [messages.FIPS_LOOSE] if loose else [])


def carry_out(context: Context, told: List[str], verb: str = 'dnf tuxcare unregister') -> Report:
    """Unregister, nobody being asked any more. `told` are notes for the report, `verb` is what the journal calls it."""
    with exclusive(context, intents=True):
        return _unregister(context, told, verb)


def leaves(facts: Facts) -> str:
    """What unregistering makes of a host, before it is done."""
    return messages.LEAVES.format(facts.registration.pin if facts.registration else 'its minor release')


def taken_back(context: Context, facts: Facts) -> Tuple[List[Change], List[str]]:
    """The files as before: (changes, notes). Raises ConflictError where a line of ours was edited and nobody has decided."""
    return restoration.unregistration_changes(facts, side(context), planner.unedited(facts, context.catalogue, context.settings))


def _done_already() -> Report:
    return Report((messages.NOT_REGISTERED,), {'command': 'unregister', 'exit_status': 0, 'changed': False, 'registered': False})


def _dry_run(context: Context, facts: Facts) -> Report:
    changes, notes = taken_back(context, facts)
    requests = () if context.options.flag('local') else ('POST ' + context.settings.unregister_url,)
    return plan_report('unregister', Plan(requests, tuple(changes), notes=tuple(notes) + (leaves(facts),)))


def _unregister(context: Context, told: List[str], verb: str) -> Report:
    facts = gathering.gather(context.root, context.architecture)
    if not facts.is_registered:  # another command was faster
        return _done_already()
    changes, notes = taken_back(context, facts)
    notes = told + notes
    record = facts.registration
    local = context.options.flag('local')
    returned: List[bool] = []

    def finish() -> None:
        if not local:
            returned.append(_give_back(context, facts))
        notes.extend(distrust(context, record))

    # The seat goes last: files that cannot be changed leave it taken, and a service that refuses leaves the files.
    journal.apply(context.root, verb, changes, finish, forward=True)
    remove_own_folder(context, record)
    links = restoration.links_alone(facts)
    _remove_links(context, [change.path for change in changes if change.after is None] + links)
    seat = messages.SEAT_TAKEN if local else messages.SEAT_RETURNED if returned[-1] else messages.SEAT_NOT_KNOWN
    if local and facts.is_a_copy and record is not None:
        seat = messages.SEAT_OF_ORIGINAL.format(record.host_name)
    drift = messages.DRIFT.format(record.pin if record else 'its minor release')
    return Report((messages.DEREGISTERED, seat, drift) + tuple(notes), {
        'command': 'unregister', 'exit_status': 0, 'changed': True, 'registered': False, 'seat_returned': returned[-1:] == [True],
        'files': sorted([change.path for change in changes] + links), 'notes': [drift] + notes})


def _remove_links(context: Context, paths: List[str]) -> None:
    """A link in the place of a file of ours that is gone now, of which dnf would warn at every command; or to no file of ours."""
    with contextlib.suppress(FileSystemError):
        for path in paths:
            context.root.clear(path)


def _give_back(context: Context, facts: Facts) -> bool:
    """The seat back to the service; False where it does not know the token. Raises ServiceError."""
    value = facts.variable(TOKEN)
    assert facts.registration is not None
    if not Token.PATTERN.match(value):
        raise ServiceError('The token in {} is missing or damaged, so the seat cannot be given back.'.format(TOKEN), _LOCAL)
    try:
        return bool(executor.converse(enrolment.de_register(
            context.settings, Token(value), facts.registration.host_name), context.send, context.console.ask))
    except ServiceError as error:
        error.remedy = '{} {}'.format(error.remedy, _LOCAL).strip()
        raise
