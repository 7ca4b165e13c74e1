# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare status`: what a person wants to know in five seconds, and the same as JSON."""

import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from tuxcare_lib import boot, evidence, facts as gathering, fips, journal, messages, proof, report, repofile, restoration, witness
from tuxcare_lib.commands import Context, check
from tuxcare_lib.errors import NotRegisteredError, StateError
from tuxcare_lib.host import RELEASEVER, Facts
from tuxcare_lib.model import Boot, Release, Report
from tuxcare_lib.proof import Evidence, Proof


class Fips(NamedTuple):
    """What was found of FIPS mode, and the judgement; `mode` is the word of the JSON document."""

    evidence: Evidence
    proof: Proof
    mode: str


class Repository(NamedTuple):
    """A repository of the vendor, or of the operating system with the mirror that it uses."""

    id: str
    enabled: bool
    vetted: bool


def run(context: Context) -> Report:
    """Exit status 0 where the host is registered, 3 where not."""
    if context.options.flag('check'):
        return check.run(context)
    facts = gathering.gather(context.root, context.architecture)
    state = boot.read(context.root)
    repositories = _repositories(context, facts)
    mode = _fips(facts, context, state)
    held = _held(context, facts)
    todo = _next(context, facts, repositories, mode, held)
    hidden = _hidden(context, facts)
    status = 0 if facts.is_registered else NotRegisteredError.status
    return Report(_table(context, facts, state, repositories, hidden, mode, todo, held), _document(
        facts, state, repositories, hidden, mode, todo, status, held), status)


def _repositories(context: Context, facts: Facts) -> List[Repository]:
    """The vendor's repositories and the operating system's trees, by what their live URLs are."""
    families = tuple(context.catalogue.families.values())
    found = []
    for file in facts.repository_files:
        community = {tree.section: tree for tree in repofile.trees(file.document, families)}
        for section in file.document.sections:
            ours = any(url.startswith(context.settings.repo_url + '/') for url in repofile.urls_of(section))
            tree = community.get(section.name)
            if ours or (tree is not None and tree.name):
                found.append(Repository(section.name, repofile.is_enabled(section), ours))
    return found


def _held(context: Context, facts: Facts) -> Optional[Release]:
    """What a registered host is held on; None on another one, or where that cannot be told."""
    if facts.registration is None:
        return None
    try:
        return restoration.held_on(facts, context.catalogue, context.settings, facts.registration)
    except StateError:
        return facts.registration.pin


def _hidden(context: Context, facts: Facts) -> Dict[str, Dict[str, int]]:
    """How many packages of which repository are out of sight and why, as the last dnf command saw it."""
    if facts.registration is None:
        return {}
    enabled = {section.name for file in facts.repository_files for section in file.document.sections
               if repofile.is_enabled(section)}
    return {document['repository']: document['verdicts']['reasons'] for document in witness.cached_documents(context.cache)
            if document.get('repository') in enabled and document['verdicts']['reasons']}


def _fips(facts: Facts, context: Context, state: Boot) -> Fips:
    found = evidence.find(context.root, context.catalogue, context.settings.gpg_key_fingerprint, facts, state, briefly=True)
    judged = proof.judge(found)
    return Fips(found, judged, _fips_mode(facts, found, judged))


def _fips_mode(facts: Facts, found: Evidence, judged: Proof) -> str:
    """'on', 'off', 'pending' (on from the next boot), 'not validated' (on, but not proved), 'not available', 'unknown'."""
    state = found.boot
    if state.mode_on:
        return 'on' if judged.verdict in (proof.VALIDATED, proof.COMPLIANT) else 'not validated'
    if not state.default_kernel and os.geteuid() != 0:
        return 'unknown'
    if fips.will_be_on(state):
        return 'pending'
    return 'off' if found.wanted is not None else 'not available'


def _next(context: Context, facts: Facts, repositories: List[Repository], mode: Fips,
          held: Optional[Release]) -> List[str]:
    todo = list(context.settings.notes)
    if journal.is_open(context.root):
        return todo + ['An operation was cut off. ' + journal.remedy(context.root)]
    todo += ['{} {}'.format(finding.text, finding.remedy) for finding in check.seats(context)]
    if facts.registration or facts.damage:
        todo += ['{} {}'.format(finding.text, finding.remedy) for finding in check.refusals(context, facts)]
    if facts.registration:
        todo += ['{} {}'.format(finding.text, finding.remedy) for finding in check.identity(context, facts, facts.registration)]
    if facts.registration and held != facts.release:
        todo.append('Run `dnf upgrade`: it moves this host to {}.'.format(held))
    if facts.is_sealed:
        todo.append(messages.SEALED_HINT)
    elif not facts.is_registered:
        todo.append(messages.REGISTER_HINT)
    if facts.by_vendors_tool:
        loose = any(not repository.vetted and repository.enabled for repository in repositories)
        todo.append('Set up by the vendor\'s own tool; ' + (
            'but repositories of the community are enabled, which nothing holds.' if loose else 'nothing to do.'))
    if facts.registration and any(not repository.vetted and repository.enabled for repository in repositories):
        todo.append('Repositories of the community are enabled: run `dnf tuxcare repos switch`.')
    return todo + [str(reason) for reason in mode.proof.reasons]


def _table(context: Context, facts: Facts, state: Boot, repositories: List[Repository],
           hidden: Dict[str, Dict[str, int]], mode: Fips, todo: List[str],
           held: Optional[Release]) -> Tuple[str, ...]:
    record = facts.registration
    if record:
        registered = '{}, since {}'.format(context.catalogue.products[record.product].title, record.registered_at[:10])
    else:
        registered = 'by the vendor\'s own tool' if facts.by_vendors_tool else 'damaged' if facts.damage else (
            'no; a sealed image, which registers at its first boot' if facts.is_sealed else 'no')
    pin = held or facts.variable(RELEASEVER) or None
    release = '{}, {}'.format(facts.os_title, 'held on {}'.format(pin) if pin else 'not held on a minor release')
    words = {'on': 'on, ' + mode.proof.verdict, 'pending': 'off, pending reboot',
             'not validated': 'on, ' + mode.proof.verdict, 'unknown': 'unknown: only root can read the boot loader'}
    fips_words = '{} (running kernel {})'.format(words.get(mode.mode, mode.mode), state.running_kernel or 'unknown')
    fips_words += '\n' + proof.verified(mode.evidence, mode.proof) if mode.mode == 'on' else ''
    rows = [('Registered', registered), ('Release', release), ('Repositories', _repository_words(repositories)),
            ('Hidden', '\n'.join('{} of {}: {}'.format(count, name, reason) for name, reasons in sorted(hidden.items())
                                 for reason, count in sorted(reasons.items()))),
            ('FIPS mode', fips_words), ('Next', '\n'.join(todo) or messages.NOTHING_TO_DO)]
    return report.table([row for row in rows if row[1]])


def _repository_words(repositories: List[Repository]) -> str:
    rows = []
    for title, vetted in (('vetted', True), ('community', False)):
        names = [repository.id for repository in repositories if repository.enabled and repository.vetted == vetted]
        if names:
            rows.append('{}: {}'.format(title, ' '.join(names)))
    return '\n'.join(rows) or 'none'


def _document(facts: Facts, state: Boot, repositories: List[Repository], hidden: Dict[str, Dict[str, int]], mode: Fips,
              todo: List[str], status: int, held: Optional[Release]) -> Dict[str, Any]:
    record = facts.registration
    return {
        'command': 'status', 'exit_status': status, 'registered': facts.is_registered,
        'registered_by': 'vendor' if facts.by_vendors_tool else 'dnf tuxcare' if facts.is_registered else None,
        'damage': facts.damage or None, 'sealed': facts.is_sealed,
        'product': record.product if record else None, 'registered_at': record.registered_at if record else None,
        'family': facts.os_id, 'architecture': facts.architecture, 'release': facts.version_id,
        'pin': str(held) if held else facts.variable(RELEASEVER) or None,
        'repositories': [repository._asdict() for repository in repositories],
        'hidden': hidden,
        'fips': {'mode': mode.mode, 'running_kernel': state.running_kernel, 'default_kernel': state.default_kernel,
                 'crypto_policy': state.policy, 'verdict': mode.proof.verdict,
                 'reasons': [reason._asdict() for reason in mode.proof.reasons]},
        'next': todo}
