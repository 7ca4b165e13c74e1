# SPDX-License-Identifier: Apache-2.0
"""The file that dnf loads: the hooks that hold a registered host on its release, and the `dnf tuxcare` command.

Thin on purpose. On a host that is not registered it looks at a few names in the file system and is done: nothing of ours
is imported, nothing can hinder a transaction. On a registered one everything that fails is turned into dnf's own error,
because dnf logs any other exception of a hook and goes on (FACTS 7).
"""

import logging
import os
import sys

import dnf
import dnf.cli
import dnf.exceptions
import libdnf.conf

MYPY = False
if MYPY:  # not imported: it would cost every dnf command more than all the hooks together
    from typing import Any, Callable, Iterable

logger = logging.getLogger('dnf.plugin')

_SIGNS_OF_OURS = tuple('var/lib/tuxcare/' + name for name in ('registration.json', 'before.json', 'journal', 'sealed.json'))
# dnf's default of `reposdir`: a registration shows there, whatever an option says.
_REPOSITORY_FOLDERS = ('etc/yum.repos.d', 'etc/yum/repos.d', 'etc/distro.repos.d')
# As the library marks its lines (repofile) and its own file: a comment that merely begins with our name is somebody else's.
_STAMPS = (b'\n#tuxcare+', b'\n#tuxcare- ', b'\n# Written by `dnf tuxcare register`')
_CONFIGURATION = 'etc/dnf/plugins/tuxcare.conf'
_REINSTALL = 'Run: dnf --disableplugin=tuxcare reinstall dnf-plugin-tuxcare'


def _caught(step: 'Callable[[], None]') -> 'Any':
    """The exception that a step ends in, or None. Whatever it is, the caller fails closed."""
    try:
        step()
    except Exception as error:
        return error
    return None


def _words(error: Exception) -> str:
    """What is said of an exception: our own and dnf's speak for themselves, anything else is a damaged library."""
    if isinstance(error, dnf.exceptions.Error) or type(error).__module__.startswith('tuxcare_lib.'):
        return str(error)
    logger.debug('tuxcare: %s', type(error).__name__, exc_info=(type(error), error, error.__traceback__))
    return 'the library cannot be used ({}: {}). {}'.format(type(error).__name__, error, _REINSTALL)


def _told(step: 'Callable[[], None]') -> None:
    """A step after the packages: its failure is said, and undoes nothing of them."""
    error = _caught(step)
    if error is not None:
        logger.error('tuxcare: the packages are installed, but: %s', _words(error))


def _registered_root(conf: 'Any') -> str:
    """The registered root that this command concerns; empty where there is none.

    That is the one that packages go to, or the one whose repository files dnf really reads (PIN 1): below --installroot where
    it has a folder of them, else the host itself.
    """
    top = os.path.abspath(conf.installroot)
    if os.path.isdir(top) and os.path.samefile(top, '/'):
        return '/' if _is_registered('/', conf.reposdir) else ''
    inside = [folder for folder in conf.reposdir if os.path.abspath(folder).startswith(top + '/')]
    if _is_registered(top, inside):
        return top
    return '/' if not inside and _is_registered('/', conf.reposdir) else ''


def _is_registered(root: str, folders: 'Iterable[str]') -> bool:
    """Whether anything on this root says that dnf tuxcare registered it: our state, or our stamp in a repository file."""
    if any(os.path.lexists(os.path.join(root, sign)) for sign in _SIGNS_OF_OURS):
        return True
    places = {os.path.join(root, folder) for folder in _REPOSITORY_FOLDERS}.union(folders)
    return any(_has_stamp(os.path.join(folder, name)) for folder in places for name in _names(folder) if name.endswith('.repo'))


def _names(folder: str) -> 'Iterable[str]':
    """What cannot be listed says nothing; dnf passes it over, too."""
    try:
        return os.listdir(folder)
    except OSError:
        return ()


def _has_stamp(path: str) -> bool:
    try:
        with open(path, 'rb') as stream:
            text = b'\n' + stream.read(1 << 20)
            return any(stamp in text for stamp in _STAMPS)
    except OSError:
        return False


def _is_our_command(words: 'Iterable[str]', commands: 'Any') -> bool:
    """Whether `tuxcare` is the command, and not a word behind another one. Where there is no command, it is mistyped."""
    return next((word == 'tuxcare' for word in words if word == 'tuxcare' or word in commands), True)


class _CommandLine(object):
    """A filter of dnf's log: dnf writes its whole command line there before any hook runs, and the licence key is taken out.

    It goes once the command line is parsed: nobody says it from then on, and a short key is a word of many a line.
    """

    def __init__(self, cli: 'Any') -> None:
        self._cli = cli

    def filter(self, record: logging.LogRecord) -> bool:
        """Changes the record where it has to, and lets it through."""
        words = list(getattr(self._cli.base, 'args', None) or sys.argv[1:])  # the former as aliases make it
        if _is_our_command(words, getattr(self._cli, 'cli_commands', ())):
            text = record.getMessage()
            if _caught(lambda: self._hide(record, text, words)) is not None and (' '.join(words) in text or repr(words) in text):
                record.msg, record.args = '(hidden)', ()  # no library tells what of it is secret
        return True

    @staticmethod
    def _hide(record: logging.LogRecord, text: str, words: 'Iterable[str]') -> None:
        from tuxcare_lib import cli
        record.msg, record.args = cli.hidden(text, words), ()


class _Aimed(object):
    """A filter of dnf's log: with --installroot what a line tells to run has to be run with it, too, and not on this machine."""

    def __init__(self, root: str) -> None:
        self._root = root

    def filter(self, record: logging.LogRecord) -> bool:
        """Changes the record where it has to, and lets it through."""
        _caught(lambda: self._aim(record, record.getMessage()))
        return True

    def _aim(self, record: logging.LogRecord, text: str) -> None:
        if 'tuxcare' in text or 'Run' in text:
            from tuxcare_lib import messages
            record.msg, record.args = messages.aimed(text, self._root), ()


class TuxcareCommand(dnf.cli.Command):
    """`dnf tuxcare VERB`: dnf's phases around the library's verbs."""

    aliases = ('tuxcare',)
    _verb = None  # type: Any
    # What follows a transaction of its own, once its journal is closed.
    afterwards = None  # type: Any
    summary = 'TuxCare Enterprise Support for AlmaLinux: register, status, FIPS'

    def set_argparser(self, parser: 'Any') -> None:
        """The options of all verbs; which belong to which is checked later, and help is our own."""
        self._run(lambda: self._add_arguments(parser))

    def _add_arguments(self, parser: 'Any') -> None:
        from tuxcare_lib import cli
        for option in cli.all_options():
            kind = {'metavar': option.metavar} if option.metavar else {'action': 'store_true'}
            parser.add_argument(*option.flags, dest='tuxcare_' + option.dest, help=option.help, **kind)
        parser.add_argument('tuxcare_words', nargs='*', metavar='VERB', help='what to do')
        # `dnf help tuxcare` makes the command with the help command in the place of dnf's own object.
        optparser = getattr(self.cli, 'optparser', None) or self.cli.cli.optparser
        optparser.format_help = lambda: cli.help_text(cli.verb_in(self.base.args))

    def pre_configure(self) -> None:
        self._run(self._make_verb)

    def _make_verb(self) -> None:
        from tuxcare_lib.adapter.verb import DnfVerb
        self._verb = DnfVerb(self.cli, self.opts, self.base.conf.installroot)

    def configure(self) -> None:
        if self._verb is not None:  # dnf's shell knows no pre_configure
            self._run(self._verb.configure)

    def run(self) -> None:
        """The verb, with its own transaction where it needs one; then what follows that."""
        if self._verb is None:
            raise dnf.exceptions.Error('`tuxcare` is no command of dnf\'s shell. Run `dnf tuxcare` by itself.')
        self._run(self._verb.run)
        if self.afterwards is not None:
            _told(self.afterwards)

    def leaves_fips(self) -> bool:
        """Whether the verb takes the validated packages back itself."""
        return self._verb is not None and self._verb.leaves_fips

    def _run(self, step: 'Callable[[], None]') -> None:
        """dnf's own errors go on as they are; anything else is told in one line instead of a traceback."""
        error = _caught(step)
        if isinstance(error, dnf.exceptions.Error):
            raise error
        if error is not None:
            raise dnf.exceptions.Error('tuxcare: {}'.format(_words(error)))


class _Hooks(object):
    """The hooks. None of them raises before `resolved`: reading commands go on whatever is broken.

    No plugin by itself: that is the last word of the file, so one which was cut has none in it (`tuxcare_sentinel`).
    """

    @classmethod
    def read_config(cls, conf: 'Any') -> 'Any':
        """An unreadable configuration must not end every dnf command; on a registered host the guard tells what is wrong.

        Read from its own place alone, since a folder that one command names (`pluginconfpath`) must not switch the guard off.
        """
        paths = [os.path.join(root, _CONFIGURATION) for root in (conf.installroot, '/')]
        parser = libdnf.conf.ConfigParser()
        try:
            parser.read(next((path for path in paths if os.path.isfile(path)), '/dev/null'))
            if parser.has_section('main') and parser.has_option('main', 'enabled'):
                parser.getboolean('main', 'enabled')
            return parser
        except (RuntimeError, ValueError):
            return libdnf.conf.ConfigParser()

    def __init__(self, base: dnf.Base, cli: 'Any') -> None:
        super(_Hooks, self).__init__(base, cli)
        self._guard = None  # type: Any
        self._aftermath = None  # type: Any
        self._failure = ''
        self._root = None  # type: Any
        self._command_line = _CommandLine(cli)
        if cli is not None:
            cli.register_command(TuxcareCommand)
            logging.getLogger('dnf').addFilter(self._command_line)

    def pre_config(self) -> None:
        """Before the repository files are read: is this host ours, and the variables for them."""
        logging.getLogger('dnf').removeFilter(self._command_line)
        if self.cli is not None and self.base.conf.installroot != '/':
            logging.getLogger('dnf').addFilter(_Aimed(self.base.conf.installroot))
        self._attempt(self._start)

    def config(self) -> None:
        """Repositories are known: those past the pin are disabled by their addresses."""
        self._start_late()
        if self._guard:
            aloud = not isinstance(getattr(self.cli, 'command', None), TuxcareCommand)
            self._attempt(lambda: self._guard.look_at_repositories(self.base, aloud))
        if self._failure:  # no transaction will pass; what only reads goes on without the repositories that do not answer
            for repo in self.base.repos.iter_enabled():
                repo.skip_if_unavailable = True
                if any('$tuxcare_' in url for url in repo.baseurl):
                    repo.disable()

    def sack(self) -> None:
        """Packages are known: those past the pin are hidden."""
        self._start_late()
        if self._guard:
            self._guard.is_lifted = self._is_lifted()
            self._attempt(lambda: self._guard.hide(self.base, self._specs()))

    def _specs(self) -> 'Iterable[str]':
        """The packages that the command line asks to install, upgrade or the like."""
        command = getattr(self.cli, 'command', None)
        is_plan = command is not None and self.cli.demands.resolving
        return getattr(command.opts, 'pkg_specs', None) or () if is_plan else ()

    def _is_lifted(self) -> bool:
        """Whether this is one of our own verbs that leave FIPS mode."""
        command = getattr(self.cli, 'command', None)
        return isinstance(command, TuxcareCommand) and command.leaves_fips()

    def resolved(self) -> None:
        """The plan is made: the last word over it."""
        self._last_word(lambda: self._guard.check_plan(self.base))

    def pre_transaction(self) -> None:
        """rpm's transaction is made: the last word over what it really installs."""
        self._last_word(self._before_rpm)

    def transaction(self) -> None:
        """rpm is done: files that came with packages are switched, our record follows a move."""
        command = getattr(self.cli, 'command', None)
        if self._aftermath is not None and isinstance(command, TuxcareCommand):
            command.afterwards = self._aftermath.finish
        elif self._aftermath is not None:
            _told(self._aftermath.finish)

    def _before_rpm(self) -> None:
        self._guard.check_packages(self.base)
        from tuxcare_lib.adapter.aftermath import Aftermath  # now: rpm may be about to replace it
        self._aftermath = Aftermath(self._root, self._guard)

    def _start(self) -> None:
        self._root = _registered_root(self.base.conf)
        if self._root:
            from tuxcare_lib.adapter.guard import Guard
            self._guard = Guard(self._root, self.base.conf)
            self._guard.inject(self.base.conf.substitutions)

    def _start_late(self) -> None:
        """A caller of the Python API may leave hooks out."""
        if self._root is None and not self._failure:
            self._attempt(self._start)

    def _attempt(self, step: 'Callable[[], None]') -> None:
        """A failure is kept for the last word, which refuses; here it must not stop a command that only reads."""
        error = _caught(step)
        if error is not None:
            self._guard = None
            self._failure = _words(error)

    def _last_word(self, step: 'Callable[[], None]') -> None:
        """No plan passes on a guard that failed; a plan that is refused does not stop the next one (dnf's shell, the API)."""
        self._start_late()
        failure = self._failure
        if self._guard is not None:
            error = _caught(step)
            failure = _words(error) if error is not None else ''
        if failure:
            raise dnf.exceptions.Error('tuxcare: {}'.format(failure))


class TuxcarePlugin(_Hooks, dnf.Plugin):
    """What dnf finds."""

    name = 'tuxcare'


IS_WHOLE = True
