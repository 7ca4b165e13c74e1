# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare` in dnf's phases: configure (demands), run (the verb, or marking packages), run_transaction (what follows).

Package work is dnf's own transaction: it resolves, shows, asks, downloads and runs it.
"""

import datetime
import importlib
import logging
import os
import sys
from typing import Any, Dict, List, Optional, Sequence

import dnf
import dnf.exceptions

from tuxcare_lib import cli, configuration
from tuxcare_lib.adapter.output import Output
from tuxcare_lib.commands import Context, recover_first
from tuxcare_lib.commands import fips as fips_command
from tuxcare_lib.console import Console
from tuxcare_lib.errors import CommandError, TuxcareError, UsageError
from tuxcare_lib.model import Report, Request, Response
from tuxcare_lib.rootfs import Root
from tuxcare_lib.settings import Settings

logger = logging.getLogger('dnf')


class DnfVerb:
    """One `dnf tuxcare` command line on its way through dnf."""

    def __init__(self, dnf_cli: Any, opts: Any, root: str) -> None:
        self._cli = dnf_cli
        self._base = dnf_cli.base
        self._root = Root(root)
        self._prepared: Optional[fips_command.Prepared] = None
        self._failure: Optional[TuxcareError] = None
        _hide_secrets(dnf_cli)
        # Taken out of the environment at once: no program that is started later gets to see it.
        self._key = os.environ.pop('TUXCARE_LICENSE_KEY', None)
        given = {option.dest: getattr(opts, 'tuxcare_' + option.dest) for option in cli.all_options()}
        self._output = Output(given['json'], cli.command_of(opts.tuxcare_words))
        try:
            self._options = cli.check(opts.tuxcare_words, given)
            self._check_package_verb()
        except UsageError as error:
            raise self._fatal(error)

    # --- phases -----------------------------------------------------------------------------------------------------

    def configure(self) -> None:
        """Set the demands; they can be set once only, so what `fips enable` will do is looked at here."""
        verb = self._options.verb
        demands = self._cli.demands
        demands.root_user = cli.needs_root(self._options)
        if not self._is_package_verb() or os.geteuid() != 0:
            return
        if verb and verb.name == 'fips':
            try:
                recover_first(self._context())
                self._prepared = fips_command.prepare(self._context())
            except TuxcareError as error:
                self._failure = error
                return
            if self._prepared.is_done and not self._options.flag('dry_run'):
                return
            self._enable_fips_repository()
            demands.available_repos = True
            demands.sack_activation = True
        demands.resolving = not self._options.flag('dry_run')

    def run(self) -> None:
        """The verb itself, or the packages that dnf's transaction is to have."""
        try:
            if self._failure is not None:
                raise self._failure
            self._run()
        except TuxcareError as error:
            self._refuse(error)

    def run_transaction(self) -> None:
        """What follows the packages: boot loader, FIPS mode."""
        if self._prepared is None:
            return
        if self._base.conf.downloadonly or 'test' in self._base.conf.tsflags:
            raise self._fatal(CommandError('The packages are not installed (--downloadonly, tsflags=test), so FIPS mode is not '
                                           'enabled.', 'Run `dnf tuxcare fips enable` without that option.'))
        try:
            self._present(fips_command.finish(self._context(), self._prepared))
        except TuxcareError as error:
            raise self._fatal(error)

    # --- what they do -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        verb = self._options.verb
        if verb is None:
            self._present(Report(tuple(cli.overview().split('\n')), {
                'command': None, 'exit_status': 0, 'verbs': [known.name for known in cli.VERBS]}))
        elif verb.name == 'fips':
            self._run_fips()
        else:
            context = self._context()
            if verb.changes and verb.name != 'recover':
                recover_first(context)
            self._present(importlib.import_module('tuxcare_lib.commands.' + verb.name).run(context))
            if self._options.flag('fips') and not self._options.flag('dry_run'):
                self._go_on_with_fips()

    def _run_fips(self) -> None:
        prepared = self._prepared
        assert prepared is not None
        if prepared.is_done and not self._options.flag('dry_run'):
            self._present(fips_command.finish(self._context(), prepared))
            self._prepared = None
            return
        self._mark(prepared.missing)
        if self._options.flag('dry_run'):
            self._base.resolve(self._cli.demands.allow_erasing)
            self._present(fips_command.dry_run(prepared, _planned(self._base)))
            self._prepared = None

    def _go_on_with_fips(self) -> None:
        """`register --fips`: the repositories are new, so dnf reads them anew in the same process."""
        logger.info('The FIPS-validated packages come next; if that is not finished, `dnf tuxcare fips enable` goes on.')
        self._base.reset(repos=True, sack=True)
        for plugin_step in (self._base.pre_configure_plugins, self._base.read_all_repos, self._base.configure_plugins):
            plugin_step()
        self._prepared = fips_command.prepare(self._context())
        self._enable_fips_repository()
        self._base.fill_sack()
        self._mark(self._prepared.missing)

    def _mark(self, specs: Sequence[str]) -> None:
        for spec in specs:
            try:
                self._base.install(spec)
            except dnf.exceptions.MarkingError:
                raise CommandError('{} is in none of the enabled repositories.'.format(spec),
                                   'Look at `dnf tuxcare status`, or ask the vendor.')

    def _enable_fips_repository(self) -> None:
        fips_ids = {entry.id for entry in configuration.read(self._root.path)[0].repositories if entry.fips}
        for repo in self._base.repos.all():
            if repo.id in fips_ids:
                repo.enable()

    def _is_package_verb(self) -> bool:
        verb = self._options.verb
        return verb is not None and (verb.name == 'fips' or (self._options.flag('fips') and not self._options.flag('dry_run')))

    def _check_package_verb(self) -> None:
        conf = self._base.conf
        if self._output.json and self._is_package_verb() and not (
                conf.assumeyes or conf.assumeno or self._options.flag('dry_run')):
            raise UsageError('With --json nobody can be asked about a transaction.', 'Add -y, --assumeno or --dry-run.')

    def _context(self) -> Context:
        conf = self._base.conf
        catalogue, settings = configuration.read(self._root.path)
        assume = False if conf.assumeno else True if conf.assumeyes else None
        return Context(
            root=self._root, catalogue=catalogue, settings=settings,
            console=Console(logger.info, logger.warning, assume), options=self._options,
            architecture=conf.basearch, licence_key=self._key, send=_Sender(settings, _network(conf)).send,
            now=_now, wait=not conf.exit_on_lock,
            cache=conf.cachedir if os.geteuid() == 0 else conf.system_cachedir)

    # --- what is said -----------------------------------------------------------------------------------------------

    def _present(self, result: Report) -> None:
        self._cli.demands.success_exit_status = result.status
        self._output.report(result)

    def _refuse(self, error: TuxcareError) -> None:
        """An error with an exit status of its own; dnf's main() would turn every exception into 1."""
        if error.status == 1:
            raise self._fatal(error)
        logger.critical('Error: %s', error)
        self._output.error(error)
        self._cli.demands.success_exit_status = error.status

    def _fatal(self, error: TuxcareError) -> dnf.exceptions.Error:
        self._output.error(error)
        logger.debug('tuxcare: %s', error.code, exc_info=True)
        return dnf.exceptions.Error(str(error))


class _Sender:
    """The transport, made at the first request: most verbs need no network, and requests is slow to import."""

    def __init__(self, settings: Settings, network: Dict[str, str]) -> None:
        self._settings = settings
        self._network = network
        self._transport: Any = None

    def send(self, request: Request) -> Response:
        if self._transport is None:
            from tuxcare_lib.transport import Network, Transport
            self._transport = Transport(Network(
                ca_file=self._settings.ca_file or self._network['ca_file'],
                proxy=self._settings.proxy or self._network['proxy'],
                timeout=self._settings.timeout, retries=self._settings.retries))
        answer: Response = self._transport.send(request)
        return answer


def _network(conf: Any) -> Dict[str, str]:
    """dnf's own proxy (with its user and password) and certificates, for our transport."""
    proxy = conf.proxy or ''
    if proxy and conf.proxy_username:
        scheme, _, rest = proxy.partition('://')
        proxy = '{}://{}:{}@{}'.format(scheme, conf.proxy_username, conf.proxy_password or '', rest)
    return {'proxy': proxy, 'ca_file': conf.sslcacert or ''}


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


def _hide_secrets(dnf_cli: Any) -> None:
    """Take a licence key out of what dnf writes into its history: it keeps the command line of a transaction."""
    secrets = cli.secrets_in(sys.argv)
    arguments: List[str] = list(dnf_cli.base.args or ())
    for secret in secrets:
        arguments = [argument.replace(secret, '(hidden)') for argument in arguments]
        dnf_cli.cmdstring = dnf_cli.cmdstring.replace(secret, '(hidden)')
    dnf_cli.base.args = arguments


def _planned(base: dnf.Base) -> List[str]:
    """What the resolved transaction does, one line a package; what an upgrade replaces is not a line of its own."""
    replaced = {item for item in base.transaction if item.action_name in ('Upgraded', 'Downgraded', 'Reinstalled')}
    return sorted('{} {}'.format(item.action_name, item.pkg) for item in base.transaction if item not in replaced)
