"""What a review task should be after each action: the model that the machine compares the service with. No tests."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from secondlook.common.contract.events import decision_id
from secondlook.common.service.permissions import Caller
from secondlook.reviewer_api.review.tasks import Verdict

LIVE = ("pending", "leased", "decided")
OPEN = ("pending", "leased")
REVIEWERS, LEADS = {"ann", "ben", "cat"}, {"lea"}
CAP, RETURNS = 4, 3
MAX_HOLD, OTHERS_FIRST, HOUR = timedelta(minutes=10), timedelta(minutes=2), timedelta(hours=1)
LIMITS = f"""
review: {{max_leases: {CAP}, max_hold_minutes: 10, others_first_minutes: 2, max_returns: {RETURNS}}}
"""


@dataclass
class Said:
    """A judgement that stands."""

    token: UUID
    by: str
    verdict: Verdict
    result: str
    undo_until: datetime


@dataclass
class Hold:
    """Since when somebody has had a task, and from when on it is offered to them again."""

    since: datetime
    again_at: datetime


@dataclass
class Modelled:
    """A task as it should be. `prior`: what was decided before, with its sequence; `knows`: who ever judged it or gave
    it to the leads."""

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
    knows: set[str] = field(default_factory=set)
    holds: dict[str, Hold] = field(default_factory=dict)
    note: str | None = None
    task_id: UUID = field(default_factory=uuid4)  # another random one, once the task is there

    def is_live(self, now: datetime) -> bool:
        return self.state == "leased" and self.available_at > now

    def excludes(self, name: str) -> bool:
        return name in self.excluded and not (self.escalated and set(self.excluded) >= LEADS)

    def offered(self, name: str, now: datetime) -> bool:
        """Whether a claim of this person, who may work on the queue, may get the task."""
        if self.state not in OPEN or self.available_at > now or self.excludes(name):
            return False
        others = (LEADS if self.escalated else REVIEWERS | LEADS) - {name}
        alone = name not in self.excluded and others <= set(self.excluded)
        return alone or name not in self.holds or self.holds[name].again_at <= now

    def held(self, name: str, now: datetime, until: datetime) -> Hold:
        """Note that somebody has the task until then."""
        hold = self.holds.setdefault(name, Hold(now, now))
        hold.again_at = until + OTHERS_FIRST
        return hold

    def lease(self, token: UUID, name: str, until: datetime) -> None:
        self.state, self.token, self.holder, self.available_at = "leased", token, name, until
        self.excluded = [other for other in self.excluded if other != name]

    def is_stranded(self, now: datetime) -> bool:
        waits = self.state in OPEN and self.available_at <= now and not self.escalated
        return waits and set(self.excluded) >= REVIEWERS

    def strand(self, note: str) -> None:
        self.free(self.available_at)
        self.queue, self.escalated, self.note = "leads", True, self.note or note

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
        """A verdict; says in `said` what came of it. Who judges an escalated task again has one say, the last."""
        self.said = [before for before in self.said if before.by != said.by]
        if self.escalated or (self.said and self.said[0].verdict == said.verdict):
            said.result = "decided"
        elif self.said:
            said.result = "escalated"
        else:
            said.result = "second_opinion" if "csam" in said.verdict.labels else "decided"
        self.said.append(said)
        self.knows.add(said.by)
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
        if (hold := self.holds.get(latest.by)) is not None:
            hold.again_at = now if hold.since + MAX_HOLD > now else now + OTHERS_FIRST
        if latest.result == "escalated":
            self.queue, self.escalated = "default", False

    @property
    def row(self) -> tuple[object, ...]:
        """What the table should hold; of a closed task the lease does not matter."""
        lease = (self.available_at, self.token, self.holder) if self.state in LIVE else (None, None, None)
        return (self.state, self.queue, self.escalated, self.excluded, self.note, *lease)


def carried_over(tasks: list[Modelled], to: Modelled) -> Modelled | None:
    """The escalated revision whose escalation goes over to a new task, if there is one."""
    earlier = [task for task in tasks if task.content == to.content and task.revision < to.revision]
    unsettled = [
        task for task in earlier
        if task.escalated and task.state != "published"
        and not any(other.state == "published" and other.sequence > task.sequence for other in earlier)
    ]  # fmt: skip
    return max(unsettled, key=lambda task: task.sequence, default=None)
