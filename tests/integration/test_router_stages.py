"""A canary decides a share of the content, and stages change while items flow."""

import asyncio
import gc
import itertools
import threading
import weakref
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import pytest

from secondlook.common.bundle.prediction import Prediction
from secondlook.common.contract.events import ContentDecided, ReviewCancelled, ReviewRequested
from secondlook.common.contract.policy import Thresholds
from secondlook.router.state import Canary, InForce, Model, RoutingState
from tests.integration.router_world import (
    POLICY,
    SECRET,
    FakeModel,
    World,
    content,
    following,
    make_world,
    withdrawal,
)
from tests.waiting import until

APPROVES, REJECTS = Thresholds(approve=1), Thresholds(reject={"spam": 0})
WIDER = POLICY.replace("spam: {description: advertising}", "spam: {description: s}, hate: {description: h}")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url, partitions=1) as world:
        await world.in_force(POLICY, FakeModel("b1", thresholds=APPROVES))
        yield world


def taken(content_id: str, share: float) -> bool:
    return Canary(InForce(None, None, None), share).takes(content(content_id), SECRET)


async def deciders(world: World) -> dict[tuple[str, int], str]:
    """Which bundle decided each revision."""
    return {(e.content_id, e.revision): e.bundle_version for e in await world.events(ContentDecided)}


async def test_a_canary_decides_its_share_by_its_thresholds_in_the_order_of_arrival(world: World) -> None:
    await world.stage(FakeModel("b2", thresholds=REJECTS), "canary", share=0.3)
    names = [f"c{number}" for number in range(40)]
    await world.route(*(content(name, revision) for revision in (1, 2, 3) for name in names))
    decided = await world.events(ContentDecided)
    assert [(e.content_id, e.revision) for e in decided] == [(name, r) for r in (1, 2, 3) for name in names]
    for event in decided:
        by_canary = taken(event.content_id, 0.3)
        assert (event.bundle_version, event.outcome) == (("b2", "reject") if by_canary else ("b1", "approve"))
    rows = await world.database.pool.fetch("SELECT content_id, bundle_version, route FROM revision")
    assert {(r["content_id"], r["bundle_version"], r["route"]) for r in rows} == {
        (e.content_id, e.bundle_version, e.outcome) for e in decided
    }
    share = 3 * sum(taken(name, 0.3) for name in names)
    assert world.counted("routed_total", route="reject", why="sure", stage="canary") == share > 0
    assert world.counted("routed_total", route="approve", why="sure", stage="active") == 120 - share > 0
    assert world.counted("stage_usable", stage="canary") == 1


async def test_reviews_withdrawals_and_bad_records_keep_their_order_under_a_canary(world: World) -> None:
    await world.stage(FakeModel("b2", thresholds=Thresholds()), "canary", share=0.5)
    names = [f"c{number}" for number in range(12)]
    canary = [name for name in names if taken(name, 0.5)]
    later = datetime(2025, 3, 1, tzinfo=UTC)  # than the withdrawals
    edits = [content(name, 2, created_at=later) for name in names]
    events = [event for edit in edits for event in (content(edit.content_id), withdrawal(edit.content_id), edit)]
    await world.route(*events, content("c0", text="reused"), batch=5)
    seen = [(e.content_id, type(e)) for e in await world.events(ReviewRequested, ReviewCancelled)]
    assert seen == [(name, kind) for name in canary for kind in (ReviewRequested, ReviewCancelled, ReviewRequested)]
    assert {e.bundle_version for e in await world.events(ReviewRequested)} == {"b2"}
    assert set((await world.outcomes()).values()) == {1}
    assert [reason for reason, _ in await world.dead_letters()] == ["revision_reused"]


async def test_what_a_canary_fails_on_is_decided_by_the_active_one(world: World) -> None:
    class Poisonable(FakeModel):
        def classify(self, texts: Sequence[str], signals: Sequence[Mapping[str, float]] = ()) -> Prediction:
            return super().classify([text.replace("bad", "poison") for text in texts])

    await world.stage(Poisonable("b2", thresholds=REJECTS), "canary", share=1)
    texts = ["fine", "bad", "nan", "sure"]
    await world.route(*(content(f"c{number}", text=text) for number, text in enumerate(texts)))
    assert list((await deciders(world)).values()) == ["b2", "b1", "b2"]
    (asked,) = await world.events(ReviewRequested)  # no bundle has a probability for it
    assert (asked.content_id, asked.why, asked.bundle_version) == ("c2", "no_bundle", "b1")
    assert world.counted("stage_failed_total", stage="canary") == 2
    assert world.counted("unclassified_total") == 0


@pytest.mark.parametrize("useless", ["labels", "refused", "same"])
async def test_a_canary_that_is_of_no_use_leaves_everything_to_the_active_one(world: World, useless: str) -> None:
    if useless == "labels":
        await world.state.on_policy(world.record_of(world.policy(WIDER, version=2)))
        await world.in_force(None, FakeModel("b3", labels=("spam", "hate"), thresholds=APPROVES))
    canary = FakeModel("b1" if useless == "same" else "b2", thresholds=REJECTS)
    event = world.bundle(canary, "canary", share=1)
    if useless == "refused":
        world.models.pop(event.sha256)
    await world.state.on_bundle(world.record_of(event))
    await world.state.take_up("canary")
    await world.route(content("a"), content("b"))
    assert set((await deciders(world)).values()) == {"b3" if useless == "labels" else "b1"}
    assert world.counted("routed_total", route="approve", why="sure", stage="active") == 2
    assert world.counted("stage_usable", stage="canary") == 0
    assert world.counted("bundle_usable") == 1
    assert world.counted("bundle_refused_total") == 0
    assert (world.counted("stage_refused_total", stage="canary") > 0) == (useless == "refused")
    if useless == "refused":  # its storage comes back
        world.models[event.sha256] = canary
        await world.state.take_up("canary")
        await world.route(content("c"))
        assert (await deciders(world))["c", 1] == "b2"


async def test_a_fixed_policy_holds_for_a_canary_too(world: World) -> None:
    fixed = POLICY.replace("{name", "{mode: fixed, thresholds: {reject: {spam: 0.4}}, name")
    await world.state.on_policy(world.record_of(world.policy(fixed, version=2)))
    await world.stage(FakeModel("b2", thresholds=APPROVES), "canary", share=1)
    await world.route(content("a", text="unsure"), content("b"))
    (decided,) = await world.events(ContentDecided)
    assert (decided.content_id, decided.outcome, decided.bundle_version) == ("a", "reject", "b2")
    assert [event.content_id for event in await world.events(ReviewRequested)] == ["b"]


async def test_the_kill_switch_stops_a_canary_too(world: World) -> None:
    await world.stage(FakeModel("b2", thresholds=APPROVES), "canary", share=1)
    stopped = POLICY.replace("{name", "{kill_switch: true, name")
    await world.state.on_policy(world.record_of(world.policy(stopped, version=2)))
    await world.route(content("a"))
    assert await world.events(ContentDecided) == []


async def test_the_newest_record_of_a_stage_counts(world: World) -> None:
    old = world.bundle(FakeModel("b0", thresholds=REJECTS), "canary", share=1)
    first = world.bundle(FakeModel("b2", thresholds=REJECTS), "canary", share=0.2)
    await world.state.on_bundle(world.record_of(first))
    await world.state.take_up("canary")
    loaded = world.state.stages().canary
    world.models.clear()  # another share of the same bundle needs no loading
    wider = first.model_copy(update={"share": 0.6, "published_at": first.published_at + timedelta(seconds=1)})
    for event in (wider, first, old, wider):
        await world.state.on_bundle(world.record_of(event))
        await world.state.take_up("canary")
    canary = world.state.stages().canary
    assert loaded is not None
    assert canary is not None
    assert (canary.share, canary.force.model) == (0.6, loaded.force.model)
    assert world.counted("stage_refused_total", stage="canary") == 0


@pytest.mark.parametrize("stage", ["canary", "shadow"])
async def test_a_cleared_stage_is_empty_at_once_and_its_memory_is_free(
    world: World, stage: Literal["canary", "shadow"]
) -> None:
    model = FakeModel("b2", thresholds=REJECTS)
    more = {"share": 1.0} if stage == "canary" else {}
    event = world.bundle(model, stage, **more)
    await world.state.on_bundle(world.record_of(event))
    await world.state.take_up(stage)
    await world.route(content("before"))
    world.models.pop(event.sha256)
    gone = weakref.ref(model)
    del model
    cleared = event.model_copy(update={"in_force": False, "published_at": world.clock.now()})
    await world.state.on_bundle(world.record_of(cleared))
    stages = world.state.stages()
    assert (stages.canary, stages.shadow) == (None, None)
    assert world.counted("stage_usable", stage=stage) == 0
    await world.route(content("after"))
    assert (await deciders(world))["after", 1] == "b1"

    def freed() -> bool:
        gc.collect()
        return gone() is None

    await until(freed, 5)
    await world.state.on_bundle(world.record_of(event))  # a repeat of what was cleared
    await world.state.take_up(stage)
    assert world.counted("stage_refused_total", stage=stage) == 0


async def test_a_canary_that_loads_for_long_holds_up_neither_the_start_nor_a_new_active_bundle(world: World) -> None:
    opening = threading.Event()

    def load(uri: str, sha256: str) -> Model:
        if uri == "fake://slow":
            assert opening.wait(20)
        return world.models[sha256]

    world.state = RoutingState(load, world.metrics)
    slow = world.bundle(FakeModel("slow"), "canary", share=1)
    await world.send(world.policy(), slow, world.bundle(FakeModel("b1")))
    try:
        async with following(world):
            await world.send(world.bundle(FakeModel("b4")))
            await until(lambda: world.state.in_force().version == "b4")
            assert world.state.stages().canary is None
            # Cleared while it loads, it never takes effect.
            await world.send(
                slow.model_copy(update={"in_force": False, "published_at": world.clock.now()}),
                world.bundle(FakeModel("b5")),
            )
            await until(lambda: world.state.in_force().version == "b5")
            opening.set()
            await world.state.take_up("canary")
            assert world.state.stages().canary is None
    finally:
        opening.set()


async def test_a_rollback_takes_effect_within_5_seconds_and_leaves_the_canary(world: World) -> None:
    earlier, later = FakeModel("b1", thresholds=APPROVES), FakeModel("b2", thresholds=APPROVES)
    canary = world.bundle(FakeModel("b3", thresholds=REJECTS), "canary", share=0.5)
    await world.send(world.bundle(earlier), world.bundle(later), canary)
    names = (f"c{number}" for number in itertools.count())

    async def decided_by(version: str, *, canary: bool) -> None:
        """Send content until this bundle decides a piece of the canary's share, or of the rest."""
        for name in names:
            await world.send(content(name))
            async with asyncio.timeout(5):
                while (name, 1) not in (found := await deciders(world)):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            if taken(name, 0.5) == canary and found[name, 1] == version:
                return

    async with asyncio.timeout(30), following(world), world.running():
        await decided_by("b3", canary=True)
        await decided_by("b2", canary=False)
        await world.send(world.bundle(earlier))
        async with asyncio.timeout(5):
            await decided_by("b1", canary=False)
        await decided_by("b3", canary=True)
        await world.send(canary.model_copy(update={"in_force": False, "published_at": world.clock.now()}))
        async with asyncio.timeout(5):
            await decided_by("b1", canary=True)
    assert await world.dead_letters() == []
