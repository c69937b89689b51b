"""What leads read and write."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Reviewer = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$", description="a reviewer's pseudonym")]


class Assignment(BaseModel):
    """Who is to judge the item."""

    model_config = ConfigDict(extra="forbid")

    reviewer: Reviewer


class HeldItem(BaseModel):
    """An item that `reviewer` holds until `lease_expires_at`. Its token is its holder's alone."""

    task_id: UUID
    reviewer: str
    queue: str
    source: str
    content_id: str
    revision: int
    held_since: datetime | None = Field(description="null: since before holds were counted")
    lease_expires_at: datetime
    created_at: datetime


class HeldItems(BaseModel):
    """By reviewer, in the order of the queue."""

    leases: list[HeldItem]


class ReviewerCounts(BaseModel):
    """What a reviewer holds, and did in the hours asked about."""

    reviewer: str
    last_seen: datetime | None = Field(description="when they last claimed or kept an item")
    leases: int
    longest_held_since: datetime | None
    judged: int = Field(description="verdicts, without those that were undone")
    undone: int
    released: int
    skipped: int
    escalated: int
    expired: int = Field(description="leases that ran out, after which somebody else took the item")
    taken_back: int = Field(description="by a lead")


class Reviewers(BaseModel):
    """Everyone who ever claimed an item, or was assigned one."""

    hours: int
    reviewers: list[ReviewerCounts]
