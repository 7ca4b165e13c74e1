# SPDX-License-Identifier: Apache-2.0
"""Files change whole or not at all: a write-ahead journal of before-images.

    begin    before-images and the list of files go into /var/lib/tuxcare/journal.new, everything synced to disk;
             one rename makes it /var/lib/tuxcare/journal: from here on the operation is open
    apply    each file is replaced atomically
    commit   one rename to /var/lib/tuxcare/journal.done: the operation is over; then it is removed
    undo     every file gets its before-image back, in reverse order; then as commit

Killed before the first rename: nothing has happened. Killed between the two: `undo` on the next command restores.
Killed after the second: everything has happened. An operation that ends outside of the files (a seat given back) is marked as
going forward before that step: killed from there on, its files are all changed, and it is finished, not undone.

What is no file is written down as well: the key that becomes trusted, how the host booted, and the packages that dnf's
transaction is to install and to erase. Packages are rpm's: `undo` leaves them alone, so it is for an operation whose packages
are all as before; `recover` makes them so, or goes forward.

The folder is 0700 and its files 0600, since a before-image may be secret.
"""

import contextlib
import json
import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

from tuxcare_lib import boot, fips, messages, pin
from tuxcare_lib.errors import FileSystemError, RecoveryError, TuxcareError
from tuxcare_lib.host import STATE_FOLDER, VARIABLES
from tuxcare_lib.images import as_set_since, from_json, to_json
from tuxcare_lib.model import Change, Image, Work
from tuxcare_lib.rootfs import Root

_NEW, _OPEN, _DONE = (STATE_FOLDER + '/journal' + end for end in ('.new', '', '.done'))
_LIST = '/operation.json'
_SCHEMA = 1
_NO_WORK = Work()
# `recover` mends then what is missing of a registration, or says that it takes another one.
_WITHOUT = ('Put {0} back from a backup, or go on without it. '
            'Run: mv {0} /root/tuxcare-journal; dnf tuxcare recover').format(_OPEN)


def is_open(root: Root) -> bool:
    """Whether an operation was cut off here and is neither done nor undone."""
    return root.kind(_OPEN) != ''


def apply(root: Root, verb: str, changes: Sequence[Change], finish: Callable[[], None] = lambda: None,
          forward: bool = False, imports: str = '') -> None:
    """Make all changes, or none: on any failure what was done is undone before the error goes on.

    `finish` is the last step before the commit, for what is no file: the seat, the rpm database. With `forward` a kill in it
    leaves an operation that is to be finished. `imports` is the fingerprint of a key that `finish` makes trusted: `undo`
    ends that trust.

    Raises FileSystemError (everything as before) or RecoveryError (the way back failed as well).
    """
    begin(root, verb, changes, imports)
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: undo(root) if is_open(root) else '')
        for change in changes:
            put(root, change.path, change.after)
        if forward:
            _amend(root, forward=True)
            stack.pop_all()
            return _finish(root, finish)
        finish()
        _close(root)
        stack.pop_all()


def _finish(root: Root, finish: Callable[[], None]) -> None:
    """The step outside of the files. A refusal is known, and undoes; an interrupt in the middle of it leaves it to `recover`."""
    with contextlib.ExitStack() as stack:
        stack.push(_interrupted)
        try:
            finish()
        except TuxcareError:
            undo(root)
            raise
    commit(root)


def _interrupted(kind: object, error: Optional[BaseException], trace: object) -> bool:
    """An interrupt while somebody else is asked: it is not known what was done, so it is finished later."""
    if error is not None and not isinstance(error, Exception):
        raise RecoveryError('Interrupted while the service was asked; all files are changed.', messages.RECOVER_HINT)
    return False


def begin(root: Root, verb: str, changes: Sequence[Change], imports: str = '', work: Work = _NO_WORK) -> None:
    """Write down what is there now, durably, and open the operation. Raises FileSystemError; then nothing is open."""
    for change in changes:
        _check_as_read(root, change)
    made = root.kind(STATE_FOLDER) == ''
    root.make_folder(STATE_FOLDER)
    for leftover in (_NEW, _DONE):
        root.remove_tree(leftover)
    document = {'schema': _SCHEMA, 'verb': verb, 'made_folder': made, 'forward': False, 'imports': imports,
                'install': work.install, 'erase': work.erase, 'packages_done': work.is_done, 'kernel': work.kernel,
                'arguments': work.arguments,
                'boot': work.boot._asdict() if work.boot else None,
                'files': [{'path': change.path, 'before': to_json(change.before), 'after': _digest(change.after),
                           'metadata': to_json(change.after and change.after._replace(data=b''))} for change in changes]}
    with contextlib.ExitStack() as stack:
        stack.callback(_abandon, root, made)
        root.make_folder(_NEW, 0o700)
        root.write(_NEW + _LIST, Image(json.dumps(document, indent=1).encode('ascii'), 0o600))
        root.rename(_NEW, _OPEN)
        stack.pop_all()


def _check_as_read(root: Root, change: Change) -> None:
    """A file may have been edited while the service or a person was asked: nobody's edit is lost (DESIGN 4, rule 5)."""
    now, before = (image and image._replace(mtime_ns=None) for image in (root.image(change.path), change.before))
    if now != before and not _is_ours_alone(change.path):
        raise FileSystemError('{} was changed while this command was running; nothing was changed by it.'.format(change.path),
                              'Run the command again.')


def _abandon(root: Root, made_folder: bool) -> None:
    """Nothing has been changed yet: nothing is left behind, as far as the file system lets us.

    Raises RecoveryError where the operation stays open.
    """
    root.discard_temporary(_NEW + _LIST)
    with contextlib.suppress(FileSystemError):
        if is_open(root):  # renamed, and then the folder's fsync was refused
            root.rename(_OPEN, _NEW)
    with contextlib.suppress(FileSystemError):
        root.remove_tree(_NEW)
        if made_folder:
            root.remove_empty_folder(STATE_FOLDER)
    if is_open(root):
        raise RecoveryError('Nothing was changed, but the journal cannot be removed.', messages.RECOVER_HINT)


def put(root: Root, path: str, image: Optional[Image]) -> None:
    """One file to one state."""
    if image is None:
        root.remove(path)
    else:
        root.write(path, image)


def commit(root: Root) -> None:
    """The operation is over: nothing of it will be undone. Raises RecoveryError where it cannot be closed.

    Where only the folder's fsync is refused it is closed. A power cut may open it again: it is then finished, or done again.
    """
    try:
        _close(root)
    except FileSystemError as error:
        raise RecoveryError('The change is made, and its journal cannot be closed: {}'.format(error.message),
                            'Mend the cause and run `dnf tuxcare recover`.')


def _close(root: Root) -> None:
    """The commit itself. What comes once the rename is made, an interrupt too, comes too late: the operation is over."""
    try:
        root.rename(_OPEN, _DONE)
    except (FileSystemError, KeyboardInterrupt):
        if is_open(root):
            raise
    with contextlib.suppress(KeyboardInterrupt):
        _forget(root)


def _forget(root: Root) -> None:
    """Remove what a finished operation kept; what cannot be removed now goes with the next operation."""
    with contextlib.suppress(FileSystemError):
        root.remove_tree(_DONE)


def undo(root: Root, say: Callable[[str], None] = lambda line: None) -> str:
    """Everything but packages back to what it was; `say` is told of programs that run. Returns the verb that was undone.

    Raises RecoveryError, with the journal kept, where that fails.
    """
    try:
        document = _document(root)
        files = _files(document)
        if document['forward'] or document['kernel'] and document['packages_done']:
            # A kill from here on has to find what it says: files half way back, and nothing that goes forward.
            _amend(root, forward=False, kernel='', install=[], erase=[])
        for entry in reversed(files):
            root.discard_temporary(entry.path)
            _put_back(root, entry, say)
        if document['imports']:
            _distrust(root, document['imports'])
        before = _work(document).boot
        if before is not None:
            boot.restore(root, before, say)
        commit(root)
        if document['made_folder']:
            root.remove_empty_folder(STATE_FOLDER)
    except (TuxcareError, ValueError, KeyError, TypeError, AttributeError, RecursionError, ImportError,
            KeyboardInterrupt) as error:
        raise RecoveryError('The change could not be undone: {}'.format(str(error) or 'It was interrupted.'),
                            'Mend the cause and run `dnf tuxcare recover`.')
    return str(document['verb'])


def _put_back(root: Root, entry: '_File', say: Callable[[str], None]) -> None:
    """One file's before-image, unless somebody else has been there since the kill: nobody's edit is lost (DESIGN 4, rule 5)."""
    now = root.image(entry.path)
    target = _target(entry, now)
    if now == target:
        return
    if entry.path.endswith('.repo') and now is None and entry.after:
        say('{} was removed since; it stays so.'.format(entry.path))
        return
    if now is not None and target is None and _is_edited(entry, now) and root.is_link(entry.path):
        root.clear(entry.path)
        say('{} had become a symbolic link, which is removed; what it led to stays.'.format(entry.path))
        return
    if now is not None and _is_edited(entry, now):
        say(_keep(root, entry.path, now))
    put(root, entry.path, target)


def _target(entry: '_File', now: Optional[Image]) -> Optional[Image]:
    """The before-image, with a mode, an owner and attributes that were set since."""
    if now is None or entry.before is None or entry.metadata is None or _is_ours_alone(entry.path):
        return entry.before
    return as_set_since(entry.before, entry.metadata, now)


def _is_edited(entry: '_File', now: Image) -> bool:
    return _digest(now) != entry.after and (entry.before is None or now.data != entry.before.data)


def _is_ours_alone(path: str) -> bool:
    """A variable, the token, our record: a saved copy would be one more variable to dnf, or a second home of a secret."""
    return path.startswith((VARIABLES + '/', STATE_FOLDER + '/'))


def _keep(root: Root, path: str, edited: Image) -> str:
    """Keep an edited file beside its place, if an undo that was killed has not done it yet; what there is to say."""
    if _is_ours_alone(path):
        return messages.DROPPED.format(path)
    folder = path.rpartition('/')[0]
    there = ['{}/{}'.format(folder, name) for name in root.names(folder)]
    name = next((name for name in there if name.startswith(path + '.rpmsave') and not root.is_link(name)
                 and root.kind(name) == 'file' and root.image(name) == edited), '')
    if not name:
        name = root.free_name(path)
        put(root, name, edited)
    return '{} was edited since; the edited file is kept as {}.'.format(path, name)


def _digest(image: Optional[Image]) -> str:
    """Of the bytes; empty for "no such file"."""
    return pin.digest(image.data) if image else ''


def _document(root: Root) -> Dict[str, Any]:
    document = json.loads((root.read(_OPEN + _LIST) or b'').decode('utf-8'))
    RecoveryError.check_schema('The journal', document['schema'], _SCHEMA)
    return dict(document)


def _amend(root: Root, **values: Any) -> None:
    text = json.dumps(dict(_document(root), **values), indent=1)
    root.write(_OPEN + _LIST, Image(text.encode('ascii'), 0o600))


def packages_are_done(root: Root) -> None:
    """rpm has finished: from here on the operation goes forward without package work."""
    _amend(root, packages_done=True)


def _work(document: Dict[str, Any]) -> Work:
    names = [tuple(str(nevra) for nevra in document[key]) for key in ('install', 'erase')]
    return Work(names[0], names[1], None if document['boot'] is None else fips.boot_of(document['boot']),
                str(document['kernel']), document['packages_done'] is True, str(document.get('arguments', '')))


def _distrust(root: Root, fingerprint: str) -> None:
    from tuxcare_lib import rpmdb  # rpm: only where a registration is undone
    rpmdb.remove_key(root, fingerprint)


class _File(NamedTuple):
    """`after` is the digest of what it becomes, `metadata` an image without its bytes; None in an older journal."""

    path: str
    before: Optional[Image]
    after: str
    metadata: Optional[Image]


class Open(NamedTuple):
    """An open operation. `forward`: its files are all changed, and it is to be finished."""

    verb: str
    forward: bool
    files: List[_File]
    work: Work

    @property
    def before(self) -> Dict[str, Optional[Image]]:
        """The before-images, by path."""
        return {entry.path: entry.before for entry in self.files}


def opened(root: Root) -> Open:
    """The open operation. Raises RecoveryError where it cannot be read."""
    try:
        document = _document(root)
        return Open(str(document['verb']), document['forward'] is True, _files(document), _work(document))
    except (FileSystemError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RecoveryError('The journal cannot be read: {}.'.format(str(error).rstrip('.')), _WITHOUT)


def remedy(root: Root) -> str:
    """What ends the open operation: `recover`, or where its journal cannot be read the way without it. Only root can tell."""
    try:
        if os.geteuid() == 0:
            opened(root)
    except RecoveryError as error:
        return error.remedy
    return messages.RECOVER_HINT


def files_are_changed(root: Root, found: Open) -> bool:
    """Whether an operation had changed all its files: packages come after them, and what others install since is not ours."""
    changed = [entry for entry in found.files if _digest(entry.before) != entry.after]
    return not changed or _digest(root.image(changed[-1].path)) != _digest(changed[-1].before)


def sweep(root: Root) -> None:
    """Remove what a killed command left of a journal that was not opened yet, or was over already; it may hold a secret."""
    with contextlib.suppress(FileSystemError):
        root.discard_temporary(_NEW + _LIST)
        root.remove_tree(_NEW)
        root.remove_tree(_DONE)


def pending(root: Root) -> List[Change]:
    """What `undo` would change, for a dry run. Raises RecoveryError where the journal cannot be read."""
    found = [Change(entry.path, now, _target(entry, now), secret=True)
             for entry, now in ((entry, root.image(entry.path)) for entry in reversed(opened(root).files))]
    return [change for change in found if change.before != change.after]


def _files(document: Dict[str, Any]) -> List[_File]:
    return [_File(str(entry['path']), from_json(entry['before']), str(entry['after']), from_json(entry.get('metadata')))
            for entry in document['files']]
