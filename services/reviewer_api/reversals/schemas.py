"""What the reversal route reads and writes."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from secondlook.common.contract.fields import Outcome
from secondlook.reviewer_api.review.schemas import GivenLabel, Note


class NewReversal(BaseModel):
    """What takes a decision's place."""

    model_config = ConfigDict(extra="forbid")

    outcome: Outcome
    labels: list[GivenLabel] = Field([], max_length=64, description="at least one to reject, none to approve")
    reason: Annotated[Note, Field(min_length=1, description="why; kept with the judgement, and not published")]


class Reversal(BaseModel):
    """The decision that is in force now."""

    decision_id: UUID
    sequence: int
