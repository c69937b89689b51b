"""What the trainer makes of a reversal, and of what users reported: it teaches the new answer, and measures nothing."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from secondlook.common.contract.events import ContentLabelled, Why
from secondlook.trainer.data.dataset import Judged, load_judged
from secondlook.trainer.data.splits import CHOSEN, REPORTED, REVERSED
from secondlook.trainer.quality import repository as figures
from tests.integration.test_evidence import NOON, ask, judge, label, rows
from tests.integration.trainer_world import World, make_world

EVERY = 10**9
NAMES = [a + b for a in "abcdef" for b in "uvwxyz"]  # without digits: texts that differ in those only are copies


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with make_world(database_url, tmp_path, encoder_cache, monkeypatch) as world:
        yield world


chosen = pytest.mark.parametrize("stratum", CHOSEN)


def reversal(of: ContentLabelled, reviewer: str = "lead", stratum: str = REVERSED) -> ContentLabelled:
    """The other answer, an hour later, of an item that a person or reporters chose."""
    changes = {
        "label_id": uuid4(), "labels": {name: not said for name, said in of.labels.items()}, "reviewer": reviewer,
        "inclusion_probability": None, "stratum": stratum, "labelled_at": NOON + timedelta(hours=1),
    }  # fmt: skip
    return of.model_copy(update=changes)


async def judged(world: World) -> dict[str, Judged]:
    """The data that models get, by text."""
    return {row.text: row for row in await load_judged(world.database.pool, EVERY)}


@chosen
async def test_what_models_learn_from_takes_the_new_answer(world: World, stratum: str) -> None:
    items = [label(name) for name in NAMES]
    await judge(world, *items)
    before = await judged(world)
    await judge(world, *(reversal(each, stratum=stratum) for each in items))
    after = await judged(world)
    learned = {text for text, row in before.items() if row.split in ("train", "calibrate")}
    assert learned
    assert learned != before.keys(), "some compare bundles"
    assert {text: row.split for text, row in after.items()} == {text: row.split for text, row in before.items()}
    for text, row in after.items():
        assert row.labels == {"spam": text in learned}, row
        assert (row.stratum == stratum) == (text in learned)
        assert row.item is None or text not in learned, "nobody doubts an answer that a person chose"


@chosen
async def test_an_item_that_certifies_stays_unlearned_and_keeps_its_answer(world: World, stratum: str) -> None:
    items = [label(name, stratum="uniform") for name in NAMES]
    await ask(world, *items)
    await judge(world, *items)
    before, evidence = await judged(world), await rows(world)
    assert {row.split for row in before.values()} <= {"certify", "gold"}
    await judge(world, *(reversal(each, stratum=stratum) for each in items))
    assert await judged(world) == before
    assert {name: row.settled for name, row in (await rows(world)).items()} == {
        name: row.settled for name, row in evidence.items()
    }


@chosen
async def test_what_was_chosen_is_in_no_figure_of_people_or_audits(world: World, stratum: str) -> None:
    audited = {"decision_id": uuid4(), "sequence": 1000, "outcome": "approve", "labels": ()}
    items = [label(name, stratum="uniform", audited=audited) for name in NAMES]
    await judge(world, *items, *(each.model_copy(update={"label_id": uuid4(), "reviewer": "bob"}) for each in items))

    async def measured() -> list[object]:
        pool = world.database.pool
        return [
            await figures.ratings(pool, EVERY), await figures.shared_ratings(pool, EVERY),
            await figures.confirmed(pool, EVERY), await figures.audited_decisions(pool, EVERY),
            await figures.uniform_labels(pool, EVERY), await figures.second_looks(pool),
        ]  # fmt: skip

    before = await measured()
    assert all(before[:-1])
    await judge(world, *(reversal(each, stratum=stratum).model_copy(update={"audited": None}) for each in items))
    assert await measured() == before


async def test_a_brigade_moves_no_estimate_by_what_it_reports(world: World) -> None:
    """Half of what it reports is harmful and was approved: ten times as bad as what the coin draws."""
    audited = {"decision_id": uuid4(), "sequence": 1000, "outcome": "approve", "labels": ()}
    items = [label(name, stratum="audit_approve", audited=audited, labels={"spam": False}) for name in NAMES]
    await ask(world, *items)
    await judge(world, *items)

    async def measured() -> list[object]:
        pool = world.database.pool
        measuring = [row for row in (await judged(world)).values() if row.split in ("gold", "certify")]
        return [await figures.audited_decisions(pool, EVERY), await rows(world), measuring]

    before = await measured()
    assert all(before)
    pushed = [label(f"pushed-{name}", labels={"spam": n % 2 == 0}) for n, name in enumerate(NAMES)]
    await ask(world, *pushed, why=Why.REPORTED)
    await judge(world, *(reversal(each, stratum=REPORTED) for each in [*pushed, *items]))
    assert await measured() == before
    assert len(await judged(world)) > len(items), "what models may learn from, they learn"
