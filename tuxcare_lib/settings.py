# SPDX-License-Identifier: Apache-2.0
"""/etc/dnf/plugins/tuxcare.conf: the administrator's choices over the catalogue's defaults."""

import re
from typing import Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit

from tuxcare_lib import schema
from tuxcare_lib.errors import ConfigurationError
from tuxcare_lib.schema import Key

PATH = '/etc/dnf/plugins/tuxcare.conf'


def _url(value: str) -> str:
    """An http or https address without user information, query or fragment."""
    try:
        parts, port = urlsplit(value), urlsplit(value).port
    except ValueError as error:
        raise ValueError('not an address: {}'.format(error))
    if port == 0 or parts.scheme not in ('https', 'http') or not parts.hostname:
        raise ValueError('an address that begins with https:// is needed')
    if parts.username is not None or parts.query or parts.fragment or re.search(r'[\s$]', value):
        raise ValueError('an address without user name, query, fragment, blank or variable is needed')
    return value.rstrip('/')


def _fingerprint(value: str) -> str:
    digits = re.sub(r'\s', '', value).upper()
    if not re.match('[0-9A-F]{40}\\Z', digits):
        raise ValueError('a whole fingerprint of 40 hexadecimal digits is needed')
    return digits


def _allow(value: str) -> Tuple[str, ...]:
    for word in value.split():
        if not re.match(r'[^@\s]+@[^@\s]+\Z', word):
            raise ValueError('NAME@REPOSITORY-ID is needed, separated by white space')
    return tuple(value.split())


# Every key but the catalogue's defaults; docs/configuration.md describes each, and a test compares.
SCHEMA: Dict[str, Dict[str, Key]] = {
    'main': {'enabled': Key(schema.boolean, default=True)},
    'service': {
        'register_url': Key(_url), 'check_url': Key(_url), 'unregister_url': Key(_url), 'repo_url': Key(_url),
        'gpg_key_url': Key(_url), 'gpg_key_fingerprint': Key(_fingerprint),
        'ca_file': Key(str, default=''), 'proxy': Key(str, default=''),
        'timeout': Key(schema.integer(1, 600), default=30), 'retries': Key(schema.integer(0, 10), default=3)},
    'pin': {'trusted_url': Key(schema.words, default=()), 'allow': Key(_allow, default=())},
}


class Settings(NamedTuple):
    """The configuration as it counts. Times are seconds."""

    register_url: str
    check_url: str
    unregister_url: str
    repo_url: str
    gpg_key_url: str
    gpg_key_fingerprint: str
    ca_file: str = ''
    proxy: str = ''
    timeout: int = 30
    retries: int = 3
    trusted_url: Tuple[str, ...] = ()
    allow: Tuple[str, ...] = ()


def read(text: Optional[str], defaults: Dict[str, str], path: str = PATH) -> Settings:
    """The settings from the file's text (None: no such file). Raises ConfigurationError with every problem."""
    sections, problems = schema.read(path, text or '', SCHEMA)
    if problems:
        raise ConfigurationError(problems, 'Correct the file, or remove it: every key has a default.')
    values: Dict[str, object] = dict(defaults)
    values['gpg_key_fingerprint'] = _fingerprint(defaults['gpg_key_fingerprint'])
    for section in sections:
        for name in section.lines:
            if section.kind != 'main':
                values[name] = section.values[name]
    return Settings(**values)  # type: ignore[arg-type]


def hosts_without_tls(settings: Settings) -> List[str]:
    """Names of hosts that the configuration addresses by plain HTTP: said aloud, since a token goes there readable."""
    urls = (settings.register_url, settings.check_url, settings.unregister_url, settings.repo_url)
    return sorted({urlsplit(url).hostname or '' for url in urls if url.startswith('http:')})
