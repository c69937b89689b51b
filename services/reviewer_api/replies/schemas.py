"""What the routes of saved texts read and write."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from secondlook.reviewer_api.review.schemas import Note

MOST = 50  # texts that one person keeps


class NewSavedText(BaseModel):
    """A text to keep."""

    model_config = ConfigDict(extra="forbid")

    text: Annotated[Note, Field(min_length=1)]


class SavedText(BaseModel):
    """A text that the caller keeps."""

    text_id: UUID
    text: str
    saved_at: datetime


class SavedTexts(BaseModel):
    """The newest first."""

    texts: list[SavedText]
