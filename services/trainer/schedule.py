"""When to train. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

Reason = Literal["first", "policy", "labels", "schedule"]


@dataclass(frozen=True, slots=True)
class Situation:
    """What the decision depends on. `last_*` describe the latest run, whatever came of it."""

    policy_version: int | None
    policy_labels: frozenset[str]
    active_labels: frozenset[str] | None
    new_labels: int
    last_run_at: datetime | None
    last_policy_version: int | None


def due(now: datetime, situation: Situation, *, after_labels: int, after: timedelta) -> Reason | None:
    """Why a run is due now, or None.

    Without a usable bundle a run is due once a policy version, and again whenever enough labels came in: labels that
    did not allow a model are not tried again as they are.
    """
    if situation.policy_version is None:
        return None
    usable = situation.active_labels is not None and situation.policy_labels <= situation.active_labels
    if not usable and situation.last_policy_version != situation.policy_version:
        return "first" if situation.active_labels is None else "policy"
    if situation.new_labels >= after_labels:
        return "labels"
    if situation.new_labels and situation.last_run_at is not None and now - situation.last_run_at >= after:
        return "schedule"
    return None
