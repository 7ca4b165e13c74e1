# SPDX-License-Identifier: Apache-2.0
"""The configuration as a whole: the catalogue with the administrator's additions, tuxcare.conf, what dnf.conf contributes."""

import contextlib
import json
import os
from typing import Any, Dict, List, Tuple

from tuxcare_lib import catalogue, inifile, location, policy, settings
from tuxcare_lib.adapter import sources
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.errors import TuxcareError
from tuxcare_lib.model import Image
from tuxcare_lib.rootfs import Root
from tuxcare_lib.settings import Settings

_DISTRUSTED = '{} can be written by others than root, so {} not honoured: chown root, chmod 644.'


def read(conf: Any) -> Tuple[Catalogue, Settings]:
    """The catalogue with the administrator's additions, and tuxcare.conf. Raises ConfigurationError."""
    notes: List[str] = []
    texts = [(location.CATALOGUE, _text(location.CATALOGUE))]
    for addition in sources.additions(conf):
        if _only_root_writes(addition):
            texts.append((addition, _text(addition)))
        else:
            notes.append(_DISTRUSTED.format(addition, 'it is'))
    found = catalogue.read(texts)
    path = sources.configuration(conf)
    chosen = settings.read(_text(path) if path else None, found.service, path or settings.PATH)
    if path and not _only_root_writes(path):
        chosen = chosen._replace(trusted_url=(), allow=())
        notes.append(_DISTRUSTED.format(path, 'trusted_url and allow in it are'))
    return found, chosen._replace(notes=tuple(notes))


def policy_anew(conf: Any, path: str, identity: List[List[Any]]) -> Dict[str, Any]:
    """The policy made from the files, and kept at `path` in dnf's cache for the next command where that can be done."""
    document = policy.make(*read(conf))
    folder, name = os.path.split(path)
    if os.geteuid() == 0 and os.path.isdir(folder):
        data = json.dumps({'identity': identity, 'policy': document}, sort_keys=True).encode('ascii')
        with contextlib.suppress(TuxcareError):  # made anew each time, then: milliseconds, nothing else
            Root(folder).write('/' + name, Image(data, 0o644))
    return document


def network_of(conf: Any) -> Dict[str, str]:
    """dnf's own proxy (with its user and password) and certificates, for our transport."""
    proxy = conf.proxy or ''
    if proxy and conf.proxy_username:
        scheme, _, rest = proxy.partition('://')
        proxy = '{}://{}:{}@{}'.format(scheme, conf.proxy_username, conf.proxy_password or '', rest)
    return {'proxy': proxy, 'ca_file': conf.sslcacert or ''}


def _text(path: str) -> str:
    with open(path, 'rb') as stream:
        return inifile.decode(stream.read())


def _only_root_writes(path: str) -> bool:
    status = os.stat(path)
    return status.st_uid == 0 and not status.st_mode & 0o022
