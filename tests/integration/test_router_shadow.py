"""A shadow scores beside the active bundle, is counted, and changes nothing."""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from secondlook.common.bundle.prediction import Prediction
from secondlook.common.contract.events import ContentDecided, ReviewRequested
from secondlook.common.contract.policy import Thresholds
from tests.integration.router_world import POLICY, FakeModel, World, content, make_world
from tests.integration.test_router_stages import APPROVES, REJECTS, deciders, taken
from tests.waiting import until


class Panic(BaseException):
    """What a library in another language may raise."""


@dataclass
class Gated(FakeModel):
    """Classifies once the gate is open."""

    gate: threading.Event = field(default_factory=threading.Event)
    calls: int = 0

    def classify(self, texts: Sequence[str], signals: Sequence[Mapping[str, float]] = ()) -> Prediction:
        self.calls += 1
        assert self.gate.wait(20)
        return super().classify(texts)


class Panics(FakeModel):
    def classify(self, texts: Sequence[str], signals: Sequence[Mapping[str, float]] = ()) -> Prediction:
        raise Panic


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url) as world:
        await world.in_force(POLICY, FakeModel("b1", thresholds=APPROVES))
        yield world


async def test_a_shadow_counts_what_it_would_have_done_and_writes_nothing(world: World) -> None:
    class Harsh(FakeModel):
        def classify(self, texts: Sequence[str], signals: Sequence[Mapping[str, float]] = ()) -> Prediction:
            prediction = super().classify(texts)
            return replace(prediction, scores=prediction.scores + 0.05)

    shadow = Harsh("b2", thresholds=Thresholds(approve=0.3, reject={"spam": 0.54}))
    await world.in_force(None, FakeModel("b0"))
    await world.stage(shadow, "shadow")
    texts = ["fine", "unsure", "sure", "poison", "fine"]
    await world.route(*(content(f"c{number}", text=text) for number, text in enumerate(texts)))
    routed = {("approve", "approve"): 2, ("review", "reject"): 1, ("reject", "reject"): 1}
    await until(lambda: world.counted("shadow_seconds_count") == 1)
    for (active, would), count in routed.items():
        assert world.counted("shadow_routed_total", active=active, shadow=would) == count
    assert world.counted("shadow_score_difference_sum", label="spam") == pytest.approx(0.2, abs=1e-5)
    assert world.counted("shadow_score_difference_count", label="spam") == 4
    assert world.counted("stage_failed_total", stage="shadow") == 1
    events = await world.events(ContentDecided, ReviewRequested)
    assert {event.bundle_version for event in events} == {"b0"}
    assert await world.database.pool.fetchval("SELECT array_agg(DISTINCT bundle_version) FROM revision") == ["b0"]
    assert world.counted("routed_total", route="approve", why="sure", stage="active") == 2


async def test_a_shadow_that_hangs_holds_nothing_up_and_what_it_misses_is_counted(world: World) -> None:
    shadow = Gated("b2", thresholds=REJECTS)
    await world.stage(shadow, "shadow")
    try:
        await world.route(*(content(f"c{number}") for number in range(80)), batch=8)
        assert len(await deciders(world)) == 80
        skipped = world.counted("shadow_skipped_total")
        assert skipped >= 80 - 2 * 8  # one batch in work, one waiting
    finally:
        shadow.gate.set()
    await until(lambda: world.counted("shadow_routed_total", active="approve", shadow="reject") == 80 - skipped)
    await world.route(content("later"))
    await until(lambda: world.counted("shadow_routed_total", active="approve", shadow="reject") == 81 - skipped)


async def test_a_shadow_goes_on_only_while_nothing_waits_for_its_decision(world: World) -> None:
    active, shadow = Gated("b3", thresholds=APPROVES), Gated("b2", thresholds=REJECTS)
    active.gate.set()
    await world.in_force(None, active)
    await world.stage(shadow, "shadow")
    try:
        async with world.running() as tasks:
            await world.send(*(content(f"c{number}") for number in range(64)))
            await world.idle(*tasks)
            await until(lambda: shadow.calls == 1)
            active.gate.clear()
            before = active.calls
            await world.send(content("next"))
            await until(lambda: active.calls > before)
            shadow.gate.set()
            await asyncio.sleep(0.2)
            assert shadow.calls == 1
            active.gate.set()
            await world.idle(*tasks)
            await until(lambda: world.counted("shadow_routed_total", active="approve", shadow="reject") == 65)
    finally:
        active.gate.set()
        shadow.gate.set()


async def test_whatever_a_shadow_raises_is_counted_and_gets_no_further(world: World) -> None:
    await world.stage(Panics("b2"), "shadow")
    for number in range(5):
        await world.route(content(f"c{number}"))
        await until(lambda: world.counted("stage_failed_total", stage="shadow") == number + 1)  # noqa: B023
    assert set((await deciders(world)).values()) == {"b1"}
    assert len(await deciders(world)) == 5
    assert world.counted("shadow_skipped_total") == 0


async def test_a_shadow_is_compared_with_the_active_bundle_only(world: World) -> None:
    await world.stage(FakeModel("b2", thresholds=REJECTS), "canary", share=0.4)
    await world.stage(FakeModel("b3", thresholds=APPROVES), "shadow")
    names = [f"c{number}" for number in range(20)]
    await world.route(*(content(name) for name in names))
    left = sum(not taken(name, 0.4) for name in names)
    await until(lambda: world.counted("shadow_routed_total", active="approve", shadow="approve") == left)
    assert world.counted("shadow_routed_total", active="reject", shadow="approve") == 0
    assert Counter((await deciders(world)).values()) == {"b1": left, "b2": 20 - left}
