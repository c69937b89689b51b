"""Reports in Postgres: kept as they come, read by content, and by the decisions that answer them."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from secondlook.common.contract.reports import ReviewReported
from secondlook.common.postgres import Connection
from secondlook.reviewer_api.reports.schemas import ReportedReason

NOTES = 5  # of each reason that are shown

KEEP = """
INSERT INTO content_report (source, report_id, content_id, reason, note, reported_at, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""
OF_CONTENT = f"""
SELECT reason, count(*)::int AS reports,
       (array_agg(note ORDER BY reported_at DESC, report_id) FILTER (WHERE note <> ''))[:{NOTES}] AS notes
FROM content_report WHERE source = $1 AND content_id = $2 GROUP BY reason ORDER BY reports DESC, reason
"""  # noqa: S608 - made of constants
# As the router counts them (services/router/reports/handler.py): what came before a person's decision, unless one on
# an earlier revision answered it. A correction on the same revision answers again.
ANSWERED = """
SELECT d.decision_id, r.report_id
FROM decision_log d JOIN content_report r USING (source, content_id)
WHERE d.decision_id = ANY ($1::uuid[]) AND d.decided_by NOT IN ('model', 'rule') AND r.reported_at <= d.decided_at
  AND NOT EXISTS (
      SELECT FROM decision_log e
      WHERE (e.source, e.content_id) = (d.source, d.content_id) AND e.revision < d.revision
        AND e.decided_by NOT IN ('model', 'rule') AND e.decided_at >= r.reported_at)
ORDER BY r.reported_at, r.report_id
"""


async def keep(connection: Connection, reports: Sequence[ReviewReported]) -> None:
    """Keep the reports that are new."""
    rows = [
        (one.source, one.report_id, one.content_id, one.reason, one.note, one.reported_at, one.received_at)
        for one in reports
    ]
    await connection.executemany(KEEP, rows)


async def of_content(connection: Connection, source: str, content_id: str) -> list[ReportedReason]:
    """What users reported of a piece of content, by reason, the most frequent first."""
    rows = await connection.fetch(OF_CONTENT, source, content_id)
    return [
        ReportedReason(reason=row["reason"], reports=row["reports"], notes=sorted(row["notes"] or ())) for row in rows
    ]


async def answered(connection: Connection, decisions: Sequence[UUID]) -> dict[UUID, list[str]]:
    """The ids of the reports that each of these decisions of the log answers; decisions that answer none are left out.

    Only people's decisions answer reports: those of any revision that came by the time of the decision. One statement
    for all of them, which reads nothing of automatic decisions but their rows.
    """
    found: defaultdict[UUID, list[str]] = defaultdict(list)
    for row in await connection.fetch(ANSWERED, list(decisions)) if decisions else []:
        found[row["decision_id"]].append(row["report_id"])
    return dict(found)
