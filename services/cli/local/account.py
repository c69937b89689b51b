"""Counts where all content is right now, from the views that the services promise: for the demo and for benchmarks."""

from dataclasses import dataclass

from secondlook.common.postgres import Connection, fetch_one

COUNTS = """
SELECT submitted, approved, rejected, in_review, decided, dead_letters, labels, bundle, bundles, training
FROM router.totals CROSS JOIN reviewer.totals CROSS JOIN trainer.totals
"""
# Of every accepted revision: its automatic decision, and its first review or audit; what looks at it again is left out.
ACCOUNTS = """
SELECT r.route, r.audited,
       count(l.decision_id) FILTER (WHERE l.decided_by = 'model') AS by_model,
       (SELECT count(*) FROM reviewer.requested_review t
        WHERE (t.source, t.content_id, t.revision) = (r.source, r.content_id, r.revision)
          AND t.why NOT IN ('second_look', 'appeal', 'gold')) AS tasks
FROM router.routed_revision r
LEFT JOIN reviewer.published_decision l USING (source, content_id, revision)
GROUP BY r.source, r.content_id, r.revision, r.route, r.audited
"""
MISMATCHES = f"""
SELECT count(*) FILTER (WHERE CASE WHEN route IN ('superseded', 'withdrawn') THEN by_model + tasks <> 0
                                         WHEN route = 'review' THEN tasks < 1
                                         ELSE by_model < 1 OR tasks < audited::int END) AS lost,
       count(*) FILTER (WHERE CASE WHEN route = 'review' THEN tasks > 1 OR by_model > 0
                                         WHEN route IN ('superseded', 'withdrawn') THEN false
                                         ELSE by_model > 1 OR tasks > audited::int END) AS doubled
FROM ({ACCOUNTS}) AS account
"""  # noqa: S608
DOUBLED_EVENTS = """
SELECT count(*) FROM (
    SELECT value::text FROM (
        SELECT convert_from(value, 'UTF8')::jsonb ->> 'decision_id' AS value
        FROM bus.published_record WHERE topic = 'moderation.decided') AS decision
    GROUP BY value HAVING count(*) > 1) AS repeated
"""


@dataclass(frozen=True, slots=True)
class Counts:
    """Totals since the data directory was created."""

    submitted: int
    approved: int
    rejected: int
    in_review: int
    decided: int
    dead_letters: int
    labels: int
    bundle: str | None
    bundles: int
    training: str | None


@dataclass(frozen=True, slots=True)
class Mismatches:
    """Revisions without their decision or task (`lost`), and with more than one (`doubled`). Both must be 0."""

    lost: int
    doubled: int


async def counts(connection: Connection) -> Counts:
    """The totals, from one snapshot."""
    return Counts(**dict(await fetch_one(connection, COUNTS)))


async def mismatches(connection: Connection) -> Mismatches:
    """Check every revision against its decisions and tasks, and the log for repeated decisions.

    Exact once the services have read everything that was published; until then, some revisions count as lost.
    """
    row = await fetch_one(connection, MISMATCHES)
    return Mismatches(row["lost"], row["doubled"] + await connection.fetchval(DOUBLED_EVENTS))
