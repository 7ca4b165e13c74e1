# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare unregister`: the seat given back, then every file as it was before. Packages stay."""

from typing import Optional

from tuxcare_lib import enrolment, executor, facts as gathering, journal, messages, planner
from tuxcare_lib.commands import Context, exclusive, intact
from tuxcare_lib.errors import ServiceError, UsageError
from tuxcare_lib.host import STATE_FOLDER, TOKEN, Facts, Registration
from tuxcare_lib.model import Plan, Report, Token
from tuxcare_lib.report import plan_report

_LOCAL = '`dnf tuxcare unregister --local` cleans this host without the service.'


def run(context: Context) -> Report:
    """Unregister. Raises ServiceError (nothing changed), ConflictError (the same), or the file system's errors."""
    facts = gathering.gather(context.root, context.architecture)
    if facts.by_vendors_tool:
        raise UsageError('This host was registered by the vendor\'s own tool, not by dnf tuxcare.', 'Use `tuxctl -d`.')
    if not facts.is_registered:
        return Report((messages.NOT_REGISTERED,), {'command': 'unregister', 'exit_status': 0, 'changed': False,
                                                   'registered': False})
    if not context.options.flag('local'):
        intact(facts)
    if context.options.flag('dry_run'):
        return _dry_run(context, facts)
    with exclusive(context):
        return _unregister(context)


def _dry_run(context: Context, facts: Facts) -> Report:
    changes, notes = planner.unregistration_changes(facts)
    requests = () if context.options.flag('local') else ('POST ' + context.settings.unregister_url,)
    return plan_report('unregister', Plan(requests, tuple(changes), notes=tuple(notes)))


def _unregister(context: Context) -> Report:
    facts = gathering.gather(context.root, context.architecture)
    if not facts.is_registered:
        return run(context)
    changes, notes = planner.unregistration_changes(facts)  # a conflict stops before the seat is gone
    returned = False if context.options.flag('local') else _give_back(context, facts)
    record = facts.registration
    journal.apply(context.root, 'dnf tuxcare unregister', changes, finish=lambda: _distrust(context, record))
    if record is None or record.made_folder:
        context.root.remove_empty_folder(STATE_FOLDER)
    seat = messages.SEAT_RETURNED if returned else messages.SEAT_TAKEN
    drift = messages.DRIFT.format(record.pin if record else 'its minor release')
    return Report((messages.DEREGISTERED, seat, drift) + tuple(notes), {
        'command': 'unregister', 'exit_status': 0, 'changed': True, 'registered': False, 'seat_returned': returned,
        'files': sorted(change.path for change in changes), 'notes': notes})


def _distrust(context: Context, record: Optional[Registration]) -> None:
    """The signing key leaves the rpm database where registering had put it there."""
    if record is not None and record.key_imported:
        from tuxcare_lib import rpmdb  # rpm: only where something is really taken back
        rpmdb.remove_key(context.root, record.signing_key)


def _give_back(context: Context, facts: Facts) -> bool:
    """Whether the service took the seat back; one that does not know the token has none to take."""
    value = facts.variable(TOKEN)
    assert facts.registration is not None
    if not Token.PATTERN.match(value):
        raise ServiceError('The token in {} is missing or damaged, so the seat cannot be given back.'.format(TOKEN), _LOCAL)
    try:
        executor.converse(enrolment.de_register(context.settings, Token(value), facts.registration.host_name),
                          context.send, context.console.ask)
    except ServiceError as error:
        error.remedy = '{} {}'.format(error.remedy, _LOCAL).strip()
        raise
    return True
