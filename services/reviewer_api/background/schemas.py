"""What the background routes read and write."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from secondlook.common.contract.fields import ContentId, Outcome, Source
from secondlook.reviewer_api.reports.schemas import ReportedReason
from secondlook.reviewer_api.review.schemas import Note
from secondlook.reviewer_api.texts import EXCERPT


class NewNote(BaseModel):
    """Something to know about a piece of content."""

    model_config = ConfigDict(extra="forbid")

    source: Source
    content_id: ContentId
    text: Annotated[Note, Field(min_length=1)]


class WrittenNote(BaseModel):
    """A note, and who wrote it."""

    by: str
    at: datetime
    text: str


class PastContent(BaseModel):
    """A piece of content that is settled."""

    source: str
    content_id: str
    author_id: str | None
    excerpt: str = Field(description=EXCERPT)
    created_at: datetime = Field(description="when people were asked")
    outcome: Outcome | None
    labels: list[str]
    decided_at: datetime | None


class LabelCount(BaseModel):
    """How many pieces of content a label was given to."""

    label: str
    items: int


class Author(BaseModel):
    """What people were asked about by one author, as it was decided. The newest 500 count."""

    author_id: str
    items: int
    approved: int
    rejected: int
    labels: list[LabelCount] = Field(description="the most frequent first")
    recent: list[PastContent] = Field(description="the newest 10")


class Background(BaseModel):
    """What stands beside an item. Nothing here tells what the item itself was decided as."""

    author: Author | None = Field(description="null: the item names none")
    thread: list[PastContent] = Field(description="others of the same page (`context.url`), newest first")
    notes: list[WrittenNote]
    reports: list[ReportedReason] = Field(description="what users reported of the content, the most frequent first")
