"""Tasks and judgements in Postgres: claim some, lock one, save it."""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from uuid import UUID

from secondlook.common.contract.events import ContentSubmitted, Why
from secondlook.common.errors import NotFound
from secondlook.common.postgres import Connection, Row
from secondlook.reviewer_api.leases.people import PRESENT
from secondlook.reviewer_api.leases.waiting import MATCHES, Chosen
from secondlook.reviewer_api.review.tasks import Judgement, State, Task, Verdict, VerdictResult

# The order comes from an index, so a claim reads as many rows as it takes and those it may not take before them.
# Whom a task excludes is not excluded from an escalated one once all leads are. Whom others come before ($2 in `hold`)
# waits, unless there is nobody else, and after a skip always. Who is there is only read for an item that waits so. The
# limit is no parameter: a plan that is kept for every limit expects to take a tenth of the table.
_CLAIM = """
WITH people AS MATERIALIZED ({present}), chosen AS (
    SELECT task_id, state, lease_token, leased_by FROM task
    WHERE state IN ('pending', 'leased') AND available_at <= $1
      AND (NOT $2 = ANY (excluded) OR (escalated AND excluded @> (SELECT leads FROM people)))
      AND (coalesce((SELECT h.again_at FROM hold h WHERE h.task_id = task.task_id AND h.reviewer = $2), $1) <= $1
           OR (NOT $2 = ANY (excluded)
               AND excluded @> array_remove(CASE WHEN escalated OR (queue = ANY ($7::text[])) IS FALSE
                                                 THEN (SELECT leads FROM people)
                                                 ELSE (SELECT reviewers FROM people) END, $2)))
      AND (NOT escalated OR $4) AND {where}
    ORDER BY rank, task_id
    LIMIT {limit} FOR UPDATE SKIP LOCKED
), ran_out AS (
    INSERT INTO returned_lease (lease_token, task_id, reviewer, how, returned_at)
    SELECT lease_token, task_id, leased_by, 'expired', $1 FROM chosen WHERE state = 'leased'
), leased AS (
    UPDATE task t SET state = 'leased', lease_token = gen_random_uuid(), leased_by = $2, available_at = $3,
                      excluded = array_remove(t.excluded, $2)
    FROM chosen WHERE t.task_id = chosen.task_id
    RETURNING t.*, chosen.state = 'leased' AS ran_out
), kept AS (
    INSERT INTO hold (task_id, reviewer, since, again_at) SELECT task_id, $2, $1, $6 FROM leased
    ON CONFLICT (task_id, reviewer) DO UPDATE SET again_at = excluded.again_at
)
SELECT l.ran_out, {shown}
FROM leased l JOIN task_payload p USING (task_id)
ORDER BY l.rank, l.task_id
"""
_SHOWN = """l.task_id, l.lease_token, l.available_at AS lease_expires_at, l.queue, l.created_at, p.why,
       p.content::text, p.escalation_note"""
# NULL: every queue. In this form it is no index condition: an index on queues would not give the order.
_FROM_ALL = "(queue = ANY ($5::text[])) IS NOT FALSE"
CLAIM_FROM_ONE, CLAIM_FROM_ALL, CLAIM_SOME = (
    _CLAIM.replace("{where}", where).replace("{shown}", _SHOWN).replace("{present}", PRESENT)
    for where in ("queue = $5", _FROM_ALL, f"{_FROM_ALL} AND {MATCHES}")
)
HELD = """
SELECT false AS ran_out, {shown}
FROM task l JOIN task_payload p USING (task_id)
WHERE l.leased_by = $1 AND l.state = 'leased' AND l.available_at > $2
ORDER BY l.rank, l.task_id
""".replace("{shown}", _SHOWN)

_TASK = """
SELECT t.task_id, t.decision_id, t.state, t.routed_queue, t.queue, t.escalated, t.available_at, t.lease_token,
       t.leased_by, t.excluded, h.since AS held_since
FROM task t LEFT JOIN hold h ON h.task_id = t.task_id AND h.reviewer = t.leased_by AND t.state = 'leased'
"""
LOCK = _TASK + "WHERE t.task_id = $1 FOR UPDATE OF t"
LOCK_TO_UNDO = _TASK + "WHERE t.task_id = $1 OR t.formerly = $1 FOR UPDATE OF t"
SAVE = """
UPDATE task SET state = $2, queue = $3, escalated = $4, available_at = $5, lease_token = $6, leased_by = $7,
                excluded = $8
WHERE task_id = $1
"""
GIVEN = """
SELECT lease_token, reviewer, outcome, labels, note, result, undo_until FROM judgement
WHERE task_id = $1 AND undone_at IS NULL ORDER BY number
"""
INSERT_JUDGEMENT = """
INSERT INTO judgement (lease_token, task_id, reviewer, outcome, labels, note, result, policy_version, judged_at,
                       undo_until)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
"""
JUDGE = f"""
WITH saved AS ({SAVE})
INSERT INTO judgement (task_id, lease_token, reviewer, outcome, labels, note, result, policy_version, judged_at,
                       undo_until, bulk_id)
VALUES ($1, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
"""  # noqa: S608
REPLACE_JUDGEMENT = "UPDATE judgement SET undone_at = $3 WHERE task_id = $1 AND reviewer = $2 AND undone_at IS NULL"
UNDO_JUDGEMENT = "UPDATE judgement SET undone_at = $2 WHERE lease_token = $1"
KEEP_NOTE = "UPDATE task_payload SET escalation_note = coalesce($2, escalation_note) WHERE task_id = $1"
HAS_OPEN = "SELECT EXISTS (SELECT FROM task WHERE queue = $1 AND state IN ('pending', 'leased'))"
QUEUES = """
SELECT t.queue,
       count(*) FILTER (WHERE t.state = 'pending' OR t.available_at <= $1) AS pending,
       count(*) FILTER (WHERE t.state = 'leased' AND t.available_at > $1) AS leased,
       min(t.created_at) FILTER (WHERE t.state = 'pending' OR t.available_at <= $1) AS oldest,
       count(*) FILTER (WHERE t.created_at < $1 - make_interval(mins => s.minutes)) AS overdue
FROM task t LEFT JOIN unnest($2::text[], $3::int[]) AS s(queue, minutes) ON s.queue = t.queue
WHERE t.state IN ('pending', 'leased')
GROUP BY t.queue
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimedTask:
    """A leased task, with what its reviewer needs. `ran_out`: this lease took the place of one that had run out."""

    task_id: UUID
    lease_token: UUID
    lease_expires_at: datetime
    queue: str
    why: Why
    content: ContentSubmitted
    escalation_note: str | None
    created_at: datetime
    ran_out: bool


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """The open tasks of a queue. A task whose lease ran out is pending again."""

    queue: str
    pending: int
    leased: int
    oldest: datetime | None
    overdue: int


async def claim(
    connection: Connection,
    reviewer: str,
    limit: int,
    now: datetime,
    until: datetime,
    *,
    queue: str | None,
    open_queues: Sequence[str] | None,
    escalated: bool,
    reviewers_queues: Sequence[str] | None,
    again_at: datetime,
    only: Chosen | None = None,
) -> list[ClaimedTask]:
    """Lease up to `limit` tasks in one statement: the oldest first, each `priority` minutes ahead of its turn.

    From `queue`, or from `open_queues` (None: from every queue); escalated ones only where `escalated` is true.
    Concurrent claims pass over each other's rows, so no task is given out twice, and never one that the reviewer
    skipped or judged; of escalated ones never before all leads have.

    What a reviewer gives back, or lets run out, they are offered again when a time is over (`again_at` is that time for
    these leases if they just run out); at once if nobody else is there who can take it. `reviewers_queues`: those that
    are not left to leads (None: no queue is). `only`: none but those.
    """
    statement, where = (CLAIM_FROM_ONE, queue) if queue else (CLAIM_FROM_ALL, open_queues)
    if only is not None:
        statement, where = CLAIM_SOME, [queue] if queue else open_queues
    rows = await connection.fetch(
        statement.replace("{limit}", str(int(limit))), now, reviewer, until, escalated, where, again_at,
        reviewers_queues, *(astuple(only) if only is not None else ()),
    )  # fmt: skip
    return [_claimed(row) for row in rows]


async def held(connection: Connection, reviewer: str, now: datetime) -> list[ClaimedTask]:
    """What a reviewer holds, as the claim gave it out; without leases that ran out."""
    return [_claimed(row) for row in await connection.fetch(HELD, reviewer, now)]


def _claimed(row: Row) -> ClaimedTask:
    parsed = {"why": Why(row["why"]), "content": ContentSubmitted.model_validate_json(row["content"])}
    return ClaimedTask(**{**row, **parsed})


async def lock(connection: Connection, task_id: UUID) -> Task:
    """The task, which nobody else can change until this transaction ends; raises NotFound."""
    return _task(await connection.fetchrow(LOCK, task_id), f"there is no task {task_id}")


async def lock_to_undo(connection: Connection, name: UUID) -> Task:
    """The task whose verdict this id names, locked; raises NotFound."""
    return _task(await connection.fetchrow(LOCK_TO_UNDO, name), f"there is no verdict {name}")


def _task(row: Row | None, missing: str) -> Task:
    if row is None:
        raise NotFound(missing)
    return Task(**{**row, "state": State(row["state"]), "excluded": tuple(row["excluded"])})


async def save(connection: Connection, task: Task) -> None:
    """Write back a locked task, but for `held_since`: `leases.repository.hold` keeps that."""
    await connection.execute(SAVE, *_saved(task))


def _saved(task: Task) -> tuple[object, ...]:
    return (
        task.task_id, task.state.value, task.queue, task.escalated, task.available_at, task.lease_token,
        task.leased_by, list(task.excluded),
    )  # fmt: skip


async def judgements(connection: Connection, task_id: UUID) -> list[Judgement]:
    """The judgements of a task that were not undone, oldest first."""
    return [_judgement(row) for row in await connection.fetch(GIVEN, task_id)]


def _judgement(row: Row) -> Judgement:
    return Judgement(
        lease_token=row["lease_token"],
        reviewer=row["reviewer"],
        verdict=Verdict(row["outcome"], frozenset(row["labels"]), row["note"]),
        result=VerdictResult(row["result"]),
        undo_until=row["undo_until"],
    )


async def judge(
    connection: Connection,
    task: Task,
    judgement: Judgement,
    policy_version: int,
    now: datetime,
    bulk_id: UUID | None = None,
) -> None:
    """Insert a judgement and write back the locked task as it is after it."""
    verdict = judgement.verdict
    await connection.execute(
        JUDGE, *_saved(task), judgement.lease_token, judgement.reviewer, verdict.outcome, sorted(verdict.labels),
        verdict.note, judgement.result.value, policy_version, now, judgement.undo_until, bulk_id,
    )  # fmt: skip


async def keep_judgement(
    connection: Connection, task_id: UUID, token: UUID, by: str, verdict: Verdict, policy_version: int, now: datetime
) -> None:
    """Insert a judgement that nobody can undo."""
    await connection.execute(
        INSERT_JUDGEMENT, token, task_id, by, verdict.outcome, sorted(verdict.labels), verdict.note,
        VerdictResult.DECIDED.value, policy_version, now, now,
    )  # fmt: skip


async def replace_judgement(connection: Connection, task_id: UUID, reviewer: str, now: datetime) -> None:
    """Mark the reviewer's earlier judgement undone: a lead who judges an escalated item again has one say, the last."""
    await connection.execute(REPLACE_JUDGEMENT, task_id, reviewer, now)


async def undo_judgement(connection: Connection, judgement: Judgement, now: datetime) -> None:
    """Mark it undone; it is kept."""
    await connection.execute(UNDO_JUDGEMENT, judgement.lease_token, now)


async def keep_note(connection: Connection, task_id: UUID, note: str | None) -> None:
    """Keep the note that the reviewer who escalates leaves for the lead; without one, an earlier note stays."""
    await connection.execute(KEEP_NOTE, task_id, note)


async def has_open(connection: Connection, queue: str) -> bool:
    """Whether a queue, known to the policy or not, holds tasks."""
    found: bool = await connection.fetchval(HAS_OPEN, queue)
    return found


async def queues(connection: Connection, now: datetime, sla_minutes: dict[str, int]) -> list[QueueDepth]:
    """Every queue that holds open tasks. `overdue`: open for longer than the SLA; 0 without one."""
    rows = await connection.fetch(QUEUES, now, list(sla_minutes), list(sla_minutes.values()))
    return [QueueDepth(**row) for row in rows]
