# SPDX-License-Identifier: Apache-2.0
"""The way back, from facts to changes: before-images where files are as we left them, our own lines inverted where not,
and what of a registration is missing or damaged. Pure.
"""

from typing import List, Mapping, Optional, Set, Tuple

from tuxcare_lib import host as places
from tuxcare_lib import inifile, messages, planner, policy, repofile
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.errors import ConflictError, StateError
from tuxcare_lib.host import Facts, Kept, Registration
from tuxcare_lib.model import Change, Image, Release
from tuxcare_lib.pin import impossible, marker_line, pinned_release
from tuxcare_lib.settings import Settings


def unregistration_changes(facts: Facts, side: str = '') -> Tuple[List[Change], List[str]]:
    """The way back, three-way: (changes, notes).

    Where a line of ours was edited, `side` decides over that section: 'ours' brings it back as it was before the host was
    registered, 'theirs' keeps it as it is, without our marks. Raises ConflictError where nobody has decided.
    """
    changes: List[Change] = []
    notes: List[str] = []
    current = dict(facts.images)
    current.update({file.path: file.image for file in facts.repository_files})
    unreadable = {problem.path: problem.text for problem in facts.problems if problem.path not in current}
    for kept in reversed(facts.kept):
        if kept.path in unreadable:
            notes.append(_left_alone(kept, unreadable[kept.path], side))
            continue
        now = current.pop(kept.path, None)
        target = _restored(kept, now, side)
        if is_edited(kept, now) or _loses(kept, now, side):
            changes.append(_beside(facts, kept.path, now, notes))
        if now is None and kept.before is not None and kept.path.endswith('.repo'):
            notes.append('{} was removed since the host was registered; it stays so.'.format(kept.path))
        if target != now:
            changes.append(Change(kept.path, now, target, kept.secret))
    return changes + _without_before_image(facts, current, notes), notes


def _left_alone(kept: Kept, trouble: str, side: str) -> str:
    """The note on a file in whose place something stands that is not ours to change. Raises ConflictError before --theirs."""
    if side != 'theirs':
        raise ConflictError('{}: {}.'.format(kept.path, trouble),
                            'Put the file back in its place, or decide: --theirs leaves everything there as it is.')
    return '{}: {}; it stays as it is.'.format(kept.path, trouble)


def _beside(facts: Facts, path: str, image: Optional[Image], notes: List[str]) -> Change:
    name = facts.free_names.get(path, path + '.rpmsave')
    notes.append('{} had been edited; the edited file is kept as {}.'.format(path, name))
    return Change(name, None, image)


def is_edited(kept: Kept, now: Optional[Image]) -> bool:
    """Whether a file that is ours alone, and goes, holds something of the administrator's.

    A copy of a variable would be one more variable, so of those there is none.
    """
    if now is None or kept.after is None or now.data == kept.after.data or kept.before and now.data == kept.before.data:
        return False
    if kept.path == places.MARKER:
        return not planner.is_marker(now.data)
    return kept.path in (places.TUXCARE_REPO, places.SIGNING_KEY)


def _loses(kept: Kept, now: Optional[Image], side: str) -> bool:
    """Whether a section is put back as it was before, with all that was added to it since."""
    if side != 'ours' or now is None or kept.before is None or kept.after is None or not _is_theirs(kept):
        return False
    document, ours = (inifile.parse(inifile.decode(image.data)) for image in (now, kept.after))
    return bool(repofile.changed_marks(ours, document)) and not repofile.is_replaced(ours, document)


def _is_theirs(kept: Kept) -> bool:
    """Whether it is one of the operating system's repository files: what is changed in it are lines."""
    return kept.path.endswith('.repo') and kept.path != places.TUXCARE_REPO


def _without_before_image(facts: Facts, current: Mapping[str, Optional[Image]], notes: List[str]) -> List[Change]:
    """What bears our signs and has no before-image: our marked lines are inverted, our own files removed, and it is said."""
    changes = []
    ours = next((kept.after for kept in facts.kept if kept.path == places.TUXCARE_REPO), None)
    for file in facts.repository_files:
        if file.path not in current or file.path == places.TUXCARE_REPO:
            continue
        if repofile.is_own_file(file.document):
            if ours is None or file.image.data != ours.data:
                changes.append(_beside(facts, file.path, file.image, notes))
            changes.append(Change(file.path, file.image, None))
            notes.append('{} was a copy of {}, and is removed.'.format(file.path, places.TUXCARE_REPO))
        elif repofile.is_ours(file.document):
            text = repofile.reverted(file.document).render()
            changes.append(Change(file.path, file.image, file.image._replace(data=inifile.encode(text), mtime_ns=None)))
            notes.append('{}: there is no before-image; the lines marked by dnf tuxcare were inverted.'.format(file.path))
    for path in places.OWN_FILES:
        if current.get(path) is None:
            continue
        if path == places.SIGNING_KEY and facts.registration is None:
            notes.append('{} and the key in the rpm database stay: it is not known who put them there.'.format(path))
        elif path != places.SIGNING_KEY:
            changes.append(Change(path, current[path], None, path in (places.TOKEN, places.BEFORE)))
    return changes


def reverted_changes(facts: Facts, record: Registration, side: str = '') -> List[Change]:
    """`repos revert` on a registered host: the community's mirrors again, the registration stays and says so."""
    current = {file.path: file.image for file in facts.repository_files}
    changes = [Change(kept.path, current[kept.path], _restored(kept, current[kept.path], side))
               for kept in facts.kept if kept.path in current and kept.path != places.TUXCARE_REPO]
    saved = [_beside(facts, kept.path, current[kept.path], []) for kept in facts.kept
             if kept.path in current and _loses(kept, current[kept.path], side)]
    known = {kept.path for kept in facts.kept}
    for file in facts.repository_files:  # renamed or copied since: there is no before-image
        if file.path not in known and repofile.is_ours(file.document) and not repofile.is_own_file(file.document):
            text = repofile.reverted(file.document).render()
            changes.append(Change(file.path, file.image, file.image._replace(data=inifile.encode(text), mtime_ns=None)))
    changes = saved + [change for change in changes if change.before != change.after]
    return changes + (planner.recorded(facts, record._replace(reverted=True), facts.kept) if changes else [])


def _restored(kept: Kept, now: Optional[Image], side: str) -> Optional[Image]:
    """What a file becomes: its before-image where it is as we left it, else the administrator's file without our lines."""
    if now is None or kept.secret or kept.before is None or kept.after is None:
        return kept.before if now is not None else None
    metadata = now if (now.mode, now.uid, now.gid, now.xattrs) != (
        kept.after.mode, kept.after.uid, kept.after.gid, kept.after.xattrs) else kept.before
    if now.data == kept.after.data:
        return metadata._replace(data=kept.before.data, mtime_ns=kept.before.mtime_ns)
    if now.data == kept.before.data:
        return now
    if not _is_theirs(kept):
        return kept.before
    data = _inverted(kept, now, side)
    return now if data == now.data else metadata._replace(data=data, mtime_ns=None)


def _inverted(kept: Kept, now: Image, side: str) -> bytes:
    assert kept.after is not None and kept.before is not None
    document, ours = (inifile.parse(inifile.decode(image.data)) for image in (now, kept.after))
    if repofile.is_replaced(ours, document):
        return now.data
    changed = repofile.changed_marks(ours, document)
    if changed and side == 'ours':
        document = repofile.with_sections_of(document, inifile.parse(inifile.decode(kept.before.data)), changed)
    elif changed and side == 'theirs':
        document = repofile.without_marks(document, changed)
    elif changed:
        raise ConflictError('{}: the lines of dnf tuxcare in [{}] were edited since.'.format(kept.path, changed[0]),
                            'Put them back as the diff shows, or decide: --ours takes the section as it was before, '
                            '--theirs keeps it as it is now.',
                            planner.diff(kept.path, kept.after.data, now.data))
    return inifile.encode(repofile.reverted(document).render())


def drift(facts: Facts) -> List[Change]:
    """Files in which our own lines were edited since: from as we left them to as they are (`after` None: gone)."""
    current = {file.path: file for file in facts.repository_files}
    found = []
    for kept in facts.kept:
        if kept.after is not None and kept.path.endswith('.repo') and kept.after != (
                current[kept.path].image if kept.path in current else None):
            ours = inifile.parse(inifile.decode(kept.after.data))
            if kept.path not in current or repofile.changed_marks(ours, current[kept.path].document):
                found.append(Change(kept.path, kept.after, current[kept.path].image if kept.path in current else None))
    return found


def ours_again(facts: Facts, side: str, switched: Set[str]) -> List[Change]:
    """`repos switch` where our own lines were edited: with side 'ours' the sections as we left them, with 'theirs' nothing.

    Files of `switched` are put on the vetted trees anew anyway.

    Raises ConflictError where nobody has decided.
    """
    changes = []
    for change in drift(facts) if side != 'theirs' else []:
        if change.before is None or change.after is None or change.path in switched:
            continue
        ours, now = (inifile.parse(inifile.decode(image.data)) for image in (change.before, change.after))
        names = repofile.changed_marks(ours, now)
        if side != 'ours':
            raise ConflictError('{}: the lines of dnf tuxcare in [{}] were edited since.'.format(change.path, names[0]),
                                'Decide: --ours puts our lines back, --theirs leaves them as they are.',
                                planner.diff(change.path, change.before.data, change.after.data))
        text = repofile.with_sections_of(now, ours, names).render()
        changes.append(_beside(facts, change.path, change.after, []))
        changes.append(Change(change.path, change.after, change.after._replace(data=inifile.encode(text), mtime_ns=None)))
    return changes


def mended(facts: Facts, catalogue: Catalogue, settings: Settings) -> List[Change]:
    """What of a registration is missing or damaged, put back from what is whole: `recover` on a registered host.

    The record comes back from its backup or the backup from the record; variable, marker and tuxcare.repo from the record; the
    signing key's file from what was kept of it.
    Raises StateError where neither record nor backup can be read, or where they contradict the catalogue.
    """
    record = facts.registration or facts.survivor
    if record is None:
        raise StateError(facts.damage, messages.ANEW)
    held = held_on(facts, catalogue, settings, record)
    changes = [planner.file_change(facts, places.RELEASEVER, '{}\n'.format(held).encode('ascii'))]
    family = catalogue.families[record.family]
    line = _whole_line(facts.images[places.MARKER]).partition('\n')[0]
    if line not in (marker_line(family.title, record.pin), marker_line(family.title, held)):
        changes += planner.marker_changes(facts, family, record.pin)
    changes += _own_repositories(facts, catalogue, settings, record)
    if facts.images[places.SIGNING_KEY] is None:
        changes += [Change(places.SIGNING_KEY, None, entry.after) for entry in facts.kept if entry.path == places.SIGNING_KEY]
    kept = facts.kept if facts.registration or facts.kept else _reconstructed(facts)
    return [change for change in changes if change.before != change.after] + planner.recorded(facts, record, kept)


def held_on(facts: Facts, catalogue: Catalogue, settings: Settings, record: Registration) -> Release:
    """What a registered host is held on: the variable where that may move it, else the registration. Raises StateError."""
    document = policy.make(catalogue, settings)
    plain = {'product': record.product, 'family': record.family, 'release': str(record.release), 'pin': str(record.pin),
             'repositories': record.repositories}
    installed = (facts.release.major, facts.release.minor) if facts.release else None
    value = _whole_line(facts.images[places.RELEASEVER])
    found = impossible(plain, document)
    held = None if found else (pinned_release(plain, value, document, installed)
                               or pinned_release(plain, str(record.pin), document, installed))
    if held is None:
        raise StateError('The registration cannot be right: {}.'.format(
            found or 'this host is past {}'.format(record.pin)), messages.ANEW)
    return Release(*held)


def _whole_line(image: Optional[Image]) -> str:
    """A variable as the guard reads it: anything behind its one line counts."""
    text = '' if image is None else inifile.decode(image.data)
    return text[:-1] if text.endswith('\n') else text


def _own_repositories(facts: Facts, catalogue: Catalogue, settings: Settings, record: Registration) -> List[Change]:
    """tuxcare.repo where it is gone, or is another product's; such a one is kept beside."""
    now = facts.images[places.TUXCARE_REPO]
    foreign = [entry.id for entry in catalogue.repositories if entry.proves not in ('', record.product)
               and now is not None and '[{}]'.format(entry.id) in inifile.decode(now.data)]
    if not foreign and (now is not None and now.data or not record.repositories):
        return []
    saved = [Change(places.TUXCARE_REPO + '.rpmsave', None, now)] if foreign else []
    if not record.repositories:
        return saved + [Change(places.TUXCARE_REPO, now, None)]
    text = planner.tuxcare_repo(catalogue, settings, record.repositories)
    return saved + [planner.file_change(facts, places.TUXCARE_REPO, text)]


def _reconstructed(facts: Facts) -> Tuple[Kept, ...]:
    """The before-images where they are lost: our marked lines inverted; files that are ours alone had not been there."""
    found = [Kept(path, None, facts.images[path], path == places.TOKEN)
             for path in (places.TUXCARE_REPO, places.RELEASEVER, places.TOKEN, places.MARKER) if facts.images[path] is not None]
    for file in facts.repository_files:
        if repofile.is_ours(file.document) and file.path != places.TUXCARE_REPO:
            text = repofile.reverted(file.document).render()
            found.append(Kept(file.path, file.image._replace(data=inifile.encode(text), mtime_ns=None), file.image, False))
    return tuple(found)
