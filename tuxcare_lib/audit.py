# SPDX-License-Identifier: Apache-2.0
"""The document that an auditor files: the STIG's checks, and the whole as one self-contained page. Pure.

What stands in it comes from the host, and a host may be hostile: everything is escaped, and nothing in the page can run or load.
"""

import html
import re
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple

from tuxcare_lib import messages, proof

# The words of a STIG checklist.
NOT_A_FINDING, OPEN, NOT_REVIEWED = 'not a finding', 'open', 'not reviewed'
_KEY = 'TuxCare (Software Signing Key)'
_MODULES = re.compile(r'(gnutls|nettle|nss|openssl|libgcrypt|kernel)-[0-9]+', re.A)


class Check(NamedTuple):
    """A check of the public STIG for AlmaLinux 9 (FACTS 4). `output` is what its command prints, `note` what to do."""

    id: str
    title: str
    command: str
    output: str
    result: str
    note: str


class Findings(NamedTuple):
    """What the checks look at: repositories as (id, name), packages as `rpm -qa` prints them, what fips-mode-setup said.

    `mode` is None where it could not be asked. `has_token` is False for a user who cannot read it: dnf leaves out what needs it.
    `way_in` is what leads to the validated set, `is_off` whether FIPS mode is.
    """

    repositories: Sequence[Tuple[str, str]]
    packages: Sequence[str]
    mode: Optional[str]
    keys: Sequence[str]
    has_token: bool = True
    is_registered: bool = True
    is_off: bool = False
    way_in: str = messages.ENABLE_HINT


def checks(found: Findings) -> List[Check]:
    """The checks that a host under TuxCare's support is audited by."""
    loose = [package for package in found.packages if _MODULES.match(package) and 'tuxcare' not in package]
    said = found.mode or ''
    see = 'Run `dnf tuxcare status`.' if found.way_in == messages.ENABLE_HINT else found.way_in
    mode = found.way_in if found.is_off else 'Run `dnf tuxcare fips status`.'
    return [
        _check('V-269125', 'The vendor\'s ESU repository has to be in use.', 'dnf repolist', _listed(found.repositories),
               any(name == 'tuxcare-esu' for name, _ in found.repositories) if found.has_token else None,
               see, 'Only root can read the token that this repository needs.'),
        _check('V-269126', 'Every FIPS module has to be a build of the vendor\'s.',
               'rpm -qa | grep -E \'^(gnutls|nettle|nss|openssl|libgcrypt|kernel)-[0-9]+\' | grep -v tuxcare', '\n'.join(loose),
               not loose, found.way_in),
        _check('V-269127', 'FIPS mode has to be on.', 'fips-mode-setup --check', said,
               None if found.mode is None else _is_enabled(said), mode),
        _check('ALMA-09-009700', 'The vendor\'s signing key has to be trusted.', 'rpm -q gpg-pubkey --qf \'%{SUMMARY}\\n\'',
               '\n'.join(found.keys), any(_KEY in key for key in found.keys),
               'Run `dnf tuxcare status --check`.' if found.is_registered else found.way_in)]


def _check(name: str, title: str, command: str, output: str, good: Optional[bool], remedy: str,
           unknown: str = 'The program cannot be run here.') -> Check:
    """A check and its result; None is one that could not be made, and `unknown` why."""
    if good is None:
        return Check(name, title, command, output, NOT_REVIEWED, unknown)
    return Check(name, title, command, output, NOT_A_FINDING if good else OPEN, '' if good else remedy)


def _listed(repositories: Sequence[Tuple[str, str]]) -> str:
    """As `dnf repolist` has it."""
    width = max(len(name) for name, _ in list(repositories) + [('repo id', '')])
    return '\n'.join('{:<{}} {}'.format(name, width, title) for name, title in [('repo id', 'repo name')] + list(repositories))


def _is_enabled(said: str) -> bool:
    """fips-mode-setup says that the mode is enabled also before it says that the state is inconsistent (FACTS 4)."""
    return said.strip().split('\n') == ['FIPS mode is enabled.']


def clean(text: object) -> str:
    """A text of the host's without what a terminal or a browser acts upon."""
    return messages.clean(str(text).replace('\t', ' '))


# --- text -----------------------------------------------------------------------------------------------------------


def summary(document: Dict[str, Any]) -> List[Tuple[str, str]]:
    """The document as rows for a terminal."""
    rows = [('Host', '{} ({}), {}'.format(document['host'], document['system'], document['made_at'])),
            ('Verdict', '{}\n{}'.format(document['verdict'], document['meaning']))]
    rows += [('Reason', '{text} {remedy}'.format(**reason).strip()) for reason in document['reasons']]
    rows += [('This boot', document['verified'])] if document['verified'] else []
    rows += [(check['id'], '{} ({}) {}'.format(check['result'], check['title'].rstrip('.'), check['note']).strip())
             for check in document['checks']]
    return [(name, clean(value)) for name, value in rows]


# --- HTML -----------------------------------------------------------------------------------------------------------

_STYLE = '''
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #c8ced6; --soft: #f3f5f7;
  --good: #116329; --bad: #a40e26; --due: #7a4d00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ed; --paper: #14171a; --line: #3d444d; --soft: #1f2328;
  --good: #6fdd8b; --bad: #ff9492; --due: #f0b84a; } }
@media print { :root { color-scheme: light; --ink: #000; --paper: #fff; --line: #999; --soft: #fff;
  --good: #0a4a1d; --bad: #8a0c20; --due: #5c3a00; }
  tr, pre, .check { break-inside: avoid; } h2 { break-after: avoid; } body { max-width: none; padding: 0; font-size: 9.5pt; }
  pre, table { font-size: 8pt; } }
@page { size: A4; margin: 18mm; }
body { background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; max-width: 60rem;
  margin: 0 auto; padding: 2rem; }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem .35rem 0; text-align: left; vertical-align: top;
  overflow-wrap: anywhere; }
th[scope=row] { font-weight: 600; width: 11rem; }
pre { background: var(--soft); border: 1px solid var(--line); padding: .5rem .75rem; margin: .25rem 0;
  font: 13px/1.4 ui-monospace, monospace; overflow-wrap: anywhere; white-space: pre-wrap; }
.verdict { font-size: 1.25rem; font-weight: 700; }
th, .good, .bad, .due { white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); } .due { color: var(--due); }
.check { margin-top: 1rem; }
'''
_GOOD, _BAD = (proof.VALIDATED, proof.COMPLIANT, NOT_A_FINDING), (proof.BROKEN, proof.NEITHER, OPEN)
_PAGE = '''<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
{body}
</body>
</html>
'''


def page(document: Dict[str, Any]) -> str:
    """The document as HTML: no script, nothing that is loaded, light, dark and on paper."""
    title = 'FIPS 140-3 report: {}'.format(document['host'])
    body = ['<h1>{}</h1>'.format(_text(title)), '<p>{}, made {} by {}</p>'.format(*(
        _text(document[key]) for key in ('system', 'made_at', 'made_by'))),
        '<p class="verdict">Verdict: {}</p>'.format(_word(document['verdict'])),
        '<p>{}</p>'.format(_text(document['meaning']))]
    body += ['<p>{}</p>'.format(_text(document['verified']))] if document['verified'] else []
    body += _list(['{} {}'.format(reason['text'], reason['remedy']) for reason in document['reasons']])
    for heading, inner in (('Host', _host(document)), ('STIG checks', [_shown(check) for check in document['checks']]),
                           ('Modules', _modules(document['modules'])), ('Boot loader', _boot(document['boot_entries'])),
                           ('Not checked', _list(document['not_checked']))):
        if inner:
            body += ['<section>', '<h2>{}</h2>'.format(heading)] + inner + ['</section>']
    return _PAGE.format(title=_text(title), style=_STYLE, body='\n'.join(body))


def _text(value: object) -> str:
    return html.escape(clean(value), quote=True)


def _word(value: str) -> str:
    kind = 'good' if value in _GOOD else 'bad' if value in _BAD else 'due'
    return '<span class="{}">{}</span>'.format(kind, _text(proof.SHOWN.get(value, value)))


def _list(texts: Iterable[str]) -> List[str]:
    items = ['<li>{}</li>'.format(_text(text)) for text in texts]
    return ['<ul>'] + items + ['</ul>'] if items else []


def _row(name: str, value: object) -> str:
    return '<tr><th scope="row">{}</th><td>{}</td></tr>'.format(_text(name), _text(value))


def _host(document: Dict[str, Any]) -> List[str]:
    policy, provider = document['crypto_policy'], next(
        (entry for entry in document['providers'] or () if entry['id'] == 'fips'), None)
    rows = [('Name', document['host']), ('System', document['system']), ('Product', document['product'] or 'not registered'),
            ('Held on', document['pin'] or 'nothing'), ('FIPS mode', 'on' if document['mode_on'] else 'off'),
            ('Running kernel', document['running_kernel']),
            ('OpenSSL provider', '{name}, version {version}, {status}'.format(**provider) if provider else 'none'),
            ('Crypto policy', '{configured}, in effect: {applied}'.format(**policy))]
    return ['<table>'] + [_row(name, value) for name, value in rows] + ['</table>']


def _shown(check: Dict[str, str]) -> str:
    return '<div class="check"><strong>{}</strong> {} <strong>{}</strong>{}\n<pre>$ {}\n{}</pre></div>'.format(
        _text(check['id']), _text(check['title']), _word(check['result']),
        '<p>{}</p>'.format(_text(check['note'])) if check['note'] else '', _text(check['command']),
        _text(check['output']) or '(no output)')


def _modules(modules: Sequence[Dict[str, Any]]) -> List[str]:
    heads = ('Validated build', 'Installed', 'Verdict', 'Certificate', 'Signed by', 'Files')
    rows = ['<tr>{}</tr>'.format(''.join('<th>{}</th>'.format(head) for head in heads))]
    for module in modules:
        cells = (_text(module['wanted']), _lines(part['nevra'] for part in module['parts']) or 'none',
                 _word(module['state']), _text(module['certificate'] or 'not known'), *_verified(module['parts']))
        rows.append('<tr>{}</tr>'.format(''.join('<td>{}</td>'.format(cell) for cell in cells)))
    return ['<table>'] + rows + ['</table>'] if modules else []


def _verified(parts: Sequence[Dict[str, Any]]) -> Tuple[str, str]:
    """Who signed a module's packages, and how their files are; nothing was looked at where the mode is off."""
    signers = [part['signer'] for part in parts if part['signer'] is not None]
    if not signers:
        return 'not looked at', 'not looked at'
    differing = _lines(text for part in parts for key in ('altered', 'edited', 'unread') for text in part[key])
    return _lines(sorted({signer.upper() or 'nobody' for signer in signers})), differing or 'as in the package database'


def _lines(texts: Iterable[str]) -> str:
    return '<br>'.join(_text(text) for text in texts)


def _boot(entries: Sequence[Dict[str, Any]]) -> List[str]:
    return _list('{}{}{}{}'.format(entry['kernel'], ' fips=1' if entry['fips'] else '', ' (default)' if entry['default'] else '',
                                   ''.join(', missing: ' + path for path in entry['missing'])) for entry in entries)
