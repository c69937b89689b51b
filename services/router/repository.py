"""The router's tables. Every statement takes a whole batch."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.errors import Overtaken
from secondlook.common.postgres import KEY_TAKEN, Connection, Queryable
from secondlook.router.identity.changes import RevisionRow
from secondlook.router.identity.standing import ContentRow, Key, KeyedRevision, KnownRevision

CONTENTS = """
SELECT c.source, c.content_id, c.latest_revision, c.reviewed_up_to, c.withdrawn_at, c.created_at, c.reports, c.reach,
       c.reported, c.reopened, c.judged
FROM content c JOIN unnest($1::text[], $2::text[]) AS k(source, content_id) USING (source, content_id)
ORDER BY c.source, c.content_id FOR UPDATE OF c
"""
REVISIONS = """
SELECT r.source, r.content_id, r.revision, r.text_sha256, r.content_sha256, r.route, r.why, r.audited
FROM revision r JOIN unnest($1::text[], $2::text[], $3::int[]) AS k(source, content_id, revision)
USING (source, content_id, revision)
"""
ROWS = """
unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::timestamptz[], $6::timestamptz[], $7::int[], $8::bigint[],
       $9::bool[], $10::int[], $11::int[])
AS n(source, content_id, latest_revision, reviewed_up_to, withdrawn_at, created_at, reports, reach, reported, reopened,
     judged)
"""
INSERT_CONTENTS = f"""
INSERT INTO content (source, content_id, latest_revision, reviewed_up_to, withdrawn_at, created_at, reports, reach,
                     reported, reopened, judged)
SELECT * FROM {ROWS} ON CONFLICT DO NOTHING
"""  # noqa: S608
UPDATE_CONTENTS = f"""
UPDATE content c SET
    latest_revision = n.latest_revision, reviewed_up_to = n.reviewed_up_to, withdrawn_at = n.withdrawn_at,
    created_at = n.created_at, reports = n.reports, reach = n.reach, reported = n.reported, reopened = n.reopened,
    judged = n.judged
FROM {ROWS} WHERE (c.source, c.content_id) = (n.source, n.content_id)
"""  # noqa: S608
KEEP_PROMISES = """
DELETE FROM revision r USING unnest($1::text[], $2::text[], $3::int[]) AS k(source, content_id, revision)
WHERE (r.source, r.content_id, r.revision) = (k.source, k.content_id, k.revision) AND r.route = 'accepted'
"""
ITEMS = """
SELECT greatest(
    coalesce((SELECT sum(next_offset) FROM consumer_position WHERE topic = $1), 0)
    - coalesce(pg_sequence_last_value('reports_read'), 0), 0)::bigint
"""
REVISION = (
    "source", "content_id", "revision", "text_sha256", "content_sha256", "route", "why", "audited", "scores",
    "policy_version", "bundle_version", "signals", "reason", "routed_at",
)  # fmt: skip


async def load_contents(connection: Connection, keys: Collection[Key]) -> dict[Key, ContentRow]:
    """The stored state of these pieces of content, locked.

    Records of one piece can be in several partitions, because producers choose them differently: the locks let one
    router at a time change it.
    """
    rows = await connection.fetch(CONTENTS, [source for source, _ in keys], [content for _, content in keys])
    return {(row[0], row[1]): ContentRow(*row[2:]) for row in map(tuple, rows)}


async def load_revisions(
    connection: Connection, revisions: Collection[KeyedRevision]
) -> dict[KeyedRevision, KnownRevision]:
    """Those of these revisions that are stored."""
    rows = await connection.fetch(REVISIONS, *_columns(list(revisions), 3))
    return {(row[0], row[1], row[2]): KnownRevision(*row[3:]) for row in map(tuple, rows)}


async def save_contents(connection: Connection, contents: Mapping[Key, ContentRow], known: Collection[Key]) -> None:
    """Store the state of these pieces of content; those in `known` are stored already, and locked.

    Raises:
        Overtaken: another transaction stored one of the others first.
    """
    # In the order of the keys, so that writers wait for each other and cannot deadlock.
    rows = sorted((*key, *row) for key, row in contents.items())
    changed = [row for row in rows if row[:2] in known]
    fresh = [row for row in rows if row[:2] not in known]
    if changed:
        await connection.execute(UPDATE_CONTENTS, *_columns(changed, 11))
    if fresh and await connection.execute(INSERT_CONTENTS, *_columns(fresh, 11)) != f"INSERT 0 {len(fresh)}":
        raise Overtaken("another router was the first to route something of this content")


async def keep_promises(connection: Connection, promised: Sequence[KeyedRevision]) -> None:
    """Remove the rows that only said that these revisions were accepted; what was routed takes their place."""
    if promised:
        await connection.execute(KEEP_PROMISES, *_columns(promised, 3))


async def save_revisions(connection: Connection, rows: Collection[RevisionRow], now: datetime) -> None:
    """Store routed revisions.

    Raises:
        Overtaken: another transaction stored or promised one of them first; nothing is stored.
    """
    if rows:
        records = [(*row, now) for row in sorted(rows, key=lambda row: row[:3])]
        try:
            await connection.copy_records_to_table("revision", records=records, columns=REVISION)
        except KEY_TAKEN as error:
            raise Overtaken("one of these revisions was accepted or routed meanwhile") from error


async def content_items(connection: Queryable) -> int:
    """About how many records of content have been read, from the read positions: withdrawals among them, and no
    reports."""
    found: int = await connection.fetchval(ITEMS, ContentSubmitted.topic)
    return found


def _columns(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(width)]
