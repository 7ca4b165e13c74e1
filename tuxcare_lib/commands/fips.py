# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare fips enable`: what to do before dnf's transaction, and what after it."""

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Sequence, Tuple

from tuxcare_lib import boot, executor, facts as gathering, fips, journal, messages, planner
from tuxcare_lib.commands import Context, exclusive, intact
from tuxcare_lib.errors import CommandError, StateError
from tuxcare_lib.fips import Boot
from tuxcare_lib.host import Facts, Kept
from tuxcare_lib.model import Change, PackageSet, Plan, Report
from tuxcare_lib.report import plan_report

if TYPE_CHECKING:
    from tuxcare_lib import rpmdb


class Prepared(NamedTuple):
    """What is known before the transaction: the set, its packages, and which of them are not installed yet."""

    facts: Facts
    wanted: PackageSet
    specs: Tuple[str, ...]
    missing: Tuple[str, ...]
    commands: Tuple[Tuple[str, ...], ...]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.missing and not self.commands


def prepare(context: Context) -> Prepared:
    """Read the host and choose the packages. Raises NotRegisteredError, HostError, CommandError; changes nothing."""
    from tuxcare_lib import rpmdb  # rpm: not for verbs that need no packages
    facts = gathering.gather(context.root, context.architecture)
    intact(facts)
    wanted = fips.package_set(facts, context.catalogue)
    names = [name for nevr in (wanted.kernel,) + wanted.modules for name in (fips.name_of(nevr), fips.name_of(nevr) + '-libs')]
    found = rpmdb.installed(context.root, names)
    specs = fips.specs(wanted, {(package.name, package.architecture) for package in found})
    missing = tuple(spec for spec in specs if not any(_satisfies(package, spec) for package in found))
    state = boot.read(context.root)
    if not state.default_kernel:
        raise CommandError('The boot loader cannot be read: grubby names no default kernel.',
                           'FIPS mode needs a host that boots by itself; install grubby, or run this outside a container.')
    return Prepared(facts, wanted, specs, missing, fips.commands(wanted, state))


def _satisfies(package: 'rpmdb.Package', spec: str) -> bool:
    """The validated build itself, or a later FIPS build of the vendor's: its patches keep to FIPS (DESIGN 4, rule 9)."""
    from tuxcare_lib import rpmdb
    nevr, _, architecture = spec.rpartition('.')
    if (package.name, package.architecture) != (fips.name_of(nevr), architecture):
        return False
    wanted = fips.evr(nevr)
    have = (str(package.epoch), package.version, package.release)
    if package.name == 'kernel' or not fips.is_fips_build(package.release):
        return have == wanted
    return rpmdb.compare(have, wanted) >= 0


def dry_run(prepared: Prepared, transaction: Sequence[str]) -> Report:
    """The plan; `transaction` has the packages as dnf resolved them."""
    change = fips.repository_change(prepared.facts)
    return plan_report('fips enable', Plan(changes=(change,) if change else (), packages=tuple(transaction),
                                           commands=prepared.commands))


def finish(context: Context, prepared: Prepared) -> Report:
    """After the transaction: the repository, the default kernel, the mode.

    Raises CommandError; then the packages are installed and running the command again goes on from there.
    """
    with exclusive(context):
        done: List[Tuple[str, ...]] = []
        for command in fips.commands(prepared.wanted, boot.read(context.root)):
            context.console.say('Running: ' + ' '.join(command))
            executor.run(context.root, command)
            done.append(command)
        state = _verified(context, prepared)
        _enable_repository(context)
    return _report(prepared, done, state)


def _verified(context: Context, prepared: Prepared) -> Boot:
    """What the programs said they did, seen in the boot loader's own entry (a silent failure would show at boot)."""
    state = boot.read(context.root)
    if state.default_kernel != fips.kernel_image(prepared.wanted) or not fips.will_be_on(state):
        raise CommandError('The boot loader did not take the change: default kernel {}, arguments {!r}, policy {}.'.format(
            state.default_kernel or 'unknown', state.arguments, state.policy or 'unknown'),
            'Look at `grubby --info=DEFAULT` and `fips-mode-setup --check`.')
    return state


def _enable_repository(context: Context) -> None:
    facts = gathering.gather(context.root, context.architecture)
    change = fips.repository_change(facts)
    if change is None:
        return
    if facts.registration is None:
        raise StateError('The registration is gone.', messages.REGISTER_HINT)
    kept = tuple(entry._replace(after=change.after) if _is_as_left(entry, change) else entry for entry in facts.kept)
    changes: List[Change] = [change]
    changes += planner.recorded(facts, facts.registration, kept)
    journal.apply(context.root, 'dnf tuxcare fips enable', changes)


def _is_as_left(entry: Kept, change: Change) -> bool:
    return bool(entry.path == change.path and entry.after and change.before and entry.after.data == change.before.data)


def _report(prepared: Prepared, done: Sequence[Tuple[str, ...]], state: Boot) -> Report:
    lines = ['The FIPS-validated packages are installed ({}).'.format(len(prepared.specs))]
    pending = not (state.mode_on and prepared.wanted.kernel.endswith(state.running_kernel.rsplit('.', 1)[0]))
    if pending:
        lines.append(messages.REBOOT.format(kernel=fips.kernel_image(prepared.wanted)))
    else:
        lines.append('FIPS mode is on.')
    document: Dict[str, Any] = {'command': 'fips enable', 'exit_status': 0, 'changed': bool(prepared.missing or done),
                'packages': list(prepared.specs), 'installed': list(prepared.missing),
                'commands': [list(command) for command in done], 'reboot': pending}
    return Report(tuple(lines), document)
