"""Webhooks: who sent this? By the Standard Webhooks convention. Pure."""

import base64
import binascii
import hashlib
import hmac
import json
import re
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import AwareDatetime, ValidationError

from secondlook_client._model import Read
from secondlook_client.errors import UnexpectedAnswer, WebhookRefused
from secondlook_client.models import FollowedDecision

TOLERANCE = 300.0  # seconds
PREFIX = "whsec_"
PUBLISHED = "decision.published"
_TIMESTAMP = re.compile(r"[0-9]{1,12}")


class WebhookMessage(NamedTuple):
    """What a webhook brings.

    It may come more than once, each time with the same `id`. Of one piece of content the decision with the highest
    `sequence` counts. `decision` is None unless `type` is `decision.published`: for a `webhook.test`, or what a later
    version adds, answer 200 and do nothing.
    """

    id: str
    type: str
    timestamp: datetime
    decision: FollowedDecision | None


class _Body(Read):
    type: str
    timestamp: AwareDatetime
    data: dict[str, Any]


def verify_webhook(
    secrets: str | Iterable[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> WebhookMessage:
    """Check the signature of a webhook, then read it.

    Args:
        secrets: `whsec_…`; while one is being replaced, both.
        headers: the request's; their names may be written in any case.
        body: the request's, byte for byte as it arrived.
        tolerance: how many seconds the time of sending may lie before or after now.
        now: seconds since 1970; by default this machine's clock.

    Raises:
        WebhookRefused: it is forged, changed on its way, or sent too long ago; answer 400.
        UnexpectedAnswer: it is genuine, and not what Second Look sends.
        ValueError: there is no secret, or one is not `whsec_` and base64.
    """
    message_id = check_signature(secrets, headers, body, tolerance=tolerance, now=now)
    try:
        read = _Body.model_validate_json(body)
        decision = FollowedDecision.model_validate_json(json.dumps(read.data)) if read.type == PUBLISHED else None
    except ValidationError as error:
        raise UnexpectedAnswer("the webhook is signed, and brings no decision that this version can read") from error
    return WebhookMessage(message_id, read.type, read.timestamp, decision)


def check_signature(
    secrets: str | Iterable[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: float = TOLERANCE,
    now: float | None = None,
) -> str:
    """Check the signature alone, of whatever body; returns the `webhook-id`.

    Arguments and errors are those of `verify_webhook`.
    """
    if not isinstance(body, bytes | bytearray):
        raise TypeError("the body must be the bytes that arrived; JSON that was read and written again is another text")
    keys = [_key(secret) for secret in ([secrets] if isinstance(secrets, str) else secrets)]
    if not keys:
        raise ValueError("no secret is given: nothing could be verified")
    named = {name.lower(): value for name, value in headers.items()}
    message_id, sent_at, signatures = (named.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    if not message_id or not _TIMESTAMP.fullmatch(sent_at):
        raise WebhookRefused("webhook-id or webhook-timestamp is missing or wrong")
    if not abs((time.time() if now is None else now) - int(sent_at)) <= tolerance:
        raise WebhookRefused("it was sent too long ago, or a clock is wrong")
    signed = b"%s.%s.%s" % (message_id.encode("utf-8", "surrogateescape"), sent_at.encode(), bytes(body))
    wanted = [base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys]
    given = [token.removeprefix("v1,") for token in signatures.split(" ") if token.startswith("v1,")]
    # Every pair is compared, so that the time it takes does not tell which fits.
    fits = [hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other) for one in given for other in wanted]
    if not any(fits):
        raise WebhookRefused("no signature fits: it is forged, was changed on its way, or is meant for another secret")
    return message_id


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX).encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        key = b""
    if not key:
        raise ValueError("a webhook's secret is `whsec_` and base64: copy it as it was shown") from None
    return key
