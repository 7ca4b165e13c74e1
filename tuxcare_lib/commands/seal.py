# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare register --seal`: an image that registers at its first boot. The service is not asked, no seat is taken."""

import os
from typing import List, Optional

from tuxcare_lib import facts as gathering, instance, journal, messages, planner, sealing
from tuxcare_lib.commands import Context, exclusive, private, remove_own_folder
from tuxcare_lib.errors import UsageError
from tuxcare_lib.host import FIRST_BOOT_KEY, SEALED, STATE_FOLDER, Facts
from tuxcare_lib.model import LicenceKey, Plan, Report
from tuxcare_lib.planner import Wish
from tuxcare_lib.report import plan_report
from tuxcare_lib.sealing import Seal

# Where systemd puts a credential of the unit (systemd.exec(5), since 247), and the name that it has there.
_CREDENTIALS = 'CREDENTIALS_DIRECTORY'
_CREDENTIAL = 'tuxcare.licence-key'


def run(context: Context, facts: Facts, wish: Wish, key: Optional[LicenceKey]) -> Report:
    """Seal the host below the root. Raises UsageError for a registered one, FileSystemError, RecoveryError."""
    host = planner.check_host(facts, context.catalogue, wish)
    planner.check_repositories(facts, context.catalogue, host.family)
    for flag in ('fips', 'replace'):
        if context.options.flag(flag):
            raise UsageError('--seal and --{} exclude each other.'.format(flag), 'Do that once the host is registered.')
    aws = context.options.flag('aws')
    if aws:  # whether it is an instance is asked when it boots
        instance.check_offered(context.settings, host.products)
    if context.options.flag('dry_run'):
        return plan_report('register', Plan(changes=tuple(sealing.changes(facts, _seal(facts, wish, aws), key)),
                                            notes=tuple(_notes(facts, key, aws))))
    with exclusive(context, intents=True):
        facts = gathering.gather(context.root, context.architecture)
        if facts.is_registered:
            raise UsageError('This host is registered, so an image of it would hold its token.',
                             'Run `dnf tuxcare unregister` first.')
        private(context.root, 'licence key', os.path.dirname(STATE_FOLDER), STATE_FOLDER)
        seal = _seal(facts, wish, aws)
        changes = sealing.changes(facts, seal, key)
        if changes:
            journal.apply(context.root, 'dnf tuxcare register --seal', changes)
    named = (messages.SEALED_FOR.format(context.catalogue.products[seal.product].title),) if seal.product else ()
    return Report((messages.SEALED,) + named + tuple(_notes(facts, key, aws)) + (messages.SEALED_NEXT,), {
        'command': 'register', 'exit_status': 0, 'changed': bool(changes), 'registered': False, 'sealed': True,
        'product': seal.product, 'files': sorted(change.path for change in changes)})


def _seal(facts: Facts, wish: Wish, aws: bool) -> Seal:
    earlier = sealing.parse(facts)
    if earlier is None:
        return Seal(wish.product, wish.pin, not facts.has_state_folder, aws)
    return Seal(wish.product or earlier.product, wish.pin or earlier.pin, earlier.made_folder, aws)


def _notes(facts: Facts, key: Optional[LicenceKey], aws: bool) -> List[str]:
    notes = []
    if key is None and not aws and facts.images[FIRST_BOOT_KEY] is None:
        notes.append(messages.SEALED_WITHOUT_KEY.format(file=FIRST_BOOT_KEY, credential=_CREDENTIAL))
    if facts.machine:
        notes.append(messages.SEALED_WITH_IDENTITY)
    return notes


def key_file(context: Context) -> str:
    """Where a sealed host has its licence key: the unit's credential, or the file of the image; empty for neither."""
    credential = os.path.join(os.environ.get(_CREDENTIALS, ''), _CREDENTIAL)
    if os.path.isabs(credential) and os.path.isfile(credential):
        return credential
    kept = context.root.kind(FIRST_BOOT_KEY) == 'file'
    return context.root.real(FIRST_BOOT_KEY) if kept else ''


def unseal(context: Context, facts: Facts) -> Report:
    """`unregister` on a sealed image: what sealing wrote goes; of a symbolic link in its place, what it leads to stays."""
    changes = sealing.broken(facts)
    if context.options.flag('dry_run'):
        return plan_report('unregister', Plan(changes=tuple(changes)))
    image = facts.images[SEALED]
    made_folder = image is not None and b'"made_folder": true' in image.data
    with exclusive(context, intents=True):
        for path in (FIRST_BOOT_KEY, SEALED):
            context.root.clear(path)
        left = sealing.broken(gathering.gather(context.root, context.architecture))
        if left:
            journal.apply(context.root, 'dnf tuxcare unregister', left)
        if made_folder:
            remove_own_folder(context, None)
    return Report((messages.UNSEALED,), {
        'command': 'unregister', 'exit_status': 0, 'changed': True, 'registered': False, 'seat_returned': False,
        'files': sorted(change.path for change in changes), 'notes': []})
