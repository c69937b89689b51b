"""Bundles in the registry, and runs: what the trainer keeps of them."""

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from secondlook.common.bundle.sides import APPROVE, reject
from secondlook.common.contract.events import BundlePublished
from secondlook.common.errors import Conflict, NotFound
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer import certification
from secondlook.trainer.evidence.certify import all_sides
from secondlook.trainer.evidence.findings import Findings
from secondlook.trainer.registry import BundleRow, Registry
from secondlook.trainer.runs import Runs, RunState, Stray
from secondlook.trainer.schedule import RunReason
from tests.integration.trainer_world import trainer_transactions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def transactions(database_url: str) -> AsyncIterator[Transactions]:
    async with trainer_transactions(database_url) as transactions:
        yield transactions


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
        bundle_version=version, uri=f"file://{folder / version}", sha256="0" * 64, policy_version=1, labels=("spam",),
        metrics={}, reasons=("because",), created_at=NOON + timedelta(minutes=number),
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


async def test_files_that_cannot_be_removed_stay_for_the_next_time(
    registry: Registry, transactions: Transactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(2):
        await add(registry, transactions, tmp_path, number, promote=False)

    def remove(uri: str) -> None:
        if uri.endswith("b0"):
            raise PermissionError(uri)

    with monkeypatch.context() as patched:
        patched.setattr("secondlook.trainer.registry.remove_model", remove)
        assert await registry.prune(2, NOON) == ["b1"]
    assert await registry.prune(2, NOON) == ["b0"]


async def test_reports_outlive_the_files_of_refused_bundles(
    registry: Registry, transactions: Transactions, tmp_path: Path
) -> None:
    for number in range(4):
        await add(registry, transactions, tmp_path, number, promote=number > 0)
        (tmp_path / f"b{number}" / "stage").mkdir()
        for name in ("report.html", "model-card.md", "stage/head.safetensors"):
            (tmp_path / f"b{number}" / name).write_text(name)
    assert sorted(await registry.prune(1, NOON)) == ["b0", "b1"]
    assert {name: set(os.listdir(tmp_path / name)) for name in ("b0", "b1")} == {
        "b0": {"report.html", "model-card.md"}, "b1": {"report.html", "model-card.md"},
    }  # fmt: skip
    assert (tmp_path / "b2" / "stage" / "head.safetensors").exists()
    assert await registry.prune(1, NOON) == []


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


SIDES = all_sides(("spam",))


async def test_every_claim_about_every_weights_has_a_share_of_its_own(transactions: Transactions) -> None:
    database = transactions.database
    first = await certification.grant(database, "claim", "w1", SIDES, {}, NOON)
    assert set(first.values()) == {1}, "all sides share a number: the chance is divided over them"
    assert await certification.grant(database, "claim", "w1", SIDES, {}, NOON) == first, "to look again costs nothing"
    assert await certification.numbers(database.pool, "claim", "w2", SIDES, {}) == dict.fromkeys(SIDES, 2)
    assert set((await certification.grant(database, "claim", "w2", SIDES, {}, NOON)).values()) == {2}
    assert set((await certification.grant(database, "another", "w2", SIDES, {}, NOON)).values()) == {3}
    refuted = await certification.grant(database, "claim", "w2", SIDES, {APPROVE: 70}, NOON)
    assert refuted == {APPROVE: 4, reject("spam"): 2}, "only the side that an alarm refuted starts again"


async def test_what_a_side_would_get_is_said_without_spending_it(transactions: Transactions) -> None:
    database = transactions.database
    told = await certification.numbers(database.pool, "claim", "w1", SIDES, {})
    assert told == dict.fromkeys(SIDES, 1)
    assert await database.pool.fetchval("SELECT count(*) FROM spending") == 0
    assert await certification.grant(database, "claim", "w1", SIDES, {}, NOON) == told
    after = await certification.numbers(database.pool, "claim", "w1", SIDES, {APPROVE: 70})
    assert after == {APPROVE: 2, reject("spam"): 1}, "after an alarm"


async def test_each_alarm_costs_its_side_another_share(transactions: Transactions) -> None:
    database = transactions.database
    granted = [
        await certification.grant(database, "claim", "w1", SIDES, marks, NOON)
        for marks in ({}, {APPROVE: 70}, {APPROVE: 70}, {APPROVE: 90}, {APPROVE: 90, reject("spam"): 95})
    ]
    assert [found[APPROVE] for found in granted] == [1, 2, 2, 3, 3]
    assert [found[reject("spam")] for found in granted] == [1, 1, 1, 1, 4]


async def test_trainers_that_ask_at_once_for_the_same_share_spend_it_once(transactions: Transactions) -> None:
    each = [certification.grant(transactions.database, "claim", "w1", SIDES, {}, NOON) for _ in range(8)]
    assert await asyncio.gather(*each) == [dict.fromkeys(SIDES, 1)] * 8
    assert await transactions.database.pool.fetchval("SELECT count(*) FROM spending") == 1


async def test_two_trainers_never_get_the_same_number(transactions: Transactions) -> None:
    each = [
        certification.grant(transactions.database, "claim", f"w{number}", SIDES, {}, NOON) for number in range(12)
    ]  # fmt: skip
    numbers = [next(iter(found.values())) for found in await asyncio.gather(*each)]
    assert sorted(numbers) == list(range(1, 13))


async def test_what_older_attempts_spent_stays_spent(transactions: Transactions) -> None:
    pool = transactions.database.pool
    run = await Runs(transactions.database).request("manual", NOON)
    for attempt in (1, 2, 3):
        await pool.execute(
            "INSERT INTO certification (claim, attempt, run_id, items, started_at) VALUES ('claim', $1, $2, 0, $3)",
            attempt, run, NOON,
        )  # fmt: skip
    await pool.execute(
        "INSERT INTO certification (claim, attempt, run_id, items, started_at, spent) "
        "VALUES ('claim', 4, $1, 0, $2, false)", run, NOON,
    )  # fmt: skip
    fresh = await certification.numbers(pool, "another", "w1", SIDES, {})
    assert set(fresh.values()) == {1}, "what was spent on one claim was not spent on another"
    granted = await certification.grant(transactions.database, "claim", "w1", SIDES, {}, NOON)
    assert set(granted.values()) == {8}, "1/8 of the chance is left, and 1/8 = 1/(8·9) + 1/(9·10) + …"


async def test_a_look_that_was_cut_off_spends_nothing_and_finds_nothing(
    transactions: Transactions, registry: Registry, tmp_path: Path
) -> None:
    pool = transactions.database.pool
    await add(registry, transactions, tmp_path, 1)
    run = await Runs(transactions.database).request("certify", NOON + timedelta(minutes=2))
    await certification.begin(pool, "claim", run, NOON + timedelta(minutes=2))
    assert await certification.findings(pool, "claim", "b1") is None
    await certification.begin(pool, "claim", run, NOON + timedelta(minutes=3))
    await certification.end(pool, run, findings=Findings(items=7))
    found = await certification.findings(pool, "claim", "b1")
    assert found == Findings(items=7)
    assert await certification.findings(pool, "another", "b1") is None, "it was about its own claim"
    assert await pool.fetchval("SELECT count(*) FROM spending") == 0
    told = await certification.numbers(pool, "claim", "b1", SIDES, {})
    assert set(told.values()) == {1}, "the looks of this version are no attempts of before"


async def test_thresholds_to_try_are_fixed_once(transactions: Transactions) -> None:
    pool = transactions.database.pool
    first = await certification.keep_grids(pool, "claim", "w1", {APPROVE: (0.1, 0.2), reject("spam"): ()})
    assert first == {APPROVE: (0.1, 0.2)}
    later = await certification.keep_grids(pool, "claim", "w1", {APPROVE: (0.3,), reject("spam"): (-0.9,)})
    assert later == {APPROVE: (0.1, 0.2), reject("spam"): (-0.9,)}


async def label(transactions: Transactions, count: int) -> None:
    await transactions.database.pool.execute(
        "INSERT INTO item_text VALUES ('forum', 'c', 1, '') ON CONFLICT DO NOTHING"
    )
    await transactions.database.pool.execute(
        """
        INSERT INTO label (label_id, source, content_id, revision, reviewer, text, text_sha256, labels, adjudicated,
                           stratum, labelled_at, split)
        SELECT gen_random_uuid(), 'forum', 'c', 1, 'r1', 't', '', '{}', true, 'uncertain', now(), 'train'
        FROM generate_series(1, $1::int)
        """,
        count,
    )


async def test_a_run_that_was_cut_off_sees_what_it_saw_unless_somebody_asks_again(transactions: Transactions) -> None:
    runs = Runs(transactions.database)
    run_id = await runs.request("labels", NOON)
    await label(transactions, 3)
    await runs.start(run_id, 1, NOON)
    await label(transactions, 2)
    await runs.reset(NOON)
    await runs.start(run_id, 1, NOON)
    again = await runs.get(run_id)
    assert again is not None
    assert (again.label_mark, again.mode, again.starts) == (3, None, 2)
    await runs.reset(NOON)
    assert await runs.request("manual", NOON, "finetune") == run_id
    assert await runs.request("manual", NOON) == run_id
    await runs.start(run_id, 1, NOON)
    asked = await runs.get(run_id)
    assert asked is not None
    assert (asked.label_mark, asked.mode) == (5, "finetune")


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
            await runs.finish(work, first, RunState.PROMOTED, "")

    with pytest.raises(Conflict, match="ended by another trainer"):
        await end_again()


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


async def test_a_look_counts_for_the_weights_that_it_was_about(
    transactions: Transactions, registry: Registry, tmp_path: Path
) -> None:
    pool, runs = transactions.database.pool, Runs(transactions.database)
    await add(registry, transactions, tmp_path, 1)
    await add(registry, transactions, tmp_path, 2, promote=False)

    async def look(minute: int, reason: RunReason, items: int, version: str | None) -> None:
        at = NOON + timedelta(minutes=minute)
        run = await runs.request(reason, at)
        await runs.start(run, 1, at)
        await certification.begin(pool, "claim", run, at)
        await pool.execute("UPDATE certification SET items = $2 WHERE run_id = $1", run, items)
        await certification.end(pool, run, bundle_version=version, findings=Findings(items=items))
        if version is not None:
            await runs.announce(run, version, at)
        async with transactions.begin() as work:
            await runs.finish(work, run, RunState.KEPT, "", version)

    async def items(weights: str = "b1") -> tuple[int | None, int | None]:
        latest = await certification.latest(pool, "claim", weights)
        found = await certification.findings(pool, "claim", weights)
        return (latest.items if latest else None), (found.items if found else None)

    assert await items() == (None, None)
    await look(2, "first", 100, "b1")
    assert await items() == (100, 100)
    await look(3, "labels", 150, "b2")
    assert await items() == (100, 100), "a challenger that was refused says nothing of the active bundle"
    await look(4, "certify", 210, None)
    assert await items() == (210, 210)

    await add(registry, transactions, tmp_path, 5)
    assert (await items("b5"))[0] is None, "the active bundle of then was another one"
    await look(5, "labels", 220, "b5")
    assert await items("b5") == (220, 220)
    await look(6, "certify", 230, None)
    assert await items("b5") == (230, 230)


async def test_an_alarm_is_over_once_its_side_is_certified_again(transactions: Transactions) -> None:
    pool = transactions.database.pool
    for side in SIDES:
        assert await certification.fire(pool, "w1", side, 10, 9, 0.5, 0.01, NOON)
    await certification.clear(pool, "w1", APPROVE, NOON)
    assert await certification.switched_off(pool, "w1") == [reject("spam")]
    assert set(await certification.marks(pool)) == set(SIDES), "what it refuted still counts no more"
    assert await certification.fire(pool, "w1", APPROVE, 20, 15, 0.5, 0.01, NOON), "and audits may refute it again"


async def test_what_was_asked_up_to_an_alarm_counts_no_more_for_its_side(transactions: Transactions) -> None:
    pool = transactions.database.pool
    assert await certification.marks(pool) == {}
    for number in range(3):
        await pool.execute(
            "INSERT INTO asked (source, content_id, revision, kind, text, keys, u, approve, reject, held_out, "
            "asked_at) VALUES ('forum', $1, 1, 'text', 't', '{}', 0, 1, 1, true, $2)", f"c{number}", NOON,
        )  # fmt: skip
    assert await certification.fire(pool, "w1", APPROVE, 10, 9, 0.5, 0.01, NOON)
    assert not await certification.fire(pool, "w1", APPROVE, 11, 9, 0.5, 0.01, NOON), "it is off already"
    assert await certification.marks(pool) == {APPROVE: 3}
    assert await certification.switched_off(pool, "w1") == [APPROVE]
    assert await certification.switched_off(pool, "w2") == []


async def test_a_bundle_that_no_end_took_up_is_a_stray(
    transactions: Transactions, registry: Registry, tmp_path: Path
) -> None:
    runs = Runs(transactions.database)

    async def end(run: UUID, state: RunState, version: str | None) -> None:
        async with transactions.begin() as work:
            await runs.finish(work, run, state, "", version)

    async def begin(version: str) -> UUID:
        run = await runs.request("manual", NOON)
        await runs.start(run, 1, NOON)
        await runs.announce(run, version, NOON)
        return run

    await add(registry, transactions, tmp_path, 1)
    await end(await begin("b1"), RunState.PROMOTED, "b1")
    assert await runs.strays() == []
    died = await begin("b2")
    assert await runs.strays() == [], "it may still end"
    await end(died, RunState.FAILED, None)
    assert await runs.strays() == [Stray(died, "b2", NOON)]
    await runs.removed(Stray(died, "b2", NOON))
    assert await runs.strays() == []

    cut_off = await begin("b3")
    await runs.reset(NOON)
    (stray,) = await runs.strays()
    assert (stray.run_id, stray.bundle_version) == (cut_off, "b3")
    await runs.removed(stray)
    await runs.start(cut_off, 1, NOON)  # by another trainer, while the first one is still at it
    with pytest.raises(Conflict, match="ended by another trainer"):
        await end(cut_off, RunState.PROMOTED, "b3")
    await runs.announce(cut_off, "b4", NOON)
    with pytest.raises(Conflict, match="ended by another trainer"):
        await end(cut_off, RunState.PROMOTED, "b3")
    await end(cut_off, RunState.PROMOTED, "b4")
