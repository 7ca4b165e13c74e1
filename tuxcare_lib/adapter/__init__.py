# SPDX-License-Identifier: Apache-2.0
"""Everything that we know of dnf: the only part of the library that imports it. Here: what its configuration says."""

import os
from typing import Any, Dict, Tuple

from tuxcare_lib import catalogue, inifile, location, settings
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.settings import Settings


def read_configuration(conf: Any) -> Tuple[Catalogue, Settings]:
    """The catalogue with the administrator's additions, and tuxcare.conf. Raises ConfigurationError."""
    sources = [(location.CATALOGUE, _text(location.CATALOGUE))]
    path = ''
    for folder in conf.pluginconfpath:
        additions = os.path.join(folder, 'tuxcare.d')
        if os.path.isdir(additions):
            sources += [(os.path.join(additions, name), _text(os.path.join(additions, name)))
                        for name in sorted(os.listdir(additions)) if name.endswith('.conf')]
        if not path and os.path.isfile(os.path.join(folder, 'tuxcare.conf')):
            path = os.path.join(folder, 'tuxcare.conf')
    found = catalogue.read(sources)
    chosen = settings.read(_text(path) if path else None, found.service, path or settings.PATH)
    if path and not _only_root_writes(path):
        chosen = chosen._replace(trusted_url=(), allow=())
    return found, chosen


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
