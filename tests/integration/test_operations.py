"""What people ask other services to do over the bus: done once, answered, and refused with the reason."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from secondlook.common.bus.topics import topics
from secondlook.common.contract.events import Event
from secondlook.common.contract.operations import STALE_AFTER, OperationAsked, OperationDone, Simulated, What
from secondlook.common.errors import BundleRejected, Conflict, DatabaseUnavailable
from secondlook.common.service.operations import Operations
from secondlook.common.service.unit_of_work import Transactions, UnitOfWork
from secondlook.trainer import operations as bundles
from secondlook.trainer.operations import MINE, BundleOperations
from secondlook.trainer.registry import Registry
from tests.integration.review_world import POLICY, World, code_of
from tests.integration.test_trainer_registry import active, add
from tests.integration.trainer_world import as_record, trainer_transactions

PROMOTES: tuple[What, ...] = ("promote",)
ROLLS_BACK: tuple[What, ...] = ("rollback",)


@pytest.fixture
async def transactions(database_url: str) -> AsyncIterator[Transactions]:
    async with trainer_transactions(database_url) as transactions:
        await transactions.bus.ensure_topics(topics(2))
        yield transactions


def asked(what: Any = "promote", *, late: timedelta = timedelta(0), **fields: Any) -> OperationAsked:
    given = {"bundle_version": "b1"} if what == "promote" else {}
    return OperationAsked(
        operation_id=uuid4(), what=what, asked_by="lead-0", asked_at=datetime.now(UTC) - late, **{**given, **fields}
    )


async def answers(transactions: Transactions) -> list[OperationDone]:
    rows = await transactions.database.pool.fetch(
        "SELECT value FROM bus.record WHERE topic = 'operation.done' ORDER BY \"offset\""
    )
    return [OperationDone.model_validate_json(row["value"]) for row in rows]


async def does(operations: Operations, *events: Event) -> OperationDone | None:
    done = None
    for event in events:
        await operations.on_record(as_record(event))
        done = await operations.step() or done
    return done


class Counter:
    """Counts what was really done."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.done = list(errors), 0

    async def prepare(self, asked: OperationAsked) -> Any:
        async def act(unit: UnitOfWork) -> tuple[str, Simulated | None]:
            if self.errors:
                raise self.errors.pop(0)
            self.done += 1
            return "done", None

        return act


async def test_it_is_done_once_by_whichever_process_is_first(transactions: Transactions) -> None:
    counter, event = Counter(), asked()
    both = [Operations(transactions, PROMOTES, counter.prepare) for _ in range(2)]
    assert await does(both[0], event, event) is not None
    assert await does(both[1], event) is None
    assert await does(Operations(transactions, PROMOTES, counter.prepare), event) is None, "also after a restart"
    assert counter.done == len(await answers(transactions)) == 1


async def test_others_requests_and_what_cannot_be_read_change_nothing(transactions: Transactions) -> None:
    counter = Counter()
    operations = Operations(transactions, ROLLS_BACK, counter.prepare)
    assert await does(operations, asked()) is None
    await operations.on_record(replace(as_record(asked("rollback")), value=b"{}"))
    assert await operations.step() is None
    assert counter.done == 0


@pytest.mark.parametrize("late", [STALE_AFTER, -STALE_AFTER * 2, timedelta(days=400)])
async def test_what_was_asked_for_too_long_ago_is_refused(transactions: Transactions, late: timedelta) -> None:
    counter = Counter()
    done = await does(Operations(transactions, PROMOTES, counter.prepare), asked(late=late))
    assert done is not None
    assert (done.ok, counter.done) == (False, 0)
    assert "ask again" in done.detail


async def test_a_refusal_is_an_answer_and_a_database_that_is_away_is_none(transactions: Transactions) -> None:
    counter = Counter(DatabaseUnavailable("away"), Conflict("no", "because"))
    operations = Operations(transactions, PROMOTES, counter.prepare)
    await operations.on_record(as_record(asked()))
    with pytest.raises(DatabaseUnavailable):
        await operations.step()
    assert await answers(transactions) == []
    done = await operations.step()
    assert done is not None
    assert (done.ok, done.detail) == (False, "because")


async def test_the_trainer_promotes_and_goes_back(
    transactions: Transactions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(transactions.database, transactions)
    operations = Operations(transactions, MINE, BundleOperations(registry).prepare)
    none = await does(operations, asked("rollback"))
    assert none is not None
    assert (none.ok, none.detail) == (False, "there is no earlier bundle to go back to")
    await add(registry, transactions, tmp_path, 1)
    await add(registry, transactions, tmp_path, 2)
    unreadable = await does(operations, asked("rollback"))
    assert unreadable is not None
    assert not unreadable.ok, "the files of these bundles are no bundles"
    assert await active(registry) == "b2"

    monkeypatch.setattr(bundles, "_ensure_readable", lambda row: None)
    for event, now in ((asked("rollback"), "b1"), (asked(bundle_version="b2"), "b2")):
        done = await does(operations, event)
        assert done is not None
        assert done.ok, done.detail
        assert now in done.detail
        assert await active(registry) == now
    unknown = await does(operations, asked(bundle_version="b9"))
    assert unknown is not None
    assert (unknown.ok, unknown.detail) == (False, "there is no bundle 'b9'")


def test_a_bundle_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    row = type("Row", (), {"uri": f"file://{tmp_path}", "sha256": "0" * 64})()
    with pytest.raises(BundleRejected):
        bundles._ensure_readable(row)


# ------------------------------------------------------------------------------------------------- over HTTP


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def requests(world: World) -> list[OperationAsked]:
    rows = await world.database.pool.fetch("SELECT value FROM bus.record WHERE topic = 'operation.asked'")
    return [OperationAsked.model_validate_json(row["value"]) for row in rows]


async def test_a_request_is_published_logged_and_answered(world: World) -> None:
    answer = await world.call("POST", "/bundles/b7/promote", role="policy_owner")
    assert answer.status_code == 202, answer.text
    operation = answer.json()
    assert (operation["what"], operation["done_at"], operation["ok"]) == ("promote", None, None)
    [event] = await requests(world)
    assert (event.bundle_version, event.what) == ("b7", "promote")
    assert event.asked_by == operation["asked_by"] == (await world.caller("policy_owner")).subject
    entries = (await world.call("GET", "/audit-log", role="admin")).json()["entries"]
    [logged] = [entry for entry in entries if entry["action"] == "bundle.promoted"]
    assert (logged["object"], logged["actor"]) == ("bundle b7", event.asked_by)

    [answering] = [part for part in world.api.slices if "answers" in part.work]
    assert answering is not None
    done = OperationDone(
        operation_id=UUID(operation["operation_id"]), what="promote", ok=True, detail="it is active",
        done_at=world.clock.now(),
    )  # fmt: skip
    service = world.api.operations
    await service.on_record(as_record(done))
    await service.on_record(as_record(done.model_copy(update={"ok": False, "detail": "again"})))
    await service.on_record(as_record(done.model_copy(update={"operation_id": uuid4()})))
    await service.store()
    found = (await world.call("GET", f"/operations/{operation['operation_id']}", role="lead")).json()
    assert (found["ok"], found["detail"]) == (True, "it is active"), "the first answer counts"
    assert (await world.call("GET", f"/operations/{uuid4()}", role="lead")).status_code == 404


async def test_only_a_policy_that_could_be_published_is_simulated(world: World) -> None:
    answer = await world.call("POST", "/policies/simulate", {"document": POLICY + "kill_switch: true"}, role="lead")
    assert answer.status_code == 202, answer.text
    [event] = await requests(world)
    assert event.policy is not None
    assert event.policy.kill_switch
    for wrong in ("labels: {}", "name: x\nlabels:\n  approve: {description: a reserved name}\n", "{"):
        refused = await world.call("POST", "/policies/simulate", {"document": wrong}, role="lead")
        assert refused.status_code == 422, wrong
    assert len(await requests(world)) == 1
    assert code_of(await world.call("POST", "/policies/simulate", {"document": POLICY})) == "403"


@pytest.mark.parametrize(
    "fields", [{"bundle_version": None}, {"policy": {}}, {"what": "rollback"}, {"what": "simulate"}, {"what": "erase"}]
)
def test_incomplete_requests_are_none(fields: dict[str, Any]) -> None:
    whole = asked().model_dump(mode="json")
    OperationAsked.model_validate_json(asked().model_dump_json())
    with pytest.raises(ValueError, match="validation error"):
        OperationAsked.model_validate({**whole, **fields}, strict=False)
