# SPDX-License-Identifier: Apache-2.0
"""The files behind the configuration, and their identity: cheap enough for every dnf command (see `pin`)."""

import os

from tuxcare_lib import __version__, location

MYPY = False
if MYPY:
    from typing import Any, List

_CONFIGURATION = 'tuxcare.conf'
_ADDITIONS = 'tuxcare.d'


def configuration(conf: 'Any') -> str:
    """The path of tuxcare.conf in dnf's plugin configuration folders; empty where there is none."""
    paths = [os.path.join(folder, _CONFIGURATION) for folder in conf.pluginconfpath]
    return next((path for path in paths if os.path.exists(path)), '')


def additions(conf: 'Any') -> 'List[str]':
    """The administrator's additions to the catalogue, in their order."""
    found = []
    for folder in conf.pluginconfpath:
        inner = os.path.join(folder, _ADDITIONS)
        if os.path.isdir(inner):
            found += [os.path.join(inner, name) for name in sorted(os.listdir(inner)) if name.endswith('.conf')]
    return found


def identity(conf: 'Any') -> 'List[List[Any]]':
    """What changes when any of the files is edited, replaced, removed, or may be written by somebody else."""
    found = [[__version__]]  # type: List[List[Any]]
    for path in [location.CATALOGUE, configuration(conf)] + additions(conf):
        try:
            status = os.stat(path)
            found.append([path, status.st_ino, status.st_size, status.st_mtime_ns, status.st_uid, status.st_mode])
        except OSError:
            found.append([path])
    return found
