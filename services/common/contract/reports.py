"""What users report, as upstream sends it and as reviewers see it, and the policy's rule for it."""

import re
from datetime import timedelta
from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, Field, field_validator

from secondlook.common.contract.event import ContentEvent
from secondlook.common.contract.fields import STRICT, Int32, Label, Moment, Str
from secondlook.common.contract.sections import Section

ReportId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
Reporter = Annotated[Str, Field(min_length=1, max_length=256)]
ReportReason = Annotated[Str, Field(min_length=1, max_length=100)]
ReportNote = Annotated[Str, Field(max_length=2000)]


class ContentReported(ContentEvent):
    """A user reports a piece of content. The same `report_id` of a source is the same report, however often it comes.

    `reporter` is a pseudonym that upstream chooses and that stays the same for a user. A `reason` that is the name of
    one of the policy's labels counts as a report of that label. It may come before the content does.
    """

    topic: ClassVar[str] = "content.submitted"
    type: ClassVar[str] = "ContentReported"

    report_id: ReportId
    reporter: Reporter
    reason: ReportReason
    note: ReportNote | None = None
    reported_at: Moment


class RaisedReview(BaseModel):
    """The review that a report moves forward, and its `priority` from now on."""

    model_config = STRICT
    review_id: UUID
    priority: Int32


class ReviewReported(ContentEvent):
    """A report, for those who judge the content: it does not tell who reported. `raised`: None where no review waits
    that may be moved."""

    topic: ClassVar[str] = "review.requested"
    type: ClassVar[str] = "ReviewReported"

    report_id: ReportId
    reason: ReportReason
    note: ReportNote | None
    reported_at: Moment
    received_at: Moment
    raised: RaisedReview | None = None


_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
LONGEST = timedelta(days=90)
TimeSpan = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,5}[mhd]$", description="minutes, hours or days: 24h")]
ReportWeight = Annotated[float, Field(ge=1, le=100)]


def duration(span: str) -> timedelta:
    """`90m`, `24h`, `7d`."""
    return int(span[:-1]) * _UNITS[span[-1]]


class ReportsPolicy(Section):
    """When users' reports send content that was approved automatically to a person.

    `reopen_after`: reports that weigh so much together, within the time `within`; a user who is not known yet weighs 1.
    `labels`: another weight for reports whose reason is that label, such as 1 for what must not wait.
    `keep`: so long after its approval, content can go to a person; the router keeps its text for that time.
    `unproven`: so many pieces of content at most go to people in the time `within` on the word of reporters alone whose
    reports nobody has upheld yet. What people then reject counts no more; what would be too many waits.
    """

    reopen_after: ReportWeight = 3
    within: TimeSpan = "24h"
    keep: TimeSpan = "7d"
    labels: dict[Label, ReportWeight] = {}  # noqa: RUF012 - pydantic copies it
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
