"""The SQL of the handler: it reads and writes tasks and closures a batch at a time."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import from_json, to_json

from secondlook.common.contract.events import Coin, ContentSubmitted, PriorDecision, ReviewRequested, Why
from secondlook.common.postgres import Connection, Row
from secondlook.reviewer_api.leases import near
from secondlook.reviewer_api.review.reasons import DECIDING
from secondlook.reviewer_api.review.second_looks import PastReview
from secondlook.reviewer_api.review.tasks import State

Coordinates = tuple[str, str, int]

# Reversals lock the reviews of their content too: whoever comes second sees what the first has made.
LOCK = """
SELECT FROM unnest($1::text[], $2::text[], $3::int[]) AS k(source, content_id, revision)
JOIN task t USING (source, content_id, revision)
ORDER BY t.source, t.content_id, t.sequence, t.task_id FOR UPDATE OF t
"""
HIGHEST = """
SELECT t.source, t.content_id, t.revision, max(t.sequence) AS sequence
FROM unnest($1::text[], $2::text[], $3::int[]) AS k(source, content_id, revision)
JOIN task t USING (source, content_id, revision)
GROUP BY t.source, t.content_id, t.revision
"""
# A task that a version before has made has the id of its request.
INSERT_TASK = """
WITH fresh AS (
    INSERT INTO task (review_id, source, content_id, revision, sequence, decision_id, routed_queue, queue, priority,
                      state, available_at, created_at, excluded)
    SELECT $1, $2, $3, $4, $5, $6, $7, $7, $8, 'pending', $9, $10, $22
    WHERE NOT EXISTS (SELECT FROM task WHERE task_id = $1)
    ON CONFLICT DO NOTHING RETURNING task_id
)
INSERT INTO task_payload (task_id, why, content, scores, embedding, u, inclusion_probability, stratum, prior,
                          policy_version, bundle_version, traceparent, drawn_below)
SELECT task_id, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $23 FROM fresh
"""
# A repeated request changes nothing, but that the highest priority counts while nobody has judged the item.
RAISE = """
UPDATE task t SET priority = asked.priority
FROM (
    SELECT coalesce(n.task_id, o.task_id) AS task_id, max(k.priority) AS priority
    FROM unnest($1::uuid[], $2::int[]) AS k(review_id, priority)
    LEFT JOIN task n USING (review_id) LEFT JOIN task o ON o.task_id = k.review_id AND o.review_id IS NULL
    GROUP BY 1
) AS asked
WHERE t.task_id = asked.task_id AND t.priority < asked.priority AND t.state IN ('pending', 'leased')
"""
# `lease_token` of a published task names the judgement that became its verdict. Whoever judged, skipped or escalated
# the item knows it, and so does whoever held another item of its author or thread, beside which it may have been shown.
REVIEWS = """
SELECT coalesce(t.review_id, t.task_id) AS review_id, t.source, t.content_id, t.revision, t.sequence, t.decision_id,
       t.state, t.routed_queue, t.priority, t.created_at, p.why, p.content::text, p.scores::text, p.embedding, p.u,
       p.inclusion_probability, p.stratum, p.prior::text, p.policy_version, p.bundle_version, j.outcome, j.labels,
       ARRAY(SELECT g.reviewer FROM judgement g WHERE g.task_id = t.task_id
             UNION SELECT unnest(t.excluded)
             UNION SELECT h.reviewer FROM hold h JOIN returned_lease r USING (task_id, reviewer)
                   WHERE h.task_id = t.task_id AND r.how = 'escalated'
             UNION SELECT h.reviewer FROM task_payload q JOIN hold h USING (task_id)
                   WHERE q.content ->> 'source' = t.source AND q.content ->> 'author_id' = p.content ->> 'author_id'
             UNION SELECT h.reviewer FROM task_payload q JOIN hold h USING (task_id)
                   WHERE q.content ->> 'source' = t.source
                     AND q.content -> 'context' ->> 'url' = p.content -> 'context' ->> 'url') AS reviewers
FROM unnest($1::text[], $2::text[], $3::int[]) AS k(source, content_id, revision)
JOIN task t USING (source, content_id, revision) JOIN task_payload p USING (task_id)
LEFT JOIN judgement j ON j.lease_token = t.lease_token
WHERE p.why = ANY ($4::text[])
"""
CONTENTS = """
SELECT t.source, t.content_id, t.revision, p.content::text
FROM unnest($1::text[], $2::text[], $3::int[]) AS k(source, content_id, revision)
JOIN task t USING (source, content_id, revision) JOIN task_payload p USING (task_id)
"""
# Of these requests, one whose id belongs to the review of something else.
TAKEN = """
SELECT k.source, k.content_id, k.revision
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::int[]) AS k(review_id, source, content_id, revision)
LEFT JOIN task n USING (review_id) LEFT JOIN task o ON o.task_id = k.review_id AND o.review_id IS NULL
WHERE (coalesce(n.source, o.source), coalesce(n.content_id, o.content_id), coalesce(n.revision, o.revision))
    <> (k.source, k.content_id, k.revision)
LIMIT 1
"""
INSERT_CLOSURE = """
INSERT INTO closure (source, content_id, up_to_revision, why, closed_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
"""
# A task is closed by the closure that reaches just so far: the one that a reader of the stream met first.
CLOSE = """
UPDATE task t SET state = c.why
FROM (
    SELECT o.task_id, (
        SELECT c.why FROM closure c
        WHERE c.source = o.source AND c.content_id = o.content_id AND c.up_to_revision >= o.revision
        ORDER BY c.up_to_revision LIMIT 1
    ) AS why
    FROM unnest($1::text[], $2::text[]) AS k(source, content_id)
    JOIN task o USING (source, content_id)
    WHERE o.state IN ('pending', 'leased', 'decided')
) AS c
WHERE t.task_id = c.task_id AND c.why IS NOT NULL AND t.state IN ('pending', 'leased', 'decided')
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewTask:
    """A task to be, with the coordinates of its decision, and who never gets it."""

    request: ReviewRequested
    sequence: int
    decision_id: UUID
    traceparent: str | None
    excluded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """Revisions up to and including `up_to_revision` need no review any more."""

    source: str
    content_id: str
    up_to_revision: int
    why: str
    closed_at: datetime


async def lock(connection: Connection, of: Collection[Coordinates]) -> None:
    """Lock the reviews of these revisions: until this transaction ends, nobody else makes one that looks at a decision
    of theirs again."""
    if of:
        await connection.execute(LOCK, *map(list, zip(*sorted(of), strict=True)))


async def highest_sequences(connection: Connection, of: Sequence[Coordinates]) -> dict[Coordinates, int]:
    """The highest sequence that a task of each revision has, where there is a task."""
    if not of:
        return {}
    rows = await connection.fetch(HIGHEST, *map(list, zip(*of, strict=True)))
    return {(row["source"], row["content_id"], row["revision"]): row["sequence"] for row in rows}


async def contents(connection: Connection, of: Collection[Coordinates]) -> dict[Coordinates, ContentSubmitted]:
    """The content of each revision of which there is a review."""
    rows = await connection.fetch(CONTENTS, *map(list, zip(*of, strict=True))) if of else []
    return {
        (row["source"], row["content_id"], row["revision"]): ContentSubmitted.model_validate_json(row["content"])
        for row in rows
    }


async def taken(connection: Connection, requests: Sequence[ReviewRequested]) -> Coordinates | None:
    """What one of these requests is about, if there is one whose id is that of a review of something else."""
    columns = [(r.review_id, r.source, r.content_id, r.revision) for r in requests]
    row = await connection.fetchrow(TAKEN, *map(list, zip(*columns, strict=True))) if columns else None
    return None if row is None else (row["source"], row["content_id"], row["revision"])


async def reviews(connection: Connection, of: Collection[Coordinates]) -> dict[Coordinates, list[PastReview]]:
    """The reviews of each revision that may decide: gold ones are left out."""
    found: defaultdict[Coordinates, list[PastReview]] = defaultdict(list)
    for row in await connection.fetch(REVIEWS, *map(list, zip(*of, strict=True)), DECIDING) if of else []:
        found[row["source"], row["content_id"], row["revision"]].append(_review(row))
    return found


def _review(row: Row) -> PastReview:
    asked = ReviewRequested(
        source=row["source"], content_id=row["content_id"], revision=row["revision"], review_id=row["review_id"],
        content=ContentSubmitted.model_validate_json(row["content"]), why=Why(row["why"]), queue=row["routed_queue"],
        priority=row["priority"], requested_at=row["created_at"],
        coin=Coin(u=row["u"], inclusion_probability=row["inclusion_probability"], stratum=row["stratum"]),
        scores=from_json(row["scores"]) if row["scores"] else None, embedding=row["embedding"],
        prior=PriorDecision.model_validate_json(row["prior"]) if row["prior"] else None,
        policy_version=row["policy_version"], bundle_version=row["bundle_version"],
    )  # fmt: skip
    decision = row["outcome"] and PriorDecision(
        decision_id=row["decision_id"], sequence=row["sequence"], outcome=row["outcome"], labels=tuple(row["labels"])
    )
    return PastReview(asked=asked, state=State(row["state"]), decision=decision, reviewers=tuple(row["reviewers"]))


async def insert_tasks(connection: Connection, tasks: Sequence[NewTask], now: datetime) -> None:
    """Insert the tasks that do not exist, open from `now` to everyone who is not excluded; those that do keep the
    highest priority that they were asked for with.

    Their ids are random: an id computed from what the task is about would tell what it is.
    """
    await connection.executemany(INSERT_TASK, [_row(task, now) for task in tasks])
    await near.file(connection, [(task.request.review_id, task.request.embedding) for task in tasks])
    await connection.execute(
        RAISE, [task.request.review_id for task in tasks], [task.request.priority for task in tasks]
    )


async def raise_tasks(connection: Connection, places: Mapping[UUID, int]) -> None:
    """Give the open reviews with these ids these priorities, where they are higher."""
    if places:
        await connection.execute(RAISE, list(places), list(places.values()))


def _row(task: NewTask, now: datetime) -> tuple[Any, ...]:
    asked = task.request
    return (
        asked.review_id, asked.source, asked.content_id, asked.revision, task.sequence, task.decision_id,
        asked.queue, asked.priority, now, asked.requested_at, asked.why.value, asked.content.model_dump_json(),
        None if asked.scores is None else to_json(asked.scores).decode(), asked.embedding,
        asked.coin.u, asked.coin.inclusion_probability, asked.coin.stratum,
        None if asked.prior is None else asked.prior.model_dump_json(),
        asked.policy_version, asked.bundle_version, task.traceparent, list(task.excluded), _drawn_below(asked.coin),
    )  # fmt: skip


def _drawn_below(coin: Coin) -> float | None:
    return None if coin.approve is None or coin.reject is None else max(coin.approve, coin.reject)


async def insert_closures(connection: Connection, closures: Sequence[Closure]) -> None:
    """Keep the closures that are new, for requests that turn up late."""
    await connection.executemany(
        INSERT_CLOSURE, [(c.source, c.content_id, c.up_to_revision, c.why, c.closed_at) for c in closures]
    )


async def close(connection: Connection, contents: Collection[tuple[str, str]]) -> None:
    """Close the open tasks of these pieces of content that a closure reaches, whatever state they are in."""
    if contents:
        await connection.execute(CLOSE, *map(list, zip(*sorted(contents), strict=True)))
