# SPDX-License-Identifier: Apache-2.0
"""`dnf tuxcare fips report [FILE]`: the proof as one document to be filed, signed where that is asked for."""

import os
from typing import Any, Dict, List, Optional, Tuple

import tuxcare_lib
from tuxcare_lib import audit, boot, evidence, executor, facts as gathering, proof, report
from tuxcare_lib.commands import Context
from tuxcare_lib.errors import CommandError, FileSystemError, UsageError
from tuxcare_lib.host import REPOSITORY_FOLDERS, VARIABLES, Facts
from tuxcare_lib.model import Image, Report
from tuxcare_lib.rootfs import Root

_FORMATS = ('.html', '.json')
_ALWAYS = ('Whether the vendor\'s certificates are active: the list of the validation program is not asked.',
           'What programs bring their own cryptography, and what they do with these modules.')


def run(context: Context) -> Report:
    """Exit status 0 where the report was made, whatever the verdict is. Raises UsageError, FileSystemError, CommandError."""
    path = _path(context)
    made = document(context)
    lines = report.table(audit.summary(made))
    if path is None:
        return Report(lines + ('The whole report: dnf tuxcare fips report FILE.html (or FILE.json)',), made)
    if context.options.flag('dry_run'):
        return Report(lines + ('{} would be written.'.format(path),), made)
    written = _write(path, made, context.options.value('sign'))
    warnings = () if len(written) > 1 or Root().kind(path + '.asc') == '' else (
        '{}.asc is the signature of an earlier report.'.format(path),)
    return Report(lines + tuple('Written: ' + name for name in written), made, warnings=warnings)


def document(context: Context) -> Dict[str, Any]:
    """Everything that was found, as docs/json.md describes it."""
    facts = gathering.gather(context.root, context.architecture)
    found = evidence.find(context.root, context.catalogue, context.settings.gpg_key_fingerprint, facts, boot.read(context.root))
    checks = audit.checks(_findings(context, facts)._replace(is_off=found.is_off, way_in=found.way_in))
    made = proof.document(found, proof.judge(found))
    return dict(made, command='fips report', exit_status=0, registered=facts.is_registered,
                made_at=context.now(), made_by='dnf tuxcare ' + tuxcare_lib.__version__,
                host=_host_name(context, facts), system='{} {}'.format(facts.os_title, facts.architecture),
                checks=[check._asdict() for check in checks],
                not_checked=list(made['not_checked']) + _notes(context, made) + list(_ALWAYS), **_registration(context, facts))


def _host_name(context: Context, facts: Facts) -> str:
    """The name of an image that has none is not that of the machine on which it is made."""
    named = context.root.is_host or (context.root.text('/etc/hostname') or '').strip()
    return facts.host_name if named else 'unknown'


def _registration(context: Context, facts: Facts) -> Dict[str, Optional[str]]:
    record = facts.registration
    return {'product': context.catalogue.products[record.product].title if record else None,
            'pin': str(record.pin) if record else None}


def _notes(context: Context, made: Dict[str, Any]) -> List[str]:
    """What this very run could not look at."""
    without = [module['name'] for module in made['modules'] if not module['certificate']]
    notes = ['Numbers of certificates: the catalogue has none for {}.'.format(', '.join(without))] if without else []
    if not context.root.is_host:
        notes.append('What runs: {} is not the running system; its /proc is what was read.'.format(context.root.path))
    return notes


def _findings(context: Context, facts: Facts) -> audit.Findings:
    from tuxcare_lib import rpmdb  # rpm: not for verbs that need no packages
    packages = sorted('{}-{}-{}.{}'.format(*package[:1] + package[2:5]) for package in rpmdb.everything(context.root))
    return audit.Findings(context.repositories, packages, _mode(context.root), rpmdb.key_summaries(context.root),
                          os.geteuid() == 0 or not facts.is_registered, facts.is_registered)


def _mode(root: Root) -> Optional[str]:
    """What fips-mode-setup says; it fails where the state is inconsistent, and says so. None where it cannot be run."""
    try:
        return executor.ended(root, ('fips-mode-setup', '--check')).stdout.strip() or None
    except CommandError:
        return None


def _path(context: Context) -> Optional[str]:
    """Where the report goes, absolute. Raises UsageError for a name or a place that it may not have."""
    if len(context.options.words) < 2:
        if context.options.value('sign') is not None:
            raise UsageError('--sign signs a file, and none is named.', 'Run `dnf tuxcare fips report FILE --sign KEYID`.')
        return None
    path = os.path.abspath(context.options.words[1])
    if not path.endswith(_FORMATS):
        raise UsageError('The name of the report ends neither in .html nor in .json.', 'Name it so.')
    host = Root()
    for name in (path, path + '.asc'):
        if host.is_link(name):
            raise UsageError('{} is a symbolic link.'.format(name), 'Name a file of its own.')
    folder = host.resolve(os.path.dirname(path))
    if folder in {host.resolve(place) for place in REPOSITORY_FOLDERS + (VARIABLES,)}:
        raise UsageError('dnf reads every file in {}.'.format(folder), 'Write the report somewhere else.')
    return path


def _write(path: str, made: Dict[str, Any], key: Optional[str]) -> Tuple[str, ...]:
    """Write the report, its signature first: none is there without the other. Returns the paths."""
    data = (report.to_json(made) if path.endswith('.json') else audit.page(made)).encode('utf-8')
    host = Root()
    if key is None:
        host.write_here(path, _image(data))
        return (path,)
    from tuxcare_lib import keyring  # gpg: only where something is signed
    signature = path + '.asc'
    before = host.image(signature)
    host.write_here(signature, _image(keyring.sign(data, key)))
    try:
        host.write_here(path, _image(data))
    except FileSystemError:
        host.remove(signature) if before is None else host.write_here(signature, before)
        raise
    return (path, signature)


def _image(data: bytes) -> Image:
    return Image(data, 0o644, os.geteuid(), os.getegid())
