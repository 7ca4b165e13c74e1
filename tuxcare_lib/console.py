# SPDX-License-Identifier: Apache-2.0
"""The person at the terminal, if there is one. Without one nothing ever waits for an answer."""

import getpass
import sys
from typing import Callable, Optional

from tuxcare_lib import messages
from tuxcare_lib.errors import DeclinedError


class Console:
    """Asks and says. `assume` answers every question (dnf's -y and --assumeno); None asks the person."""

    def __init__(self, say: Callable[[str], None], warn: Callable[[str], None], assume: Optional[bool] = None) -> None:
        self.say: Callable[[str], None] = lambda line: say(messages.clean(line))
        self.warn: Callable[[str], None] = lambda line: warn(messages.clean(line))
        self._assume = assume

    @staticmethod
    def is_interactive() -> bool:
        """Whether a person can answer."""
        return bool(sys.stdin and sys.stdin.isatty() and sys.stderr and sys.stderr.isatty())

    def ask(self, question: str, warning: str = '') -> bool:
        """Yes or no; -y answers it, and sees the warning. Raises DeclinedError for --assumeno, and where nobody can be asked."""
        if self._assume and warning:
            self.warn(warning)
        whole = '{} {}'.format(warning, question).strip()
        if self._assume is False:
            raise DeclinedError('Not done, since --assumeno answers no: ' + whole)
        return self._assume or self.ask_person(whole, '-y answers it.')

    def ask_person(self, question: str, instead: str = 'Run it at a terminal.') -> bool:
        """As `ask`, for what -y must not decide. Raises DeclinedError where nobody can be asked, with what to do `instead`."""
        if not self.is_interactive():
            raise DeclinedError('Not done, since nobody can be asked without a terminal: ' + question, instead)
        sys.stderr.write(messages.clean(question) + ' [y/N]: ')
        sys.stderr.flush()
        return sys.stdin.readline().strip().lower() in ('y', 'yes')

    def secret(self, prompt: str) -> Optional[str]:
        """A line typed without echo, empty at its end (Ctrl-D); None where nobody can be asked."""
        if not self.is_interactive():
            return None
        try:
            return getpass.getpass(prompt)
        except EOFError:
            return ''
        except UnicodeDecodeError:  # without its words: they are of what was typed
            return '\N{REPLACEMENT CHARACTER}'
