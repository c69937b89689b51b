"""Labels in, bundles out: the trainer with its real training process, and the router taking up what it publishes."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import psutil
import pytest
from prometheus_client import CollectorRegistry

from secondlook.common.bundle.files import MANIFEST
from secondlook.common.bundle.manifest import Manifest
from secondlook.common.contract.events import BundlePublished
from secondlook.common.contract.policy import LabelPolicy, Policy, Thresholds
from secondlook.common.errors import BundleRejected
from secondlook.common.text.scope import Scope
from secondlook.router.metrics import RouterMetrics
from secondlook.router.model import loader
from secondlook.router.state import RoutingState
from secondlook.trainer.bundle_files import remove_stray
from tests.integration.trainer_world import World, as_record, make_world, published

pytestmark = pytest.mark.slow

SPAM = Policy(
    name="spam",
    mode="fixed",
    labels={"spam": LabelPolicy(description="Unasked-for advertising")},
    thresholds=Thresholds(approve=0.1, reject={"spam": 0.9}),
)
UNKNOWN = Policy(name="unknown", labels={"heresy": LabelPolicy(description="Nobody has labelled this")})


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with make_world(database_url, tmp_path, encoder_cache, monkeypatch) as world:
        yield world


async def eventually(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_a_first_bundle_is_published_taken_up_and_survives_a_corrupt_one(world: World, tmp_path: Path) -> None:
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await world.trainer.step()
    assert await world.state() == "promoted"
    active = await world.registry.active()
    assert active is not None
    assert active.labels == ("spam",)
    assert await world.bundles_on_the_bus() == [active.bundle_version]
    await world.trainer.step()
    assert len(await world.runs.latest(9)) == 1, "nothing new came in, so nothing is trained"

    metrics = RouterMetrics(CollectorRegistry())
    state = RoutingState(loader(tmp_path / "cache"), metrics)
    await state.on_policy(as_record(published(SPAM, 1)))
    assert state.in_force().model is None
    event = BundlePublished(
        stage="active",
        bundle_version=active.bundle_version,
        uri=active.uri,
        sha256=active.sha256,
        published_at=datetime.now(UTC),
    )
    await state.on_bundle(as_record(event))
    model = state.in_force().model
    assert model is not None
    found = model.classify(["You won a free prize, claim it now at example.com", "See you at dinner tomorrow"])
    assert found.scopes.tolist() == [Scope.FITS, Scope.FITS]
    polish = "Znajd\u0119 ci\u0119 i b\u0119dziesz tego bardzo \u017ca\u0142owa\u0142"  # the starter set has none
    foreign = model.classify([polish, "pr\u0456ze", "\u3164"])
    assert foreign.scopes.tolist() == [Scope.LANGUAGE, Scope.MIXED_SCRIPTS, Scope.BLANK]
    scores = found.scores
    assert scores[0, 0] > 0.5 > scores[1, 0]

    for bad in (
        event.model_copy(update={"bundle_version": "other", "sha256": "0" * 64}),
        event.model_copy(update={"bundle_version": "gone", "uri": f"file://{tmp_path / 'nowhere'}"}),
    ):
        await state.on_bundle(as_record(bad))
        assert state.in_force().model is model
    head = Path(active.uri.removeprefix("file://")) / "head.safetensors"
    head.write_bytes(head.read_bytes()[:-1])
    with pytest.raises(BundleRejected, match=r"head\.safetensors"):
        loader(tmp_path / "cache")(active.uri, active.sha256)
    await state.on_bundle(as_record(event.model_copy(update={"bundle_version": "damaged"})))
    assert state.in_force().model is model


async def test_labels_that_allow_no_model_are_refused_and_change_nothing(world: World) -> None:
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await world.trainer.step()
    active = await world.registry.active()
    await world.trainer.on_policy(as_record(published(UNKNOWN, 2)))
    await world.trainer.step()
    latest = (await world.runs.latest())[0]
    assert (latest.state, latest.reason) == ("refused", "policy")
    assert "no labels for this policy" in latest.detail
    assert await world.registry.active() == active
    await world.trainer.step()
    assert len(await world.runs.latest(9)) == 2, "a refused policy version is not tried again as it is"


async def test_a_training_process_that_dies_fails_its_run_and_the_next_one_works(world: World) -> None:
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    stepping = asyncio.create_task(world.trainer.step())

    def jobs() -> list[psutil.Process]:
        return [p for p in psutil.Process().children() if "secondlook.trainer.run" in p.cmdline()]

    await eventually(lambda: bool(jobs()))
    jobs()[0].kill()
    await stepping
    latest = (await world.runs.latest())[0]
    assert latest.state == "failed"
    assert "status -9" in latest.detail
    assert await world.registry.active() is None
    assert await world.bundles_on_the_bus() == []

    await world.runs.request("manual", datetime.now(UTC))
    await world.trainer.step()
    assert await world.state() == "promoted"


async def test_a_run_that_was_cut_off_is_done_again(world: World) -> None:
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    stepping = asyncio.create_task(world.trainer.step())
    await eventually(lambda: any("secondlook.trainer.run" in p.cmdline() for p in psutil.Process().children()))
    stepping.cancel()  # as when the trainer is stopped
    with pytest.raises(asyncio.CancelledError):
        await stepping
    await eventually(lambda: not psutil.Process().children() or all(
        "secondlook.trainer.run" not in p.cmdline() for p in psutil.Process().children()
    ))  # fmt: skip
    assert await world.state() == "running"
    await world.trainer.step()
    assert await world.state() == "promoted"
    assert len(await world.runs.latest(9)) == 1


async def test_what_a_run_stored_and_did_not_end_is_removed_and_nothing_else(
    world: World, database_url: str, tmp_path: Path
) -> None:
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    bundles = tmp_path / "bundles"

    def stored() -> list[Path]:
        return [folder.parent for folder in bundles.glob("*/model-card.md")]

    connection = await asyncpg.connect(database_url)
    lock = connection.transaction()
    await lock.start()
    await connection.execute("LOCK TABLE trainer.bundle IN SHARE MODE")  # so that the run cannot end
    stepping = asyncio.create_task(world.trainer.step())
    await eventually(lambda: bool(stored()))
    stepping.cancel()  # as when the trainer is killed
    with pytest.raises(asyncio.CancelledError):
        await stepping
    await lock.rollback()
    await connection.close()
    assert await world.state() == "running"
    (stray,) = stored()
    made = Manifest.model_validate_json((stray / MANIFEST).read_bytes()).created_at
    theirs = bundles / "theirs"
    shutil.copytree(stray, theirs)
    assert not remove_stray(bundles.as_uri(), "theirs", made + timedelta(microseconds=1))
    assert not remove_stray(bundles.as_uri(), "nowhere", made)
    (theirs / MANIFEST).write_text("{}")
    assert not remove_stray(bundles.as_uri(), "theirs", made)
    (theirs / MANIFEST).unlink()
    assert not remove_stray(bundles.as_uri(), "theirs", made)

    await world.trainer.step()
    assert await world.state() == "promoted"
    active = await world.registry.active()
    assert active is not None
    assert {folder.name for folder in bundles.iterdir()} == {active.bundle_version, "theirs"}
    assert stray.name != active.bundle_version
    await world.trainer.step()
    assert (bundles / active.bundle_version / MANIFEST).exists(), "what a run brought is no stray"
