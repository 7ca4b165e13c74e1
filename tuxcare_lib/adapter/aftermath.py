# SPDX-License-Identifier: Apache-2.0
"""What follows a transaction on a registered host: repository files that it brought are switched, our record follows a move.

Made before rpm starts, with all it will need imported: the transaction may be replacing this very library.
"""

import contextlib
import logging
from typing import Any, Dict, List, Set, Tuple

from tuxcare_lib import boot, configuration, facts as gathering, fips, journal, lock, messages, planner
from tuxcare_lib.adapter.guard import Guard
from tuxcare_lib.errors import CommandError, FileSystemError
from tuxcare_lib.host import FIPS_STATE, REPOSITORY_FOLDERS, Facts, Registration
from tuxcare_lib.model import Boot, Change, Release
from tuxcare_lib.rootfs import Root

logger = logging.getLogger('dnf.plugin')


class Aftermath:
    """One transaction's. `finish` raises TuxcareError: what is said then is a warning, the packages are there."""

    def __init__(self, root: str, guard: Guard) -> None:
        self._root = Root(root)
        self._guard = guard
        self._catalogue, self._settings = configuration.read(root)
        self._architecture = guard.record['architecture']
        self._before = self._repository_files()
        self._holds_fips = guard.hold is not None and not guard.is_lifted
        self._boot = boot.read(self._root) if self._holds_fips else None

    def _repository_files(self) -> Dict[str, Tuple[Any, ...]]:
        """Each repository file with what changes when rpm writes it."""
        found = {}
        for folder in REPOSITORY_FOLDERS:
            for name in self._root.names(folder):
                with contextlib.suppress(FileSystemError):  # no file that dnf would read, so none that has to heal
                    image = self._root.image('{}/{}'.format(folder, name)) if name.endswith('.repo') else None
                    if image is not None:
                        found['{}/{}'.format(folder, name)] = (image.data, image.mtime_ns)
        return found

    def finish(self) -> None:
        """Keep the next boot in FIPS mode; heal and follow, in one journaled change."""
        if self._boot is not None:
            self._keep_fips(self._boot)
        if journal.is_open(self._root):
            return  # an operation of before that was cut off: `recover` comes first
        if self._holds_fips:
            self._remind()
        after = self._repository_files()
        written = {path for path, state in after.items() if self._before.get(path) != state}
        gone = set(self._before).difference(after)
        may_move = self._guard.policy['moves_of_products'][self._guard.record['product']]
        if not written and not gone and not may_move:
            return
        with lock.held(self._root, True, logger.warning):
            facts = gathering.gather(self._root, self._architecture)
            if facts.registration is not None and not facts.registration.reverted:
                self._change(facts, facts.registration, written, gone)

    def _keep_fips(self, before: Boot) -> None:
        """The next boot stays in FIPS mode: a later kernel starts in it, too, and where one went another FIPS kernel does."""
        now = boot.read(self._root)
        if fips.is_kept(now):
            return
        with contextlib.suppress(CommandError):
            # A FIPS kernel that was the default before, without the mode, came in a transaction that was killed.
            if fips.is_kept(before) or fips.is_fips_image(now.default_kernel):
                boot.run(self._root, boot.kept(self._root, now, before), logger.debug)
        now = boot.read(self._root)
        if not fips.is_kept(now) and (fips.is_kept(before) or now.mode_on):
            logger.warning('tuxcare: %s', messages.NOT_KEPT.format(kernel=now.default_kernel))
        elif fips.is_kept(now) and not fips.is_kept(before):
            logger.warning('tuxcare: %s', messages.KEPT.format(kernel=now.default_kernel))

    def _remind(self) -> None:
        """That a reboot is due, once."""
        image = self._root.image(FIPS_STATE)
        before = fips.remembered(image.data if image else None)
        if image is None or before is None or fips.has(image.data, 'told') or boot.is_in_fips_mode(self._root):
            return
        logger.warning('tuxcare: a reboot is due: FIPS mode is on from then.')
        with lock.held(self._root, True, logger.warning):
            journal.apply(self._root, 'dnf (tuxcare plugin)', [
                Change(FIPS_STATE, image, fips.render(before, fips.has(image.data, 'strict'), True))])

    def _installed(self, facts: Facts, record: Registration, target: Release) -> Release:
        """The release that is installed now, where a move has arrived; what os-release says counts, if it is on the way."""
        arrived = facts.release is not None and record.release < facts.release <= target
        return facts.release if arrived and facts.release is not None else record.release

    def _change(self, facts: Facts, record: Registration, written: Set[str], gone: Set[str]) -> None:
        only = facts._replace(repository_files=tuple(file for file in facts.repository_files if file.path in written),
                              problems=())
        changes: List[Change] = []
        notes: List[str] = []
        target = Release.parse(self._guard.rules.release) or record.pin
        if target != record.pin:
            moved, notes = planner.release_changes(facts, self._catalogue, record, target)
            changes += [change for change in moved if not change.path.endswith('.json')]
        followed = record._replace(pin=target, release=self._installed(facts, record, target))
        kept, healed = planner.healed(only, self._catalogue, self._settings)
        kept = tuple(entry for entry in kept if entry.path not in gone)  # went with their package, and so does our part in them
        changes += healed
        changes += planner.recorded(facts, followed, kept)
        if changes:
            journal.apply(self._root, 'dnf (tuxcare plugin)', changes)
        for note in notes:
            logger.warning('tuxcare: %s', note)
        if healed:
            logger.warning('tuxcare: on the vetted mirror again, after a package brought them anew: %s',
                           ', '.join(change.path for change in healed))
