"""The Python client believes a webhook exactly if Second Look signed it, in time."""

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook_client import UnexpectedAnswer, WebhookRefused, check_signature, verify_webhook
from tests.sdk.vectors import Webhook, webhooks

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 - the convention's published example
AT = 1_614_265_330
DECISION = {
    "decision_id": "6c5dc57c-5a0c-5b6c-9a3b-0d5c2f6f4d11", "source": "forum", "content_id": "p1", "revision": 1,
    "sequence": 1024, "outcome": "reject", "labels": ["spam"], "action": "remove", "decided_by": "model",
    "decided_at": "2026-01-01T00:00:00Z", "confidence": 0.99, "policy_version": 1, "bundle_version": "b1",
    "reason": "", "supersedes": None,
}  # fmt: skip


def signed(body: bytes, message_id: str = "msg_1") -> dict[str, str]:
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    digest = hmac.new(key, f"{message_id}.{AT}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message_id, "webhook-timestamp": str(AT), "webhook-signature": signature}


def message(kind: str, data: Any) -> bytes:
    return json.dumps({"type": kind, "timestamp": "2026-01-01T00:00:01Z", "data": data}).encode()


@pytest.mark.parametrize("webhook", webhooks(), ids=lambda webhook: webhook.name)
def test_a_webhook_is_believed_exactly_if_it_is_genuine(webhook: Webhook) -> None:
    def check() -> str:
        return check_signature(webhook.secrets, webhook.headers, webhook.body.encode(), now=webhook.now)

    if webhook.valid:
        assert check() == webhook.headers.get("webhook-id", webhook.headers.get("Webhook-Id"))
    else:
        with pytest.raises(WebhookRefused):
            check()


def test_a_genuine_webhook_brings_its_decision() -> None:
    body = message("decision.published", {**DECISION, "of_a_later_version": [1]})
    found = verify_webhook(SECRET, signed(body), body, now=AT)
    assert (found.id, found.type) == ("msg_1", "decision.published")
    assert found.decision is not None
    assert (found.decision.outcome, found.decision.sequence, found.decision.labels) == ("reject", 1024, ("spam",))


@pytest.mark.parametrize("kind", ["webhook.test", "decision.of_a_later_version"])
def test_other_kinds_are_genuine_and_bring_no_decision(kind: str) -> None:
    body = message(kind, {})
    assert verify_webhook(SECRET, signed(body), body, now=AT).decision is None


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b"null", message("decision.published", {}), message("decision.published", None),
             message("decision.published", {**DECISION, "outcome": "perhaps"})],
)  # fmt: skip
def test_what_is_signed_and_no_decision_is_never_taken_for_one(body: bytes) -> None:
    with pytest.raises(UnexpectedAnswer):
        verify_webhook(SECRET, signed(body), body, now=AT)


@pytest.mark.parametrize("secrets", [[], "", "whsec_", "whsec_!!", "größer", [SECRET, ""]])
def test_a_secret_that_could_not_refuse_anything_is_refused_itself(secrets: Any) -> None:
    body = message("webhook.test", {})
    with pytest.raises(ValueError, match="secret"):
        verify_webhook(secrets, signed(body), body, now=AT)


def test_text_in_place_of_the_bytes_that_arrived_is_named() -> None:
    with pytest.raises(TypeError, match="bytes that arrived"):
        check_signature(SECRET, signed(b"{}"), "{}", now=AT)  # type: ignore[arg-type]


@given(body=st.binary(max_size=200), at=st.integers(0, 199), bit=st.integers(0, 7))
def test_no_body_with_a_bit_turned_is_believed(body: bytes, at: int, bit: int) -> None:
    headers = signed(body)
    check_signature(SECRET, headers, body, now=AT)
    if at < len(body):
        turned = bytearray(body)
        turned[at] ^= 1 << bit
        with pytest.raises(WebhookRefused):
            check_signature(SECRET, headers, bytes(turned), now=AT)


@given(headers=st.fixed_dictionaries({name: st.text(max_size=60) for name in signed(b"")}))
def test_headers_of_any_text_are_refused_and_nothing_else_happens(headers: dict[str, str]) -> None:
    with pytest.raises(WebhookRefused):
        check_signature(SECRET, headers, b"{}", now=AT)
