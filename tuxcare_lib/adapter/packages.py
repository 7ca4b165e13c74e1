# SPDX-License-Identifier: Apache-2.0
"""Packages by dnf's own transaction: it resolves, shows, asks, downloads and runs it, within an operation of the journal."""

import contextlib
import logging
import os
from typing import Any, Callable, Iterable, List, Optional, Sequence, Tuple

import dnf
import dnf.cli
import dnf.exceptions
import dnf.transaction
import libdnf.transaction

from tuxcare_lib import boot, journal, messages, rootfs, rpmdb
from tuxcare_lib.commands import Context, packages_have_begun
from tuxcare_lib.commands.fips import WAY_BACK, module_names
from tuxcare_lib.errors import CommandError, DeclinedError, RecoveryError, TuxcareError
from tuxcare_lib.fips import is_vendors_build
from tuxcare_lib.model import Change, Work
from tuxcare_lib.rootfs import Root
from tuxcare_lib.rpmdb import Package

logger = logging.getLogger('dnf')

# The package that asks for a kernel and has no file of it; the one that has its image.
_SHELL, _IMAGES = 'kernel', 'kernel-core'


class Transaction:
    """One transaction of one dnf process. Everything here raises CommandError with dnf's own words where dnf refuses."""

    def __init__(self, dnf_cli: Any) -> None:
        self._cli = dnf_cli
        self._base: Any = dnf_cli.base

    # --- what is wanted ---------------------------------------------------------------------------------------------

    def install(self, specs: Iterable[str]) -> None:
        """Mark packages by NEVRA."""
        for spec in specs:
            try:
                self._base.install(spec)
            except dnf.exceptions.MarkingError:
                raise CommandError('{} is in none of the enabled repositories.'.format(spec),
                                   'Look at `dnf tuxcare status` and at excludepkgs of dnf.conf, or ask the vendor.')

    def follow(self, specs: Iterable[str]) -> None:
        """Mark packages that come along where there are any."""
        for spec in specs:
            with contextlib.suppress(dnf.exceptions.MarkingError):
                self._base.install(spec)

    def erase(self, nevras: Iterable[str]) -> None:
        """Mark packages to go, and nothing that came with them: dnf would take what nobody asked for along."""
        self._base.conf.clean_requirements_on_remove = False
        for nevra in nevras:
            for package in self._base.sack.query().installed().filter(**_fields(nevra)):
                self._base.package_remove(package)

    def keep(self, modules: Iterable[str]) -> None:
        """The modules, and of the kernels those that are not TuxCare's, count as installed by the user (FACTS 7).

        So no autoremove takes them, and none goes along with the last package that required it, which the hold would refuse.
        """
        found = self._base.sack.query().installed().filter(name=list(modules) + list(WAY_BACK), arch=self._base.conf.basearch)
        # The sack is of before the transaction, and the history is to name what is there now.
        came = {package.name: package for package in (self._base.transaction.install_set if self._base.transaction else ())
                if package.arch == self._base.conf.basearch and package.name not in WAY_BACK}
        loose = [came.get(package.name, package) for package in found if package.reason != 'user' and not (
            package.name in WAY_BACK and is_vendors_build(package.vendor, package.release))]
        if not loose:
            return
        history = self._base.history
        history.close()  # of the transaction before, in this very process
        last = history.last()
        version = last.end_rpmdb_version if last is not None else self._base._ts.dbCookie()
        for package in loose:
            history.set_reason(package, libdnf.transaction.TransactionItemReason_USER)
        history.beg(version, [], [], cmdline=' '.join(self._base.args or ()))
        history.end(version)

    def make_true(self, install: Iterable[str], erase: Iterable[str]) -> List[str]:
        """Mark exactly these: what is there already is installed again, since a scriptlet of it may not have run.

        Not so beside its predecessor, which is erased then: rpm takes no package twice in one transaction. Returns these.
        """
        present = {package.nevra for package in rpmdb.everything(Root(self._base.conf.installroot))}
        leftover = [package for nevra in erase for package in self._base.sack.query().installed().filter(**_fields(nevra))]
        beside = {(package.name, package.arch) for package in leftover}
        left = []
        for nevra in install:
            fields = _fields(nevra)
            if nevra in present and (fields['name'], fields['arch']) in beside:
                left.append(nevra)
                continue
            found = self._base.sack.query().available().filter(**fields).run()
            if not found:
                raise CommandError('{} is in none of the enabled repositories.'.format(nevra), 'Enable the one that has it.')
            if nevra in present:
                self._base.package_reinstall(found[0])
            else:
                self._base.package_install(found[0])
        for package in leftover:
            self._base.package_remove(package)
        return left

    def replace_by_community(self, packages: Sequence[Package], expected: Iterable[str]) -> None:
        """Mark the newest build of the operating system's own in the place of each; what it has none of goes.

        Raises CommandError where it has none of one and not all `expected` repositories could be read.
        """
        unread = sorted(set(expected) - {repo.id for repo in self._base.repos.iter_enabled()})
        many = self._base.sack.query().installed().filter(provides=list(self._base.conf.installonlypkgs))
        several = {package.name for package in many}
        others = {package.name for package in many if not is_vendors_build(package.vendor, package.release)}
        shell = self._shell_of_installed(many)
        for package in packages:
            ours = self._base.sack.query().installed().filter(**_fields(package.nevra))
            newest = self._community(package.name, package.architecture)
            if package.name == _SHELL and shell is not None:
                newest = shell
            if newest is None and unread:
                raise CommandError('{} has no build of the community in the repositories that were read; not read: {}.'.format(
                    package.nevra, ', '.join(unread)), 'Enable them, or try again when they answer.')
            if newest is None or package.name in several:
                for found in ours:
                    self._base.package_remove(found)
            # Each package of a new kernel is marked: dnf brings no dependency of a name that it erases (tried).
            anew = shell is None and _SHELL not in others and package.name in several
            if newest is not None and (package.name not in others or anew):
                self._base.package_install(newest)

    def _shell_of_installed(self, kernels: Iterable[Any]) -> Optional[Any]:
        """The community's `kernel` of its newest kernel that is installed: without it no later kernel would come."""
        images = [package for package in kernels if package.name == _IMAGES
                  and not is_vendors_build(package.vendor, package.release)]
        newest = max(images, default=None)
        found = self._base.sack.query().available().filter(name=_SHELL, evr=newest.evr, arch=newest.arch) if newest else None
        return found[0] if found else None

    def install_community(self, name: str, architecture: str) -> None:
        """Mark the newest build of the operating system's own. Raises CommandError where there is none."""
        newest = self._community(name, architecture)
        if newest is None:
            raise CommandError('No {} of the community is in the enabled repositories.'.format(name),
                               'Enable the operating system\'s BaseOS repository.')
        self._base.package_install(newest)

    def _community(self, name: str, architecture: str) -> Optional[Any]:
        found = self._base.sack.query().available().filter(name=name, arch=[architecture, 'noarch'])
        return max((package for package in found if not is_vendors_build(package.vendor, package.release)),
                   default=None)

    # --- what comes of it -------------------------------------------------------------------------------------------

    def resolve(self) -> None:
        """Make the plan."""
        try:
            self._base.resolve(self._cli.demands.allow_erasing)
        except dnf.exceptions.DepsolveError as error:
            raise CommandError(_sentence(error), 'Nothing was changed.')

    def work(self) -> Work:
        """The plan: what comes in and what goes, as NEVRA; a reinstallation is neither."""
        actions = dnf.transaction
        items = list(self._base.transaction or ())
        install = {str(item.pkg) for item in items if item.action in actions.FORWARD_ACTIONS}
        erase = {str(item.pkg) for item in items if item.action in actions.BACKWARD_ACTIONS}
        return Work(tuple(sorted(install - erase)), tuple(sorted(erase - install)))

    def sizes(self) -> Tuple[int, int]:
        """Bytes to download (what lies in the cache already is not), and bytes of what is installed."""
        packages = [item.pkg for item in self._base.transaction or () if item.action in dnf.transaction.FORWARD_ACTIONS]
        download = sum(package.downloadsize for package in packages if not os.path.exists(package.localPkg()))
        return download, sum(package.installsize for package in packages)

    def lines(self) -> List[str]:
        """The plan, one line a package; what an upgrade replaces is not a line of its own."""
        actions = dnf.transaction  # a change of reason alone is an item, too, and has no package
        return sorted('{} {}'.format(item.action_name, item.pkg) for item in self._base.transaction or ()
                      if item.action in actions.FORWARD_ACTIONS + [actions.PKG_REMOVE])

    def forget(self) -> None:
        """Marks and plan are gone, for another try."""
        self._base.reset(goal=True)

    def check_options(self) -> None:
        """Raises CommandError where an option keeps dnf from installing anything."""
        if self._base.conf.downloadonly or 'test' in self._base.conf.tsflags:
            raise CommandError('With --downloadonly or tsflags=test the packages are not installed, so nothing was done.',
                               'Run it without that option.')

    def run(self) -> None:
        """Show, ask, download, install, as dnf's own commands do. Raises DeclinedError or CommandError."""
        logger.info('Dependencies resolved.')
        displays = [self._cli.demands.transaction_display] if self._cli.demands.transaction_display is not None else []
        try:
            self._base.do_transaction(display=displays)
        except dnf.cli.CliError as error:
            raise DeclinedError(str(error))
        except dnf.exceptions.TransactionCheckError as error:
            raise CommandError(_sentence(' '.join(self._cli.command.get_error_output(error))))
        except (dnf.exceptions.Error, OSError) as error:
            raise CommandError(_sentence(error))
        rootfs.sync()  # before the journal says that they are there
        logger.info('Complete!')


class Operation:
    """A transaction as an operation of the journal: files, boot and packages are before or after, or `recover` is needed.

    Files change first, then `first` runs, then dnf's transaction; at last the boot loader, where a kernel is to be started in
    FIPS mode.
    """

    def __init__(self, context: Context, verb: str, changes: Sequence[Change], work: Work,
                 first: Callable[[], object] = lambda: None) -> None:
        self._context = context
        self._verb = verb
        self._changes = changes
        self._work = work
        self._first = first

    def carry_out(self, transaction: Transaction) -> List[Any]:
        """Returns the programs that were run at the end. Raises RecoveryError where packages are half there."""
        root = self._context.root
        if not self._work.is_done:
            transaction.check_options()
        journal.begin(root, self._verb, self._changes, work=self._work)
        with self:
            for change in self._changes:
                journal.put(root, change.path, change.after)
            self._first()
            if not self._work.is_done:
                transaction.run()
                if self._work.kernel:  # by now: a run that goes on after one of the programs failed has no packages left
                    transaction.keep(module_names(self._context.catalogue))
                journal.packages_are_done(root)
            done = boot.enter(root, self._work, self._context.console.say) if self._work.kernel else []
        journal.commit(root)
        return done

    def __enter__(self) -> 'Operation':
        return self

    def __exit__(self, kind: object, error: Optional[BaseException], trace: object) -> None:
        if error is None or isinstance(error, RecoveryError):
            return
        found = journal.opened(self._context.root)
        work = found.work
        what = error.message if isinstance(error, TuxcareError) else 'It was interrupted.'
        if not work.is_done and packages_have_begun(self._context.root, found):
            raise RecoveryError('{} The packages of `{}` are installed in part.'.format(what, self._verb), messages.RECOVER_HINT)
        if work.is_done and not work.kernel and (work.install or work.erase):
            # FIPS mode is left, and the kernel that it was of may be gone: there is no way back.
            raise RecoveryError('{} The packages of `{}` are put back, and stay.'.format(what, self._verb), messages.RECOVER_HINT)
        try:
            journal.undo(self._context.root, self._context.console.say)
        except RecoveryError as failed:  # what began it is told first
            raise RecoveryError('{} {}'.format(error, failed.message), failed.remedy)
        if work.is_done and work.install and isinstance(error, TuxcareError):
            error.remedy = 'The packages are installed and stay; run the command again. ' + error.remedy


def _sentence(said: object) -> str:
    """dnf's own words as one line with a full stop."""
    return ' '.join(str(said).split()).rstrip('.') + '.'


def _fields(nevra: str) -> Any:
    """The parts of NAME-[EPOCH:]VERSION-RELEASE.ARCHITECTURE, as a query wants them."""
    nevr, _, architecture = nevra.rpartition('.')
    name, version, release = nevr.rsplit('-', 2)
    epoch, colon, rest = version.partition(':')
    return {'name': name, 'epoch': int(epoch) if colon else 0, 'version': rest if colon else version, 'release': release,
            'arch': architecture}
