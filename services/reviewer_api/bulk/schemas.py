"""What the bulk routes read and write."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from secondlook.common.contract.fields import Outcome
from secondlook.reviewer_api.review.schemas import GivenLabel, Note, WaitingTask

MOST = 500  # items in one call; the policy's `max_bulk` may allow fewer

Reason = Literal["not_available", "too_late", "superseded", "withdrawn"]


class NearTask(WaitingTask):
    """An open item whose text means nearly the same."""

    similarity: float = Field(description="cosine of the two embeddings, at most 1")


class NearTasks(BaseModel):
    """The nearest first."""

    available: bool = Field(description="false: the database lacks pgvector, so nothing can be found")
    tasks: list[NearTask]


class NewBulk(BaseModel):
    """One verdict on many items."""

    model_config = ConfigDict(extra="forbid")

    bulk_id: UUID = Field(description="made by the client; the same call again changes nothing")
    task_ids: list[UUID] = Field(min_length=1, max_length=MOST)
    outcome: Outcome
    labels: list[GivenLabel] = Field([], max_length=64, description="at least one to reject, none to approve")
    note: Note | None = None


class LeftTask(BaseModel):
    """An item that the call left as it was."""

    task_id: UUID
    reason: Reason


class BulkState(BaseModel):
    """The effect of a verdict on many items."""

    bulk_id: UUID = Field(description="names the verdicts for the undo")
    judged: int
    undo_until: datetime | None = Field(description="null: nothing was judged")
    left: list[LeftTask] = Field(
        description="`not_available`: somebody holds it, it is settled, it needs its own look, or it is not for you"
    )


class UndoneBulk(BaseModel):
    """The items are back in their queues."""

    bulk_id: UUID
    undone: int
    left: list[LeftTask] = Field(description="`too_late`: the undo time is over")
