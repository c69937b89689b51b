"""Where an item goes. Pure: no clock, no I/O, no chance. The same arguments always give the same routing.

Whatever is missing or broken leads to review, never to an automatic decision.
"""

import hashlib
import math
from collections.abc import Mapping
from typing import NamedTuple

from secondlook.common.contract.events import Coin, ContentSubmitted, Why
from secondlook.common.contract.fields import Outcome
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.router.priority import DRAWN, priority

DEFAULT_QUEUE = "default"


class Routing(NamedTuple):
    """`outcome` is None for review, `action` follows from it and the policy; `why` is None for a decision that no
    person is asked about."""

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

    @property
    def coin(self) -> Coin:
        """As a review request carries it; most items are never asked about."""
        return Coin(u=self.u, inclusion_probability=self.inclusion_probability, stratum=self.stratum)

    @property
    def route(self) -> str:
        return self.outcome or "review"


def flip(salt: str, source: str, content_id: str, revision: int) -> float:
    """The audit coin's value in [0, 1): uniform over items, fixed for an item, blind to its text and score."""
    digest = hashlib.blake2b(f"{salt}\0{source}\0{content_id}\0{revision}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> 11) / 2**53


def route(
    content: ContentSubmitted,
    scores: Mapping[str, float] | None,
    thresholds: Thresholds,
    policy: Policy | None,
    *,
    whole: bool = True,
) -> Routing:
    """Route one item.

    Args:
        scores: a calibrated probability for every label of the policy; None without a usable bundle. Other labels
            do not count; a missing or impossible probability is no usable bundle.
        thresholds: what is decided automatically; a side that is not there is off.
        policy: None when no policy was published yet.
        whole: the model read the text to its end; of one that it did not, no low score approves.
    """
    if policy is None:
        return _review(content, None, None, Why.NO_BUNDLE, "no policy is published")
    scores = _usable(scores, policy)
    u = flip(policy.salt, content.source, content.content_id, content.revision)
    override = policy.override_for(content.source, content.kind)
    if policy.kill_switch:
        return _review(content, policy, scores, Why.KILL_SWITCH, "the kill switch is on", u)
    if scores is None:
        return _review(content, policy, None, Why.NO_BUNDLE, "no usable bundle", u)
    if override is not None and override.review_all:
        return _review(content, policy, scores, Why.UNCERTAIN, "the policy sends all of these to review", u)
    over = tuple(sorted(label for label, p in scores.items() if p >= thresholds.reject.get(label, math.inf)))
    if over:
        confidence = max(scores[label] for label in over)
        named = ", ".join(f"{label} {scores[label]:.3f} ≥ {thresholds.reject[label]:.3f}" for label in over)
        return _automatic(content, policy, scores, "reject", over, confidence, named, u)
    highest = max(scores.values())
    if not whole:
        return _review(content, policy, scores, Why.UNCERTAIN, "longer than the model reads", u)
    if thresholds.approve is not None and highest <= thresholds.approve:
        named = f"highest score {highest:.3f} ≤ {thresholds.approve:.3f}"
        return _automatic(content, policy, scores, "approve", (), 1 - highest, named, u)
    return _review(content, policy, scores, Why.UNCERTAIN, f"highest score {highest:.3f} is between thresholds", u)


def _usable(scores: Mapping[str, float] | None, policy: Policy) -> Mapping[str, float] | None:
    """The probability of each of the policy's labels, or None unless every one is there and is a probability."""
    named = {label: (scores or {}).get(label, math.nan) for label in policy.labels}
    return named if all(0 <= score <= 1 for score in named.values()) else None


def _automatic(
    content: ContentSubmitted,
    policy: Policy,
    scores: Mapping[str, float],
    outcome: Outcome,
    labels: tuple[str, ...],
    confidence: float,
    reason: str,
    u: float,
) -> Routing:
    extra = policy.audit.approve if outcome == "approve" else policy.audit.reject
    share = max(policy.audit.certify, extra)
    stratum = "uniform" if u < policy.audit.certify else f"audit_{outcome}"
    place = _place(content, policy, scores, u)
    why = Why.AUDIT if u < share else None
    # Without any audit the share is 0 and the coin is never used: probability 1 only keeps the field in range.
    coin = (u, share or 1.0, stratum)
    return Routing(outcome, labels, policy.action_for(labels), confidence, why, reason, *coin, *place)


def _review(
    content: ContentSubmitted,
    policy: Policy | None,
    scores: Mapping[str, float] | None,
    why: Why,
    reason: str,
    u: float = 0.0,
) -> Routing:
    uniform = policy is not None and u < policy.audit.certify
    coin = (u, 1.0, "uniform" if uniform else why.value)
    return Routing(None, (), "", None, why, reason, *coin, *_place(content, policy, scores, u))


def _place(
    content: ContentSubmitted, policy: Policy | None, scores: Mapping[str, float] | None, u: float
) -> tuple[str, int]:
    """Queue and priority; an audit is placed like any other item, so that it cannot be told apart."""
    if policy is None:
        return DEFAULT_QUEUE, priority(content, scores, policy)
    points = DRAWN if u < policy.audit.certify else priority(content, scores, policy)
    override = policy.override_for(content.source, content.kind)
    return (override and override.queue) or policy.default_queue, points
