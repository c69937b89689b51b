"""Upstream: lanes that submit content without pause, over Kafka and over HTTP, until each piece is accepted."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Literal, Protocol

import httpx
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from secondlook.common.bus.wire import encode
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn, Event
from tests.faults.system import System

SOURCE = "forum"
LANES = 3  # of each kind
BURSTS_A_SECOND = 8.0  # a lane
REMEMBERED = 40  # keys a lane that more may happen to
RETRY_SECONDS = 0.2
REQUEST_SECONDS = 10.0
STOP_SECONDS = 2 * REQUEST_SECONDS  # by then all that a producer holds has been sent or given up
WORDS = ("fine", "fine", "fine", "sure", "unsure", "unsure")  # as the fake model understands them

Kind = Literal["submit", "repeat", "reuse", "withdraw"]
REFUSED = {"reuse": "revision_reused", "repeat": "withdrawn"}  # what HTTP may answer, and upstream need not repeat


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that upstream says. `reuse`: a known revision with other text, which must be refused or set aside."""

    kind: Kind
    content_id: str
    revision: int = 0
    text: str = ""
    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def event(self) -> Event:
        if self.kind == "withdraw":
            return ContentWithdrawn(source=SOURCE, content_id=self.content_id, withdrawn_at=self.at)
        return ContentSubmitted(
            source=SOURCE, content_id=self.content_id, revision=self.revision, text=self.text, created_at=self.at
        )


class Script:
    """What a lane says, burst by burst: follows from the seed alone. Lanes share no keys."""

    def __init__(self, seed: str, lane: str) -> None:
        self.chance, self._lane = random.Random(f"{seed}/{lane}"), lane
        self._known: list[Step] = []  # the latest revision of each key
        self._count = 0

    def burst(self) -> list[Step]:
        """New content, mostly, sometimes edited at once; else an edit, a repeat, a withdrawal or a reused revision."""
        draw = self.chance.random()
        if draw < 0.6 or not self._known:
            self._count += 1
            return self._edits(f"{self._lane}-{self._count}", 0)
        latest = self._known.pop(self.chance.randrange(len(self._known)))
        if draw < 0.8:
            return self._edits(latest.content_id, latest.revision)
        if draw < 0.9:
            self._remember(latest)
            return [replace(latest, kind="repeat")]
        if draw < 0.98:
            self._remember(latest)
            return [Step("withdraw", latest.content_id)]
        return [Step("reuse", latest.content_id, latest.revision, latest.text + " changed")]

    def _edits(self, content_id: str, revision: int) -> list[Step]:
        count = self.chance.choice((1, 1, 1, 2, 3))
        steps = [
            Step("submit", content_id, number, f"{self.chance.choice(WORDS)} {content_id} {number}")
            for number in range(revision + 1, revision + 1 + count)
        ]
        self._remember(steps[-1])
        return steps

    def _remember(self, step: Step) -> None:
        self._known = [*self._known, step][-REMEMBERED:]


@dataclass
class Submitted:
    """What upstream was promised: when each revision was first accepted, what was withdrawn and what was reused over
    Kafka, which answers nothing."""

    accepted: dict[tuple[str, str, int], datetime] = field(default_factory=dict)
    withdrawn: set[tuple[str, str]] = field(default_factory=set)
    reused: set[tuple[str, str, int]] = field(default_factory=set)

    def note(self, steps: Sequence[Step]) -> None:
        now = datetime.now(UTC)
        for step in steps:
            if step.kind == "withdraw":
                self.withdrawn.add((SOURCE, step.content_id))
            elif step.kind == "reuse":
                self.reused.add((SOURCE, step.content_id, step.revision))
            else:
                self.accepted.setdefault((SOURCE, step.content_id, step.revision), now)


class Sender(Protocol):
    async def send(self, steps: Sequence[Step], chance: random.Random) -> Sequence[Step] | None:
        """What was accepted, if the rest was refused for good; None to send all again: some of it may be accepted."""


class OverKafka:
    """Records with the key of the content; accepted is what the broker acknowledged."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._producer: AIOKafkaProducer | None = None

    async def send(self, steps: Sequence[Step], chance: random.Random) -> Sequence[Step] | None:
        try:
            producer = await self._connected()
            sent = []
            for step in steps:
                message = encode(step.event(), "upstream", SystemClock())
                headers = [(name, value.encode()) for name, value in message.headers.items()]
                sent.append(await producer.send(message.topic, message.value, message.key.encode(), headers=headers))
            await asyncio.gather(*sent)
        except (KafkaError, OSError):
            await self.close()
            return None
        return steps

    async def _connected(self) -> AIOKafkaProducer:
        if self._producer is None:
            self._producer = AIOKafkaProducer(
                bootstrap_servers=self._system.bootstrap,
                enable_idempotence=True,
                request_timeout_ms=round(REQUEST_SECONDS * 1000),
            )
            await self._producer.start()
        return self._producer

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(producer.stop(), STOP_SECONDS)


class OverHttp:
    """The router's ingest API, any router; accepted is what was answered 202, line by line."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._headers = {"Authorization": f"Bearer {system.upstream_key}"}

    async def send(self, steps: Sequence[Step], chance: random.Random) -> Sequence[Step] | None:
        url = f"{chance.choice(self._system.routers).url}/v1/content"
        try:
            if steps[0].kind == "withdraw":
                target = f"{url}/{SOURCE}/{steps[0].content_id}"
                deleted = await self._system.client.delete(target, headers=self._headers)
                return steps if deleted.status_code == 202 else None
            lines = "\n".join(step.event().model_dump_json() for step in steps)
            answer = await self._system.client.post(f"{url}/batch", content=lines, headers=self._headers)
            if answer.status_code != 202:
                return None
        except httpx.HTTPError:
            return None
        refused = {line["line"]: line["code"] for line in answer.json()["refused"]}
        if any(REFUSED.get(steps[line - 1].kind) != code for line, code in refused.items()):
            return None
        return [step for number, step in enumerate(steps, 1) if number not in refused]

    async def close(self) -> None:
        """The client is the system's."""


@asynccontextmanager
async def submitting(system: System, seed: str, submitted: Submitted) -> AsyncIterator[None]:
    """Submit all the time. On leaving, each lane finishes its burst, so that all that was begun is accepted."""
    enough = asyncio.Event()
    senders: list[OverKafka | OverHttp] = [make(system) for make in (OverKafka, OverHttp) for _ in range(LANES)]
    lanes = [
        asyncio.create_task(_lane(Script(seed, f"lane{number}"), sender, submitted, enough))
        for number, sender in enumerate(senders)
    ]
    try:
        yield
        enough.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*lanes)
    finally:
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        await asyncio.gather(*(sender.close() for sender in senders))


async def _lane(script: Script, sender: Sender, submitted: Submitted, enough: asyncio.Event) -> None:
    choices = random.Random(script.chance.random())  # of routers: however often it is tried, the script stays the same
    while not enough.is_set():
        steps = script.burst()
        while (accepted := await sender.send(steps, choices)) is None:  # noqa: ASYNC110
            await asyncio.sleep(RETRY_SECONDS)
        submitted.note(accepted)
        await asyncio.sleep(script.chance.expovariate(BURSTS_A_SECOND))
