"""Reads the trainer's labels, second looks and attempts, from which the quality figures are computed."""

from collections.abc import Mapping

from secondlook.common.postgres import Queryable, fetch_one
from secondlook.trainer.data.quality import Rating
from secondlook.trainer.evidence.estimates import Estimate, proportion
from secondlook.trainer.quality.figures import AuditedDecision, ScoredAnswer, SecondLookCounts

ITEM = "source || '/' || content_id || '/' || revision"
# Second looks are left out: they are asked for where an answer looks wrong, so they would make everybody look worse.
# Second judgements by lot are a fair sample, and count. Reversals and what users reported are left out everywhere here:
# people chose them.
RATINGS = f"""
SELECT {ITEM} AS item, reviewer, labels FROM (
    SELECT l.* FROM label l LEFT JOIN second_look USING (source, content_id, revision)
    WHERE labels <> '{{}}' AND stratum NOT IN ('reversal', 'reported')
      AND (labelled_at > asked_at AND NOT by_lot) IS NOT TRUE
    ORDER BY received DESC LIMIT $1) AS newest
ORDER BY received
"""  # noqa: S608
# Items that were sent back because an answer looked wrong are left out: on them, people disagree more than on others.
SHARED = f"""
WITH newest AS (
    SELECT source, content_id, revision, reviewer, labels FROM label WHERE stratum NOT IN ('reversal', 'reported')
    ORDER BY received DESC LIMIT $1)
SELECT {ITEM} AS item, reviewer, labels FROM newest
WHERE (source, content_id, revision) IN (
    SELECT source, content_id, revision FROM newest GROUP BY 1, 2, 3 HAVING count(DISTINCT reviewer) > 1)
  AND (source, content_id, revision) NOT IN (
    SELECT source, content_id, revision FROM second_look WHERE NOT by_lot)
ORDER BY source COLLATE "C", content_id COLLATE "C", revision
"""  # noqa: S608
# Leaves out labels that certify, compare or audit; services/trainer/data/second_looks.py explains why.
SCORED = f"""
SELECT {ITEM} AS item, labels, scores,
       CASE WHEN asked_at IS NULL THEN 'no' WHEN labelled_at > asked_at THEN 'answered' ELSE 'asked' END AS second_look
FROM (
    SELECT DISTINCT ON (source, content_id, revision) *
    FROM (SELECT * FROM label WHERE adjudicated ORDER BY received DESC LIMIT $1) AS newest
    ORDER BY source, content_id, revision, labelled_at DESC, label_id) AS settled
LEFT JOIN second_look USING (source, content_id, revision)
WHERE labels <> '{{}}' AND scores IS NOT NULL AND split IN ('train', 'calibrate') AND stratum NOT LIKE 'audit%'
"""  # noqa: S608
SECOND_LOOKS = """
SELECT count(*) AS asked, count(answer.labels) AS answered,
       count(*) FILTER (WHERE (answer.labels ->> s.label)::boolean <> s.given) AS changed
FROM second_look s LEFT JOIN LATERAL (
    SELECT labels FROM label l
    WHERE (l.source, l.content_id, l.revision) = (s.source, s.content_id, s.revision)
      AND adjudicated AND labelled_at > s.asked_at AND stratum NOT IN ('reversal', 'reported')
    ORDER BY labelled_at DESC, label_id LIMIT 1) AS answer ON true
WHERE NOT by_lot
"""
# How many items certify, and how many of them two people at least answered alike.
CONFIRMED = """
SELECT count(*) AS n, count(*) FILTER (WHERE alike > 1) AS k FROM (
    SELECT DISTINCT ON (source, content_id, revision) (
        SELECT count(DISTINCT reviewer) FROM label same
        WHERE (same.source, same.content_id, same.revision) = (l.source, l.content_id, l.revision)
          AND same.labels = l.labels AND same.stratum NOT IN ('reversal', 'reported')) AS alike
    FROM (SELECT * FROM label WHERE adjudicated AND split = 'certify' AND labels <> '{}'
            AND stratum NOT IN ('reversal', 'reported')
          ORDER BY received DESC LIMIT $1) AS l
    ORDER BY source, content_id, revision, labelled_at DESC, label_id) AS settled
"""
# One row an item of the uniform sample of all traffic, as it was settled last.
UNIFORM = """
SELECT labels FROM (
    SELECT DISTINCT ON (source, content_id, revision) labels
    FROM (SELECT * FROM label WHERE adjudicated AND stratum = 'uniform' ORDER BY received DESC LIMIT $1) AS newest
    ORDER BY source, content_id, revision, labelled_at DESC, label_id) AS settled
WHERE labels <> '{}'
"""
# One row an automatic decision, with what people said of its item last.
AUDITED = """
SELECT audited_outcome AS outcome, audited_labels AS labels, final.labels AS judged,
       stratum IN ('uniform', 'audit_approve', 'audit_reject') AS uniform
FROM (
    SELECT DISTINCT ON (source, content_id, revision) *
    FROM (SELECT * FROM label WHERE audited_outcome IS NOT NULL ORDER BY received DESC LIMIT $1) AS newest
    ORDER BY source, content_id, revision, received) AS a
JOIN LATERAL (
    SELECT labels FROM label l
    WHERE (l.source, l.content_id, l.revision) = (a.source, a.content_id, a.revision)
      AND adjudicated AND labels <> '{}' AND stratum NOT IN ('reversal', 'reported')
    ORDER BY labelled_at DESC, label_id LIMIT 1) AS final ON true
"""
LAST_ENDED = "SELECT run_id::text FROM run WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1"


async def ratings(connection: Queryable, last: int) -> list[Rating]:
    """The newest judgements, oldest first, without second looks."""
    return [Rating(**dict(row)) for row in await connection.fetch(RATINGS, last)]


async def shared_ratings(connection: Queryable, last: int) -> list[Rating]:
    """Judgements of items that several reviewers judged, among the newest `last`, in order of items."""
    return [Rating(**dict(row)) for row in await connection.fetch(SHARED, last)]


async def scored_answers(connection: Queryable, last: int) -> list[ScoredAnswer]:
    """The settled answers that the model may doubt, among the newest `last` settled judgements."""
    return [ScoredAnswer(**dict(row)) for row in await connection.fetch(SCORED, last)]


async def second_looks(connection: Queryable) -> SecondLookCounts:
    """How many items went back to the review queue, and how many answers changed."""
    return SecondLookCounts(**dict(await fetch_one(connection, SECOND_LOOKS)))


async def confirmed(connection: Queryable, last: int) -> Estimate:
    """The share of the items that certify which two people answered alike, among the newest `last` judgements."""
    row = await fetch_one(connection, CONFIRMED, last)
    return proportion(row["k"], row["n"])


async def audited_decisions(connection: Queryable, last: int) -> list[AuditedDecision]:
    """The automatic decisions that the newest `last` judgements of audits are about, and that people settled."""
    return [AuditedDecision(**dict(row)) for row in await connection.fetch(AUDITED, last)]


async def uniform_labels(connection: Queryable, last: int) -> list[Mapping[str, bool]]:
    """The settled labels of the uniform sample of the traffic, from its newest `last` judgements."""
    return [row["labels"] for row in await connection.fetch(UNIFORM, last)]


async def last_ended_run(connection: Queryable) -> str | None:
    """The id of the run that ended last, None before the first."""
    found: str | None = await connection.fetchval(LAST_ENDED)
    return found
