"""From labels with signals to a bundle that weighs them, and what it does when they are gone."""

import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from secondlook.common.bundle.classifier import Classifier
from secondlook.common.bundle.store import open_bundle
from secondlook.common.contract.events import ContentLabelled
from secondlook.common.contract.policy import Policy
from secondlook.common.text.scope import Scope
from secondlook.trainer.data import evidence_rows
from secondlook.trainer.data.dataset import load_judged
from secondlook.trainer.data.evidence_rows import Unlearned
from secondlook.trainer.run.evidence import sample_of
from tests.integration.trainer_world import PLAIN, SPAM, Labels, World, as_record, make_world, published

LIKELY = 0.9  # how often the vendor is right


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with make_world(database_url, tmp_path, encoder_cache, monkeypatch) as world:
        yield world


def vendor(chance: random.Random, spam: bool) -> dict[str, float]:
    right = chance.random() < LIKELY
    return {"vendor.spam": chance.uniform(0.7, 1.0) if spam == right else chance.uniform(0.0, 0.3)}


async def trained(world: World, tmp_path: Path) -> Classifier:
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await world.trainer.step()
    active = await world.registry.active()
    assert active is not None
    return open_bundle(active.uri, active.sha256, tmp_path / "cache").classifier


def texts(chance: random.Random, count: int) -> list[str]:
    return [" ".join(chance.choice(PLAIN) for _ in range(8)) for _ in range(count)]


async def test_labels_with_signals_make_a_bundle_that_weighs_them(world: World, tmp_path: Path) -> None:
    """The text tells nothing here, so that the signal must."""
    chance, labels = random.Random(1), Labels(world)
    await labels.give(
        600, "uncertain", spam=lambda text, n: n % 3 == 0, signals=lambda n: vendor(chance, n % 3 == 0)
    )  # fmt: skip
    classifier = await trained(world, tmp_path)
    (feature,) = classifier.signals
    assert (feature.name, feature.usual) == ("vendor.spam", True)
    some = texts(chance, 20)
    high, low = (classifier.predict(some, [{"vendor.spam": value}] * 20) for value in (0.9, 0.1))
    assert (high > low).all()
    assert high.mean() - low.mean() > 0.4

    gone = classifier.classify(some)
    assert gone.scopes.tolist() == [Scope.SIGNALS] * 20, "nothing is decided automatically once the vendor is gone"
    assert not any(Scope(scope).approvable or Scope(scope).rejectable for scope in gone.scopes.tolist())


async def test_pictures_without_text_are_learned_by_their_signals(world: World, tmp_path: Path) -> None:
    chance, labels = random.Random(2), Labels(world)
    await labels.give(60, "uncertain", signals=lambda n: vendor(chance, n % 2 == 0))
    await labels.give(
        400, "uncertain", spam=lambda text, n: n % 2 == 0, signals=lambda n: vendor(chance, n % 2 == 0), text=""
    )  # fmt: skip
    await labels.give(20, "uncertain", text="")  # without signals they teach nothing
    judged = await load_judged(world.database.pool, 10**9)
    assert len({each.split for each in judged if not each.text}) > 1, "they are no copies of each other"
    classifier = await trained(world, tmp_path)
    found = classifier.classify(["", "", ""], [{"vendor.spam": 0.95}, {"vendor.spam": 0.05}, {}])
    assert found.scores[0, 0] > 0.6 > 0.4 > found.scores[1, 0]
    assert found.scopes.tolist() == [Scope.FITS, Scope.FITS, Scope.BLANK]


async def test_evidence_counts_only_what_has_the_required_signals(world: World) -> None:
    labels, always = Labels(world), {"vendor.spam": 0.5}
    await labels.give(10, "uncertain", signals=lambda n: always if n % 2 else {})
    pool, everything = world.database.pool, Unlearned(0, 10**6)
    rows = await evidence_rows.load_evidence(pool, "b1", everything, 10**9)
    scored = {row.number: ([0.5], 0) for row in rows}
    assert sample_of(SPAM, ["spam"], rows, scored).automatable.all()
    strict = Policy.model_validate({**SPAM.model_dump(), "signals": {"required": ["vendor.spam"]}})
    found = sample_of(strict, ["spam"], rows, scored)
    assert found.automatable.tolist() == [bool(row.signals) for row in rows]
    assert [bool(signals) for *_, signals in await evidence_rows.unscored(pool, "b1", everything)] == [
        False, True,
    ] * 5  # fmt: skip


async def test_a_stream_that_lost_its_signal_keeps_the_promise(world: World, tmp_path: Path) -> None:
    """The traffic changes: what is harmful stays, and the vendor falls silent, for all or for those it would accuse."""
    chance, labels = random.Random(3), Labels(world)
    await labels.give(
        1_200, "uncertain", spam=lambda text, n: n % 4 == 0, signals=lambda n: vendor(chance, n % 4 == 0)
    )  # fmt: skip
    classifier = await trained(world, tmp_path)
    spam = np.arange(2_000) % 4 == 0
    some, before = texts(chance, 2_000), [vendor(chance, bool(each)) for each in spam]
    threshold = float(np.quantile(classifier.predict(some, before)[:, 0], 0.6))

    def wrongly_approved(said: list[dict[str, float]]) -> float:
        found = classifier.classify(some, said)
        approved = (found.scores[:, 0] <= threshold) & (found.scopes == Scope.FITS)
        return float((approved & spam).sum()) / max(1, int(approved.sum()))

    usual = wrongly_approved(before)
    silent = [{} if each["vendor.spam"] > 0.5 else each for each in before]
    assert wrongly_approved([{}] * 2_000) == 0.0, "nothing is approved"
    assert wrongly_approved(silent) <= usual, "what lost its signal is not approved instead"


async def test_labels_of_before_have_no_signals(world: World) -> None:
    fields = {
        "source": "forum", "content_id": "a", "label_id": uuid4(), "revision": 1, "text": "t", "labels": {"spam": True},
        "reviewer": "r", "decision_id": None, "adjudicated": True, "labelled_at": datetime.now(UTC),
        "inclusion_probability": 1.0, "stratum": "uncertain",
    }  # fmt: skip
    async with world.transactions.begin() as work:
        await Labels(world).handler.apply(work, [ContentLabelled.model_validate(fields)])
    assert await world.database.pool.fetchval("SELECT signals IS NULL FROM label")
    (judged,) = await load_judged(world.database.pool, 10**9)
    assert judged.signals == {}
