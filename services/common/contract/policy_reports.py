"""The policy's rule for what users report."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, field_validator

from secondlook.common.contract.fields import Label

_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
LONGEST = timedelta(days=90)
TimeSpan = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[mhd]$", description="minutes, hours or days: 24h")]
ReportWeight = Annotated[float, Field(ge=1, le=100)]


def duration(span: str) -> timedelta:
    """`90m`, `24h`, `7d`."""
    return int(span[:-1]) * _UNITS[span[-1]]


class ReportsPolicy(BaseModel):
    """When users' reports send content that was approved automatically to a person.

    `reopen_after`: reports that weigh so much together, within the time `within`; a user who is not known yet weighs 1.
    `labels`: another weight for reports whose reason is that label, such as 1 for what must not wait.
    `keep`: so long after its approval, content can go to a person; the router keeps its text for that time.
    `unproven`: so many pieces of content at most go to people in the time `within` on the word of reporters alone whose
    reports nobody has upheld yet. What people then reject counts no more; what would be too many waits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    reopen_after: ReportWeight = 3
    within: TimeSpan = "24h"
    keep: TimeSpan = "7d"
    labels: dict[Label, ReportWeight] = {}
    unproven: Annotated[int, Field(ge=0, le=100_000)] = 20

    @field_validator("within", "keep")
    @classmethod
    def _bounded(cls, span: str) -> str:
        if not re.fullmatch(r"[1-9][0-9]{0,5}[mhd]", span) or duration(span) > LONGEST:
            raise ValueError(f"is at most {LONGEST.days}d")
        return span

    @property
    def window(self) -> timedelta:
        return duration(self.within)

    @property
    def kept(self) -> timedelta:
        return duration(self.keep)
