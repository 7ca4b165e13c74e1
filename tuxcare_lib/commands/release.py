# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare release`: what the host is held on, where it may go, and the move itself."""

from typing import Any, Dict, List, Optional

from tuxcare_lib import enrolment, executor, facts as gathering, journal, messages, planner, report, restoration
from tuxcare_lib.commands import Context, exclusive, intact
from tuxcare_lib.errors import DeclinedError, HostError, NotRegisteredError, ServiceError, UsageError
from tuxcare_lib.host import TOKEN, Facts, Registration
from tuxcare_lib.model import Plan, Release, ReleaseEntry, Report, Token
from tuxcare_lib.report import plan_report


def run(context: Context) -> Report:
    """Show, list or move. Raises NotRegisteredError, HostError (this host may not go there), DeclinedError, ServiceError."""
    if context.options.flag('list'):
        return _list(context)
    facts = gathering.gather(context.root, context.architecture)
    intact(facts)
    if facts.registration is None:
        raise NotRegisteredError('This host is not registered.', messages.REGISTER_HINT)
    if not context.options.words:
        return _show(context, facts, facts.registration)
    target = _target(context, facts, facts.registration)
    if context.options.flag('dry_run'):
        family = context.catalogue.families[facts.registration.family]
        url = enrolment.probe_url(context.settings, family, target, facts.registration.architecture, Token('TOKEN'))
        closes = _closes(context, facts.registration, target)
        changes, notes = planner.release_changes(facts, context.catalogue, facts.registration, target)
        return plan_report('release', Plan(('GET ' + url,), tuple(changes), notes=tuple(
            notes + ([_warning(context, facts.registration, target)] if closes else []))))
    with exclusive(context):
        return _move(context, gathering.gather(context.root, context.architecture))


def _target(context: Context, facts: Facts, record: Registration) -> Release:
    word = context.options.words[0]
    target = Release.parse(word)
    if target is None:
        raise UsageError('{!r} is not a release.'.format(word), 'Give one such as 9.4.')
    reason = _reason_against(context, record, target)
    if reason:
        raise HostError('This host cannot move to {}: {}.'.format(target, reason), _remedy(context, record))
    return target


def _reason_against(context: Context, record: Registration, target: Release) -> Optional[str]:
    """Why a registered host may not be held on a release; None where it may."""
    product = context.catalogue.products[record.product]
    entry = context.catalogue.entry(record.family, target)
    if target in (record.release, record.pin):
        return None
    if target < record.release:
        return 'it runs {} already, and there is no way down'.format(record.release)
    if entry is None or product.id not in entry.products:
        return '{} is {} there'.format(product.title, 'planned, and not yet available,' if entry and product.id in entry.planned
                                       else 'not available')
    if not product.moves:
        return '{} stays on {}, since there is no way back'.format(product.title, record.pin)
    here = context.catalogue.entry(record.family, record.release)
    if here is None or target not in here.moves:
        return 'the catalogue has no move there from {}'.format(record.release)
    return None


def _remedy(context: Context, record: Registration) -> str:
    moves = _moves(context, record)
    return 'It may move to: {}.'.format(', '.join(map(str, moves))) if moves else 'It may not move at all.'


def _moves(context: Context, record: Registration) -> List[Release]:
    return [entry.release for entry in sorted(context.catalogue.releases)
            if entry.family == record.family and entry.release != record.pin
            and _reason_against(context, record, entry.release) is None]


def _show(context: Context, facts: Facts, record: Registration) -> Report:
    held = restoration.held_on(facts, context.catalogue, context.settings, record)
    others = {str(entry.release): _reason_against(context, record, entry.release)
              for entry in sorted(context.catalogue.releases)
              if entry.family == record.family and entry.release not in _moves(context, record) + [record.pin]}
    moves = ', '.join(str(release) for release in _moves(context, record) if release != held) or 'nowhere'
    lines = report.table((
        ('Product', context.catalogue.products[record.product].title), ('Release', facts.os_title),
        ('Held on', str(held)), ('May move to', moves),
        ('Not to', '\n'.join('{}: {}'.format(*item) for item in others.items()) or 'any other')))
    return Report(lines, {
        'command': 'release', 'exit_status': 0, 'product': record.product, 'release': facts.version_id, 'pin': str(held),
        'moves': [str(release) for release in _moves(context, record)], 'refused': others})


def _list(context: Context) -> Report:
    rows = [_row(context, entry) for entry in sorted(context.catalogue.releases)]
    lines = report.table([('{} {}'.format(context.catalogue.families[str(row['family'])].title, row['release']),
                           _words(context, row)) for row in rows])
    return Report(lines, {'command': 'release', 'exit_status': 0, 'releases': rows})


def _row(context: Context, entry: ReleaseEntry) -> Dict[str, Any]:
    return {'family': entry.family, 'release': str(entry.release), 'available': list(entry.products),
            'planned': list(entry.planned), 'architectures': list(entry.architectures),
            'moves': [str(release) for release in entry.moves],
            'fips': sorted(found.architecture for found in context.catalogue.package_sets
                           if (found.family, found.release) == (entry.family, entry.release))}


def _words(context: Context, row: Dict[str, Any]) -> str:
    titles = [context.catalogue.products[name].title for name in row['available']]
    titles += ['{} (planned)'.format(context.catalogue.products[name].title) for name in row['planned']]
    return ', '.join(titles) + ('; FIPS 140-3 on ' + ', '.join(row['fips']) if row['fips'] else '')


def _move(context: Context, facts: Facts) -> Report:
    record = facts.registration
    if record is None:
        raise NotRegisteredError('This host is not registered.', messages.REGISTER_HINT)
    target = _target(context, facts, record)
    changes, notes = planner.release_changes(facts, context.catalogue, record, target)
    document = {'command': 'release', 'exit_status': 0, 'changed': bool(changes), 'pin': str(target),
                'files': sorted(change.path for change in changes), 'notes': notes}
    if not changes:
        return Report((messages.NOTHING_TO_DO,), document)
    _prove(context, facts, record, target)
    if _closes(context, record, target):
        if not context.console.ask('Go on?', _warning(context, record, target)):
            raise DeclinedError('Nothing was changed.')
    journal.apply(context.root, 'dnf tuxcare release', changes)
    then = '' if target == facts.release else ' Run `dnf upgrade` to move it there.'
    return Report(('This host is held on {} now.{}'.format(target, then),) + tuple(notes), document)


def _closes(context: Context, record: Registration, target: Release) -> bool:
    return planner.closes_esu(context.catalogue, record.family, record.release, target)


def _warning(context: Context, record: Registration, target: Release) -> str:
    return messages.CLOSES.format(record.release, context.catalogue.products['esu'].title, target)


def _prove(context: Context, facts: Facts, record: Registration, target: Release) -> None:
    """The repositories of the new release have to answer before anything points at them."""
    value = facts.variable(TOKEN)
    if not Token.PATTERN.match(value):
        raise ServiceError('The token in {} is missing or damaged.'.format(TOKEN), messages.REPLACE_HINT)
    url = enrolment.probe_url(context.settings, context.catalogue.families[record.family], target, record.architecture,
                              Token(value))
    status = executor.converse(enrolment.prove_release(url), context.send, context.console.ask)
    if status != 200:
        raise ServiceError('The vetted repositories of {} do not answer to this host\'s token: HTTP {}.'.format(target, status),
                           'Try again later, or ask the vendor.', status)
