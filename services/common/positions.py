"""The read position of a consumer group, stored in the service's own schema with the effects of what was read.

Being given a partition bumps its epoch. Advancing is a compare-and-set on offset and epoch: an owner that was
replaced, however long it slept, updates no row and must drop its batch.
"""

from collections.abc import Sequence
from typing import Any

from services.common.bus import Span
from services.common.errors import Fenced

TAKE = """
INSERT INTO consumer_position AS p (consumer_group, topic, partition, next_offset) VALUES ($1, $2, $3, $4)
ON CONFLICT (consumer_group, topic, partition) DO UPDATE SET epoch = p.epoch + 1
RETURNING next_offset, epoch
"""
ADVANCE = """
UPDATE consumer_position SET next_offset = $5
WHERE consumer_group = $1 AND topic = $2 AND partition = $3 AND next_offset = $4 AND epoch = $6
"""


async def take(connection: Any, group: str, topic: str, partition: int, *, earliest: int) -> tuple[int, int]:
    """Own a partition from now on; a group that never read it starts at `earliest`, the oldest record there is.

    Returns (next offset, epoch). Every earlier owner is fenced.
    """
    row = await connection.fetchrow(TAKE, group, topic, partition, earliest)
    return row["next_offset"], row["epoch"]


async def advance(connection: Any, group: str, spans: Sequence[Span]) -> None:
    """Move behind the spans, in the transaction that holds their effects.

    Raises:
        Fenced: another owner took a partition, or it is not where the span starts. Roll back and drop the batch.
    """
    for span in sorted(spans, key=lambda s: (s.topic, s.partition)):
        done = await connection.execute(ADVANCE, group, span.topic, span.partition, span.start, span.end, span.epoch)
        if done != "UPDATE 1":
            raise Fenced(
                f"{group} no longer owns {span.topic}[{span.partition}] at offset {span.start}, epoch {span.epoch}"
            )
