"""What the clients know of the contract: the types they send and read, out of the documents in `docs/reference`."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs/reference"
SENT = ("ContentSubmitted", "ContentWithdrawn", "ContentReported")  # JSON Schemas of events
READ = {
    "router": ("Accepted", "AcceptedLines", "AcceptedReport", "Withdrawn", "Problem"),
    "reviewer-api": ("Decision", "FeedPage", "Content"),
}
PREFIX = "#/components/schemas/"


def contract() -> dict[str, Any]:
    """An OpenAPI document without paths: the types that the clients name, and all that those refer to.

    Raises:
        KeyError: a document lacks a type, or the target of a reference.
        ValueError: two documents mean different things by one name.
    """
    schemas: dict[str, Any] = {}
    for name in SENT:
        event = json.loads((REFERENCE / "schemas" / f"{name}.json").read_text(encoding="utf-8"))
        _collect(schemas, {**event.pop("$defs", {}), name: _without_dialect(event)}, name)
    for service, names in READ.items():
        document = json.loads((REFERENCE / "openapi" / f"{service}.json").read_text(encoding="utf-8"))
        for name in names:
            _collect(schemas, document["components"]["schemas"], name)
    return {
        "openapi": "3.1.0",
        "info": {"title": "What the clients of Second Look send and read", "version": "1"},
        "paths": {},
        "components": {"schemas": schemas},
    }


def sent(document: dict[str, Any]) -> set[str]:
    """The names of the types that are sent, with all that they refer to: nobody may add a field to these."""
    schemas = document["components"]["schemas"]
    found: set[str] = set()
    waiting = list(SENT)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += references(schemas[name])
    return found


def references(schema: Any) -> list[str]:
    """The names that a schema refers to, in the order of their places."""
    if isinstance(schema, list):
        return [name for part in schema for name in references(part)]
    if not isinstance(schema, dict):
        return []
    own = [schema["$ref"].rpartition("/")[2]] if "$ref" in schema else []
    return own + [name for part in schema.values() for name in references(part)]


def _collect(schemas: dict[str, Any], known: dict[str, Any], name: str) -> None:
    """Put a type, and before it all that it refers to, among the schemas."""
    found = _moved(known[name])
    if name in schemas:
        if _shape(schemas[name]) != _shape(found):
            raise ValueError(f"{name} means two things in the documents of docs/reference")
        return
    for other in references(found):
        _collect(schemas, known, other)
    schemas[name] = found


def _shape(schema: Any) -> Any:
    """A schema without what pydantic writes differently in a document of its own: defaults of null."""
    if isinstance(schema, list):
        return [_shape(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _shape(part) for key, part in schema.items() if not (key == "default" and part is None)}


def _moved(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_moved(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: PREFIX + part.rpartition("/")[2] if key == "$ref" else _moved(part) for key, part in schema.items()}


def _without_dialect(schema: dict[str, Any]) -> dict[str, Any]:
    return {key: part for key, part in schema.items() if key != "$schema"}
