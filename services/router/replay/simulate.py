"""Routes past decisions again under another policy. Pure, apart from what `read` does."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.policy import Policy
from secondlook.common.text.scope import Scope
from secondlook.router.coin.secret import CoinSecret
from secondlook.router.replay.count import Fate, ReplayedItem
from secondlook.router.replay.score import Read
from secondlook.router.routing import route
from secondlook.router.state import InForce


@dataclass(frozen=True, slots=True)
class PastDecision:
    """A revision as the router decided it, and the versions that it decided by."""

    content: ContentSubmitted
    fate: Fate
    policy_version: int | None
    bundle_version: str | None


def reroute(
    decided: Sequence[PastDecision], force: InForce, alike: Collection[str], read: Read, secret: CoinSecret
) -> list[ReplayedItem]:
    """Route past decisions again, by the scores of the time where they serve, else by the scores that `read` gives.

    Args:
        alike: the bundles that give the same scores as the one that the router would use, itself included; empty if
            no bundle is usable, and then nothing has scores. If there are some and `force` has no model, it cannot be
            opened here: the scores of then have to do, and every text counts as one that the model was made for.
        secret: what the router flips audit coins with.
    """
    policy = force.policy
    assert policy is not None  # noqa: S101
    kept = [_scores_of_then(one, policy, alike) for one in decided]
    coins = [secret.flip(one.content) for one in decided]
    routings = [
        route(one.content, scores, force.thresholds, policy, u=u)
        for one, scores, u in zip(decided, kept, coins, strict=True)
    ]
    # Whether the model was made for a text is not stored. For one that it approved it was, and one that it rejected it
    # may reject again; another has to be read.
    unread = [
        number
        for number, (one, routing) in enumerate(zip(decided, routings, strict=True))
        if force.model is not None
        and (
            kept[number] is None
            or (
                routing.outcome is not None
                and not (one.fate.route in ("approve", routing.outcome) and one.bundle_version in alike)
            )
        )
    ]
    for number, row in zip(unread, read([decided[number].content for number in unread]), strict=True):
        if kept[number] is None and row is not None:
            kept[number] = force.scores(row.scores)
        scope, detail = (row.scope, row.detail) if row is not None else (Scope.LONG, "")
        routings[number] = route(
            decided[number].content,
            kept[number],
            force.thresholds,
            policy,
            u=coins[number],
            scope=scope,
            detail=detail,
        )
    return [
        ReplayedItem(one.content, one.fate, Fate.of(routing, scores))
        for one, routing, scores in zip(decided, routings, kept, strict=True)
    ]


def _scores_of_then(one: PastDecision, policy: Policy, alike: Collection[str]) -> Mapping[str, float] | None:
    """None unless they cover the policy; certified thresholds hold for the scores that they were certified on alone."""
    scores = one.fate.scores
    if not alike or scores is None or not set(policy.labels) <= set(scores):
        return None
    if policy.mode == "certified" and one.bundle_version not in alike:
        return None
    return {label: scores[label] for label in policy.labels}
