"""What a review task should be after each action: the model that the machine compares the service with. No tests."""

from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID, uuid4

from secondlook.common.contract.events import decision_id
from secondlook.common.service.permissions import Caller
from secondlook.reviewer_api.review.tasks import Verdict

LIVE = ("pending", "leased", "decided")


@dataclass
class Said:
    """A judgement that stands."""

    token: UUID
    by: str
    verdict: Verdict
    result: str
    undo_until: datetime


@dataclass
class Modelled:
    """A task as it should be. `prior`: what was decided before, with its sequence; `judges`: who ever judged it."""

    review_id: UUID
    sequence: int
    content: str
    revision: int
    prior: tuple[int, Verdict] | None
    priority: int
    created_at: datetime
    available_at: datetime
    state: str = "pending"
    queue: str = "default"
    escalated: bool = False
    token: UUID | None = None
    holder: str | None = None
    excluded: list[str] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    judges: set[str] = field(default_factory=set)
    task_id: UUID = field(default_factory=uuid4)  # another random one, once the task is there

    @property
    def decision_id(self) -> UUID:
        return decision_id("forum", self.content, self.revision, self.sequence)

    @property
    def stands(self) -> tuple[int, Verdict]:
        """The decision in force once it is published, with its sequence."""
        if self.prior is not None and self.prior[1] == self.said[-1].verdict:
            return self.prior
        return self.sequence, self.said[-1].verdict

    def lost(self, token: UUID, by: Caller) -> str | None:
        """Why a lease does not hold, if it does not."""
        if self.state in ("superseded", "withdrawn"):
            return self.state
        if self.state in ("decided", "published"):
            return "already_decided"
        return None if self.state == "leased" and (self.token, self.holder) == (token, by.subject) else "lease_lost"

    def free(self, at: datetime) -> None:
        self.state, self.token, self.holder, self.available_at = "pending", None, None, at

    def judged(self, said: Said) -> None:
        """A verdict; says in `said` what came of it."""
        if self.escalated or (self.said and self.said[0].verdict == said.verdict):
            said.result = "decided"
        elif self.said:
            said.result = "escalated"
        else:
            said.result = "second_opinion" if "csam" in said.verdict.labels else "decided"
        self.said.append(said)
        self.judges.add(said.by)
        if said.result == "decided":
            self.state, self.available_at = "decided", said.undo_until
        else:
            self.free(said.undo_until)
            self.excluded.append(said.by)
        if said.result == "escalated":
            self.queue, self.escalated = "leads", True

    def undone(self, now: datetime) -> None:
        """As before the latest verdict."""
        latest = self.said.pop()
        self.free(now)
        self.excluded = [name for name in self.excluded if name != latest.by]
        if latest.result == "escalated":
            self.queue, self.escalated = "default", False

    @property
    def row(self) -> tuple[object, ...]:
        """What the table should hold; of a closed task the lease does not matter."""
        lease = (self.available_at, self.token, self.holder) if self.state in LIVE else (None, None, None)
        return (self.state, self.queue, self.escalated, self.excluded, *lease)
