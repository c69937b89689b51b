"""The review queue against a model of it: any sequence of actions by several people, the real service and database.

The model predicts every answer, every row and every event; after each step they are compared.
"""

import asyncio
import json
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from secondlook.common.contract.events import SecondLookRequested, Why, first_sequence, label_id, review_id
from secondlook.common.errors import Conflict, Forbidden
from secondlook.common.service.permissions import ROLES, Caller, Permission
from secondlook.reviewer_api.review.tasks import Verdict
from tests.integration.review_model import LIVE, Modelled, Said
from tests.integration.review_world import GRACE, LEASE, START, World, cancelled, prior, requested

PEOPLE = [
    Caller("ann", ROLES["reviewer"]),
    Caller("ben", ROLES["reviewer"]),
    Caller("cat", ROLES["reviewer"]),
    Caller("lea", ROLES["lead"]),
]
VERDICTS = [Verdict("approve", frozenset()), *(Verdict("reject", frozenset({name})) for name in ("spam", "csam"))]
TABLES = "task, task_payload, judgement, closure, bus.record"
ROWS = """
SELECT task_id, state, queue, escalated, excluded,
       CASE WHEN state IN ('pending', 'leased', 'decided') THEN available_at END,
       CASE WHEN state IN ('pending', 'leased', 'decided') THEN lease_token END,
       CASE WHEN state IN ('pending', 'leased', 'decided') THEN leased_by END
FROM task
"""
EVENTS = "SELECT topic, value FROM bus.record WHERE topic IN ('moderation.decided', 'review.labelled')"

# Enough pieces of content that most are not closed when somebody looks at them, and revisions that seldom rise.
contents, revisions = st.sampled_from("abcdefghij"), st.sampled_from([1, 1, 1, 1, 2, 3])
people, verdicts = st.sampled_from(PEOPLE), st.sampled_from(VERDICTS)
picks = st.integers(0, 10**6)
LONG_AGO = START - timedelta(days=1)  # so that what was asked then is claimed first


class ReviewQueueMachine(RuleBasedStateMachine):
    """Its rules are what people, other services and time do."""

    world: ClassVar[World]
    runner: ClassVar[asyncio.Runner]

    def __init__(self) -> None:
        super().__init__()
        self.tasks: dict[UUID, Modelled] = {}
        self.closures: dict[tuple[str, int], str] = {}
        self.leases: list[tuple[Modelled, UUID, Caller]] = []
        self.decisions: dict[UUID, Verdict] = {}
        self.labels: dict[UUID, bool] = {}
        self.run(self.world.database.pool.execute(f"TRUNCATE {TABLES}"))

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

    @initialize()
    def there_is_work(self) -> None:
        for content in "abcdef":
            self.somebody_is_asked(content, 1, 0, content == "a")
        for verdict in VERDICTS[:2]:
            self.claim_and_judge(PEOPLE[0], verdict, 0)
        self.publish(GRACE)

    @rule(seconds=st.sampled_from([1, GRACE / 2, GRACE, LEASE / 2, LEASE]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.turn(seconds)

    @rule(content=contents, revision=revisions, priority=st.integers(0, 1), audit=st.booleans())
    def somebody_is_asked(self, content: str, revision: int, priority: int, audit: bool) -> None:
        revision = 1 if audit else revision
        why = Why.AUDIT if audit else Why.UNCERTAIN
        before = prior(content, "approve") if audit else None
        asked = requested(content, revision, why=why, prior=before, priority=priority, at=self.now)
        self.run(self.world.request(asked))
        first, identity = first_sequence(revision), review_id("forum", content, revision, why)
        sequence = self.next_sequence(content, revision, first) if audit else first
        said = (first, VERDICTS[0]) if audit else None
        task = Modelled(identity, sequence, content, revision, said, priority, self.now, self.now)
        self.keep(task)
        if revision > 1:
            self.closures.setdefault((content, revision - 1), "superseded")
        self.close(content)

    def keep(self, task: Modelled) -> None:
        """A repeated request makes no second task; a task's id is random and its own."""
        self.tasks.setdefault(task.review_id, task)
        find = "SELECT task_id FROM task WHERE review_id = $1"
        task.task_id = self.run(self.world.database.pool.fetchval(find, task.review_id))

    def reviews(self, content: str, revision: int) -> list[Modelled]:
        return [task for task in self.tasks.values() if (task.content, task.revision) == (content, revision)]

    def next_sequence(self, content: str, revision: int, after: int) -> int:
        return max([after, *(task.sequence for task in self.reviews(content, revision))]) + 1

    @rule(content=contents, revision=st.sampled_from([1, 1, 2]), pick=picks, known=st.booleans())
    def an_answer_looks_wrong(self, content: str, revision: int, pick: int, known: bool) -> None:
        published = [task for task in self.tasks.values() if task.state == "published"]
        if known and published:
            content, revision = published[pick % len(published)].content, published[pick % len(published)].revision
        self.run(self.world.database.pool.execute("TRUNCATE dead_letter"))
        event = SecondLookRequested(
            source="forum", content_id=content, revision=revision, reason="", requested_at=LONG_AGO
        )
        self.run(self.world.request(event))
        reviews = self.reviews(content, revision)
        settled = [task for task in reviews if task.state == "published"]
        live = any(task.state in LIVE for task in reviews)
        refused = self.run(self.world.database.pool.fetchval("SELECT count(*) FROM dead_letter"))
        assert refused == (not reviews or (live and not settled))
        if settled:
            before = max((task.stands for task in settled), key=lambda decision: decision[0])
            identity = review_id("forum", content, revision, Why.SECOND_LOOK)
            sequence = self.next_sequence(content, revision, before[0])
            priority = min(settled, key=lambda task: task.sequence).priority
            task = Modelled(identity, sequence, content, revision, before, priority, LONG_AGO, self.now)
            task.excluded = sorted({name for task in reviews for name in task.judges})
            self.keep(task)
            self.close(content)

    @rule(content=st.sampled_from("abcd"), up_to=revisions, why=st.sampled_from(["superseded", "withdrawn"]))
    def nobody_needs_to_know_any_more(self, content: str, up_to: int, why: str) -> None:
        self.run(self.world.request(cancelled(content, up_to, why)))
        self.closures.setdefault((content, up_to), why)
        self.close(content)

    def close(self, content: str) -> None:
        for task in self.tasks.values():
            reached = [up_to for name, up_to in self.closures if name == content and up_to >= task.revision]
            if task.content == content and reached and task.state in ("pending", "leased", "decided"):
                task.state = self.closures[content, min(reached)]

    @rule(by=people, limit=st.integers(1, 3), queue=st.sampled_from([None, None, "default", "leads"]))
    def claim(self, by: Caller, limit: int, queue: str | None) -> None:
        code, claims = self.answer(self.world.api.reviews.claim(by, limit, queue))
        assert code == ("forbidden" if queue == "leads" and not by.may(Permission.ESCALATIONS) else None)
        if code is not None:
            return
        free = [
            task for task in self.tasks.values()
            if task.state in ("pending", "leased") and task.available_at <= self.now
            and by.subject not in task.excluded and queue in (None, task.queue)
            and (by.may(Permission.ESCALATIONS) or not task.escalated)
        ]  # fmt: skip
        free.sort(key=lambda task: (task.created_at - timedelta(minutes=task.priority), task.task_id))
        assert [claimed.task_id for claimed in claims.tasks] == [task.task_id for task in free[:limit]]
        for claimed, task in zip(claims.tasks, free, strict=False):
            assert claimed.lease_token not in {token for _, token, _ in self.leases}
            task.state, task.token, task.holder = "leased", claimed.lease_token, by.subject
            task.available_at = self.now + timedelta(seconds=LEASE)
            self.leases.append((task, claimed.lease_token, by))

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
                assert decision.result.value == task.said[-1].result

    @precondition(lambda self: self.leases)
    @rule(pick=picks, what=st.sampled_from(["heartbeat", "release", "skip", "escalate"]), held=st.booleans())
    def give_back_or_keep(self, pick: int, what: str, held: bool) -> None:
        task, token, by = self.lease(pick, held)
        more = ["a note"] if what == "escalate" else []
        code, _ = self.answer(getattr(self.world.api.reviews, what)(task.task_id, token, by, *more))
        assert code == task.lost(token, by)
        if code is not None:
            return
        if what == "heartbeat":
            task.available_at = self.now + timedelta(seconds=LEASE)
            return
        task.free(self.now)
        if what == "skip":
            task.excluded.append(by.subject)
        if what == "escalate":
            task.queue, task.escalated = "leads", True

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

    @rule(after=st.sampled_from([0, GRACE]))
    def publish(self, after: float) -> None:
        self.time_passes(after)
        due = [task for task in self.tasks.values() if task.state == "decided" and task.available_at <= self.now]
        assert self.run(self.world.api.publisher.publish_due()) == len(due)
        for task in due:
            task.state = "published"
            if task.stands[0] == task.sequence:
                self.decisions[task.decision_id] = task.said[-1].verdict
            for said in task.said:
                self.labels[label_id(task.review_id, said.by)] = not task.escalated or said is task.said[-1]

    @invariant()
    def rows_and_events_are_as_modelled(self) -> None:
        rows, events = self.run(self.stored())
        assert {row["task_id"]: tuple(row)[1:] for row in rows} == {t.task_id: t.row for t in self.tasks.values()}
        bodies = [(event["topic"], json.loads(event["value"])) for event in events]
        decisions = [body for topic, body in bodies if topic == "moderation.decided"]
        labels = [body for topic, body in bodies if topic == "review.labelled"]
        assert len(decisions) == len(self.decisions), "a decision was published twice, or not at all"
        found = {UUID(d["decision_id"]): Verdict(d["outcome"], frozenset(d["labels"])) for d in decisions}
        assert found == self.decisions
        first = [(d["content_id"], d["revision"]) for d in decisions if d["supersedes"] is None]
        assert len(first) == len(set(first)), "a revision was decided twice"
        assert len(labels) == len(self.labels), "a label was published twice, or not at all"
        assert {UUID(label["label_id"]): label["adjudicated"] for label in labels} == self.labels

    async def stored(self) -> tuple[Any, Any]:
        async with self.world.database.pool.acquire() as connection:
            return await connection.fetch(ROWS), await connection.fetch(EVENTS)


def test_the_queue_does_what_the_model_says(database_url: str) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        opened = runner.run(stack.enter_async_context(World.open(database_url)))

        class Bound(ReviewQueueMachine):
            world = opened

        Bound.runner = runner
        checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
        bounds = settings(max_examples=80, stateful_step_count=40, database=None, suppress_health_check=checks)
        try:
            run_state_machine_as_test(Bound, settings=settings(bounds, deadline=None))
        finally:
            runner.run(stack.aclose())
