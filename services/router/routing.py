"""Where an item goes. Pure: no clock, no I/O, no chance. The same arguments always give the same routing.

Whatever is missing or broken leads to review, never to an automatic decision.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

from secondlook.common.bundle.certificates import HALF
from secondlook.common.bundle.sides import deciding, is_probability
from secondlook.common.contract.events import Coin, ContentSubmitted, Why
from secondlook.common.contract.fields import Outcome
from secondlook.common.contract.policy import Override, Policy, Thresholds
from secondlook.common.text.language import spoken
from secondlook.common.text.scope import Scope
from secondlook.router.coin.rates import Rates, audit_rates
from secondlook.router.priority import DRAWN, priority, weighed

DEFAULT_QUEUE = "default"
REVIEW = "review"  # the route to a person
UNIFORM = "uniform"  # the stratum of what the coin draws out of all traffic
EVERYTHING = Rates(1.0, 1.0)


class Routing(NamedTuple):
    """`outcome` is None for review, `action` follows from it and the policy; `why` is None for a decision that no
    person is asked about. `judged`: the shares that `Coin` carries as `approve` and `reject`.
    """

    outcome: Outcome | None
    labels: tuple[str, ...]
    action: str
    confidence: float | None
    why: Why | None
    reason: str
    u: float
    inclusion_probability: float
    stratum: str
    queue: str
    priority: int
    judged: Rates = EVERYTHING

    @property
    def coin(self) -> Coin:
        """As a review request carries it; most items are never asked about."""
        return Coin(
            u=self.u, inclusion_probability=self.inclusion_probability, stratum=self.stratum,
            approve=self.judged.approve, reject=self.judged.reject,
        )  # fmt: skip

    @property
    def drawn(self) -> bool:
        """Whether the coin drew it for people: out of all traffic, or to audit an automatic decision."""
        return self.why is not None and (self.outcome is not None or self.stratum == UNIFORM)

    @property
    def route(self) -> str:
        return self.outcome or REVIEW


def route(
    content: ContentSubmitted,
    scores: Mapping[str, float] | None,
    thresholds: Thresholds,
    policy: Policy | None,
    *,
    u: float,
    scope: Scope = Scope.FITS,
    detail: str = "",
    rates: Rates | None = None,
    missing: Mapping[str, str] | None = None,
) -> Routing:
    """Route one item.

    Args:
        scores: a calibrated probability for every label of the policy; None without a usable bundle. Other labels
            do not count; a missing or impossible probability is no usable bundle.
        thresholds: of the sides that decide automatically; a side without one is off.
        policy: None when no policy was published yet.
        u: the item's audit coin in [0, 1), fixed for the item and blind to its text and scores (`coin/secret.py`).
        scope: whether the model was made for the text.
        detail: what belongs to the scope, such as the language.
        rates: the shares of automatic decisions to audit; None for the policy's, as of the first item.
        missing: why signals that were asked for did not come.
    """
    if policy is None:
        place = _Place(u, False, DEFAULT_QUEUE, priority(content, None, None))
        return place.review(Why.NO_BUNDLE, "no policy is published")
    scores = _usable(scores, policy)
    language = spoken(content.language, content.text) if policy.asks_for_language else None
    override = policy.override_for(content.source, content.kind, language)
    place = _place(content, scores, policy, override, u)
    if policy.kill_switch:
        return place.review(Why.KILL_SWITCH, "the kill switch is on")
    if scores is None:
        return place.review(Why.NO_BUNDLE, "no usable bundle")
    if override is not None and override.review_all:
        return place.review(Why.UNCERTAIN, "the policy sends all of these to review")
    if not content.text and not content.signals:
        return place.review(Why.UNCERTAIN, "it has neither text nor signals")
    if lacking := next((name for name in policy.signals.required if name not in content.signals), None):
        why = (missing or {}).get(lacking, "nobody gave it")
        return place.review(Why.UNCERTAIN, f"required signal {lacking} is missing: {why}")
    rates = rates or audit_rates(policy)
    place = place._replace(rates=rates, judged=_judged(rates, thresholds, policy))
    sides = deciding(scores, thresholds, scope=scope)
    over = tuple(side.label for side in sides if side.label is not None)
    highest = max(scores.values())
    if over:
        named = ", ".join(f"{label} {scores[label]:.3f} ≥ {thresholds.reject[label]:.3f}" for label in over)
        return place.automatic(policy, "reject", over, max(scores[label] for label in over), named)
    if sides:
        named = f"highest score {highest:.3f} ≤ {thresholds.approve:.3f}"
        return place.automatic(policy, "approve", (), 1 - highest, named)
    if scope is not Scope.FITS:
        return place.review(Why.UNCERTAIN, f"{scope.reason}: {detail}" if detail else scope.reason)
    return place.review(Why.UNCERTAIN, f"highest score {highest:.3f} is between thresholds")


def raised(
    content: ContentSubmitted, scores: Mapping[str, float] | None, policy: Policy | None, routing: Routing
) -> int:
    """The priority that the item has with the counts in `content`. What the coin drew keeps its place."""
    if routing.drawn:
        return routing.priority
    return place(content.reach, content.reports, scores, policy)


def place(reach: int, reports: int, scores: Mapping[str, float] | None, policy: Policy | None) -> int:
    """The priority of an item with these counts that the coin did not draw."""
    return weighed(reach, reports, None if policy is None else _usable(scores, policy), policy)


def _usable(scores: Mapping[str, float] | None, policy: Policy) -> Mapping[str, float] | None:
    """The probability of each of the policy's labels, or None unless each has one."""
    named = {label: (scores or {}).get(label, math.nan) for label in policy.labels}
    return named if all(map(is_probability, named.values())) else None


def _judged(rates: Rates, thresholds: Thresholds, policy: Policy) -> Rates:
    """What people judge of what is likely to be approved, with scores below one half, and of what is likely to be
    rejected: all of it where no side decides there."""
    approve = thresholds.approve
    rejects = [threshold for label, threshold in thresholds.reject.items() if label in policy.labels]
    approving = 1.0 if approve is None else rates.approve
    rejecting = rates.reject if rejects else 1.0
    both = min(approving, rejecting)  # thresholds that are set by hand may lie on either side of one half
    return Rates(
        both if min(rejects, default=1.0) < HALF else approving,
        both if approve is not None and approve >= HALF else rejecting,
    )


class _Place(NamedTuple):
    """The coin of an item and its place in review, which no decision changes: an audit looks like any other item."""

    u: float
    uniform: bool
    queue: str
    priority: int
    rates: Rates = EVERYTHING
    judged: Rates = EVERYTHING

    def review(self, why: Why, reason: str) -> Routing:
        stratum = UNIFORM if self.uniform else why.value
        return Routing(None, (), "", None, why, reason, self.u, 1.0, stratum, self.queue, self.priority, self.judged)

    def automatic(
        self, policy: Policy, outcome: Outcome, labels: tuple[str, ...], confidence: float, reason: str
    ) -> Routing:
        share = self.rates.approve if outcome == "approve" else self.rates.reject
        stratum = UNIFORM if self.uniform else f"audit_{outcome}"
        why = Why.AUDIT if self.u < share else None
        # Without any audit the share is 0 and the coin is never used: probability 1 only keeps the field in range.
        coin = (self.u, share or 1.0, stratum)
        return Routing(
            outcome, labels, policy.action_for(labels), confidence, why, reason, *coin, self.queue, self.priority,
            self.judged,
        )  # fmt: skip


def _place(
    content: ContentSubmitted, scores: Mapping[str, float] | None, policy: Policy, override: Override | None, u: float
) -> _Place:
    uniform = u < policy.audit.certify
    queue = (override and override.queue) or policy.default_queue
    return _Place(u, uniform, queue, DRAWN if uniform else priority(content, scores, policy))
