"""What followers read."""

from pydantic import BaseModel, Field

from secondlook.reviewer_api.decisions.schemas import Decision


class FollowedDecision(Decision):
    """A decision, with the ids of the users' reports that it answers: tell those who reported what became of it."""

    reports: list[str] = Field([], description="ids of the users' reports that a person's decision answers")


class FeedPage(BaseModel):
    """Decisions in the order in which they were published here; of one piece of content in the order of `sequence`."""

    decisions: list[FollowedDecision]
    next: str = Field(description="give it as `after` to read on; it is there also where no decision is")
