"""From a row of somebody's data to a ContentSubmitted: what is missing is filled in, what is unknown is left out.

Pure. The router checks the result; here only the shape is made.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.common.errors import FieldProblem, InvalidInput
from services.common.events import ContentSubmitted

FIELDS = frozenset(ContentSubmitted.model_fields)
ALIASES = frozenset({"id", "lang"})
NOTHING = frozenset({"", "none", "null", "nan"})  # how tools write that there is no value


@dataclass(frozen=True, slots=True)
class Filling:
    """What stands in for fields that a row does not have."""

    source: str
    kind: str = "text"
    text_column: str = "text"


def source_name(path: str) -> str:
    """A valid source made from a file's name: `My Posts.jsonl.gz` is `my-posts`."""
    stem = "stdin" if path == "-" else Path(path).name.split(".")[0].lower()
    return re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")[:64] or "import"


def fill(number: int, row: dict[str, Any], filling: Filling, now: datetime) -> tuple[dict[str, Any], list[str]]:
    """The fields of a ContentSubmitted, and the columns that were left out.

    Raises:
        InvalidInput: the row has no text.
    """
    content: dict[str, Any] = {
        "source": filling.source,
        "content_id": content_id(number, row),
        "revision": 1,
        "kind": filling.kind,
        "text": text_of(row, filling.text_column),
        "created_at": now.isoformat(),
    }
    if language := language_of(row):
        content["language"] = language
    ignored = []
    for name, value in row.items():
        if name in ALIASES or name in ("content_id", "language", "text", filling.text_column):
            continue
        if name not in FIELDS:
            ignored.append(name)
        elif name in ("context", "attributes"):
            if isinstance(parsed := _parsed(value), dict):
                content[name] = parsed
            elif not _absent(parsed):
                ignored.append(name)
        elif not _absent(value):
            content[name] = _converted(name, value)
    return content, ignored


def content_id(number: int, row: dict[str, Any]) -> str:
    """`content_id`, else `id`, else the row's number as `row-17`."""
    for name in ("content_id", "id"):
        value = row.get(name)
        if value is not None and str(value).strip().lower() not in NOTHING:
            return str(value)
    return f"row-{number}"


def text_of(row: dict[str, Any], column: str) -> str:
    """The text; raises InvalidInput if there is none."""
    value = row.get(column)
    if not isinstance(value, str):
        raise InvalidInput([FieldProblem(column, "is missing" if value is None else "is not text")])
    return value


def language_of(row: dict[str, Any]) -> str | None:
    """`language`, else `lang`; `en_US` is read as `en-US`."""
    value = row.get("language") or row.get("lang")
    return str(value).replace("_", "-") if not _absent(value) else None


def _absent(value: Any) -> bool:
    return value is None or value == ""


def _parsed(value: Any) -> Any:
    """An object that a CSV file holds as JSON."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _converted(name: str, value: Any) -> Any:
    if name in ("revision", "reports") and isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
        return int(value)
    if name == "author_id" and isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):  # a Parquet time without a zone is UTC by convention
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return value
