"""The moderation policy: one readable YAML document, versioned when it is published.

A policy says which labels exist and what follows from them, how sure an automatic decision must be, how many of those
decisions people look at again, and which queues there are. Reading is strict: an unknown key or label is refused.
"""

from pathlib import Path
from typing import Annotated, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from services.common.errors import PolicyRejected

LabelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
QueueName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelPolicy(_Section):
    """What a label means and what follows from it."""

    description: Annotated[str, Field(min_length=1)]
    action: Annotated[str, Field(min_length=1)] = "remove"
    severity: Annotated[int, Field(ge=1, le=5)] = 3
    quorum: Literal[1, 2] = 1
    ground: str | None = Field(None, description="legal or policy ground, for statements of reasons")


class Thresholds(_Section):
    """Thresholds set by hand. A side without a threshold is off: its items go to review."""

    approve: Share | None = None
    reject: dict[LabelName, Share] = {}


class Risk(_Section):
    """Of what is decided automatically, the share that may be wrong, at a joint confidence."""

    approve: Annotated[float, Field(gt=0, lt=1)] = 0.01
    reject: Annotated[float, Field(gt=0, lt=1)] = 0.03
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


class Audit(_Section):
    """Shares sent to blind audit: `certify` of all traffic, `approve` and `reject` of automatic decisions."""

    certify: Share = 0.02
    approve: Share = 0.0
    reject: Share = 0.0


class QueuePolicy(_Section):
    """A review queue. `role: lead` closes it to other reviewers."""

    sla_minutes: Annotated[int, Field(ge=1)] = 60
    role: Literal["reviewer", "lead"] = "reviewer"


class Override(_Section):
    """A special case for one source, one kind, or one kind of one source."""

    source: str | None = None
    kind: str | None = None
    queue: QueueName | None = None
    review_all: bool = False

    @model_validator(mode="after")
    def _matches_something(self) -> Self:
        if self.source is None and self.kind is None:
            raise ValueError("an override needs a source or a kind")
        return self


class Policy(_Section):
    """A whole policy. Mode `fixed` takes its thresholds from here and is uncertified; `certified` from the bundle."""

    name: Annotated[str, Field(min_length=1, max_length=100)]
    mode: Literal["fixed", "certified"] = "certified"
    labels: Annotated[dict[LabelName, LabelPolicy], Field(min_length=1, max_length=64)]
    thresholds: Thresholds = Thresholds()
    risk: Risk = Risk()
    audit: Audit = Audit()
    queues: Annotated[dict[QueueName, QueuePolicy], Field(min_length=1)] = {
        "default": QueuePolicy(),
        "leads": QueuePolicy(sla_minutes=240, role="lead"),
    }
    default_queue: QueueName = "default"
    escalation_queue: QueueName = "leads"
    overrides: tuple[Override, ...] = ()
    kill_switch: bool = False
    salt: str = "second-look"

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        unknown = sorted(set(self.thresholds.reject) - set(self.labels))
        if unknown:
            raise ValueError(f"thresholds.reject names unknown labels: {', '.join(unknown)}")
        if self.mode == "certified" and self.thresholds != Thresholds():
            raise ValueError("thresholds are set by hand only in mode: fixed")
        for queue in [
            self.default_queue,
            self.escalation_queue,
            *(o.queue for o in self.overrides if o.queue),
        ]:
            if queue not in self.queues:
                raise ValueError(f"queue {queue!r} is used but not defined under queues")
        if self.queues[self.escalation_queue].role != "lead":
            raise ValueError(f"escalation queue {self.escalation_queue!r} needs role: lead")
        return self

    def override_for(self, source: str, kind: str) -> Override | None:
        """The first override that matches, in the order of the document."""
        for override in self.overrides:
            if override.source in (None, source) and override.kind in (None, kind):
                return override
        return None

    def action_for(self, labels: tuple[str, ...]) -> str:
        """The action of the most severe label; `allow` without labels."""
        known = [self.labels[label] for label in labels if label in self.labels]
        return max(known, key=lambda label: label.severity).action if known else "allow"

    def quorum_for(self, labels: tuple[str, ...]) -> int:
        """How many reviewers must agree on these labels."""
        return max((self.labels[label].quorum for label in labels if label in self.labels), default=1)


def parse_policy(document: str) -> Policy:
    """Read a policy from YAML.

    Raises:
        PolicyRejected: names the line (YAML) or the field and what is wrong with it.
    """
    try:
        data = yaml.safe_load(document)
    except (yaml.YAMLError, RecursionError) as error:
        raise PolicyRejected(f"policy is not YAML: {error}") from error
    if not isinstance(data, dict):
        raise PolicyRejected("policy must be a mapping with at least `name` and `labels`")
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        lines = [f"{'.'.join(str(p) for p in e['loc']) or 'policy'}: {e['msg']}" for e in error.errors()]
        raise PolicyRejected("; ".join(lines)) from error


def load_policy(path: Path) -> Policy:
    """Read a policy file; raises PolicyRejected, also when the file cannot be read."""
    try:
        return parse_policy(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyRejected(f"{path}: {error}") from error
