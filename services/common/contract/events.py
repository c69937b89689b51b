"""The events that the services exchange.

Bodies are JSON. A body is read strictly: unknown fields, wrong types, lone surrogates and NUL characters are refused
with the path of the field. Events are immutable. The key of every content event is `source/content_id`, so that all
that happens to one piece of content stays in order.
"""

from typing import Annotated, ClassVar, Literal, Self
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import Field, model_validator

from secondlook.common.contract.access import KeysPublished
from secondlook.common.contract.event import ContentEvent
from secondlook.common.contract.event import Event as Event
from secondlook.common.contract.fields import (
    Attribute,
    Context,
    Int32,
    Label,
    LanguageTag,
    Moment,
    Name,
    Outcome,
    Probability,
    Revision,
    Scores,
    Sequence,
    Signals,
    Str,
    Text,
    Words,
)
from secondlook.common.contract.operations import OperationAsked, OperationDone
from secondlook.common.contract.policy import Misfit, Policy
from secondlook.common.contract.quality import QualityMeasured as QualityMeasured
from secondlook.common.contract.reports import ContentReported, ReviewReported
from secondlook.common.contract.reviews import Coin as Coin
from secondlook.common.contract.reviews import PriorDecision as PriorDecision
from secondlook.common.contract.reviews import Why as Why

SEQUENCE_STRIDE = 1024
_NAMESPACE = uuid5(NAMESPACE_URL, "https://second-look.dev/ns")


class ContentSubmitted(ContentEvent):
    """One revision of one piece of content, to be decided exactly once.

    `reports` and `reach`, the people who see it (views or followers, 0 where unknown), are as of this revision; sent
    again with higher ones, it is reviewed earlier. Text, kind, author and context of a revision never change. `signals`
    are what other classifiers said of it, numbers in [0, 1]; of repeats, the signals that were routed first stand. Only
    content of another kind than `text` may have no text: `context.url` leads people to it.
    """

    topic: ClassVar[str] = "content.submitted"
    type: ClassVar[str] = "ContentSubmitted"

    revision: Revision
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_-]{0,31}$")] = "text"
    text: Text
    language: LanguageTag | None = None
    author_id: Annotated[Str, Field(min_length=1, max_length=256)] | None = None
    created_at: Moment
    context: Context = Context()
    attributes: Annotated[dict[Annotated[Str, Field(max_length=100)], Attribute], Field(max_length=64)] = {}  # noqa: RUF012
    reports: Annotated[int, Field(ge=0, lt=2**31)] = 0
    reach: Annotated[int, Field(ge=0, lt=2**53)] = 0
    signals: Signals = {}  # noqa: RUF012

    @model_validator(mode="after")
    def _can_be_judged(self) -> Self:
        if not self.text and (self.kind == "text" or not self.context.url):
            raise Misfit(("text",), "is empty, which only another kind than `text` with a `context.url` may be")
        return self


class ContentWithdrawn(ContentEvent):
    """The content is gone: no revision that was created at or before `withdrawn_at` needs a decision any more.

    It applies by its time, in whatever order it and the revisions arrive.
    """

    topic: ClassVar[str] = "content.submitted"
    type: ClassVar[str] = "ContentWithdrawn"

    withdrawn_at: Moment
    reason: Annotated[Str, Field(max_length=1000)] | None = None


class ContentDecided(ContentEvent):
    """A decision. A consumer keeps the highest `sequence` it has seen of a piece of content."""

    topic: ClassVar[str] = "moderation.decided"
    type: ClassVar[str] = "ContentDecided"

    decision_id: UUID
    revision: Revision
    sequence: Sequence
    outcome: Outcome
    labels: tuple[Label, ...]
    action: Words
    decided_by: Name
    decided_at: Moment
    confidence: Probability | None
    policy_version: Int32 | None
    bundle_version: Name | None
    reason: Words
    supersedes: UUID | None = None


class ReviewRequested(ContentEvent):
    """Ask a person about one revision, `priority` minutes before its turn. `embedding` is base64 of little-endian
    float16."""

    topic: ClassVar[str] = "review.requested"
    type: ClassVar[str] = "ReviewRequested"

    review_id: UUID
    revision: Revision
    content: ContentSubmitted
    why: Why
    queue: Name
    priority: Int32
    coin: Coin
    scores: Scores | None
    embedding: Annotated[Str, Field(max_length=65_536)] | None
    prior: PriorDecision | None
    policy_version: Int32 | None
    bundle_version: Name | None
    requested_at: Moment


class SecondLookRequested(ContentEvent):
    """Ask another reviewer about a settled revision whose answer looks wrong. The request itself changes nothing."""

    topic: ClassVar[str] = "review.requested"
    type: ClassVar[str] = "SecondLookRequested"

    revision: Revision
    reason: Words
    requested_at: Moment


class ReviewCancelled(ContentEvent):
    """Open reviews of revisions up to and including `up_to_revision` are no longer needed."""

    topic: ClassVar[str] = "review.requested"
    type: ClassVar[str] = "ReviewCancelled"

    up_to_revision: Revision
    why: Literal["superseded", "withdrawn"]
    cancelled_at: Moment


class ContentLabelled(ContentEvent):
    """One person's judgement of one revision, with the probability that the item was chosen for judgement.

    `labels` holds a label only if it was judged: a missing label is unknown, never false. The same `label_id` with a
    later `labelled_at` corrects the judgement, and with no labels withdraws it. `inclusion_probability` is
    None where the sampling is unknown (imported labels). `adjudicated` marks the judgement that settled the item.
    `audited`: the automatic decision that the judgement audits, None where a person decides first. `signals`: those of
    the content when it was routed.
    """

    topic: ClassVar[str] = "review.labelled"
    type: ClassVar[str] = "ContentLabelled"

    label_id: UUID
    revision: Revision
    text: Text
    language: Name | None = None
    author_id: Annotated[Str, Field(min_length=1, max_length=256)] | None = None
    labels: dict[Label, bool]
    reviewer: Name
    labelled_at: Moment
    decision_id: UUID | None
    adjudicated: bool
    inclusion_probability: Annotated[float, Field(gt=0, le=1)] | None
    stratum: Name
    scores: Scores | None = None
    bundle_version: Name | None = None
    audited: PriorDecision | None = None
    signals: Signals = {}  # noqa: RUF012


class BundlePublished(Event):
    """The bundle of a stage. The newest record of a stage is the one in force.

    `share` is how much of the content a canary decides, 0 for the other stages. Where `in_force` is false the stage is
    empty again; the active one never is. `raised`: audit as many of its decisions as the policy allows at most.
    """

    topic: ClassVar[str] = "routing.bundle"
    type: ClassVar[str] = "BundlePublished"

    stage: Literal["active", "canary", "shadow"]
    bundle_version: Name
    uri: Words
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    published_at: Moment
    share: Probability = 0.0
    in_force: bool = True
    raised: bool = False

    @model_validator(mode="after")
    def _fits_its_stage(self) -> Self:
        if self.stage == "active" and not self.in_force:
            raise ValueError("the active stage is never empty; publish another bundle for it")
        if self.stage != "canary" and self.share:
            raise ValueError("only a canary has a share")
        if self.stage == "canary" and self.in_force and not self.share:
            raise ValueError("a canary in force needs a share above 0")
        return self

    @property
    def key(self) -> str:
        return self.stage


class PolicyPublished(Event):
    """The whole policy document. The newest record is the one in force."""

    topic: ClassVar[str] = "policy.published"
    type: ClassVar[str] = "PolicyPublished"

    version: Annotated[int, Field(ge=1, lt=2**31)]
    policy: Policy
    published_at: Moment
    published_by: Name

    @property
    def key(self) -> str:
        return "policy"


EVENTS: tuple[type[Event], ...] = (
    ContentSubmitted, ContentWithdrawn, ContentDecided, ReviewRequested, ReviewCancelled, SecondLookRequested,
    ContentLabelled, BundlePublished, PolicyPublished, QualityMeasured, OperationAsked, OperationDone,
    KeysPublished, ContentReported, ReviewReported,
)  # fmt: skip


def decision_id(source: str, content_id: str, revision: int, sequence: int) -> UUID:
    """UUIDv5 of the decision's coordinates: whoever publishes it again publishes the same id."""
    return uuid5(_NAMESPACE, f"decision/{source}/{content_id}/{revision}/{sequence}")


def review_id(source: str, content_id: str, revision: int, why: Why) -> UUID:
    """UUIDv5 of the request: an audit and a first review of a revision are two reviews; a repeated request is one."""
    purpose = why.value if why in (Why.AUDIT, Why.APPEAL, Why.SECOND_LOOK, Why.GOLD, Why.REPORTED) else "decide"
    return uuid5(_NAMESPACE, f"review/{source}/{content_id}/{revision}/{purpose}")


def label_id(review: UUID, reviewer: str) -> UUID:
    """UUIDv5: a reviewer gives one judgement in one review."""
    return uuid5(_NAMESPACE, f"label/{review}/{reviewer}")


def first_sequence(revision: int) -> int:
    """The sequence of a revision's first decision; corrections count on from it, a later revision lies above.

    Router and reviewer_api never assign the same number: the later of two names the decision that it supersedes."""
    return revision * SEQUENCE_STRIDE
