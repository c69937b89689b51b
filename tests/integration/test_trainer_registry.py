"""Bundles in the registry, labels in the table, embeddings in the cache: the trainer's storage."""

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from prometheus_client import CollectorRegistry

from services.common.bus import Topic
from services.common.bus.postgres import PostgresBus
from services.common.clock import SystemClock
from services.common.errors import Conflict, NotFound
from services.common.events import BundlePublished, ContentLabelled
from services.common.postgres import Database
from services.common.unit_of_work import Transactions
from services.trainer import claims
from services.trainer.dataset import load_judged
from services.trainer.labels import LabelHandler
from services.trainer.metrics import TrainerMetrics
from services.trainer.registry import BundleRow, Registry
from services.trainer.runs import Runs

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def transactions(database_url: str) -> AsyncIterator[Transactions]:
    async with Database.open(database_url, "trainer") as database:
        bus = PostgresBus(database)
        await bus.ensure_topics([Topic("routing.bundle", 1, compacted=True)])
        yield Transactions(database, bus, SystemClock(), "trainer")


@pytest.fixture
def registry(transactions: Transactions) -> Registry:
    return Registry(transactions.database, transactions)


async def add(
    registry: Registry, transactions: Transactions, folder: Path, number: int, *, promote: bool = True
) -> str:
    """A bundle row with a file behind it."""
    version = f"b{number}"
    (folder / version).mkdir()
    (folder / version / "manifest.json").write_text("{}")
    row = BundleRow(
        version, f"file://{folder / version}", "0" * 64, "refused", 1, ("spam",), {}, ("because",),
        NOON + timedelta(minutes=number), None, None,
    )  # fmt: skip
    async with transactions.begin() as work:
        await registry.add(work, row)
        if promote:
            await registry.activate(work, version)
    return version


async def active(registry: Registry) -> str | None:
    row = await registry.active()
    return row.bundle_version if row else None


async def test_rollback_steps_back_and_tells_the_routers(
    registry: Registry, transactions: Transactions, tmp_path: Path
) -> None:
    for number in range(3):
        await add(registry, transactions, tmp_path, number)
    await add(registry, transactions, tmp_path, 3, promote=False)
    assert await active(registry) == "b2"
    assert [await registry.rollback(), await registry.rollback()] == ["b1", "b0"]
    with pytest.raises(Conflict, match="no earlier bundle"):
        await registry.rollback()
    await registry.promote("b2")
    assert await active(registry) == "b2"
    rows = await transactions.database.pool.fetch('SELECT value FROM bus.record ORDER BY "offset"')
    told = [BundlePublished.model_validate_json(row["value"]).bundle_version for row in rows]
    assert told == ["b0", "b1", "b2", "b1", "b0", "b2"]


async def test_unknown_and_removed_bundles_are_not_promoted(
    registry: Registry, transactions: Transactions, tmp_path: Path
) -> None:
    with pytest.raises(NotFound, match="'b7'"):
        await registry.promote("b7")
    for number in range(4):
        await add(registry, transactions, tmp_path, number)
    await add(registry, transactions, tmp_path, 4, promote=False)
    removed = await registry.prune(2, NOON)
    assert sorted(removed) == ["b0", "b4"]
    assert set(os.listdir(tmp_path)) == {"b1", "b2", "b3"}
    assert await registry.prune(2, NOON) == []
    with pytest.raises(Conflict, match="files of bundle b0 were removed"):
        await registry.promote("b0")
    assert await active(registry) == "b3"


async def test_a_failed_transaction_leaves_the_active_bundle(
    registry: Registry, transactions: Transactions, tmp_path: Path
) -> None:
    await add(registry, transactions, tmp_path, 0)
    await add(registry, transactions, tmp_path, 1, promote=False)

    async def half_way() -> None:
        async with transactions.begin() as work:
            await registry.activate(work, "b1")
            raise RuntimeError("the power went off")

    with pytest.raises(RuntimeError):
        await half_way()
    assert await active(registry) == "b0"
    assert await transactions.database.pool.fetchval("SELECT count(*) FROM bus.record") == 1


async def test_two_bundles_are_never_active(registry: Registry, transactions: Transactions, tmp_path: Path) -> None:
    await add(registry, transactions, tmp_path, 0)
    await add(registry, transactions, tmp_path, 1)
    with pytest.raises(asyncpg.UniqueViolationError):
        await transactions.database.pool.execute("UPDATE bundle SET stage = 'active'")


async def test_a_request_joins_the_queued_run_but_not_the_running_one(transactions: Transactions) -> None:
    runs = Runs(transactions.database)
    first = await runs.request("manual", NOON)
    assert await runs.request("labels", NOON) == first
    await runs.start(first, 1, NOON)
    second = await runs.request("manual", NOON + timedelta(seconds=1))
    assert second not in (first, None)
    await runs.reset(NOON)
    cut_off = await runs.get(first)
    assert cut_off is not None
    assert cut_off.state == "failed"
    await runs.start(second, 1, NOON)
    await runs.reset(NOON)
    assert await runs.queued() == second

    async def end_again() -> None:
        async with transactions.begin() as work:
            await runs.finish(work, first, "promoted", "")

    with pytest.raises(Conflict, match="ended by another trainer"):
        await end_again()


def labelled(
    content_id: str, value: bool, *, minutes: int = 0, reviewer: str = "r1", **more: object
) -> ContentLabelled:
    fields = {
        "source": "forum", "content_id": content_id, "label_id": uuid4(), "revision": 1, "text": f"text {content_id}",
        "labels": {"spam": value}, "reviewer": reviewer, "labelled_at": NOON + timedelta(minutes=minutes),
        "decision_id": None, "adjudicated": True, "inclusion_probability": None, "stratum": "imported", **more,
    }  # fmt: skip
    return ContentLabelled.model_validate(fields)


async def test_a_label_is_stored_once_and_a_correction_replaces_it(transactions: Transactions) -> None:
    handler = LabelHandler(TrainerMetrics(CollectorRegistry()).labels)
    first = labelled("1", True)
    corrected = first.model_copy(update={"labels": {"spam": False}, "labelled_at": NOON + timedelta(minutes=5)})
    for batch in ([first, first], [corrected], [first]):
        async with transactions.begin() as work:
            await handler.apply(work, batch)
    rows = await transactions.database.pool.fetch("SELECT labels FROM label")
    assert [json.loads(row["labels"]) for row in rows] == [{"spam": False}]


async def test_what_replaces_a_bundle_that_is_active_no_more_is_dropped(
    transactions: Transactions, registry: Registry, tmp_path: Path
) -> None:
    for number in (1, 2):
        await add(registry, transactions, tmp_path, number)
    await add(registry, transactions, tmp_path, 3, promote=False)

    async def replace_by_b3(replaces: str) -> str:
        async with transactions.begin() as work:
            await registry.activate(work, "b3", replaces)
        active = await registry.active()
        assert active is not None
        return active.bundle_version

    with pytest.raises(Conflict, match="made to replace b1, which is active no more"):
        await replace_by_b3("b1")
    assert await transactions.database.pool.fetchval("SELECT stage FROM bundle WHERE bundle_version = 'b2'") == "active"
    assert await replace_by_b3("b2") == "b3"


async def test_an_attempt_counts_for_the_weights_that_it_was_about(
    transactions: Transactions, registry: Registry, tmp_path: Path
) -> None:
    pool, runs = transactions.database.pool, Runs(transactions.database)
    await add(registry, transactions, tmp_path, 1)
    await add(registry, transactions, tmp_path, 2, promote=False)

    async def attempt(minute: int, reason: str, items: int, version: str | None, *, spent: bool = True) -> int:
        at = NOON + timedelta(minutes=minute)
        run = await runs.request(reason, at)
        await runs.start(run, 1, at)
        number = await claims.begin(pool, "claim", run, 0, at)
        await pool.execute("UPDATE certification SET items = $2 WHERE run_id = $1", run, items)
        await claims.end(pool, run, spent=spent, bundle_version=version)
        async with transactions.begin() as work:
            await runs.finish(work, run, "kept", "")
        return number

    async def items() -> int | None:
        latest = await claims.latest(pool, "claim", "b1")
        return latest.items if latest else None

    assert await items() is None
    assert await attempt(2, "first", 100, "b1") == 1
    assert await items() == 100
    assert await attempt(3, "labels", 150, "b2") == 2
    assert await items() == 100, "a challenger that was refused says nothing of the active bundle"
    assert await attempt(4, "certify", 210, None, spent=False) == 3
    assert await items() == 210
    assert await attempt(5, "certify", 220, "b1-t") == 3, "what spent nothing leaves its number to the next"
    await claims.fire(pool, "b1", "approve", 10, 9, 0.5, 0.01, NOON + timedelta(minutes=6))
    assert await items() == 0, "after an alarm they start anew"


async def test_what_is_taken_back_is_gone_and_what_is_judged_again_counts_last(transactions: Transactions) -> None:
    handler = LabelHandler(TrainerMetrics(CollectorRegistry()).labels)
    gone = labelled("1", True)
    batch = [
        gone, gone.model_copy(update={"labels": {}, "labelled_at": NOON + timedelta(minutes=1)}),
        labelled("2", True, reviewer="r1"), labelled("2", False, reviewer="lead", minutes=3),
        labelled("3", True, adjudicated=False),
    ]  # fmt: skip
    async with transactions.begin() as work:
        await handler.apply(work, batch)
    async with transactions.database.pool.acquire() as connection:
        rows = await load_judged(connection, 99)
        assert [(row.text, row.labels) for row in rows] == [("text 2", {"spam": False})]
        assert await load_judged(connection, 0) == []


async def test_a_split_is_fixed_when_the_first_label_of_a_group_arrives(transactions: Transactions) -> None:
    handler = LabelHandler(TrainerMetrics(CollectorRegistry()).labels)
    first = labelled("a", True, text="Buy cheap pills", author_id="mallory")
    async with transactions.begin() as work:
        await handler.apply(work, [first])
        await handler.apply(
            work,
            [
                labelled("b", True, text="buy CHEAP pills!!!"),
                labelled("c", True, text="Something else entirely", author_id="mallory"),
                labelled("d", True, text="something else, entirely"),
                first.model_copy(update={"labelled_at": NOON + timedelta(minutes=5)}),
            ],
        )
    rows = await transactions.database.pool.fetch("SELECT DISTINCT split FROM label")
    assert len(rows) == 1, "copies, the author's other texts and copies of those stay together"
