# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare fips enable`: what it takes beside dnf's transaction."""

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Sequence, Tuple

from tuxcare_lib import boot, facts as gathering, fips, messages, planner
from tuxcare_lib.circumstances import BOOT_SIZE
from tuxcare_lib.commands import Context, intact
from tuxcare_lib.errors import Check, DeclinedError
from tuxcare_lib.host import FIPS_STATE, Facts, Kept
from tuxcare_lib.model import Boot, Change, PackageSet, Plan, Report, Work
from tuxcare_lib.report import check_documents, check_lines, plan_report

if TYPE_CHECKING:
    from tuxcare_lib import rpmdb


class Prepared(NamedTuple):
    """What is known before the transaction: the set, its packages, and which of them are not installed yet.

    `boot` is how the host boots now, `is_remembered` whether it is known how it did before FIPS mode.
    """

    facts: Facts
    boot: Boot
    is_remembered: bool
    wanted: PackageSet
    specs: Tuple[str, ...]
    missing: Tuple[str, ...]
    commands: Tuple[Tuple[str, ...], ...]

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.missing and not self.commands


def prepare(context: Context) -> Prepared:
    """Read the host and choose the packages. Raises NotRegisteredError or HostError; changes nothing."""
    from tuxcare_lib import rpmdb  # rpm: not for verbs that need no packages
    facts = gathering.gather(context.root, context.architecture)
    intact(facts)
    wanted = fips.package_set(facts, context.catalogue)
    names = [name for nevr in (wanted.kernel,) + wanted.modules for name in (fips.name_of(nevr), fips.name_of(nevr) + '-libs')]
    found = rpmdb.installed(context.root, names)
    specs = fips.specs(wanted, {(package.name, package.architecture) for package in found})
    missing = tuple(spec for spec in specs if not any(_satisfies(package, spec) for package in found))
    state = boot.read(context.root)
    return Prepared(facts, state, fips.remembered(context.root.read(FIPS_STATE)) is not None, wanted, specs, missing,
                    fips.commands(fips.kernel_image(wanted), state))


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


def needs(context: Context, prepared: Prepared, cache: str, download: int, installed: int) -> List[Tuple[str, str, int]]:
    """The room that it takes, for `circumstances.rooms`: dnf's own figures, and /boot where the kernel comes anew."""
    has_kernel = not any(fips.name_of(spec) == 'kernel' for spec in prepared.missing)
    sizes = (('/usr', installed), ('/boot', 0 if has_kernel else BOOT_SIZE))
    return [(path, context.root.real(path), size) for path, size in sizes] + [(cache, cache, download)]


def consent(context: Context, found: Sequence[Check]) -> None:
    """Show what the checks found, and ask whether to go on all the same. Raises DeclinedError."""
    for line in check_lines(found):
        context.console.warn(line)
    if found and not context.console.ask(messages.FIPS_WARNED):
        raise DeclinedError('Nothing was changed.')


def dry_run(context: Context, prepared: Prepared, transaction: Sequence[str], found: Sequence[Check]) -> Report:
    """What the checks found, and the plan; `transaction` has the packages as dnf resolved them."""
    plan = plan_report('fips enable', Plan(changes=tuple(changes(context, prepared)), packages=tuple(transaction),
                                           commands=prepared.commands))
    return plan._replace(lines=check_lines(found) + plan.lines, document=dict(plan.document, checks=check_documents(found)))


def changes(context: Context, prepared: Prepared) -> List[Change]:
    """The files: the FIPS repository enabled, and how the host booted before. Raises StateError."""
    facts = prepared.facts
    found: List[Change] = []
    change = fips.repository_change(facts)
    if change is not None and facts.registration is not None:
        kept = tuple(entry._replace(after=change.after) if _is_as_left(entry, change) else entry for entry in facts.kept)
        found += [change] + planner.recorded(facts, facts.registration, kept)
    if not prepared.is_remembered:
        found.append(Change(FIPS_STATE, None, fips.render(prepared.boot)))
    return found


def work(prepared: Prepared, planned: Work) -> Work:
    """The whole of the work: dnf's plan, and the kernel that is started in FIPS mode then."""
    return planned._replace(boot=prepared.boot, kernel=fips.kernel_image(prepared.wanted), is_done=not prepared.missing)


def _is_as_left(entry: Kept, change: Change) -> bool:
    return bool(entry.path == change.path and entry.after and change.before and entry.after.data == change.before.data)


def report(context: Context, prepared: Prepared, done: Sequence[Tuple[str, ...]], found: Sequence[Check]) -> Report:
    """What was done: `done` are the programs that were run."""
    state = boot.read(context.root)
    lines = ['The FIPS-validated packages are installed ({}).'.format(len(prepared.specs))]
    pending = not (state.mode_on and prepared.wanted.kernel.endswith(state.running_kernel.rsplit('.', 1)[0]))
    if pending:
        lines.append(messages.REBOOT.format(kernel=fips.kernel_image(prepared.wanted)))
    else:
        lines.append('FIPS mode is on.')
    document: Dict[str, Any] = {'command': 'fips enable', 'exit_status': 0, 'changed': bool(prepared.missing or done),
                'packages': list(prepared.specs), 'installed': list(prepared.missing),
                'commands': [list(command) for command in done], 'reboot': pending, 'checks': check_documents(found)}
    return Report(tuple(lines), document)
