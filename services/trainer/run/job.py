"""What a training process is given, and what it answers: one JSON document a line."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from secondlook.common.bundle.manifest import LabelMetrics
from secondlook.common.contract.policy import Policy
from secondlook.trainer.data.second_looks import Doubt
from secondlook.trainer.model.methods import Mode


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_line(self) -> bytes:
        return self.model_dump_json().encode() + b"\n"


class Job(_Document):
    """What to do: `train` a model on labels up to `label_mark`, or `certify` the active bundle's thresholds again.

    `attempt` is what may be spent on certifying, None for nothing; only labels received after `after` count for it.
    `off` are the sides that an alarm switched off; `weights` the first bundle that carried the active one's weights.
    Without `run_id` nothing is written down about the bundle that is stored. `mode` says what learns from the labels:
    the head only, or the encoder too.
    """

    kind: Literal["train", "certify"]
    policy: Policy
    policy_version: int
    label_mark: int
    active_uri: str | None = None
    active_sha256: str | None = None
    weights: str | None = None
    attempt: int | None = None
    after: int = 0
    off: tuple[str, ...] = ()
    run_id: UUID | None = None
    mode: Mode = "head"


class StoredBundle(_Document):
    """A bundle that a run has stored, as the registry takes it. `weights` is the first bundle that carried them."""

    bundle_version: str
    uri: str
    sha256: str
    labels: tuple[str, ...]
    metrics: dict[str, LabelMetrics]
    created_at: datetime
    weights: str
    encoder_sha256: str


class Progress(_Document):
    """What the process is doing, in words. Any number of these come before the outcome."""

    kind: Literal["progress"] = "progress"
    words: str


class Trained(_Document):
    """A new model. `promote`: the gate lets it through, for these `reasons`; `off` says why each side that is off is.

    `spent`: its attempt to certify has looked at judgements. `doubts` are answers that look wrong to it.
    """

    kind: Literal["trained"] = "trained"
    bundle: StoredBundle
    promote: bool
    reasons: tuple[str, ...]
    spent: bool
    off: tuple[str, ...]
    doubts: tuple[Doubt, ...]


class Recertified(_Document):
    """The active weights with the thresholds that hold now; `bundle` is None if these are what they were.

    The bundle may become active only in place of `replaces`. `certified_again` are sides that an alarm had switched
    off for these `weights`.
    """

    kind: Literal["recertified"] = "recertified"
    bundle: StoredBundle | None
    replaces: str
    weights: str
    reasons: tuple[str, ...]
    spent: bool
    off: tuple[str, ...]
    certified_again: tuple[str, ...]


class Refused(_Document):
    """The labels or the settings do not allow what was asked for; nothing was certified or stored."""

    kind: Literal["refused"] = "refused"
    why: str


class Failed(_Document):
    """The run broke off. `killed`: its process did not end by itself, so that doing it again may work."""

    kind: Literal["failed"] = "failed"
    why: str
    killed: bool = False


Outcome: TypeAlias = Trained | Recertified | Refused | Failed
_ANSWERS: TypeAdapter[Progress | Outcome] = TypeAdapter(Annotated[Progress | Outcome, Field(discriminator="kind")])


def parse_answer(line: bytes) -> Progress | Outcome:
    """One line of the process. Raises ValueError for anything else."""
    return _ANSWERS.validate_json(line)
