"""What a batch of content changes: rows to write, events to publish, records to set aside. Pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from secondlook.common.bus import Record
from secondlook.common.contract.events import Event
from secondlook.common.contract.fields import Scores, Signals
from secondlook.common.errors import InvalidInput
from secondlook.router.identity.standing import ContentRow, Key, KeyedRevision


class RevisionRow(NamedTuple):
    """A row of `revision`, column by column."""

    source: str
    content_id: str
    revision: int
    text_sha256: bytes
    content_sha256: bytes
    route: str
    why: str
    audited: bool
    scores: Scores | None
    policy_version: int | None
    bundle_version: str | None
    signals: Signals | None
    reason: str | None


@dataclass(slots=True)
class Effects:
    """Everything that a batch changes. `promised`: those of its revisions that the HTTP API had accepted."""

    contents: dict[Key, ContentRow] = field(default_factory=dict)
    revisions: list[RevisionRow] = field(default_factory=list)
    promised: list[KeyedRevision] = field(default_factory=list)
    events: list[tuple[Event, str | None]] = field(default_factory=list)
    dead_letters: list[tuple[Record, InvalidInput]] = field(default_factory=list)
    duplicates: int = 0
    raised: int = 0
    reports: Counter[str] = field(default_factory=Counter)  # `kept`, `repeated`, `dropped`
    reopened: Counter[str] = field(default_factory=Counter)  # `proven`, `unproven`
    withdrawals: int = 0
    remembered: int = 0
