"""Turns events into messages and back: JSON bodies, CloudEvents 1.0 attributes as headers (binary mode).

What upstream services write is read in either mode and as SDKs spell it; what the services write to each other only as
`encode` writes it: a signature covers `ce_*` headers alone, so no other header may change what a record means.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TypeVar
from uuid import uuid4

from pydantic import BaseModel, ValidationError

from secondlook.common.bus import Message, Record
from secondlook.common.clock import Clock
from secondlook.common.cloud_events import nested, opened
from secondlook.common.contract.events import EVENTS, ContentSubmitted, Event
from secondlook.common.errors import LISTED, FieldProblem, InvalidInput, PayloadTooLarge
from secondlook.common.outline import MAX_MEMBERS, holds_more_than

MAX_SENT = 3 * 1024 * 1024  # bytes of one piece of content as upstream sends it, with escapes and blanks
MAX_BYTES = 960 * 1024  # of one piece of content as we write it; a review request adds to it and fits Kafka's 1 MiB
MAX_EVENT_BYTES = 1024 * 1024  # of an event between the services
MAX_MESSAGE_BYTES = MAX_EVENT_BYTES - 4096  # of key, value and headers: Kafka's own framing counts to its 1 MiB, too

Body = TypeVar("Body", bound=BaseModel)

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_SCHEMA_ID = re.compile(rb"\0.{4}\s*\{", re.DOTALL)  # what a schema registry's serializer puts before the JSON

_KINDS: dict[str, dict[str, type[Event]]] = {}  # by topic and type
for _event in EVENTS:
    _KINDS.setdefault(_event.topic, {})[_event.type] = _event


def encode(event: Event, source: str, clock: Clock, traceparent: str | None = None) -> Message:
    """The message that carries an event. `source` names the service that publishes it."""
    headers = {
        "ce_id": str(uuid4()),
        "ce_type": event.type,
        "ce_source": source,
        "ce_time": clock.now().isoformat().replace("+00:00", "Z"),
        "ce_specversion": "1.0",
    }
    if traceparent:
        headers["traceparent"] = traceparent
    return Message(event.topic, event.key, event.model_dump_json().encode(), headers)


def size_of(message: Message) -> int:
    """Bytes of key, value and headers on Kafka."""
    texts = (message.key, *message.headers, *message.headers.values())
    return len(message.value) + sum(len(text.encode()) for text in texts)


def decode(record: Record) -> Event:
    """The event in a record. A record that names no type is the topic's first event type; without a key, that of the
    body counts.

    Raises:
        InvalidInput: the body breaks the contract; names the fields.
    """
    event = _submitted(record) if record.topic == ContentSubmitted.topic else _internal(record)
    if record.key and record.key != event.key:
        raise InvalidInput([FieldProblem("key", f"is not {event.key!r}, as in the body")], reason="wrong_key")
    return event


def _internal(record: Record) -> Event:
    kinds = _KINDS[record.topic]
    kind = kinds.get(record.headers.get("ce_type") or next(iter(kinds)))
    if kind is None:
        raise InvalidInput([FieldProblem("ce_type", f"is none of {', '.join(kinds)}")], reason="unknown_type")
    return parse(kind, record.value, MAX_EVENT_BYTES)


def _submitted(record: Record) -> Event:
    """What upstream sent, in whichever mode and spelling."""
    if not record.value:
        raise InvalidInput("Invalid JSON: no value; ContentWithdrawn withdraws content", reason="malformed")
    if _SCHEMA_ID.match(record.value):
        raise InvalidInput("Invalid JSON: begins with the id of a schema; send JSON without it", reason="malformed")
    if len(record.value) > MAX_SENT:
        raise PayloadTooLarge(f"is {len(record.value)} bytes long; the limit is {MAX_SENT}")
    _refuse_many(record.value)
    kinds = _KINDS[record.topic]
    name, body = opened(record.headers, record.value, kinds)
    kind = kinds[name or next(iter(kinds))]
    event = parse(kind, body) if body is not None else _validated(nested(kind), record.value).data
    if len(record.value) > MAX_BYTES and isinstance(event, ContentSubmitted):
        refuse_large(event.model_dump_json().encode())
    return event


def refuse_large(written: bytes) -> None:
    """PayloadTooLarge if content, written without escapes and with its defaults, is larger than we hand on."""
    if len(written) > MAX_BYTES:
        raise PayloadTooLarge(f"is {len(written)} bytes long; at most {MAX_BYTES} are read")


def parse(kind: type[Body], body: bytes, limit: int = MAX_SENT) -> Body:
    """Read a JSON body strictly.

    Raises:
        PayloadTooLarge: the body is longer than `limit` bytes.
        InvalidInput: the body is not JSON, or breaks the contract; names each field.
    """
    if len(body) > limit:
        raise PayloadTooLarge(f"is {len(body)} bytes long; the limit is {limit}")
    if issubclass(kind, ContentSubmitted):
        _refuse_many(body)
    return _validated(kind, body)


def _refuse_many(body: bytes) -> None:
    # To find and to name 70,000 wrong attributes would take a third of a second, in which nothing else runs.
    if holds_more_than(MAX_MEMBERS, body):
        raise InvalidInput(f"holds more than {MAX_MEMBERS:,} fields and values; content has far fewer")


def _validated(kind: type[Body], body: bytes) -> Body:
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise invalid(error) from error


def invalid(error: ValidationError) -> InvalidInput:
    """The refusal: one problem a field, without the input, since content must not leak into logs and answers."""
    found = error.errors(include_input=False, include_url=False, include_context=False)
    problems = [FieldProblem(_path(item["loc"]), item["msg"].removeprefix("Value error, ")) for item in found[:LISTED]]
    malformed = any(item["type"] == "json_invalid" for item in found[:1])
    return InvalidInput(problems, reason="malformed" if malformed else "invalid", count=len(found))


def _path(location: Sequence[int | str]) -> str:
    """A dotted path, without the names that pydantic gives to the branches of a union (`function-after[…]`)."""
    return ".".join(str(part) for part in location if "[" not in str(part))


def trace_of(headers: Mapping[str, str]) -> str | None:
    """The W3C trace context to hand on, if there is one. What anybody else put there is not handed on."""
    found = headers.get("traceparent", "")
    return found if _TRACEPARENT.fullmatch(found) else None
