# SPDX-License-Identifier: Apache-2.0
"""The verbs, one module each: `run(context)` gives a Report. Shared here is what each of them stands on."""

import contextlib
from typing import Callable, Iterator, NamedTuple, Optional

from tuxcare_lib import journal, lock, messages
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.cli import Options
from tuxcare_lib.console import Console
from tuxcare_lib.errors import StateError
from tuxcare_lib.host import Facts
from tuxcare_lib.model import Request, Response
from tuxcare_lib.rootfs import Root
from tuxcare_lib.settings import Settings


class Context(NamedTuple):
    """Everything a verb may touch, as arguments.

    `now` is the time as ISO 8601 UTC; `wait` whether to wait for the lock; `licence_key` is the one of the environment
    (TUXCARE_LICENSE_KEY); `cache` is dnf's folder, in which the guard keeps what it saw.
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


def intact(facts: Facts) -> None:
    """Raises StateError where our own record is damaged: no verb may build on it but `unregister --local`."""
    if facts.damage:
        raise StateError(facts.damage, messages.RECOVER_HINT if facts.survivor else messages.ANEW)


def recover_first(context: Context) -> None:
    """What an earlier command left half done is undone before a changing verb looks at the host; a dry run only says so."""
    if not journal.is_open(context.root):
        return
    if context.options.flag('dry_run'):
        context.console.warn('An operation was cut off here; `dnf tuxcare recover` undoes it.')
        return
    with exclusive(context):
        pass


@contextlib.contextmanager
def exclusive(context: Context) -> Iterator[None]:
    """One command at a time; what an earlier one left half done is undone first (DESIGN 4, rule 4)."""
    with lock.held(context.root, context.wait, context.console.warn):
        journal.sweep(context.root)
        if journal.is_open(context.root):
            verb = journal.undo(context.root)
            context.console.warn('An earlier `{}` was cut off; its changes were undone.'.format(verb))
        yield
