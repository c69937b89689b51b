"""Turns a row of somebody's data into a ContentSubmitted: fills in missing fields and leaves out unknown columns.

Pure. Only makes the shape; the router checks the result.
"""

import hashlib
import json
import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from secondlook.cli.files.values import EXACT, is_nothing, whole
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.errors import FieldProblem, InvalidInput

FIELDS = frozenset(ContentSubmitted.model_fields)
ALIASES = frozenset({"id", "lang"})
NUMBERS = frozenset({"revision", "reports", "reach"})
_ROUNDED = re.compile(r"[0-9]\.[0-9]+[eE]\+[0-9]{2,3}")  # how spreadsheets show a long number, without its last digits


@dataclass(frozen=True, slots=True)
class Filling:
    """Values for fields that a row does not have."""

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
        InvalidInput: the row has no text, and is of kind `text`; or its id is not an id.
    """
    kind = row.get("kind") or filling.kind
    text = "" if kind != "text" and is_nothing(row.get(filling.text_column)) else text_of(row, filling.text_column)
    content: dict[str, Any] = {
        "source": filling.source,
        "content_id": content_id(number, row, text),
        "revision": 1,
        "kind": filling.kind,
        "text": text,
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
        elif name in ("context", "attributes", "signals"):
            if isinstance(parsed := _parsed(value), dict):
                content[name] = parsed
            elif not is_nothing(parsed):
                ignored.append(name)
        elif not is_nothing(value):
            content[name] = _converted(name, value)
    return content, ignored


def content_id(number: int | None, row: dict[str, Any], text: str) -> str:
    """`content_id`, else `id`, else the row's number and a hash of its text: `row-17-2cf24dba`.

    The same file always gives the same ids, and different content under the same name gives different ids. Without a
    number, all rows of one text are one item: `text-2cf24dba5fb0a30e`.

    Raises:
        InvalidInput: the value cannot be an id.
    """
    for name in ("content_id", "id"):
        value = row.get(name)
        if isinstance(value, bool | list | dict | bytes) or (isinstance(value, float) and math.isinf(value)):
            raise InvalidInput([FieldProblem(name, "is neither text nor a finite number")])
        if is_nothing(value):
            continue
        found = str(whole(value))
        if (isinstance(value, float) and abs(value) >= EXACT) or _ROUNDED.fullmatch(found):
            raise InvalidInput([FieldProblem(name, "is a number without its last digits; store ids as text")])
        return found
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    return f"text-{digest[:16]}" if number is None else f"row-{number}-{digest[:8]}"


def text_of(row: dict[str, Any], column: str) -> str:
    """The text; raises InvalidInput if there is none."""
    value = row.get(column)
    if not isinstance(value, str):
        raise InvalidInput([FieldProblem(column, "is missing" if is_nothing(value) else "is not text")])
    return value


def language_of(row: dict[str, Any]) -> str | None:
    """`language`, else `lang`; `en_US` is read as `en-US`."""
    for name in ("language", "lang"):
        if not is_nothing(value := row.get(name)):
            return str(value).replace("_", "-")
    return None


def _parsed(value: Any) -> Any:
    """An object that a CSV file holds as JSON."""
    if isinstance(value, str) and value.startswith("{"):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _converted(name: str, value: Any) -> Any:
    if name in NUMBERS or name == "author_id":
        value = whole(value)
    if name in NUMBERS and isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value.strip()):
        return int(value)
    if name == "author_id" and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if isinstance(value, datetime):  # a Parquet time without a zone is UTC by convention
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).isoformat()
    return value
