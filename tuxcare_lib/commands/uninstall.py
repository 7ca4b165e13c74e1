# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare uninstall`: out of FIPS mode, the community's packages again, unregistered.

dnf does not let the running kernel go (FACTS 6). Where that is TuxCare's, or no other is installed, there is a first stage:
another kernel becomes the default, FIPS mode is left, and after a reboot the same command does the rest.
"""

from functools import cmp_to_key
from typing import Any, Callable, Dict, List, NamedTuple, Sequence, Tuple

from tuxcare_lib import boot, facts as gathering, fips, messages, planner, repofile, rpmdb, sealing
from tuxcare_lib.commands import UNINSTALL, Context, intact, unregister
from tuxcare_lib.errors import CommandError, RecoveryError, ServiceError, TuxcareError, UsageError
from tuxcare_lib.host import FIPS_STATE, Facts
from tuxcare_lib.model import Boot, Change, Plan, Report, Work
from tuxcare_lib.pin import OWN_PACKAGE
from tuxcare_lib.report import plan_report
from tuxcare_lib.rpmdb import Package

KERNEL = 'kernel'
# The package that has the image.
_IMAGES = 'kernel-core'


class Prepared(NamedTuple):
    """The host before it. `packages` are TuxCare's builds; the next boot is `now`, and has to be `target`.

    `needs_kernel`: no kernel but TuxCare's is installed. `must_reboot`: one of TuxCare's is running.
    """

    facts: Facts
    packages: Tuple[Package, ...]
    now: Boot
    target: Boot
    needs_kernel: bool
    must_reboot: bool

    @property
    def is_first_stage(self) -> bool:
        """Whether packages can be put back only after a reboot."""
        return self.needs_kernel or self.must_reboot

    @property
    def commands(self) -> Tuple[Tuple[str, ...], ...]:
        """The programs that lead to the target, as far as it is known: a kernel still to be installed becomes the default."""
        return fips.way_back(self.now, self.target)

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do, or nothing before a reboot."""
        return not self.commands and not self.needs_packages and (
            self.must_reboot or not self.facts.is_registered and not self.facts.has_seal)

    @property
    def needs_packages(self) -> bool:
        """Whether dnf has a transaction to make."""
        return self.needs_kernel or (bool(self.packages) and not self.must_reboot)


def prepare(context: Context) -> Prepared:
    """Read the host. Raises UsageError for one that the vendor's own tool registered, ConflictError, StateError, CommandError."""
    facts = gathering.gather(context.root, context.architecture)
    if facts.by_vendors_tool:
        raise UsageError('This host was registered by the vendor\'s own tool, not by dnf tuxcare.', 'Use `tuxctl -d`.')
    if not context.options.flag('local'):
        intact(facts)
    if facts.is_registered:
        unregister.taken_back(context, facts)  # a conflict is told before anything is changed
    return found(context, facts, lambda package: True)


def found(context: Context, facts: Facts, wanted: Callable[[Package], bool]) -> Prepared:
    """What of TuxCare's builds are to go, and what that takes; of all of them, those that are `wanted`."""
    every = rpmdb.everything(context.root)
    ours = tuple(package for package in every if fips.is_vendors_build(package.vendor, package.release)
                 and package.name != OWN_PACKAGE and wanted(package))
    now = now_booting(context)
    others = _images(context, [package for package in every if package not in ours])
    theirs = _images(context, ours)
    return Prepared(facts, ours, now, _target(context, now, others, theirs), bool(theirs) and not others,
                    '/boot/vmlinuz-' + now.running_kernel in theirs)


def now_booting(context: Context) -> Boot:
    """How the host boots. Raises CommandError where FIPS mode is to be left, and nobody says what there is to put back."""
    now = boot.read(context.root)
    if context.root.kind(FIPS_STATE) and not now.default_kernel:
        raise CommandError('grubby names no default kernel, so FIPS mode cannot be left.',
                           'Install grubby; look at `grubby --default-kernel`.')
    return now


def _images(context: Context, packages: Sequence[Package]) -> List[str]:
    """The images of kernels among them that can be booted, the newest first."""
    kernels = sorted((package for package in packages if package.name == _IMAGES), key=cmp_to_key(_by_version), reverse=True)
    paths = ['/boot/vmlinuz-{0.version}-{0.release}.{0.architecture}'.format(package) for package in kernels]
    return [path for path in paths if context.root.kind(path) == 'file']


def _by_version(one: Package, other: Package) -> int:
    return rpmdb.compare((str(one.epoch), one.version, one.release), (str(other.epoch), other.version, other.release))


def _target(context: Context, now: Boot, others: List[str], theirs: List[str]) -> Boot:
    """How the host boots then: as before FIPS mode where that is known; with a kernel that is not TuxCare's in any case.

    Where the default is none of TuxCare's already, somebody has chosen it since, or a newer release has brought it.
    """
    before = fips.remembered(context.root.read(FIPS_STATE)) or Boot('', False, '', '', '')
    if not now.default_kernel:  # no boot loader, so nothing to set
        return now
    kernel = next((path for path in (now.default_kernel, before.default_kernel) if path and path not in theirs), '')
    if kernel not in others:
        kernel = others[0] if others else ''
    return before._replace(default_kernel=kernel, policy=before.policy or (
        'DEFAULT' if now.policy.startswith('FIPS') else now.policy))


def question(prepared: Prepared) -> str:
    """What is about to happen, asked before anything is changed."""
    facts = prepared.facts
    if prepared.is_first_stage:
        kernel = prepared.target.default_kernel or 'the newest kernel of the community, which is installed first,'
        first = messages.UNINSTALL_FIRST.format(kernel=kernel, number=len(prepared.packages))
        then = [messages.UNINSTALL_THEN, unregister.leaves(facts)] if facts.is_registered else []
        return messages.GO_ON.format(' '.join([first] + then))
    if not facts.is_registered:
        if not prepared.packages and facts.has_seal:
            return messages.UNINSTALL_SEAL
        return messages.UNINSTALL_PACKAGES.format(number=len(prepared.packages))
    return messages.GO_ON.format(unregister.leaves(facts))


def community_repositories(context: Context, prepared: Prepared) -> List[str]:
    """The enabled repositories of the host's files but for TuxCare's own: where a build of the community's may be."""
    own = {entry.id for entry in context.catalogue.repositories}
    return [section.name for file in prepared.facts.repository_files for section in file.document.sections
            if repofile.is_enabled(section) and section.name not in own]


def changes(context: Context, prepared: Prepared, verb: str = UNINSTALL) -> List[Change]:
    """The files that go with the packages: what was kept of the boot before FIPS mode, once nothing of it is needed."""
    if not prepared.is_first_stage:
        return released(context, prepared.facts)
    image = prepared.facts.images[FIPS_STATE]
    before = fips.remembered(image.data if image else None)
    if image is None or before is None or fips.leaving(image.data):
        return []
    again = verb if verb == UNINSTALL else verb + ' --packages'  # without them it has one stage
    return [Change(FIPS_STATE, image, fips.render(before, fips.has(image.data, 'strict'), True, again))]


def released(context: Context, facts: Facts) -> List[Change]:
    """The files of a hold on FIPS mode that ends."""
    image = facts.images[FIPS_STATE]
    gone = [] if image is None else [Change(FIPS_STATE, image, None)]
    return planner.hold_changes(facts, context.catalogue, context.settings, None) + gone


def work(prepared: Prepared, planned: Work) -> Work:
    """The whole of the work: dnf's plan, and how the host boots before it."""
    return planned._replace(boot=prepared.now, is_done=not prepared.needs_packages)


def _again(context: Context) -> str:
    """What to run after the reboot, with what was decided already."""
    chosen = [' --' + name for name in ('local', 'ours', 'theirs') if context.options.flag(name)]
    return messages.UNINSTALL_AGAIN.format(options=''.join(chosen))


def done_already(context: Context, prepared: Prepared) -> Report:
    """Nothing is left to do, or nothing before a reboot."""
    notes = [_again(context)] if prepared.must_reboot else []
    return Report(tuple(notes) or (messages.NOTHING_TO_DO,), {
        'command': 'uninstall', 'exit_status': 0, 'changed': False, 'installed': [], 'erased': [],
        'registered': prepared.facts.is_registered, 'reboot': prepared.must_reboot, 'notes': notes})


def dry_run(context: Context, prepared: Prepared, transaction: Sequence[str]) -> Report:
    """The plan; `transaction` has the packages as dnf resolved them."""
    files = changes(context, prepared)
    notes: Tuple[str, ...] = ()
    requests: Tuple[str, ...] = ()
    if prepared.is_first_stage:
        notes = (_again(context),)
    elif prepared.facts.is_registered:
        undone, notes_of_files = unregister.taken_back(context, prepared.facts)
        files, notes = files + undone, tuple(notes_of_files) + (unregister.leaves(prepared.facts),)
        requests = () if context.options.flag('local') else ('POST ' + context.settings.unregister_url,)
    elif prepared.facts.has_seal:
        files = files + sealing.broken(prepared.facts)
    return plan_report('uninstall', Plan(requests, tuple(files), tuple(transaction), prepared.commands, notes))


def _unregister(context: Context, facts: Facts, replaced: bool) -> Report:
    try:
        return unregister.run(context) if facts.has_seal else unregister.carry_out(context, [], UNINSTALL)
    except TuxcareError as error:
        if isinstance(error, ServiceError):
            error.remedy = 'With --local it is done without the service.'
        if replaced and not isinstance(error, RecoveryError):
            error.remedy += ' The packages were put back and stay so; run `dnf tuxcare uninstall` again.'
        raise


def finish(context: Context, prepared: Prepared, planned: Work) -> Report:
    """What is left after the packages: the registration. Raises as `unregister` does."""
    packages = {'installed': list(planned.install), 'erased': list(planned.erase)}
    if prepared.is_first_stage:
        return Report((_again(context),), dict(
            packages, command='uninstall', exit_status=0, changed=bool(prepared.commands or planned.install), reboot=True,
            registered=prepared.facts.is_registered, notes=[_again(context)]))
    lines: Tuple[str, ...] = ()
    if prepared.packages:
        lines = (messages.UNINSTALLED.format(number=len(prepared.packages)),)
    document: Dict[str, Any] = {'changed': bool(prepared.packages or prepared.commands), 'registered': False, 'notes': []}
    if prepared.facts.is_registered or prepared.facts.has_seal:
        left = _unregister(context, prepared.facts, bool(prepared.packages))
        lines, document = lines + left.lines, left.document
    return Report(lines + (messages.UNINSTALL_PLUGIN,), dict(
        document, **dict(packages, command='uninstall', exit_status=0, reboot=False)))
