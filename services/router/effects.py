"""The effects of a batch, computed in memory. Pure: rows to write, events to publish, records to set aside."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from secondlook.common.bus.wire import trace_of
from secondlook.common.contract.events import ContentWithdrawn, Event, ReviewRequested, Why, review_id
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.reports import ContentReported, RaisedReview
from secondlook.common.errors import InvalidInput, ReportReused
from secondlook.common.service.stream import Item
from secondlook.router import answers
from secondlook.router.answers import Routed
from secondlook.router.identity.admission import gone, reused
from secondlook.router.identity.changes import Effects, RevisionRow
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
from secondlook.router.reports.book import Approved, LatestRevision, ReportBook
from secondlook.router.routing import REVIEW, place, raised

WHYS = frozenset(Why)


@dataclass(slots=True)
class _Walk:
    """What is known at one point of a batch."""

    contents: dict[Key, ContentRow]
    revisions: dict[KeyedRevision, KnownRevision]
    now: datetime
    book: ReportBook
    policy: Policy | None
    effects: Effects = field(default_factory=Effects)

    def keep(self, key: Key, row: ContentRow) -> None:
        self.contents[key] = self.effects.contents[key] = row

    def publish(self, event: Event, item: Item) -> None:
        self.effects.events.append((event, trace_of(item.record.headers)))

    def set_aside(self, item: Item, problem: InvalidInput) -> None:
        self.effects.dead_letters.append((item.record, problem))


def effects_of(
    batch: Iterable[Routed | tuple[Item, ContentWithdrawn | ContentReported]],
    contents: Mapping[Key, ContentRow],
    revisions: Mapping[KeyedRevision, KnownRevision],
    now: datetime,
    book: ReportBook | None = None,
    policy: Policy | None = None,
) -> Effects:
    """The effects of a batch, in its order, on what is stored of its `contents` and of its `revisions`.

    `book` holds what is stored of the reports of its contents, and takes what becomes of them, under this policy.
    """
    walk = _Walk(dict(contents), dict(revisions), now, ReportBook() if book is None else book, policy)
    for entry in batch:
        if isinstance(entry, Routed):
            _submit(walk, entry)
            continue
        item, event = entry
        if isinstance(event, ContentReported):
            _report(walk, item, event)
        else:
            _withdraw(walk, item, event)
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
    routed = _with_reports(walk, routed, key)
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
    walk.book.latest[key] = LatestRevision(route, routed.scores, routing.drawn)
    _keep_for_reports(walk, routed, key, row, passed is None and routing.outcome == "approve")
    after = _reopened(walk, routed.item, key, _closed_if_withdrawn(walk, routed.item, key, after))
    walk.keep(key, after)


def _with_reports(walk: _Walk, routed: Routed, key: Key) -> Routed:
    """With the place in the queue that earlier reports give it."""
    routing, worth = routed.routing, walk.book.worth(key)
    if routing.why is None or routing.drawn or worth <= routed.content.reports:
        return routed
    priority = place(routed.content.reach, worth, routed.scores, routed.policy)
    return routed._replace(routing=routing._replace(priority=priority))


def _keep_for_reports(walk: _Walk, routed: Routed, key: Key, before: ContentRow, approved: bool) -> None:
    """Keep what a review of an automatic approval needs, as long as the policy wants to hear reports of it."""
    if approved and routed.policy is not None and routed.policy.reports is not None:
        request, author = answers.reopenable(routed, walk.now), routed.content.author_id
        walk.book.approve(key, Approved(routed.content.revision, request.model_dump_json(), author))
    elif before.latest_revision:
        walk.book.approve(key, None)


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
        _raise_reopened(walk, routed.item, key, row, after)
    walk.keep(key, after)


def _raise(walk: _Walk, routed: Routed, known: KnownRevision, row: ContentRow, after: ContentRow) -> None:
    """Ask for the open review again, with the place that the higher counts give it; the review stays the same one."""
    worth = walk.book.worth((routed.content.source, routed.content.content_id))
    before, joined = (
        routed.content.model_copy(update={"reports": max(counts.reports, worth), "reach": counts.reach})
        for counts in (row, after)
    )
    place = raised(joined, routed.scores, routed.policy, routed.routing)
    if place <= raised(before, routed.scores, routed.policy, routed.routing):
        return
    if known.audited and routed.routing.outcome != known.route:
        return  # another policy or bundle decides by now: what the audit looks at cannot be said again
    if known.why not in WHYS:
        return  # a person was asked about it because of reports alone
    prior = answers.audited(routed) if known.audited else None
    joined = joined.model_copy(update={"reports": after.reports})
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
    if row.withdrawn and walk.book.approved.get(key, ()) is not None:
        walk.book.approve(key, None)
    if not row.reviewed_up_to or not row.withdrawn:
        return row
    walk.publish(answers.cancelled(*key, row.latest_revision, walk.now, withdrawn=True), item)
    return row._replace(reviewed_up_to=0)


def _report(walk: _Walk, item: Item, event: ContentReported) -> None:
    key, book = (event.source, event.content_id), walk.book
    row, worth = walk.contents.get(key, ContentRow()), book.worth(key)
    before = len(book.dropped)
    try:
        new = book.take(event, walk.now)
    except ReportReused as problem:
        walk.set_aside(item, problem)
        return
    dropped = len(book.dropped) - before
    walk.effects.reports += Counter(kept=int(new), dropped=dropped, repeated=int(not new and not dropped))
    if new:
        walk.publish(answers.reported(event, _moved(walk, key, row, worth), walk.now), item)
    after = _reopened(walk, item, key, row._replace(reported=True))
    if after != row:
        walk.keep(key, after)


def _moved(walk: _Walk, key: Key, row: ContentRow, worth: int) -> RaisedReview | None:
    """The open review with its new place, if the reports give it an earlier one than those before, worth `worth`."""
    latest, number = walk.book.latest.get(key), row.latest_revision
    if not row.reviewed_up_to or row.withdrawn or latest is None:
        return None
    if row.reopened != number and (latest.drawn or latest.route != "review"):
        return None
    before, after = (
        place(row.reach, max(row.reports, count), latest.scores, walk.policy) for count in (worth, walk.book.worth(key))
    )
    review = review_id(*key, number, Why.REPORTED if row.reopened == number else Why.UNCERTAIN)
    return RaisedReview(review_id=review, priority=after) if after > before else None


def _reopened(walk: _Walk, item: Item, key: Key, row: ContentRow) -> ContentRow:
    """Send what was approved automatically to a person, if its reports ask for that; once a revision."""
    latest, approved = row.latest_revision, walk.book.approved.get(key)
    if not row.reported or row.withdrawn or approved is None or approved.revision != latest:
        return row
    if max(row.judged, row.reopened) >= latest or walk.book.asks(key, walk.policy) is None:
        return row
    walk.publish(_request(walk, approved, key, row), item)
    unproven = walk.book.reopenings[(*key, latest)].unproven
    walk.effects.reopened["unproven" if unproven else "proven"] += 1
    return row._replace(reviewed_up_to=latest, reopened=latest)


def _raise_reopened(walk: _Walk, item: Item, key: Key, before: ContentRow, after: ContentRow) -> None:
    """What `_raise` does, for the review that reports asked for."""
    approved = walk.book.approved.get(key)
    if after.reopened == after.latest_revision and approved is not None and approved.revision == after.reopened:
        request = _request(walk, approved, key, after)
        if request.priority > _request(walk, approved, key, before).priority:
            walk.publish(request, item)
            walk.effects.raised += 1


def _request(walk: _Walk, approved: Approved, key: Key, row: ContentRow) -> ReviewRequested:
    request = ReviewRequested.model_validate_json(approved.request)
    priority = place(row.reach, max(row.reports, walk.book.worth(key)), request.scores, walk.policy)
    return request.model_copy(update={"priority": priority, "requested_at": walk.now})
