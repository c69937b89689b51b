"""Passwords: argon2id, off the event loop, a few at a time."""

import asyncio
from functools import cache, partial

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from secondlook.common.http.turns import Turns

SHORTEST, LONGEST = 12, 256  # characters
AT_ONCE, WAITING = 1, 32  # a hash takes about 50 ms and 64 MiB

_HASHER = PasswordHasher()


class Passwords:
    """Makes and checks hashes. Both raise Busy when more than WAITING wait."""

    def __init__(self) -> None:
        self._turns = Turns(at_once=AT_ONCE, waiting=WAITING)

    async def hash(self, password: str) -> str:
        """The encoded argon2id hash."""
        async with self._turns.turn():
            return await asyncio.to_thread(_HASHER.hash, password)

    async def match(self, password: str, hashed: str | None) -> bool:
        """Whether it is the password. Without a hash that takes as long, and is never true."""
        async with self._turns.turn():
            return await asyncio.to_thread(partial(_match, password, hashed))


def _match(password: str, hashed: str | None) -> bool:
    try:
        return _HASHER.verify(hashed or _nobody(), password) and hashed is not None
    except (VerificationError, InvalidHashError):
        return False


@cache
def _nobody() -> str:
    return _HASHER.hash("what a password is held against where there is none")
