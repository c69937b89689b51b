"""Webhooks, genuine and hostile: one table for the clients and examples of every language."""

import json
from pathlib import Path
from typing import Any, NamedTuple

TABLE = Path(__file__).parent / "webhooks.json"


class Webhook(NamedTuple):
    """A request as it arrives at `now`. `valid`: Second Look signed it, by one of the secrets, in time."""

    name: str
    valid: bool
    secrets: list[str]
    headers: dict[str, str]
    body: str
    now: int


def webhooks() -> list[Webhook]:
    rows: list[dict[str, Any]] = json.loads(TABLE.read_text(encoding="utf-8"))
    return [Webhook(**row) for row in rows]
