"""What certificates rest on, as the trainer keeps it: the order, what waits, what is gone, and who judged it."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from secondlook.common.contract.events import Coin, ContentLabelled, ReviewCancelled, Why
from secondlook.common.service.stream import Item
from secondlook.trainer.asked.handler import AskedHandler
from secondlook.trainer.data import evidence_rows
from secondlook.trainer.data.evidence_rows import EvidenceRow, Unlearned
from secondlook.trainer.data.splits import MEASURING
from tests.integration.trainer_world import Labels, World, as_record, asked, make_world

ALL = Unlearned(0, 10**6)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with make_world(database_url, tmp_path, encoder_cache, monkeypatch) as world:
        yield world


def label(content_id: str, *, said: bool = False, **more: object) -> ContentLabelled:
    fields = {
        "source": "forum", "content_id": content_id, "label_id": uuid4(), "revision": 1,
        "text": f"what {content_id} said of the weather", "labels": {"spam": said}, "reviewer": "ann",
        "decision_id": None, "adjudicated": True, "labelled_at": NOON, "inclusion_probability": 1.0,
        "stratum": "uncertain", **more,
    }  # fmt: skip
    return ContentLabelled.model_validate(fields)


async def ask(world: World, *labels: ContentLabelled, hold_out: float = 0.0, **changes: object) -> None:
    """Requests as the stream reads them, one of them twice."""
    handler = AskedHandler(lambda: hold_out)
    events = [asked(each, **changes) for each in labels]
    plan = await handler.prepare([Item(as_record(event), event) for event in [*events, events[-1]]])
    async with world.transactions.begin() as work:
        await handler.apply(work, plan)


async def judge(world: World, *labels: ContentLabelled) -> None:
    async with world.transactions.begin() as work:
        await Labels(world).handler.apply(work, list(labels))


async def rows(world: World, new: Unlearned = ALL, weights: str = "b1") -> dict[str, EvidenceRow]:
    found = await evidence_rows.load_evidence(world.database.pool, weights, new, 10**9)
    assert [row.number for row in found] == sorted(row.number for row in found)
    return {row.content_id: row for row in found}


async def test_what_waits_is_there_and_what_is_gone_is_told(world: World) -> None:
    items = [label(name) for name in "abcd"]
    await ask(world, *items)
    await judge(world, items[0], items[3])
    gone = [
        ReviewCancelled(source="forum", content_id=name, up_to_revision=1, why="withdrawn", cancelled_at=NOON)
        for name in "bd"
    ]
    handler = AskedHandler(lambda: 0.0)
    async with world.transactions.begin() as work:
        await handler.apply(work, list(gone))
    found = await rows(world)
    assert list(found) == ["a", "b", "c", "d"]
    assert [row.settled for row in found.values()] == [{"spam": False}, None, None, {"spam": False}]
    assert [row.gone for row in found.values()] == [False, True, False, False], "what was judged stays"


async def test_a_judgement_that_was_taken_back_or_not_settled_is_none(world: World) -> None:
    taken_back, first = label("a"), label("b", adjudicated=False)
    await ask(world, taken_back, first)
    await judge(world, taken_back, first)
    await judge(world, taken_back.model_copy(update={"labels": {}, "labelled_at": NOON + timedelta(hours=1)}))
    found = await rows(world)
    assert (found["a"].settled, found["b"].settled) == ({}, None)
    assert found["b"].answers == {"ann": {"spam": False}}


async def test_an_answer_that_looked_wrong_counts_as_it_was_given_first(world: World) -> None:
    items = [label(name) for name in "ab"]
    await ask(world, *items)
    await judge(world, *items)
    pool = world.database.pool
    run = await world.runs.request("manual", NOON)
    for name, by_lot in (("a", False), ("b", True)):
        looks = (None, None, None) if by_lot else ("spam", False, 0.1)
        await pool.execute(
            "INSERT INTO second_look (source, content_id, revision, label, given, score, run_id, asked_at, by_lot) "
            "VALUES ('forum', $1, 1, $2, $3, $4, $5, $6, $7)", name, *looks, run, NOON + timedelta(hours=1), by_lot,
        )  # fmt: skip
    later = {"said": True, "reviewer": "bob", "labelled_at": NOON + timedelta(hours=2)}
    await judge(world, label("a", **later), label("b", **later))  # type: ignore[arg-type]
    found = await rows(world)
    assert found["a"].settled == {"spam": False}, "only where a model disagrees was it asked again"
    assert found["b"].settled == {"spam": True}, "a lot is fair"


async def test_a_model_has_what_was_held_out_and_what_came_after_it_was_fitted(world: World) -> None:
    held, learned, later, raced = label("h"), label("l"), label("n"), label("r")
    await ask(world, held, hold_out=0.8)
    await ask(world, learned)
    await judge(world, held, learned, raced)  # the judgement overtook the request
    fitted_labels = await world.database.pool.fetchval("SELECT max(received) FROM label")
    fitted = await evidence_rows.newest(world.database.pool)
    await ask(world, later, raced)
    await judge(world, later)
    new = Unlearned(fitted, 10**6, fitted_labels)
    assert set(await rows(world, new)) == {"h", "n"}
    assert set(await rows(world, Unlearned(fitted, fitted, fitted_labels))) == {"h"}
    splits = await world.database.pool.fetch("SELECT content_id, split FROM label")
    assert {row["content_id"]: row["split"] in MEASURING for row in splits}["h"], "and nothing is fitted on it"


async def test_what_other_weights_routed_counts_by_the_smaller_share(world: World) -> None:
    coin = Coin(u=0.05, inclusion_probability=0.3, stratum="audit_approve", approve=0.1, reject=0.3)
    await world.database.pool.execute(
        "INSERT INTO bundle (bundle_version, uri, sha256, stage, policy_version, labels, metrics, reasons, created_at, "
        "weights) VALUES ('b1-t', 'x', '', 'stored', 1, '{}', '{}', '{}', now(), 'b1')"
    )
    await ask(world, label("a"), coin=coin, bundle_version="b1-t")
    assert (await rows(world))["a"].least == (0.1, 0.3)
    assert (await rows(world, weights="b2"))["a"].least == (0.1, 0.1)


async def test_what_a_router_of_before_sent_counts_only_if_it_was_drawn_from_all_traffic(world: World) -> None:
    drawn = Coin(u=0.01, inclusion_probability=0.02, stratum="uniform")
    band = Coin(u=0.5, inclusion_probability=1.0, stratum="uncertain")
    await ask(world, label("a"), coin=drawn)
    await ask(world, label("b"), coin=band)
    await ask(world, label("c"), coin=band, why=Why.APPEAL)
    found = await rows(world)
    assert [(row.u < min(row.least)) for row in found.values()] == [True, False]
    assert "c" not in found, "appeals are chosen, not drawn"


async def test_scores_are_kept_once_and_forgotten_with_their_weights(world: World) -> None:
    await ask(world, label("a"), label("b"))
    pool = world.database.pool
    new = await evidence_rows.unscored(pool, "b1", ALL)
    assert [text for _, text, _ in new] == ["what a said of the weather", "what b said of the weather"]
    await evidence_rows.save_scores(pool, "b1", [(number, [0.25], 0) for number, *_ in new])
    assert await evidence_rows.unscored(pool, "b1", ALL) == []
    assert await evidence_rows.load_scores(pool, "b1") == {number: ([0.25], 0) for number, *_ in new}
    await evidence_rows.forget_scores(pool)
    assert await evidence_rows.load_scores(pool, "b1") == {}, "no bundle in use carries these weights"


async def test_the_content_of_a_day_is_estimated_from_a_fair_sample(world: World) -> None:
    now = datetime.now(UTC)
    for number in range(28):
        coin = Coin(u=number / 280, inclusion_probability=0.1, stratum="uniform", approve=0.1, reject=1.0)
        await ask(world, label(f"c{number}"), coin=coin, requested_at=now)
    assert await evidence_rows.content_a_day(world.database.pool, now) == pytest.approx(28 / 0.1 / 14)
