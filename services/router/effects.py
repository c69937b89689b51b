"""The effects of a batch, computed in memory. Pure: rows to write, events to publish, records to set aside."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from secondlook.common.bus import Record
from secondlook.common.bus.wire import trace_of
from secondlook.common.contract.events import ContentWithdrawn, Event, Why
from secondlook.common.contract.fields import Scores, Signals
from secondlook.common.errors import InvalidInput
from secondlook.common.service.stream import Item
from secondlook.router import answers
from secondlook.router.answers import Routed
from secondlook.router.identity.admission import gone, reused
from secondlook.router.identity.hashes import Identity, identity_of
from secondlook.router.identity.standing import (
    ACCEPTED,
    SUPERSEDED,
    WITHDRAWN,
    ContentRow,
    Key,
    KeyedRevision,
    KnownRevision,
)
from secondlook.router.routing import REVIEW, raised


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
    withdrawals: int = 0
    remembered: int = 0


@dataclass(slots=True)
class _Walk:
    """What is known at one point of a batch."""

    contents: dict[Key, ContentRow]
    revisions: dict[KeyedRevision, KnownRevision]
    now: datetime
    effects: Effects = field(default_factory=Effects)

    def keep(self, key: Key, row: ContentRow) -> None:
        self.contents[key] = self.effects.contents[key] = row

    def publish(self, event: Event, item: Item) -> None:
        self.effects.events.append((event, trace_of(item.record.headers)))

    def set_aside(self, item: Item, problem: InvalidInput) -> None:
        self.effects.dead_letters.append((item.record, problem))


def effects_of(
    batch: Iterable[Routed | tuple[Item, ContentWithdrawn]],
    contents: Mapping[Key, ContentRow],
    revisions: Mapping[KeyedRevision, KnownRevision],
    now: datetime,
) -> Effects:
    """The effects of a batch, in its order, on what is stored of its `contents` and of its `revisions`."""
    walk = _Walk(dict(contents), dict(revisions), now)
    for entry in batch:
        if isinstance(entry, Routed):
            _submit(walk, entry)
        else:
            _withdraw(walk, *entry)
    return walk.effects


def _submit(walk: _Walk, routed: Routed) -> None:
    content = routed.content
    key, identity = (content.source, content.content_id), identity_of(content)
    known = walk.revisions.get((*key, content.revision))
    if problem := reused(content, known, identity):
        walk.set_aside(routed.item, problem)
    elif known is None or known.route == ACCEPTED:
        if known is not None:
            walk.effects.promised.append((*key, content.revision))
        _submit_first(walk, routed, key, identity)
    else:
        _submit_again(walk, routed, key, known)


def _submit_first(walk: _Walk, routed: Routed, key: Key, identity: Identity) -> None:
    content, routing = routed.content, routed.routing
    row = walk.contents.get(key, ContentRow())
    after = row.joined(content)
    passed = SUPERSEDED if content.revision < row.latest_revision else WITHDRAWN if after.withdrawn else None
    why = passed or (routing.why.value if routing.why else "sure")
    audited = not passed and routing.why is not None and routing.outcome is not None
    route = passed or routing.route
    walk.revisions[*key, content.revision] = KnownRevision(*identity, route, why, audited)
    walk.effects.revisions.append(
        RevisionRow(
            *key, content.revision, *identity, route, why, audited,
            routed.scores, routed.policy_version, routed.bundle_version, content.signals or None,
            routing.reason if route == REVIEW else None,
        )
    )  # fmt: skip
    if passed == SUPERSEDED:
        return
    if passed is None:
        after = _decide(walk, routed, after)
    walk.keep(key, _closed_if_withdrawn(walk, routed.item, key, after))


def _decide(walk: _Walk, routed: Routed, row: ContentRow) -> ContentRow:
    """Publish what the routing says; returns the row with the review that is open now."""
    content, routing = routed.content, routed.routing
    if routing.outcome is not None:
        walk.publish(answers.decided(routed, walk.now), routed.item)
    if routing.why is not None:
        walk.publish(answers.requested(routed, routing.why, answers.audited(routed), walk.now), routed.item)
        return row._replace(reviewed_up_to=content.revision)
    if row.reviewed_up_to:
        walk.publish(answers.cancelled(content.source, content.content_id, content.revision - 1, walk.now), routed.item)
    return row._replace(reviewed_up_to=0)


def _submit_again(walk: _Walk, routed: Routed, key: Key, known: KnownRevision) -> None:
    """A repeat changes nothing, but that its times and counts join those of the latest revision."""
    content = routed.content
    row = walk.contents.get(key, ContentRow())
    latest = content.revision == row.latest_revision
    if latest and row.withdrawn and row.withdrawn_at is not None and content.created_at > row.withdrawn_at:
        walk.set_aside(routed.item, gone(content, row.withdrawn_at))
        return
    walk.effects.duplicates += 1
    after = row.joined(content)
    if after == row:
        return
    after = _closed_if_withdrawn(walk, routed.item, key, after)
    if after.reviewed_up_to:
        _raise(walk, routed, known, row, after)
    walk.keep(key, after)


def _raise(walk: _Walk, routed: Routed, known: KnownRevision, row: ContentRow, after: ContentRow) -> None:
    """Ask for the open review again, with the place that the higher counts give it; the review stays the same one."""
    before, joined = (
        routed.content.model_copy(update={"reports": counts.reports, "reach": counts.reach}) for counts in (row, after)
    )
    place = raised(joined, routed.scores, routed.policy, routed.routing)
    if place <= raised(before, routed.scores, routed.policy, routed.routing):
        return
    if known.audited and routed.routing.outcome != known.route:
        return  # another policy or bundle decides by now: what the audit looks at cannot be said again
    prior = answers.audited(routed) if known.audited else None
    again = routed._replace(content=joined, routing=routed.routing._replace(priority=place))
    walk.publish(answers.requested(again, Why(known.why), prior, walk.now), routed.item)
    walk.effects.raised += 1


def _withdraw(walk: _Walk, item: Item, event: ContentWithdrawn) -> None:
    key = (event.source, event.content_id)
    row = walk.contents.get(key, ContentRow())
    if row.withdrawn_at is not None and event.withdrawn_at <= row.withdrawn_at:
        walk.effects.duplicates += 1
        return
    if row.latest_revision:
        walk.effects.withdrawals += 1
    else:
        walk.effects.remembered += 1
    walk.keep(key, _closed_if_withdrawn(walk, item, key, row.withdrawn_as_of(event.withdrawn_at)))


def _closed_if_withdrawn(walk: _Walk, item: Item, key: Key, row: ContentRow) -> ContentRow:
    """Close the open review of withdrawn content; returns the row without it."""
    if not row.reviewed_up_to or not row.withdrawn:
        return row
    walk.publish(answers.cancelled(*key, row.latest_revision, walk.now, withdrawn=True), item)
    return row._replace(reviewed_up_to=0)
