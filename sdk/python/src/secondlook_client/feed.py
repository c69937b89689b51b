"""Decisions to follow: which, and those of the stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from secondlook_client.models import FollowedDecision


class Followed(NamedTuple):
    """A decision of the stream. Keep `cursor` once it is dealt with: `after` for what follows."""

    cursor: str
    decision: FollowedDecision


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
