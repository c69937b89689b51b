"""The review queue against a model of it: any sequence of actions by several people, the real service and database.

The model predicts every answer, every row and every event; after each step they are compared.
"""

import asyncio
import json
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from secondlook.common.contract.events import SecondLookRequested, Why, first_sequence, label_id, review_id
from secondlook.common.service.permissions import Caller, Permission
from secondlook.reviewer_api.review.tasks import Verdict
from tests.integration.review_at_work import PEOPLE, VERDICTS, ReviewersAtWork, people, picks
from tests.integration.review_model import CAP, HOUR, LIMITS, LIVE, MAX_HOLD, OPEN, Hold, Modelled, carried_over
from tests.integration.review_world import GRACE, POLICY, START, World, cancelled, prior, requested

ROWS = """
SELECT task_id, state, queue, escalated, excluded, escalation_note,
       CASE WHEN state IN ('pending', 'leased', 'decided') THEN available_at END,
       CASE WHEN state IN ('pending', 'leased', 'decided') THEN lease_token END,
       CASE WHEN state IN ('pending', 'leased', 'decided') THEN leased_by END
FROM task JOIN task_payload USING (task_id)
"""
EVENTS = "SELECT topic, value FROM bus.record WHERE topic IN ('moderation.decided', 'review.labelled')"

# Enough pieces of content that most are not closed when somebody looks at them, and revisions that seldom rise.
contents, revisions = st.sampled_from("abcdefghij"), st.sampled_from([1, 1, 1, 1, 2, 3])
LONG_AGO = START - timedelta(days=1)  # so that what was asked then is claimed first


class ReviewQueueMachine(ReviewersAtWork):
    """Its rules are what reviewers, leads, other services and time do."""

    @initialize()
    def there_is_work(self) -> None:
        for content in "abcdef":
            self.somebody_is_asked(content, 1, 0, content == "a")
        for verdict in VERDICTS[:2]:
            self.claim_and_judge(PEOPLE[0], verdict, 0)
        self.publish(GRACE)

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
        self.noted(task)
        if revision > 1:
            self.closures.setdefault((content, revision - 1), "superseded")
        self.close(content)
        self.carry_over(content)

    def noted(self, task: Modelled) -> None:
        """A repeated request makes no second task, but may raise it; a task's id is random and its own."""
        known = self.tasks.setdefault(task.review_id, task)
        if known.state in ("pending", "leased"):
            known.priority = max(known.priority, task.priority)
        find = "SELECT task_id FROM task WHERE review_id = $1"
        task.task_id = self.run(self.world.database.pool.fetchval(find, task.review_id))

    @rule(pick=picks)
    def an_author_edits(self, pick: int) -> None:
        tasks = list(self.tasks.values())
        among = [task for task in tasks if task.escalated] or tasks
        task = among[pick % len(among)]
        if task.revision < 6:
            self.somebody_is_asked(task.content, task.revision + 1, 0, False)

    def carry_over(self, content: str) -> None:
        for task in self.tasks.values():
            if task.content == content and task.state == "pending" and not task.escalated:
                before = carried_over(list(self.tasks.values()), task)
                if before is not None:
                    task.queue, task.escalated, task.note = before.queue, True, before.note

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
            task.excluded = sorted({name for task in reviews for name in (*task.knows, *task.excluded)})
            self.noted(task)
            self.close(content)
            self.carry_over(content)

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

    @rule()
    def the_last_who_is_left_wants_a_second_opinion(self) -> None:
        *others, last = PEOPLE[:3]
        for by in others:
            self.claim_and_give_back(by, "skip")
        self.claim_and_judge(last, VERDICTS[2], 0)
        self.time_passes(GRACE)
        self.nobody_is_left_for_some()

    @rule()
    def nobody_is_left_for_some(self) -> None:
        assert self.run(self.world.api.escalations.sweep()) == self.strand()

    @precondition(lambda self: self.tasks)
    @rule(pick=picks, held=st.booleans())
    def a_lead_takes_back(self, pick: int, held: bool) -> None:
        task = self.task(pick, held)
        code, _ = self.answer(self.world.api.leads.take_back(task.task_id, "lead-1"))
        assert code == (self.closed(task) or (None if task.state == "leased" else "not_leased"))
        if code is None:
            task.held(str(task.holder), self.now, self.now)
            task.free(self.now)

    @precondition(lambda self: self.tasks)
    @rule(pick=picks, to=people, held=st.booleans())
    def a_lead_assigns(self, pick: int, to: Caller, held: bool) -> None:
        task, name = self.task(pick, held), to.subject
        code, given = self.answer(self.world.api.leads.assign(task.task_id, name, "lead-1"))
        has_it = task.is_live(self.now) and task.holder == name
        if self.closed(task) is not None or has_it:
            assert code == self.closed(task)
            return
        if task.escalated and not to.may(Permission.ESCALATIONS):
            assert code == "not_for_reviewer"
        elif task.excludes(name):
            assert code == "excluded"
        else:
            assert code == ("too_many_leases" if self.live(name) >= CAP else None)
        if code is None:
            if task.state == "leased":
                task.held(str(task.holder), self.now, self.now)
            task.lease(given.lease_token, name, self.now + MAX_HOLD)
            task.holds[name] = Hold(self.now, self.now)
            task.held(name, self.now, task.available_at)
            self.leases.append((task, given.lease_token, to))

    def task(self, pick: int, held: bool) -> Modelled:
        """One of all tasks, or of those that somebody holds, if there are any."""
        every = list(self.tasks.values())
        among = [task for task in every if task.state == "leased" and held] or every
        return among[pick % len(among)]

    def closed(self, task: Modelled) -> str | None:
        """Why a lead cannot touch a task, if so."""
        if task.state in ("superseded", "withdrawn"):
            return task.state
        if task.state in ("decided", "published"):
            return "already_decided"
        return "undo_open" if task.state == "pending" and task.available_at > self.now else None

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

    @invariant()
    def nobody_holds_more_than_the_policy_allows(self) -> None:
        assert max(self.live(person.subject) for person in PEOPLE) <= CAP

    def teardown(self) -> None:
        """Nothing waits forever: who has time and judges what they get empties the queue."""
        self.time_passes(2 * HOUR.total_seconds())
        for _ in range(30 * len(self.tasks)):
            if not any(task.state in OPEN for task in self.tasks.values()):
                return
            for person in PEOPLE:
                self.claim_and_judge(person, VERDICTS[0], GRACE)
            self.time_passes(60)
        assert not [task for task in self.tasks.values() if task.state in OPEN]

    async def stored(self) -> tuple[Any, Any]:
        async with self.world.database.pool.acquire() as connection:
            return await connection.fetch(ROWS), await connection.fetch(EVENTS)


def test_the_queue_does_what_the_model_says(database_url: str) -> None:
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        opened = runner.run(stack.enter_async_context(World.open(database_url, policy=POLICY + LIMITS)))

        class Bound(ReviewQueueMachine):
            world = opened

        Bound.runner = runner
        checks = [HealthCheck.too_slow, HealthCheck.data_too_large]
        bounds = settings(max_examples=80, stateful_step_count=40, database=None, suppress_health_check=checks)
        try:
            run_state_machine_as_test(Bound, settings=settings(bounds, deadline=None))
        finally:
            runner.run(stack.aclose())
