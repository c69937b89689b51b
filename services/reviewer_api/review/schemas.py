"""What review routes read and write."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.fields import Context, Outcome, Source, Str
from secondlook.common.contract.policy import QueueName
from secondlook.reviewer_api.review.reasons import Shown
from secondlook.reviewer_api.review.tasks import State, VerdictResult
from secondlook.reviewer_api.texts import EXCERPT, WORDS


def _encodable(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("contains half of a surrogate pair") from None
    return value


GivenLabel = Annotated[Str, Field(max_length=64), AfterValidator(_encodable)]
Note = Annotated[Str, Field(max_length=2000), AfterValidator(_encodable)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ClaimFilter(_Request):
    """Only such items; what is left out does not matter."""

    source: Source | None = None
    kind: Annotated[Str, Field(min_length=1, max_length=64)] | None = None
    language: Annotated[Str, Field(min_length=2, max_length=35)] | None = None
    author_id: Annotated[Str, Field(min_length=1, max_length=256)] | None = None
    text: Annotated[Str, Field(min_length=1, max_length=200)] | None = Field(None, description=WORDS)


class Claim(_Request):
    """Which items to lease."""

    task_ids: list[UUID] | None = Field(
        None, min_length=1, max_length=50, description="these, as far as you may have them now"
    )
    filter: ClaimFilter | None = None

    queue: QueueName | None = Field(None, description="one queue; without it, all that the key's role may work on")
    limit: int = Field(1, ge=1, le=50, strict=True)


class Held(_Request):
    """Proof of holding the item."""

    lease_token: UUID


class NewVerdict(Held):
    """A verdict on a held item."""

    outcome: Outcome
    labels: list[GivenLabel] = Field(
        [], max_length=64, description="what applies: at least one to reject, none to approve"
    )
    note: Note | None = None


class Escalation(Held):
    """Hand the item to the leads."""

    note: Note | None = Field(None, description="shown to the lead who takes the item")


class ReviewContent(BaseModel):
    """One revision of one piece of content."""

    source: str
    content_id: str
    revision: int
    kind: str
    text: str
    language: str | None
    author_id: str | None
    created_at: datetime
    context: Context
    attributes: dict[str, str | bool | int | float | None]
    reports: int

    @classmethod
    def of(cls, content: ContentSubmitted) -> "ReviewContent":
        return cls(**{name: getattr(content, name) for name in cls.model_fields})


class ReviewTask(BaseModel):
    """An item that the caller holds until `lease_expires_at`."""

    task_id: UUID
    lease_token: UUID
    lease_expires_at: datetime
    queue: str
    why: Shown = Field(
        description="`review` stands for whatever is no appeal: a first review, an audit, a second look and a gold "
        "item must look the same"
    )
    content: ReviewContent
    scores: None = Field(None, description="always null: a score would tell audits from other items")
    escalation_note: str | None
    created_at: datetime
    due_at: datetime | None = Field(description="when the queue's SLA is over; null without an SLA")


class PolicyLabel(BaseModel):
    """A label to judge by."""

    name: str
    description: str
    action: str
    severity: int
    ground: str | None


class Claims(BaseModel):
    """The leased items, and the labels in force in the policy's order."""

    tasks: list[ReviewTask]
    policy_version: int | None
    labels: list[PolicyLabel]


class LeaseOfPage(Held):
    """A lease, and its item."""

    task_id: UUID


class ClosedPage(_Request):
    """What you held on a page that was closed."""

    leases: list[LeaseOfPage] = Field(max_length=50)


class WaitingTask(BaseModel):
    """An item that waits, or that somebody holds."""

    task_id: UUID
    queue: str
    source: str
    content_id: str
    revision: int
    kind: str
    author_id: str | None
    excerpt: str = Field(description=EXCERPT)
    created_at: datetime
    due_at: datetime | None = Field(description="when the queue's SLA is over; null without an SLA")
    state: Literal["pending", "leased"]


class WaitingTasks(BaseModel):
    """In the order in which claims give them out."""

    tasks: list[WaitingTask]
    next: UUID | None = Field(description="give it as `after` for the next page; null: this is the last one")


class DecisionState(BaseModel):
    """The effect of a verdict."""

    decision_id: UUID = Field(description="names the verdict for the undo; no id of a published decision")
    undo_until: datetime
    state: VerdictResult = Field(description="decided, or waits for a second opinion, or escalated to a lead")


class Lease(BaseModel):
    """The item is kept for its reviewer."""

    lease_expires_at: datetime


class TaskState(BaseModel):
    """Where the item is now."""

    task_id: UUID
    state: State
    queue: str


class Queue(BaseModel):
    """A queue and the items that wait in it."""

    name: str
    role: Literal["reviewer", "lead"] | None = Field(
        description="who may claim; null: the policy has no such queue, which leaves it to leads, `default` excepted"
    )
    pending: int
    leased: int
    oldest_pending_seconds: float | None
    sla_minutes: int | None
    overdue: int


class Queues(BaseModel):
    """All queues of the policy, and others that still hold items."""

    queues: list[Queue]
