"""Events are read strictly and written so that they are read back unchanged."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from secondlook.common.bus import Message, Record
from secondlook.common.bus.wire import MAX_BYTES, MAX_SENT, decode, encode, parse, trace_of
from secondlook.common.contract.events import (
    EVENTS,
    ContentSubmitted,
    ContentWithdrawn,
    Event,
    ReviewRequested,
    Why,
    decision_id,
    first_sequence,
    label_id,
    review_id,
)
from secondlook.common.contract.fields import MAX_PARENT, MAX_TEXT
from secondlook.common.errors import InvalidInput, PayloadTooLarge

WHEN = "2025-06-01T12:00:00Z"
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CONTENT: dict[str, Any] = {
    "source": "forum", "content_id": "post/1", "revision": 2, "kind": "text", "text": "hello", "language": "pt-BR",
    "author_id": "u1", "created_at": WHEN, "context": {"parent_text": "p", "title": "t", "url": "https://x.example"},
    "attributes": {"a": "text", "b": True, "c": 1, "d": 1.5, "e": None}, "reports": 3, "reach": 12_000,
}  # fmt: skip
UUID_A, UUID_B = "6d2b4a52-2c4b-5d43-9e9a-111111111111", "6d2b4a52-2c4b-5d43-9e9a-222222222222"
KEYED = {"source": "forum", "content_id": "post/1"}
FULL: dict[str, dict[str, Any]] = {
    "ContentSubmitted": CONTENT,
    "ContentWithdrawn": {**KEYED, "withdrawn_at": WHEN, "reason": "deleted"},
    "ContentReported": {
        **KEYED, "report_id": "r-1", "reporter": "u7", "reason": "spam", "note": "sells pills", "reported_at": WHEN,
    },
    "ReviewReported": {
        **KEYED, "report_id": "r-1", "reason": "spam", "note": "sells pills", "reported_at": WHEN, "received_at": WHEN,
        "raised": {"review_id": UUID_A, "priority": 90},
    },
    "ContentDecided": {
        **KEYED, "decision_id": UUID_A, "revision": 2, "sequence": 2048, "outcome": "reject", "labels": ["spam"],
        "action": "remove", "decided_by": "model", "decided_at": WHEN, "confidence": 0.9, "policy_version": 1,
        "bundle_version": "b1", "reason": "spam 0.9", "supersedes": UUID_B,
    },
    "ReviewRequested": {
        **KEYED, "review_id": UUID_A, "revision": 2, "content": CONTENT, "why": "audit", "queue": "default",
        "priority": 40, "coin": {"u": 0.25, "inclusion_probability": 0.5, "stratum": "uniform"},
        "scores": {"spam": 0.5}, "embedding": "AAA=", "policy_version": 1, "bundle_version": "b1", "requested_at": WHEN,
        "prior": {"decision_id": UUID_B, "sequence": 2048, "outcome": "approve", "labels": []},
    },
    "SecondLookRequested": {**KEYED, "revision": 2, "reason": "spam: people said no", "requested_at": WHEN},
    "ReviewCancelled": {**KEYED, "up_to_revision": 1, "why": "superseded", "cancelled_at": WHEN},
    "ContentLabelled": {
        **KEYED, "label_id": UUID_A, "revision": 2, "text": "hello", "language": None, "labels": {"spam": True},
        "reviewer": "reviewer-1", "labelled_at": WHEN, "decision_id": UUID_B, "adjudicated": True,
        "inclusion_probability": 0.02, "stratum": "uniform", "scores": {"spam": 0.5}, "bundle_version": "b1",
        "audited": {"decision_id": UUID_B, "sequence": 2048, "outcome": "approve", "labels": []},
    },
    "BundlePublished": {
        "stage": "active", "bundle_version": "b1", "uri": "file:///b1", "sha256": "a" * 64, "published_at": WHEN,
    },
    "PolicyPublished": {"version": 3, "published_at": WHEN, "published_by": "lead-1",
        "policy": {"name": "p", "labels": {"spam": {"description": "spam"}}},
    },
    "OperationAsked": {
        "operation_id": "1b4e28ba-2fa1-41d2-883f-0016d3cca427", "what": "simulate", "asked_by": "lead-1",
        "asked_at": WHEN, "policy": {"name": "p", "labels": {"spam": {"description": "spam"}}},
    },
    "OperationDone": {
        "operation_id": "1b4e28ba-2fa1-41d2-883f-0016d3cca427", "what": "simulate", "ok": True, "done_at": WHEN,
        "detail": "1 of 2 items would go another way",
        "simulated": {
            "items": 2, "bundle_version": "b1", "people_before": 1, "people_after": 2, "notes": ["a note"],
            "routes": {"approve": {"approve": 0, "reject": 0, "review": 1}, "review": {"review": 1}},
        },
    },
    "KeysPublished": {
        "version": 3, "published_at": WHEN, "revoked": ["0011aabb"],
        "keys": [
            {"key_id": "00ff00ff", "secret_sha256": "ab" * 32, "role": "service", "subject": "service-00ff00ff",
             "sources": ["forum"], "expires_at": WHEN},
        ],
    },
    "QualityMeasured": {
        "measured_at": WHEN, "bundle_version": "b1", "certify_items": 400,
        "sides": [
            {"outcome": "approve", "label": None, "standing": "certified", "threshold": 0.1, "needed": None,
             "wrong": {"value": 0.025, "n": 40, "k": 1, "low": 0.0006, "high": 0.13},
             "certificate": {"n": 300, "k": 1, "epsilon": 0.02, "delta": 0.01, "bound": 0.018},
             "audited": {"audits": 40, "errors": 1, "lower": 0.001}},
            {"outcome": "reject", "label": "spam", "standing": "uncertified", "threshold": None, "needed": 500,
             "certificate": None, "audited": None,
             "wrong": {"value": None, "n": 0, "k": 0, "low": 0.0, "high": 1.0}},
        ],
        "reasons": ["reject spam: 400 certify items in reach, 500 needed"],
        "labels": [{
            "label": "spam", "prevalence": {"value": 0.1, "n": 90, "k": 9, "low": 0.05, "high": 0.2},
            "agreement_n": 20, "agreement": 0.8, "agreement_low": 0.6, "agreement_high": 1.0, "suspects": 3,
        }],
        "reviewers": [{"reviewer": "reviewer-1", "n": 120, "agreement": 0.95, "labels": [{
            "label": "spam", "n": 80, "sensitivity": {"value": 0.9, "lower": 0.8, "upper": 0.95},
            "specificity": {"value": 0.99, "lower": 0.97, "upper": 1.0},
        }]}],
        "second_looks": {"answered": 2, "changed": 1},
        "overturned": {"value": 0.025, "n": 40, "k": 1, "low": 0.0006, "high": 0.13},
    },
}  # fmt: skip


class StoppedClock:
    def now(self) -> datetime:
        return datetime(2025, 6, 1, 12, 30, tzinfo=UTC)


def read(kind: type[Event], body: Any) -> Event:
    return parse(kind, json.dumps(body).encode())


def record(message: Message, **changed: Any) -> Record:
    fields = {"key": message.key, "value": message.value, "headers": message.headers, **changed}
    return Record(message.topic, 0, 0, written_at=StoppedClock().now(), **fields)


def paths(refused: pytest.ExceptionInfo[InvalidInput]) -> set[str]:
    return {problem.field for problem in refused.value.problems}


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.type)
def test_every_event_survives_the_wire(kind: type[Event]) -> None:
    event = read(kind, FULL[kind.type])
    message = encode(event, "tester", StoppedClock(), TRACE)
    assert (message.topic, message.key) == (kind.topic, event.key)
    headers = dict(message.headers)
    assert UUID(headers.pop("ce_id")).version == 4
    assert headers == {
        "ce_type": kind.type,
        "ce_source": "tester",
        "ce_time": "2025-06-01T12:30:00Z",
        "ce_specversion": "1.0",
        "traceparent": TRACE,
    }
    assert trace_of(message.headers) == TRACE
    assert trace_of(encode(event, "tester", StoppedClock()).headers) is None
    assert decode(record(message)) == event
    assert encode(event, "tester", StoppedClock()).headers["ce_id"] != message.headers["ce_id"]


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.type)
def test_every_event_refuses_what_it_does_not_know(kind: type[Event]) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(kind, {**FULL[kind.type], "surprise": 1})
    assert paths(refused) == {"surprise"}
    for name, value in FULL[kind.type].items():
        wrong = 12.5 if not isinstance(value, float) else "0.5"
        with pytest.raises(InvalidInput) as refused:
            read(kind, {**FULL[kind.type], name: wrong})
        assert {field.split(".")[0] for field in paths(refused)} == {name}


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.type)
def test_every_event_is_immutable(kind: type[Event]) -> None:
    event = read(kind, FULL[kind.type])
    with pytest.raises(ValidationError, match="frozen"):
        setattr(event, next(iter(kind.model_fields)), "other")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("text", ""),
        ("text", "x" * (MAX_TEXT + 1)),
        ("text", "a\x00b"),
        ("text", "\x01\x02\x03abc"),
        ("source", "Forum"),
        ("source", "forum/x"),
        ("source", "forum\n"),
        ("content_id", ""),
        ("content_id", "a b"),
        ("content_id", "a\n"),
        ("content_id", "x" * 257),
        ("revision", 0),
        ("revision", 2**31),
        ("revision", 1.0),
        ("revision", "1"),
        ("revision", True),
        ("kind", "Text!"),
        ("language", "english"),
        ("language", "x-private"),
        ("language", "en-"),
        ("author_id", ""),
        ("author_id", "a\x00"),
        ("created_at", "2025-06-01T12:00:00"),
        ("created_at", "yesterday"),
        ("created_at", 1748779200),
        ("reports", -1),
        ("reach", -1),
        ("reach", 2**53),
        ("context", {"url": "x" * 2001}),
        ("context", {"body": "x"}),
        ("context", {"title": "a\x00"}),
        ("attributes", {"a": {"nested": 1}}),
        ("attributes", {"a": "x" * 1001}),
        ("attributes", {"a\x00": "x"}),
        ("attributes", {f"a{number}": 1 for number in range(65)}),
    ],
)
def test_content_that_breaks_the_contract_is_refused_by_field(field: str, value: Any) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(ContentSubmitted, {**CONTENT, field: value})
    assert {path.split(".")[0] for path in paths(refused)} == {field}
    assert refused.value.reason == "invalid"


@pytest.mark.parametrize(
    "text",
    [
        " ",
        "x" * MAX_TEXT,
        "😀" * MAX_TEXT,
        "zero\u200bwidth\u200d\ufeff",
        "\u0440\u0430ypal with Cyrillic letters",
        "\u202ertl\u202c \u200f",
        "👩‍👩‍👧‍👦 🏳️‍🌈",
        "line\nbreaks\r\nand\ttabs",
        "next\u0085line \u2028 and paragraph \u2029",
        "Z̸̢͕a̵l̷g̷o̶",
        "one \x07 bell among words",
        "\ufffd\uffff\U0010ffff",
    ],
)
def test_text_that_people_write_is_accepted_unchanged(text: str) -> None:
    event = read(ContentSubmitted, {**CONTENT, "text": text})
    assert isinstance(event, ContentSubmitted)
    assert event.text == text
    assert decode(record(encode(event, "t", StoppedClock()))) == event


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"nonsense", b"\xff\xfe", b'{"text": "\xff"}', b'{"text": "\\ud800"}', b"[" * 5000],
)
def test_a_body_that_is_not_json_is_malformed(body: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(ContentSubmitted, body)
    assert refused.value.reason == "malformed"


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"1"])
def test_json_that_is_no_object_is_invalid(body: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        parse(ContentSubmitted, body)
    assert (refused.value.reason, paths(refused)) == ("invalid", {""})


def test_a_missing_field_is_named_and_content_never_is() -> None:
    with pytest.raises(InvalidInput) as refused:
        read(ContentSubmitted, {"text": "secret\x00text", "content_id": "a b", "revision": "one"})
    assert paths(refused) == {"source", "content_id", "revision", "text", "created_at"}
    assert "secret" not in str(refused.value)
    assert "secret" not in repr(refused.value)


def test_a_body_is_read_up_to_its_limit() -> None:
    body = json.dumps(CONTENT).encode()
    assert parse(ContentSubmitted, body + b" " * (MAX_SENT - len(body)))
    with pytest.raises(PayloadTooLarge) as refused:
        parse(ContentSubmitted, body + b" " * (MAX_SENT - len(body) + 1))
    assert refused.value.reason == "too_large"


def test_content_may_come_with_escapes_and_is_measured_without() -> None:
    largest = {**CONTENT, "text": "\u0436" * MAX_TEXT}
    escaped = json.dumps(largest).encode()
    assert MAX_BYTES < len(escaped) < MAX_SENT
    content = parse(ContentSubmitted, escaped)
    message = encode(content, "t", StoppedClock())
    assert decode(record(message, value=escaped)) == content
    attributes = {f"a{number}": "\U0001f600" * 1000 for number in range(64)}
    more = json.dumps(
        {**largest, "text": "\U0001f600" * MAX_TEXT, "attributes": attributes}, ensure_ascii=False
    ).encode()
    with pytest.raises(PayloadTooLarge):
        decode(record(message, value=more))


def test_the_largest_content_there_is_fits_the_limit_as_a_review_request() -> None:
    largest = {**CONTENT, "text": "😀" * MAX_TEXT, "context": {"parent_text": "😀" * MAX_PARENT}}
    largest["attributes"] = {f"a{number}": "😀" * 396 for number in range(64)}
    body = json.dumps(largest, ensure_ascii=False).encode()
    assert MAX_BYTES - 2000 < len(body) <= MAX_BYTES
    content = parse(ContentSubmitted, body)
    assert decode(record(encode(content, "t", StoppedClock()))) == content
    request = parse(ReviewRequested, json.dumps(FULL["ReviewRequested"]).encode())
    request = request.model_copy(update={"content": content, "embedding": "A" * 2048})
    assert MAX_BYTES < len(request.model_dump_json().encode()) < 1024 * 1024 - 4096, "what Kafka takes unless told"
    assert decode(record(encode(request, "t", StoppedClock()))) == request


def test_a_record_of_the_wrong_key_or_type_is_refused() -> None:
    message = encode(read(ContentSubmitted, CONTENT), "t", StoppedClock())
    with pytest.raises(InvalidInput) as refused:
        decode(record(message, key="forum/post/2"))
    assert (refused.value.reason, paths(refused)) == ("wrong_key", {"key"})
    for name in ("ContentDecided", "Nonsense"):
        with pytest.raises(InvalidInput) as refused:
            decode(record(message, headers={"ce_type": name}))
        assert (refused.value.reason, paths(refused)) == ("unknown_type", {"ce_type"})
    with pytest.raises(InvalidInput) as refused:
        decode(record(message, headers={"ce_type": "ContentWithdrawn"}))
    assert refused.value.reason == "invalid"


def test_without_a_type_or_a_key_a_record_is_the_first_type_of_its_topic() -> None:
    event = read(ContentSubmitted, CONTENT)
    message = encode(event, "t", StoppedClock())
    assert decode(record(message, headers={})) == event
    assert decode(record(message, headers={"ce_type": ""}, key="")) == event
    withdrawn = encode(read(ContentWithdrawn, FULL["ContentWithdrawn"]), "t", StoppedClock())
    with pytest.raises(InvalidInput):
        decode(record(withdrawn, headers={}))


def test_ids_are_the_same_in_every_release() -> None:
    assert decision_id("forum", "post-1", 1, 1024) == UUID("fe7c8f61-ec42-5c02-8d22-d0e1e26125be")
    review = review_id("forum", "post-1", 1, Why.AUDIT)
    assert review == UUID("5415e501-f3ae-5a96-9ef0-7c5dd36fc7ad")
    assert label_id(review, "reviewer-1") == UUID("a26a467a-7773-512f-9318-9ed98214687b")


def test_a_first_review_has_one_id_whatever_it_is_asked_for() -> None:
    first = {review_id("forum", "p", 1, why) for why in (Why.UNCERTAIN, Why.NO_BUNDLE, Why.KILL_SWITCH)}
    others = {review_id("forum", "p", 1, why) for why in (Why.AUDIT, Why.APPEAL, Why.SECOND_LOOK, Why.GOLD)}
    assert len(first) == 1
    assert len(first | others) == 5


def test_a_later_revision_lies_above_a_thousand_corrections() -> None:
    assert first_sequence(1) == 1024
    assert first_sequence(2) - first_sequence(1) >= 1000
    assert first_sequence(2**31 - 1) < 2**63


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_json_does_not_have_are_refused(number: str) -> None:
    body = '{"source": "forum", "content_id": "1", "revision": 1, "text": "t", "created_at": "2026-01-01T00:00:00Z"'
    with pytest.raises(InvalidInput, match="attributes"):
        parse(ContentSubmitted, f'{body}, "attributes": {{"rank": {number}}}}}'.encode())


def test_errors_do_not_quote_content() -> None:
    with pytest.raises(ValueError, match="text") as caught:
        ContentSubmitted.model_validate_json(b'{"source": "forum", "text": ["secret words"]}')
    assert "secret words" not in str(caught.value)


@pytest.mark.parametrize("created", ['"-1"', "1700000000", '"0001-01-01T00:00:00+14:00"', '"yesterday"'])
def test_times_are_iso_8601_within_what_utc_can_hold(created: str) -> None:
    body = f'{{"source": "forum", "content_id": "1", "revision": 1, "text": "t", "created_at": {created}}}'
    with pytest.raises(InvalidInput, match="created_at"):
        parse(ContentSubmitted, body.encode())


@pytest.mark.parametrize("tag", ["pt", "PT-br", "zh-Hant-TW", "sr-Latn-RS", "en-US-u-hc-h12", "de-x-hidden", "und"])
def test_every_well_formed_language_tag_is_taken(tag: str) -> None:
    assert parse(ContentSubmitted, json.dumps({**CONTENT, "language": tag}).encode()).language == tag
