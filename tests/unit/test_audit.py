# SPDX-License-Identifier: Apache-2.0
"""The auditor's document: the STIG's checks by their own words, and a page in which nothing of the host can act."""

import html.parser
from typing import Any, Dict, List, Optional, Tuple

import pytest

from tests.unit.test_proof import GOOD
from tuxcare_lib import audit, proof
from tuxcare_lib.audit import Findings
from tuxcare_lib.proof import Evidence

FOUND = Findings((('baseos', 'AlmaLinux 9.2 - BaseOS'), ('tuxcare-esu', 'TuxCare - ESU')),
                 ('gnutls-3.7.6-23.el9_2.tuxcare.3.x86_64', 'kernel-core-5.14.0-284.30.1.el9_2.x86_64',
                  'nss-softokn-3.90.0-3.el9_2.x86_64', 'bash-5.1.8-6.el9_1.x86_64'),
                 'FIPS mode is enabled.',
                 ('AlmaLinux OS 9 <x>', 'TuxCare (Software Signing Key) <packager@tuxcare.com> public key'))
KERNEL = 'kernel-5.14.0-284.11.1.el9_2.x86_64'
EVIL = '<script>alert(1)</script>"\'&\x1b[31m\u202e\ud800\x00'


def results(**changed: Any) -> List[str]:
    return [check.result for check in audit.checks(FOUND._replace(**changed))]


def test_a_host_without_findings() -> None:
    assert results() == ['not a finding'] * 4 and [check.note for check in audit.checks(FOUND)] == [''] * 4


@pytest.mark.parametrize('changed, place, result', [
    ({'repositories': (('tuxcare-esu-debug', ''),)}, 0, 'open'), ({'repositories': ()}, 0, 'open'),
    ({'repositories': (), 'has_token': False}, 0, 'not reviewed'),
    ({'packages': (KERNEL,)}, 1, 'open'), ({'packages': ('openssl-3.0.7-16.el9_2.x86_64',)}, 1, 'open'),
    ({'mode': 'FIPS mode is disabled.'}, 2, 'open'), ({'mode': ''}, 2, 'open'), ({'mode': None}, 2, 'not reviewed'),
    ({'mode': 'FIPS mode is enabled.\nInconsistent state detected.'}, 2, 'open'),
    ({'mode': 'Installation of FIPS modules is not completed.\nFIPS mode is enabled.'}, 2, 'open'),
    ({'keys': ('TuxCare (Other Key)',)}, 3, 'open'), ({'keys': ()}, 3, 'open')])
def test_a_finding(changed: Dict[str, Any], place: int, result: str) -> None:
    assert results(**changed) == ['not a finding'] * place + [result] + ['not a finding'] * (3 - place)
    assert audit.checks(FOUND._replace(**changed))[place].note


def test_the_output_is_what_the_command_prints() -> None:
    checks = {check.id: check for check in audit.checks(FOUND._replace(packages=FOUND.packages + (KERNEL,)))}
    assert checks['V-269125'].output == ('repo id     repo name\nbaseos      AlmaLinux 9.2 - BaseOS\ntuxcare-esu TuxCare - ESU')
    assert checks['V-269126'].output == KERNEL
    assert '^(gnutls|nettle|nss|openssl|libgcrypt|kernel)-[0-9]+' in checks['V-269126'].command
    assert checks['V-269127'].output == 'FIPS mode is enabled.'
    assert list(checks) == ['V-269125', 'V-269126', 'V-269127', 'ALMA-09-009700']


def document(text: Optional[str] = None, evidence: Evidence = GOOD) -> Dict[str, Any]:
    """A report's document; with a text it stands wherever the host has a say."""
    found = proof.judge(evidence)
    reason = {'code': 'file', 'text': 'wrong', 'remedy': 'Mend it.'}
    made = dict(proof.document(evidence, found), host='web1', system='AlmaLinux 9.2', made_at='now', made_by='us', product=None,
                pin=None, reasons=[reason], not_checked=['this'],
                checks=[check._asdict() for check in audit.checks(FOUND)])
    return made if text is None else _everywhere(made, text)


def _everywhere(value: Any, text: str) -> Any:
    if isinstance(value, dict):
        return {key: value[key] if key in ('result', 'verdict') else _everywhere(value[key], text) for key in value}
    if isinstance(value, list):
        return [_everywhere(item, text) for item in value]
    return text if isinstance(value, str) or value is None else value


class Seen(html.parser.HTMLParser):
    """The tags and attributes of a page, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: List[Tuple[str, str]] = []
        self.text = ''
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: List[Tuple[str, Optional[str]]]) -> None:
        self.tags += [(tag, name) for name, _ in attrs] or [(tag, '')]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_says_it_all() -> None:
    seen = Seen(audit.page(document()))
    for word in ('web1', 'Verdict: ', 'validated', 'This boot runs exactly the validated builds', 'V-269127',
                 'fips-mode-setup --check',
                 'openssl-libs-1:3.0.7-20.el9_2.tuxcare.1.x86_64', '3.0.7-1d2bd88ee26b3c90',
                 'D07BF2A08D50EB66', 'as in the package database', 'fips=1 (default)'):
        assert word in seen.text, word


def test_what_was_not_looked_at_is_not_called_good() -> None:
    unread = {name: tuple(part._replace(signer=None) for part in parts) for name, parts in GOOD.parts.items()}
    seen = Seen(audit.page(document(evidence=GOOD._replace(parts=unread))))
    assert seen.text.count('not looked at') == 2 * len(unread) and 'as in the package database' not in seen.text


def test_a_hostile_host_can_do_nothing_in_the_page() -> None:
    page = audit.page(document(EVIL))
    assert Seen(page).tags == Seen(audit.page(document('a'))).tags
    assert 'alert(1)</script>' in Seen(page).text and '<script' not in page
    assert not {'\x1b', '\u202e', '\ud800', '\x00'}.intersection(page)
    page.encode('utf-8')


def test_nothing_is_loaded_and_nothing_runs() -> None:
    page = audit.page(document())
    assert "default-src 'none'" in page and 'http:' not in page and 'https:' not in page and 'url(' not in page
    names = {name for _, name in Seen(page).tags}
    assert names <= {'', 'lang', 'charset', 'http-equiv', 'content', 'name', 'class', 'scope'}
    assert 'prefers-color-scheme: dark' in page and '@media print' in page


def test_the_summary_cannot_act_on_a_terminal() -> None:
    rows = audit.summary(document(EVIL))
    assert dict(rows)['Verdict'].startswith('validated\n')
    assert not any('\x1b' in value or '\u202e' in value for _, value in rows)
    assert audit.clean('a\tb\nc\x07') == 'a b\nc\ufffd'
