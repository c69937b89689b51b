"""Facts for the history checker: what the tables and the topics say."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from secondlook.common.bus import DEAD_LETTER_SUFFIX
from secondlook.common.bus.kafka_record import to_record
from secondlook.common.bus.topics import STATE_TOPICS, topics
from secondlook.common.bus.wire import decode
from tests.faults.facts import History, Position, Routed, Said, Task, Verdict
from tests.faults.system import PARTITIONS, System

SAMPLE_SECONDS = 0.25
SCHEMAS = ("router", "reviewer", "trainer")
GROUPS = {
    "router": "content.submitted",
    "reviewer-reviews": "review.requested",
    "reviewer-decisions": "moderation.decided",
}

POSITIONS = """
SELECT consumer_group, topic, partition, next_offset, epoch FROM router.consumer_position
UNION ALL SELECT consumer_group, topic, partition, next_offset, epoch FROM reviewer.consumer_position
"""
TASKS = """
SELECT t.review_id, t.source, t.content_id, t.revision, t.decision_id, t.state, p.why, p.prior::text,
       coalesce(j.reviewers, '{}') AS reviewers, j.outcome, j.labels
FROM reviewer.task t JOIN reviewer.task_payload p USING (task_id)
LEFT JOIN LATERAL (
    SELECT array_agg(reviewer ORDER BY number) AS reviewers,
           (array_agg(outcome ORDER BY number DESC))[1] AS outcome,
           (array_agg(to_json(labels)::text ORDER BY number DESC))[1] AS labels
    FROM reviewer.judgement WHERE task_id = t.task_id AND undone_at IS NULL
) j ON true
"""
OPEN = "SELECT count(*) FROM reviewer.task WHERE state IN ('pending', 'leased', 'decided')"
DEAD_LETTERS = """
SELECT log, topic, partition, "offset", value, reason FROM router.dead_letter
UNION ALL SELECT log, topic, partition, "offset", value, reason FROM reviewer.dead_letter
"""


async def sample(system: System, history: History) -> None:
    """Note every position over and over, until cancelled."""
    while True:
        with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection = await asyncpg.connect(system.postgres.url, timeout=2, command_timeout=2)
            try:
                while True:
                    history.samples += await positions(connection)
                    await asyncio.sleep(SAMPLE_SECONDS)
            finally:
                connection.terminate()
        await asyncio.sleep(SAMPLE_SECONDS)


async def positions(connection: Any) -> list[Position]:
    return [
        Position((row["consumer_group"], row["topic"], row["partition"]), row["next_offset"], row["epoch"])
        for row in await connection.fetch(POSITIONS)
    ]


async def left(system: System) -> str:
    """What is still on its way; empty when all is settled."""
    connection = await asyncpg.connect(system.postgres.url, timeout=5, command_timeout=5)
    try:
        # In the order in which work flows, so what moves on meanwhile is seen further down.
        outbox = [await connection.fetchval(f"SELECT count(*) FROM {schema}.outbox") for schema in SCHEMAS]  # noqa: S608
        ends = await _ends(system, list(GROUPS.values()))
        reached = {position.slot: position.offset for position in await positions(connection)}
        behind = sum(
            end - reached.get((group, *slot), 0)
            for slot, end in ends.items()
            for group in GROUPS
            if GROUPS[group] == slot[0]
        )
        tasks = await connection.fetchval(OPEN)
        again = [await connection.fetchval(f"SELECT count(*) FROM {schema}.outbox") for schema in SCHEMAS]  # noqa: S608
    finally:
        await connection.close()
    if any(outbox) or behind or tasks or any(again):
        return f"outboxes {outbox}, {behind} unread records, {tasks} open tasks"
    return ""


async def _ends(system: System, names: list[str]) -> dict[tuple[str, int], int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=system.bootstrap)
    try:
        await consumer.start()
        slots = [TopicPartition(name, number) for name in names for number in range(PARTITIONS)]
        return {(slot.topic, slot.partition): end for slot, end in (await consumer.end_offsets(slots)).items()}
    finally:
        await consumer.stop()


async def collect(system: System, history: History) -> None:
    """Fill in everything that the system itself knows."""
    connection = await asyncpg.connect(system.postgres.url)
    try:
        for row in await connection.fetch("SELECT * FROM router.revision WHERE route <> 'accepted'"):
            at = (row["source"], row["content_id"], row["revision"])
            history.routed[at] = Routed(row["route"], row["why"], row["audited"], row["routed_at"])
        rows = await connection.fetch("SELECT source, content_id FROM router.content WHERE withdrawn_at IS NOT NULL")
        history.withdrawals = {(row["source"], row["content_id"]) for row in rows}
        history.tasks = [_task(row) for row in await connection.fetch(TASKS)]
        rows = await connection.fetch("SELECT lease_token, outcome FROM reviewer.judgement")
        history.judged = {row["lease_token"]: row["outcome"] for row in rows}
        rows = await connection.fetch("SELECT decision_id, outcome FROM reviewer.decision_log")
        history.decision_log = {row["decision_id"]: row["outcome"] for row in rows}
        for schema in SCHEMAS:
            history.outbox[schema] = await connection.fetchval(f"SELECT count(*) FROM {schema}.outbox")  # noqa: S608
        for row in await connection.fetch(DEAD_LETTERS):
            origin = f"{row['log']}/{row['topic']}/{row['partition']}/{row['offset']}"
            history.set_aside.append((origin, _revision(row["value"]), row["reason"]))
        history.samples += await positions(connection)
    finally:
        await connection.close()
    await _read_wire(system, history)


def _task(row: Any) -> Task:
    prior = json.loads(row["prior"]) if row["prior"] else None
    verdict: Verdict | None = (row["outcome"], frozenset(json.loads(row["labels"]))) if row["outcome"] else None
    return Task(
        row["review_id"], (row["source"], row["content_id"], row["revision"]), row["decision_id"], row["state"],
        row["why"], (prior["outcome"], frozenset(prior["labels"])) if prior else None, verdict,
        tuple(row["reviewers"]),
    )  # fmt: skip


def _revision(value: bytes) -> tuple[str, str, int] | None:
    body = json.loads(value)
    return (body["source"], body["content_id"], body["revision"]) if "revision" in body else None


async def _read_wire(system: System, history: History) -> None:
    """All records of all topics of content, each partition from its beginning to its end."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=system.bootstrap, isolation_level="read_committed", auto_offset_reset="earliest"
    )
    try:
        await consumer.start()
        slots = [
            TopicPartition(topic.name, partition)
            for topic in topics(PARTITIONS) for partition in range(topic.partitions) if topic.name not in STATE_TOPICS
        ]  # fmt: skip
        consumer.assign(slots)
        ends = await consumer.end_offsets(slots)
        await consumer.seek_to_beginning(*slots)
        for slot, end in ends.items():
            history.ends[slot.topic, slot.partition] = end
            while await consumer.position(slot) < end:
                for found in (await consumer.getmany(slot, timeout_ms=500)).get(slot, ()):
                    record = to_record(found, "", "")
                    if record.topic.endswith(DEAD_LETTER_SUFFIX):
                        history.set_aside_on_wire.add(record.headers["origin"])
                    else:
                        said = Said(record.headers["ce_id"], record.headers["ce_source"], decode(record))
                        history.wire.append(said)
    finally:
        await consumer.stop()
