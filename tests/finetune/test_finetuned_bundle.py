"""A whole run that fine-tunes: from labels to a bundle in force, also when it is killed half-way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psutil
import pytest

from secondlook.common.bundle.store import Bundle, open_bundle
from secondlook.trainer.encoders.encoder import export_encoder
from tests.integration.trainer_world import SPAM, Labels, World, as_record, make_world, published


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, small_bert: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("SECONDLOOK_ENCODER", str(small_bert))
    monkeypatch.setenv("SECONDLOOK_FINETUNE_CHECKPOINT_SECONDS", "0")
    async with make_world(database_url, tmp_path, tmp_path / "encoders", monkeypatch) as world:
        world = world.configured(train_mode="finetune", encoder=str(small_bert), retrain_labels=10_000)
        labels = Labels(world)
        await labels.give(2_900, "uncertain")
        await labels.give(600, "uniform")
        await world.trainer.on_policy(as_record(published(SPAM, 1)))
        yield world


async def active(world: World) -> Bundle:
    row = await world.registry.active()
    assert row is not None, (await world.runs.latest())[0].detail
    return open_bundle(row.uri, row.sha256, Path(world.settings.encoder_cache))


async def follow(world: World, words: str) -> None:
    """Wait until the run says something with `words` of itself."""
    while True:
        for run in await world.runs.latest():
            if words in run.detail:
                return
            assert run.state in ("queued", "running"), run.detail
        await asyncio.sleep(0.05)


def jobs() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "secondlook.trainer.run" in child.cmdline()]


async def test_a_killed_run_goes_on_and_its_bundle_is_certified_on_what_is_deployed(
    world: World, small_bert: Path, tmp_path: Path
) -> None:
    tuned = tmp_path / "encoders" / "tuned"
    async with asyncio.timeout(300):
        stepping = asyncio.create_task(world.trainer.step())
        while not list(tuned.glob("*/checkpoint.safetensors")):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        stepping.cancel()  # as when the trainer is stopped
        with suppress(asyncio.CancelledError):
            await stepping
        while jobs():  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await Labels(world).give(50, "uncertain")  # comes too late for this run

        stepping = asyncio.create_task(world.trainer.step())
        await follow(world, "resumed at step")
        jobs()[0].kill()  # as when memory runs out
        await stepping
        assert await world.state() == "running"
        assert await world.registry.active() is None

        await world.trainer.step()
    (run,) = await world.runs.latest(9)
    assert run.state == "promoted", run.detail
    assert run.label_mark == 3_500
    assert run.starts == 3
    spent = await world.database.pool.fetch("SELECT number FROM spending")
    assert [row["number"] for row in spent] == [1], "what was cut off had not looked at a judgement"

    bundle = await active(world)
    manifest = bundle.manifest
    assert manifest.encoder.name.startswith("small-bert-tuned-")
    assert manifest.encoder.sha256 != export_encoder(str(small_bert), tmp_path / "base").sha256
    assert manifest.thresholds is not None
    assert manifest.thresholds.approve is not None, run.detail
    assert manifest.thresholds.reject.keys() == {"spam"}
    scores = bundle.classifier.predict(["free prize casino pills offer", "garden weather library bicycle train"])
    assert scores[0, 0] > 0.5 > scores[1, 0]
    assert bundle.classifier.head.embedding.any()
    kept = await world.database.pool.fetchval("SELECT count(DISTINCT encoder_sha256) FROM embedding")
    assert kept == 2, "what the frozen encoder says, to begin with, and what the tuned one says"


async def test_the_head_alone_can_be_asked_for_and_fine_tuning_too(world: World) -> None:
    world = world.configured(train_mode="head")
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await world.trainer.step()
    before = await active(world)
    assert before.manifest.encoder.name == "small-bert"
    await world.runs.request("manual", datetime.now(UTC), "finetune")
    await world.trainer.step()
    run = (await world.runs.latest())[0]
    assert run.mode == "finetune"
    assert run.state in ("promoted", "kept"), run.detail
    newest = (await world.registry.all())[0]
    assert newest.encoder_sha256 not in (None, before.manifest.encoder.sha256)
