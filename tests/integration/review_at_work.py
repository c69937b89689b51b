"""Reviewers at work, on the real service and on the model of it: half of the machine that compares them. No tests."""

import asyncio
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from secondlook.common.errors import Conflict, Forbidden
from secondlook.common.service.permissions import ROLES, Caller, Permission
from secondlook.reviewer_api.review.tasks import Verdict
from tests.integration.review_model import CAP, HOUR, MAX_HOLD, RETURNS, Modelled, Said
from tests.integration.review_world import GRACE, LEASE, World

PEOPLE = [
    Caller("ann", ROLES["reviewer"]),
    Caller("ben", ROLES["reviewer"]),
    Caller("cat", ROLES["reviewer"]),
    Caller("lea", ROLES["lead"]),
]
VERDICTS = [Verdict("approve", frozenset()), *(Verdict("reject", frozenset({name})) for name in ("spam", "csam"))]
TABLES = "task, task_payload, judgement, closure, bus.record, hold, returned_lease, reviewer_seen, api_key"
KEY = """
INSERT INTO api_key (key_id, secret, name, role, subject, created_at) VALUES ($1, $2, $1, $3, $1, $4)
"""
people, verdicts = st.sampled_from(PEOPLE), st.sampled_from(VERDICTS)
picks = st.integers(0, 10**6)
WAYS_OUT = ["heartbeat", "release", "skip", "escalate"]
NOTE = "nobody else is left: every reviewer of this queue has skipped or judged the item"


class ReviewersAtWork(RuleBasedStateMachine):
    """Its rules are what reviewers do, and that time passes."""

    world: ClassVar[World]
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[UUID, Modelled] = {}
        self.closures: dict[tuple[str, int], str] = {}
        self.leases: list[tuple[Modelled, UUID, Caller]] = []
        self.decisions: dict[UUID, Verdict] = {}
        self.labels: dict[UUID, bool] = {}
        self.returned: list[tuple[str, datetime]] = []
        self.judged: list[tuple[Said, datetime, Modelled]] = []
        pool = self.world.database.pool
        self.run(pool.execute(f"TRUNCATE {TABLES}"))
        for person in PEOPLE:
            role = "lead" if person.may(Permission.ESCALATIONS) else "reviewer"
            self.run(pool.execute(KEY, person.subject, person.subject.encode(), role, self.now))

    def run(self, action: Awaitable[Any]) -> Any:
        async def do() -> Any:
            return await action

        return self.runner.run(do())

    def answer(self, action: Awaitable[Any]) -> tuple[str | None, Any]:
        """The conflict's code, or None and the result."""
        try:
            return None, self.run(action)
        except Conflict as conflict:
            return conflict.code, None
        except Forbidden:
            return "forbidden", None

    @property
    def now(self) -> datetime:
        return self.world.clock.now()

    @rule(seconds=st.sampled_from([1, GRACE / 2, GRACE, LEASE / 2, LEASE]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.turn(seconds)

    def live(self, name: str) -> int:
        return sum(task.is_live(self.now) and task.holder == name for task in self.tasks.values())

    def may_not_claim(self, name: str) -> str | None:
        recent = self.now - HOUR
        lapsed = [
            task for task in self.tasks.values()
            if task.state == "leased" and task.holder == name and recent < task.available_at <= self.now
        ]  # fmt: skip
        returned = len(lapsed) + sum(by == name and at > recent for by, at in self.returned)
        stands = [said in task.said for said, at, task in self.judged if said.by == name and at > recent]
        judged, undone = sum(stands), stands.count(False)
        if self.live(name) >= CAP:
            return "too_many_leases"
        return "too_many_returns" if returned + undone > RETURNS + judged else None

    @rule(by=people, limit=st.integers(1, 3), queue=st.sampled_from([None, None, "default", "leads"]))
    def claim(self, by: Caller, limit: int, queue: str | None) -> None:
        code, claims = self.answer(self.world.api.reviews.claim(by, limit, queue))
        forbidden = queue == "leads" and not by.may(Permission.ESCALATIONS)
        assert code == ("forbidden" if forbidden else self.may_not_claim(by.subject))
        if code is not None:
            return
        if by.may(Permission.ESCALATIONS):
            self.strand()
        free = [
            task for task in self.tasks.values()
            if task.offered(by.subject, self.now) and queue in (None, task.queue)
            and (by.may(Permission.ESCALATIONS) or not task.escalated)
        ]  # fmt: skip
        free.sort(key=lambda task: (task.created_at - timedelta(minutes=task.priority), task.task_id))
        free = free[: min(limit, CAP - self.live(by.subject))]
        assert [claimed.task_id for claimed in claims.tasks] == [task.task_id for task in free]
        until = self.now + timedelta(seconds=LEASE)
        for claimed, task in zip(claims.tasks, free, strict=True):
            assert claimed.lease_token not in {token for _, token, _ in self.leases}
            if task.state == "leased":
                self.returned.append((str(task.holder), self.now))
            task.lease(claimed.lease_token, by.subject, until)
            task.held(by.subject, self.now, until)
            self.leases.append((task, claimed.lease_token, by))

    def strand(self) -> int:
        stranded = [task for task in self.tasks.values() if task.is_stranded(self.now)]
        for task in stranded:
            task.strand(NOTE)
        return len(stranded)

    @rule(by=people)
    def list_leases(self, by: Caller) -> None:
        live = [task for task in self.tasks.values() if task.is_live(self.now) and task.holder == by.subject]
        found = self.run(self.world.api.reviews.held(by)).tasks
        assert {(task.task_id, task.lease_token) for task in found} == {(task.task_id, task.token) for task in live}

    def lease(self, pick: int, held: bool) -> tuple[Modelled, UUID, Caller]:
        """One of all leases there were, or of those that hold, if there are any."""
        holding = [lease for lease in self.leases if lease[0].lost(*lease[1:]) is None]
        among = holding if held and holding else self.leases
        return among[pick % len(among)]

    @rule(by=people, verdict=verdicts, after=st.sampled_from([0, GRACE]))
    def claim_and_judge(self, by: Caller, verdict: Verdict, after: float) -> None:
        self.time_passes(after)
        before = len(self.leases)
        self.claim(by, 1, None)
        if len(self.leases) > before:
            self.judge(len(self.leases) - 1, verdict, False)

    @rule(by=people, what=st.sampled_from(WAYS_OUT))
    def claim_and_give_back(self, by: Caller, what: str) -> None:
        before = len(self.leases)
        self.claim(by, 1, None)
        if len(self.leases) > before:
            self.give_back_or_keep(len(self.leases) - 1, what, False)

    @rule(what=st.sampled_from(["skip", "skip", "release"]))
    def everybody_gives_back(self, what: str) -> None:
        for by in PEOPLE:
            self.claim_and_give_back(by, what)

    @rule(by=people)
    def one_takes_all(self, by: Caller) -> None:
        for _ in range(3):
            self.claim(by, 3, None)

    @precondition(lambda self: self.leases)
    @rule(pick=picks)
    def one_keeps_an_item(self, pick: int) -> None:
        place = self.leases.index(self.lease(pick, True))
        for _ in range(4):
            self.time_passes(LEASE / 2)
            self.give_back_or_keep(place, "heartbeat", False)

    @precondition(lambda self: self.leases)
    @rule(pick=picks, verdict=verdicts, held=st.booleans())
    def judge(self, pick: int, verdict: Verdict, held: bool) -> None:
        task, token, by = self.lease(pick, held)
        code, decision = self.answer(self.world.api.reviews.decide(task.task_id, token, by, verdict))
        before = next((said for said in task.said if said.token == token), None)
        if task.state in ("superseded", "withdrawn"):
            assert code == task.state
        elif before is not None and before.verdict == verdict:
            assert (decision.undo_until, decision.result.value) == (before.undo_until, before.result)
        elif before is not None:
            assert code == "already_decided"
        else:
            assert code == task.lost(token, by)
            if code is None:
                assert decision.decision_id == task.task_id
                task.judged(Said(token, by.subject, verdict, "", self.now + timedelta(seconds=GRACE)))
                self.judged.append((task.said[-1], self.now, task))
                assert decision.result.value == task.said[-1].result

    @precondition(lambda self: self.leases)
    @rule(pick=picks, what=st.sampled_from(WAYS_OUT), held=st.booleans())
    def give_back_or_keep(self, pick: int, what: str, held: bool) -> None:
        task, token, by = self.lease(pick, held)
        more = ["a note"] if what == "escalate" else []
        code, _ = self.answer(getattr(self.world.api.reviews, what)(task.task_id, token, by, *more))
        if what == "heartbeat" and task.lost(token, by) is None:
            self.keep(task, by.subject, code)
            return
        assert code == task.lost(token, by)
        if code is not None:
            return
        self.returned.append((by.subject, self.now))
        task.held(by.subject, self.now, self.now)
        task.free(self.now)
        if what == "skip":
            task.excluded.append(by.subject)
            if task.is_stranded(self.now):
                task.strand(NOTE)
        if what == "escalate":
            task.queue, task.escalated, task.note = "leads", True, "a note"
            task.knows.add(by.subject)

    def keep(self, task: Modelled, name: str, code: str | None) -> None:
        latest = task.holds[name].since + MAX_HOLD
        if not task.is_live(self.now) and self.live(name) >= CAP:
            assert code == "too_many_leases"
        elif self.now >= latest:
            assert code == "held_too_long"
        else:
            assert code is None
            task.available_at = max(task.available_at, min(self.now + timedelta(seconds=LEASE), latest))
            task.held(name, self.now, task.available_at)

    @precondition(lambda self: self.tasks)
    @rule(pick=picks, by=people, judged=st.booleans())
    def undo(self, pick: int, by: Caller, judged: bool) -> None:
        among = [task for task in self.tasks.values() if task.said and judged] or list(self.tasks.values())
        task = among[pick % len(among)]
        code, _ = self.answer(self.world.api.reviews.undo(task.task_id, by))
        latest = task.said[-1] if task.said else None
        waiting = latest is not None and task.state == ("decided" if latest.result == "decided" else "pending")
        in_time = latest is not None and waiting and self.now < latest.undo_until
        if latest is None or not in_time or not (by.may(Permission.UNDO_ANY) or latest.by == by.subject):
            assert code is not None
            return
        assert code is None
        task.undone(self.now)
