"""Near copies of an item among what waits, by the embeddings of open items, in Postgres with pgvector.

The search is exact: it looks at the embedding of every open item. Without pgvector no embedding is kept.
"""

import base64
import math
import struct
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from secondlook.common.postgres import Connection, Queryable, Row
from secondlook.reviewer_api.leases.waiting import LISTED

MOST_NUMBERS = 4000  # of an embedding that is kept
FILLED_AT_ONCE = 500
KEEP = "SELECT keep_vectors()"
KEPT = "SELECT to_regclass('task_vector') IS NOT NULL"
FILE = "SELECT file_vectors($1, $2)"
UNFILED = """
SELECT coalesce(t.review_id, t.task_id) AS item, t.task_id, p.embedding
FROM task t JOIN task_payload p USING (task_id)
WHERE t.state IN ('pending', 'leased', 'decided') AND p.embedding IS NOT NULL AND t.task_id > $1
  AND NOT EXISTS (SELECT FROM task_vector v WHERE v.task_id = t.task_id)
ORDER BY t.task_id LIMIT $2
"""
# What a claim would give: not what others hold, what the reviewer may not have, or what waits for a second opinion.
NEAR = f"""
SELECT {LISTED}, n.similarity
FROM vectors_near($2, $3) n JOIN task t USING (task_id) JOIN task_payload p USING (task_id)
WHERE t.state IN ('pending', 'leased') AND (t.available_at <= $1 OR t.leased_by = $4) AND NOT $4 = ANY (t.excluded)
  AND (t.queue = ANY ($5::text[])) IS NOT FALSE AND (NOT t.escalated OR $6)
  AND NOT EXISTS (SELECT FROM judgement j WHERE j.task_id = t.task_id AND j.undone_at IS NULL)
ORDER BY n.similarity DESC, t.rank, t.task_id LIMIT $7
"""  # noqa: S608 - made of constants


async def kept(connection: Queryable) -> bool:
    """Whether embeddings are kept."""
    found: bool = await connection.fetchval(KEPT)
    return found


async def file(connection: Connection, embeddings: Sequence[tuple[UUID, str | None]]) -> None:
    """Keep the embeddings of open items, by the id of their review, as requests carry them."""
    if not embeddings or not await kept(connection):
        return
    read = [(item, numbers) for item, embedding in embeddings if (numbers := _numbers(embedding))]
    if read:
        await connection.execute(FILE, *map(list, zip(*read, strict=True)))


async def fill(connection: Connection) -> bool:
    """Keep the embeddings of all that is open, also of before pgvector was there; False: it is not there."""
    if not await connection.fetchval(KEEP):
        return False
    last = UUID(int=0)
    while rows := await connection.fetch(UNFILED, last, FILLED_AT_ONCE):
        await file(connection, [(row["item"], row["embedding"]) for row in rows])
        last = rows[-1]["task_id"]
    return True


async def near(
    connection: Connection,
    item: UUID,
    least: float,
    now: datetime,
    reviewer: str,
    *,
    queues: Sequence[str] | None,
    escalated: bool,
    limit: int,
) -> list[Row]:
    """Items that the reviewer may claim whose embedding has at least this cosine similarity, the nearest first.

    From `queues` (None: from all), escalated ones only where `escalated` is true.
    """
    return await connection.fetch(NEAR, now, item, least, reviewer, queues, escalated, limit)


def _numbers(embedding: str | None) -> str | None:
    """An embedding, base64 of little-endian float16, as pgvector reads it; None where it is of no use."""
    try:
        data = base64.b64decode(embedding or "", validate=True)
        numbers = struct.unpack(f"<{len(data) // 2}e", data)
    except (ValueError, struct.error):
        return None
    if not 0 < len(numbers) <= MOST_NUMBERS or not all(map(math.isfinite, numbers)):
        return None
    return f"[{','.join(map(repr, numbers))}]"
