"""What the HTTP API promised and nobody has routed yet: rows of `revision` with the route `accepted`, and the times of
accepted withdrawals. Each statement takes a whole batch.

The primary key of `revision` keeps the promise: whoever routes or accepts the same revision meanwhile waits for this
transaction, and then meets the identity that was accepted.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.errors import InvalidInput
from secondlook.common.postgres import Connection, Queryable, Row, fetch_one
from secondlook.router.identity.admission import admit
from secondlook.router.identity.hashes import Identity
from secondlook.router.identity.standing import ContentRow, Key, KeyedRevision, KnownRevision

# `highest` is the latest revision that was routed or accepted.
KNOWN = """
SELECT c.latest_revision, c.reviewed_up_to, c.withdrawn_at, c.created_at, c.reports, c.reach,
       c.withdrawal_accepted_at, h.revision AS highest, h.created_at AS highest_created_at,
       r.text_sha256, r.content_sha256, r.route, r.why, r.audited
FROM unnest($1::text[], $2::text[], $3::int[]) WITH ORDINALITY AS k(source, content_id, revision, number)
LEFT JOIN content c USING (source, content_id)
LEFT JOIN revision r USING (source, content_id, revision)
LEFT JOIN LATERAL (
    SELECT l.revision, l.created_at FROM revision l WHERE (l.source, l.content_id) = (k.source, k.content_id)
    ORDER BY l.revision DESC LIMIT 1
) AS h ON true
ORDER BY k.number
"""
PROMISE = """
INSERT INTO revision
    (source, content_id, revision, text_sha256, content_sha256, created_at, route, why, audited, routed_at)
SELECT *, 'accepted', 'accepted', false, now()
FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[], $5::bytea[], $6::timestamptz[])
ORDER BY 1, 2, 3 ON CONFLICT DO NOTHING
"""
# A sender whose clock runs ahead withdraws what it has sent, too.
WITHDRAW = """
INSERT INTO content AS c (source, content_id, latest_revision, withdrawal_accepted_at)
SELECT $1, $2, 0, greatest(
    $3, (SELECT k.created_at FROM content k WHERE (k.source, k.content_id) = ($1, $2)), max(r.created_at)
)
FROM revision r WHERE (r.source, r.content_id) = ($1, $2)
ON CONFLICT (source, content_id) DO UPDATE
SET withdrawal_accepted_at = greatest(c.withdrawal_accepted_at, excluded.withdrawal_accepted_at)
RETURNING withdrawal_accepted_at, EXISTS (SELECT FROM revision r WHERE (r.source, r.content_id) = ($1, $2)) AS known
"""

STANDING = """
SELECT revision, route FROM revision WHERE source = $1 AND content_id = $2 ORDER BY revision
"""


class AcceptedWithdrawal(NamedTuple):
    """`known`: whether any revision of the content is."""

    withdrawn_at: datetime
    known: bool


async def promise(connection: Connection, contents: Sequence[ContentSubmitted]) -> list[InvalidInput | None]:
    """Accept submissions with the transaction of `connection`: a problem, or None, for each of them, in order.

    An accepted one will be decided, unless something that is said later takes its place: from now on nobody takes its
    identity.
    """
    while contents:
        admission = admit(contents, *await _load(connection, contents))
        if await _insert(connection, admission.fresh) == len(admission.fresh):
            return admission.problems
        # Somebody else took one of them meanwhile, and has committed: what they made of it counts.
    return []


async def promise_withdrawal(connection: Connection, source: str, content_id: str, now: datetime) -> AcceptedWithdrawal:
    """Accept a withdrawal, of unknown content, too; it applies to all that is known now."""
    row = await fetch_one(connection, WITHDRAW, source, content_id, now)
    return AcceptedWithdrawal(row["withdrawal_accepted_at"], row["known"])


async def _load(
    connection: Connection, contents: Sequence[ContentSubmitted]
) -> tuple[dict[Key, ContentRow], dict[KeyedRevision, KnownRevision]]:
    rows: dict[Key, ContentRow] = {}
    known: dict[KeyedRevision, KnownRevision] = {}
    columns = [list(column) for column in zip(*((c.source, c.content_id, c.revision) for c in contents), strict=True)]
    for content, row in zip(contents, await connection.fetch(KNOWN, *columns), strict=True):
        key = (content.source, content.content_id)
        rows[key] = _with_promises(row)
        if row["route"] is not None:
            found = (row["text_sha256"], row["content_sha256"], row["route"], row["why"], row["audited"])
            known[(*key, content.revision)] = KnownRevision(*found)
    return rows, known


def _with_promises(row: Row) -> ContentRow:
    """The state of a piece of content once all that was accepted is routed, as far as that matters to others."""
    state = ContentRow()
    if row["latest_revision"] is not None:
        found = ("latest_revision", "reviewed_up_to", "withdrawn_at", "created_at", "reports", "reach")
        state = ContentRow(*(row[name] for name in found))
    if (highest := row["highest"] or 0) > state.latest_revision:
        state = state._replace(latest_revision=highest, created_at=row["highest_created_at"], reviewed_up_to=0)
    accepted = row["withdrawal_accepted_at"]
    if accepted is not None and (state.withdrawn_at is None or accepted > state.withdrawn_at):
        state = state._replace(withdrawn_at=accepted, reviewed_up_to=0)
    return state


async def _insert(connection: Connection, fresh: Sequence[tuple[ContentSubmitted, Identity]]) -> int:
    """Returns how many of them are new."""
    if not fresh:
        return 0
    rows = [(c.source, c.content_id, c.revision, *identity, c.created_at) for c, identity in fresh]
    status = await connection.execute(PROMISE, *(list(column) for column in zip(*rows, strict=True)))
    return int(status.rpartition(" ")[2])


async def standing(connection: Queryable, source: str, content_id: str) -> list[tuple[int, str]]:
    """Each known revision of a piece of content with its route; `accepted` while nobody has routed it."""
    return [(row["revision"], row["route"]) for row in await connection.fetch(STANDING, source, content_id)]
