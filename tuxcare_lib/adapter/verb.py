# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare` in dnf's phases: configure (demands), run (the verb, packages included).

Package work is dnf's own transaction (`packages`), run by the verb itself: what is cut off or fails in it is told with an exit
status of its own, which dnf's main() does not know.
"""

import datetime
import importlib
import logging
import os
import resource
from typing import Any, Callable, Dict, Optional, Sequence

import dnf.exceptions

from tuxcare_lib import boot, circumstances, cli, configuration, journal, lock, messages, preflight
from tuxcare_lib.adapter.cache import TokenCaches
from tuxcare_lib.adapter.output import Output
from tuxcare_lib.adapter.packages import Operation, Transaction
from tuxcare_lib.commands import (
    UNINSTALL, Context, exclusive, fips, fips_disable, interruptible, no_copy, recover, recover_first, uninstall)
from tuxcare_lib.console import Console
from tuxcare_lib.errors import (Check, CommandError, DeclinedError, PreflightError, RecoveryError, TuxcareError,
                                UsageError)
from tuxcare_lib.model import Report, Request, Response, Work
from tuxcare_lib.report import check_lines
from tuxcare_lib.rootfs import Root
from tuxcare_lib.settings import Settings, check_proxy, dnf_proxy

logger = logging.getLogger('dnf')


class DnfVerb:
    """One `dnf tuxcare` command line on its way through dnf."""

    def __init__(self, dnf_cli: Any, opts: Any, root: str) -> None:
        self._cli = dnf_cli
        self._base = dnf_cli.base
        self._root = Root(root)
        self._has_sack = False
        self._failure: Optional[TuxcareError] = None
        self._caches: Optional[TokenCaches] = None
        self._checks: Sequence[Check] = ()
        _hide_secrets(dnf_cli)
        # A core would have key and token in it, and may be anybody's to read.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        # Taken out of the environment at once: no program that is started later gets to see it.
        self._key = os.environ.pop('TUXCARE_LICENSE_KEY', None)
        given = {option.dest: getattr(opts, 'tuxcare_' + option.dest) for option in cli.all_options()}
        self._output = Output(given['json'], cli.command_of(opts.tuxcare_words), root)
        try:
            self._options = cli.check(opts.tuxcare_words, given)
            if (self._options.flag('fips') or self._options.command == 'fips enable') and cli.needs_root(self._options):
                self._check_answers()
        except UsageError as error:
            raise self._fatal(error)

    @property
    def leaves_fips(self) -> bool:
        """Whether the verb takes the validated packages back, so that nothing holds them in its own transaction."""
        command = self._options.command
        return command in ('uninstall', 'fips disable') or (command == 'recover' and journal.is_open(self._root))

    # --- phases -----------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Set the demands; they can be set once only, so what packages will be needed is looked at here."""
        demands = self._cli.demands
        demands.root_user = cli.needs_root(self._options)
        if os.geteuid() != 0:
            return
        try:
            needed = self._needs_packages()
        except TuxcareError as error:
            self._failure = error
            return
        demands.available_repos = demands.sack_activation = self._has_sack = needed
        self._caches = TokenCaches(self._base)

    def _needs_packages(self) -> bool:
        """Whether the verb has work for dnf; where it has, the repositories are those it takes packages from."""
        name = self._options.verb.name if self._options.verb else ''
        if name == 'recover':
            if not recover.packages_are_half(self._context()):
                return False
            if journal.opened(self._root).verb != fips.VERB:  # it may have disabled them in the files already
                self._switch_repositories(lambda entry: True if entry.fips else None)
            return self._let_go()
        if name not in ('fips', 'uninstall') or not cli.needs_root(self._options):
            return False
        recover_first(self._context())
        if self.leaves_fips:
            self._switch_repositories(lambda entry: False)
            prepare = uninstall.prepare if name == 'uninstall' else fips_disable.prepare
            needed = prepare(self._context()).needs_packages
            return needed and self._let_go()
        self._switch_repositories(lambda entry: True if entry.fips else None)
        prepared = fips.prepare(self._context())
        return prepared.needs_packages

    def run(self) -> None:
        """The verb itself."""
        try:
            if self._failure is not None:
                raise self._failure
            self._run()
            if self._caches is not None:
                self._caches.clear(self._root)
        except TuxcareError as error:
            self._refuse(error)

    # --- what they do -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        verb = self._options.verb
        if verb is None:
            self._present(Report(tuple(cli.overview().split('\n')), {
                'command': None, 'exit_status': 0, 'verbs': [known.name for known in cli.VERBS]}))
        elif self._options.command == 'fips enable':
            self._run_fips()
        elif self._options.command == 'fips disable':
            self._run_disable()
        elif verb.name == 'uninstall':
            self._run_uninstall()
        else:
            context = self._context()
            if verb.name == 'recover' and self._has_sack and not self._recover_packages(context):
                return
            if verb.changes and cli.needs_root(self._options) and verb.name != 'recover':
                recover_first(context)
            module = verb.name if verb.name != 'fips' else 'fips_' + self._options.words[0]
            self._present(importlib.import_module('tuxcare_lib.commands.' + module).run(context))
            if self._options.flag('fips') and not self._options.flag('dry_run'):
                self._go_on_with_fips()

    def _run_fips(self) -> None:
        context = self._context()
        if self._options.flag('dry_run'):
            prepared = fips.prepare(context)
            transaction = self._checked(context, prepared)
            self._present(fips.dry_run(context, prepared, transaction.lines(), self._checks))
            return
        with exclusive(context):
            prepared = fips.prepare(context)
            done: Sequence[Any] = ()
            if not prepared.is_done:
                transaction = self._checked(context, prepared)
                fips.consent(context, self._checks)
                work = fips.work(prepared, transaction.work())
                done = Operation(context, fips.VERB, prepared.changes, work).carry_out(transaction)
            report = fips.report(context, prepared, done, self._checks)
        self._present(report)

    def _checked(self, context: Context, prepared: fips.Prepared) -> 'Transaction':
        """The transaction, resolved, and in `_checks` what was found. Raises PreflightError, before dnf resolves if it can."""
        if prepared.is_done:
            return Transaction(self._cli)
        here = circumstances.read(context.root, prepared.boot, prepared.wanted, context.catalogue)
        self._checks = preflight.checks(here)
        preflight.stop(self._checks)
        transaction = self._planned(prepared)
        needs = fips.needs(context, prepared, self._base.conf.cachedir, *transaction.sizes())
        self._checks = preflight.checks(here._replace(
            planned=transaction.work().install, rooms=circumstances.rooms(needs)))
        preflight.stop(self._checks)
        return transaction

    def _planned(self, prepared: fips.Prepared) -> 'Transaction':
        """The transaction that installs the set, resolved."""
        transaction = Transaction(self._cli)
        self._check_sack(prepared.needs_packages)
        if prepared.needs_packages:
            transaction.install(prepared.missing)
            transaction.follow(prepared.optional)
            transaction.erase(prepared.shells)
            transaction.resolve()
        return transaction

    def _check_sack(self, needed: bool) -> None:
        if needed and not self._has_sack:
            raise CommandError('The host changed while the command was starting.', 'Run the command again.')

    def _go_on_with_fips(self) -> None:
        """`register --fips`: the repositories are new, so dnf reads them anew in the same process."""
        logger.info('The FIPS-validated packages come next; if that is not finished, `dnf tuxcare fips enable` goes on.')
        self._base.reset(repos=True, sack=True)
        for plugin_step in (self._base.pre_configure_plugins, self._base.read_all_repos, self._base.configure_plugins):
            plugin_step()
        self._switch_repositories(lambda entry: True if entry.fips else None)
        self._base.fill_sack()
        self._has_sack = True
        self._run_fips()

    def _run_disable(self) -> None:
        context = self._context()
        prepared = fips_disable.prepare(context)
        if self._options.flag('dry_run'):
            self._present(fips_disable.dry_run(context, prepared, self._planned_back(prepared).lines()))
            return
        if fips_disable.is_done(context, prepared):
            self._present(fips_disable.done_already(prepared))
            return
        self._check_answers()
        if not context.console.ask(fips_disable.question(prepared)):
            raise DeclinedError('Nothing was changed.')
        with exclusive(context):
            facts = prepared.facts
            prepared, planned = self._go_back(context, fips_disable.VERB, fips_disable.prepare)
        self._present(fips_disable.finish(context, prepared, planned, facts))

    def _run_uninstall(self) -> None:
        context = self._context()
        prepared = uninstall.prepare(context)
        if self._options.flag('dry_run'):
            self._present(uninstall.dry_run(context, prepared, self._planned_back(prepared).lines()))
            return
        if prepared.is_done:
            self._present(uninstall.done_already(context, prepared))
            return
        no_copy(context, prepared.facts)
        self._check_answers()
        if not context.console.ask(uninstall.question(prepared)):
            raise DeclinedError('Nothing was changed.')
        with exclusive(context):
            prepared, planned = self._go_back(context, UNINSTALL, uninstall.prepare)
        self._present(uninstall.finish(context, prepared, planned))

    def _go_back(self, context: Context, verb: str, prepare: Callable[[Context], uninstall.Prepared]) -> 'Any':
        """Out of FIPS mode, and packages back to the community's. Returns what was prepared, and what was done with packages."""
        prepared = prepare(context)
        transaction = self._planned_back(prepared)
        planned = transaction.work()
        if prepared.needs_kernel:  # first, so that there is one to boot when the mode is left
            Operation(context, verb, (), planned).carry_out(transaction)
            prepared, transaction = prepare(context), Transaction(self._cli)
        Operation(context, verb, uninstall.changes(context, prepared, verb), uninstall.work(prepared, transaction.work()),
                  lambda: boot.leave(context.root, prepared.target, context.console.say)).carry_out(transaction)
        return prepared, planned

    def _planned_back(self, prepared: uninstall.Prepared) -> 'Transaction':
        """The transaction that brings the community's builds back, or only a kernel of theirs; resolved."""
        transaction = Transaction(self._cli)
        self._check_sack(prepared.needs_packages)
        if prepared.needs_kernel:
            transaction.install_community(uninstall.KERNEL, self._base.conf.basearch)
        elif prepared.needs_packages:
            transaction.replace_by_community(prepared.packages, uninstall.community_repositories(self._context(), prepared))
        if prepared.needs_packages:
            transaction.resolve()
        return transaction

    def _recover_packages(self, context: Context) -> bool:
        """The packages of an operation that was cut off: all there, or as before. False where it was a dry run."""
        transaction = Transaction(self._cli)
        dry = self._options.flag('dry_run')
        with lock.held(context.root, context.wait, context.console.warn), interruptible():
            found = journal.opened(context.root)
            forward = _resolve_either(transaction, found.work, context)
            if dry:
                self._present(recover.dry_run(found, transaction.lines(), forward))
                return False
            recover.carry_out(context, found, forward, transaction.run)
            if found.verb == fips.VERB and forward:
                transaction.keep(fips.module_names(context.catalogue))
        return True

    def _switch_repositories(self, wanted: 'Callable[[Any], Optional[bool]]') -> None:
        """Enable or disable the vendor's own repositories for this process, by what the catalogue says of them."""
        entries = {entry.id: entry for entry in configuration.read(self._root.path)[0].repositories}
        for repo in self._base.repos.all():
            choice = wanted(entries[repo.id]) if repo.id in entries else None
            if choice is not None:
                repo.enable() if choice else repo.disable()

    def _let_go(self) -> bool:
        """What the file layer of the hold excludes is let in, for this process. Returns True."""
        catalogue = configuration.read(self._root.path)[0]
        names = {name for found in catalogue.package_sets for name in found.holds}
        for repo in self._base.repos.all():
            repo.excludepkgs = [entry for entry in repo.excludepkgs if entry.partition('-*-')[0] not in names]
        return True

    def _check_answers(self) -> None:
        """Whether what is about to be done needs no answer of a person. Raises UsageError."""
        conf = self._base.conf
        if self._output.json and not (conf.assumeyes or conf.assumeno or self._options.flag('dry_run')):
            raise UsageError('With --json nobody can be asked about a transaction.', 'Add -y, --assumeno or --dry-run.')

    def _context(self) -> Context:
        conf = self._base.conf
        catalogue, settings = configuration.read(self._root.path)
        say = logger.info if Console.is_interactive() else logger.debug  # of waiting: only who looks wants to know
        assume = False if conf.assumeno else True if conf.assumeyes else None
        return Context(
            root=self._root, catalogue=catalogue, settings=settings,
            console=Console(logger.info, logger.warning, assume), options=self._options,
            architecture=conf.basearch, licence_key=self._key, send=_Sender(settings, _network(conf), say).send,
            now=_now, wait=not conf.exit_on_lock,
            cache=conf.cachedir if os.geteuid() == 0 else conf.system_cachedir,
            repositories=tuple((repo.id, repo.name) for repo in self._base.repos.iter_enabled()))

    # --- what is said -----------------------------------------------------------------------------------------------

    def _present(self, result: Report) -> None:
        self._cli.demands.success_exit_status = result.status
        self._output.report(result)

    def _refuse(self, error: TuxcareError) -> None:
        """An error with an exit status of its own; dnf's main() would turn every exception into 1."""
        error.checks = error.checks or self._checks
        if isinstance(error, PreflightError) and len(error.checks) > 1:  # a single one is the error itself
            for line in check_lines(error.checks):
                logger.warning(messages.clean(line))
        if error.status == 1:
            raise self._fatal(error)
        logger.critical('Error: %s', messages.clean(str(error)))
        self._output.error(error)
        self._cli.demands.success_exit_status = error.status

    def _fatal(self, error: TuxcareError) -> dnf.exceptions.Error:
        self._output.error(error)
        logger.debug('tuxcare: %s', error.code, exc_info=True)
        return dnf.exceptions.Error(messages.clean(str(error)))


class _Sender:
    """The transport, made at the first request: most verbs need no network, and requests is slow to import."""

    def __init__(self, settings: Settings, network: Dict[str, Any], say: Callable[[str], None]) -> None:
        self._settings = settings
        self._network = network
        self._say = say
        self._transport: Any = None

    def send(self, request: Request) -> Response:
        if self._transport is None:
            from tuxcare_lib.transport import Network, Transport
            if not self._network['verify'] and not (self._settings.ca_file or self._network['ca_file']):
                logger.warning('sslverify is off in dnf.conf: whoever is on the way can read the licence key and the token.')
            if self._network['proxy'] and not self._settings.proxy:
                check_proxy(self._network['proxy'])
            self._transport = Transport(Network(
                ca_file=self._settings.ca_file or self._network['ca_file'],
                verify=self._network['verify'], proxy=self._settings.proxy or self._network['proxy'],
                timeout=self._settings.timeout, retries=self._settings.retries), say=self._say)
        answer: Response = self._transport.send(request)
        return answer


def _network(conf: Any) -> Dict[str, Any]:
    """dnf's own proxy (with its user and password) and certificates, for our transport."""
    user = conf.proxy_username if conf.proxy_auth_method in ('any', 'basic') else ''  # Basic is all that our transport knows
    return {'proxy': dnf_proxy(conf.proxy or '', user or '', conf.proxy_password or ''),
            'ca_file': conf.sslcacert or '', 'verify': bool(conf.sslverify)}


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


def _hide_secrets(dnf_cli: Any) -> None:
    """Take a licence key out of what dnf writes into its history: it keeps the command line of a transaction."""
    arguments = cli.masked(dnf_cli.base.args or ())
    dnf_cli.base.args = arguments
    dnf_cli.cmdstring = ' '.join([dnf_cli.cmdstring.partition(' ')[0]] + arguments) + ' '


def _resolve_either(transaction: Transaction, work: Work, context: Context) -> bool:
    """A plan that finishes the packages, or where there is none, one that takes them back. Returns whether it is the former.

    Raises RecoveryError where there is neither.
    """
    try:
        transaction.make_true(work.install, work.erase)
        transaction.resolve()
        return True
    except CommandError as error:
        context.console.warn('The packages cannot be finished: {} They are taken back.'.format(error.message))
    transaction.forget()
    try:
        left = transaction.make_true(work.erase, work.install)
        if left:
            context.console.warn('Then run: dnf reinstall {} (files of them may be of the other build).'.format(' '.join(left)))
        transaction.resolve()
    except CommandError as error:
        raise RecoveryError('The packages can neither be finished nor taken back: {}'.format(error.message),
                            'Enable the repositories that have them, and run `dnf tuxcare recover` again.')
    return False
