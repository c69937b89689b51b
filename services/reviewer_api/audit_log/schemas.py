"""The answers of the audit log."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field


class AuditLogEntry(BaseModel):
    """One thing that somebody did."""

    number: int
    at: datetime
    actor: str = Field(description="a pseudonym")
    action: str = Field(description="like `policy.published`")
    object: str = Field(description="what it was done to")
    details: dict[str, Any]
    hash: str = Field(description="SHA-256 over the hash of the entry before and this entry, in hexadecimal digits")


class AuditLogPage(BaseModel):
    """Newest first."""

    entries: list[AuditLogEntry]
    next: int | None = Field(description="give it as `after` for the next page; null: this is the last one")
