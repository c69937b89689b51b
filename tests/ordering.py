"""What may happen to one piece of content, in any order, and the state in which it must end: the oracle of the order
tests. It knows the rules as README and standing.py state them, and nothing of how the router follows them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn
from secondlook.common.contract.fields import Scores
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.contract.reports import ContentReported
from secondlook.router.coin.secret import SECRET_BYTES, CoinSecret
from secondlook.router.priority import DRAWN, priority
from secondlook.router.routing import Routing, route

SOURCE = "forum"
SECRET = CoinSecret(bytes(SECRET_BYTES))
POLICY = (
    "{name: test, labels: {spam: {description: advertising}}, audit: {certify: 0.2, most: 0.5}, "
    "reports: {reopen_after: 2, within: 24h, unproven: 100000}}"
)
SCORES = {word: float(np.float32(score)) for word, score in [("fine", 0.1), ("sure", 0.9), ("unsure", 0.5)]}
THRESHOLDS = Thresholds(approve=0.2, reject={"spam": 0.8})
START = datetime(2025, 1, 1, tzinfo=UTC)

Event = ContentSubmitted | ContentWithdrawn | ContentReported
Pick = Callable[[int], int]  # a number from 0 to below its argument


def scenario(content_id: str, pick: Pick) -> list[Event]:
    """Revisions, their repeats with other times and counts, withdrawals, some at equal times, and reports; in a drawn
    order."""
    events: list[Event] = []
    for revision in range(1, 2 + pick(3)):
        word = list(SCORES)[pick(3)]
        for _ in range(1 + pick(3)):
            events.append(
                ContentSubmitted(
                    source=SOURCE, content_id=content_id, revision=revision, text=f"{word} {content_id} {revision}",
                    created_at=START + timedelta(hours=2 * revision + pick(4)),
                    reports=(0, 0, 1, 20)[pick(4)], reach=(0, 100, 100_000)[pick(3)],
                )
            )  # fmt: skip
    for _ in range(pick(3)):
        at = START + timedelta(hours=2 + pick(10))
        events.append(ContentWithdrawn(source=SOURCE, content_id=content_id, withdrawn_at=at))
    for number in range(pick(4)):
        events.append(
            ContentReported(
                source=SOURCE, content_id=content_id, report_id=f"{content_id}.{number}", reporter=f"u{pick(3)}",
                reason="spam", reported_at=START + timedelta(hours=12 * pick(5)),
            )
        )  # fmt: skip
    for last in range(len(events) - 1, 0, -1):  # Fisher and Yates
        other = pick(last + 1)
        events[last], events[other] = events[other], events[last]
    return events


@dataclass(frozen=True, slots=True)
class State:
    """How a piece of content ends. Of withdrawn content only the first three and `reviews` are fixed."""

    latest_revision: int
    withdrawn_at: datetime | None
    withdrawn: bool
    reviews: tuple[tuple[int, int], ...] = ()  # revision and priority of those that are open, sorted
    created_at: datetime | None = None
    counts: tuple[int, int] = (0, 0)
    outcome: str | None = None  # of the model's decision on the latest revision
    audited: bool = False


def expected(events: Sequence[Event], policy: Policy) -> State:
    """The state after these events, whatever their order."""
    withdrawn_at = max((e.withdrawn_at for e in events if isinstance(e, ContentWithdrawn)), default=None)
    submitted = [event for event in events if isinstance(event, ContentSubmitted)]
    latest = max(event.revision for event in submitted)
    own = [event for event in submitted if event.revision == latest]
    created_at = min(event.created_at for event in own)
    if withdrawn_at is not None and created_at <= withdrawn_at:
        return State(latest, withdrawn_at, True)
    reported = [event for event in events if isinstance(event, ContentReported)]
    reporters = {event.reporter for event in reported}  # of whom nothing is known: each weighs 1
    reports, reach = max(event.reports for event in own), max(event.reach for event in own)
    content = own[0].model_copy(update={"reports": reports, "reach": reach})
    scores = {"spam": SCORES[content.text.split()[0]]}
    routing = placed(content, scores, policy)
    weighed = content.model_copy(update={"reports": max(reports, len(reporters))})
    place = DRAWN if routing.drawn else priority(weighed, scores, policy)
    reviews = [(latest, place)] if routing.why else []
    if routing.outcome == "approve" and together(reported):
        reviews.append((latest, priority(weighed, scores, policy)))
    return State(
        latest, withdrawn_at, False, tuple(sorted(reviews)), created_at, (reports, reach),
        routing.outcome, routing.outcome is not None and routing.why is not None,
    )  # fmt: skip


def together(reported: Sequence[ContentReported]) -> bool:
    """Whether two people report it within a day."""
    return any(
        one.reporter != other.reporter and abs(one.reported_at - other.reported_at) <= timedelta(hours=24)
        for one in reported for other in reported
    )  # fmt: skip


def placed(content: ContentSubmitted, scores: Scores, policy: Policy) -> Routing:
    """The routing; what the coin drew stands where other items stand, which no rule of order says, here at DRAWN."""
    routing = route(content, scores, THRESHOLDS, policy, u=SECRET.flip(content))
    return routing._replace(priority=DRAWN) if routing.drawn else routing


def policy() -> Policy:
    return parse_policy(POLICY)
