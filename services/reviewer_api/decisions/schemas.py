"""The answers of the decision routes."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from secondlook.common.contract.fields import Outcome
from secondlook.reviewer_api.background.schemas import WrittenNote
from secondlook.reviewer_api.reports.schemas import ReportedReason
from secondlook.reviewer_api.review.schemas import ReviewContent
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
    state: Literal["accepted", "decided", "in_review", "superseded", "withdrawn"] = Field(
        description="`accepted`: it will be decided, and nothing has been heard of that yet"
    )


class Review(BaseModel):
    """A review of one revision."""

    task_id: UUID
    revision: int
    state: State
    queue: str
    created_at: datetime


class GivenJudgement(BaseModel):
    """What a person said of a revision."""

    revision: int
    reviewer: str
    outcome: Outcome
    labels: list[str]
    note: str | None
    judged_at: datetime
    undone: bool


class Content(BaseModel):
    """One piece of content: the revisions, decisions (by sequence) and reviews that its reader may see.

    What it says, the judgements, the notes and the reports are for those who read everybody's decisions, and only while
    nothing of it is in review.
    """

    source: str
    content_id: str
    content: ReviewContent | None = Field(None, description="the newest revision that people were asked about")
    judgements: list[GivenJudgement] = Field(
        [], description="oldest first; those of items that only measure reviewers left out"
    )
    notes: list[WrittenNote] = Field([], description="newest first")
    reports: list[ReportedReason] = Field([], description="what users reported, the most frequent reason first")
    revisions: list[RevisionState]
    decisions: list[Decision]
    tasks: list[Review]
