# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare status --check`: everything that holds the host, one by one; a line and a remedy for what is not right."""

from typing import Dict, List, NamedTuple

from tuxcare_lib import facts as gathering
from tuxcare_lib import inifile, messages, pin, planner, policy, repofile
from tuxcare_lib.commands import Context
from tuxcare_lib.errors import NotRegisteredError
from tuxcare_lib.host import MARKER, RELEASEVER, REPOSITORY_FOLDERS, TOKEN, Facts, Registration
from tuxcare_lib.model import Image, Report, Token

FOUND = 4
_SWITCH = 'Run `dnf tuxcare repos switch`.'


class Finding(NamedTuple):
    """One thing that is not right. `code` is stable, for programs."""

    code: str
    text: str
    remedy: str


def run(context: Context) -> Report:
    """Exit status 0 where all is well, 3 on a host that is not registered, 4 where something was found."""
    facts = gathering.gather(context.root, context.architecture)
    if not facts.is_registered:
        raise NotRegisteredError('This host is not registered.', messages.REGISTER_HINT)
    findings = [Finding('configuration', note, '') for note in context.settings.notes]
    if facts.damage:
        findings.append(Finding('record', facts.damage, 'Put it back, or run `dnf tuxcare unregister --local`.'))
    if facts.registration is not None:
        for look in (_variable, _token, _marker, _repository_files, _leftovers, _exceptions, _key, _packages):
            findings += look(context, facts, facts.registration)
    lines = tuple('{} {}'.format(finding.text, finding.remedy).strip() for finding in findings)
    return Report(lines or ('Nothing to attend to.',), {
        'command': 'status', 'check': True, 'exit_status': FOUND if findings else 0, 'registered': True,
        'findings': [finding._asdict() for finding in findings]}, FOUND if findings else 0)


def _variable(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    value = facts.variable(RELEASEVER)
    document = policy.make(context.catalogue, context.settings)
    plain = {'product': record.product, 'family': record.family, 'release': str(record.release), 'pin': str(record.pin)}
    if pin.pinned_release(plain, value, document) is None:
        return [Finding('variable', '{} holds {!r}, and this host is held on {}.'.format(RELEASEVER, value, record.pin),
                        'Run: echo {} > {}'.format(record.pin, RELEASEVER))]
    return []


def _token(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    image = facts.images[TOKEN]
    if image is None or not Token.PATTERN.match(facts.variable(TOKEN)):
        return [Finding('token', '{} is missing or damaged.'.format(TOKEN), messages.REPLACE_HINT)]
    if (image.mode, image.uid, image.gid) != (0o600, 0, 0):
        return [Finding('token-permissions', '{} has mode {:04o}, owner {}:{}.'.format(TOKEN, image.mode, image.uid, image.gid),
                        'Run: chown 0:0 {0}; chmod 600 {0}'.format(TOKEN))]
    return []


def _marker(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    image = facts.images[MARKER]
    right = planner.marker(context.catalogue.families[record.family], record.pin)
    if image is None or image.data != right:
        return [Finding('marker', '{} is {}.'.format(MARKER, 'missing' if image is None else 'not as written'),
                        'Run: echo {!r} > {}'.format(right.decode('ascii').strip(), MARKER))]
    return []


def _repository_files(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    """Live URLs that are not pinned, drift of the files that we changed, and files that cannot be read."""
    findings = [Finding('repository-file', '{}.'.format(problem), 'Mend or move the file.') for problem in facts.problems]
    unpinned = [change.path for change in planner.switch_changes(facts, context.catalogue, context.settings)]
    findings += [Finding('unpinned', '{} follows the community\'s newest release.'.format(path), _SWITCH) for path in unpinned]
    current = {file.path: file.image for file in facts.repository_files}
    for kept in facts.kept:
        if kept.after is None or not kept.path.endswith('.repo') or kept.path in unpinned:
            continue
        now = current.get(kept.path)
        if now is None:
            findings.append(Finding('drift', '{} is gone since the host was registered.'.format(kept.path),
                                    'Put it back, or run `dnf reinstall almalinux-repos`.'))
        elif repofile.changed_marks(_document(kept.after), _document(now)):
            findings.append(Finding('drift', '{}: a line written by dnf tuxcare was edited since.'.format(kept.path),
                                    'See `dnf tuxcare repos diff`; put the line back.'))
    return findings + _foreign_trees(context, facts, record)


def _document(image: Image) -> inifile.Document:
    return inifile.parse(inifile.decode(image.data))


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
    if rpmdb.has_key(context.root, record.signing_key):
        return []
    return [Finding('signing-key', 'The signing key {} is not in the rpm database.'.format(record.signing_key),
                    'Run: rpm --import /etc/pki/rpm-gpg/RPM-GPG-KEY-TuxCare')]


def _packages(context: Context, facts: Facts, record: Registration) -> List[Finding]:
    """Installed packages past the pin: what came by `rpm -i` or with plugins switched off."""
    from tuxcare_lib import rpmdb
    rules = _rules(context, facts, record)
    past = []
    for package in rpmdb.everything(context.root):
        release = pin.parse_release(package.version) if package.name in rules.release_packages else None
        if (release or (0, 0)) > rules.pin or (package.vendor != pin.VENDOR and pin.is_past(package.release, rules.pin)):
            past.append(package.nevra)
    return [Finding('package', '{} is installed, and past {}.'.format(nevra, rules.release),
                    'Run: dnf downgrade {}'.format(nevra.rsplit('-', 2)[0])) for nevra in sorted(past)]

