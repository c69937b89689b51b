"""Whatever labels arrive for a revision, in whatever order: no example holds one that was given on another text."""

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from prometheus_client import CollectorRegistry

from secondlook.common.bus import Topic
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentLabelled
from secondlook.common.observability import Health, StreamFamily
from secondlook.common.postgres import Database
from secondlook.common.service.stream import Stream
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer.data.dataset import load_judged
from secondlook.trainer.data.handler import LabelHandler
from secondlook.trainer.metrics import TrainerMetrics
from tests.waiting import until

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SEQUENCES = 150


def sequence(content_id: str, chance: random.Random) -> list[ContentLabelled]:
    """Judgements of one revision on two texts: by several people, repeated, corrected, taken back, out of order."""
    ids: dict[tuple[str, str], UUID] = defaultdict(uuid4)
    found = []
    for _ in range(chance.randint(2, 8)):
        text, reviewer = chance.choice(["one", "two"]), chance.choice(["r1", "r2", "r3"])
        # An imported judgement has the id of its item and reviewer, whatever the text.
        imported = chance.random() < 0.5
        found.append(
            ContentLabelled(
                source="forum",
                content_id=content_id,
                revision=1,
                text=f"{text} {content_id}",
                label_id=ids[reviewer, "" if imported else text],
                reviewer=reviewer,
                labels=chance.choice([{}, {text: True}, {text: False}]),
                decision_id=None,
                labelled_at=NOON + timedelta(minutes=chance.randint(0, 9)),
                adjudicated=chance.random() < 0.8,
                inclusion_probability=None,
                stratum="imported" if imported else "uncertain",
            )
        )
    return found


def interleaved(sequences: Sequence[list[ContentLabelled]], chance: random.Random) -> list[ContentLabelled]:
    order = [number for number, events in enumerate(sequences) for _ in events]
    chance.shuffle(order)
    left = [iter(events) for events in sequences]
    return [next(left[number]) for number in order]


async def test_no_example_holds_a_label_of_another_text(database_url: str) -> None:
    chance = random.Random(10)
    sequences = [sequence(f"c{number}", chance) for number in range(SEQUENCES)]
    events = interleaved(sequences, chance)
    first = {events_of[0].content_id: events_of[0].text for events_of in sequences}
    wanted = sum(event.text == first[event.content_id] for event in events)
    async with Database.open(database_url, "trainer") as database:
        bus = PostgresBus(database)
        await bus.ensure_topics([Topic(ContentLabelled.topic, 2), Topic(f"{ContentLabelled.topic}.dead-letter", 1)])
        transactions = Transactions(database, bus, SystemClock(), "test")
        async with transactions.begin() as work:
            for event in events:
                work.publish(event)
        registry = CollectorRegistry()
        metrics, family = TrainerMetrics(registry), StreamFamily(registry, Health())
        stream = Stream("trainer", bus.consumer("trainer", [ContentLabelled.topic]), transactions,
                        LabelHandler(metrics.labels), family.of("trainer"), max_records=16)  # fmt: skip
        reading = asyncio.create_task(stream.run())

        async def read() -> bool:
            return bool(await database.pool.fetchval("SELECT sum(next_offset) FROM consumer_position") == len(events))

        await until(read, 60)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)

        refused = await database.pool.fetch("SELECT reason, count(*) AS n FROM dead_letter GROUP BY reason")
        assert {row["reason"]: row["n"] for row in refused} == {"revision_reused": len(events) - wanted}
        texts = {row["content_id"]: row["text"] for row in await database.pool.fetch("SELECT * FROM label")}
        assert texts == first, "the first text of each counts"
        examples = await load_judged(database.pool, 10**9)
        assert len(examples) > SEQUENCES / 3
        for example in examples:
            assert set(example.labels) == {example.text.split()[0]}
