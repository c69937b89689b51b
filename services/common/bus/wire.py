"""Turns events into messages and back: JSON bodies, CloudEvents 1.0 attributes as headers (binary mode)."""

from collections.abc import Mapping, Sequence
from typing import TypeVar
from uuid import uuid4

from pydantic import BaseModel, ValidationError

from secondlook.common.bus import Message, Record
from secondlook.common.clock import Clock
from secondlook.common.contract.events import EVENTS, ContentSubmitted, Event
from secondlook.common.errors import FieldProblem, InvalidInput, PayloadTooLarge

MAX_SENT = 3 * 1024 * 1024  # bytes of one piece of content as upstream sends it, with escapes and blanks
MAX_BYTES = 960 * 1024  # of one piece of content as we write it; a review request adds to it and fits Kafka's 1 MiB
MAX_EVENT_BYTES = 1024 * 1024  # of an event between the services

Body = TypeVar("Body", bound=BaseModel)

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


def decode(record: Record) -> Event:
    """The event in a record. Without a `ce_type` header it is the topic's first event type.

    Raises:
        InvalidInput: the body breaks the contract; names the fields.
    """
    kinds = _KINDS[record.topic]
    kind = kinds.get(record.headers.get("ce_type") or next(iter(kinds)))
    if kind is None:
        raise InvalidInput([FieldProblem("ce_type", f"is none of {', '.join(kinds)}")], reason="unknown_type")
    event = parse(kind, record.value, MAX_SENT if kind.topic == ContentSubmitted.topic else MAX_EVENT_BYTES)
    if len(record.value) > MAX_BYTES and isinstance(event, ContentSubmitted):
        refuse_large(event.model_dump_json().encode())
    if record.key and record.key != event.key:
        raise InvalidInput([FieldProblem("key", f"is not {event.key!r}, as in the body")], reason="wrong_key")
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
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise InvalidInput(problems(error), reason="malformed" if _not_json(error) else "invalid") from error


def problems(error: ValidationError) -> list[FieldProblem]:
    """One line a field, without the input: content must not leak into logs and answers."""
    return [
        FieldProblem(_path(item["loc"]), item["msg"].removeprefix("Value error, "))
        for item in error.errors(include_input=False, include_url=False, include_context=False)
    ]


def _path(location: Sequence[int | str]) -> str:
    """A dotted path, without the names that pydantic gives to the branches of a union (`function-after[…]`)."""
    return ".".join(str(part) for part in location if "[" not in str(part))


def _not_json(error: ValidationError) -> bool:
    return any(item["type"] == "json_invalid" for item in error.errors(include_input=False, include_context=False))


def trace_of(headers: Mapping[str, str]) -> str | None:
    """The W3C trace context to hand on, if there is one."""
    return headers.get("traceparent")
