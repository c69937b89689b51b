"""What is known of a run once it is over: what was promised, what was stored, what was said on the wire."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from secondlook.common.contract.events import Event, Why

ROUTER, REVIEWER_API = "router", "reviewer-api"

Key = tuple[str, str]
Revision = tuple[str, str, int]
Verdict = tuple[str, frozenset[str]]
E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class Said:
    """An event on the wire. `id` is its CloudEvents id, `by` the service that said it."""

    id: str
    by: str
    event: Event


@dataclass(frozen=True, slots=True)
class Routed:
    """A row of `router.revision`."""

    route: str
    why: str
    audited: bool
    at: datetime


@dataclass(frozen=True, slots=True)
class Task:
    """A row of `reviewer.task`, with what was said before it and by whom it was judged, undone judgements left out."""

    review_id: UUID
    revision: Revision
    decision_id: UUID
    state: str
    why: str
    prior: Verdict | None
    verdict: Verdict | None  # the last one
    reviewers: tuple[str, ...]

    @property
    def decides(self) -> bool:
        """Whether a decision of its own was published: an audit that agrees with its prior has none."""
        return self.state == "published" and not (self.why == Why.AUDIT and self.verdict == self.prior)


@dataclass(frozen=True, slots=True)
class Position:
    """A row of `consumer_position` at some moment."""

    slot: tuple[str, str, int]  # group, topic, partition
    offset: int
    epoch: int


@dataclass
class History:
    """All that is known of a run once it is over."""

    accepted: dict[Revision, datetime] = field(default_factory=dict)
    withdrawn: set[Key] = field(default_factory=set)
    reused: set[Revision] = field(default_factory=set)
    answered: dict[UUID, str] = field(default_factory=dict)  # outcomes that the API took, by lease token
    wire: list[Said] = field(default_factory=list)  # in the order of each partition
    ends: dict[tuple[str, int], int] = field(default_factory=dict)  # of the topics' partitions
    routed: dict[Revision, Routed] = field(default_factory=dict)
    withdrawals: set[Key] = field(default_factory=set)  # as stored
    tasks: list[Task] = field(default_factory=list)
    judged: dict[UUID, str] = field(default_factory=dict)  # outcomes as stored, by lease token
    decision_log: dict[UUID, str] = field(default_factory=dict)
    outbox: dict[str, int] = field(default_factory=dict)  # rows left, by schema
    samples: list[Position] = field(default_factory=list)  # over time
    set_aside: list[tuple[str, Revision | None, str]] = field(default_factory=list)  # dead letters: origin, what, why
    set_aside_on_wire: set[str] = field(default_factory=set)  # their origins

    def events(self, kind: type[E], by: str = "") -> list[E]:
        """The events of this type on the wire, in order, without their repeats."""
        first = {said.id: said.event for said in reversed(self.wire) if by in ("", said.by)}
        return [event for event in reversed(first.values()) if isinstance(event, kind)]

    @property
    def repeated(self) -> int:
        """How many records of the services are repeats of earlier ones."""
        ids = [said.id for said in self.wire if said.by in (ROUTER, REVIEWER_API)]
        return len(ids) - len(set(ids))
