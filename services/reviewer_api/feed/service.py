"""Read the feed from a cursor on, and wait for what comes next."""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from secondlook.common.errors import Busy, FieldProblem, InvalidInput
from secondlook.common.postgres import Database
from secondlook.common.service.permissions import Caller, Permission
from secondlook.reviewer_api.feed import repository
from secondlook.reviewer_api.feed.repository import FeedHead, Which
from secondlook.reviewer_api.feed.schemas import FeedPage, FollowedDecision

NOW = "now"  # the cursor of the end
CURSOR = re.compile(r"([0-9a-f]{8})-(0|[1-9][0-9]{0,17})")
MOST, MOST_OF_ONE = 200, 20  # that wait or stream at once, and of one caller
STREAM_PAGE = 500
LOOKING = 2.0  # seconds beyond `wait` in which one request looks through what its filters leave out


Followed = Sequence[tuple[str, FollowedDecision]]


@dataclass(slots=True)
class Feed:
    """The feed of decisions. One look a moment serves all who wait, and only while somebody does."""

    database: Database
    _position: int = -1
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _waiting: list[str] = field(default_factory=list)
    _over: bool = False

    async def page(self, caller: Caller, after: str | None, which: Which, limit: int, wait: float) -> FeedPage:
        """Decisions behind the cursor; where there is none, the next one to come within `wait` seconds.

        Raises:
            InvalidInput: the cursor is none, or one of another deployment.
            Busy: too many wait already.
        """
        which = _permitted(caller, which)
        position, feed = await self.start(after)
        ends = asyncio.get_running_loop().time() + wait
        while True:
            decisions, seen = await self._read(position, which, limit)
            left = ends - asyncio.get_running_loop().time()
            if decisions or self._over or left <= (0 if seen == position else -LOOKING):
                return FeedPage(decisions=[decision for _, decision in decisions], next=f"{feed}-{seen}")
            if seen == position:
                await self._await(caller, position, left)
            position = seen

    async def stream(self, caller: Caller, after: str | None, which: Which) -> AsyncIterator[Followed]:
        """Decisions, each with the cursor behind it, as they come, until the service stops."""
        which = _permitted(caller, which)
        position, feed = await self.start(after)
        while not self._over:
            decisions, seen = await self._read(position, which, STREAM_PAGE)
            if decisions:
                yield [(f"{feed}-{at}", decision) for at, decision in decisions]
            if seen == position:
                await self._await(caller, position, None)
            position = seen

    async def start(self, after: str | None) -> tuple[int, str]:
        """The number that a cursor stands for, and the name of the feed; raises InvalidInput."""
        head = await repository.head(self.database.pool)
        if after == NOW:
            return head.position, head.feed
        return (0 if after is None else position_of(after, head)), head.feed

    def ensure_room(self, caller: Caller) -> None:
        """Raises Busy if too many wait, or too many of one caller."""
        if len(self._waiting) >= MOST or self._waiting.count(caller.subject) >= MOST_OF_ONE:
            raise Busy("too many follow the decisions already; close some connections, or ask without `wait`")

    def end(self) -> None:
        """The service stops: answer all who wait."""
        self._over = True
        self._moved.set()

    async def look(self) -> None:
        """Wake those who wait if the feed has grown."""
        if not self._waiting:
            return
        found = (await repository.head(self.database.pool)).position
        if found != self._position:
            self._position = found
            self._moved.set()
            self._moved = asyncio.Event()

    async def _read(self, position: int, which: Which, limit: int) -> tuple[list[tuple[int, FollowedDecision]], int]:
        async with self.database.pool.acquire() as connection:
            until = (await repository.head(connection)).position
            rows, seen = await repository.page(connection, position, until, limit, which)
        return [(row["position"], FollowedDecision(**row)) for row in rows], max(seen, position)

    async def _await(self, caller: Caller, position: int, seconds: float | None) -> None:
        """Wait until the feed has grown beyond a number."""
        self.ensure_room(caller)
        self._waiting.append(caller.subject)
        try:
            async with asyncio.timeout(seconds):
                while self._position <= position and not self._over:
                    await self._moved.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.remove(caller.subject)


def position_of(cursor: str, head: FeedHead) -> int:
    """The number of a cursor.

    Raises:
        InvalidInput: it is none, of another deployment, or beyond the end, as after the database was restored.
    """
    match = CURSOR.fullmatch(cursor)
    if match is None:
        raise InvalidInput([FieldProblem("after", f"is no cursor: give the `next` of the answer before, or `{NOW}`")])
    if match[1] != head.feed:
        problem = "belongs to another deployment: start again without `after`, and keep the cursor that you get"
        raise InvalidInput([FieldProblem("after", problem)])
    if (position := int(match[2])) > head.position:
        problem = (
            f"lies beyond the end ({head.feed}-{head.position}), as after a restore of the database: read from there"
        )
        raise InvalidInput([FieldProblem("after", problem)])
    return position


def _permitted(caller: Caller, which: Which) -> Which:
    """What of it the caller may read: of the sources of their key, and nothing of what they review themselves."""
    sources = which.sources
    if caller.sources is not None:
        for source in sources or ():
            caller.ensure_source(source)
        sources = sources or caller.sources
    reader = caller.subject if caller.may(Permission.REVIEW) else None
    return Which(
        sources=sources, labels=which.labels, outcome=which.outcome, decided_by=which.decided_by, reader=reader
    )
