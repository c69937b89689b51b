"""The effects of a batch, computed in memory. Pure: rows to write, events to publish, records to set aside."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from secondlook.common.bus import Record
from secondlook.common.bus.wire import trace_of
from secondlook.common.contract.events import (
    ContentDecided,
    ContentSubmitted,
    ContentWithdrawn,
    Event,
    PriorDecision,
    ReviewCancelled,
    ReviewRequested,
    Why,
    decision_id,
    first_sequence,
    review_id,
)
from secondlook.common.contract.fields import Scores
from secondlook.common.errors import FieldProblem, InvalidInput, RevisionReused
from secondlook.common.service.stream import Item
from secondlook.common.text.scope import Scope
from secondlook.router.routing import Routing

Key = tuple[str, str]


class Routed(NamedTuple):
    """A submitted revision with its routing, and the scores, policy and bundle behind it."""

    item: Item
    content: ContentSubmitted
    routing: Routing
    scores: Scores | None
    embedding: str | None
    policy_version: int | None
    bundle_version: str | None
    scope: Scope = Scope.FITS


class ContentRow(NamedTuple):
    """A row of `content`."""

    latest_revision: int
    reviewed_up_to: int = 0
    withdrawn_at: datetime | None = None  # of the last withdrawal; a higher revision may have come since


class RevisionRow(NamedTuple):
    """A row of `revision`, column by column."""

    source: str
    content_id: str
    revision: int
    text_sha256: bytes
    route: str
    why: str
    audited: bool
    scores: Scores | None
    policy_version: int | None
    bundle_version: str | None


@dataclass(slots=True)
class Effects:
    """Everything that a batch changes."""

    contents: dict[Key, ContentRow] = field(default_factory=dict)
    revisions: list[RevisionRow] = field(default_factory=list)
    events: list[tuple[Event, str | None]] = field(default_factory=list)
    dead_letters: list[tuple[Record, InvalidInput]] = field(default_factory=list)
    duplicates: int = 0
    withdrawals: int = 0


def text_sha256(text: str) -> bytes:
    """What tells a repeat from a reused revision."""
    return hashlib.sha256(text.encode()).digest()


def effects_of(
    batch: Iterable[Routed | tuple[Item, ContentWithdrawn]],
    contents: Mapping[Key, ContentRow],
    hashes: Mapping[tuple[str, str, int], bytes],
    now: datetime,
) -> Effects:
    """The effects of a batch, in its order, on stored `contents` and on the text `hashes` of known revisions."""
    effects = Effects()
    known, seen = dict(contents), dict(hashes)
    for entry in batch:
        if isinstance(entry, Routed):
            _submit(entry, known, seen, now, effects)
        else:
            _withdraw(*entry, known, now, effects)
    return effects


def _submit(
    routed: Routed,
    known: dict[Key, ContentRow],
    seen: dict[tuple[str, str, int], bytes],
    now: datetime,
    effects: Effects,
) -> None:
    content, routing = routed.content, routed.routing
    key, digest = (content.source, content.content_id), text_sha256(content.text)
    earlier = seen.get((*key, content.revision))
    if earlier == digest:
        effects.duplicates += 1
        return
    if earlier is not None:
        problem = f"revision {content.revision} of {content.key} is known with other text; send a higher revision"
        effects.dead_letters.append((routed.item.record, RevisionReused([FieldProblem("revision", problem)])))
        return
    seen[*key, content.revision] = digest
    row = known.get(key)
    stale = row is not None and content.revision < row.latest_revision
    asked = not stale and routing.why is not None
    effects.revisions.append(
        RevisionRow(
            source=content.source,
            content_id=content.content_id,
            revision=content.revision,
            text_sha256=digest,
            route="superseded" if stale else routing.route,
            why="superseded" if stale else (routing.why.value if routing.why else "sure"),
            audited=asked and routing.outcome is not None,
            scores=routed.scores,
            policy_version=routed.policy_version,
            bundle_version=routed.bundle_version,
        )
    )
    if stale:
        return
    trace = trace_of(routed.item.record.headers)
    prior = None
    if routing.outcome is not None:
        decided = _decided(routed, now)
        prior = PriorDecision(
            decision_id=decided.decision_id,
            sequence=decided.sequence,
            outcome=decided.outcome,
            labels=decided.labels,
        )
        effects.events.append((decided, trace))
    if routing.why is not None:
        effects.events.append((_requested(routed, routing.why, prior, now), trace))
    elif row is not None and row.reviewed_up_to:
        effects.events.append((_cancelled(content.source, content.content_id, content.revision - 1, now), trace))
    withdrawn_at = row.withdrawn_at if row is not None else None
    known[key] = effects.contents[key] = ContentRow(content.revision, content.revision if asked else 0, withdrawn_at)


def _withdraw(
    item: Item, event: ContentWithdrawn, known: dict[Key, ContentRow], now: datetime, effects: Effects
) -> None:
    key = (event.source, event.content_id)
    row = known.get(key)
    if row is None or (row.withdrawn_at is not None and event.withdrawn_at <= row.withdrawn_at):
        effects.duplicates += 1  # unknown content, or a repeat, which must not withdraw what came after it
        return
    effects.withdrawals += 1
    if row.reviewed_up_to:
        cancelled = _cancelled(*key, row.latest_revision, now, withdrawn=True)
        effects.events.append((cancelled, trace_of(item.record.headers)))
    known[key] = effects.contents[key] = row._replace(reviewed_up_to=0, withdrawn_at=event.withdrawn_at)


def _decided(routed: Routed, now: datetime) -> ContentDecided:
    content, routing = routed.content, routed.routing
    assert routing.outcome is not None  # noqa: S101
    sequence = first_sequence(content.revision)
    return ContentDecided(
        source=content.source,
        content_id=content.content_id,
        decision_id=decision_id(content.source, content.content_id, content.revision, sequence),
        revision=content.revision,
        sequence=sequence,
        outcome=routing.outcome,
        labels=routing.labels,
        action=routing.action,
        decided_by="model",
        decided_at=now,
        confidence=routing.confidence,
        policy_version=routed.policy_version,
        bundle_version=routed.bundle_version,
        reason=routing.reason,
    )


def _requested(routed: Routed, why: Why, prior: PriorDecision | None, now: datetime) -> ReviewRequested:
    content, routing = routed.content, routed.routing
    return ReviewRequested(
        source=content.source,
        content_id=content.content_id,
        review_id=review_id(content.source, content.content_id, content.revision, why),
        revision=content.revision,
        content=content,
        why=why,
        queue=routing.queue,
        priority=routing.priority,
        coin=routing.coin,
        scores=routed.scores,
        embedding=routed.embedding,
        prior=prior,
        policy_version=routed.policy_version,
        bundle_version=routed.bundle_version,
        requested_at=now,
    )


def _cancelled(source: str, content_id: str, up_to: int, now: datetime, *, withdrawn: bool = False) -> ReviewCancelled:
    return ReviewCancelled(
        source=source,
        content_id=content_id,
        up_to_revision=up_to,
        why="withdrawn" if withdrawn else "superseded",
        cancelled_at=now,
    )
