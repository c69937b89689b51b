"""A published decision is superseded by a person: upstream hears it once, the sequence grows, and the model learns."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from secondlook.common.contract.events import ContentDecided
from tests.integration.review_world import World, cancelled, code_of, requested
from tests.integration.test_reviewer_api_reads import decision, log

REJECT: dict[str, Any] = {"outcome": "reject", "labels": ["spam"], "reason": "it is an advertisement"}
APPROVE: dict[str, Any] = {"outcome": "approve", "labels": [], "reason": "a misunderstanding"}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def decided(world: World) -> list[ContentDecided]:
    bodies = await world.published("moderation.decided")
    return [ContentDecided.model_validate_json(json.dumps(body)) for body in bodies]


async def approved(world: World, content_id: str = "a") -> ContentDecided:
    """Content that a reviewer approved, as everybody knows by now."""
    await world.request(requested(content_id))
    [task] = await world.claim(name="first")
    await world.approve(task, name="first")
    await world.publish()
    await log(world, *(await decided(world)))
    return (await decided(world))[-1]


async def reverse(world: World, decision_id: Any, body: Any = REJECT, **who: Any) -> Any:
    return await world.call("POST", f"/decisions/{decision_id}/reverse", body, **{"role": "lead", **who})


async def test_upstream_hears_a_later_decision_and_the_trainer_a_label_that_measures_nothing(world: World) -> None:
    before = await approved(world)
    answer = await reverse(world, before.decision_id)
    assert answer.status_code == 200, answer.text
    after = (await decided(world))[-1]
    assert (str(after.decision_id), after.sequence) == (answer.json()["decision_id"], answer.json()["sequence"])
    assert after.sequence > before.sequence
    assert (after.outcome, after.labels, after.action) == ("reject", ("spam",), "hide")
    assert after.supersedes == before.decision_id
    assert after.decided_by == (await world.caller("lead")).subject
    assert "advertisement" not in after.model_dump_json(), "the reason stays here"
    label = (await world.published("review.labelled"))[-1]
    assert (label["labels"]["spam"], label["adjudicated"], label["stratum"]) == (True, True, "reversal")
    assert (label["inclusion_probability"], label["audited"]) == (None, None)

    again = await reverse(world, before.decision_id)
    assert again.json() == answer.json(), "the same call again changes nothing"
    assert len(await decided(world)) == 2
    await log(world, after)
    back = await reverse(world, after.decision_id, APPROVE)
    assert back.json()["sequence"] > after.sequence, "and so on"
    content = (await world.call("GET", "/content/forum/a", role="lead")).json()
    assert [given["note"] for given in content["judgements"]] == [None, REJECT["reason"], APPROVE["reason"]]


async def test_who_may_reverse_what(world: World) -> None:
    before = await approved(world)
    assert (await reverse(world, before.decision_id, role="reviewer", name="other")).status_code == 404
    assert (await reverse(world, before.decision_id, role="reviewer", name="first")).status_code == 200, "their own"
    assert (await reverse(world, uuid4())).status_code == 404


async def test_the_reviewer_finds_what_they_decided_and_not_that_it_was_reversed(world: World) -> None:
    """What becomes of it later would tell which of their answers are looked at again."""
    before = await approved(world)
    assert (await reverse(world, before.decision_id)).status_code == 200
    await log(world, *(await decided(world)))

    async def found(**who: Any) -> list[tuple[str, str]]:
        items = (await world.call("GET", "/search", **who)).json()["items"]
        return [(item["outcome"], item["decided_by"]) for item in items]

    assert await found(name="first") == [("approve", before.decided_by)]
    assert await found(role="lead") == [("reject", (await world.caller("lead")).subject)]


async def test_what_cannot_be_reversed_says_why(world: World) -> None:
    before = await approved(world)
    assert code_of(await reverse(world, before.decision_id, APPROVE)) == "409 same_decision"
    for wrong in (
        {**REJECT, "labels": []}, {**APPROVE, "labels": ["spam"]}, {**REJECT, "labels": ["unheard-of"]},
        {**REJECT, "reason": ""}, {"outcome": "reject", "labels": ["spam"]},
    ):  # fmt: skip
        assert (await reverse(world, before.decision_id, wrong)).status_code == 422, wrong

    await log(world, decision("sure"))
    sure = decision("sure").decision_id
    assert code_of(await reverse(world, sure)) == "409 not_reviewed"

    await world.request(requested("a", 2))
    assert code_of(await reverse(world, before.decision_id)) == "409 in_review"
    [task] = await world.claim(role="lead")
    assert (await reverse(world, before.decision_id)).status_code == 404, "with the content in hands"
    await world.approve(task, role="lead")
    await world.publish()
    assert code_of(await reverse(world, before.decision_id)) == "409 superseded"

    gone = await approved(world, "gone")
    await world.request(cancelled("gone", 1))
    assert code_of(await reverse(world, gone.decision_id)) == "409 withdrawn"


async def test_of_many_who_reverse_at_once_one_does(world: World) -> None:
    before = await approved(world)
    bodies = [REJECT, {**REJECT, "labels": ["hate"]}] * 4
    answers = await asyncio.gather(
        *(reverse(world, before.decision_id, body, name=f"lead-{n}") for n, body in enumerate(bodies))
    )
    assert sorted(answer.status_code for answer in answers) == [200] + [409] * 7
    assert len(await decided(world)) == 2
    sequences = [made.sequence for made in await decided(world)]
    assert len(set(sequences)) == 2
