"""Draws items that measure, gold and certify, for a second judgement: by lot, so that the measurement stays fair.

What draws them knows neither scores nor answers. Without a second judgement, what one person said of an item counts
only as long as nobody asks how the figures are without that person.
"""

from uuid import UUID

from secondlook.common.contract.events import SecondLookRequested
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.trainer.data.second_looks import AT_WORK, REVIEWERS

REASON = "drawn by lot for a second judgement"
# Items that measure, with how many people have judged them; the settled ones only, and none that was judged elsewhere.
MEASURING = """
SELECT source, content_id, revision, count(DISTINCT reviewer) AS people, min(reviewer) AS reviewer
FROM label WHERE split IN ('gold', 'certify') AND stratum NOT IN ('imported', 'declared', 'reported') AND labels <> '{}'
GROUP BY source, content_id, revision HAVING bool_or(adjudicated)
"""
DRAW = f"""
WITH measuring AS MATERIALIZED ({MEASURING}),
budget AS (
    SELECT least($3::bigint, floor($4::float8 * (SELECT count(*) FROM measuring))::bigint
                             - (SELECT count(*) FROM second_look WHERE by_lot)) AS items
)
INSERT INTO second_look (source, content_id, revision, by_lot, run_id, asked_at)
SELECT source, content_id, revision, true, $1, $2 FROM measuring
WHERE people = 1 AND EXISTS (SELECT FROM unnest($5::text[]) AS other WHERE other <> measuring.reviewer)
  AND NOT EXISTS (SELECT FROM second_look s WHERE (s.source, s.content_id, s.revision)
                                                = (measuring.source, measuring.content_id, measuring.revision))
ORDER BY random() LIMIT (SELECT greatest(items, 0) FROM budget)
ON CONFLICT DO NOTHING
RETURNING source, content_id, revision
"""  # noqa: S608 - made of constants


async def draw_lots(work: UnitOfWork, run_id: UUID, share: float, limit: int) -> int:
    """Ask for a second judgement of at most `limit` items, and at most a `share` of all that measure. Returns how many.

    Only items that one person has judged and that somebody else at work could judge are drawn, each at most once.
    """
    now = work.clock.now()
    at_work = [row["reviewer"] for row in await work.connection.fetch(REVIEWERS, now - AT_WORK)]
    rows = await work.connection.fetch(DRAW, run_id, now, limit, share, at_work)
    for row in rows:
        work.publish(SecondLookRequested(**dict(row), reason=REASON, requested_at=now))
    return len(rows)
