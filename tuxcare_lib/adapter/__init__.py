# SPDX-License-Identifier: Apache-2.0
"""Everything that we know of dnf: the only part of the library that imports it. Here: what its configuration says."""

import os
from typing import Any, Dict, List, Tuple

from tuxcare_lib import catalogue, inifile, location, settings
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.settings import Settings

_DISTRUSTED = '{} can be written by others than root, so {} not honoured: chown root, chmod 644.'


def read_configuration(conf: Any) -> Tuple[Catalogue, Settings]:
    """The catalogue with the administrator's additions, and tuxcare.conf. Raises ConfigurationError."""
    sources = [(location.CATALOGUE, _text(location.CATALOGUE))]
    path = ''
    notes: List[str] = []
    for folder in conf.pluginconfpath:
        additions = os.path.join(folder, 'tuxcare.d')
        if os.path.isdir(additions):
            sources += _additions(additions, notes)
        if not path and os.path.isfile(os.path.join(folder, 'tuxcare.conf')):
            path = os.path.join(folder, 'tuxcare.conf')
    found = catalogue.read(sources)
    chosen = settings.read(_text(path) if path else None, found.service, path or settings.PATH)
    if path and not _only_root_writes(path):
        chosen = chosen._replace(trusted_url=(), allow=())
        notes.append(_DISTRUSTED.format(path, 'trusted_url and allow in it are'))
    return found, chosen._replace(notes=tuple(notes))


def _additions(folder: str, notes: List[str]) -> List[Tuple[str, str]]:
    """The administrator's additions to the catalogue; a file that others than root can write is left out, and said."""
    sources = []
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if name.endswith('.conf') and _only_root_writes(path):
            sources.append((path, _text(path)))
        elif name.endswith('.conf'):
            notes.append(_DISTRUSTED.format(path, 'it is'))
    return sources


def _text(path: str) -> str:
    with open(path, 'rb') as stream:
        return inifile.decode(stream.read())


def _only_root_writes(path: str) -> bool:
    status = os.stat(path)
    return status.st_uid == 0 and not status.st_mode & 0o022


def network_of(conf: Any) -> Dict[str, str]:
    """dnf's own proxy (with its user and password) and certificates, for our transport."""
    proxy = conf.proxy or ''
    if proxy and conf.proxy_username:
        scheme, _, rest = proxy.partition('://')
        proxy = '{}://{}:{}@{}'.format(scheme, conf.proxy_username, conf.proxy_password or '', rest)
    return {'proxy': proxy, 'ca_file': conf.sslcacert or ''}
