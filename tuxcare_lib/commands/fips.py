# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare fips enable`: what it takes beside dnf's transaction."""

from typing import TYPE_CHECKING, Any, Dict, List, NamedTuple, Sequence, Tuple

from tuxcare_lib import boot, evidence, facts as gathering, fips, messages, planner, proof
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.circumstances import BOOT_SIZE, boot_device
from tuxcare_lib.commands import Context, intact
from tuxcare_lib.errors import Check, DeclinedError
from tuxcare_lib.hold import is_fips_build
from tuxcare_lib.host import FIPS_STATE, Facts
from tuxcare_lib.model import Boot, Change, PackageSet, Plan, Report, Work
from tuxcare_lib.report import check_documents, check_lines, plan_report

if TYPE_CHECKING:
    from tuxcare_lib import rpmdb


VERB = 'dnf tuxcare fips enable'
# The community's kernel stays as the way back: what of it has files.
WAY_BACK = ('kernel-core', 'kernel-modules', 'kernel-modules-core')
# What comes along where it is absent, if there is any (FACTS 4: EL 10 has no fips-mode-setup).
_TOOLS = ('grubby', 'crypto-policies-scripts')
# Packages of a kernel that follow it where they are installed.
_FOLLOWERS = ('kernel-modules-extra', 'kernel-devel', 'kernel-headers')


class Prepared(NamedTuple):
    """What is known before the transaction: the set, its packages, and which of them are not installed yet.

    `boot` is how the host boots now, `image` the kernel that is to be started, `arguments` what turns the mode on (empty:
    fips-mode-setup). `optional` come along where there are builds of them; `shells` are the community's `kernel` packages,
    without a file in them, which go. `changes` are the files.
    """

    facts: Facts
    boot: Boot
    wanted: PackageSet
    specs: Tuple[str, ...]
    missing: Tuple[str, ...]
    optional: Tuple[str, ...]
    shells: Tuple[str, ...]
    image: str
    arguments: str
    changes: Tuple[Change, ...]
    is_strict: bool

    @property
    def commands(self) -> Tuple[Tuple[str, ...], ...]:
        """The programs that are run at the end."""
        return fips.commands(self.image, self.boot, self.arguments)

    @property
    def needs_packages(self) -> bool:
        """Whether dnf has a transaction to make."""
        return bool(self.missing or self.shells)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.needs_packages and not self.commands and not self.changes


def module_names(catalogue: Catalogue) -> List[str]:
    """The packages of the validated modules, of all sets."""
    return sorted({fips.name_of(nevr) for entry in catalogue.package_sets for nevr in entry.modules})


def prepare(context: Context) -> Prepared:
    """Read the host and choose the packages. Raises NotRegisteredError, HostError or StateError; changes nothing."""
    from tuxcare_lib import rpmdb  # rpm: not for verbs that need no packages
    facts = gathering.gather(context.root, context.architecture)
    intact(facts)
    wanted = fips.package_set(facts, context.catalogue)
    image_of_hold = facts.images[FIPS_STATE]
    # Once strict it stays so until the mode is left: a remedy that names no option must not loosen it.
    strict = context.options.flag('strict') or fips.has(image_of_hold.data if image_of_hold else None, 'strict')
    names = [name for nevr in (wanted.kernel,) + wanted.modules for name in (fips.name_of(nevr), fips.name_of(nevr) + '-libs')]
    found = rpmdb.installed(context.root, list(dict.fromkeys(names + list(_FOLLOWERS + _TOOLS))))
    specs = fips.specs(wanted, {(package.name, package.architecture) for package in found})
    missing = tuple(spec for spec in specs if not any(_satisfies(package, spec, strict) for package in found))
    state = boot.read(context.root)
    image = fips.image_to_start(wanted, state.default_kernel, strict)
    return Prepared(
        facts, state, wanted, specs, missing, _along(wanted, found),
        tuple(package.nevra for package in found
              if package.name == 'kernel' and not fips.is_vendors_build(package.vendor, package.release)),
        image, fips.arguments_for(image, *boot_device(context.root)),
        tuple(_changes(context, facts, wanted, state, strict)), strict)


def _along(wanted: PackageSet, found: Sequence['rpmdb.Package']) -> Tuple[str, ...]:
    _, version, release = fips.evr(wanted.kernel)
    there = {package.name for package in found}
    builds = {(package.name, package.version, package.release) for package in found}
    followers = ['{}-{}-{}.{}'.format(name, version, release, wanted.architecture) for name in _FOLLOWERS
                 if name in there and (name, version, release) not in builds]
    return tuple(followers + [name for name in _TOOLS if name not in there])


def _satisfies(package: 'rpmdb.Package', spec: str, strict: bool) -> bool:
    """The validated build itself, or a later FIPS build of the vendor's: its patches keep to FIPS (DESIGN 4, rule 9)."""
    from tuxcare_lib import rpmdb
    nevr, _, architecture = spec.rpartition('.')
    if (package.name, package.architecture) != (fips.name_of(nevr), architecture):
        return False
    wanted = fips.evr(nevr)
    have = (str(package.epoch), package.version, package.release)
    if strict or package.name == 'kernel' or not is_fips_build(package.release):
        return have == wanted
    return rpmdb.compare(have, wanted) >= 0


def _changes(context: Context, facts: Facts, wanted: PackageSet, state: Boot, strict: bool) -> List[Change]:
    """The files: other builds held out of the repositories, the FIPS repository enabled, and how the host booted before."""
    image = facts.images[FIPS_STATE]
    before = fips.remembered(image.data if image else None)
    after = fips.render(before or state, strict, fips.has(image.data if image else None, 'told'))
    found = planner.hold_changes(facts, context.catalogue, context.settings, wanted)
    return found + ([Change(FIPS_STATE, image, after)] if image is None or image.data != after.data else [])


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
    plan = plan_report('fips enable', Plan(changes=prepared.changes, packages=tuple(transaction),
                                           commands=prepared.commands))
    return plan._replace(lines=check_lines(found) + plan.lines, document=dict(plan.document, checks=check_documents(found)))


def work(prepared: Prepared, planned: Work) -> Work:
    """The whole of the work: dnf's plan, and the kernel that is started in FIPS mode then."""
    return planned._replace(boot=prepared.boot, kernel=prepared.image, arguments=prepared.arguments,
                            is_done=not prepared.needs_packages)


def report(context: Context, prepared: Prepared, done: Sequence[Tuple[str, ...]], found: Sequence[Check]) -> Report:
    """What was done: `done` are the programs that were run."""
    state = boot.read(context.root)
    lines = ['The packages of the validated set are installed ({}{}).'.format(
        len(prepared.specs), ', held strictly' if prepared.is_strict else '')]
    pending = not (state.mode_on and prepared.image.endswith('-' + state.running_kernel))
    if pending:
        lines.append(messages.REBOOT.format(kernel=prepared.image))
    else:
        lines.append('FIPS mode is on.')
    # What a reboot or packages cannot mend: a file that was changed, a provider that is not active.
    facts = gathering.gather(context.root, context.architecture)
    judged = proof.judge(evidence.find(context.root, context.catalogue, context.settings.gpg_key_fingerprint, facts, state))
    left = [reason for reason in judged.reasons if reason.code not in ('reboot', 'running-kernel')]
    lines += [proof.LATER] if any(module.state == proof.COMPLIANT for module in judged.modules) else []
    lines += [str(reason) for reason in left]
    status = proof.FOUND if left else 0
    document: Dict[str, Any] = {'command': 'fips enable', 'exit_status': status, 'changed': not prepared.is_done,
                'packages': list(prepared.specs), 'installed': list(prepared.missing),
                'commands': [list(command) for command in done], 'reboot': pending, 'checks': check_documents(found),
                'reasons': [reason._asdict() for reason in left]}
    return Report(tuple(lines), document, status)
