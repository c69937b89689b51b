"""When a training run is due. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from secondlook.trainer.evidence.certify import worth_trying

# A run under a certified policy spends an attempt, so labels must have grown by this share. Replayed deployments
# (bench/loop.py) reviewed 68 % of ConvAbuse when they waited for twice the labels, 84 % at half as many more.
CERTIFIED_GROWTH = 1.0

RunReason = Literal["first", "policy", "labels", "schedule", "certify", "manual"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """The facts that the decision depends on. `last_*` describe the latest run, however it ended."""

    policy_version: int | None
    policy_labels: frozenset[str]
    active_labels: frozenset[str] | None
    new_labels: int
    last_run_at: datetime | None
    last_policy_version: int | None
    known_labels: int = 0  # that the latest run could see
    certifies: bool = False  # the policy takes certified thresholds
    certify_items: int = 0
    last_certified_items: int = 0
    last_certified_at: datetime | None = None


def due(
    now: datetime, situation: Situation, *, after_labels: int, after: timedelta, certify_after: timedelta
) -> RunReason | None:
    """Why a run is due now, or None.

    Without a usable bundle a run is due once a policy version, and again whenever enough labels came in: labels that
    did not allow a model are not tried again without new ones. New audits make it certify thresholds again.
    """
    if situation.policy_version is None:
        return None
    usable = situation.active_labels is not None and situation.policy_labels <= situation.active_labels
    if not usable and situation.last_policy_version != situation.policy_version:
        return "first" if situation.active_labels is None else "policy"
    if situation.new_labels >= max(after_labels, situation.certifies * CERTIFIED_GROWTH * situation.known_labels):
        return "labels"
    if situation.new_labels and situation.last_run_at is not None and now - situation.last_run_at >= after:
        return "schedule"
    if usable and situation.certifies and _may_certify_more(now, situation, certify_after):
        return "certify"
    return None


def _may_certify_more(now: datetime, situation: Situation, after: timedelta) -> bool:
    last = situation.last_certified_at
    enough = worth_trying(situation.certify_items, situation.last_certified_items)
    return enough and (last is None or now - last >= after)
