"""What takes effect is checked where it takes effect: forged, tampered, old and unsigned records of state topics."""

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry

from secondlook.common.bundle.files import manifest_sha256
from secondlook.common.bus import Message, Record
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.signatures import signed_bus
from secondlook.common.bus.signatures.keeper import Keeper, Seen
from secondlook.common.bus.signatures.keyring import Keyring
from secondlook.common.bus.signatures.signed_bus import SignedBus
from secondlook.common.bus.topics import topics
from secondlook.common.bus.wire import decode, encode
from secondlook.common.clock import SystemClock
from secondlook.common.contract.errors import PolicyRejected
from secondlook.common.contract.events import BundlePublished, Event, PolicyPublished, ReviewRequested
from secondlook.common.contract.policy import Audit
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.errors import InvalidInput
from secondlook.common.observability import BusMetrics, Health
from secondlook.common.postgres import Database
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.policies.keeper import agree
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.router.highwater.marks import Marks
from secondlook.router.metrics import RouterMetrics
from secondlook.router.model import loader
from secondlook.router.state import RoutingState
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, export_encoder
from secondlook.trainer.keeper import StageKeeper
from secondlook.trainer.registry import BundleRow, Registry
from secondlook.trainer.stages import BundleStage
from tests.integration.process_world import started
from tests.integration.replay_world import make_bundles
from tests.integration.router_world import FakeModel, World, make_world, stop
from tests.integration.test_router_api import BODY
from tests.integration.test_router_process import answered
from tests.waiting import until

KEY, OLD_KEY, OTHER = "k" * 32, "o" * 32, "x" * 32
SAFE = "{name: safe, labels: {spam: {description: advertising}}, audit: {certify: 1.0e-9, most: 0}, kill_switch: true}"
OPEN = SAFE.replace("true", "false")
FAR = datetime(9999, 12, 31, tzinfo=UTC)


class Deployment:
    """A router's state that follows a bus, whoever else writes to that, and the databases of the owners."""

    def __init__(self, world: World, reviewer: Database, trainer: Database, keys: Keyring) -> None:
        self.world, self.raw, self.keys = world, PostgresBus(world.database), keys
        self.policies = PolicyService(Transactions(reviewer, SignedBus(PostgresBus(reviewer), keys), world.clock, "r"))
        self._owned = Transactions(trainer, SignedBus(PostgresBus(trainer), keys), world.clock, "trainer")
        self.registry = Registry(trainer, self._owned)
        self._reviewer, self._trainer = reviewer, trainer
        self.tasks: list[asyncio.Task[None]] = []
        self.ready = {PolicyPublished.topic: asyncio.Event(), BundlePublished.topic: asyncio.Event()}

    def with_keys(self, keys: Keyring) -> "Deployment":
        """The same system, started again with other keys."""
        other = Deployment(self.world, self._reviewer, self._trainer, keys)
        other.tasks = self.tasks
        return other

    def restarted(self) -> "Deployment":
        """The same system with a router that has just started."""
        self.world.registry = CollectorRegistry()
        self.world.metrics = RouterMetrics(self.world.registry)
        self.world.state = RoutingState(self.world._load, self.world.metrics)
        return self.with_keys(self.keys)

    async def start_router(self) -> RoutingState:
        """As `secondlook.router.__main__` does."""
        bus, state = SignedBus(self.raw, self.keys), self.world.state
        metrics = BusMetrics(self.world.registry, Health())
        marks = Marks(self.world.database, checked=bool(self.keys))
        await marks.load()

        def follow(topic: str, take: Callable[[Record], Awaitable[None]]) -> None:
            async def apply(record: Record) -> None:
                await take(record)
                marks.note(record)
                await marks.store()

            following = bus.follow(topic, apply, self.ready[topic].set, marks.behind)
            self.tasks.append(asyncio.create_task(following))

        follow(PolicyPublished.topic, state.on_policy)
        follow(BundlePublished.topic, state.on_bundle)
        self.tasks.append(asyncio.create_task(bus.run(metrics)))
        return state

    def start_keepers(self) -> None:
        """As the owners do."""
        for database, topic, agreeing in (
            (self._reviewer, PolicyPublished.topic, partial(agree, self.policies)),
            (self._trainer, BundlePublished.topic, StageKeeper(self._owned, 0.05).agree),
        ):
            keeper = Keeper(SignedBus(PostgresBus(database), self.keys), topic, agreeing)
            self.tasks.append(asyncio.create_task(keeper.run()))

    async def caught_up(self) -> None:
        for event in self.ready.values():
            await asyncio.wait_for(event.wait(), 15)

    async def write(self, *messages: Message) -> None:
        """Write to the log past every service."""
        async with self.world.database.pool.acquire() as connection, connection.transaction():
            await self.raw.publish(connection, messages)

    async def forge(self, *events: Event, keys: Keyring | None = None) -> None:
        await self.write(*((keys or Keyring()).sign(encode(event, "forger", self.world.clock)) for event in events))

    async def add_bundle(self, model: FakeModel, stage: BundleStage = BundleStage.ACTIVE, share: float = 0.0) -> None:
        event = self.world.bundle(model)  # known to the router's loader from now on
        row = BundleRow(
            bundle_version=model.version, uri=event.uri, sha256=event.sha256, policy_version=1, labels=("spam",),
            metrics={}, reasons=(), created_at=self.world.clock.now(),
        )  # fmt: skip
        async with self._owned.begin() as work:
            await self.registry.add(work, row)
        await self.registry.promote(model.version, stage, share)

    async def newest(self, topic: str) -> dict[str, Any]:
        """The newest record of each key, as the body of its event, and what its signature says."""
        records = {record.key: record for record in await self.world.records(topic)}
        return {key: (_event(record), self.keys.check(record).value) for key, record in records.items()}

    def refused(self, reason: str, topic: str = PolicyPublished.topic) -> float:
        labels = {"topic": topic, "reason": reason}
        return self.world.registry.get_sample_value("secondlook_records_refused_total", labels) or 0


@contextlib.asynccontextmanager
async def deployment(url: str, keys: Keyring | None = None) -> AsyncIterator[Deployment]:
    async with (
        make_world(url) as world,
        Database.open(url, "reviewer", size=4) as reviewer,
        Database.open(url, "trainer", size=4) as trainer,
    ):
        found = Deployment(world, reviewer, trainer, Keyring((KEY, OLD_KEY)) if keys is None else keys)
        try:
            yield found
        finally:
            await stop(*found.tasks)


def _event(record: Record) -> Event | None:
    with contextlib.suppress(InvalidInput):
        return decode(record)
    return None


def forged_policy(version: int = 2**31 - 1) -> PolicyPublished:
    return PolicyPublished(version=version, policy=parse_policy(OPEN), published_at=FAR, published_by="lead")


async def test_a_forged_policy_does_not_switch_the_kill_switch_off(database_url: str) -> None:
    async with deployment(database_url) as system:
        await system.policies.publish(parse_policy(SAFE), "lead")
        state = await system.start_router()
        await system.caught_up()
        genuine = (await system.world.records(PolicyPublished.topic))[-1]
        await system.forge(forged_policy(), forged_policy(2))
        await system.forge(forged_policy(), keys=Keyring((OTHER,)))
        body = genuine.value.replace(b'"kill_switch":true', b'"kill_switch":false')
        await system.write(Message(genuine.topic, genuine.key, body, genuine.headers))
        await until(lambda: system.refused("unsigned") == 2 and system.refused("wrong_signature") == 2)
        force = state.in_force()
        assert force.policy_version == 1
        assert force.policy is not None
        assert force.policy.kill_switch
        assert system.world.counted("policy_version") == 1
        await system.policies.publish(parse_policy(OPEN), "lead")
        await until(lambda: state.in_force().policy_version == 2)


async def test_without_signatures_a_version_far_ahead_is_refused_and_counted(database_url: str) -> None:
    async with deployment(database_url, Keyring()) as system:
        await system.policies.publish(parse_policy(SAFE), "lead")
        state = await system.start_router()
        await system.caught_up()
        await system.forge(forged_policy())
        await until(lambda: system.world.counted("policy_refused_total") == 1)
        assert state.in_force().policy_version == 1
        await system.policies.publish(parse_policy(OPEN), "lead")
        await until(lambda: state.in_force().policy_version == 2)
        assert system.world.registry.get_sample_value("secondlook_signatures_checked") == 0


async def test_without_signatures_a_version_far_ahead_that_a_router_started_with_is_replaced(database_url: str) -> None:
    async with deployment(database_url, Keyring()) as system:
        await system.policies.publish(parse_policy(SAFE), "lead")
        await system.forge(forged_policy())
        state = await system.start_router()
        await system.caught_up()
        assert state.in_force().policy_version == 2**31 - 1
        system.start_keepers()
        await until(lambda: state.in_force().policy_version == 1)


async def test_a_bundle_with_a_false_certificate_is_refused_and_the_old_one_stays(
    database_url: str, tmp_path: Path, encoder_cache: Path
) -> None:
    """Also where nothing is signed: the router recomputes what a bundle says of itself."""
    folders = make_bundles(tmp_path / "bundles", export_encoder(DEFAULT_ENCODER, encoder_cache))
    forged = Path(shutil.copytree(folders["certified"], tmp_path / "bundles" / "forged"))
    manifest = json.loads((forged / "manifest.json").read_text())
    manifest["thresholds"]["approve"] = {
        "threshold": 0.49,
        "certificate": {"n": 0, "k": 0, "epsilon": 0.01, "delta": 0.01, "upper_bound": 0.0},
    }
    (forged / "manifest.json").write_text(json.dumps(manifest))
    shutil.copytree(folders["lamps"], tmp_path / "elsewhere")
    async with deployment(database_url, Keyring()) as system:
        world = system.world
        world.state = RoutingState(loader(tmp_path / "cache", [(tmp_path / "bundles").as_uri()]), world.metrics)
        await system.policies.publish(parse_policy(OPEN), "lead")
        state = await system.start_router()
        await system.caught_up()

        def event(folder: Path, at: datetime, stage: Any = "active", share: float = 0.0) -> BundlePublished:
            return BundlePublished(
                stage=stage, bundle_version=folder.name, uri=folder.as_uri(), sha256=manifest_sha256(folder),
                published_at=at, share=share,
            )  # fmt: skip

        now = world.clock.now()
        await system.forge(event(folders["certified"], now))
        await until(lambda: state.in_force().version == "certified")
        assert state.in_force().thresholds.approve == 0.25
        for refused, strange in enumerate((forged, tmp_path / "elsewhere"), start=1):
            await system.forge(event(strange, FAR))
            await until(lambda refused=refused: world.counted("bundle_refused_total") == refused)  # type: ignore[misc]
            assert state.in_force().version == "certified"
        await system.forge(event(folders["lamps"], now, "canary", 0.5))
        await until(lambda: state.stages().canary is not None)
        await system.forge(event(forged, FAR, "canary", 1.0))
        await until(lambda: world.counted("stage_refused_total", stage="canary") == 1)
        await until(lambda: state.stages().canary is not None)
        canary = state.stages().canary
        assert canary is not None
        assert (canary.force.version, canary.share) == ("lamps", 0.5), "the old one comes back"
        await system.forge(event(folders["buys"], now + timedelta(seconds=1)))  # a forged date keeps nothing out
        await until(lambda: state.in_force().version == "buys")
        sha256 = manifest_sha256(folders["buys"])
        info = {s.labels["stage"]: s.labels for s in infos(world)}
        assert info["active"] == {"stage": "active", "version": "buys", "sha256": sha256}
        assert set(info) == {"active", "canary"}


def infos(world: World) -> list[Any]:
    return [s for m in world.registry.collect() for s in m.samples if s.name == "secondlook_router_bundle_info"]


async def test_a_side_that_the_policy_holds_back_is_shown_and_comes_back(database_url: str) -> None:
    strict = OPEN[:-1] + ", risk: {approve: 0.00001, reject: 0.03}}"
    async with deployment(database_url) as system:
        await system.policies.publish(parse_policy(OPEN), "lead")
        state = await system.start_router()
        await system.caught_up()
        await system.add_bundle(FakeModel("b1"))
        await until(lambda: state.in_force().thresholds.approve == 0.2)
        for document, held_back in ((strict, 1), (OPEN, 0)):
            await system.policies.publish(parse_policy(document), "lead")
            await until(lambda held_back=held_back: system.world.counted("side_held_back", side="approve") == held_back)  # type: ignore[misc]
            assert (state.in_force().thresholds.approve is None) is bool(held_back)
            assert state.in_force().thresholds.reject == {"spam": 0.8}


async def test_what_an_earlier_version_published_is_signed_at_the_first_start(database_url: str) -> None:
    """Nobody has to publish anything by hand, and no router decides before it knows what is in force."""
    async with deployment(database_url, Keyring()) as before:
        await before.policies.publish(parse_policy(OPEN), "lead")
        await before.add_bundle(FakeModel("b1"))
        await before.add_bundle(FakeModel("b2"), BundleStage.CANARY, 0.25)
        await before.add_bundle(FakeModel("b3"), BundleStage.SHADOW)
        await before.registry.step_back(BundleStage.SHADOW)
        after = before.with_keys(Keyring((KEY, OLD_KEY)))
        state = await after.start_router()
        await until(lambda: after.refused("unsigned") == 1 and after.refused("unsigned", "routing.bundle") == 3)
        assert not any(event.is_set() for event in after.ready.values())
        assert state.in_force().policy is None
        after.start_keepers()
        await after.caught_up()
        stages = state.stages()
        assert (stages.active.policy_version, stages.active.version) == (1, "b1")
        await until(lambda: state.stages().canary is not None)
        canary = state.stages().canary
        assert canary is not None
        assert (canary.force.version, canary.share, state.stages().shadow) == ("b2", 0.25, None)
        for topic in (PolicyPublished.topic, BundlePublished.topic):
            assert {signed for _, signed in (await after.newest(topic)).values()} == {"genuine"}


async def test_a_certified_policy_without_audits_is_not_published_and_never_stands_before_the_kill_switch(
    database_url: str,
) -> None:
    unaudited = parse_policy(OPEN).model_copy(update={"audit": Audit(certify=0, most=0.5)})
    async with deployment(database_url) as system:
        with pytest.raises(PolicyRejected, match=r"audit\.certify is 0 in mode certified"):
            await system.policies.publish(unaudited, "lead")
        assert await system.policies.active() is None
        await system._reviewer.pool.execute(
            "INSERT INTO policy VALUES (1, $1, now(), 'lead')", unaudited.model_dump_json()
        )
        assert await system.policies.switch("lead", kill_switch=True) == 2, "it was published before that was refused"
        assert await system.policies.publish(parse_policy(OPEN), "lead") == 3
        with pytest.raises(PolicyRejected, match=r"audit\.certify is 0 in mode certified"):
            await system.policies.publish(unaudited, "lead")
        by_hand = unaudited.model_copy(update={"mode": "fixed"})
        assert await system.policies.publish(by_hand, "lead") == 4, "no certificate is there to watch"


async def test_a_salt_of_before_makes_a_policy_no_other_one(database_url: str) -> None:
    """The database of an upgraded system has it, the records on the bus do not."""
    async with deployment(database_url) as system:
        document = json.dumps({**parse_policy(SAFE).model_dump(), "salt": "of-before"})
        await system._reviewer.pool.execute("INSERT INTO policy VALUES (1, $1, now(), 'lead')", document)
        assert await system.policies.publish_again()
        seen = {r.key: Seen(r, system.keys.check(r)) for r in await system.world.records(PolicyPublished.topic)}
        assert await agree(system.policies, seen) is False, "it would be published again and again"
        assert await system.policies.publish(parse_policy(SAFE), "lead") == 1


async def test_records_under_other_keys_hold_nobody_up(database_url: str) -> None:
    async with deployment(database_url) as system:
        await system.policies.publish(parse_policy(OPEN), "lead")
        strange = [encode(event, "forger", system.world.clock) for event in (forged_policy(), forged_policy(3))]
        await system.write(*(Message(m.topic, f"k{n}", m.value, m.headers) for n, m in enumerate(strange)))
        signed = SignedBus(system.raw, system.keys)
        async with system.world.database.pool.acquire() as connection, connection.transaction():
            await signed.publish(connection, [Message(strange[0].topic, "other", b"{}", {})])
        system.start_keepers()
        state = await system.start_router()
        await system.caught_up()
        assert state.in_force().policy_version == 1
        await until(lambda: system.refused("unsigned") == 2)


async def test_a_reader_waits_for_a_genuine_record_only_so_long(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signed_bus, "AGAIN_SECONDS", 0.3)
    async with deployment(database_url) as system:
        await system.forge(forged_policy())
        state = await system.start_router()
        await system.caught_up()
        assert state.in_force().policy is None


@pytest.mark.parametrize("attack", ["unsigned", "other_key", "older_key", "replayed", "rubbish", "removed"])
async def test_the_owners_publish_again_what_was_tampered_with(database_url: str, attack: str) -> None:
    async with deployment(database_url) as system:
        await system.policies.publish(parse_policy(OPEN), "lead")
        await system.add_bundle(FakeModel("b1"))
        old = {
            topic: (await system.world.records(topic))[-1] for topic in (PolicyPublished.topic, BundlePublished.topic)
        }
        await system.policies.publish(parse_policy(SAFE), "lead")
        await system.add_bundle(FakeModel("b2"))
        right = {topic: await system.newest(topic) for topic in old}
        system.start_keepers()
        events: tuple[Event, ...] = (forged_policy(3), system.world.bundle(FakeModel("evil")))
        if attack == "unsigned":
            await system.forge(*events)
        elif attack == "other_key":
            await system.forge(*events, keys=Keyring((OTHER,)))
        elif attack == "older_key":
            now = [event for topic in old for event, _ in right[topic].values()]
            await system.forge(*now, keys=Keyring((OLD_KEY,)))
        elif attack == "replayed":
            await system.write(*(Message(r.topic, r.key, r.value, r.headers) for r in old.values()))
        elif attack == "rubbish":
            await system.write(*(Message(r.topic, r.key, b"\0", r.headers) for r in old.values()))
        else:
            await system.world.database.pool.execute("DELETE FROM bus.record WHERE topic = ANY($1)", list(old))
            await stop(*system.tasks)
            system.start_keepers()

        async def repaired() -> bool:
            found = {topic: await system.newest(topic) for topic in old}
            return all(found[topic] == right[topic] for topic in old)

        await until(repaired)
        state = await system.start_router()  # one that starts now finds what is in force
        await system.caught_up()
        assert (state.in_force().policy_version, state.in_force().version) == (2, "b2")


async def test_without_signatures_a_bundle_with_a_forged_date_is_replaced_too(database_url: str) -> None:
    async with deployment(database_url, Keyring()) as system:
        await system.policies.publish(parse_policy(OPEN), "lead")
        await system.add_bundle(FakeModel("b1"))
        state = await system.start_router()
        await system.caught_up()
        evil = system.world.bundle(FakeModel("evil")).model_copy(update={"published_at": FAR})
        await system.forge(evil)
        await until(lambda: state.in_force().version == "evil")
        system.start_keepers()  # not before: they are soon done with it
        await until(lambda: state.in_force().version == "b1")
        await system.add_bundle(FakeModel("b2"))
        await until(lambda: state.in_force().version == "b2")


async def test_a_router_that_starts_takes_no_old_policy_and_bundle_that_were_sent_again(database_url: str) -> None:
    """The kill switch was off in the old policy, and the signatures are right."""
    async with deployment(database_url) as system:
        await system.policies.publish(parse_policy(OPEN), "lead")
        await system.add_bundle(FakeModel("b1"))
        old = [(await system.world.records(t))[-1] for t in (PolicyPublished.topic, BundlePublished.topic)]
        await system.policies.publish(parse_policy(SAFE), "lead")
        await system.add_bundle(FakeModel("b2"))
        state = await system.start_router()
        await system.caught_up()
        await until(lambda: state.in_force().version == "b2")
        await system.write(*(Message(r.topic, r.key, r.value, r.headers) for r in old))
        await until(lambda: system.refused("replayed") == 1 and system.refused("replayed", "routing.bundle") == 1)
        assert (state.in_force().policy_version, state.in_force().version) == (2, "b2")

        again = system.restarted()
        state = await again.start_router()
        await until(lambda: again.refused("replayed") == 1 and again.refused("replayed", "routing.bundle") == 1)
        assert state.in_force().policy is None
        assert not any(event.is_set() for event in again.ready.values()), "it waits for the newest"
        again.start_keepers()
        await again.caught_up()
        assert (state.in_force().policy_version, state.in_force().version) == (2, "b2")


async def test_records_that_nobody_signed_raise_no_mark(database_url: str) -> None:
    async with deployment(database_url, Keyring()) as system:
        await system.policies.publish(parse_policy(SAFE), "lead")
        await system.forge(forged_policy())
        state = await system.start_router()
        await system.caught_up()
        assert state.in_force().policy_version == 2**31 - 1, "at the start nothing speaks against it"
        signed = system.with_keys(Keyring((KEY,))).restarted()
        signed.start_keepers()
        state = await signed.start_router()
        await signed.caught_up()
        assert state.in_force().policy_version == 1


async def test_a_database_that_knows_less_than_the_bus_takes_no_policy_back(database_url: str) -> None:
    """As after a restore: the bus holds a genuine policy that was published later."""
    async with deployment(database_url) as system:
        await system.policies.publish(parse_policy(OPEN), "lead")
        await system.forge(forged_policy(3), keys=system.keys)
        seen = await system.newest(PolicyPublished.topic)
        system.start_keepers()
        state = await system.start_router()
        await system.caught_up()
        assert state.in_force().policy_version == 3
        assert await system.newest(PolicyPublished.topic) == seen


@pytest.mark.slow
async def test_the_processes_of_an_upgraded_system_sign_and_decide(database_url: str, port: int) -> None:
    """Unsigned records as earlier versions wrote them; content that waits is routed by the policy, not for the lack of
    one."""
    async with make_world(database_url) as world, Database.open(database_url, "reviewer", size=2) as reviewer:
        unsigned = Transactions(reviewer, PostgresBus(reviewer), SystemClock(), "reviewer-api")
        await unsigned.bus.ensure_topics(topics(4))
        await PolicyService(unsigned).publish(parse_policy(SAFE), "lead")
        key = await ApiKeys(world.database, world.clock).create("forum", "upstream")
        url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {key}"}
        async with (
            started("router", database_url, port, SECONDLOOK_SIGNING_KEY=f"{KEY},{OLD_KEY}"),
            httpx.AsyncClient(base_url=url, headers=headers) as client,
        ):
            waiting = await answered(client, "/readyz", 503)
            assert "policy" in waiting.json()["reasons"]
            assert (await client.post("/v1/content", json=BODY)).status_code == 202
            async with started("reviewer_api", database_url, port + 1, SECONDLOOK_SIGNING_KEY=f"{KEY},{OLD_KEY}"):
                await answered(client, "/readyz", 200)
                await world.idle()
            (asked,) = await world.events(ReviewRequested)
            assert asked.why == "kill_switch"
            metrics = (await client.get("/metrics")).text
            assert 'secondlook_records_refused_total{reason="unsigned",topic="policy.published"} 1.0' in metrics
            assert "secondlook_signatures_checked 1.0" in metrics
