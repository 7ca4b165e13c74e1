# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare status --check`: everything that holds the host, one by one; a line and a remedy for what is not right."""

import os
from typing import Dict, List, NamedTuple, Optional

from tuxcare_lib import facts as gathering
from tuxcare_lib import boot, evidence, journal, messages, pin, planner, policy, proof, repofile, restoration, seat
from tuxcare_lib.commands import Context
from tuxcare_lib.errors import NotRegisteredError, StateError, TuxcareError
from tuxcare_lib.host import MARKER, RELEASEVER, REPOSITORY_FOLDERS, SEAT, SIGNING_KEY, TOKEN, TUXCARE_REPO, Facts, Registration
from tuxcare_lib.model import Change, Report, Token

_SWITCH = 'Run `dnf tuxcare repos switch`.'


class Finding(NamedTuple):
    """One thing that is not right. `code` is stable, for programs."""

    code: str
    text: str
    remedy: str


def run(context: Context) -> Report:
    """Exit status 0 where all is well, 3 on a host that is not registered, 4 where something was found."""
    facts = gathering.gather(context.root, context.architecture)
    if journal.is_open(context.root):  # whatever else there is, it is that operation's half
        return _report([Finding('journal', 'An operation was cut off.', journal.remedy(context.root))])
    if facts.is_sealed:
        raise NotRegisteredError(messages.IS_SEALED, messages.SEALED_HINT)
    if not facts.is_registered and not context.root.kind(SEAT):
        raise NotRegisteredError('This host is not registered.', messages.REGISTER_HINT)
    findings = [Finding('configuration', note, '') for note in context.settings.notes]
    findings += seats(context)
    if facts.registration is not None or facts.damage:
        findings += refusals(context, facts)
    if facts.registration is not None:
        for look in (identity, _repository_files, _leftovers, _exceptions, _key, _packages):
            findings += look(context, facts, facts.registration)
        findings += _fips(context, facts)
    return _report(findings)


def _report(findings: List[Finding]) -> Report:
    lines = tuple('{} {}'.format(finding.text, finding.remedy).strip() for finding in findings)
    return Report(lines or ('Nothing to attend to.',), {
        'command': 'status', 'check': True, 'exit_status': proof.FOUND if findings else 0, 'registered': True,
        'findings': [finding._asdict() for finding in findings]}, proof.FOUND if findings else 0)


def seats(context: Context) -> List[Finding]:
    """What a registration that was cut off owes. Only root can read which way out there is."""
    if not context.root.kind(SEAT):
        return []
    if os.geteuid() != 0:
        return [Finding('seat', messages.SEAT_OPEN, 'Run `dnf tuxcare status` as root.')]
    try:
        owed = seat.read(context.root)
    except TuxcareError as error:
        return [Finding('seat', error.message, error.remedy)]
    if owed is None or owed.token is not None:
        return [Finding('seat', messages.SEAT_OPEN, messages.RECOVER_HINT)]
    if seat.is_anothers(context.root, owed):
        return [Finding('seat', messages.ANOTHERS.format(owed.host_name).strip(), messages.FORGETS)]
    again = messages.SEAT_UNKNOWN if owed.key else messages.SEAT_UNKNOWN_AWS
    return [Finding('seat', 'A registration was not answered.', '{} {}'.format(again, messages.FORGETS))]


def refusals(context: Context, facts: Facts) -> List[Finding]:
    """What the guard refuses transactions for."""
    if facts.registration is None or os.geteuid() != 0:  # an ordinary user cannot read the token
        return _record(context, facts)
    return _record(context, facts) + _token(context, facts, facts.registration)


def _record(context: Context, facts: Facts) -> List[Finding]:
    """What `recover` would put back: our record, the variable, the marker, tuxcare.repo."""
    found = [Finding('record', facts.damage, messages.RECOVER_HINT if facts.survivor else messages.ANEW)] if facts.damage else []
    try:
        changes, _ = restoration.mended(facts, context.catalogue, context.settings)
    except StateError as error:
        return found or [Finding('record', error.message, error.remedy)]
    whole = {change.path: change for change in changes}
    return found + [entry for entry in (
        _lost('variable', whole.get(RELEASEVER)), _lost('marker', whole.get(MARKER)),
        _lost('own-repositories', whole.get(TUXCARE_REPO))) if entry]


def _lost(code: str, change: Optional[Change]) -> Optional[Finding]:
    what = 'missing' if change is None or change.before is None else 'not as the registration says'
    return Finding(code, '{} is {}.'.format(change.path, what), messages.RECOVER_HINT) if change else None


def _token(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    image = facts.images[TOKEN]
    if image is None or not Token.PATTERN.match(facts.variable(TOKEN)):
        return [Finding('token', '{} is missing or damaged.'.format(TOKEN), messages.REPLACE_HINT)]
    if (image.mode, image.uid, image.gid) != (0o600, 0, 0):
        return [Finding('token-permissions', '{} has mode {:04o}, owner {}:{}.'.format(TOKEN, image.mode, image.uid, image.gid),
                        'Run: chown 0:0 {0}; chmod 600 {0}'.format(TOKEN))]
    return []


def _fips(context: Context, facts: Facts) -> List[Finding]:
    """What keeps a host that entered FIPS mode from being as it should be, and what its files do not hold."""
    wanted = planner.held_set(facts, context.catalogue)
    if wanted is None:
        return []
    found = evidence.find(context.root, context.catalogue, context.settings.gpg_key_fingerprint, facts, boot.read(context.root))
    findings = [Finding('fips', reason.text, reason.remedy) for reason in proof.judge(found).reasons]
    loose = [change.path for change in planner.hold_changes(facts, context.catalogue, context.settings, wanted)
             if change.path.endswith('.repo')]
    return findings + ([Finding('fips-hold', 'The validated packages are not held by {}.'.format(', '.join(loose)),
                                messages.ENABLE_HINT)] if loose else [])


def identity(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    """Whether this is the host that was registered, under its name."""
    if facts.is_a_copy:
        return [Finding('copy', messages.COPIED.format(record.host_name), messages.COPIED_REMEDY)]
    if facts.host_name != record.host_name:
        return [Finding('renamed', messages.RENAMED.format(record.host_name, facts.host_name), messages.RENAMED_REMEDY)]
    return []


def _repository_files(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    """Live URLs that are not pinned, drift of the files that we changed, and files that cannot be read."""
    findings = [Finding('repository-file', '{}.'.format(problem), 'Mend or move the file.') for problem in facts.problems]
    unpinned = [change.path for change in planner.switch_changes(facts, context.catalogue, context.settings)]
    findings += [Finding('unpinned', '{} follows the community\'s newest release.'.format(path), _SWITCH) for path in unpinned]
    for change in restoration.drift(facts):
        if change.path in unpinned or change.path == TUXCARE_REPO:
            continue
        if change.after is None:
            findings.append(Finding('drift', '{} is gone since the host was registered.'.format(change.path),
                                    'Put it back; where it is not needed any more, `dnf tuxcare repos switch` forgets it.'))
        else:
            findings.append(Finding('drift', '{}: a line written by dnf tuxcare was edited since.'.format(change.path),
                                    'Put it back: `dnf tuxcare repos diff` shows it, `dnf tuxcare repos switch --ours` does it.'))
    return findings + _foreign_trees(context, facts, record)


def _foreign_trees(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    """Enabled sections whose URLs are an operating system's, and not the pinned release's; the guard disables them in dnf."""
    rules = _rules(context, facts, record)
    values = {'releasever': str(record.pin.major), 'basearch': record.architecture, 'tuxcare_releasever': rules.release,
              'tuxcare_token': facts.variable(TOKEN)}
    switched = {change.path for change in planner.switch_changes(facts, context.catalogue, context.settings)}
    findings = []
    for file in facts.repository_files:
        for section in file.document.sections:
            urls = [_expanded(url, values) for url in repofile.urls_of(section)]
            if file.path not in switched and repofile.is_enabled(section) and pin.classify(urls, rules) == pin.PAST:
                findings.append(Finding('foreign-tree', '{} [{}] is an operating system\'s tree past the pin.'.format(
                    file.path, section.name), 'Disable it: clients without plugins would follow it.'))
    return findings


def _rules(context: Context, facts: Facts, record: Registration) -> pin.Rules:
    return pin.Rules(policy.make(context.catalogue, context.settings), record.family, record.pin, facts.variable(TOKEN))


def _expanded(url: str, values: Dict[str, str]) -> str:
    for name, value in sorted(values.items(), key=lambda item: -len(item[0])):
        url = url.replace('$' + name, value).replace('${' + name + '}', value)
    return url


def _leftovers(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    names = ['{}/{}'.format(folder, name) for folder in REPOSITORY_FOLDERS for name in context.root.names(folder)]
    ours = {kept.path for kept in facts.kept}
    return [Finding('rpmnew', '{} is beside the file that dnf tuxcare has switched.'.format(name),
                    'Compare the two, then remove it.')
            for name in names if name.endswith('.rpmnew') and name[:-len('.rpmnew')] in ours]


def _exceptions(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    return [Finding('exception', '[pin] allow lets {} past the pin.'.format(entry), 'Remove it where it is not needed any more.')
            for entry in context.settings.allow]


def _key(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    from tuxcare_lib import rpmdb
    if facts.images[SIGNING_KEY] is None:
        return [Finding('signing-key-file', '{} is missing.'.format(SIGNING_KEY), messages.RECOVER_HINT)]
    if rpmdb.has_key(context.root, record.signing_key):
        return []
    return [Finding('signing-key', 'The signing key {} is not in the rpm database.'.format(record.signing_key),
                    'Run: rpm --import /etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare')]


def _packages(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    """Installed packages past the pin, or of another operating system: what came by `rpm -i` or with plugins switched off."""
    from tuxcare_lib import rpmdb
    rules = _rules(context, facts, record)
    own = context.catalogue.families[record.family].vendors
    found = []
    for package in rpmdb.everything(context.root):
        release = pin.parse_release(package.version) if package.name in rules.release_packages else None
        if (release or (0, 0)) > rules.pin or (package.vendor != pin.VENDOR and pin.is_past(package.release, rules.pin)):
            found.append((package.nevra, 'past {}'.format(rules.release)))
        elif pin.is_os_vendor(package.vendor, rules) and package.vendor not in own:
            found.append((package.nevra, 'of another operating system ({})'.format(package.vendor)))
    return [Finding('package', '{} is installed, and {}.'.format(nevra, what),
                    'Run: dnf distro-sync {}'.format(nevra.rsplit('-', 2)[0])) for nevra, what in sorted(found)]
