# SPDX-License-Identifier: Apache-2.0
"""What a row of the table is made of: what is wrong, and how `register` has to end there."""
from typing import TYPE_CHECKING, Callable, ContextManager, NamedTuple, Optional, Tuple

from tests.sandbox.licences import ESU_KEY

if TYPE_CHECKING:
    from tests.integration.failures.site import Site

__all__ = [
    "BASEOS", "ESU", "NONE", "REGISTER", "RETURNED", "SIGNING_KEY", "TAKEN", "UNKNOWN", "Circumstance", "Row",
]  # fmt: skip

# Paths at the service, as shell patterns.
REGISTER = "/cln/api/els/token/register"
BASEOS = "*/BaseOS/*repomd.xml"
ESU = "*/esu/*repomd.xml"
SIGNING_KEY = "/tuxcare/RPM-GPG-KEY-TuxCare"

# What becomes of the seat. It is still taken where the service did not take it back; where nobody knows whether it gave one,
# the host remembers that it asked.
NONE = "none"
RETURNED = "given back"
TAKEN = "perhaps still taken"
UNKNOWN = "perhaps taken"

# Something is wrong inside of the `with`, and mended after it.
Circumstance = Callable[["Site"], "ContextManager[None]"]


class Row(NamedTuple):
    """One way to fail. `says` are words of the one line; `args` and `key` are the command's.

    `tries` is how often what fails is tried, where one retry is configured: requests for `at`, or connections to where no
    request comes through. `mends` says that the same command succeeds afterwards: not where the command itself is what is wrong.
    With `status` 0 it is something that is waited out. `mounts` wants file systems of its own, `user` is who runs the command
    at first; both need root, the latter a host that is `/`.
    """

    name: str
    group: str
    words: str
    circumstance: Circumstance
    says: Tuple[str, ...] = ()
    seat: str = NONE
    tries: int = 1
    at: str = REGISTER
    args: Tuple[str, ...] = ()
    key: Optional[str] = ESU_KEY
    status: int = 1
    mends: bool = True
    mounts: bool = False
    user: Optional[str] = None
