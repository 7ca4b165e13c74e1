# SPDX-License-Identifier: Apache-2.0
"""dnf's caches of the repositories whose address holds the token: they go when the token does.

No byte of the token is in them, but the names of their folders are made from the addresses, and nothing else would ever remove
them. What dnf keeps by a repository's id is of its next address, too, and stays.
"""

import logging
from typing import Any

import dnf.exceptions
import dnf.lock
import dnf.util

from tuxcare_lib.host import TOKEN
from tuxcare_lib.rootfs import Root

logger = logging.getLogger('dnf')


class TokenCaches:
    """Those of the token that the process has begun with; made once dnf has read the repository files."""

    def __init__(self, base: Any) -> None:
        self._conf = base.conf
        self._token = base.conf.substitutions.get('tuxcare_token') or ''
        self._folders = [repo._repo.getCachedir() for repo in base.repos.all()
                         if self._token and any(self._token in url for url in repo.baseurl)]

    def clear(self, root: Root) -> None:
        """Remove them if the host has that token no longer. Another dnf that reads there is left alone, and that is said."""
        if not self._folders or (root.text(TOKEN) or '').strip() == self._token:
            return
        try:
            with dnf.lock.build_metadata_lock(self._conf.cachedir, True):
                for folder in self._folders:
                    dnf.util.rm_rf(folder)
        except dnf.exceptions.LockError:
            logger.warning('Another dnf is at work, so caches of the old registration stay. Run: dnf clean all')
