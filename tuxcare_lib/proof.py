# SPDX-License-Identifier: Apache-2.0
"""Whether a host runs its FIPS-validated modules: what was found against what is validated, a verdict, its reasons. Pure.

`evidence` finds, this judges. FACTS 4 says what a host in FIPS mode looks like.
"""

from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from tuxcare_lib import fips, messages
from tuxcare_lib.hold import is_fips_build
from tuxcare_lib.model import Boot, PackageSet

# Verdicts, and the first two and NEITHER of a module.
VALIDATED, COMPLIANT, NEITHER = 'validated', 'compliant', 'neither'
PENDING, BROKEN, OFF, UNKNOWN = 'pending reboot', 'broken', 'off', 'unknown'
# The exit status where something is to be attended to.
FOUND = 4
# Words of people for words of programs, where they differ.
SHOWN = {NEITHER: 'no FIPS build'}
# What a verdict says, to who has nothing but the report.
MEANINGS = {
    VALIDATED: 'This boot runs exactly the validated builds in FIPS mode, and so will the next.',
    COMPLIANT: 'FIPS mode is on. Of at least one module a later FIPS build of the vendor\'s is installed, not the validated one: '
               'its patches keep to FIPS, and the build itself is not on the certificate.',
    PENDING: 'All is in place for the next boot, and this one is not it.',
    BROKEN: 'FIPS mode is on or will be, and something is not as it has to be.',
    OFF: 'FIPS mode is neither on nor will be.',
    UNKNOWN: 'FIPS mode is off, and it could not be read what boots next.',
}
LATER = 'Some builds are later FIPS builds, not the validated ones, which `dnf tuxcare fips enable --strict` installs.'
_AS_IT_SHOULD_BE = (VALIDATED, COMPLIANT)
_ENABLE = messages.ENABLE_HINT


class Part(NamedTuple):
    """An installed package of a module's source, the module's own first. `order`: against the validated build, -1, 0 or 1.

    `altered`, `edited` and `unread` are files, as `rpmdb.Verified` has them; `signer` is None where it was not looked at.
    """

    nevra: str
    release: str
    order: int
    altered: Tuple[str, ...] = ()
    edited: Tuple[str, ...] = ()
    unread: Tuple[str, ...] = ()
    signer: Optional[str] = None

    @property
    def state(self) -> str:
        """A later FIPS build of the vendor's keeps to FIPS (DESIGN 4, rule 9)."""
        if self.order > 0 and is_fips_build(self.release):
            return COMPLIANT
        return NEITHER if self.order else VALIDATED


class Module(NamedTuple):
    """A module of the set. `nevra` is the installed build, None where there is none; `state` that of its worst part."""

    name: str
    wanted: str
    nevra: Optional[str]
    state: str
    certificate: Optional[str]
    parts: Tuple[Part, ...]


class Provider(NamedTuple):
    """A provider, as `openssl list -providers` shows it."""

    id: str
    name: str = ''
    version: str = ''
    status: str = ''


class Entry(NamedTuple):
    """A boot loader entry. `missing` are the files of it that are not there."""

    kernel: str
    arguments: str
    initramfs: str
    is_default: bool = False
    missing: Tuple[str, ...] = ()

    @property
    def is_fips(self) -> bool:
        """Whether it starts in FIPS mode."""
        return fips.turns_on(self.arguments)


class Evidence(NamedTuple):
    """What was found. `parts` by the module's name; `applied` is the crypto policy in effect; `entered`: by `fips enable`.

    `wanted` is None where there is no set for this host (`registered` or not), `providers` where openssl could not be asked.
    `leaving` is the command that is taking the host out of the mode, if one is; `signing_key` the fingerprint of the key that
    signs the set.
    """

    wanted: Optional[PackageSet]
    boot: Boot
    parts: Mapping[str, Tuple[Part, ...]] = {}
    applied: str = ''
    entries: Tuple[Entry, ...] = ()
    providers: Optional[Tuple[Provider, ...]] = None
    entered: bool = False
    leaving: str = ''
    not_checked: Tuple[str, ...] = ()
    signing_key: str = ''
    registered: bool = True

    @property
    def is_off(self) -> bool:
        """Whether neither this boot is in FIPS mode nor the next one will be, whatever the crypto policy is."""
        return not self.boot.mode_on and not fips.turns_on(self.boot.arguments)

    @property
    def way_in(self) -> str:
        """What leads to the validated set from here: only `fips enable` opens the repository that has it."""
        if self.wanted is None:
            return 'See `dnf tuxcare release --list`.'
        return _ENABLE if self.registered else messages.REGISTER_FIPS_HINT


class Reason(NamedTuple):
    """Why the verdict is not a better one. `code` is stable, for programs."""

    code: str
    text: str
    remedy: str

    def __str__(self) -> str:
        return '{} {}'.format(self.text, self.remedy).strip()


class Proof(NamedTuple):
    """The judgement."""

    verdict: str
    reasons: Tuple[Reason, ...]
    modules: Tuple[Module, ...]

    def status(self, registered: bool) -> int:
        """The exit status: 0 as it should be, 3 off and not registered, 4 something to attend to."""
        if self.verdict in _AS_IT_SHOULD_BE or (self.verdict == OFF and not self.reasons and registered):
            return 0
        return 3 if self.verdict == OFF and not self.reasons else FOUND


# --- judging ------------------------------------------------------------------------------------------------------


def judge(evidence: Evidence) -> Proof:
    """The verdict over all that was found. What dnf is to install or reinstall is within reach after `fips enable` alone."""
    found = _judge(evidence)
    if evidence.leaving or evidence.registered and evidence.entered:
        return found
    return found._replace(reasons=tuple(reason._replace(
        remedy=evidence.way_in if reason.remedy.startswith('Run `dnf ') else reason.remedy) for reason in found.reasons))


def _judge(evidence: Evidence) -> Proof:
    modules = _modules(evidence)
    if evidence.leaving:
        return Proof(PENDING, (_leaving(evidence),), modules)
    if evidence.is_off:
        return _off(evidence, modules)
    if evidence.wanted is None:
        return Proof(BROKEN, (Reason('no-set', 'FIPS mode is on or will be, and there is no validated set for this host.',
                                     evidence.way_in),), ())
    found = [reason for module in modules for reason in _of_module(module, evidence.signing_key)]
    found += _of_next_boot(evidence, modules) + _of_policy(evidence) + _of_provider(evidence)
    due = _due(evidence, modules)
    if found:
        return Proof(BROKEN, tuple(found + due), modules)
    if due:
        return Proof(PENDING, tuple(due), modules)
    states = {module.state for module in modules} | {_running(evidence, modules)}
    return Proof(COMPLIANT if COMPLIANT in states else VALIDATED, (), modules)


def _leaving(evidence: Evidence) -> Reason:
    """A host on its way out of FIPS mode: nothing is to be mended."""
    if not evidence.entered:
        return Reason('leaving', 'FIPS mode is off from the next boot.', 'Reboot.')
    return Reason('leaving', 'FIPS mode is being left.', '{}un `{}` again.'.format(
        'Reboot, then r' if evidence.boot.mode_on else 'R', evidence.leaving))


def _off(evidence: Evidence, modules: Tuple[Module, ...]) -> Proof:
    if not evidence.entered:
        return Proof(OFF, (), modules)
    if not evidence.boot.default_kernel:
        unread = Reason('boot-loader', 'FIPS mode is off, and the boot loader cannot be read.', 'Run this as root.')
        return Proof(UNKNOWN, (unread,), modules)
    left = Reason('mode', '`dnf tuxcare fips enable` was run here, and FIPS mode is neither on nor will be.', _ENABLE)
    return Proof(OFF, (left,), modules)


def verified(evidence: Evidence, found: Proof) -> str:
    """The sentence that this boot is what it should be; empty where it is not."""
    if found.verdict not in _AS_IT_SHOULD_BE:
        return ''
    provider = fips_provider(evidence)
    shown = 'OpenSSL provider not asked' if provider is None else '{} {}'.format(provider.name, provider.version)
    return 'FIPS mode was verified at this boot: kernel {}, {}, policy {}.'.format(
        evidence.boot.running_kernel, shown, evidence.boot.policy)


def _modules(evidence: Evidence) -> Tuple[Module, ...]:
    wanted = evidence.wanted
    if wanted is None:
        return ()
    made = []
    for nevr in (wanted.kernel,) + wanted.modules:
        name = fips.name_of(nevr)
        parts = evidence.parts.get(name, ())
        if name == 'kernel':
            parts = _of_one_kernel(parts, evidence.boot.running_kernel)
        own = parts[0].nevra if parts and fips.name_of(parts[0].nevra) == name else None
        states = {part.state for part in parts} | ({NEITHER} if own is None else set())
        state = next(word for word in (NEITHER, COMPLIANT, VALIDATED) if word in states)
        made.append(Module(name, '{}.{}'.format(nevr, wanted.architecture), own, state, wanted.certificates.get(name), parts))
    return tuple(made)


def _uname(part: Part) -> str:
    return part.nevra[len(fips.name_of(part.nevra)) + 1:]


def _of_one_kernel(parts: Sequence[Part], running: str) -> Tuple[Part, ...]:
    """Of several kernels side by side the packages of one: the running FIPS build, else the validated, else the best there is."""
    def rank(part: Part) -> Tuple[bool, bool, bool]:
        return (part.state != NEITHER and _uname(part) == running, part.state == VALIDATED, part.state == COMPLIANT)

    own = [part for part in parts if fips.name_of(part.nevra) == 'kernel']
    if not own:
        return ()
    best = _uname(max(own, key=rank))
    return tuple(sorted((part for part in parts if _uname(part) == best), key=lambda part: fips.name_of(part.nevra) != 'kernel'))


def _of_module(module: Module, signing_key: str) -> List[Reason]:
    if module.nevra is None:
        return [Reason('package', '{} is not installed.'.format(module.wanted), _ENABLE)]
    found = []
    for part in module.parts:
        if part.state == NEITHER:
            build = fips.name_of(part.nevra) + module.wanted[len(module.name):]
            found.append(Reason('package', '{} is neither the validated build nor a later FIPS build of the vendor\'s.'.format(
                part.nevra), 'Run `dnf install {}`.'.format(build)))
        if part.signer is not None and part.signer != signing_key[-16:].lower():
            signed = 'signed by the key {}, not by'.format(part.signer.upper()) if part.signer else 'not signed by'
            found.append(Reason('signature', '{} is {} {}, the vendor\'s.'.format(part.nevra, signed, signing_key[-16:]),
                                'Run `dnf reinstall {}`.'.format(part.nevra)))
        found += [Reason('file', '{} ({} differs from the package database).'.format(text, part.nevra),
                         'Run `dnf reinstall {}`.'.format(part.nevra)) for text in part.altered]
    return found


def _kernels(modules: Sequence[Module]) -> Dict[str, str]:
    """Version as `uname -r` says it → state, of the kernel that counts."""
    return {_uname(module.parts[0]): module.state for module in modules if module.nevra and module.name == 'kernel'}


def _running(evidence: Evidence, modules: Sequence[Module]) -> str:
    return _kernels(modules).get(evidence.boot.running_kernel, NEITHER)


def _of_next_boot(evidence: Evidence, modules: Sequence[Module]) -> List[Reason]:
    boot = evidence.boot
    if not boot.default_kernel:
        return []  # told as not checked
    builds = ['/vmlinuz-' + uname for uname, state in _kernels(modules).items() if state != NEITHER]
    if not boot.default_kernel.endswith(tuple(builds)):
        return [Reason('boot-entry', 'The next boot is of {}, which is no FIPS build.'.format(boot.default_kernel), _ENABLE)]
    found = []
    if not fips.turns_on(boot.arguments):
        found.append(Reason('boot-entry', 'The boot loader entry of {} has no fips=1, or another fips= behind it.'.format(
            boot.default_kernel), _ENABLE))
    for path in (path for entry in evidence.entries if entry.is_default for path in entry.missing):
        uname = boot.default_kernel.partition('/vmlinuz-')[2]
        found.append(Reason('boot-entry', '{} is missing: the next boot fails.'.format(path),
                            'Run `dnf reinstall kernel-core-{}`.'.format(uname)))
    return found


def _of_policy(evidence: Evidence) -> List[Reason]:
    """EL 10 mounts the policy over the configured one while it runs in FIPS mode, and leaves state/current as it is.

    So do fips-crypto-policy-overlay and dracut's module of its crypto-policies.
    """
    policy = evidence.boot.policy
    overlaid = fips.by_arguments(evidence.boot.default_kernel)
    if overlaid and (not evidence.boot.mode_on or policy.startswith('FIPS')):
        return []
    if overlaid:
        return [Reason('crypto-policy', 'The crypto policy is {}, not FIPS.'.format(policy or 'unknown'),
                       'Look at `systemctl status fips-crypto-policy-overlay`.')]
    if policy.split(':')[0] != 'FIPS':
        return [Reason('crypto-policy', 'The crypto policy is {}, not FIPS.'.format(policy or 'unknown'), _ENABLE)]
    if evidence.applied != policy:
        return [Reason('crypto-policy', 'The crypto policy {} is configured, and {} is in effect.'.format(
            policy, evidence.applied or 'none'), 'Run `update-crypto-policies`.')]
    return []


def _of_provider(evidence: Evidence) -> List[Reason]:
    provider = fips_provider(evidence)
    if evidence.providers is None or (provider is not None and provider.status == 'active'):
        return []
    shown = 'not there' if provider is None else provider.status or 'without a status'
    return [Reason('provider', 'The FIPS provider of OpenSSL is {}.'.format(shown),
                   'Look at `openssl list -providers` and at /etc/pki/tls/openssl.cnf.')]


def _due(evidence: Evidence, modules: Sequence[Module]) -> List[Reason]:
    if not evidence.boot.mode_on:
        return [Reason('reboot', 'FIPS mode is on from the next boot.', 'Reboot.')]
    if _running(evidence, modules) == NEITHER:
        return [Reason('running-kernel', 'The running kernel {} is no FIPS build of the vendor\'s.'.format(
            evidence.boot.running_kernel), 'Reboot.')]
    return []


def fips_provider(evidence: Evidence) -> Optional[Provider]:
    """OpenSSL's FIPS provider, where it is loaded."""
    return next((provider for provider in evidence.providers or () if provider.id == 'fips'), None)


# --- for programs and for people ----------------------------------------------------------------------------------


def document(evidence: Evidence, found: Proof) -> Dict[str, Any]:
    """What `fips status` and `fips report` have in common, as docs/json.md describes it."""
    return {
        'verdict': found.verdict, 'meaning': MEANINGS[found.verdict], 'reasons': [reason._asdict() for reason in found.reasons],
        'verified': verified(evidence, found) or None,
        'modules': [dict(module._asdict(), parts=[{
            'nevra': part.nevra, 'state': part.state, 'altered': list(part.altered), 'edited': list(part.edited),
            'unread': list(part.unread), 'signer': part.signer} for part in module.parts]) for module in found.modules],
        'mode_on': evidence.boot.mode_on, 'entered': evidence.entered,
        'running_kernel': evidence.boot.running_kernel, 'default_kernel': evidence.boot.default_kernel,
        'crypto_policy': {'configured': evidence.boot.policy, 'applied': evidence.applied},
        'providers': None if evidence.providers is None else [provider._asdict() for provider in evidence.providers],
        'boot_entries': [{
            'kernel': entry.kernel, 'default': entry.is_default, 'fips': entry.is_fips, 'initramfs': entry.initramfs,
            'missing': list(entry.missing)} for entry in evidence.entries],
        'not_checked': list(evidence.not_checked)}


def _module_row(module: Module) -> str:
    certificate = ', certificate #{}'.format(module.certificate) if module.certificate else ''
    state = SHOWN.get(module.state, module.state) if module.nevra else 'not installed'
    return '{}: {}{}'.format(module.nevra or module.wanted, state, certificate)


def rows(evidence: Evidence, found: Proof) -> List[Tuple[str, str]]:
    """The same as a table; empty rows are left out by who prints it."""
    boot, provider = evidence.boot, fips_provider(evidence)
    policy = boot.policy + ('' if boot.policy == evidence.applied else ', in effect {}'.format(evidence.applied or 'none'))
    edited = [text for module in found.modules for part in module.parts for text in part.edited]
    return [
        ('Verdict', found.verdict + ('\n' + LATER if found.verdict == COMPLIANT else '')),
        ('This boot', verified(evidence, found)),
        ('Modules', '\n'.join(map(_module_row, found.modules))),
        ('Edited', '\n'.join(edited)),
        ('FIPS mode', '{} (running kernel {})'.format('on' if boot.mode_on else 'off', boot.running_kernel or 'unknown')),
        ('Provider', '{}, version {}, {}'.format(*provider[1:]) if provider else ''),
        ('Crypto policy', policy),
        ('Boot loader', '\n'.join('{}{}{}{}'.format(
            entry.kernel, ' fips=1' if entry.is_fips else '', ' (default)' if entry.is_default else '',
            ''.join(', missing: ' + path for path in entry.missing)) for entry in evidence.entries)),
        ('Not checked', '\n'.join(evidence.not_checked)),
        ('Next', '\n'.join(str(reason) for reason in found.reasons))]
