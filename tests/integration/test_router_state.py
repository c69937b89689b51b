"""The policy and the bundle in force: swapped while items flow, and nothing usable means review."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from secondlook.common.contract.events import ContentDecided, ReviewRequested
from secondlook.common.contract.policy import Thresholds
from secondlook.router.state import RoutingState
from tests.integration.router_world import POLICY, FakeModel, World, content, following, make_world
from tests.waiting import until

WIDER = POLICY.replace("spam: {description: advertising}", "spam: {description: s}, hate: {description: h}")
DECIDES_ALL = Thresholds(approve=1)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with make_world(database_url) as world:
        yield world


@pytest.mark.parametrize("missing", ["policy", "bundle", "labels", "refused bundle"])
async def test_without_something_usable_everything_is_reviewed(world: World, missing: str) -> None:
    model = FakeModel(thresholds=DECIDES_ALL)
    if missing != "policy":
        await world.in_force(WIDER if missing == "labels" else POLICY)
    if missing == "refused bundle":
        event = world.bundle(model)
        world.models.clear()
        await world.state.on_bundle(world.record_of(event))
        assert world.counted("bundle_refused_total") == 1
    elif missing != "bundle":
        await world.in_force(None, model)
    await world.route(*(content(f"c{number}") for number in range(20)))
    asked = await world.events(ReviewRequested)
    assert {event.why for event in asked} == {"no_bundle"}
    assert len(asked) == 20
    assert await world.events(ContentDecided) == []
    assert world.counted("bundle_usable") == 0


async def test_the_kill_switch_stops_decisions_and_keeps_the_scores(world: World) -> None:
    await world.in_force(POLICY, FakeModel(thresholds=DECIDES_ALL))
    await world.route(content("before"))
    stopped = POLICY.replace("{name", "{kill_switch: true, name")
    await world.state.on_policy(world.record_of(world.policy(stopped, version=2)))
    await world.route(content("after"))
    assert [event.content_id for event in await world.events(ContentDecided)] == ["before"]
    (asked,) = await world.events(ReviewRequested)
    assert (asked.why, asked.policy_version) == ("kill_switch", 2)
    assert asked.scores == {"spam": pytest.approx(0.1)}


async def test_fixed_thresholds_come_from_the_policy(world: World) -> None:
    fixed = POLICY.replace("{name", "{mode: fixed, thresholds: {reject: {spam: 0.4}}, name")
    await world.in_force(fixed, FakeModel(thresholds=DECIDES_ALL))
    await world.route(content("a", text="unsure"), content("b", text="fine"))
    (decided,) = await world.events(ContentDecided)
    assert (decided.content_id, decided.outcome) == ("a", "reject")
    assert [event.content_id for event in await world.events(ReviewRequested)] == ["b"]


async def test_a_bundle_is_swapped_whole_in_the_middle_of_traffic(world: World) -> None:
    approving = FakeModel("b1", thresholds=Thresholds(approve=1))
    rejecting = FakeModel("b2", thresholds=Thresholds(reject={"spam": 0}))
    await world.send(world.policy(), world.bundle(approving))
    async with following(world), world.running(None, batch=8) as tasks:
        for number in range(120):
            await world.send(content(f"c{number}"))
            if number == 60:
                await world.send(world.bundle(rejecting))
            await asyncio.sleep(0.01)
        await world.idle(*tasks)
    decided = await world.events(ContentDecided)
    assert len(decided) == 120
    assert {(event.bundle_version, event.outcome) for event in decided} == {("b1", "approve"), ("b2", "reject")}
    assert await world.dead_letters() == []


async def test_a_bundle_that_is_refused_leaves_the_one_in_use(world: World) -> None:
    await world.in_force(POLICY, FakeModel("b1", thresholds=DECIDES_ALL))
    event = world.bundle(FakeModel("b2"))
    world.models.pop(event.sha256)
    await world.state.on_bundle(world.record_of(event))
    await world.route(content("a"))
    (decided,) = await world.events(ContentDecided)
    assert decided.bundle_version == "b1"
    assert world.counted("bundle_usable") == 1


async def test_a_loader_that_fails_otherwise_does_not_stop_the_router(world: World) -> None:
    def load(uri: str, sha256: str) -> FakeModel:
        raise OSError("the storage is away")

    state = RoutingState(load, world.metrics)
    await state.on_bundle(world.record_of(world.bundle(FakeModel())))
    assert world.counted("bundle_refused_total") == 1


async def test_a_bundle_is_taken_up_once_its_storage_is_back(world: World) -> None:
    await world.in_force(POLICY, FakeModel("b1"))
    event = world.bundle(FakeModel("b2"))
    model = world.models.pop(event.sha256)
    await world.state.on_bundle(world.record_of(event))
    await world.state.take_up()
    assert world.state.in_force().model is not model
    world.models[event.sha256] = model
    await world.state.take_up()
    assert world.state.in_force().model is model
    world.models.clear()  # what is in force is not loaded again
    await world.state.take_up()
    assert world.state.in_force().model is model
    assert world.counted("bundle_refused_total") == 2


async def test_a_rollback_while_the_newer_bundle_cannot_be_loaded_stays_rolled_back(world: World) -> None:
    first, second = FakeModel("b1"), FakeModel("b2")
    await world.in_force(POLICY, first)
    refused = world.bundle(second)
    world.models.pop(refused.sha256)
    await world.state.on_bundle(world.record_of(refused))
    await world.state.on_bundle(world.record_of(world.bundle(first)))
    world.models[refused.sha256] = second
    await world.state.take_up()
    assert world.state.in_force().model is first


async def test_older_policies_and_unreadable_records_change_nothing(world: World) -> None:
    await world.in_force(POLICY, FakeModel("b1"))
    emptied = world.bundle(FakeModel("b1")).model_copy(update={"in_force": False})
    await world.state.on_bundle(world.record_of(emptied))
    await world.state.on_policy(world.record_of(world.policy(POLICY.replace("name: test", "name: old"), version=1)))
    record = world.record_of(world.policy(version=9))
    for value in (b"{", b"{}", record.value.replace(b"spam", b"SPAM")):
        broken = type(record)(record.topic, 0, 0, record.key, value, record.headers, record.written_at)
        await world.state.on_policy(broken)
        await world.state.on_bundle(broken)
    force = world.state.in_force()
    assert force.policy is not None
    assert force.model is not None
    assert (force.policy.name, force.policy_version, force.model.version) == ("test", 1, "b1")


async def test_the_usable_gauge_is_right_before_any_traffic(world: World) -> None:
    await world.send(world.policy(), world.bundle(FakeModel()))
    async with following(world):
        assert world.counted("bundle_usable") == 1
        await world.send(world.policy(WIDER, version=2))
        await until(lambda: world.counted("bundle_usable") == 0)
        assert world.counted("policy_version") == 2
