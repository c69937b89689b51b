"""Content arrives as the CloudEvents SDKs of five languages write it, and nothing else becomes readable by that."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.bus import Record
from secondlook.common.bus.signatures.keyring import HEADER, Authenticity, Keyring
from secondlook.common.bus.topics import STATE_TOPICS
from secondlook.common.bus.wire import MAX_SENT, decode, encode
from secondlook.common.clock import SystemClock
from secondlook.common.cloud_events import MAX_TYPE, named
from secondlook.common.contract.events import EVENTS, ContentSubmitted, ContentWithdrawn, Event
from secondlook.common.errors import InvalidInput
from tests.unit.test_events import CONTENT, FULL

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
KEY = "forum/post/1"
GONE: dict[str, Any] = FULL["ContentWithdrawn"]
KINDS: list[tuple[type[Event], dict[str, Any]]] = [(ContentSubmitted, CONTENT), (ContentWithdrawn, GONE)]
NAMES = [kind.type for kind, _ in KINDS]
ATTRIBUTES = {"specversion": "1.0", "id": "1", "source": "/app", "time": "2026-01-01T12:00:00Z", "partitionkey": KEY}

# How SDKs put an event into a record: headers and value. What is here was seen in their output or in their source.
Sdk = Callable[[str, dict[str, Any]], tuple[dict[str, str], bytes]]
JSON, STRUCTURED = "application/json", "application/cloudevents+json"


def dumped(body: Any) -> bytes:
    return json.dumps(body).encode()


def binary(prefix: str = "ce_", content_type: str = "content-type", case: Callable[[str], str] = str) -> Sdk:
    def write(kind: str, body: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        attributes = {case(prefix + name): value for name, value in {**ATTRIBUTES, "type": kind}.items()}
        return {**attributes, case(content_type): JSON}, dumped(body)

    return write


def structured(headers: dict[str, str], carry: Callable[[dict[str, Any]], dict[str, Any]]) -> Sdk:
    def write(kind: str, body: dict[str, Any]) -> tuple[dict[str, str], bytes]:
        return headers, dumped({**ATTRIBUTES, "type": kind, "datacontenttype": JSON, **carry(body)})

    return write


def as_object(body: dict[str, Any]) -> dict[str, Any]:
    return {"data": body}


def as_text(body: dict[str, Any]) -> dict[str, Any]:
    return {"data": json.dumps(body)}


def as_bytes(body: dict[str, Any]) -> dict[str, Any]:
    return {"data_base64": base64.b64encode(dumped(body)).decode()}


def with_both(kind: str, body: dict[str, Any]) -> tuple[dict[str, str], bytes]:
    headers, _ = binary()(kind, body)
    return {**headers, "content-type": STRUCTURED}, structured({}, as_object)(kind, body)[1]


SDKS: dict[str, Sdk] = {
    "sdk-java, sdk-csharp, sdk-python, sdk-javascript, sdk-go with sarama: binary": binary(),
    "sdk-go with confluent before 2024: binary": binary("ce-"),
    "Spring: binary": binary("ce-", "contentType"),
    "a proxy that writes headers as HTTP does: binary": binary("ce-", case=str.title),
    "upper case: binary": binary(case=str.upper),
    "sdk-java, sdk-go, sdk-python 2: structured": structured({"content-type": STRUCTURED}, as_object),
    "sdk-javascript: structured": structured({"content-type": f"{STRUCTURED}; charset=utf-8"}, as_object),
    "sdk-javascript of text: structured": structured({"content-type": f"{STRUCTURED}; charset=utf-8"}, as_text),
    "sdk-javascript of a buffer, sdk-python 2 of bytes: structured": structured({"content-type": STRUCTURED}, as_bytes),
    "sdk-csharp: structured, with the headers of binary mode": with_both,
    "sdk-python 1: structured, by another name": structured({"content-type": JSON}, as_object),
    "sdk-python 1 of bytes: structured, by another name": structured({"content-type": JSON}, as_bytes),
    "a client without headers: structured": structured({}, as_object),
    "in capitals: structured": structured({"Content-Type": "Application/CloudEvents+JSON ;charset=UTF-8"}, as_object),
}
NAMINGS: dict[str, Callable[[str], str]] = {
    "bare": str,
    "our domain": "dev.second-look.{}".format,
    "another's domain": "com.example.moderation.{}".format,
    "a version": "{}.v1".format,
    "a domain and a version": "com.example.{}.v1".format,
}


def record(headers: dict[str, str], value: bytes, key: str = KEY, topic: str = ContentSubmitted.topic) -> Record:
    return Record(topic, 0, 0, key, value, headers, NOON)


def refused(headers: dict[str, str], value: bytes, key: str = KEY) -> InvalidInput:
    with pytest.raises(InvalidInput) as problem:
        decode(record(headers, value, key))
    return problem.value


@pytest.mark.parametrize("key", [KEY, ""], ids=["with its key", "without a key"])
@pytest.mark.parametrize("naming", NAMINGS)
@pytest.mark.parametrize("sdk", SDKS)
def test_every_sdk_is_read_in_every_naming(sdk: str, naming: str, key: str) -> None:
    for kind, body in KINDS:
        headers, value = SDKS[sdk](NAMINGS[naming](kind.type), body)
        assert decode(record(headers, value, key)) == kind.model_validate_json(dumped(body))
        assert refused(headers, value, "forum/other").reason == "wrong_key"


LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
LABEL = st.text(LETTERS, min_size=1, max_size=63)
CASED = st.sampled_from([str.lower, str.upper, str.title, str.swapcase])


@given(
    st.sampled_from(KINDS), st.lists(LABEL, max_size=3), st.sampled_from(["", ".v1"]), st.sampled_from("_-"), CASED,
    st.sampled_from([None, as_object, as_text, as_bytes]), st.booleans(),
)  # fmt: skip
def test_any_spelling_in_any_mode_says_the_same(
    kind: tuple[type[Event], dict[str, Any]],
    domain: list[str],
    version: str,
    dash: str,
    case: Callable[[str], str],
    carry: Callable[[dict[str, Any]], dict[str, Any]] | None,
    labelled: bool,
) -> None:
    event, body = kind
    name = ".".join([*domain, event.type]) + version
    if carry is None:
        write = binary(f"ce{dash}", f"content{dash}type", case)
    else:
        write = structured({case(f"content{dash}type"): case(STRUCTURED)} if labelled else {}, carry)
    assert decode(record(*write(name, body))) == event.model_validate_json(dumped(body))


@given(st.text(max_size=40) | st.text(".v1CS", max_size=12) | st.sampled_from(NAMES).map("{}.v2".format))
def test_only_the_last_part_of_a_domain_names_an_event(text: str) -> None:
    for form in (text, f"{text}ContentSubmitted", f"ContentSubmitted{text}", f"com.{text}.ContentWithdrawn"):
        labels = form.removesuffix(".v1").split(".")
        if labels[-1] in NAMES and all(label and set(label) <= set(LETTERS) for label in labels):
            assert named(form, NAMES) == labels[-1]
        else:
            with pytest.raises(InvalidInput, match="ce_type: is none of ContentSubmitted, ContentWithdrawn"):
                named(form, NAMES)


WHOLE = {**ATTRIBUTES, "type": "ContentSubmitted", "data": CONTENT}
LABEL_OF = {"content-type": STRUCTURED}
REFUSED: dict[str, tuple[dict[str, str], bytes, str, str]] = {
    "a batch": ({"content-type": "application/cloudevents-batch+json"}, dumped([WHOLE]), "malformed",
                "content-type: is a batch"),
    "Avro": ({"content-type": "application/cloudevents+avro"}, b"\x02", "malformed", "application/cloudevents+json is"),
    "two headers": ({"ce_type": "ContentSubmitted", "ce-type": "ContentWithdrawn"}, dumped(CONTENT), "unknown_type",
                    "ContentSubmitted and ContentWithdrawn"),
    "header and envelope": ({**LABEL_OF, "ce_type": "ContentWithdrawn"}, dumped(WHOLE), "unknown_type",
                            "ContentSubmitted and ContentWithdrawn"),
    "one header of two unknown": ({"ce_type": "ContentSubmitted", "CE-TYPE": "x"}, dumped(CONTENT), "unknown_type",
                                  "ce_type: is none of"),
    "another version": ({"ce_type": "ContentSubmitted.v2"}, dumped(CONTENT), "unknown_type", "ce_type: is none of"),
    "another case": ({"ce_type": "contentsubmitted"}, dumped(CONTENT), "unknown_type", "ce_type: is none of"),
    "another topic's": ({"ce_type": "com.example.ContentDecided"}, dumped(CONTENT), "unknown_type", "is none of"),
    "too long": ({"ce_type": "a." * MAX_TYPE + "ContentSubmitted"}, dumped(CONTENT), "unknown_type", "is none of"),
    "not JSON": (LABEL_OF, b"{", "malformed", "Invalid JSON"),
    "no object": (LABEL_OF, b"[]", "invalid", "should be an object"),
    "no attributes": (LABEL_OF, dumped(CONTENT), "invalid", "specversion: Field required; type: Field required"),
    "no type": (LABEL_OF, dumped({"specversion": "1.0", "data": CONTENT}), "invalid", "type: Field required"),
    "type null": ({}, dumped({**WHOLE, "type": None}), "invalid", "type: Input should be a valid string"),
    "0.3": (LABEL_OF, dumped({**WHOLE, "specversion": "0.3"}), "invalid", "specversion: Input should be '1.0'"),
    "no data": (LABEL_OF, dumped({**ATTRIBUTES, "type": "ContentSubmitted"}), "invalid", "data: Field required"),
    "data null": ({}, dumped({**WHOLE, "data": None}), "invalid", "data: Input should be"),
    "data and data_base64": ({}, dumped({**WHOLE, "data_base64": "e30="}), "invalid", "data: is there"),
    "no base64": ({}, dumped({**ATTRIBUTES, "type": "ContentSubmitted", "data_base64": "{}"}), "malformed", "base64"),
    "base64 of nothing": ({}, dumped({**ATTRIBUTES, "type": "ContentSubmitted", "data_base64": ""}), "malformed",
                          "Invalid JSON"),
    "a wrong field": ({}, dumped({**WHOLE, "data": {**CONTENT, "colour": 1}}), "invalid", "data.colour: Extra inputs"),
    "an envelope in an envelope": ({}, dumped({**WHOLE, "data": WHOLE}), "invalid", "data.specversion: Extra inputs"),
    "wrong text": ({}, dumped({**WHOLE, "data": "hello"}), "malformed", "Invalid JSON"),
    "a lone surrogate": ({}, dumped({**WHOLE, "data": "\ud800"}), "malformed", "Invalid JSON"),
    "an integer without end": ({}, dumped(WHOLE).replace(b'"reports": 3', b'"reports": ' + b"9" * 100_000),
                               "malformed", "number out of range"),
    "a number without end": ({}, dumped(WHOLE).replace(b'"d": 1.5', b'"d": 1e400'), "invalid", "attributes.d"),
    "not a number": ({}, dumped(WHOLE).replace(b'"d": 1.5', b'"d": NaN'), "invalid", "attributes.d"),
    "a deep pit": (LABEL_OF, b"[" * 100_000, "malformed", "Invalid JSON"),
    "70,000 fields": (LABEL_OF, dumped({**WHOLE, "data": {str(n): n for n in range(70_000)}}), "invalid", "more than"),
    "too large": (LABEL_OF, b" " * (MAX_SENT + 1), "too_large", "bytes long"),
    "too large once written": ({}, dumped({**WHOLE, "data": {**CONTENT, "context": {"parent_text": "é" * 500_000}}}),
                               "invalid", "data.context.parent_text"),
    "a tombstone": ({"ce_type": "ContentSubmitted"}, b"", "malformed", "no value; ContentWithdrawn withdraws"),
    "a schema's id": ({}, b"\0\0\0\0\x07" + dumped(CONTENT), "malformed", "the id of a schema"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_the_reason(case: str) -> None:
    headers, value, reason, why = REFUSED[case]
    problem = refused(headers, value)
    assert problem.reason == reason
    assert why in str(problem)
    assert len(str(problem)) < 1_000


@pytest.mark.parametrize("wrong", [{"type": 7}, {"data_base64": "secret é"}, {"data": {**CONTENT, "colour": "secret"}}])
def test_no_refusal_quotes_content_nor_does_its_cause(wrong: dict[str, Any]) -> None:
    problem = refused(LABEL_OF, dumped({**WHOLE, "data": "secret", **wrong}))
    assert "secret" not in f"{problem} {problem.__cause__}"


def test_a_member_of_that_name_further_down_is_content() -> None:
    body = {**CONTENT, "attributes": {"specversion": "1.0"}, "text": 'say "specversion": "1.0"'}
    assert decode(record({}, dumped(body))) == ContentSubmitted.model_validate_json(dumped(body))


def test_headers_that_say_nothing_change_nothing() -> None:
    expected = ContentSubmitted.model_validate_json(dumped(CONTENT))
    for headers in ({"ce_type": ""}, {"ce-type": "", "ce_type": "ContentSubmitted"}, {"type": "x"}, {"ce_typed": "x"}):
        assert decode(record(headers, dumped(CONTENT))) == expected


KEYS = Keyring(("k" * 32,))
SPELLINGS = ["ce-type", "CE_TYPE", "Ce-Type", "content-type", "Content-Type", "contentType"]


@pytest.mark.parametrize("kind", [kind for kind in EVENTS if kind.topic != ContentSubmitted.topic], ids=str)
@pytest.mark.parametrize("name", SPELLINGS)
def test_no_other_spelling_changes_what_the_services_tell_each_other(kind: type[Event], name: str) -> None:
    """A signature covers `ce_*` headers alone: a header beside them must not change what a genuine record says."""
    event = kind.model_validate_json(dumped(FULL[kind.type]))
    message = KEYS.sign(encode(event, "test", SystemClock()))
    for text in (*(other.type for other in EVENTS), STRUCTURED, "application/cloudevents-batch+json"):
        changed = record({**message.headers, name: text}, message.value, message.key, message.topic)
        assert decode(changed) == event
        if kind.topic in STATE_TOPICS:
            assert KEYS.check(changed) is Authenticity.GENUINE
            assert KEYS.check(replace(changed, headers={**changed.headers, "ce_type": "x"})) is Authenticity.FORGED


@pytest.mark.parametrize("kind", [kind for kind in EVENTS if kind.topic != ContentSubmitted.topic], ids=str)
def test_the_services_own_events_have_one_form(kind: type[Event]) -> None:
    body = FULL[kind.type]
    for headers, value in (
        structured({"content-type": STRUCTURED}, as_object)(kind.type, body),
        structured({"content-type": STRUCTURED, "ce_type": kind.type}, as_bytes)(kind.type, body),
        binary()(f"com.example.{kind.type}", body),
        binary()(f"{kind.type}.v1", body),
    ):
        with pytest.raises(InvalidInput):
            decode(record(headers, value, "", kind.topic))
    assert HEADER not in encode(kind.model_validate_json(dumped(body)), "test", SystemClock()).headers
