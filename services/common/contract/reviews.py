"""What a review is asked for with: why, by which coin, and which decision it looks at again."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field

from secondlook.common.contract.fields import STRICT, Label, Name, Outcome, Probability, Sequence


class Why(StrEnum):
    """Why a person is asked."""

    UNCERTAIN = "uncertain"  # a score lies between the thresholds, or a side has none
    AUDIT = "audit"  # decided automatically and drawn by the audit coin
    NO_BUNDLE = "no_bundle"  # nothing usable to classify with, or no policy to classify by
    KILL_SWITCH = "kill_switch"  # the policy stops automatic decisions
    APPEAL = "appeal"
    SECOND_LOOK = "second_look"  # the answer looks wrong to a model that did not learn from it
    GOLD = "gold"
    REPORTED = "reported"  # approved automatically, and then reported by enough users
    REVERSAL = "reversal"  # nobody is: somebody supersedes a published decision


class Coin(BaseModel):
    """The audit coin of an item. `u` is fixed by the item, never by its score. `approve`, `reject`: the shares that
    people judged then of what was approved and rejected automatically, 1 of nothing; None of an older router."""

    model_config = STRICT
    u: Annotated[float, Field(ge=0, lt=1)]
    inclusion_probability: Annotated[float, Field(gt=0, le=1)]
    stratum: Name
    approve: Probability | None = None
    reject: Probability | None = None


class PriorDecision(BaseModel):
    """The decision that an audit or an appeal looks at again."""

    model_config = STRICT
    decision_id: UUID
    sequence: Sequence
    outcome: Outcome
    labels: tuple[Label, ...]
