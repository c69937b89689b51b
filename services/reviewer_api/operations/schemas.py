"""What the routes of operations answer."""

from datetime import datetime
from uuid import UUID

from pydantic import BaseModel, Field

from secondlook.common.contract.operations import Simulated, What


class Operation(BaseModel):
    """Something that another service was asked to do."""

    operation_id: UUID
    what: What
    asked_by: str
    asked_at: datetime
    done_at: datetime | None = Field(description="null: there is no answer yet; ten minutes later there will be none")
    ok: bool | None = Field(description="false: it was refused, and nothing was changed")
    detail: str | None = Field(description="what was done, or why it was refused")
    simulated: Simulated | None = Field(description="what a simulation counted")
