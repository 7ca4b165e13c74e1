# SPDX-License-Identifier: Apache-2.0
"""The configuration as a whole: the catalogue with the administrator's additions, and tuxcare.conf."""

from typing import List, Tuple

from tuxcare_lib import catalogue, inifile, settings, witness
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.settings import Settings

_DISTRUSTED = '{} (or a folder above it) can be written by others than root, so {} not honoured: chown root, chmod go-w.'


def read(root: str) -> Tuple[Catalogue, Settings]:
    """What counts for a root (see `witness`). Raises ConfigurationError with every problem."""
    notes: List[str] = []
    texts = [(witness.CATALOGUE, _text(witness.CATALOGUE))]
    for addition in witness.additions(root):
        if witness.only_root_writes(root, addition):
            texts.append((addition, _text(addition)))
        else:
            notes.append(_DISTRUSTED.format(addition, 'it is'))
    found = catalogue.read(texts)
    path = witness.configuration(root)
    chosen = settings.read(_text(path) if path else None, found.service, path or settings.PATH)
    if path and not witness.only_root_writes(root, path):
        chosen = chosen._replace(trusted_url=(), allow=())
        notes.append(_DISTRUSTED.format(path, 'trusted_url and allow in it are'))
    return found, chosen._replace(notes=tuple(notes))


def _text(path: str) -> str:
    with open(path, 'rb') as stream:
        return inifile.decode(stream.read())
