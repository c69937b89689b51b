"""The router's handler of `moderation.decided`: what people made of reports, from which reporters get their weight."""

from collections.abc import Iterable, Sequence

from secondlook.common.contract.events import SEQUENCE_STRIDE, ContentDecided
from secondlook.common.postgres import Connection
from secondlook.common.service.stream import Item
from secondlook.common.service.unit_of_work import UnitOfWork

GROUP = "router-outcomes"
AUTOMATIC = frozenset({"model", "rule"})

# In the order of the keys, as the handler of content locks them.
LOCK = """
SELECT FROM content c JOIN unnest($1::text[], $2::text[]) AS k(source, content_id) USING (source, content_id)
ORDER BY c.source, c.content_id FOR UPDATE OF c
"""
JUDGED = "UPDATE content SET judged = greatest(judged, $3) WHERE (source, content_id) = ($1, $2)"
LET_GO = "DELETE FROM approved_content WHERE (source, content_id) = ($1, $2) AND revision <= $3"
SETTLE = """
UPDATE reopening SET state = CASE WHEN $4 THEN 'upheld' ELSE 'refused' END
WHERE (source, content_id) = ($1, $2) AND revision <= $3 AND state <> 'waiting'
"""
# What nobody has answered, or an earlier decision on the same revision, which this one corrects.
REPORTS = f"""
SELECT report_id, reporter, upheld FROM report
WHERE (source, content_id) = ($1, $2) AND reported_at <= $3
  AND (answered IS NULL OR (answered < $4 AND answered / {SEQUENCE_STRIDE} = $4 / {SEQUENCE_STRIDE}))
ORDER BY report_id FOR UPDATE
"""  # noqa: S608 - made of constants
ANSWER = """
UPDATE report SET answered = $3, upheld = $4 WHERE source = $1 AND report_id = ANY ($2::text[])
"""
COUNT = """
INSERT INTO reporter (source, reporter, upheld, refused, last_at)
SELECT $1, n.reporter, 0, 0, $3 FROM unnest($2::text[]) AS n(reporter) ORDER BY n.reporter
ON CONFLICT (source, reporter) DO UPDATE SET last_at = excluded.last_at
"""
MOVE = """
UPDATE reporter p SET upheld = greatest(p.upheld + n.upheld, 0), refused = greatest(p.refused + n.refused, 0)
FROM unnest($2::text[], $3::int[], $4::int[]) AS n(reporter, upheld, refused)
WHERE (p.source, p.reporter) = ($1, n.reporter)
"""


class OutcomeHandler:
    """Learns from decisions by people only. A repeated decision changes nothing."""

    async def prepare(self, items: Sequence[Item]) -> list[ContentDecided]:
        events = [item.event for item in items if isinstance(item.event, ContentDecided)]
        return [event for event in events if event.decided_by not in AUTOMATIC]

    async def apply(self, work: UnitOfWork, plan: list[ContentDecided]) -> None:
        if not plan:
            return
        keys = sorted({(event.source, event.content_id) for event in plan})
        await work.connection.execute(LOCK, [source for source, _ in keys], [content for _, content in keys])
        for event in plan:
            await _learn(work.connection, event)

    def committed(self, done: None) -> None:
        """The stream counts its records; there is nothing to add."""


async def _learn(connection: Connection, event: ContentDecided) -> None:
    at, rejected = (event.source, event.content_id), event.outcome == "reject"
    await connection.execute(JUDGED, *at, event.revision)
    await connection.execute(LET_GO, *at, event.revision)
    await connection.execute(SETTLE, *at, event.revision, rejected)
    rows = await connection.fetch(REPORTS, *at, event.decided_at, event.sequence)
    if not rows:
        return
    await connection.execute(ANSWER, event.source, [row["report_id"] for row in rows], event.sequence, rejected)
    changes = sorted(changed(((row["reporter"], row["upheld"]) for row in rows), rejected).items())
    names = [name for name, _ in changes]
    await connection.execute(COUNT, event.source, names, event.decided_at)  # in their order: locks every row
    columns = [[upheld for _, (upheld, _) in changes], [refused for _, (_, refused) in changes]]
    await connection.execute(MOVE, event.source, names, *columns)


def changed(reports: Iterable[tuple[str, bool | None]], rejected: bool) -> dict[str, tuple[int, int]]:
    """What a decision adds to the upheld and to the refused reports of each reporter: one piece of content counts once.

    Args:
        reports: reporter, and what an earlier decision said; None where there was none.
    """
    before: dict[str, set[bool | None]] = {}
    for reporter, upheld in reports:
        before.setdefault(reporter, set()).add(upheld)
    found = {}
    for reporter, said in before.items():
        known = next((one for one in said if one is not None), None)
        more = int(rejected) - int(known is True), int(not rejected) - int(known is False)
        if any(more):
            found[reporter] = more
    return found
