"""The outbox: messages that a service published with its transactions and a relay has yet to send to Kafka.

A row holds the messages of one transaction and shard. Within a shard, rows have the order in which their transactions
committed, and all messages of one key are in one shard: sending a shard's rows one after the other keeps a key's order.
"""

import zlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic_core import from_json, to_json

from secondlook.common.bus import Message
from secondlook.common.postgres import Database, Queryable, Row, fetch_one

SHARDS = 8  # rows were assigned by this number: change it only while every outbox is empty
CHANNEL = "outbox"

APPEND = "SELECT outbox_append($1::smallint[], $2, $3, $4, $5)"
# Starts behind the rows sent last: they are deleted, and scanning their dead index entries would be slow.
READ = """
SELECT o.* FROM unnest($1::smallint[], $2::bigint[]) AS c(shard, sent)
CROSS JOIN LATERAL (
    SELECT shard, id, topics, keys, contents, header_sets FROM outbox
    WHERE outbox.shard = c.shard AND outbox.id > c.sent ORDER BY outbox.id LIMIT $3
) AS o
ORDER BY o.shard, o.id
"""
# Not synced: a row that comes back after a crash is sent again, and readers recognise a repeated event by its id.
REMOVE = """
DELETE FROM outbox USING unnest($1::smallint[], $2::bigint[]) AS sent(shard, id)
WHERE (outbox.shard, outbox.id) = (sent.shard, sent.id)
"""
BACKLOG = """
SELECT coalesce(sum(cardinality(topics)), 0)::bigint, coalesce(extract(epoch FROM now() - min(written_at)), 0)::float8
FROM outbox
"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """A row: the messages of one transaction and shard, in order."""

    shard: int
    id: int
    messages: Sequence[Message]


async def append(connection: Queryable, messages: Sequence[Message]) -> None:
    """Add messages in the transaction of `connection`, to the outbox on its search path. Call it last."""
    if messages:
        await connection.execute(
            APPEND,
            [shard_of(message.key) for message in messages],
            [message.topic for message in messages],
            [message.key for message in messages],
            [message.value for message in messages],
            [to_json(message.headers).decode() for message in messages],
        )


def shard_of(key: str) -> int:
    """The shard of a key's messages."""
    return zlib.crc32(key.encode()) % SHARDS


async def read(database: Database, sent: Mapping[int, int], rows: int) -> list[Parcel]:
    """The next parcels of each shard, in order, up to `rows` a shard; `sent` holds the id sent last by shard."""
    found = await database.pool.fetch(READ, list(sent), list(sent.values()), rows)
    return [Parcel(row["shard"], row["id"], _messages(row)) for row in found]


def _messages(row: Row) -> list[Message]:
    return [
        Message(topic, key, value, from_json(headers))
        for topic, key, value, headers in zip(
            row["topics"], row["keys"], row["contents"], row["header_sets"], strict=True
        )
    ]


async def remove(database: Database, parcels: Collection[Parcel]) -> None:
    """Delete parcels that were sent."""
    async with database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL synchronous_commit = off")
        await connection.execute(REMOVE, [parcel.shard for parcel in parcels], [parcel.id for parcel in parcels])


async def backlog(database: Database) -> tuple[int, float]:
    """(number of messages not yet sent, age of the oldest in seconds)."""
    row = await fetch_one(database.pool, BACKLOG)
    return row[0], row[1]
