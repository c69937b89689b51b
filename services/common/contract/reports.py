"""What users report, as upstream sends it and as reviewers see it."""

from typing import Annotated, ClassVar
from uuid import UUID

from pydantic import BaseModel, Field

from secondlook.common.contract.event import ContentEvent
from secondlook.common.contract.fields import STRICT, Int32, Moment, Str

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
