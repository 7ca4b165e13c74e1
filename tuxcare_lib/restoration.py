# SPDX-License-Identifier: Apache-2.0
"""The way back, from facts to changes: before-images where files are as we left them, our own lines inverted where not,
and what of a registration is missing or damaged. Pure.
"""

from typing import List, NamedTuple, Optional, Sequence, Set, Tuple

from tuxcare_lib import host as places
from tuxcare_lib import images, inifile, messages, planner, policy, registration, repofile
from tuxcare_lib.catalogue import Catalogue
from tuxcare_lib.errors import ConflictError, StateError
from tuxcare_lib.host import Facts, Kept, Registration
from tuxcare_lib.inifile import Document
from tuxcare_lib.model import Change, Image, Release, Token
from tuxcare_lib.pin import impossible, marker_line, pinned_release
from tuxcare_lib.settings import Settings

_STILL_LIVE = ('{}: [{}] still has an address of the vendor\'s, which opens nothing without the registration; '
               'correct it, or remove the section.')
_LINK_ALONE = '{}: the symbolic link is removed; what it led to, {}, was not written by dnf tuxcare and stays.'
_LINK_WITH_TARGET = '{}: the symbolic link is removed, and so is {}, which it led to.'


class _Back(NamedTuple):
    """What a file becomes. `is_lossy`: something of the administrator's is not in that, so the file as it is stays beside it."""

    image: Optional[Image]
    is_lossy: bool = False
    notes: Tuple[str, ...] = ()


def unregistration_changes(facts: Facts, side: str = '', unedited: Optional[Set[str]] = None) -> Tuple[List[Change], List[str]]:
    """The way back, three-way: (changes, notes). `unedited` are `planner.unedited`, by which to go where our record is lost.

    Where a line of ours was edited, `side` decides over that section: 'ours' brings it back as it was before the host was
    registered, and keeps the edited file beside; 'theirs' keeps it as it is, without our marks. Raises ConflictError where nobody
    has decided.
    """
    notes: List[str] = []
    known = {kept.path for kept in facts.kept}
    changes = _brought_back(facts, facts.kept[::-1], side, notes)
    changes += _by_marks(facts, notes, unedited) + _own_elsewhere(facts, notes, unedited)
    rest = [Kept(path, None, None, path in (places.TOKEN, places.BEFORE)) for path in places.OWN_FILES
            if path not in known and facts.images[path] is not None]
    lost = {kept.path for kept in rest} & {places.TUXCARE_REPO} if unedited is not None else set()
    for path in lost.difference(links_alone(facts), unedited or ()):
        changes.append(planner.kept_beside(facts, path, facts.images[path], notes))
    if facts.registration is None and any(kept.path == places.SIGNING_KEY for kept in rest):
        notes.append('{} and the key in the rpm database stay: it is not known who put them there.'.format(places.SIGNING_KEY))
    return changes + _brought_back(facts, [kept for kept in rest if kept.path != places.SIGNING_KEY], side, notes), notes


def reverted_changes(facts: Facts, record: Registration, side: str = '',
                     unedited: Optional[Set[str]] = None) -> Tuple[List[Change], List[str]]:
    """`repos revert` on a registered host: the community's mirrors again, the registration stays and says so. With notes."""
    notes: List[str] = []
    there = {file.path for file in facts.repository_files} - {places.TUXCARE_REPO}
    changes = _brought_back(facts, [kept for kept in facts.kept if kept.path in there], side, notes)
    changes += _by_marks(facts, notes, unedited)
    return changes + (planner.recorded(facts, record._replace(reverted=True), facts.kept) if changes else []), notes


def _brought_back(facts: Facts, entries: Sequence[Kept], side: str, notes: List[str]) -> List[Change]:
    current = dict(facts.images)
    current.update({file.path: file.image for file in facts.repository_files})
    unreadable = {problem.path: problem.text for problem in facts.problems if problem.path not in current}
    changes = []
    for kept in entries:
        if kept.path in unreadable:
            notes.append(_left_alone(kept, unreadable[kept.path], side))
            continue
        now = current.get(kept.path)
        back = _back(kept, now, side)
        if back.image is None and kept.path in facts.links:
            is_alone = kept.path in links_alone(facts)
            notes.append((_LINK_ALONE if is_alone else _LINK_WITH_TARGET).format(kept.path, facts.links[kept.path]))
            if is_alone:
                continue
        if back.is_lossy:
            changes.append(planner.kept_beside(facts, kept.path, now, notes))
        if back.image != now:
            changes.append(Change(kept.path, now, back.image, kept.secret))
        notes += back.notes
    return changes


def links_alone(facts: Facts) -> List[str]:
    """Links in the places of files of ours that are to go, to what we have not written: the link goes, its target stays."""
    before = {kept.path: kept for kept in facts.kept}
    before.setdefault(places.SIGNING_KEY, Kept(places.SIGNING_KEY, facts.images[places.SIGNING_KEY], None, False))  # it stays
    gone = [before.get(path, Kept(path, None, None, False)) for path in facts.links]
    return [kept.path for kept in gone if kept.before is None and not _is_as_written(facts, kept)]


def _is_as_written(facts: Facts, kept: Kept) -> bool:
    """Whether a file of ours holds exactly what we write there; of a token and of our records, whether it is one.

    tuxcare.repo is ours with edits in it, too: such a one is kept beside.
    """
    now = facts.images[kept.path]
    assert now is not None
    if kept.path == places.TUXCARE_REPO:
        return repofile.is_own_file(_document(now))
    if kept.path == places.TOKEN:
        return _is_token(facts) and now.data.count(b'\n') <= 1
    if kept.path in (places.BEFORE, places.REGISTRATION):
        return registration.is_record(kept.path, now.data)
    if kept.path == places.MARKER:
        return not planner.is_edited_marker(now)
    pins = [facts.registration.pin] if facts.registration and kept.path == places.RELEASEVER else []
    return now.data in [kept.after.data if kept.after else None] + ['{}\n'.format(pin).encode('ascii') for pin in pins]


def _left_alone(kept: Kept, trouble: str, side: str) -> str:
    """The note on a file in whose place something stands that is not ours to change. Raises ConflictError before --theirs."""
    if side != 'theirs':
        raise ConflictError('{}: {}.'.format(kept.path, trouble),
                            'Put the file back in its place, or decide: --theirs leaves everything there as it is.')
    return '{}: {}; it stays as it is.'.format(kept.path, trouble)


def _back(kept: Kept, now: Optional[Image], side: str) -> _Back:
    """The before-image where a file is as we left it, or ours alone; else the administrator's file without our lines."""
    if now is None and kept.path in places.OWN_FILES:
        return _Back(kept.before)  # what was removed is ours; what had stood there before us was not
    if now is None:
        was_there = kept.before is not None and kept.path.endswith('.repo')
        note = '{} was removed since the host was registered; it stays so.'.format(kept.path)
        return _Back(None, notes=(note,) if was_there else ())
    if kept.before is None or kept.after is None:
        return _Back(None, _is_edited(kept, now))
    before = images.as_set_since(kept.before, kept.after, now)
    if now.data == kept.after.data:
        return _Back(before)
    if now.data == kept.before.data:
        return _Back(now)
    return _Back(before, _is_edited(kept, now)) if kept.path in places.OWN_FILES else _inverted(kept, now, before, side)


def _is_edited(kept: Kept, now: Image) -> bool:
    """Whether a file that is ours alone holds something of the administrator's."""
    if kept.path == places.MARKER:
        return planner.is_edited_marker(now) and (kept.after is None or now.data != kept.after.data)
    # What lies in dnf's folder of variables is a variable, so nothing is kept beside one.
    return kept.path in (places.TUXCARE_REPO, places.SIGNING_KEY) and kept.after is not None and now.data != kept.after.data


def _inverted(kept: Kept, now: Image, before: Image, side: str) -> _Back:
    assert kept.after is not None and kept.before is not None
    document, ours = (_document(image) for image in (now, kept.after))
    if repofile.is_replaced(ours, document):
        return _Back(now)
    changed = repofile.changed_marks(ours, document)
    if changed and side == 'ours':
        document = repofile.with_sections_of(document, _document(kept.before), changed)
    elif changed and side == 'theirs':
        document = repofile.without_marks(document, changed)
    elif changed:
        raise ConflictError('{}: the lines of dnf tuxcare in [{}] were edited since.'.format(kept.path, changed[0]),
                            'Put them back as the diff shows, or decide: --ours takes the section as it was before, '
                            '--theirs keeps it as it is now.',
                            planner.diff(kept.path, kept.after.data, now.data))
    document = repofile.reverted(document)
    data = inifile.encode(document.render())
    live = repofile.with_vendors_address(document, ours) if changed and side == 'theirs' else []
    return _Back(now if data == now.data else before._replace(data=data, mtime_ns=None), bool(changed) and side == 'ours',
                 tuple(_STILL_LIVE.format(kept.path, name) for name in live))


def _document(image: Image) -> Document:
    return inifile.parse(inifile.decode(image.data))


def _by_marks(facts: Facts, notes: List[str], unedited: Optional[Set[str]]) -> List[Change]:
    """Repository files without a before-image, such as a renamed one: our marked lines are inverted, and it is said.

    An option of ours that is not as we have written any is an edit, which would go with it: the file is kept beside.
    """
    known = {kept.path for kept in facts.kept}
    written = {text for kept in facts.kept if kept.after and kept.path.endswith('.repo')
               for text in repofile.added(_document(kept.after))}
    changes = []
    for file in facts.repository_files:
        if file.path in known or repofile.is_own_file(file.document) or not repofile.is_ours(file.document):
            continue
        added = repofile.added(file.document)
        is_lossy = bool(added - written) if written or unedited is not None else any('\n' in text for text in added)
        if is_lossy and file.path not in (unedited or ()):
            changes.append(planner.kept_beside(facts, file.path, file.image, notes))
        text = repofile.reverted(file.document).render()
        changes.append(Change(file.path, file.image, file.image._replace(data=inifile.encode(text), mtime_ns=None)))
        notes.append('{}: there is no before-image; the lines marked by dnf tuxcare were inverted.'.format(file.path))
    return changes


def _own_elsewhere(facts: Facts, notes: List[str], unedited: Optional[Set[str]]) -> List[Change]:
    """tuxcare.repo under another name, renamed or copied: it goes as well, and an edited one is kept beside."""
    left = [kept.after.data for kept in facts.kept if kept.path == places.TUXCARE_REPO and kept.after]
    changes = []
    for file in facts.repository_files:
        if file.path != places.TUXCARE_REPO and repofile.is_own_file(file.document):
            notes.append('{}: this is {} under another name; it is removed.'.format(file.path, places.TUXCARE_REPO))
            if file.image.data not in left and file.path not in (unedited or ()):
                changes.append(planner.kept_beside(facts, file.path, file.image, notes))
            changes.append(Change(file.path, file.image, None))
    return changes


def drift(facts: Facts) -> List[Change]:
    """Files in which our own lines were edited since: from as we left them to as they are (`after` None: gone)."""
    current = {file.path: file for file in facts.repository_files}
    found = []
    for kept in facts.kept:
        if kept.after is not None and kept.path.endswith('.repo') and kept.after != (
                current[kept.path].image if kept.path in current else None):
            ours = _document(kept.after)
            if kept.path not in current or repofile.changed_marks(ours, current[kept.path].document):
                found.append(Change(kept.path, kept.after, current[kept.path].image if kept.path in current else None))
    return found


def ours_again(facts: Facts, side: str, switched: Set[str]) -> Tuple[List[Change], List[str]]:
    """`repos switch` where our own lines were edited: (changes, notes).

    With side 'ours' the sections as we left them, the edited file being kept beside; with 'theirs' nothing. Files of `switched`
    are put on the vetted trees anew anyway. Raises ConflictError where nobody has decided.
    """
    changes: List[Change] = []
    notes: List[str] = []
    for change in drift(facts) if side != 'theirs' else []:
        if change.before is None or change.after is None or change.path in switched:
            continue
        ours, now = (_document(image) for image in (change.before, change.after))
        names = repofile.changed_marks(ours, now)
        if side != 'ours':
            raise ConflictError('{}: the lines of dnf tuxcare in [{}] were edited since.'.format(change.path, names[0]),
                                'Decide: --ours puts our lines back, --theirs leaves them as they are.',
                                planner.diff(change.path, change.before.data, change.after.data))
        text = repofile.with_sections_of(now, ours, names).render()
        changes.append(planner.kept_beside(facts, change.path, change.after, notes))
        changes.append(Change(change.path, change.after, change.after._replace(data=inifile.encode(text), mtime_ns=None)))
    return changes, notes


def mended(facts: Facts, catalogue: Catalogue, settings: Settings) -> Tuple[List[Change], List[str]]:
    """What of a registration is missing or damaged, put back from what is whole: `recover` on a registered host. With notes.

    The record comes back from its backup or the backup from the record; variable, marker and tuxcare.repo from the record; the
    signing key's file from what was kept of it. A marker or tuxcare.repo that gives way is kept beside.
    Raises StateError where neither record nor backup can be read, or where they contradict the catalogue.
    """
    record = facts.registration or facts.survivor
    if record is None:
        raise StateError(facts.damage, messages.ANEW)
    notes: List[str] = []
    held = held_on(facts, catalogue, settings, record)
    changes = [planner.file_change(facts, places.RELEASEVER, '{}\n'.format(held).encode('ascii'))]
    family, now = catalogue.families[record.family], facts.images[places.MARKER]
    if _whole_line(now).partition('\n')[0] not in (marker_line(family.title, record.pin), marker_line(family.title, held)):
        if now is not None and planner.is_edited_marker(now):
            changes.append(planner.kept_beside(facts, places.MARKER, now, notes))
        changes.append(planner.file_change(facts, places.MARKER, planner.marker(family, record.pin)))
    changes += _own_repositories(facts, catalogue, settings, record, notes)
    if facts.images[places.SIGNING_KEY] is None:
        changes += [Change(places.SIGNING_KEY, None, entry.after) for entry in facts.kept if entry.path == places.SIGNING_KEY]
    kept = facts.kept if facts.registration or facts.kept else _reconstructed(facts, catalogue, settings, record)
    changes = [change for change in changes if change.before != change.after]
    notes += [messages.DROPPED.format(change.path) for change in changes if change.path == places.RELEASEVER and change.before]
    if not _is_token(facts):
        notes.append(messages.TOKEN_LOST.format(places.TOKEN))
    return changes + planner.recorded(facts, record, kept), notes


def _is_token(facts: Facts) -> bool:
    return facts.images[places.TOKEN] is not None and bool(Token.PATTERN.match(facts.variable(places.TOKEN)))


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


def _own_repositories(facts: Facts, catalogue: Catalogue, settings: Settings, record: Registration,
                      notes: List[str]) -> List[Change]:
    """tuxcare.repo where it is gone, or is another product's; such a one is kept beside."""
    now = facts.images[places.TUXCARE_REPO]
    foreign = [entry.id for entry in catalogue.repositories if entry.proves not in ('', record.product)
               and now is not None and '[{}]'.format(entry.id) in inifile.decode(now.data)]
    if not foreign and (now is not None and now.data or not record.repositories):
        return []
    saved = [planner.kept_beside(facts, places.TUXCARE_REPO, now, notes)] if foreign else []
    if not record.repositories:
        return saved + [Change(places.TUXCARE_REPO, now, None)]
    text = planner.tuxcare_repo(catalogue, settings, record.repositories)
    return saved + [planner.file_change(facts, places.TUXCARE_REPO, text)]


def _reconstructed(facts: Facts, catalogue: Catalogue, settings: Settings, record: Registration) -> Tuple[Kept, ...]:
    """The before-images where they are lost: our marked lines inverted; files that are ours alone had not been there.

    A file in which a line of ours is not as we would write it is left out, and so stays one that was edited.
    """
    unedited = planner.unedited(facts, catalogue, settings)
    found = [Kept(path, None, facts.images[path], path == places.TOKEN)
             for path in (places.TUXCARE_REPO, places.RELEASEVER, places.TOKEN, places.MARKER) if facts.images[path] is not None]
    if places.TUXCARE_REPO not in unedited:
        ours = Image(planner.tuxcare_repo(catalogue, settings, record.repositories), 0o644)
        found = [entry._replace(after=ours) if entry.path == places.TUXCARE_REPO else entry for entry in found]
    for file in facts.repository_files:
        if file.path in unedited and file.path != places.TUXCARE_REPO:
            text = repofile.reverted(file.document).render()
            found.append(Kept(file.path, file.image._replace(data=inifile.encode(text), mtime_ns=None), file.image, False))
    return tuple(found)
