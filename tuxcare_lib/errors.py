# SPDX-License-Identifier: Apache-2.0
"""What can go wrong, as one tree.

    TuxcareError                     exit status 1: failed, everything is as before
    ├── UsageError                   the command line asks for something that there is not
    ├── HostError                    this host cannot have the product
    ├── LicenceKeyError              the licence key cannot be one
    ├── ConfigurationError           tuxcare.conf or the catalogue: every problem at once
    ├── RepositoryFileError          a .repo file that cannot be changed safely
    ├── StateError                   what we keep below /var/lib/tuxcare is damaged
    ├── ConflictError                somebody changed a line of ours: nothing is overwritten
    ├── FileSystemError              the operating system refused to read or write
    ├── DeclinedError                the answer to a question was no, or nobody was there to ask
    ├── ServiceError                 the vendor's service said no, or said something unexpected
    │   ├── TransportError           no answer could be had
    │   └── EntitlementError         the key is for something else
    ├── SigningKeyError              the signing key is not the configured one
    ├── CommandError                 a program of the system (grubby, fips-mode-setup) failed
    ├── PreflightError               something stands in the way of FIPS mode: nothing was begun
    ├── PinError                     a transaction would take the host past its pin
    ├── NotRegisteredError           exit status 3
    ├── LockedError                  exit status 200, as dnf's own lock
    └── RecoveryError                exit status 5: failed, and the way back failed too

Each has a stable `code` for programs, an exit `status` (DESIGN 3), one line for people, and a `remedy`.
"""

from typing import List, NamedTuple, Optional, Sequence


class Problem(NamedTuple):
    """One thing wrong in one place of a file. `line` counts from 1; 0 is the file as a whole."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        place = '{}:{}'.format(self.path, self.line) if self.line else self.path
        return '{}: {}'.format(place, self.text)


class Check(NamedTuple):
    """One thing that a look ahead found. `level` is 'blocks' or 'warns'; `code` is for programs (docs/fips.md)."""

    code: str
    level: str
    text: str
    remedy: str


class TuxcareError(Exception):
    """The root of the tree. `str()` is the one line that a user reads, the remedy included."""

    code = 'error'
    status = 1
    # What a look ahead had found when it happened.
    checks: Sequence[Check] = ()

    def __init__(self, message: str, remedy: str = '') -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return '{} {}'.format(self.message, self.remedy).strip()

    @classmethod
    def check_schema(cls, path: str, found: object, reads: int) -> None:
        """Raises this error where a file of ours is of another version of the product than this one."""
        if found != reads or isinstance(found, bool):
            raise cls('{} has schema {!r}, this version reads {}.'.format(path, found, reads),
                      'Install the version of dnf-plugin-tuxcare that wrote it.')


class UsageError(TuxcareError):
    """An option, a verb or a value that does not exist."""

    code = 'usage'


class HostError(TuxcareError):
    """The operating system, its release or the architecture is not in the catalogue."""

    code = 'host-not-supported'


class LicenceKeyError(TuxcareError):
    """The licence key is missing or has a shape that no key has."""

    code = 'licence-key'


class ConfigurationError(TuxcareError):
    """A configuration file is wrong; `problems` has them all, in the order of the lines."""

    code = 'configuration'

    def __init__(self, problems: List[Problem], remedy: str = '') -> None:
        super().__init__('; '.join(str(problem) for problem in problems) + '.', remedy)
        self.problems = problems


class RepositoryFileError(TuxcareError):
    """A .repo file that is not a plain, readable file, or whose sections are ambiguous."""

    code = 'repository-file'


class StateError(TuxcareError):
    """The record of the registration is missing a part, damaged, or of a later version."""

    code = 'state'


class ConflictError(TuxcareError):
    """A line that we wrote was edited since; `diff` shows how (unified, before and after)."""

    code = 'conflict'

    def __init__(self, message: str, remedy: str = '', diff: str = '') -> None:
        super().__init__(message, remedy)
        self.diff = diff


class FileSystemError(TuxcareError):
    """Reading or writing failed: permissions, a read-only or full file system, a bad link."""

    code = 'file-system'


class DeclinedError(TuxcareError):
    """A question was answered with no, or could not be asked."""

    code = 'declined'


class ServiceError(TuxcareError):
    """The service refused, or its answer is not what it has to be.

    `http_status` is None where there was no answer. `seat_unknown`: the service may have given a seat all the same.
    """

    code = 'service'
    seat_unknown = False

    def __init__(self, message: str, remedy: str = '', http_status: Optional[int] = None) -> None:
        super().__init__(message, remedy)
        self.http_status = http_status


class TransportError(ServiceError):
    """No usable answer: names, connection, certificate, time, size.

    `maybe_received`: the service may have received the request and acted on it.
    """

    code = 'transport'
    maybe_received = True


class EntitlementError(ServiceError):
    """The token is valid but does not open what was asked for."""

    code = 'entitlement'


class SigningKeyError(TuxcareError):
    """The file fetched as the signing key is not exactly the one key that is configured."""

    code = 'signing-key'


class CommandError(TuxcareError):
    """A program of the system failed."""

    code = 'command'


class PreflightError(TuxcareError):
    """Something that FIPS mode would fail of, found before anything was begun; `checks` has all that was found."""

    code = 'preflight'


class PinError(TuxcareError):
    """A package from past the pin."""

    code = 'pin'


class NotRegisteredError(TuxcareError):
    """The verb needs a registered host."""

    code = 'not-registered'
    status = 3


class LockedError(TuxcareError):
    """Another command holds the lock and the configuration (`exit_on_lock`) says not to wait."""

    code = 'locked'
    status = 200


class RecoveryError(TuxcareError):
    """An operation failed and so did the way back: `dnf tuxcare recover` is needed."""

    code = 'recovery-needed'
    status = 5
