"""The moderation policy: one readable YAML document, versioned when it is published.

A policy lists the labels and the action that follows from each, how sure an automatic decision must be, how many of
these decisions people audit, and the review queues. Unknown keys and labels are refused.
"""

from collections.abc import Collection, Iterator
from datetime import timedelta
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from secondlook.common.contract.errors import PolicyRejected
from secondlook.common.contract.fields import Label, LanguageTag, Outcome, Probability, Source
from secondlook.common.contract.reports import ReportsPolicy
from secondlook.common.contract.sections import Clean as Clean
from secondlook.common.contract.sections import Misfit as Misfit
from secondlook.common.contract.sections import Section
from secondlook.common.contract.signals import SignalsPolicy

MAX_SLA_MINUTES = 525_600  # a year
UNKNOWN_LABEL_ACTION = "remove"  # what follows from a rejection by labels that a policy does not know
# Names that mean something else where labels, sides and routes stand in one column: tables, reports, metrics.
RESERVED_LABELS = frozenset({"approve", "reject", "review", "superseded", "all"})


def _forgotten(_: str) -> str:
    """So that two policies that differ in it alone are equal."""
    return ""


Prose = Annotated[Clean, Field(max_length=2000)]
QueueName = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class LabelPolicy(Section):
    """What a label means, and the action that follows from it."""

    description: Annotated[Prose, Field(min_length=1)]
    action: Annotated[Clean, Field(min_length=1, max_length=100)] = "remove"
    severity: Annotated[int, Field(ge=1, le=5)] = 3
    quorum: Literal[1, 2] = 1
    ground: Prose | None = Field(None, description="legal or policy ground, for statements of reasons")


class Thresholds(Section):
    """Thresholds set by hand. A side without a threshold is off: its items go to review."""

    approve: Probability | None = None
    reject: dict[Label, Probability] = {}  # noqa: RUF012


class Risk(Section):
    """The share of automatic decisions that may be wrong, at a joint confidence."""

    approve: Annotated[float, Field(gt=0, lt=1)] = 0.01
    reject: Annotated[float, Field(gt=0, lt=1)] = 0.03
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95


class Audit(Section):
    """Shares sent to blind audit: `certify` of all traffic, `approve` and `reject` of automatic decisions.

    In mode certified more is audited while there is little evidence, at most `most`; and of the content, a share
    `hold_out` is evidence only: no model learns from it.
    """

    certify: Probability = 0.02
    approve: Probability = 0.0
    reject: Probability = 0.0
    most: Probability = 0.3
    hold_out: Annotated[float, Field(ge=0, le=0.9)] = 0.3


class QueuePolicy(Section):
    """A review queue. `role: lead` closes it to other reviewers."""

    sla_minutes: Annotated[int, Field(ge=1, le=MAX_SLA_MINUTES)] = 60
    role: Literal["reviewer", "lead"] = "reviewer"


class ReviewPolicy(Section):
    """What one reviewer may take from the others: leases at once, minutes with one item, items given back unjudged.

    `others_first_minutes`: an item that a reviewer gave back or let go is offered to the others alone for so long.
    `max_returns`: so many items an hour may come back unjudged, beside as many as the reviewer judged in that hour.
    `max_bulk`: so many items may be judged together; 0: none. `bulk_checked`: the share of them that a second reviewer
    judges one by one, drawn by the coin, beside all that are evidence.
    """

    max_leases: Annotated[int, Field(ge=1, le=1000)] = 50
    max_hold_minutes: Annotated[int, Field(ge=1, le=1440)] = 60
    others_first_minutes: Annotated[int, Field(ge=0, le=1440)] = 15
    max_returns: Annotated[int, Field(ge=0, le=100_000)] = 100
    max_bulk: Annotated[int, Field(ge=0, le=500)] = 200
    bulk_checked: Probability = 0.1

    @property
    def max_hold(self) -> timedelta:
        return timedelta(minutes=self.max_hold_minutes)

    @property
    def others_first(self) -> timedelta:
        return timedelta(minutes=self.others_first_minutes)


class Override(Section):
    """A special case for a source, a kind, a language, or what is all of those that are named.

    `language` is a language tag; it stands for its regions and scripts, too (`pt` for `pt-BR`).
    """

    source: Source | None = None
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] | None = None
    language: LanguageTag | None = None
    queue: QueueName | None = None
    review_all: bool = False

    @model_validator(mode="after")
    def _matches_something(self) -> Self:
        if self.source is None and self.kind is None and self.language is None:
            raise ValueError("an override needs a source, a kind or a language")
        return self

    def matches(self, source: str, kind: str, language: str | None) -> bool:
        """Whether it is about such content; content without a language is in none."""
        if self.language is not None:
            tag = f"{language or ''}-".lower()
            if not tag.startswith(f"{self.language}-".lower()):
                return False
        return self.source in (None, source) and self.kind in (None, kind)


class Policy(Section):
    """A whole policy. Mode `fixed` takes its thresholds from here and is uncertified; `certified` from the bundle."""

    name: Annotated[Clean, Field(min_length=1, max_length=100)]
    mode: Literal["fixed", "certified"] = "certified"
    labels: Annotated[dict[Label, LabelPolicy], Field(min_length=1, max_length=64)]
    thresholds: Thresholds = Thresholds()
    risk: Risk = Risk()
    audit: Audit = Audit()
    queues: Annotated[dict[QueueName, QueuePolicy], Field(min_length=1)] = {  # noqa: RUF012
        "default": QueuePolicy(),
        "leads": QueuePolicy(sla_minutes=240, role="lead"),
    }
    default_queue: QueueName = "default"
    escalation_queue: QueueName = "leads"
    review: ReviewPolicy = ReviewPolicy()
    overrides: tuple[Override, ...] = ()
    reports: ReportsPolicy | None = Field(None, description="without it, reports reopen nothing")
    kill_switch: bool = False
    signals: SignalsPolicy = SignalsPolicy()
    # It keyed the audit coin once, for all to read. It is still accepted, has no effect, and is kept nowhere.
    salt: Annotated[Clean, Field(max_length=200, exclude=True), AfterValidator(_forgotten)] = ""

    @model_validator(mode="after")
    def _holds_together(self) -> Self:
        unknown = sorted(set(self.thresholds.reject) - set(self.labels))
        if unknown:
            problem = f"thresholds.reject names unknown labels: {', '.join(unknown)}"
            raise Misfit(("thresholds", "reject", unknown[0]), problem)
        if self.reports and (strange := sorted(set(self.reports.labels) - set(self.labels))):
            raise Misfit(
                ("reports", "labels", strange[0]), f"reports.labels names unknown labels: {', '.join(strange)}"
            )
        if self.mode == "certified" and self.thresholds != Thresholds():
            raise Misfit(("thresholds",), "thresholds are set by hand only in mode: fixed")
        for path, queue in self._queues_used():
            if queue not in self.queues:
                raise Misfit(path, f"queue {queue!r} is used but not defined under queues")
        if self.queues[self.escalation_queue].role != "lead":
            problem = f"escalation queue {self.escalation_queue!r} needs role: lead"
            raise Misfit(("queues", self.escalation_queue), problem)
        return self

    def _queues_used(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        yield ("default_queue",), self.default_queue
        yield ("escalation_queue",), self.escalation_queue
        for number, override in enumerate(self.overrides):
            if override.queue is not None:
                yield ("overrides", number, "queue"), override.queue

    @property
    def asks_for_language(self) -> bool:
        """Whether an override depends on the language of the content."""
        return any(override.language is not None for override in self.overrides)

    def override_for(self, source: str, kind: str, language: str | None = None) -> Override | None:
        """The first override that matches, in the order of the document."""
        return next((each for each in self.overrides if each.matches(source, kind, language)), None)

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


def refuse_unaudited(policy: Policy, active: Policy | None = None) -> None:
    """Check a policy that is to be published; `active` is the one in force, which may go unaudited already: nothing may
    stand between an operator and the kill switch.

    Raises:
        PolicyRejected: certified thresholds would decide, and nobody would ever look at what they decide.
    """
    if _unaudited(policy) and not (active is not None and _unaudited(active)):
        raise PolicyRejected(
            "audit.certify is 0 in mode certified: a certificate needs audits that go on; set a share above 0, such as "
            "0.02, or mode: fixed"
        )


def _unaudited(policy: Policy) -> bool:
    return policy.mode == "certified" and policy.audit.certify == 0


def refuse_reserved(policy: Policy, known: Collection[str] = ()) -> None:
    """Check a policy that is to be published; reading one that was published before needs no check.

    Labels in `known`, those of the policy in force, may keep a reserved name: nothing may stand between an operator and
    the kill switch.

    Raises:
        PolicyRejected: a label has a reserved name.
    """
    reserved = sorted(RESERVED_LABELS & (set(policy.labels) - set(known)))
    if reserved:
        verb, meaning = ("is", "it means") if len(reserved) == 1 else ("are", "they mean")
        raise PolicyRejected(
            f"labels: {', '.join(reserved)} {verb} reserved, because {meaning} something else in tables and reports; "
            "choose another name (a label that the policy in force has already may stay)"
        )
