"""The moderation policy: one readable YAML document, versioned when it is published.

A policy says which labels exist and what follows from them, how sure an automatic decision must be, how many of those
decisions people look at again, and which queues there are. Reading is strict: an unknown key or label is refused, and
so is YAML that is not plain: aliases, merge keys, repeated keys, other tags than those of JSON.
"""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from secondlook.common.contract.fields import Outcome, Source
from secondlook.common.errors import PolicyRejected

MAX_SLA_MINUTES = 525_600  # a year
UNKNOWN_LABEL_ACTION = "remove"  # what follows from a rejection by labels that a policy does not know
MAX_NUMBER = 40  # characters: reading a longer number can take longer than its length
MAX_PROBLEMS = 20  # named in one refusal


def _clean(value: str) -> str:
    if "\x00" in value:
        raise ValueError("contains a NUL character")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError("contains half of a surrogate pair") from None
    return value


Clean = Annotated[str, AfterValidator(_clean)]
Prose = Annotated[Clean, Field(max_length=2000)]
LabelName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
QueueName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]
Share = Annotated[float, Field(ge=0, le=1)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class LabelPolicy(_Section):
    """What a label means and what follows from it."""

    description: Annotated[Prose, Field(min_length=1)]
    action: Annotated[Clean, Field(min_length=1, max_length=100)] = "remove"
    severity: Annotated[int, Field(ge=1, le=5)] = 3
    quorum: Literal[1, 2] = 1
    ground: Prose | None = Field(None, description="legal or policy ground, for statements of reasons")


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

    sla_minutes: Annotated[int, Field(ge=1, le=MAX_SLA_MINUTES)] = 60
    role: Literal["reviewer", "lead"] = "reviewer"


class Override(_Section):
    """A special case for one source, one kind, or one kind of one source."""

    source: Source | None = None
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] | None = None
    queue: QueueName | None = None
    review_all: bool = False

    @model_validator(mode="after")
    def _matches_something(self) -> Self:
        if self.source is None and self.kind is None:
            raise ValueError("an override needs a source or a kind")
        return self


class Policy(_Section):
    """A whole policy. Mode `fixed` takes its thresholds from here and is uncertified; `certified` from the bundle."""

    name: Annotated[Clean, Field(min_length=1, max_length=100)]
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
    salt: Annotated[Clean, Field(max_length=200)] = "second-look"

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

    def action_for(self, labels: tuple[str, ...], outcome: Outcome | None = None) -> str:
        """The action of the most severe label; `allow` without labels, unless the outcome is to reject.

        A rejection by labels that this policy does not know is `remove`, never `allow`.
        """
        known = [self.labels[label] for label in labels if label in self.labels]
        if known:
            return max(known, key=lambda label: label.severity).action
        return UNKNOWN_LABEL_ACTION if labels or outcome == "reject" else "allow"

    def quorum_for(self, labels: tuple[str, ...]) -> int:
        """How many reviewers must agree on these labels."""
        return max((self.labels[label].quorum for label in labels if label in self.labels), default=1)


class _Loader(yaml.SafeLoader):
    """Reads plain YAML, in time that is linear in the document: every node is written out where it stands."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise _refused(self.get_event(), "aliases are not allowed; write the value out")  # type: ignore[no-untyped-call]
        return super().compose_node(parent, index)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (yaml.YAMLError, PolicyRejected, RecursionError):
            raise
        except Exception as error:  # what PyYAML makes of `!!int ""`, `!!bool abc`, `08`, … is whatever it stumbles on
            raise _refused(node, f"{str(node.value)[:40]!r} is no {_kind(node)}") from error

    def construct_scalar(self, node: Any) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise _refused(node, "a single value is expected")
        if _kind(node) in ("int", "float") and len(node.value) > MAX_NUMBER:
            raise _refused(node, f"a number of more than {MAX_NUMBER} characters")
        return str(node.value)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if _kind(key) == "merge":
                raise _refused(key, "merge keys (`<<`) are not allowed; write the fields out")
            if not isinstance(key, yaml.ScalarNode) or _kind(key) != "str":
                raise _refused(key, f"the key {str(key.value)[:40]!r} is read as {_kind(key)}; put it in quotes")
            if key.value in seen:
                raise _refused(key, f"the key {key.value[:100]!r} stands here a second time")
            seen.add(key.value)
        return super().construct_mapping(node, deep=deep)

    def construct_other(self, node: yaml.Node) -> Any:
        raise _refused(node, f"a {_kind(node)} is not allowed; if it is meant as text, put it in quotes")


for _other in ("timestamp", "binary", "set", "omap", "pairs"):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_other}", _Loader.construct_other)


def _kind(node: yaml.Node) -> str:
    return str(node.tag).removeprefix("tag:yaml.org,2002:")


def _refused(where: Any, problem: str) -> PolicyRejected:
    return PolicyRejected(f"policy, line {where.start_mark.line + 1}: {problem}")


def _read(document: str) -> Any:
    loader = None
    try:
        loader = _Loader(document)
        return loader.get_single_data()
    except PolicyRejected:
        raise
    except RecursionError as error:
        raise PolicyRejected("policy is not YAML: nested too deep") from error
    except yaml.YAMLError as error:
        raise PolicyRejected(f"policy is not YAML: {error}") from error
    except Exception as error:  # PyYAML lets bad escapes (`"\U00110000"`) and directives through
        line = f"line {loader.line + 1}: " if loader else ""
        raise PolicyRejected(f"policy is not YAML: {line}{error}") from error


def parse_policy(document: str) -> Policy:
    """Read a policy from YAML.

    Raises:
        PolicyRejected: names the line (YAML) or the field and what is wrong with it.
    """
    data = _read(document)
    if not isinstance(data, dict):
        raise PolicyRejected("policy must be a mapping with at least `name` and `labels`")
    try:
        return Policy.model_validate(data)
    except ValidationError as error:
        found = error.errors(include_input=False, include_url=False, include_context=False)
        lines = [f"{'.'.join(str(p) for p in e['loc']) or 'policy'}: {e['msg']}" for e in found[:MAX_PROBLEMS]]
        lines += [f"and {len(found) - MAX_PROBLEMS} more"] if len(found) > MAX_PROBLEMS else []
        raise PolicyRejected("; ".join(lines)) from error


def load_policy(path: Path) -> Policy:
    """Read a policy file; raises PolicyRejected, also when the file cannot be read."""
    try:
        return parse_policy(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyRejected(f"{path}: {error}") from error
