"""Reports as answers show them."""

from pydantic import BaseModel, Field


class ReportedReason(BaseModel):
    """How often users gave this reason, and what they wrote. Who they are is told nowhere."""

    reason: str
    reports: int
    notes: list[str] = Field(description="the newest 5, in an order that tells no times")
