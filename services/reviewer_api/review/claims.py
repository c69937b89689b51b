"""The answer to a claim: from the leased items, and the table of reasons, to what their reviewer may see. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from secondlook.common.postgres import Row
from secondlook.reviewer_api.policies.repository import PublishedPolicy
from secondlook.reviewer_api.review.reasons import REASONS
from secondlook.reviewer_api.review.repository import ClaimedTask
from secondlook.reviewer_api.review.schemas import Claims, PolicyLabel, ReviewContent, ReviewTask, WaitingTask


def claims(tasks: Sequence[ClaimedTask], active: PublishedPolicy | None) -> Claims:
    """The items, and the policy in force to judge them by (None before the first policy)."""
    return Claims(
        tasks=[_shown(task, active) for task in tasks],
        policy_version=active.version if active else None,
        labels=_labels(active),
    )


def _shown(task: ClaimedTask, active: PublishedPolicy | None) -> ReviewTask:
    queue = active.policy.queues.get(task.queue) if active else None
    return ReviewTask(
        task_id=task.task_id,
        lease_token=task.lease_token,
        lease_expires_at=task.lease_expires_at,
        queue=task.queue,
        why=REASONS[task.why].shown_as,
        content=ReviewContent.of(task.content),
        escalation_note=task.escalation_note,
        created_at=task.created_at,
        due_at=_due(task.created_at, queue.sla_minutes) if queue else None,
    )


def waiting_task(row: Row, active: PublishedPolicy | None) -> WaitingTask:
    """An open item as lists show it."""
    queue = active.policy.queues.get(row["queue"]) if active else None
    return WaitingTask(**row, due_at=_due(row["created_at"], queue.sla_minutes) if queue else None)


def _due(created_at: datetime, sla_minutes: int) -> datetime | None:
    try:
        return created_at + timedelta(minutes=sla_minutes)
    except OverflowError:  # an upstream clock in the year 9999
        return None


def _labels(active: PublishedPolicy | None) -> list[PolicyLabel]:
    return [
        PolicyLabel(name=name, **label.model_dump(exclude={"quorum"}))
        for name, label in (active.policy.labels.items() if active else ())
    ]
