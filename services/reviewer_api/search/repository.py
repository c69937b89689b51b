"""Search in Postgres: one statement, newest first, in pages."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from secondlook.common.postgres import Connection
from secondlook.reviewer_api.review.reasons import DECIDING
from secondlook.reviewer_api.review.tasks import State
from secondlook.reviewer_api.texts import excerpt, matches

# One row a revision: of its reviews the newest stands for it. `$1` reads: none of content that they have in hands.
# Only what somebody asks for is a condition: one that reads `$n IS NULL OR` keeps the planner from the index that fits.
SEARCH = """
SELECT t.task_id, t.source, t.content_id, t.revision, t.queue, t.created_at, t.state,
       p.content ->> 'kind' AS kind, p.content ->> 'author_id' AS author_id,
       {excerpt},
       d.outcome, coalesce(d.labels, '{{}}') AS labels, d.decided_by, d.decided_at
FROM task t JOIN task_payload p USING (task_id)
LEFT JOIN LATERAL (
    SELECT * FROM decision_log g
    WHERE g.source = t.source AND g.content_id = t.content_id AND g.revision = t.revision {decided}
    ORDER BY g.sequence DESC LIMIT 1
) AS d ON true
WHERE p.why = ANY ($2::text[]) AND NOT has_in_hands($1, t.source, t.content_id)
  AND NOT EXISTS (
      SELECT FROM task n JOIN task_payload m USING (task_id)
      WHERE (n.source, n.content_id, n.revision) = (t.source, t.content_id, t.revision) AND m.why = ANY ($2::text[])
        AND (n.created_at, n.task_id) > (t.created_at, t.task_id))
  {wanted}
ORDER BY t.created_at DESC, t.task_id DESC LIMIT $3
"""
# Only what this person judged and nobody is asked about any more; of the decisions only those that this person made.
BY = """
AND t.task_id = ANY (ARRAY(
    SELECT s.task_id FROM judgement j JOIN task o USING (task_id) JOIN task s USING (source, content_id, revision)
    WHERE j.reviewer = {0} AND j.undone_at IS NULL))
AND NOT EXISTS (SELECT FROM task o WHERE o.source = t.source AND o.content_id = t.content_id
                AND o.state IN ('pending', 'leased', 'decided'))
"""
DECIDED_BY = "AND g.decided_by = {0}"
AFTER = "AND (t.created_at, t.task_id) < (SELECT a.created_at, a.task_id FROM task a WHERE a.task_id = {0})"
WANTED = {
    "text": f"AND {matches('p', '{0}')}",
    "source": "AND t.source = {0}",
    "sources": "AND t.source = ANY ({0}::text[])",
    "author_id": "AND p.content ->> 'author_id' = {0}",
    "label": "AND {0} = ANY (d.labels)",
    "outcome": "AND d.outcome = {0}",
    "decided_by": "AND d.decided_by = {0}",
    "queue": "AND t.queue = {0}",
    "states": "AND t.state = ANY ({0}::text[])",
    "since": "AND t.created_at >= {0}",
    "until": "AND t.created_at < {0}",
}
# The newest decision of a revision is one of its decisions. Where those are FEW, the search begins with them: looking
# through what waits, newest first, it would meet none for long, because people decide what is old.
FEW = 20_000
COUNT = f"SELECT count(*) <= {FEW} FROM (SELECT FROM decision_log WHERE {{0}} LIMIT {FEW} + 1) AS found"  # noqa: S608
OF_FEW = """
AND t.task_id = ANY (ARRAY(
    SELECT s.task_id FROM decision_log JOIN task s USING (source, content_id, revision) WHERE {0}))
"""
OF_DECISIONS = {"label": "labels @> ARRAY[{0}]", "outcome": "outcome = {0}", "decided_by": "decided_by = {0}"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What to look for; None: whatever it is. WANTED has a condition for each."""

    text: str | None = None
    source: str | None = None
    sources: tuple[str, ...] | None = None
    author_id: str | None = None
    label: str | None = None
    outcome: str | None = None
    decided_by: str | None = None
    queue: str | None = None
    states: tuple[State, ...] | None = None
    since: datetime | None = None
    until: datetime | None = None


def statement(
    reader: str, by: str | None, wanted: Wanted, after: UUID | None, limit: int, *, few: bool
) -> tuple[str, list[Any]]:
    """The statement of a search, and what its parameters are. `few`: it begins with the decisions that match."""
    given: list[Any] = [reader, DECIDING, limit]

    def parameter(value: Any) -> str:
        given.append(value)
        return f"${len(given)}"

    asked = {field.name: value for field in fields(wanted) if (value := getattr(wanted, field.name)) is not None}
    numbers = {name: parameter(value) for name, value in asked.items()}
    conditions = [WANTED[name].format(number) for name, number in numbers.items()]
    if few:
        of_decisions = [text.format(numbers[name]) for name, text in OF_DECISIONS.items() if name in numbers]
        conditions.append(OF_FEW.format(" AND ".join(of_decisions)))
    decided = ""
    if by is not None:
        number = parameter(by)
        conditions.append(BY.format(number))
        decided = DECIDED_BY.format(number)
    if after is not None:
        conditions.append(AFTER.format(parameter(after)))
    return SEARCH.format(excerpt=excerpt("p"), decided=decided, wanted=" ".join(conditions)), given


async def has_few(connection: Connection, wanted: Wanted) -> bool:
    """Whether something is asked about decisions that few of them are."""
    asked = {name: value for name in OF_DECISIONS if (value := getattr(wanted, name)) is not None}
    if not asked:
        return False
    conditions = [OF_DECISIONS[name].format(f"${number}") for number, name in enumerate(asked, 1)]
    found: bool = await connection.fetchval(COUNT.format(" AND ".join(conditions)), *asked.values())
    return found


async def search(
    connection: Connection, reader: str, by: str | None, wanted: Wanted, after: UUID | None, limit: int
) -> list[dict[str, Any]]:
    """What was sent to review and matches, newest first, behind the row `after`.

    `reader`: of content that they have in hands nothing is found. `by`: only what they judged, and is settled.
    """
    text, given = statement(reader, by, wanted, after, limit, few=await has_few(connection, wanted))
    return [dict(row) for row in await connection.fetch(text, *given)]
