"""What followers read."""

from pydantic import BaseModel, Field

from secondlook.reviewer_api.decisions.schemas import Decision


class FeedPage(BaseModel):
    """Decisions in the order in which they were published here; of one piece of content in the order of `sequence`."""

    decisions: list[Decision]
    next: str = Field(description="give it as `after` to read on; it is there also where no decision is")
