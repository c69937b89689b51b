"""Signatures by the Standard Webhooks convention. Pure.

What is signed is `id.timestamp.body`, with HMAC-SHA256 by the bytes of the secret (`whsec_` and base64). The header
`webhook-signature` holds one signature for each secret that is valid, so that a receiver may change over in its time.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

PREFIX, BYTES = "whsec_", 32


def new_secret() -> str:
    """A secret of 256 random bits."""
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


def headers(message_id: str, at: datetime, body: bytes, keys: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """The headers of a delivery. `keys`: the secrets that are valid, the newest first."""
    timestamp = int(at.timestamp())
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return [
        (b"content-type", b"application/json"),
        (b"user-agent", b"second-look"),
        (b"webhook-id", message_id.encode()),
        (b"webhook-timestamp", b"%d" % timestamp),
        (b"webhook-signature", b" ".join(_signature(key, signed) for key in keys)),
    ]


def _signature(key: str, signed: bytes) -> bytes:
    secret = base64.b64decode(key.removeprefix(PREFIX))
    return b"v1," + base64.b64encode(hmac.new(secret, signed, hashlib.sha256).digest())


def valid(webhook: Mapping[str, Any], now: datetime) -> list[str]:
    """The secrets of a webhook's row that sign now, the newest first."""
    old = webhook["old_secret"]
    return [webhook["secret"], *([old] if old is not None and now < webhook["old_until"] else [])]
