# SPDX-License-Identifier: Apache-2.0
"""The seat of a registration that is not finished: what has to be given back if it never is (DESIGN 4, rules 4 and 6).

    before the service is asked   the intent: a seat may be taken, and no token of it is known. Where no answer comes it stays,
                                  and the next `register` asks under the same name
    with its answer               the token, until the registration is whole; then the file goes with the same commit
    `register --replace`          the old token, from that commit until its seat is given back

The file is 0600, and no registered host has one.
"""

import contextlib
import json
from typing import NamedTuple, Optional

from tuxcare_lib import facts, messages
from tuxcare_lib.errors import FileSystemError, RecoveryError, StateError
from tuxcare_lib.host import SEAT, STATE_FOLDER
from tuxcare_lib.model import Image, Token
from tuxcare_lib.rootfs import Root

_SCHEMA = 1


class Owed(NamedTuple):
    """`token` is None where the service was asked and its answer is not known; `key` is what `licence` keeps of a key.

    `machine` is the machine-id, hashed; empty where the host had none.
    """

    host_name: str
    token: Optional[Token]
    made_folder: bool = False
    key: str = ''
    machine: str = ''


def image(owed: Owed) -> Image:
    """The file's image."""
    document = {'schema': _SCHEMA, 'host_name': owed.host_name, 'token': owed.token.secret if owed.token else None,
                'made_folder': owed.made_folder, 'key': owed.key, 'machine': owed.machine}
    return Image((json.dumps(document, sort_keys=True) + '\n').encode('ascii'), 0o600)


def keep(root: Root, owed: Owed) -> Owed:
    """Write it down, durably. Raises FileSystemError, or RecoveryError where a first writing failed and its file stays."""
    made = root.kind(STATE_FOLDER) == ''
    is_first = root.kind(SEAT) == ''
    owed = owed._replace(made_folder=owed.made_folder or made, machine=facts.machine(root))

    def abandon(kind: object, error: Optional[BaseException], trace: object) -> None:
        """Nobody was asked yet. The file may be there: only the folder's fsync was refused."""
        if error is not None and is_first:
            _give_up(root, made, error)

    with contextlib.ExitStack() as stack:
        stack.push(abandon)
        if made:
            root.make_folder(STATE_FOLDER)
        root.write(SEAT, image(owed))
    return owed


def _give_up(root: Root, made_folder: bool, cause: BaseException) -> None:
    with contextlib.suppress(FileSystemError):
        if root.kind(SEAT):
            root.remove(SEAT)
    with contextlib.suppress(FileSystemError):
        if made_folder:
            root.remove_empty_folder(STATE_FOLDER)
    if root.kind(SEAT):
        raise RecoveryError('{} {} cannot be removed.'.format(cause, SEAT).strip(), messages.RECOVER_HINT)


def read(root: Root) -> Optional[Owed]:
    """What is owed; None where nothing is. Raises StateError for a damaged file, and for one of another version."""
    data = root.read(SEAT)
    if data is None:
        return None
    try:
        document = json.loads(data.decode('utf-8'))
        StateError.check_schema(SEAT, document['schema'], _SCHEMA)
        token = document['token']
        if not (token is None or Token.PATTERN.match(token)) or not all(
                isinstance(document[name], str) for name in ('host_name', 'key', 'machine')):
            raise ValueError('another file')
        return Owed(document['host_name'], None if token is None else Token(token), document['made_folder'] is True,
                    document['key'], document['machine'])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise StateError('{} is damaged, so a seat may be taken that nobody can give back.'.format(SEAT),
                         'Remove it, and tell the vendor.')


def is_anothers(root: Root, owed: Owed) -> bool:
    """Whether the seat was asked for on another machine, which this one is a copy of."""
    return bool(owed.machine) and owed.machine != facts.machine(root)


def forget(root: Root) -> None:
    """The seat is back, or belongs to the registration. Raises RecoveryError where the file cannot be removed."""
    try:
        owed = root.read(SEAT)
        root.discard_temporary(SEAT)
        if owed is not None:
            root.remove(SEAT)
            if b'"made_folder": true' in owed:
                root.remove_empty_folder(STATE_FOLDER)
    except FileSystemError as error:
        if root.kind(SEAT):
            raise RecoveryError('{} cannot be removed: {}'.format(SEAT, error.message),
                                'Mend the cause and run `dnf tuxcare recover`.')
