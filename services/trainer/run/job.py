"""The messages between the trainer and a training process: one JSON document a line."""

from datetime import datetime
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from secondlook.common.bundle.manifest import LabelMetrics
from secondlook.common.bundle.sides import Side
from secondlook.common.contract.policy import Policy
from secondlook.trainer.data.second_looks import Doubt
from secondlook.trainer.evidence.findings import Findings
from secondlook.trainer.model.methods import Mode


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    def to_line(self) -> bytes:
        return self.model_dump_json().encode() + b"\n"


class Waiting(_Document):
    """A challenger that only lacked evidence when it was fitted. The marks are as in `Job`."""

    uri: str
    sha256: str
    weights: str
    fitted_mark: int
    learned_mark: int


class Job(_Document):
    """What to do: `train` a model on labels up to `label_mark`, or `certify` the active bundle's thresholds again.

    Of what people were asked about, the items up to `asked_mark` are evidence; for the active bundle, those after
    `fitted_mark` are new to it, unless labels up to `learned_mark` were of them. `off` are the sides that an alarm
    switched off; `weights` the first bundle that carried the active one's weights. Without `run_id` the process does
    not record which bundle it stores. `tried_mark`: labels up to it were there for the newest model, promoted or not.
    `mode`: the labels teach the head only, or the encoder too. `judged_a_week`: how many judgements the last week
    brought.
    """

    kind: Literal["train", "certify"]
    policy: Policy
    policy_version: int
    label_mark: int
    active_uri: str | None = None
    active_sha256: str | None = None
    weights: str | None = None
    asked_mark: int = 0
    fitted_mark: int = 0
    learned_mark: int = 0
    tried_mark: int = 0
    waiting: Waiting | None = None
    off: tuple[Side, ...] = ()
    run_id: UUID | None = None
    mode: Mode = "head"
    judged_a_week: float = 0.0


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
    """The current step, in words. Any number of these precede the outcome."""

    kind: Literal["progress"] = "progress"
    words: str


class Trained(_Document):
    """A new model. `promote`: the gate lets it through. `reasons` explain that; `findings`: what its look at
    the evidence found.

    `doubts` are answers that look wrong to the model. `waits`: nothing but evidence keeps it out.
    """

    kind: Literal["trained"] = "trained"
    bundle: StoredBundle
    promote: bool
    reasons: tuple[str, ...]
    findings: Findings
    doubts: tuple[Doubt, ...]
    waits: bool = False


class Recertified(_Document):
    """The active weights with the thresholds that hold now; `bundle` is None if these have not changed.

    The bundle may become active only in place of `replaces`. `certified_again` are sides that an alarm had switched
    off for these `weights`. `follows`: these are not the active weights, but those of the challenger that waited.
    """

    kind: Literal["recertified"] = "recertified"
    bundle: StoredBundle | None
    replaces: str
    weights: str
    reasons: tuple[str, ...]
    findings: Findings
    follows: bool = False
    certified_again: tuple[Side, ...]


class Refused(_Document):
    """The labels or the settings do not allow the job; the process certified and stored nothing."""

    kind: Literal["refused"] = "refused"
    why: str


class Failed(_Document):
    """The run broke off. `killed`: a signal ended its process, so another try may succeed."""

    kind: Literal["failed"] = "failed"
    why: str
    killed: bool = False


RunOutcome: TypeAlias = Trained | Recertified | Refused | Failed
_ANSWERS: TypeAdapter[Progress | RunOutcome] = TypeAdapter(
    Annotated[Progress | RunOutcome, Field(discriminator="kind")]
)


def parse_answer(line: bytes) -> Progress | RunOutcome:
    """One line of the process. Raises ValueError for anything else."""
    return _ANSWERS.validate_json(line)
