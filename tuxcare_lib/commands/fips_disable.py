# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare fips disable`: out of FIPS mode; with --packages the community's builds of the validated set come back as well.

What it has in common with `uninstall` is there: a kernel of TuxCare's that is running cannot be removed, so with --packages there
may be a reboot between two stages.
"""

from typing import Sequence

from tuxcare_lib import boot, evidence, facts as gathering, fips, messages
from tuxcare_lib.commands import Context, uninstall
from tuxcare_lib.commands.uninstall import Prepared
from tuxcare_lib.errors import HostError
from tuxcare_lib.hold import is_fips_build
from tuxcare_lib.host import FIPS_STATE, Facts
from tuxcare_lib.model import Boot, Plan, Report, Work
from tuxcare_lib.report import plan_report

VERB = 'dnf tuxcare fips disable'


def prepare(context: Context) -> Prepared:
    """Read the host, which need not be registered. Raises HostError, StateError or CommandError."""
    facts = gathering.gather(context.root, context.architecture)
    if not context.options.flag('packages'):
        now = uninstall.now_booting(context)
        return Prepared(facts, (), now, _target(context, now), False, False)
    wanted = evidence.wanted_set(context.catalogue, facts)
    if wanted is None:
        raise HostError('There is no FIPS-validated set for this host, so nothing to put back.', 'Leave --packages out.')
    return uninstall.found(context, facts, lambda package: package.name in wanted.holds and is_fips_build(package.release))


def _target(context: Context, now: Boot) -> Boot:
    """How the host booted before FIPS mode, as far as that is known and its kernel is still there.

    A default that is no FIPS kernel any more was chosen since, and stays.
    """
    before = fips.remembered(context.root.read(FIPS_STATE)) or Boot('', False, '', '', '')
    there = before.default_kernel and context.root.kind(before.default_kernel) == 'file'
    back = there and fips.is_fips_image(now.default_kernel)
    policy = before.policy or ('DEFAULT' if now.policy.startswith('FIPS') else now.policy)
    return before._replace(default_kernel=before.default_kernel if back else now.default_kernel, policy=policy)


def question(prepared: Prepared) -> str:
    """What is about to happen."""
    if prepared.is_first_stage:
        kernel = prepared.target.default_kernel or 'the newest kernel of the community, which is installed first,'
        return messages.FIPS_LEFT_FIRST.format(kernel=kernel, number=len(prepared.packages))
    if prepared.packages:
        return messages.FIPS_PACKAGES.format(number=len(prepared.packages))
    return messages.FIPS_LEAVE


def is_done(context: Context, prepared: Prepared) -> bool:
    """Whether nothing is left to do, or nothing before a reboot."""
    return not prepared.commands and not prepared.needs_packages and (
        prepared.must_reboot or not uninstall.changes(context, prepared, VERB))


def done_already(prepared: Prepared) -> Report:
    """Nothing is left to do, or nothing before a reboot."""
    left = messages.FIPS_LEFT if prepared.now.mode_on else messages.NOTHING_TO_DO
    words = messages.FIPS_LEFT_AGAIN if prepared.must_reboot else left
    return Report((words,), {
        'command': 'fips disable', 'exit_status': 0, 'changed': False, 'installed': [], 'erased': [],
        'reboot': prepared.must_reboot})


def dry_run(context: Context, prepared: Prepared, transaction: Sequence[str]) -> Report:
    """The plan; `transaction` has the packages as dnf resolved them."""
    return plan_report('fips disable', Plan(
        (), tuple(uninstall.changes(context, prepared, VERB)), tuple(transaction), prepared.commands,
        (messages.FIPS_LEFT_AGAIN,) if prepared.is_first_stage else ()))


def finish(context: Context, prepared: Prepared, planned: Work, facts: Facts) -> Report:
    """What was done; `facts` are those of before."""
    state = boot.read(context.root)
    left = messages.FIPS_LEFT if state.mode_on else messages.FIPS_IS_OFF
    left = messages.FIPS_AS_BEFORE if fips.will_be_on(state) else left
    lines = [messages.FIPS_LEFT_AGAIN if prepared.is_first_stage else left]
    if planned.install or planned.erase:
        lines.append('' if prepared.is_first_stage else messages.FIPS_PACKAGES_BACK.format(number=len(prepared.packages)))
    elif not prepared.is_first_stage and facts.is_registered:
        lines.append(messages.FIPS_PACKAGES_STAY)
    return Report(tuple(line for line in lines if line), {
        'command': 'fips disable', 'exit_status': 0, 'changed': True, 'installed': list(planned.install),
        'erased': list(planned.erase), 'reboot': prepared.is_first_stage or state.mode_on})
