# SPDX-License-Identifier: Apache-2.0
"""The verbs, one module each: `run(context)` gives a Report. Shared here is what each of them stands on."""

import contextlib
import signal
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from tuxcare_lib import boot, enrolment, executor, journal, lock, messages, registration, seat, witness
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.cli import Options
from tuxcare_lib.console import Console
from tuxcare_lib.errors import CommandError, DeclinedError, FileSystemError, RecoveryError, ServiceError, StateError, UsageError
from tuxcare_lib.host import REGISTRATION, SEAT, STATE_FOLDER, TOKEN, Facts, Registration
from tuxcare_lib.journal import Open
from tuxcare_lib.model import Image, Request, Response, Token
from tuxcare_lib.rootfs import Root
from tuxcare_lib.settings import Settings


# Two operations, packages and then the registration: what is undone of the second is not the whole.
UNINSTALL = 'dnf tuxcare uninstall'


class Context(NamedTuple):
    """Everything a verb may touch, as arguments.

    `now` is the time as ISO 8601 UTC; `wait` whether to wait for the lock; `licence_key` is the one of the environment
    (TUXCARE_LICENSE_KEY); `cache` is dnf's folder, in which the guard keeps what it saw; `repositories` are those that
    dnf has enabled, as (id, name).
    """

    root: Root
    catalogue: Catalogue
    settings: Settings
    console: Console
    options: Options
    architecture: str
    licence_key: Optional[str]
    send: Callable[[Request], Response]
    now: Callable[[], str]
    wait: bool = True
    cache: str = ''
    repositories: Tuple[Tuple[str, str], ...] = ()


def side(context: Context) -> str:
    """Who decides over a section of ours that was edited: 'ours', 'theirs', or '' for nobody. Raises UsageError for both."""
    chosen = [name for name in ('ours', 'theirs') if context.options.flag(name)]
    if len(chosen) > 1:
        raise UsageError('--ours and --theirs exclude each other.', 'Decide for one.')
    return ''.join(chosen)


def intact(facts: Facts) -> None:
    """Raises StateError where our own record is damaged: no verb may build on it but `unregister --local`."""
    if facts.damage:
        raise StateError(facts.damage, messages.RECOVER_HINT if facts.survivor else messages.ANEW)


def private(root: Root, secret: str, *folders: str) -> None:
    """No secret is put where others could replace what is there. Raises FileSystemError."""
    for folder in folders:
        if root.kind(folder) and not witness.only_root_writes(root.path, root.real(folder)):
            raise FileSystemError('Others than root can write into {}, or a folder above it; the {} would be there.'.format(
                folder, secret), 'Run: chown root {0}; chmod go-w {0}'.format(folder))


def no_copy(context: Context, facts: Facts) -> None:
    """The seat of a copied host is the original's: -y does not give it back. Raises DeclinedError."""
    record = facts.registration
    if record is None or not facts.is_a_copy or context.options.flag('local'):
        return
    if not context.console.ask_person(messages.COPY.format(record.host_name), messages.COPY_REMEDY):
        raise DeclinedError('Nothing was changed.', messages.COPY_REMEDY)


def recover_first(context: Context) -> None:
    """What an earlier command left half done is undone before a changing verb looks at the host; a dry run only says so."""
    if not journal.is_open(context.root) and context.root.kind(SEAT) == '':
        return
    if context.options.flag('dry_run'):
        context.console.warn('An operation was cut off here; `dnf tuxcare recover` puts it right.')
        return
    with exclusive(context):
        pass


@contextlib.contextmanager
def exclusive(context: Context, intents: bool = False) -> Iterator[None]:
    """One command at a time; what an earlier one left half done is undone first (DESIGN 4, rule 4). `intents` as in `settled`."""
    with lock.held(context.root, context.wait, context.console.warn), interruptible():
        settled(context, context.console.warn, intents)
        yield


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGTERM and the SIGHUP of a lost terminal end a command as Ctrl-C does: with everything as before."""
    numbers = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def settled(context: Context, say: Callable[[str], None], intents: bool = False) -> List[str]:
    """Finish or undo what an earlier command left half done, files and seats. Says what it did, and returns the same.

    A registration that was not answered is left to the next `register`, which asks again; with `intents` it is forgotten, too.
    Each is said before the last trace of it goes, so that a kill in here leaves nothing unsaid. Raises RecoveryError where
    something cannot be done now.
    """
    journal.sweep(context.root)
    context.root.discard_temporary(SEAT)
    lines: List[str] = []

    def told(line: str) -> None:
        say(line)
        lines.append(line)

    if journal.is_open(context.root):
        _settle(context, journal.opened(context.root), told)
    owed = seat.read(context.root)
    if owed is not None and (owed.token is not None or intents):
        if seat.is_anothers(context.root, owed):
            told(messages.ANOTHERS.format(owed.host_name) + messages.SEAT_OF_ORIGINAL.format(owed.host_name))
        else:
            told('A registration was cut off. ' + _returned(context, owed.token, owed.host_name))
        seat.forget(context.root)
    return lines


def _settle(context: Context, found: Open, told: Callable[[str], None]) -> None:
    if found.forward:
        _finish_unregistering(context, found.verb, found.before, told)
    elif found.work.is_done and found.work.kernel:
        _finish_entering(context, found, told)
    elif found.work.is_done and (found.work.install or found.work.erase):
        journal.commit(context.root)
        told('`{0}` was cut off after its packages, which stay; run `{0}` again for the rest.'.format(found.verb))
    elif packages_have_begun(context.root, found):
        raise RecoveryError('The packages of `{}` were cut off half way.'.format(found.verb), messages.RECOVER_HINT)
    else:
        verb = journal.undo(context.root, context.console.say)
        more = ' Packages that it installed stay.' if found.work.is_done else ''
        more = ' Run `{}` again for the rest.'.format(verb) if verb == UNINSTALL else more
        told('`{}` was cut off; its changes were undone.{}'.format(verb, more))


def packages_have_begun(root: Root, found: Open) -> bool:
    """Whether rpm had begun an operation's packages."""
    if not found.work.install and not found.work.erase or not journal.files_are_changed(root, found):
        return False
    from tuxcare_lib import rpmdb  # rpm: only where packages were planned
    return found.work.has_begun({package.nevra for package in rpmdb.everything(root)})


def _finish_entering(context: Context, found: Open, told: Callable[[str], None]) -> None:
    """The packages are there: FIPS mode is entered, or left again where a program fails."""
    try:
        boot.enter(context.root, found.work, context.console.say)
    except CommandError as error:
        journal.undo(context.root, context.console.say)
        told('`{}` was cut off; its packages stay, all else was undone: {}'.format(found.verb, error.message))
        return
    journal.commit(context.root)
    told('`{}` was cut off; it is finished. {}'.format(found.verb, messages.REBOOT.format(kernel=found.work.kernel)))


def _finish_unregistering(context: Context, verb: str, before: Dict[str, Optional[Image]], told: Callable[[str], None]) -> None:
    """The end of an `unregister` whose files are all changed: the seat, and the trust in the key."""
    images = {path: before[path].data for path in (TOKEN, REGISTRATION) if before.get(path)}  # type: ignore[union-attr]
    record = registration.parse(images[REGISTRATION]) if REGISTRATION in images else None
    value = images.get(TOKEN, b'').decode('ascii', 'replace').strip()
    token = Token(value) if Token.PATTERN.match(value) else None
    seat_words = _returned(context, token, record.host_name if record else '')
    told(' '.join(['`{}` was cut off; it is finished.'.format(verb), seat_words] + distrust(context, record)))
    journal.commit(context.root)
    remove_own_folder(context, record)


def remove_own_folder(context: Context, record: Optional[Registration]) -> None:
    """The folder of our state where registering made it; an empty one that stays is no reason to call a verb failed."""
    if record is None or record.made_folder:
        with contextlib.suppress(FileSystemError):
            context.root.remove_empty_folder(STATE_FOLDER)


def _returned(context: Context, token: Optional[Token], host_name: str) -> str:
    """Give a seat back whose operation was cut off. Raises RecoveryError where the service does not take it, without --local."""
    if token is None or context.options.flag('local'):
        return messages.SEAT_TAKEN
    try:
        known = executor.converse(enrolment.de_register(context.settings, token, host_name), context.send, context.console.ask)
    except ServiceError as error:
        raise RecoveryError('A seat of an operation that was cut off could not be given back: {}'.format(error.message),
                            'Run `dnf tuxcare recover` when the service answers; with --local it leaves the seat taken.')
    return messages.SEAT_RETURNED if known else messages.SEAT_NOT_KNOWN


def distrust(context: Context, record: Optional[Registration]) -> List[str]:
    """The signing key leaves the rpm database where registering had put it there. Returns what there is to say."""
    if record is None or not record.key_imported:
        return []
    from tuxcare_lib import rpmdb  # rpm: only where something is really taken back
    try:
        rpmdb.remove_key(context.root, record.signing_key)
    except FileSystemError as error:
        return ['The signing key is still in the rpm database: {}'.format(error)]
    return []
