"""When a training run is due. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

# A model that is fitted under a certified policy has a smaller share of the chance of error than those before, and only
# what is held out to begin with, so labels must have grown by this share.
CERTIFIED_GROWTH, DAILY_GROWTH = 2.0, 0.25  # whenever they have grown so; once `after` hours have passed
LOOK_AFTER, LOOK_GROWTH = 10, 0.02  # judgements since the last look at the evidence, and as a share of all

RunReason = Literal["first", "policy", "labels", "schedule", "certify", "manual", "noticed"]


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
    judgements: int = 0
    looked_at: int = 0  # judgements that there were at the last look
    last_look_at: datetime | None = None


def due(
    now: datetime, situation: Situation, *, after_labels: int, after: timedelta, certify_after: timedelta
) -> RunReason | None:
    """Why a run is due now, or None.

    Without a usable bundle a run is due once a policy version, and again whenever enough labels came in: labels that
    did not allow a model are not tried again without new ones. New judgements make it look at the evidence again.
    """
    if situation.policy_version is None:
        return None
    usable = situation.active_labels is not None and situation.policy_labels <= situation.active_labels
    if not usable and situation.last_policy_version != situation.policy_version:
        return "first" if situation.active_labels is None else "policy"
    if situation.new_labels >= max(after_labels, situation.certifies * CERTIFIED_GROWTH * situation.known_labels):
        return "labels"
    grown = situation.new_labels >= max(1, situation.certifies * DAILY_GROWTH * situation.known_labels)
    if grown and situation.last_run_at is not None and _passed(now, situation.last_run_at, after):
        return "schedule"
    if usable and situation.certifies and _worth_a_look(now, situation, certify_after):
        return "certify"
    return None


def _worth_a_look(now: datetime, situation: Situation, after: timedelta) -> bool:
    """To look at the evidence costs nothing but the time that it takes."""
    new = situation.judgements - situation.looked_at
    enough = new >= max(LOOK_AFTER, LOOK_GROWTH * situation.judgements)
    return enough and _passed(now, situation.last_look_at, after)


def _passed(now: datetime, last: datetime | None, after: timedelta) -> bool:
    """Whether so much time has passed; also if the clock has been set back, so that nothing waits for what was
    never."""
    return last is None or not timedelta(0) <= now - last < after
