"""One endpoint: what waits for it, in order a piece of content, and the attempts that are under way.

Nothing of another endpoint is ever waited for. A crash repeats at most what was under way or not yet written down.
"""

import asyncio
import heapq
from collections import defaultdict, deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from secondlook.common.backoff import Backoff
from secondlook.common.breaker import Breaker
from secondlook.common.clock import Clock
from secondlook.common.postgres import TRANSIENT, Database
from secondlook.reviewer_api.feed.repository import Which
from secondlook.reviewer_api.feed.schemas import FollowedDecision
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.webhooks import repository, signing
from secondlook.reviewer_api.webhooks.schedule import GIVE_UP, next_try
from secondlook.reviewer_api.webhooks.schemas import WebhookMessage
from secondlook.reviewer_api.webhooks.sender import GONE, SECONDS, Attempt, Sender

WINDOW, AT_ONCE = 2_000, 16  # deliveries in memory, and attempts at once
WRITE_SECONDS, TICK_SECONDS = 0.1, 1.0
REFUSED = "the endpoint answered 410 Gone"

ContentKey = tuple[str, str]


@dataclass(slots=True)
class Outgoing:
    """A delivery that waits."""

    position: int
    key: ContentKey
    message_id: str
    body: bytes
    attempts: int
    due_at: datetime
    give_up_at: datetime


class Endpoint:
    """Delivers to one webhook for as long as this process holds it: see `hold`."""

    def __init__(
        self, row: Mapping[str, Any], holder: UUID, database: Database, clock: Clock, metrics: ReviewerMetrics,
        *, private: bool,
    ) -> None:  # fmt: skip
        self._row, self._holder, self._database, self._clock = row, holder, database, clock
        self._metrics, self._private = metrics, private
        self._id: UUID = row["webhook_id"]
        self._breaker = Breaker(row["failures"], row["resting_until"])
        self._queues: dict[ContentKey, deque[Outgoing]] = defaultdict(deque)
        self._heads: list[tuple[datetime, int, ContentKey]] = []  # the first of each key, unless it is under way
        self._held, self._running = set[int](), set[asyncio.Task[None]]()
        self._tried: list[tuple[Any, ...]] = []
        self._stirred, self._more, self._gone = asyncio.Event(), True, False
        self._replayed = True  # there may be deliveries that wait and are not in memory
        self._until, self._under_way = 0.0, 0

    def hold(self, row: Mapping[str, Any], until: float) -> None:
        """It is held until then, by the event loop's clock, and this is what the database says of it now."""
        if self._row["changed_at"] != row["changed_at"]:  # by a person: try at once
            self._breaker, self._gone = Breaker(), False
        self._row, self._until, self._more, self._replayed = row, until, True, True
        self._stirred.set()

    def stir(self) -> None:
        """The feed has grown."""
        self._more = True
        self._stirred.set()

    async def run(self) -> None:
        """Deliver until cancelled; what is under way then is sent again by whoever holds the webhook next."""
        async with Sender(private=self._private, at_once=AT_ONCE) as sender:
            backoff = Backoff(TICK_SECONDS)
            try:
                while True:
                    self._stirred.clear()
                    try:
                        await self._write()
                        await self._fill()
                        backoff.reset()
                    except TRANSIENT:
                        await asyncio.sleep(backoff.wait())
                    self._start(sender)
                    with suppress(TimeoutError):
                        async with asyncio.timeout(TICK_SECONDS):
                            await self._stirred.wait()
                    if self._tried:
                        await asyncio.sleep(WRITE_SECONDS)  # more will have come by then, in one statement
            finally:
                for task in self._running:
                    task.cancel()
                await asyncio.gather(*self._running, return_exceptions=True)
                with suppress(*TRANSIENT):
                    await self._write()

    async def _fill(self) -> None:
        """Take in what waits and what is new, as far as there is room."""
        if not self._more or len(self._held) > WINDOW // 2:
            return
        now = self._clock.now()
        async with self._database.pool.acquire() as connection:
            if self._replayed:
                self._replayed = False
                for row in await repository.waiting(connection, self._id, sorted(self._held), WINDOW - len(self._held)):
                    self._add(row["number"], row, row["attempts"], row["due_at"], row["give_up_at"])
            if (room := WINDOW - len(self._held)) > 0:
                which = Which(**{name: self._row[name] for name in ("sources", "labels", "outcome", "decided_by")})
                found, self._more = await repository.take(
                    connection, self._id, self._holder, which, room, now, now + GIVE_UP
                )
                for row in found:
                    self._add(row["position"], row, 0, now, now + GIVE_UP)

    def _add(self, number: int, row: Mapping[str, Any], attempts: int, due_at: datetime, give_up_at: datetime) -> None:
        decision = FollowedDecision(**{name: row[name] for name in FollowedDecision.model_fields})
        body = WebhookMessage(timestamp=decision.decided_at, data=decision).model_dump_json().encode()
        key = (decision.source, decision.content_id)
        queue = self._queues[key]
        pending = Outgoing(number, key, f"msg_{decision.decision_id}", body, attempts, due_at, give_up_at)
        queue.append(pending)
        self._held.add(number)
        if len(queue) == 1:
            heapq.heappush(self._heads, (due_at, number, key))

    def _start(self, sender: Sender) -> None:
        """Begin the attempts that are due, as far as the endpoint may be asked now."""
        now, loop = self._clock.now(), asyncio.get_running_loop()
        if loop.time() + SECONDS > self._until or self._gone:
            return  # somebody else may hold it before an answer comes
        if self._breaker.resting_until is not None:
            self._give_up(now)
        room = self._breaker.room(now, AT_ONCE) - self._under_way
        while room > 0 and self._heads and self._heads[0][0] <= now:
            _, _, key = heapq.heappop(self._heads)
            task = asyncio.create_task(self._attempt(self._queues[key][0], sender))
            self._under_way += 1
            self._running.add(task)
            task.add_done_callback(self._running.discard)
            room -= 1

    async def _attempt(self, pending: Outgoing, sender: Sender) -> None:
        now = self._clock.now()
        headers = signing.headers(pending.message_id, now, pending.body, signing.valid(self._row, now))
        attempt = await sender.send(self._row["url"], headers, pending.body)
        self._settle(pending, attempt, self._clock.now())
        self._under_way -= 1
        self._start(sender)
        self._stirred.set()

    def _settle(self, pending: Outgoing, attempt: Attempt, now: datetime) -> None:
        pending.attempts += 1
        self._metrics.webhook_attempts.labels("arrived" if attempt.arrived else "failed").inc()
        if attempt.arrived:
            if self._breaker.succeeded():
                self._heads = [(now, number, key) for _, number, key in self._heads]  # it is back: all are due
                heapq.heapify(self._heads)
            self._close(pending, "delivered", attempt, now)
            return
        self._breaker.failed(now)
        self._gone = self._gone or attempt.status == GONE
        if now >= pending.give_up_at:
            self._close(pending, "failed", attempt, now)
            return
        pending.due_at = now + next_try(pending.attempts, attempt.retry_after)
        heapq.heappush(self._heads, (pending.due_at, pending.position, pending.key))
        self._note(pending, "waiting", attempt, now)

    def _give_up(self, now: datetime) -> None:
        """While the endpoint rests, what has waited for long enough is given up without another attempt."""
        over = [(due, number, key) for due, number, key in self._heads if self._queues[key][0].give_up_at <= now]
        for head in over:
            self._heads.remove(head)
            pending = self._queues[head[2]][0]
            self._close(pending, "failed", Attempt(None, "given up while nothing arrived", 0.0), now)
        heapq.heapify(self._heads)

    def _close(self, pending: Outgoing, state: str, attempt: Attempt, now: datetime) -> None:
        """The delivery is over: the next one of its content may go."""
        self._note(pending, state, attempt, now)
        queue = self._queues[pending.key]
        queue.popleft()
        if queue:
            heapq.heappush(self._heads, (max(queue[0].due_at, now), queue[0].position, pending.key))
        else:
            del self._queues[pending.key]

    def _note(self, pending: Outgoing, state: str, attempt: Attempt, now: datetime) -> None:
        self._tried.append(
            (pending.position, state, pending.attempts, pending.due_at, now, attempt.status, attempt.problem)
        )

    async def _write(self) -> None:
        """Write down what came of the attempts: of each delivery the last one."""
        taken, self._tried = self._tried, []
        if not taken:
            return
        rows = list({row[0]: row for row in taken}.values())
        why, rest = (REFUSED if self._gone else None), self._breaker
        try:
            async with self._database.pool.acquire() as connection, connection.transaction():
                await repository.tried(connection, self._id, rows)
                await connection.execute(repository.BREAKER, self._id, rest.failures, rest.resting_until, why)
        except BaseException:
            self._tried = taken + self._tried
            raise
        self._held -= {row[0] for row in rows if row[1] != "waiting"}
        self._metrics.webhook_given_up.inc(sum(row[1] == "failed" for row in rows))
