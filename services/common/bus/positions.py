"""The read position of a consumer group, stored in the service's schema together with the effects of the records.

Taking a partition raises its epoch. Advancing is a compare-and-set on offset and epoch: an owner that was replaced,
however long it slept, updates no row and must drop its batch. Each log (`postgres`, or a Kafka cluster by its id) has
its own positions, because offsets of one log mean nothing in another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from secondlook.common.bus import Span
from secondlook.common.errors import Fenced
from secondlook.common.postgres import Queryable

TAKE = """
INSERT INTO consumer_position AS p (consumer_group, log, topic, partition, next_offset)
SELECT $1, $2, * FROM unnest($3::text[], $4::int[], $5::bigint[]) AS t(topic, partition, earliest)
ORDER BY topic, partition
ON CONFLICT (consumer_group, log, topic, partition) DO UPDATE SET epoch = p.epoch + 1
RETURNING topic, partition, next_offset, epoch
"""
ADVANCE = """
UPDATE consumer_position p SET next_offset = s.stop
FROM unnest($2::text[], $3::text[], $4::int[], $5::bigint[], $6::bigint[], $7::bigint[])
     AS s(log, topic, partition, start, stop, epoch)
WHERE (p.consumer_group, p.log, p.topic, p.partition, p.next_offset, p.epoch)
    = ($1, s.log, s.topic, s.partition, s.start, s.epoch)
"""


@dataclass(slots=True)
class HeldPartition:
    """How far a member is in a partition that it holds; `epoch` is that of its taking it."""

    epoch: int
    read: int  # the next offset to fetch
    done: int  # the next offset that has not taken effect


async def take(
    connection: Queryable, group: str, log: str, earliest: Mapping[tuple[str, int], int]
) -> dict[tuple[str, int], tuple[int, int]]:
    """Own these partitions from now on. A group that never read one starts at `earliest`, its oldest record.

    Returns (next offset, epoch) by (topic, partition). Every earlier owner is fenced.
    """
    slots = list(earliest)
    topics, partitions = [topic for topic, _ in slots], [partition for _, partition in slots]
    rows = await connection.fetch(TAKE, group, log, topics, partitions, [earliest[slot] for slot in slots])
    return {(row["topic"], row["partition"]): (row["next_offset"], row["epoch"]) for row in rows}


async def advance(connection: Queryable, group: str, spans: Sequence[Span]) -> None:
    """Move the position behind the spans, in the transaction that holds their effects; waits for another that does so.

    Raises:
        Fenced: another owner took a partition, or it is not where the span starts. Roll back and drop the batch.
    """
    columns = [
        [span.log for span in spans], [span.topic for span in spans], [span.partition for span in spans],
        [span.start for span in spans], [span.end for span in spans], [span.epoch for span in spans],
    ]  # fmt: skip
    if await connection.execute(ADVANCE, group, *columns) != f"UPDATE {len(spans)}":
        held = ", ".join(f"{s.topic}[{s.partition}] at offset {s.start}, epoch {s.epoch}" for s in spans)
        raise Fenced(f"{group} no longer owns all of {held}")
