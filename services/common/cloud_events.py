"""Reads CloudEvents 1.0 as SDKs of many languages put them into Kafka: the type, and where the body is. Pure.

The Kafka binding of the specification (cloudevents/bindings/kafka-protocol-binding.md in cloudevents/spec) knows two
modes. *Binary*: the body is the record's value, and headers `ce_type`, … hold the attributes. *Structured*: the value
is a JSON object that holds the attributes, and the body as `data` or `data_base64`. What SDKs really write differs:

- the prefix is `ce_`, and `ce-` by Spring and by sdk-go's binding for confluent-kafka-go before June 2024;
- sdk-python 1.x labels structured mode `application/json`, so the value says what it is, whatever the label says;
- `data` is text that holds JSON where a producer hands its SDK text, and `data_base64` where it hands it bytes;
- sdk-csharp writes the attributes as headers, too, in structured mode.
"""

import base64
import binascii
import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from secondlook.common.errors import FieldProblem, InvalidInput

MEDIA_TYPE = "application/cloudevents"
JSON_FORMAT, BATCH = f"{MEDIA_TYPE}+json", f"{MEDIA_TYPE}-batch"
MAX_TYPE = 300  # characters of a type: a domain, a name and a version
_DOMAIN = re.compile(r"([A-Za-z0-9_-]{1,63}\.)*")
# Unlike our own events, others may hold more. Errors never quote their input: content must not leak into logs.
LENIENT = ConfigDict(extra="ignore", hide_input_in_errors=True)
_TAG = re.compile(rb'"specversion"\s*:')

Carried = TypeVar("Carried", bound=BaseModel)


class Nested(BaseModel, Generic[Carried]):
    """An event in structured mode whose body is a JSON object; its problems are named `data.FIELD`."""

    model_config = LENIENT
    data: Carried


@cache
def nested(kind: type[Carried]) -> type[Nested[Carried]]:
    """The model of an event in structured mode whose body is of this kind."""
    return Nested[kind]  # type: ignore[valid-type]


class Opened(NamedTuple):
    """What a record says of itself."""

    type: str | None  # one of the names asked for, None if the record says nothing
    body: bytes | None  # JSON; None where it is the member `data` of the record's value


class _Envelope(BaseModel):
    """Structured mode, as far as it matters here; other attributes and extensions are left alone."""

    model_config = LENIENT
    specversion: Literal["1.0"]
    type: Annotated[str, Field(min_length=1)]
    data: Any = None
    data_base64: str | None = None


def opened(headers: Mapping[str, str], value: bytes, names: Collection[str]) -> Opened:
    """Find the type of an event, one of `names`, and its body, which remains to be validated.

    A header's name is read in any case, with `-` or `_`. Where header and envelope both give a type, they must agree.

    Raises:
        InvalidInput: a batch or another event format than JSON, a broken envelope, or a type that is none of `names`.
    """
    structured = _is_structured(headers, value)
    envelope = _envelope(value) if structured else None
    told = {("ce_type", text) for name, text in headers.items() if _plain(name) == "ce_type" and text}
    if envelope is not None:
        told.add(("type", envelope.type))
    found = {named(text, names, where) for where, text in sorted(told)}
    if len(found) > 1:
        said = " and ".join(sorted(found))
        raise InvalidInput([FieldProblem("ce_type", f"contradicts itself: {said}")], reason="unknown_type")
    return Opened(found.pop() if found else None, _body(envelope) if envelope is not None else value)


def named(text: str, names: Collection[str], where: str = "ce_type") -> str:
    """The one of `names` that a type stands for: itself, also behind a domain (`com.example.`) or before `.v1`.

    Raises:
        InvalidInput: it stands for none of them.
    """
    if len(text) <= MAX_TYPE:
        domain, dot, last = text.removesuffix(".v1").rpartition(".")
        if last in names and _DOMAIN.fullmatch(domain + dot):
            return last
    rule = f"is none of {', '.join(names)}, also none of them behind a domain (com.example.) or before .v1"
    raise InvalidInput([FieldProblem(where, rule)], reason="unknown_type")


def _plain(name: str) -> str:
    return name.strip().lower().replace("-", "_")


def _is_structured(headers: Mapping[str, str], value: bytes) -> bool:
    for name, text in headers.items():
        if _plain(name) in ("content_type", "contenttype"):  # the latter as Spring spells it
            media_type = text.partition(";")[0].strip().lower()
            if media_type.startswith(BATCH):
                raise _unread("is a batch of events; a record holds one event")
            if media_type == JSON_FORMAT:
                return True
            if media_type.startswith(MEDIA_TYPE):
                raise _unread(f"is an event format that is not read; of those for structured mode, {JSON_FORMAT} is")
    # Also without a label, as producers without headers and sdk-python 1.x write it. No body has such a member.
    if _TAG.search(value) is None:
        return False
    try:
        return "specversion" in _Members.model_validate_json(value).model_fields_set
    except ValidationError:
        return False  # whoever reads it as a body says what is wrong


class _Members(BaseModel):
    model_config = LENIENT
    specversion: Any = None


def _unread(problem: str) -> InvalidInput:
    return InvalidInput([FieldProblem("content-type", problem)], reason="malformed")


def _envelope(value: bytes) -> _Envelope:
    try:
        return _Envelope.model_validate_json(value)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        malformed = any(item["type"] == "json_invalid" for item in found)
        problems = [FieldProblem(".".join(map(str, item["loc"])), item["msg"]) for item in found]
        raise InvalidInput(problems, reason="malformed" if malformed else "invalid") from error


def _body(envelope: _Envelope) -> bytes | None:
    if envelope.data_base64 is None:
        return envelope.data.encode() if isinstance(envelope.data, str) else None
    if envelope.data is not None:
        raise InvalidInput([FieldProblem("data", "is there, and data_base64, too; an event has one body")])
    try:
        return base64.b64decode(envelope.data_base64, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidInput([FieldProblem("data_base64", "is not base64")], reason="malformed") from error
