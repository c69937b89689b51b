"""What listeners hear: the queues when they change, and when an item that they hold is taken from them."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any
from uuid import UUID

from secondlook.common.errors import Busy
from secondlook.common.postgres import Database
from secondlook.reviewer_api.overview import repository
from secondlook.reviewer_api.review.queues import QueueState

MOST, MOST_OF_ONE = 400, 10  # listeners, and listeners of one person
HELD_BACK = 100  # events that a listener has not taken; the newest queues are all that it misses
CALM = 10  # times what a look at the queues takes, between two looks

Told = tuple[str, Mapping[str, Any]]
END: Told = ("end", {})  # the last that a listener hears; it is not sent


@dataclass(eq=False, slots=True)
class Listener:
    """One open stream of a person."""

    subject: str
    events: asyncio.Queue[Told] = field(default_factory=lambda: asyncio.Queue(HELD_BACK))

    def tell(self, event: str, data: Mapping[str, Any]) -> None:
        """Queue an event; a listener that takes none loses the oldest."""
        if self.events.full():
            self.events.get_nowait()
        self.events.put_nowait((event, data))


class Live:
    """One observer for all listeners: it looks only while somebody listens."""

    def __init__(self, database: Database, queues: Callable[[], Awaitable[Sequence[QueueState]]]) -> None:
        self._database, self._queues = database, queues
        self._listeners: set[Listener] = set()
        self._known: Mapping[str, Any] | None = None
        self._held: dict[UUID, str] = {}
        self._next = 0.0
        self._over = False

    def ensure_room(self, subject: str) -> None:
        """Raises Busy if too many listen, or too many windows of one person."""
        of_one = sum(other.subject == subject for other in self._listeners)
        if len(self._listeners) >= MOST or of_one >= MOST_OF_ONE:
            raise Busy("too many pages listen already; close some")

    @contextmanager
    def listen(self, subject: str) -> Iterator[Listener]:
        """Listen, until the block is left."""
        listener = Listener(subject)
        if self._known is not None:
            listener.tell("queues", self._known)
        if self._over:
            listener.tell(*END)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)

    def end(self) -> None:
        """The service stops: end all streams, and at once those that open from now on."""
        self._over = True
        for listener in self._listeners:
            listener.tell(*END)

    async def look(self) -> None:
        """Tell the listeners what has changed since the last look."""
        if not self._listeners:
            self._known, self._held = None, {}
            return
        await self._tell_closed()
        if perf_counter() < self._next:
            return
        began = perf_counter()
        found = {"queues": [asdict(queue) for queue in await self._queues()]}
        self._next = perf_counter() + CALM * (perf_counter() - began)
        if _without_ages(found) != _without_ages(self._known):
            for listener in list(self._listeners):
                listener.tell("queues", found)
            self._known = found

    async def _tell_closed(self) -> None:
        subjects = sorted({listener.subject for listener in self._listeners})
        async with self._database.pool.acquire() as connection:
            held = await repository.held(connection, subjects)
            gone = {task: who for task, who in self._held.items() if held.get(task) != who}
            why = await repository.why_gone(connection, gone) if gone else {}
        self._held = held
        for task_id, reason in why.items():
            for listener in list(self._listeners):
                if listener.subject == gone[task_id]:
                    listener.tell("closed", {"task_id": str(task_id), "why": reason})


def _without_ages(queues: Mapping[str, Any] | None) -> Any:
    """What must change for listeners to hear of it: ages change all the time."""
    return queues and [{**queue, "oldest_pending_seconds": None} for queue in queues["queues"]]
