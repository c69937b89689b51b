"""Embeddings are computed once an encoder and text, and kept as long as a bundle needs them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from secondlook.common.bundle.classifier import Head, Platt
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.files import manifest_sha256
from secondlook.common.bundle.store import Bundle, open_bundle, write_bundle
from secondlook.common.text.scope import Scope
from secondlook.trainer.data.embeddings import forget
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, export_encoder
from secondlook.trainer.registry import BundleRow
from secondlook.trainer.run.database import RunDatabase
from secondlook.trainer.run.train import predictions_of
from tests.integration.trainer_world import World, make_world

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPEC = FeatureSpec(bits=10)
TEXTS = ["See you at dinner", "You won a prize", "The train is late"]


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with make_world(database_url, tmp_path, encoder_cache, monkeypatch) as world:
        yield world


def bundle(folder: Path, encoder_cache: Path) -> Bundle:
    """A bundle that knows `spam`, of any weights."""
    exported, chance = export_encoder(DEFAULT_ENCODER, encoder_cache), np.random.default_rng(0)
    head = Head(
        ("spam",),
        chance.normal(size=(exported.dim, 1)).astype(np.float32),
        chance.normal(size=(SPEC.width, 1)).astype(np.float32),
        np.zeros(1, np.float32),
    )
    write_bundle(
        folder, bundle_version="b1", created_at=NOON, encoder_onnx=exported.onnx, encoder_tokenizer=exported.tokenizer,
        encoder_name=exported.name, features=SPEC, head=head, calibration={"spam": Platt(slope=1, intercept=0)},
        metrics={}, data_fingerprint="test",
    )  # fmt: skip
    return open_bundle(folder.as_uri(), manifest_sha256(folder), folder)


async def test_a_bundle_is_scored_from_the_embeddings_that_are_kept_for_its_encoder(
    world: World, tmp_path: Path, encoder_cache: Path
) -> None:
    scored, told = bundle(tmp_path / "b1", encoder_cache), list[str]()
    database = RunDatabase(world.database)
    first, scopes = await predictions_of(scored, ["heresy", "spam"], TEXTS, database, told.append)
    assert scopes.tolist() == [Scope.FITS] * 3
    assert told == ["embedded 3 of 3 new texts"]
    assert np.isnan(first[:, 0]).all(), "it does not know this label"
    assert first[:, 1] == pytest.approx(scored.classifier.predict(TEXTS)[:, 0], abs=1e-5)
    again, _ = await predictions_of(scored, ["heresy", "spam"], [*TEXTS[::-1], "One more"], database, told.append)
    assert told[1:] == ["embedded 1 of 1 new texts"]
    assert again[:3] == pytest.approx(first[::-1], nan_ok=True)
    nothing, none = await predictions_of(scored, ["spam"], [], database, told.append)
    assert (nothing.shape, none.shape) == ((0, 1), (0,))


async def test_embeddings_go_with_the_last_bundle_that_needs_them(world: World, tmp_path: Path) -> None:
    pool = world.database.pool

    async def encoders() -> set[str]:
        return {row["encoder_sha256"] for row in await pool.fetch("SELECT encoder_sha256 FROM embedding")}

    for number, encoder in enumerate((None, "gone", "old", "active", "refused")):
        version = f"b{number}"
        row = BundleRow(
            bundle_version=version, uri=(tmp_path / version).as_uri(), sha256="0" * 64, policy_version=1,
            labels=("spam",), metrics={}, reasons=(), created_at=NOON.replace(minute=number), encoder_sha256=encoder,
        )  # fmt: skip
        async with world.transactions.begin() as work:
            await world.registry.add(work, row)
            if encoder != "refused":
                await world.registry.activate(work, version)
    known = {"gone", "old", "active", "refused", "configured", "somebody's"}
    await pool.executemany("INSERT INTO embedding VALUES ($1, $2, '')", [(each, each.encode()) for each in known])

    await forget(pool, "configured")
    assert await encoders() == known - {"somebody's"}
    await world.registry.prune(1, NOON)
    assert await encoders() == known - {"somebody's"}, "pruning is about files"
    await forget(pool, "configured")
    assert await encoders() == {"old", "active", "configured"}
    await forget(pool, "new")
    assert await encoders() == {"old", "active"}
