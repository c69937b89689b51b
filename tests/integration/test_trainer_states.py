"""The states of runs and the stages of bundles: what is drawn is what happens, and what the database allows."""

import re
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import get_args
from uuid import UUID

import pytest

from secondlook.common.errors import Conflict
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer import runs as run_states
from secondlook.trainer import stages
from secondlook.trainer.registry import BundleRow, Registry
from secondlook.trainer.runs import ENDED, Runs, RunState
from secondlook.trainer.schedule import RunReason
from secondlook.trainer.stages import BundleStage
from tests.integration.trainer_world import trainer_transactions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def transactions(database_url: str) -> AsyncIterator[Transactions]:
    async with trainer_transactions(database_url) as transactions:
        yield transactions


class Bundles:
    """Bundles without files, and everything that can move one."""

    STEPS = (
        "refuse", "wait", "another waits", "shadow", "canary", "active", "clear shadow", "clear canary",
        "another shadow", "another canary", "another active", "rollback",
    )  # fmt: skip

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions
        self._registry = Registry(transactions.database, transactions)
        self._count = 0

    async def add(self) -> str:
        self._count += 1
        row = BundleRow(
            bundle_version=f"b{self._count}", uri=f"file:///nowhere/b{self._count}", sha256="0" * 64, policy_version=1,
            labels=("spam",), metrics={}, reasons=(), created_at=NOON + timedelta(minutes=self._count),
        )  # fmt: skip
        async with self._transactions.begin() as work:
            await self._registry.add(work, row)
        return row.bundle_version

    async def stage(self, version: str) -> BundleStage:
        (found,) = [row.stage for row in await self._registry.all() if row.bundle_version == version]
        return found

    async def play(self, step: str, version: str) -> None:
        """Move the bundle by hand or by the gate, or another one that takes its place."""
        match step.split():
            case ["refuse"]:
                async with self._transactions.begin() as work:
                    await self._registry.refuse(work, version)
            case ["wait"]:
                async with self._transactions.begin() as work:
                    await self._registry.wait(work, version)
            case ["another", "waits"]:
                another = await self.add()
                async with self._transactions.begin() as work:
                    await self._registry.wait(work, another)
            case ["clear", stage]:
                await self._registry.step_back(BundleStage(stage))
            case ["another", stage]:
                await self._registry.promote(await self.add(), BundleStage(stage), SHARE[stage])
            case ["rollback"]:
                await self._registry.rollback()
            case _:
                await self._registry.promote(version, BundleStage(step), SHARE[step])


SHARE = {"shadow": 0.0, "canary": 0.1, "active": 0.0}
# Steps that bring a new bundle into each stage; candidates also after they were active once.
BEGIN: list[tuple[BundleStage, list[str]]] = [
    (BundleStage.STORED, []),
    (BundleStage.WAITING, ["wait"]),
    (BundleStage.REFUSED, ["refuse"]),
    (BundleStage.SHADOW, ["shadow"]),
    (BundleStage.SHADOW, ["active", "another active", "shadow"]),
    (BundleStage.CANARY, ["canary"]),
    (BundleStage.CANARY, ["active", "another active", "canary"]),
    (BundleStage.ACTIVE, ["active"]),
    (BundleStage.RETIRED, ["active", "another active"]),
]


async def test_a_bundle_changes_its_stage_as_drawn_and_not_otherwise(transactions: Transactions) -> None:
    bundles = Bundles(transactions)
    seen: dict[BundleStage, set[BundleStage]] = {stage: set() for stage in BundleStage}
    for before, begin in BEGIN:
        for step in Bundles.STEPS:
            version = await bundles.add()
            for each in begin:
                await bundles.play(each, version)
            assert await bundles.stage(version) is before
            with suppress(Conflict):
                await bundles.play(step, version)
            after = await bundles.stage(version)
            if after is not before:
                seen[before].add(after)
    assert seen == {stage: set(after) for stage, after in stages.TRANSITIONS.items()}


async def play(transactions: Transactions, run_id: UUID, step: str) -> None:
    """Do something to a run: `start` it, let it be `cut off`, or end it in the state that the step names."""
    runs = Runs(transactions.database)
    match step:
        case "start":
            await runs.start(run_id, 1, NOON)
        case "progress":
            await runs.progress(run_id, "fitting")
        case "cut off":
            await runs.reset(NOON)
        case "cut off, another queued":
            await runs.request("manual", NOON)
            await runs.reset(NOON)
        case _:
            async with transactions.begin() as work:
                await runs.finish(work, run_id, RunState(step), "")


async def test_a_run_changes_its_state_as_drawn_and_not_otherwise(transactions: Transactions) -> None:
    runs = Runs(transactions.database)
    seen: dict[RunState, set[RunState]] = {state: set() for state in RunState}
    for before in RunState:
        begin = {RunState.QUEUED: [], RunState.RUNNING: ["start"]}.get(before, ["start", before.value])
        for step in ("start", "progress", "cut off", "cut off, another queued", *ENDED):
            await transactions.database.pool.execute("DELETE FROM run")
            run_id = await runs.request("manual", NOON)
            for each in begin:
                await play(transactions, run_id, each)
            with suppress(Conflict):
                await play(transactions, run_id, step)
            run = await runs.get(run_id)
            assert run is not None
            if run.state is not before:
                seen[before].add(run.state)
    assert seen == {state: set(after) for state, after in run_states.TRANSITIONS.items()}


@pytest.mark.parametrize(
    ("constraint", "allowed"),
    [
        ("bundle_stage_check", set(BundleStage)),
        ("run_state_check", set(RunState)),
        ("run_reason_check", set(get_args(RunReason))),
    ],
)
async def test_the_database_allows_what_the_code_knows(
    transactions: Transactions, constraint: str, allowed: set[str]
) -> None:
    definition = await transactions.database.pool.fetchval(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint WHERE conname = $1", constraint
    )
    assert set(re.findall(r"'(\w+)'", definition)) == allowed
