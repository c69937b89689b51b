"""The router's tables. Every statement takes a whole batch."""

from collections.abc import Collection, Mapping
from datetime import datetime

from secondlook.common.postgres import Connection
from secondlook.router.effects import ContentRow, Key, RevisionRow

CONTENTS = """
SELECT c.source, c.content_id, c.latest_revision, c.reviewed_up_to, c.withdrawn_at
FROM content c JOIN unnest($1::text[], $2::text[]) AS k(source, content_id) USING (source, content_id)
ORDER BY c.source, c.content_id FOR UPDATE OF c
"""
HASHES = """
SELECT r.source, r.content_id, r.revision, r.text_sha256
FROM revision r JOIN unnest($1::text[], $2::text[], $3::int[]) AS k(source, content_id, revision)
USING (source, content_id, revision)
"""
UPSERT_CONTENTS = """
INSERT INTO content (source, content_id, latest_revision, reviewed_up_to, withdrawn_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::int[], $4::int[], $5::timestamptz[])
ON CONFLICT (source, content_id) DO UPDATE SET
    latest_revision = excluded.latest_revision,
    reviewed_up_to = excluded.reviewed_up_to,
    withdrawn_at = excluded.withdrawn_at
WHERE content.latest_revision <= excluded.latest_revision
"""
REVISION = (
    "source", "content_id", "revision", "text_sha256", "route", "why", "audited", "scores", "policy_version",
    "bundle_version", "routed_at",
)  # fmt: skip


async def load_contents(connection: Connection, keys: Collection[Key]) -> dict[Key, ContentRow]:
    """The stored state of these pieces of content, locked.

    One piece's records are in one partition and so have one reader. Where they are not (a producer without keys, a
    topic that got more partitions), the locks keep a lower revision from undoing a higher one.
    """
    rows = await connection.fetch(CONTENTS, [source for source, _ in keys], [content for _, content in keys])
    return {
        (row["source"], row["content_id"]): ContentRow(
            row["latest_revision"], row["reviewed_up_to"], row["withdrawn_at"]
        )
        for row in rows
    }


async def load_hashes(
    connection: Connection, revisions: Collection[tuple[str, str, int]]
) -> dict[tuple[str, str, int], bytes]:
    """The text hashes of those of these revisions that are stored."""
    columns = [list(column) for column in zip(*revisions, strict=True)] or [[], [], []]
    rows = await connection.fetch(HASHES, *columns)
    return {(row["source"], row["content_id"], row["revision"]): row["text_sha256"] for row in rows}


async def save_contents(connection: Connection, contents: Mapping[Key, ContentRow]) -> None:
    if contents:
        await connection.execute(
            UPSERT_CONTENTS,
            [source for source, _ in contents],
            [content_id for _, content_id in contents],
            [row.latest_revision for row in contents.values()],
            [row.reviewed_up_to for row in contents.values()],
            [row.withdrawn_at for row in contents.values()],
        )


async def save_revisions(connection: Connection, rows: Collection[RevisionRow], now: datetime) -> None:
    """Store routed revisions. A revision that is stored already violates the primary key, and nothing is stored."""
    if rows:
        records = [
            (
                row.source, row.content_id, row.revision, row.text_sha256, row.route, row.why, row.audited,
                row.scores, row.policy_version, row.bundle_version, now,
            )
            for row in rows
        ]  # fmt: skip
        await connection.copy_records_to_table("revision", records=records, columns=REVISION)
