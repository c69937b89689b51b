"""The types of the contract, out of `docs/reference`. `make schemas` writes this file; nobody else does."""

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from secondlook_client._model import Read, Sent, SentContent


class Context(Sent):
    """What a reviewer needs beside the text. URLs are shown and never fetched."""

    parent_text: Annotated[str, Field(max_length=20000)] | None = None
    title: Annotated[str, Field(max_length=1000)] | None = None
    url: Annotated[str, Field(max_length=2000)] | None = None


class ReadContext(Read):
    """What a reviewer needs beside the text. URLs are shown and never fetched."""

    parent_text: str | None = None
    title: str | None = None
    url: str | None = None


class ContentSubmitted(SentContent):
    """One revision of one piece of content, to be decided exactly once.

    `reports` and `reach`, the people who see it (views or followers, 0 where unknown), are as of this revision;
    sent again with higher ones, it is reviewed earlier. Text, kind, author and context of a revision never
    change. `signals` are what other classifiers said of it, numbers in [0, 1]; of repeats, the signals that were
    routed first stand. Only content of another kind than `text` may have no text: `context.url` leads people to
    it.
    """

    source: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")]
    content_id: Annotated[str, Field(pattern=r"^[^\x00-\x20\x7f]{1,256}$")]
    revision: Annotated[int, Field(lt=2147483648, ge=1)]
    kind: Annotated[str, Field(pattern="^[a-z][a-z0-9_-]{0,31}$")] = "text"
    text: Annotated[str, Field(max_length=200000)]
    language: Annotated[str, Field(pattern="^[A-Za-z]{2,3}(-[A-Za-z0-9]{1,8})*$")] | None = None
    author_id: Annotated[str, Field(max_length=256, min_length=1)] | None = None
    created_at: AwareDatetime
    context: Context = Context()
    attributes: Annotated[
        dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=1000)] | bool | int | float | None],
        Field(max_length=64),
    ] = Field(default_factory=dict)
    reports: Annotated[int, Field(lt=2147483648, ge=0)] = 0
    reach: Annotated[int, Field(lt=9007199254740992, ge=0)] = 0
    signals: Annotated[dict[str, Any], Field(max_length=64)] = Field(default_factory=dict)


class ContentWithdrawn(Sent):
    """The content is gone: no revision that was created at or before `withdrawn_at` needs a decision any more.

    It applies by its time, in whatever order it and the revisions arrive.
    """

    source: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")]
    content_id: Annotated[str, Field(pattern=r"^[^\x00-\x20\x7f]{1,256}$")]
    withdrawn_at: AwareDatetime
    reason: Annotated[str, Field(max_length=1000)] | None = None


class ContentReported(Sent):
    """A user reports a piece of content. The same `report_id` of a source is the same report, however often it
    comes.

    `reporter` is a pseudonym that upstream chooses and that stays the same for a user. A `reason` that is the
    name of one of the policy's labels counts as a report of that label. It may come before the content does.
    """

    source: Annotated[str, Field(pattern="^[a-z0-9][a-z0-9._-]{0,63}$")]
    content_id: Annotated[str, Field(pattern=r"^[^\x00-\x20\x7f]{1,256}$")]
    report_id: Annotated[str, Field(pattern="^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$")]
    reporter: Annotated[str, Field(max_length=256, min_length=1)]
    reason: Annotated[str, Field(max_length=100, min_length=1)]
    note: Annotated[str, Field(max_length=2000)] | None = None
    reported_at: AwareDatetime


class Accepted(Read):
    """The revision is stored and will be decided, unless something that is sent later takes its place."""

    source: str
    content_id: str
    revision: int


class ProblemField(Read):
    """One field that is wrong, and why."""

    field: str
    """dotted path, empty for the whole body"""
    problem: str


class RefusedLine(Read):
    """A line that was not accepted, and why."""

    line: int
    """counts from 1"""
    code: str
    errors: tuple[ProblemField, ...]
    """the first 20 problems"""
    error_count: int
    """how many problems there are"""


class AcceptedLines(Read):
    """How a batch went. Correct refused lines and send them again; repeats of accepted ones change nothing."""

    accepted: int
    refused_count: int
    refused: tuple[RefusedLine, ...]
    """the first 20 refused lines"""
    refused_lines: dict[str, str]
    """all refused lines, by code, like `3,7-9,12`"""


class AcceptedReport(Read):
    """The report is stored and will count."""

    source: str
    content_id: str
    report_id: str
    known: bool
    """false: nothing of the content was sent so far, and the report waits for it"""
    detail: str


class Withdrawn(Read):
    """The withdrawal is stored: no revision that was created by `withdrawn_at` needs a decision any more."""

    source: str
    content_id: str
    withdrawn_at: AwareDatetime
    known: bool
    """false: nothing of it was sent so far, and the withdrawal is remembered"""
    detail: str


class Problem(Read):
    """RFC 9457 problem details."""

    type: str
    """where the service explains this kind of problem, like `/problems/invalid`"""
    title: str
    status: int
    detail: str
    code: str | None = None
    """stable word, with 409 and 422"""
    errors: tuple[ProblemField, ...] | None = None
    """the first 20 problems, with 422 and 413"""
    error_count: int | None = None
    """how many problems there are"""


class Decision(Read):
    """A decision as it was published. Of one piece of content the highest `sequence` counts."""

    decision_id: UUID
    source: str
    content_id: str
    revision: int
    sequence: int
    outcome: Literal["approve", "reject"]
    labels: tuple[str, ...]
    action: str
    decided_by: str
    decided_at: AwareDatetime
    confidence: float | None
    policy_version: int | None
    bundle_version: str | None
    reason: str
    supersedes: UUID | None


class FollowedDecision(Read):
    """A decision, with the ids of the users' reports that it answers: tell those who reported what became of it."""

    decision_id: UUID
    source: str
    content_id: str
    revision: int
    sequence: int
    outcome: Literal["approve", "reject"]
    labels: tuple[str, ...]
    action: str
    decided_by: str
    decided_at: AwareDatetime
    confidence: float | None
    policy_version: int | None
    bundle_version: str | None
    reason: str
    supersedes: UUID | None
    reports: tuple[str, ...] = ()
    """ids of the users' reports that a person's decision answers"""


class FeedPage(Read):
    """Decisions in the order in which they were published here; of one piece of content in the order of `sequence`."""

    decisions: tuple[FollowedDecision, ...]
    next: str
    """give it as `after` to read on; it is there also where no decision is"""


class ReviewContent(Read):
    """One revision of one piece of content."""

    source: str
    content_id: str
    revision: int
    kind: str
    text: str
    language: str | None
    author_id: str | None
    created_at: AwareDatetime
    context: ReadContext
    attributes: dict[str, str | bool | int | float | None]
    reports: int


class GivenJudgement(Read):
    """What a person said of a revision."""

    revision: int
    reviewer: str
    outcome: Literal["approve", "reject"]
    labels: tuple[str, ...]
    note: str | None
    judged_at: AwareDatetime
    undone: bool


class WrittenNote(Read):
    """A note, and who wrote it."""

    by: str
    at: AwareDatetime
    text: str


class ReportedReason(Read):
    """How often users gave this reason, and what they wrote. Who they are is told nowhere."""

    reason: str
    reports: int
    notes: tuple[str, ...]
    """the newest 5, in an order that tells no times"""


class RevisionState(Read):
    """Where one revision stands."""

    revision: int
    state: str
    """`accepted`: it will be decided, and nothing has been heard of that yet"""


class Review(Read):
    """A review of one revision."""

    task_id: UUID
    revision: int
    state: str
    queue: str
    created_at: AwareDatetime


class Content(Read):
    """One piece of content: the revisions, decisions (by sequence) and reviews that its reader may see.

    What it says, the judgements, the notes and the reports are for those who read everybody's decisions, and only
    while nothing of it is in review.
    """

    source: str
    content_id: str
    content: ReviewContent | None = None
    """the newest revision that people were asked about"""
    judgements: tuple[GivenJudgement, ...] = ()
    """oldest first; those of items that only measure reviewers left out"""
    notes: tuple[WrittenNote, ...] = ()
    """newest first"""
    reports: tuple[ReportedReason, ...] = ()
    """what users reported, the most frequent reason first"""
    revisions: tuple[RevisionState, ...]
    decisions: tuple[Decision, ...]
    tasks: tuple[Review, ...]
