# SPDX-License-Identifier: Apache-2.0
"""/etc/dnf/plugins/tuxcare.conf: the administrator's choices over the catalogue's defaults."""

import ipaddress
import re
from typing import Dict, List, NamedTuple, Optional, Tuple
from urllib.parse import quote, urlsplit

from tuxcare_lib import schema
from tuxcare_lib.errors import ConfigurationError, Problem
from tuxcare_lib.schema import Key

PATH = '/etc/dnf/plugins/tuxcare.conf'

# EC2's metadata service by IPv6 is at an address that is link-local by AWS's word alone.
_AWS_IPV6 = ipaddress.ip_address('fd00:ec2::254')
_NOWHERE = ipaddress.ip_address('::')


def _file(value: str) -> str:
    """An absolute path; empty for none. It becomes a value in repository files, so it is one word."""
    if value and not re.match(r'/[!-~]+\Z', value, re.A):
        raise ValueError('an absolute path without blanks is needed')
    return value


def _tls(value: str) -> str:
    """The address of a service that is never spoken to readably; empty for none."""
    return schema.address(value, ('https',)) if value else ''


def _link_local(value: str) -> str:
    """The address of a service on this machine's own link, by plain HTTP: as a number, so that no DNS leads it elsewhere."""
    found = schema.address(value, ('http',))
    try:
        host = ipaddress.ip_address(urlsplit(found).hostname or '')
    except ValueError:
        host = _NOWHERE
    if not (host.is_link_local or host.is_loopback or host == _AWS_IPV6):
        raise ValueError('an address such as http://169.254.169.254 is needed: link-local, and a number')
    return found


def _proxy(value: str) -> str:
    """A proxy's address, in which a user name and password may stand; empty for none."""
    if value and not re.match(r'[!-~]+\Z', value, re.A):
        raise ValueError('an address without blanks is needed')
    if value:
        _reachable(value)
    return value


def _reachable(proxy: str) -> None:
    """Raises ValueError for a proxy's address whose scheme or host cannot be one, without its words."""
    if not re.match('(https?|socks4a?|socks5h?)://', proxy):
        raise ValueError('an address that begins with http://, https:// or socks5:// is needed')
    schema.host(proxy)


def _mirrors(value: str) -> Tuple[str, ...]:
    """Prefixes of own mirrors; they may be folders, and name the release by its variable."""
    found = [word for word in value.split() if schema.address(word.replace('$tuxcare_releasever', '0.0'),
                                                              ('https', 'http', 'file'))]
    if any(not word.partition('://')[2].strip('/') for word in found):
        raise ValueError('a folder is needed: this would trust every file')
    return tuple(word.rstrip('/') for word in found)


def _allow(value: str) -> Tuple[str, ...]:
    for word in value.split():
        if not re.match(r'[^@\s]+@[^@\s]+\Z', word):
            raise ValueError('NAME@REPOSITORY-ID is needed, separated by white space')
    return tuple(value.split())


# Every key but the catalogue's defaults; docs/configuration.md describes each, and a test compares.
SCHEMA: Dict[str, Dict[str, Key]] = {
    'main': {'enabled': Key(schema.boolean, default=True)},
    'service': {
        'register_url': Key(schema.url), 'check_url': Key(schema.url), 'unregister_url': Key(schema.url),
        'repo_url': Key(schema.url), 'gpg_key_url': Key(schema.url), 'gpg_key_fingerprint': Key(schema.fingerprint),
        'aws_register_url': Key(_tls, default=''),
        'aws_metadata_url': Key(_link_local, default='http://169.254.169.254'),
        'ca_file': Key(_file, default=''), 'proxy': Key(_proxy, default=''),
        'timeout': Key(schema.integer(1, 600), default=30), 'retries': Key(schema.integer(0, 10), default=3)},
    'pin': {'trusted_url': Key(_mirrors, default=()), 'allow': Key(_allow, default=())},
}


class Settings(NamedTuple):
    """The configuration as it counts. Times are seconds. `notes` tell what of it was not honoured, and why."""

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
    aws_register_url: str = ''
    aws_metadata_url: str = SCHEMA['service']['aws_metadata_url'].default
    notes: Tuple[str, ...] = ()


def read(text: Optional[str], defaults: Dict[str, str], path: str = PATH) -> Settings:
    """The settings from the file's text (None: no such file). Raises ConfigurationError with every problem."""
    sections, problems = schema.read(path, text or '', SCHEMA, {})
    if problems:
        raise ConfigurationError(problems, 'Correct the file, or remove it: every key has a default.')
    values: Dict[str, object] = dict(defaults)
    for section in sections:
        for name in section.lines:
            if section.kind != 'main':
                values[name] = section.values[name]
    return Settings(**values)  # type: ignore[arg-type]


def dnf_proxy(value: str, user: str, password: str) -> str:
    """dnf's proxy as an address. As curl has it: http:// where no scheme is given, user and password as they stand."""
    if value in ('', '_none_'):
        return ''
    scheme, _, rest = (value if '://' in value else 'http://' + value).partition('://')
    if user:
        rest = '{}:{}@{}'.format(quote(user, safe=''), quote(password, safe=''), rest.rpartition('@')[2])
    return '{}://{}'.format(scheme.lower(), rest)


def check_proxy(value: str) -> None:
    """dnf takes any text for its own proxy. Raises ConfigurationError, without the text: it may hold a password."""
    try:
        _reachable(value)
    except ValueError as error:
        raise ConfigurationError([Problem('proxy of dnf.conf (or --setopt)', 0, str(error))], 'Correct it.')


def hosts_without_tls(settings: Settings) -> List[str]:
    """Names of hosts that the configuration addresses by plain HTTP: said aloud, since a token goes there readable."""
    urls = (settings.register_url, settings.check_url, settings.unregister_url, settings.repo_url)
    return sorted({urlsplit(url).hostname or '' for url in urls if url.startswith('http:')})
