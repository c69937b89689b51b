"""The chain of the audit log: what an entry's hash is made of, and where a chain breaks. Pure."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

BEGINNING = bytes(32)  # the hash before the first entry


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One thing that somebody did. `actor` is a pseudonym; `object` names what it was done to."""

    number: int
    at: datetime
    actor: str
    action: str
    object: str
    details: Mapping[str, Any]
    hash: bytes = b""

    def chained(self, before: bytes) -> bytes:
        """The hash that the entry has after an entry with the hash `before`."""
        at = self.at.astimezone(UTC).isoformat(timespec="microseconds")
        told = [self.number, at, self.actor, self.action, self.object, dict(self.details)]
        text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(before + text.encode()).digest()

    def problem_after(self, number: int, before: bytes) -> str | None:
        """What is wrong with the entry, after one with this number and hash (0 and BEGINNING at first); None if
        nothing is."""
        if self.number != number + 1:
            return f"entry {number + 1} is missing: after {number} comes {self.number}"
        if self.hash != self.chained(before):
            return f"entry {self.number} is not what was written: its hash does not follow from it and the one before"
        return None
