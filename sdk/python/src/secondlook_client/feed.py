"""Decisions to follow: pages of the feed, and events of the stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from secondlook_client._model import Read
from secondlook_client.models import Decision

OLDEST = None
END = "now"  # as `after`: only what is published from now on


class FeedPage(Read):
    """Decisions, oldest first. Of one piece of content the highest `sequence` counts."""

    decisions: tuple[Decision, ...]
    next: str
    """Keep it once the decisions are dealt with: `after` for what follows, also after a restart."""


class Followed(NamedTuple):
    """A decision of the stream. Keep `cursor` once it is dealt with: `after` for what follows."""

    cursor: str
    decision: Decision


@dataclass(frozen=True, slots=True)
class Filter:
    """Which decisions to follow; None means all. A cursor is good for the filter that it came with."""

    source: str | Sequence[str] | None = None
    label: str | Sequence[str] | None = None
    outcome: Literal["approve", "reject"] | None = None
    decided_by: str | None = None

    def params(self) -> list[tuple[str, str]]:
        """The query parameters."""
        found = []
        for name in ("source", "label", "outcome", "decided_by"):
            value: str | Sequence[str] | None = getattr(self, name)
            values = [value] if isinstance(value, str) else value or []
            found += [(name, one) for one in values]
        return found
