"""The answers of the decision routes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from secondlook.common.contract.fields import Outcome
from secondlook.reviewer_api.review.tasks import State


class Decision(BaseModel):
    """A decision as it was published. Of one piece of content the highest `sequence` counts."""

    decision_id: UUID
    source: str
    content_id: str
    revision: int
    sequence: int
    outcome: Outcome
    labels: list[str]
    action: str
    decided_by: str
    decided_at: datetime
    confidence: float | None
    policy_version: int | None
    bundle_version: str | None
    reason: str
    supersedes: UUID | None


class DecisionPage(BaseModel):
    """Newest first."""

    decisions: list[Decision]
    next: UUID | None = Field(description="give it as `after` for the next page; null: this is the last one")


class RevisionState(BaseModel):
    """Where one revision stands."""

    revision: int
    state: Literal["decided", "in_review", "superseded", "withdrawn"]


class Review(BaseModel):
    """A review of one revision."""

    task_id: UUID
    revision: int
    state: State
    queue: str
    created_at: datetime


class Content(BaseModel):
    """One piece of content: the revisions, decisions (by sequence) and reviews that its reader may see."""

    source: str
    content_id: str
    revisions: list[RevisionState]
    decisions: list[Decision]
    tasks: list[Review]
