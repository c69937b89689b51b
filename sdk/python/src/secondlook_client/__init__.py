"""The Python client of Second Look: content in, decisions out, and webhooks that are checked."""

from secondlook_client.async_client import AsyncClient
from secondlook_client.batches import Refused, Submitted
from secondlook_client.client import Client
from secondlook_client.errors import (
    ClientError,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    ProblemError,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnexpectedAnswer,
    Unreachable,
    WebhookRefused,
)
from secondlook_client.feed import Followed
from secondlook_client.models import (
    Accepted,
    AcceptedReport,
    Content,
    ContentReported,
    ContentSubmitted,
    ContentWithdrawn,
    Context,
    Decision,
    FeedPage,
    FollowedDecision,
    Withdrawn,
)
from secondlook_client.retries import Retries
from secondlook_client.webhooks import WebhookMessage, check_signature, verify_webhook

__all__ = [
    "Accepted",
    "AcceptedReport",
    "AsyncClient",
    "Client",
    "ClientError",
    "Conflict",
    "Content",
    "ContentReported",
    "ContentSubmitted",
    "ContentWithdrawn",
    "Context",
    "Decision",
    "FeedPage",
    "Followed",
    "FollowedDecision",
    "Forbidden",
    "Invalid",
    "NotFound",
    "ProblemError",
    "Refused",
    "Retries",
    "Submitted",
    "TooLarge",
    "TooManyRequests",
    "Unauthenticated",
    "Unavailable",
    "UnexpectedAnswer",
    "Unreachable",
    "WebhookMessage",
    "WebhookRefused",
    "Withdrawn",
    "check_signature",
    "verify_webhook",
]
