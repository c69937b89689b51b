"""What the webhook routes take and give."""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from secondlook.common.contract.fields import Label, Outcome, Source, Str
from secondlook.reviewer_api.feed.schemas import FollowedDecision

DeliveryState = Literal["waiting", "delivered", "failed"]
Url = Annotated[Str, Field(min_length=1, max_length=2000)]
Description = Annotated[Str, Field(max_length=200)]


class _WebhookRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")


class NewWebhook(_WebhookRequest):
    """Where to send decisions, and which: those of all of the filters that are given."""

    url: Url
    description: Description = ""
    sources: Annotated[list[Source], Field(min_length=1, max_length=64)] | None = None
    labels: Annotated[list[Label], Field(min_length=1, max_length=64)] | None = None
    outcome: Outcome | None = None
    decided_by: Annotated[str, Field(pattern=r"^[A-Za-z0-9._:-]{1,128}$")] | None = None
    after: Annotated[str, Field(max_length=40)] = Field(
        "now", description="a cursor of the feed: decisions behind it are sent, too"
    )


class WebhookChange(_WebhookRequest):
    """What is to change; what is left out stays."""

    url: Url | None = None
    description: Description | None = None
    enabled: Annotated[bool, Field(strict=True)] | None = None


class Webhook(BaseModel):
    """A webhook, without its secret."""

    webhook_id: UUID
    url: str
    description: str
    owner: str
    sources: list[str] | None
    labels: list[str] | None
    outcome: Outcome | None
    decided_by: str | None
    enabled: bool
    disabled_why: str | None
    created_at: datetime
    resting_until: datetime | None = Field(description="nothing arrived of late: until then nothing is sent")
    old_until: datetime | None = Field(description="until then the secret before this one signs as well")
    waiting: int = Field(description="decisions that are being delivered")
    failed: int = Field(description="decisions that were given up; replay them")
    behind: int = Field(description="decisions of the feed that are not looked at yet")


class WebhookList(BaseModel):
    """The oldest first."""

    webhooks: list[Webhook]


class CreatedWebhook(BaseModel):
    """The webhook, and the secret that signs."""

    webhook: Webhook
    secret: str = Field(description="shown once")


class RotatedSecret(BaseModel):
    """The new secret. Until `old_until` every delivery carries a signature by each of the two."""

    secret: str = Field(description="shown once")
    old_until: datetime


class WebhookDelivery(BaseModel):
    """A decision on its way to an endpoint."""

    position: int = Field(description="its number in the feed")
    decision_id: UUID
    source: str
    content_id: str
    state: DeliveryState
    attempts: int
    due_at: datetime
    give_up_at: datetime
    tried_at: datetime | None
    status: int | None
    problem: str | None


class DeliveryPage(BaseModel):
    """The newest first."""

    deliveries: list[WebhookDelivery]
    next: int | None = Field(description="give it as `before` for the next page; null: this is the last one")


class ReplayWanted(_WebhookRequest):
    """Which deliveries to send again: those that failed, or all from a number of the feed on that are still kept."""

    failed: bool = True
    since: Annotated[int, Field(ge=1, lt=2**53)] | None = None


class Replayed(BaseModel):
    """How many will be sent again."""

    deliveries: int


class Tested(BaseModel):
    """What the endpoint answered to a signed message of the type `webhook.test`."""

    arrived: bool
    status: int | None
    problem: str | None
    milliseconds: float


class WebhookMessage(BaseModel):
    """The body of a delivery."""

    type: Literal["decision.published"] = "decision.published"
    timestamp: datetime
    data: FollowedDecision
