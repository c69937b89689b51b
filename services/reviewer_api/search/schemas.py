"""The answers of the search."""

from datetime import datetime
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, Field

from secondlook.common.contract.fields import Outcome
from secondlook.reviewer_api.texts import EXCERPT

SearchState = Literal["in_review", "decided", "superseded", "withdrawn"]


class SearchHit(BaseModel):
    """One revision that people were asked about."""

    source: str
    content_id: str
    revision: int
    kind: str
    author_id: str | None
    excerpt: str = Field(description=EXCERPT)
    state: SearchState
    queue: str
    created_at: datetime = Field(description="when people were asked")
    outcome: Outcome | None = Field(description="of the newest decision on the revision; null without one")
    labels: list[str]
    decided_by: str | None
    decided_at: datetime | None


class SearchPage(BaseModel):
    """Newest first."""

    items: list[SearchHit]
    next: UUID | None = Field(description="give it as `after` for the next page; null: this is the last one")
