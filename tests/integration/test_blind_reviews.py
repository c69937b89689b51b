"""While an item is in review its reviewers cannot tell an audit, a second look or a gold item from any other.

Every route that a reviewer's key opens is asked about one item of each kind, in each state of its task. The answers are
the same, to the byte, once ids that are random and the item's own name are taken out.
"""

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from secondlook.common.contract.events import (
    SecondLookRequested,
    Why,
    decision_id,
    first_sequence,
    review_id,
)
from secondlook.common.contract.reports import ReviewReported
from secondlook.common.service.permissions import Role
from tests.integration.review_world import GRACE, START, World, prior, requested
from tests.integration.test_reviewer_api_reads import decision, log

KINDS = (Why.UNCERTAIN, Why.NO_BUNDLE, Why.KILL_SWITCH, Why.AUDIT, Why.SECOND_LOOK, Why.GOLD, Why.REPORTED)
AGAIN = (Why.AUDIT, Why.REPORTED)  # of what was decided automatically
VERDICT = {"outcome": "reject", "labels": ["spam"]}
RANDOM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")  # version 4


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


def name(why: Why) -> str:
    return f"item-{KINDS.index(why)}"


async def one_of_each(world: World) -> None:
    """An open item of each kind, asked for at the same moment; what was decided before is in the decision log."""
    again = name(Why.SECOND_LOOK)
    await world.caller(
        "reviewer", "another"
    )  # with one reviewer, a second look goes to a lead, who can tell (ADR 0016)
    await world.request(requested(again))
    [task] = await world.claim(name="first")
    await world.approve(task, name="first")
    await world.publish()
    first = (await world.caller("reviewer", "first")).subject
    await log(world, decision(again, by=first), *map(decision, map(name, AGAIN)), decision(name(Why.GOLD), by=first))
    now = world.clock.now()
    await world.request(
        SecondLookRequested(source="forum", content_id=again, revision=1, reason="", requested_at=now),
        *(
            requested(name(why), why=why, at=now, prior=prior(name(why), "approve") if why in AGAIN else None)
            for why in KINDS if why is not Why.SECOND_LOOK
        ),
        *(complaint(name(why), number) for why in KINDS for number in range(3)),
    )  # fmt: skip


def complaint(content_id: str, number: int) -> ReviewReported:
    """What the router tells of a report; users report items of every kind."""
    return ReviewReported(
        source="forum", content_id=content_id, report_id=f"{content_id}.{number}", reason=("spam", "rude")[number % 2],
        note=f"note {number}", reported_at=START, received_at=START, raised=None,
    )  # fmt: skip


@dataclass
class Spy:
    """A person who writes down every answer about an item."""

    world: World
    role: Role = "reviewer"
    name: str = "spy"
    noted: dict[Why, list[str]] = field(default_factory=dict)

    async def ask(self, why: Why, method: str, path: str, body: Any = None) -> httpx.Response:
        answer = await self.world.call(method, path, body, role=self.role, name=self.name)
        self.noted.setdefault(why, []).append(f"{method} {answer.status_code} {self.scrubbed(why, answer.text)}")
        return answer

    def scrubbed(self, why: Why, text: str) -> str:
        return RANDOM.sub("ID", text).replace(name(why), "NAME")

    async def look(self, why: Why) -> None:
        """Ask every route that reads, and about every name that can be computed from what is public."""
        await self.ask(why, "GET", f"/content/forum/{name(why)}")
        for number in range(3):
            made = decision_id("forum", name(why), 1, first_sequence(1) + number)
            for method, path, body in (
                ("POST", f"/decisions/{made}/undo", None),
                ("GET", f"/decisions?after={made}", None),
                ("POST", f"/decisions/{made}/reverse", {**VERDICT, "reason": "to see what it says"}),
            ):
                answer = await self.ask(why, method, path, body)
                assert str(made) not in answer.text or answer.status_code == 404
                self.noted[why][-1] = self.noted[why][-1].replace(str(made), "MADE")
        for purpose in Why:
            made = review_id("forum", name(why), 1, purpose)
            for path in (f"/review/tasks/{made}/heartbeat", f"/decisions/{made}/undo"):
                answer = await self.ask(why, "POST", path, {"lease_token": str(uuid4())})
                assert answer.status_code == 404
                self.noted[why][-1] = self.noted[why][-1].replace(str(made), "MADE")
        for query in (f"text={name(why)}", f'text="of {name(why)}"&state=in_review', "outcome=approve"):
            found = (await self.world.call("GET", f"/search?{query}", role=self.role, name=self.name)).json()
            assert name(why) not in {item["content_id"] for item in found["items"]}, (why, query)
        listed = (await self.world.call("GET", "/review/tasks", role=self.role, name=self.name)).json()["tasks"]
        told = [task for task in listed if task["content_id"] == name(why)]
        self.noted.setdefault(why, []).append(self.scrubbed(why, str(told)))
        page = (await self.world.call("GET", "/decisions?limit=200", role=self.role, name=self.name)).json()
        assert name(why) not in {shown["content_id"] for shown in page["decisions"]}, why

    def learned_nothing(self) -> None:
        different = {why: noted for why, noted in self.noted.items() if noted != self.noted[Why.UNCERTAIN]}
        assert not different, {
            why: [pair for pair in zip(noted, self.noted[Why.UNCERTAIN], strict=False) if pair[0] != pair[1]]
            for why, noted in different.items()
        }
        assert set(self.noted) == set(KINDS)


Step = Callable[[Spy, Why, Any], Awaitable[Any]]


async def held(spy: Spy, why: Why, task: Any) -> None:
    """What one does with an item in hands: nothing, wrong things, and the right ones twice."""
    path, token = f"/review/tasks/{task['task_id']}", {"lease_token": task["lease_token"]}
    await spy.look(why)
    await spy.ask(why, "POST", f"/decisions/{task['task_id']}/undo")
    await spy.ask(why, "GET", f"{path}/context")
    await spy.ask(why, "POST", "/notes", {"source": "forum", "content_id": name(why), "text": "seen"})
    await spy.ask(why, "GET", f"{path}/context")
    await spy.ask(why, "GET", f"{path}/near")
    await spy.ask(why, "POST", f"{path}/heartbeat", token)
    await spy.ask(why, "POST", f"{path}/heartbeat", {"lease_token": str(uuid4())})
    await spy.ask(why, "POST", f"{path}/decision", {**token, "outcome": "reject", "labels": ["unheard-of"]})


async def decided(spy: Spy, why: Why, task: Any) -> None:
    path, token = f"/review/tasks/{task['task_id']}", {"lease_token": task["lease_token"]}
    said = (await spy.ask(why, "POST", f"{path}/decision", {**token, **VERDICT})).json()
    assert UUID(said["decision_id"]).version == 4
    await spy.look(why)
    await spy.ask(why, "POST", f"{path}/decision", {**token, **VERDICT})
    await spy.ask(why, "POST", f"{path}/decision", {**token, "outcome": "approve", "labels": []})
    await spy.ask(why, "POST", f"{path}/skip", token)
    await spy.ask(why, "POST", f"/decisions/{said['decision_id']}/undo")
    await spy.ask(why, "POST", f"/decisions/{said['decision_id']}/undo")
    if spy.role == "reviewer":  # a lead may look at what is in nobody's hands
        await spy.look(why)


async def opinion(spy: Spy, why: Why, task: Any) -> None:
    """A label that needs two: the first of them has it in hands until it is settled."""
    path, token = f"/review/tasks/{task['task_id']}", {"lease_token": task["lease_token"]}
    await spy.ask(why, "POST", f"{path}/decision", {**token, "outcome": "reject", "labels": ["csam"]})
    await spy.look(why)


async def together(spy: Spy, why: Why, task: Any) -> None:
    """Judged in a bulk: neither its answer nor its undo, in time or not, tells what a second reviewer judges too."""
    bulk = {"bulk_id": str(uuid4()), "task_ids": [task["task_id"]], **VERDICT}
    await spy.ask(why, "POST", "/review/bulks", bulk)
    await spy.ask(why, "POST", "/review/bulks", bulk)
    await spy.ask(why, "POST", f"/review/bulks/{bulk['bulk_id']}/undo")
    again = {**bulk, "bulk_id": str(uuid4())}
    await spy.ask(why, "POST", "/review/bulks", again)
    clock = spy.world.clock
    before = clock.time
    clock.turn(GRACE)
    await spy.ask(why, "POST", f"/review/bulks/{again['bulk_id']}/undo")
    await spy.ask(why, "POST", "/review/bulks", {**again, "bulk_id": str(uuid4())})
    clock.time = before


def gone(what: str) -> Step:
    async def step(spy: Spy, why: Why, task: Any) -> None:
        path, token = f"/review/tasks/{task['task_id']}", {"lease_token": task["lease_token"]}
        await spy.ask(why, "POST", f"{path}/{what}", token)
        await spy.ask(why, "POST", f"{path}/heartbeat", token)
        if spy.role == "reviewer":
            await spy.look(why)

    return step


STEPS: dict[str, Step] = {
    "held": held, "decided": decided, "opinion": opinion, "released": gone("release"), "skipped": gone("skip"),
    "escalated": gone("escalate"), "together": together,
}  # fmt: skip


@pytest.mark.parametrize("role", ["reviewer", "lead"])
@pytest.mark.parametrize("step", STEPS)
async def test_no_route_tells_one_kind_from_another(world: World, step: str, role: Role) -> None:
    await one_of_each(world)
    spy = Spy(world, role, f"spy, {role}")
    if role == "reviewer":
        for why in KINDS:
            await spy.look(why)
    tasks = {task["content"]["content_id"]: task for task in await world.claim(10, role=role, name=spy.name)}
    assert set(tasks) == set(map(name, KINDS))
    for why in KINDS:
        task = tasks[name(why)]
        assert UUID(task["task_id"]).version == UUID(task["lease_token"]).version == 4
        spy.noted.setdefault(why, []).append(spy.scrubbed(why, str(task)))
        await STEPS[step](spy, why, task)
    spy.learned_nothing()


async def test_queues_say_the_same_whatever_waits_in_them(world: World) -> None:
    said = set()
    for why in KINDS:
        if why is not Why.SECOND_LOOK:
            before = prior(name(why), "approve") if why in AGAIN else None
            await world.request(requested(name(why), why=why, prior=before))
            said.add((await world.call("GET", "/queues")).text)
            [task] = await world.claim(name="clerk")
            await world.act(task, "skip", name="clerk")
            await world.database.pool.execute("TRUNCATE task CASCADE")
    assert len(said) == 1


@pytest.mark.parametrize("why", [Why.AUDIT, Why.UNCERTAIN, Why.GOLD, Why.REPORTED])
async def test_a_lead_sees_the_decision_but_not_with_the_item_in_hands(world: World, why: Why) -> None:
    await log(world, decision("a"))
    await world.request(requested("a", why=why, prior=prior("a", "approve") if why in AGAIN else None))

    async def seen() -> tuple[int, int]:
        content = (await world.call("GET", "/content/forum/a", role="lead")).json()
        page = (await world.call("GET", "/decisions", role="lead")).json()
        return len(content["decisions"]), len(page["decisions"])

    assert await seen() == (1, 1)
    [task] = await world.claim(role="lead")
    assert await seen() == (0, 0)
    made = decision_id("forum", "a", 1, first_sequence(1))
    assert (await world.call("GET", f"/decisions?after={made}", role="lead")).status_code == 422
    await world.approve(task, role="lead")
    assert await seen() == (0, 0), "in its grace"
    await world.publish()
    assert (await seen())[0] >= 1


async def test_upstream_services_see_everything_at_any_time(world: World) -> None:
    await one_of_each(world)
    await world.claim(10)
    found = (await world.call("GET", f"/content/forum/{name(Why.AUDIT)}", role="upstream")).json()
    assert [shown["decided_by"] for shown in found["decisions"]] == ["model"]
    assert len((await world.call("GET", "/decisions", role="upstream")).json()["decisions"]) == 4


async def test_a_reviewer_reads_their_own_decisions(world: World) -> None:
    """Everybody's would tell, once an item comes up for review again, that it was decided before."""
    for who, content in (("me", "mine"), ("them", "theirs")):
        await world.request(requested(content))
        [task] = await world.claim(name=who)
        await world.reject(task, "spam", name=who)
    await world.publish()
    me, them = [(await world.caller("reviewer", who)).subject for who in ("me", "them")]
    await log(world, decision("mine", by=me), decision("theirs", by=them), decision("sure"))
    page = (await world.call("GET", "/decisions", name="me")).json()["decisions"]
    assert [shown["content_id"] for shown in page] == ["mine"]
    content = (await world.call("GET", "/content/forum/mine", name="me")).json()
    assert (content["revisions"], len(content["decisions"])) == ([{"revision": 1, "state": "decided"}], 1)
    assert [task["state"] for task in content["tasks"]] == ["published"]
    for other in ("theirs", "sure", "unheard-of"):
        assert (await world.call("GET", f"/content/forum/{other}", name="me")).status_code == 404
    assert (await world.call("GET", f"/decisions?decided_by={them}", name="me")).json()["decisions"] == []


async def test_an_edit_in_review_does_not_tell_what_became_of_earlier_revisions(world: World) -> None:
    """That the model was sure of the first revision says much about the second one."""
    await log(world, decision("a"), decision("b", by="reviewer-1"))
    await world.request(requested("c"), *(requested(content, 2) for content in "abcd"))
    said = {
        (await world.call("GET", f"/content/forum/{content}")).text.replace(f'"{content}"', "") for content in "abcd"
    }
    assert len(said) == 1
    assert '"in_review"' in said.pop()


async def test_a_second_look_shows_content_as_old_as_it_was(world: World) -> None:
    await world.request(requested("old", at=START))
    [task] = await world.claim(name="first")
    await world.approve(task, name="first")
    await world.publish()
    world.clock.turn(30 * 86_400)
    now = world.clock.now()
    await world.request(
        SecondLookRequested(source="forum", content_id="old", revision=1, reason="", requested_at=now),
        requested("new", at=now),
    )
    shown = {task["content"]["content_id"]: task for task in await world.claim(2, name="second")}
    ages = {content: (task["created_at"], task["content"]["created_at"]) for content, task in shown.items()}
    assert ages["old"] == ages["new"]


async def test_metrics_do_not_count_second_looks_apart(world: World) -> None:
    """Whoever reads them as items come in would see which one is looked at again."""
    await one_of_each(world)
    world.clock.turn(GRACE)
    assert "second_look" not in (await world.client.get("http://reviewer/metrics")).text
