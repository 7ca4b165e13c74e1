# SPDX-License-Identifier: Apache-2.0
"""The licence keys that the sandbox knows, the seats that hosts take with them, and what a token opens.

The shape of a token (`EXTENDED_SECURITY_UPDATES-SERVER-…`) is one that was seen; that of Essential is made up.
"""
import secrets
import threading
from dataclasses import dataclass
from typing import Dict, List, NamedTuple, Optional

from tests.sandbox.instances import ACCOUNT

__all__ = [
    "AWS_SUBSCRIPTION",
    "ESSENTIAL_KEY",
    "ESU_KEY",
    "EXHAUSTED_KEY",
    "Key",
    "Licences",
    "PLAIN_ESSENTIAL_KEY",
    "PLAIN_ESU_KEY",
    "Refusal",
    "Seat",
    "UNKNOWN_KEY",
]

ESU_KEY = "ESU-SANDBOX5Q7K"
ESSENTIAL_KEY = "ESA-SANDBOX8M2T"
PLAIN_ESU_KEY = "SBX4ESU7QK"
PLAIN_ESSENTIAL_KEY = "SBX6ESA2MT"
EXHAUSTED_KEY = "ESU-SANDBOXFULL"
UNKNOWN_KEY = "ESU-SANDBOXNONE"
# What an AWS account has bought: its seats are counted as those of a key, which nobody can type.
AWS_SUBSCRIPTION = "aws:" + ACCOUNT

_TOKEN_PREFIX = {"esu": "EXTENDED_SECURITY_UPDATES-SERVER-", "essential": "ESSENTIAL_SUPPORT-SERVER-"}


@dataclass
class Key:
    """A licence: `product` is "esu" or "essential", `seats` the limit. An expired one opens nothing any more."""

    product: str
    seats: int
    expired: bool = False


class Seat(NamedTuple):
    key: str
    host_name: str
    token: str


class Refusal(Exception):
    """The service says no; the text is the `error` of its answer."""


class Licences:
    """Keys and seats; safe for many threads. A test may add keys to `keys` or change them."""

    def __init__(self) -> None:
        self.keys: Dict[str, Key] = {
            ESU_KEY: Key("esu", 50),
            ESSENTIAL_KEY: Key("essential", 50),
            PLAIN_ESU_KEY: Key("esu", 50),
            PLAIN_ESSENTIAL_KEY: Key("essential", 50),
            EXHAUSTED_KEY: Key("esu", 1),
            AWS_SUBSCRIPTION: Key("esu", 50),
        }
        self._lock = threading.Lock()
        self._seats = [Seat(EXHAUSTED_KEY, "elsewhere.example.com", _new_token("esu"))]

    def register(self, key: str, host_name: str) -> str:
        """A new seat's token, also for a host name that holds one already; Refusal."""
        with self._lock:
            licence = self.keys.get(key)
            if licence is None or licence.expired:
                raise Refusal("invalid-key")
            if sum(1 for seat in self._seats if seat.key == key) >= licence.seats:
                raise Refusal("key-limit-reached")
            token = _new_token(licence.product)
            self._seats.append(Seat(key, host_name, token))
            return token

    def restore(self, seat: Seat) -> None:
        """Takes a seat that was given back once more, with its token: for a copy of the host that had it."""
        with self._lock:
            self._seats.append(seat)

    def unregister(self, token: str) -> None:
        """The seat is free again; Refusal for an unknown token, one of an expired key goes."""
        with self._lock:
            left = [seat for seat in self._seats if seat.token != token]
            if len(left) == len(self._seats):
                raise Refusal("unknown-token")
            self._seats = left

    def product(self, token: str) -> Optional[str]:
        """What the token opens; None where it opens nothing."""
        with self._lock:
            for seat in self._seats:
                if seat.token == token:
                    licence = self.keys.get(seat.key)
                    return licence.product if licence and not licence.expired else None
        return None

    def seats(self) -> List[Seat]:
        """All seats taken, oldest first."""
        with self._lock:
            return list(self._seats)


def _new_token(product: str) -> str:
    return _TOKEN_PREFIX[product] + secrets.token_hex(8)
