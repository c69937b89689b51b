"""The requests of this package, without a connection: what to send where, and how to read the answer. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeAlias, TypeVar
from urllib.parse import quote

from pydantic_core import PydanticSerializationError, to_json

from secondlook_client._answers import reader
from secondlook_client.feed import Filter
from secondlook_client.models import (
    Accepted,
    AcceptedLines,
    AcceptedReport,
    Content,
    ContentSubmitted,
    FeedPage,
    Withdrawn,
)

Answer = TypeVar("Answer")
Submittable: TypeAlias = ContentSubmitted | Mapping[str, object]
Params: TypeAlias = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Call(Generic[Answer]):
    """One request. `patience`: seconds that the server may take on purpose, beside the timeout."""

    service: Literal["router", "api"]
    method: str
    path: str
    read: Callable[[bytes], Answer]
    params: Params = ()
    body: bytes | None = None
    content_type: str = "application/json"
    patience: float = 0.0


def encoded(content: Submittable) -> bytes:
    """One line of JSON; raises ValueError where it cannot be written as such."""
    try:
        return to_json(content)
    except (PydanticSerializationError, UnicodeEncodeError) as error:
        raise ValueError("the content cannot be written as JSON; a text may hold half of a surrogate pair") from error


def submit(content: Submittable) -> Call[Accepted]:
    return Call("router", "POST", "/v1/content", reader(Accepted), body=encoded(content))


def submit_lines(body: bytes) -> Call[AcceptedLines]:
    return Call(
        "router", "POST", "/v1/content/batch", reader(AcceptedLines), body=body, content_type="application/x-ndjson"
    )


def withdraw(source: str, content_id: str, reason: str | None) -> Call[Withdrawn]:
    params = [] if reason is None else [("reason", reason)]
    return Call("router", "DELETE", _content_path(source, content_id), reader(Withdrawn), params)


def report(
    source: str, content_id: str, report_id: str, reporter: str, reason: str, note: str | None
) -> Call[AcceptedReport]:
    body = encoded({"report_id": report_id, "reporter": reporter, "reason": reason, "note": note})
    return Call("router", "POST", f"{_content_path(source, content_id)}/reports", reader(AcceptedReport), body=body)


def content(source: str, content_id: str) -> Call[Content]:
    return Call("api", "GET", _content_path(source, content_id), reader(Content))


def feed(after: str | None, which: Filter, limit: int, wait: float) -> Call[FeedPage]:
    params = [*cursor(after), ("limit", str(limit)), ("wait", f"{wait:g}"), *which.params()]
    return Call("api", "GET", "/v1/decisions/feed", reader(FeedPage), params, patience=wait)


def cursor(after: str | None) -> Params:
    return [] if after is None else [("after", after)]


def _content_path(source: str, content_id: str) -> str:
    return f"/v1/content/{_segment(source)}/{_segment(content_id)}"


def _segment(text: str) -> str:
    if text in ("", ".", ".."):
        raise ValueError(f"{text!r} cannot stand in an address")
    return quote(text, safe="")
