# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare register`: check, ask the service, prove the token, then change files: whole or not at all."""

import os
import stat
import sys
from typing import List, Optional, Tuple

from tuxcare_lib import (
    boot, enrolment, executor, facts as gathering, fips, instance, journal, licence, messages, planner, preflight, sealing, seat)
from tuxcare_lib.commands import Context, exclusive, intact, no_copy, private, seal
from tuxcare_lib.enrolment import Enquiry, Enrolment
from tuxcare_lib.errors import (
    Check, EntitlementError, FileSystemError, LicenceKeyError, RecoveryError, ServiceError, TuxcareError, UsageError)
from tuxcare_lib.host import REGISTRATION, SEAT, STATE_FOLDER, TOKEN, Facts, Registration
from tuxcare_lib.model import Change, Credential, Image, LicenceKey, Plan, Report, Token
from tuxcare_lib.planner import Supported, Wish
from tuxcare_lib.report import check_documents, check_lines, plan_report
from tuxcare_lib.rootfs import Root
from tuxcare_lib.seat import Owed
from tuxcare_lib.settings import hosts_without_tls

_GREATEST_KEY_FILE = 4096


def run(context: Context) -> Report:
    """Register the host. Raises the tree of errors; then nothing is changed and no seat is taken, or it says so."""
    facts = gathering.gather(context.root, context.architecture)
    wish = _wish(context, facts)
    host = planner.check_host(facts, context.catalogue, wish)
    key = _given_key(context)
    intact(facts)
    if context.options.flag('seal'):
        return seal.run(context, facts, wish, key)
    by_instance = _is_by_instance(context, facts, key)
    if key is None and not by_instance and facts.is_sealed and seal.key_file(context):
        key = _key_of_file(context, seal.key_file(context))
    replace = context.options.flag('replace')
    if facts.is_registered and not replace:
        return _already(context, facts)
    if facts.by_vendors_tool:
        raise UsageError('This host was registered by the vendor\'s own tool, not by dnf tuxcare.',
                         'Take that back first (`tuxctl -d`), then register.')
    if by_instance:
        instance.check_offered(context.settings, host.products)
        instance.check_instance(facts)
    if context.options.flag('dry_run'):
        return _dry_run(context, facts, wish, key, by_instance)
    if not by_instance:
        key = key or _asked_key(context)
    for name in hosts_without_tls(context.settings):
        context.console.warn('{} is addressed by plain HTTP: the token can be read on the way.'.format(name))
    with exclusive(context):
        return _register(context, wish, key)


def _is_by_instance(context: Context, facts: Facts, key: Optional[LicenceKey]) -> bool:
    """Whether the host registers by its identity as an AWS instance: it was asked for, or sealed and no key is given now."""
    sealed = sealing.parse(facts) if facts.is_sealed and key is None else None
    return context.options.flag('aws') or bool(sealed and sealed.aws)


def _wish(context: Context, facts: Facts) -> Wish:
    """What was asked for, or sealed; --fips asks for ESU, the only product that has validated sets (FACTS 3)."""
    product, pin = context.options.value('product'), context.options.value('pin')
    if product is None and context.options.flag('fips'):
        product = 'esu'
    sealed = sealing.parse(facts) if facts.is_sealed and not context.options.flag('seal') else None
    if sealed is not None:
        product = sealed.product if product is None else product
        pin = sealed.pin if pin is None else pin
    return Wish(product, pin)


def _register(context: Context, wish: Wish, key: Optional[LicenceKey]) -> Report:
    """Without a key: by the identity of the instance, which is asked for before a seat can be taken."""
    facts = gathering.gather(context.root, context.architecture)  # anew: somebody may have held the lock
    intact(facts)
    host = planner.check_host(facts, context.catalogue, wish)
    _check_home(context.root, facts)
    if facts.registration is not None:
        return _replace(context, facts, host, wish, key) if context.options.flag('replace') else _already(context, facts)
    enquiry = _enquiry(context, facts, host, wish, key)
    sealed = sealing.parse(facts)
    preflight.stop(_fips_checks(context, facts, host))  # before a seat is taken
    credential = key or _identity(context)
    enquiry, earlier = _as_before(context, enquiry, credential)
    if sealed and sealed.made_folder or earlier and earlier.made_folder:
        facts = facts._replace(has_state_folder=False)  # it goes with what is registered now
    with _Seat(context, enquiry, credential, earlier) as kept:
        outcome = kept.enrol()
        changes = _settle(context, facts._replace(host_name=enquiry.host_name), host, outcome, kept.gone())
    return _report(context, host, outcome, [change.path for change in changes])


def _identity(context: Context) -> Credential:
    identity: Credential = executor.converse(instance.identify(context.settings), context.send, context.console.ask)
    return identity


def _check_home(root: Root, facts: Facts) -> None:
    """The token is not taken where others could read or replace it. Raises FileSystemError."""
    variables = os.path.dirname(TOKEN)
    private(root, 'token', os.path.dirname(variables), variables, os.path.dirname(STATE_FOLDER), STATE_FOLDER)
    if facts.registration is None and root.is_link(TOKEN):  # of a registered host it is removed
        raise FileSystemError('{} is a symbolic link, and the token is written through none.'.format(TOKEN), 'Remove it.')


def _enquiry(context: Context, facts: Facts, host: Supported, wish: Wish, key: Optional[LicenceKey]) -> Enquiry:
    trees = planner.check_repositories(facts, context.catalogue, host.family)
    if context.options.flag('fips'):
        fips.set_for(context.catalogue, 'esu', host.family.id, host.pin, facts.architecture)  # before a seat is taken
    return planner.enquiry(facts, context.catalogue, context.settings, host, trees, wish, _hinted(context, key))


def _hinted(context: Context, key: Optional[LicenceKey]) -> Optional[str]:
    return licence.hinted_product(key, context.catalogue.products.values()) if key else None


def _as_before(context: Context, enquiry: Enquiry, credential: Credential) -> Tuple[Enquiry, Optional[Owed]]:
    """Where an earlier registration was not answered: the same key, or the instance, asks under the same name: it is one seat.

    Returns the enquiry, and the earlier one where it is asked for again.
    """
    earlier = seat.read(context.root)
    if earlier is None:
        return enquiry, None
    if seat.is_anothers(context.root, earlier):
        context.console.warn(messages.ANOTHERS.format(earlier.host_name) + messages.SEAT_TAKEN)
        return enquiry, None
    if licence.is_kept(credential, earlier.key) if isinstance(credential, LicenceKey) else not earlier.key:
        context.console.warn(messages.ASKED_AGAIN.format(earlier.host_name))
        return enquiry._replace(host_name=earlier.host_name), earlier
    context.console.warn(messages.OTHER_KEY.format(earlier.host_name))
    return enquiry, None


class _Seat:
    """The seat, from the question on until the registration is whole: a kill leaves it to `recover`, a failure gives it back.

    Where nobody knows whether the service gave it, the intent stays, for the next `register`; that of an `earlier` one, too,
    for a refusal now says nothing of the one that was not answered.
    """

    def __init__(self, context: Context, enquiry: Enquiry, credential: Credential, earlier: Optional[Owed]) -> None:
        self._context = context
        self._enquiry = enquiry
        self._credential = credential
        kept = licence.kept(credential, os.urandom(16)) if isinstance(credential, LicenceKey) else ''
        self._earlier = earlier
        self._owed = Owed(enquiry.host_name, None, earlier is not None and earlier.made_folder, kept)
        self._proved = False

    def __enter__(self) -> '_Seat':
        self._owed = seat.keep(self._context.root, self._owed)
        return self

    def enrol(self) -> Enrolment:
        """Ask the service; it gives the seat back itself where that fails."""
        outcome: Enrolment = executor.converse(
            enrolment.enrol(self._enquiry, self._credential), self._context.send, self._context.console.ask_person, self._keep)
        self._proved = True
        return outcome

    def _keep(self, token: Token) -> None:
        self._owed = seat.keep(self._context.root, self._owed._replace(token=token))

    def gone(self, then: Optional[Owed] = None) -> Change:
        """The last change of a registration: nothing is owed any more, or another seat."""
        return Change(SEAT, seat.image(self._owed), seat.image(then) if then else None, True)

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        if error is None or isinstance(error, RecoveryError):
            return
        if self._proved and self._owed.token is not None:
            returned = _let_go(self._context, self._owed.token, self._enquiry.host_name)
            note = messages.SEAT_RETURNED if returned else messages.SEAT_TAKEN
            if isinstance(error, TuxcareError):
                error.remedy = '{} {}'.format(error.remedy, note).strip()
            else:
                self._context.console.warn(note)
        elif self._owed.token is None and (self._is_unknown(error) or self._earlier):
            return
        elif self._owed.token is not None and not isinstance(error, TuxcareError) and not self._is_back(self._owed.token):
            return
        try:
            seat.forget(self._context.root)
        except RecoveryError as failed:  # what began it is told first
            raise RecoveryError('{} {}'.format(error, failed.message), failed.remedy)

    def _is_back(self, token: Token) -> bool:
        """Whether the seat of an interrupted registration is back: asked again, since that may be what was interrupted."""
        try:
            known = executor.converse(enrolment.de_register(self._context.settings, token, self._enquiry.host_name),
                                      self._context.send, self._context.console.ask)
        except ServiceError:
            self._context.console.warn(messages.SEAT_OWED)
            return False
        self._context.console.warn(messages.SEAT_RETURNED if known else messages.SEAT_NOT_KNOWN)
        return True

    def _is_unknown(self, error: BaseException) -> bool:
        """Whether nobody knows if the service gave a seat: its answer was lost, or the question was interrupted."""
        if isinstance(error, TuxcareError):
            return isinstance(error, ServiceError) and error.seat_unknown
        self._context.console.warn(enrolment.seat_unknown(self._credential))
        return True


def _settle(context: Context, facts: Facts, host: Supported, outcome: Enrolment, last: Change) -> List[Change]:
    """Files and the trusted key, together or not at all."""
    from tuxcare_lib import keyring, rpmdb  # gpg and rpm: a host that is only told "already registered" needs neither
    key = keyring.check(outcome.signing_key, context.settings.gpg_key_fingerprint)
    trusted = rpmdb.has_key(context.root, key.fingerprint)
    changes = planner.registration_changes(
        facts, context.catalogue, context.settings, host, outcome._replace(signing_key=key.armored), context.now(),
        key_imported=not trusted)
    journal.apply(context.root, 'dnf tuxcare register', changes + sealing.broken(facts) + [last],
                  finish=lambda: None if trusted else rpmdb.import_key(context.root, key.binary),
                  imports='' if trusted else key.fingerprint)
    return changes


def _report(context: Context, host: Supported, outcome: Enrolment, paths: List[str]) -> Report:
    product = context.catalogue.products[outcome.product]
    lines = [messages.INSTALLED,
             '{} for {} {}: the host is held on {}.'.format(product.title, host.family.title, host.entry.release, host.pin)]
    return Report(tuple(lines), {
        'command': 'register', 'exit_status': 0, 'changed': True, 'registered': True, 'product': outcome.product,
        'release': str(host.entry.release), 'pin': str(host.pin), 'repositories': list(outcome.repositories),
        'files': sorted(paths)}, warnings=_warnings(context, host))


def _warnings(context: Context, host: Supported) -> Tuple[str, ...]:
    """A --pin that leads away from ESU; until `dnf upgrade` has run, `release` moves it back."""
    if not planner.closes_esu(context.catalogue, host.family.id, host.entry.release, host.pin):
        return ()
    return (messages.CLOSES.format(host.entry.release, context.catalogue.products['esu'].title, host.pin),)


def _already(context: Context, facts: Facts) -> Report:
    document = {'command': 'register', 'exit_status': 0, 'changed': False, 'registered': True,
                'product': facts.registration.product if facts.registration else None}
    hint = (messages.PLAN_OF_FIPS,) if context.options.flag('fips') and context.options.flag('dry_run') else ()
    return Report((messages.ALREADY_REGISTERED, messages.REPLACE_HINT) + hint, document)


def _replace(context: Context, facts: Facts, host: Supported, wish: Wish, key: Optional[LicenceKey]) -> Report:
    """A new key proved and written before the old seat goes (rule 6)."""
    record = facts.registration
    assert record is not None
    no_copy(context, facts)
    enquiry = planner.enquiry(facts, context.catalogue, context.settings, host, (), wish, _hinted(context, key))
    credential = key or _identity(context)
    value = facts.variable(TOKEN)
    old = Token(value) if Token.PATTERN.match(value) else None
    enquiry, earlier = _as_before(context, enquiry._replace(held=old), credential)
    with _Seat(context, enquiry, credential, earlier) as kept:
        outcome = kept.enrol()
        same = outcome.token == old
        owed = Owed(record.host_name, old, machine=facts.machine) if old and not same else None
        if outcome.product != record.product:
            raise EntitlementError('The new key is for {}, this host is registered for {}.'.format(
                outcome.product, record.product), 'Run `dnf tuxcare unregister` first.')
        renewed = _renewed(context, facts, enquiry.host_name)
        context.root.clear(TOKEN)
        journal.apply(context.root, 'dnf tuxcare register --replace', [
            Change(TOKEN, facts.images[TOKEN], Image((outcome.token.secret + '\n').encode('ascii'), 0o600), True)]
            + planner.recorded(facts, renewed, facts.kept) + [kept.gone(owed)])
    if same:
        context.console.warn(messages.SAME_TOKEN)
    elif old is None or not _let_go(context, old, record.host_name):
        context.console.warn('The old registration could not be given back. ' + messages.SEAT_TAKEN)
    seat.forget(context.root)
    return _report(context, host, outcome, [REGISTRATION, TOKEN])


def _renewed(context: Context, facts: Facts, host_name: str) -> Registration:
    assert facts.registration is not None
    return facts.registration._replace(registered_at=context.now(), host_name=host_name, machine=facts.machine)


def _let_go(context: Context, token: Token, host_name: str) -> bool:
    return bool(executor.converse(enrolment.give_back(context.settings, token, host_name), context.send, context.console.ask))


def _dry_run(context: Context, facts: Facts, wish: Wish, key: Optional[LicenceKey], by_instance: bool) -> Report:
    """The plan, for the product asked for or hinted at, else the first of the release; the service is not asked."""
    host = planner.check_host(facts, context.catalogue, wish)
    asked = instance.requests(context.settings) if by_instance else ('POST ' + context.settings.register_url,)
    if facts.registration is not None:
        return _dry_replace(context, facts, planner.enquiry(
            facts, context.catalogue, context.settings, host, (), wish, _hinted(context, key)), asked)
    enquiry = _enquiry(context, facts, host, wish, key)
    product = enquiry.asked or enquiry.hinted or host.products[0].id
    repositories = tuple(entry.id for entry in context.catalogue.repositories if product in entry.products)
    assumed = Enrolment(Token('TOKEN'), product, repositories, enquiry.trees, b'')
    changes = planner.registration_changes(facts, context.catalogue, context.settings, host, assumed, context.now(), True)
    packages, commands = _fips_plan(context, facts, host) if context.options.flag('fips') else ((), ())
    found = _fips_checks(context, facts, host)
    preflight.stop(found)
    title = context.catalogue.products[product].title
    plan = plan_report('register', Plan(
        requests=asked + _requests(context, enquiry, repositories), changes=tuple(changes), packages=packages, commands=commands,
        notes=('The signing key is imported into the rpm database.',
               'Product assumed: {}; the service decides. Repositories that do not answer are left out.'.format(title))))
    return plan._replace(lines=check_lines(found) + plan.lines, document=dict(plan.document, checks=check_documents(found)))


def _dry_replace(context: Context, facts: Facts, enquiry: Enquiry, asked: Tuple[str, ...]) -> Report:
    record = facts.registration
    assert record is not None
    repositories = tuple(entry.id for entry in context.catalogue.repositories if record.product in entry.products)
    requests = asked + _requests(context, enquiry, repositories) + ('POST ' + context.settings.unregister_url,)
    changes = [Change(TOKEN, facts.images[TOKEN], Image(b'', 0o600), True)]
    changes += planner.recorded(facts, _renewed(context, facts, facts.host_name), facts.kept)
    return plan_report('register', Plan(requests, tuple(changes)))


def _fips_checks(context: Context, facts: Facts, host: Supported) -> Tuple[Check, ...]:
    """What --fips would meet on this host, as far as it is known without the repositories."""
    if not context.options.flag('fips'):
        return ()
    from tuxcare_lib import circumstances  # rpm: not without --fips
    wanted = fips.set_for(context.catalogue, 'esu', host.family.id, host.pin, facts.architecture)
    return preflight.checks(circumstances.read(context.root, boot.read(context.root), wanted, context.catalogue))


def _fips_plan(context: Context, facts: Facts, host: Supported) -> Tuple[Tuple[str, ...], Tuple[Tuple[str, ...], ...]]:
    """Packages and commands that --fips adds; what the packages need beside them is known once the repositories are."""
    wanted = fips.set_for(context.catalogue, 'esu', host.family.id, host.pin, facts.architecture)
    return fips.specs(wanted, set()), fips.commands(fips.kernel_image(wanted), boot.read(context.root))


def _requests(context: Context, enquiry: Enquiry, repositories: Tuple[str, ...]) -> Tuple[str, ...]:
    paths = [enrolment.tree_path(enquiry.family, tree) for tree in ('BaseOS',) + enquiry.trees]
    paths += [entry.path for entry in enquiry.repositories if entry.id in repositories or entry.proves]
    asked = []
    for path in dict.fromkeys(paths):
        asked.append('GET {}/{}repodata/repomd.xml'.format(context.settings.repo_url, enrolment.expand(
            path, enquiry.release, enquiry.architecture, Token('TOKEN'))))
    return tuple(asked + ['GET ' + context.settings.gpg_key_url])


def _given_key(context: Context) -> Optional[LicenceKey]:
    """The key from the command line, a file, standard input or the environment; None where none was given."""
    argument, path = context.options.value('license_key'), context.options.value('license_key_file')
    if context.options.flag('aws') and (argument, path, context.licence_key) != (None, None, None):
        raise UsageError('--aws and a licence key exclude each other.',
                         'Give one of them; a key in TUXCARE_LICENSE_KEY counts, too.')
    if argument is not None and path is not None:
        raise UsageError('-l and --license-key-file exclude each other.', 'Give the key once.')
    if argument is not None:
        context.console.warn(messages.KEY_ON_COMMAND_LINE)
        return licence.parse(argument)
    if path is not None:
        return _key_of_file(context, path)
    return licence.parse(context.licence_key) if context.licence_key is not None else None


def _asked_key(context: Context) -> LicenceKey:
    typed = context.console.secret('Licence key: ')
    if typed is None:
        raise LicenceKeyError('No licence key was given, and there is no terminal to ask on.',
                              'Give --license-key-file FILE (or -), or set TUXCARE_LICENSE_KEY.')
    return licence.parse(typed)


def _key_of_file(context: Context, path: str) -> LicenceKey:
    data = _key_file(context, path)
    try:
        return licence.parse(_decoded(data))
    except LicenceKeyError as error:
        raise error if path == '-' else LicenceKeyError('{}: {}'.format(path, error.message), error.remedy)


def _key_file(context: Context, path: str) -> bytes:
    if path == '-':
        return sys.stdin.buffer.read(_GREATEST_KEY_FILE + 1)
    try:
        with open(path, 'rb') as stream:
            status = os.fstat(stream.fileno())
            if stat.S_ISREG(status.st_mode) and status.st_mode & 0o044:
                context.console.warn('{} can be read by other users; chmod 600 it.'.format(path))
            return stream.read(_GREATEST_KEY_FILE + 1)
    except (OSError, ValueError) as error:
        reason = os.strerror(error.errno or 0) if isinstance(error, OSError) else 'not a file name'
    # Out here, so that no log has the exception's words: somebody gives the key in the place of its file.
    raise LicenceKeyError('The licence key cannot be read from {}: {}.'.format(path if '/' in path else 'that file', reason),
                          'Name a file that holds the key alone.')


def _decoded(data: bytes) -> str:
    if len(data) > _GREATEST_KEY_FILE:
        raise LicenceKeyError('The licence key file is larger than {} bytes.'.format(_GREATEST_KEY_FILE),
                              'Name a file that holds the key alone.')
    return data.decode('utf-8', 'replace')
