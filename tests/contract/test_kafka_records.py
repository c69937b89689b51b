"""Records as any Kafka client may write them: each takes effect or becomes a dead letter; none stops its reader."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import confluent_kafka
import pytest
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from secondlook.common.bus.kafka_record import to_record
from secondlook.common.bus.topics import topics
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.postgres import Database
from secondlook.common.service.dead_letters import newest, requeue_places, waiting
from secondlook.common.service.stream import Item, Stream
from secondlook.common.service.unit_of_work import Transactions, UnitOfWork
from tests.contract.conftest import kafka_bus, running
from tests.waiting import until

GOOD = ContentSubmitted(
    source="demo", content_id="1", revision=1, kind="text", text="hello", created_at=datetime(2026, 1, 1, tzinfo=UTC)
)
KEY, VALUE = GOOD.key.encode(), GOOD.model_dump_json().encode()
ENVELOPE = b'{"specversion":"1.0","id":"1","source":"/app","type":"dev.second-look.ContentSubmitted","data":%b}' % VALUE
LARGE = 1024 * 1024 - 400  # as large as a broker takes by default, so that nothing more fits beside it

# name: (key, value, headers, the reason of the dead letter; None if it takes effect)
RECORDS: dict[str, tuple[bytes | None, bytes | None, list[tuple[str, bytes | None]], str | None]] = {
    "no key": (None, VALUE, [], None),
    "no value": (KEY, None, [], "malformed"),
    "empty value": (KEY, b"", [], "malformed"),
    "neither key nor value": (None, None, [], "malformed"),
    "not UTF-8": (KEY, b"\xff\xfe\x00", [], "malformed"),
    "a key that is not UTF-8": (b"\xff\x00", VALUE, [], "wrong_key"),
    "a key of zero bytes": (b"", VALUE, [], None),
    "another key": (b"demo/other", VALUE, [], "wrong_key"),
    "a header without a value": (KEY, VALUE, [("ce_type", None), ("other", None)], None),
    "a header that is not UTF-8": (KEY, VALUE, [("other", b"\xff\x00")], None),
    "a type that is not UTF-8": (KEY, VALUE, [("ce_type", b"\xff")], "unknown_type"),
    "binary mode as Spring spells it": (None, VALUE, [("ce-type", b"com.example.ContentSubmitted.v1")], None),
    "structured mode": (None, ENVELOPE, [("Content-Type", b"application/cloudevents+json; charset=utf-8")], None),
    "structured mode without headers": (KEY, ENVELOPE, [], None),
    "a batch": (KEY, b"[]", [("content-type", b"application/cloudevents-batch+json")], "malformed"),
    "two types": (KEY, VALUE, [("ce_type", b"ContentSubmitted"), ("ce-type", b"ContentWithdrawn")], "unknown_type"),
    "a trace with a NUL": (KEY, VALUE, [("traceparent", b"\x00")], None),
    "the same header twice": (KEY, VALUE, [("other", b"1"), ("other", b"2")], None),
    "as large as the broker takes": (KEY, b"x" * (LARGE - 200), [], "malformed"),
    "a key as large as the broker takes": (b"\xff" * LARGE, VALUE[:10], [], "malformed"),
    "headers as large as the broker takes": (KEY, b"{}", [("h", b"\xff" * (LARGE - 200))], "invalid"),
}


class Taken:
    """A handler and an observer that keep what they are told."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.reasons: list[str] = []

    async def prepare(self, items: Sequence[Item]) -> list[Any]:
        return [item.event for item in items]

    async def apply(self, work: UnitOfWork, plan: list[Any]) -> list[Any]:
        for event in plan:
            work.publish(event)  # whatever was taken can be handed on
        return plan

    def committed(self, done: list[Any]) -> None:
        self.events += done

    def batch_done(self, records: int, dead_letters: int) -> None: ...

    def fenced(self) -> None: ...

    def lag(self, records: int) -> None: ...

    def waiting(self, reason: str | None) -> None:
        self.reasons += [reason] if reason else []


async def test_no_record_stops_its_reader_or_the_relay_of_its_dead_letter(
    database: Database, kafka_bootstrap: str
) -> None:
    prefix = f"odd{secrets.token_hex(4)}."
    bus = kafka_bus(database, kafka_bootstrap, kafka_prefix=prefix)
    transactions = Transactions(database, bus, SystemClock(), "router")
    topic = ContentSubmitted.topic
    async with running(bus, database) as kafka:
        await bus.ensure_topics(topics(1))
        foreign = confluent_kafka.Producer({"bootstrap.servers": kafka_bootstrap, "message.max.bytes": 2 * LARGE})
        for key, value, headers, _ in RECORDS.values():
            foreign.produce(prefix + topic, value, key, 0, headers=headers)
            assert await asyncio.to_thread(foreign.flush, 20) == 0
        taken = Taken()
        stream = Stream("odd", bus.consumer("odd", [topic]), transactions, taken, taken)
        reading = asyncio.create_task(stream.run())
        wanted = [reason for *_, reason in RECORDS.values() if reason is not None]
        accepted = len(RECORDS) - len(wanted)

        async def all_done() -> bool:
            rows = await database.pool.fetchval("SELECT count(*) FROM dead_letter")
            return bool(rows >= len(wanted)) and len(taken.events) >= accepted

        await until(all_done, 30)
        rows = await database.pool.fetch('SELECT "offset", reason FROM dead_letter ORDER BY "offset"')
        assert {row["offset"]: row["reason"] for row in rows} == {
            offset: reason for offset, (*_, reason) in enumerate(RECORDS.values()) if reason is not None
        }

        async def all_sent() -> bool:
            return not await database.pool.fetchval("SELECT count(*) FROM outbox")

        await until(all_sent, 30)
        assert len(await bus.tail(f"{topic}.dead-letter", 100)) == len(wanted)
        assert kafka.observed.reasons == []
        assert taken.reasons == []

        # Requeued, each becomes a dead letter again, and what no event can be stays where it is: written as text, a
        # byte that is not UTF-8 takes three.
        too_large = ["a key as large as the broker takes", "headers as large as the broker takes"]
        places = await waiting(transactions, None)
        assert len(places) == len(wanted) - len(too_large)
        assert len(await requeue_places(transactions, places)) == len(places)
        await until(all_sent, 30)
        assert kafka.observed.reasons == []

        async def all_again() -> bool:
            return len(await newest(transactions, None, requeued=False, limit=100, length=80)) >= len(wanted)

        await until(all_again, 30)
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


@pytest.mark.parametrize("magic", [0, 1])
@pytest.mark.parametrize("codec", [0, 1, 2])
def test_records_of_the_older_formats_are_read(magic: int, codec: int) -> None:
    """Kafka 4 writes them no more, but a log that is older than its broker holds them."""
    builder = LegacyRecordBatchBuilder(magic, codec, 100_000)
    for offset, (key, value) in enumerate([(b"k", b"v" * 100), (None, b"v"), (b"k", None)]):
        builder.append(offset, 1_700_000_000_000, key, value)
    batches = MemoryRecords(bytes(builder.build()))
    found = []
    while batches.has_next():
        for record in batches.next_batch():
            read = SimpleNamespace(
                topic="p.t", partition=0, offset=record.offset, key=record.key, value=record.value,
                headers=record.headers, timestamp=record.timestamp,
            )  # fmt: skip
            found.append(to_record(read, "kafka", "p."))
    assert [(r.topic, r.offset, r.key, r.value) for r in found] == [
        ("t", 0, "k", b"v" * 100), ("t", 1, "", b"v"), ("t", 2, "k", b""),
    ]  # fmt: skip
    assert {r.written_at.year for r in found} == {2023 if magic else 1970}
