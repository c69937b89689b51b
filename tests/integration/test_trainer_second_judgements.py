"""Second judgements by lot, and a person who contradicts everybody else, from the labels to the run that follows."""

from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from shutil import copy
from uuid import uuid4

import asyncpg
import pytest

from secondlook.common.bus.topics import topics
from secondlook.common.contract.events import ContentLabelled, Why
from secondlook.common.migrate import migrate_schemas
from secondlook.common.schemas import KERNEL
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer.data.dataset import build, load_judged
from secondlook.trainer.data.second_judgements import REASON, draw_lots
from secondlook.trainer.data.second_looks import AT_WORK
from secondlook.trainer.quality.repository import confirmed, second_looks
from secondlook.trainer.runs import Runs
from tests.integration.test_trainer_migrations import MIGRATIONS
from tests.integration.test_trainer_second_looks import (
    MINUTE,
    NOW,
    SPAM,
    asked,
    in_split,
    labelled,
    sentences,
    store,
)
from tests.integration.trainer_world import World, as_record, make_world, published, trainer_transactions

pytestmark = pytest.mark.slow

EVERYTHING = 10_000
PHRASE = "kind regards from aunt agatha"


@pytest.fixture
async def transactions(database_url: str) -> AsyncIterator[Transactions]:
    async with trainer_transactions(database_url) as transactions:
        await transactions.bus.ensure_topics(topics(1))
        yield transactions


def measuring(count: int, *, first: int = 0, reviewer: str = "r1") -> list[ContentLabelled]:
    """So many items that certify, each judged by one person."""
    return [
        labelled(f"m{first + i}", False, in_split("certify", False, "uniform", first + i), reviewer=reviewer,
                 why=Why.AUDIT, stratum="uniform")
        for i in range(count)
    ]  # fmt: skip


async def drawn(transactions: Transactions, share: float = 1.0, limit: int = EVERYTHING) -> set[str]:
    """What a run sends out by lot."""
    before = len(await asked(transactions))
    run_id = await Runs(transactions.database).request("manual", NOW)
    async with transactions.begin() as work:
        count = await draw_lots(work, run_id, share, limit)
    events = (await asked(transactions))[before:]
    assert all(event.reason == REASON for event in events), "nothing tells what was said"
    assert count == len(events)
    return {event.content_id for event in events}


async def test_a_share_of_what_measures_is_drawn_each_item_once(transactions: Transactions) -> None:
    await store(transactions, *measuring(20), labelled("other", True, reviewer="r2"))
    first = await drawn(transactions, share=0.25)
    assert len(first) == 5
    assert await drawn(transactions, share=0.25) == set(), "the share is drawn"
    await store(transactions, *measuring(20, first=20))
    second = await drawn(transactions, share=0.25)
    assert len(second) == 5
    assert not first & second
    assert len(await drawn(transactions, limit=3)) == 3
    assert len(await drawn(transactions)) == 40 - 13
    assert await drawn(transactions) == set()


async def test_only_what_measures_and_only_one_person_has_judged(transactions: Transactions) -> None:
    await store(
        transactions,
        labelled("gold", False, in_split("gold", False)),
        labelled("train", False, in_split("train", False)),
        labelled("file", False, in_split("gold", False, seed=1), why=None),
        labelled("both", False, in_split("gold", False, seed=2)),
        labelled("both", False, in_split("gold", False, seed=2), reviewer="r2"),
        labelled("open", False, in_split("gold", False, seed=3), adjudicated=False),
    )
    assert await drawn(transactions) == {"gold"}


async def test_nobody_is_asked_who_is_not_there(transactions: Transactions) -> None:
    await store(transactions, *measuring(3))
    assert await drawn(transactions) == set(), "there is one person in all"
    long_ago = NOW - AT_WORK - MINUTE
    await store(transactions, labelled("old", True, reviewer="r2", labelled_at=long_ago))
    assert await drawn(transactions) == set(), "the other one has left"


async def test_what_was_drawn_is_no_doubt_and_counts_as_confirmed_when_two_agree(transactions: Transactions) -> None:
    await store(transactions, *measuring(4), labelled("other", True, reviewer="r2"))
    assert len(await drawn(transactions)) == 4
    pool = transactions.database.pool
    for number, said in enumerate((False, False, True)):
        text = in_split("certify", False, "uniform", number)
        again = labelled(f"m{number}", said, text, reviewer="r2", why=Why.SECOND_LOOK, stratum="uniform",
                         labelled_at=NOW + MINUTE)  # fmt: skip
        await store(transactions, again)
    found = await confirmed(pool, EVERYTHING)
    assert (found.k, found.n) == (2, 4)
    assert await second_looks(pool) == type(await second_looks(pool))(0, 0, 0)
    data = build(["spam"], [row for row in await load_judged(pool, EVERYTHING) if row.split == "certify"], 0)
    names = [None if who < 0 else data.standing.reviewers[who] for who in data.standing.rests_on]
    assert sorted(map(str, names)) == ["None", "None", "r1", "r2"]


async def test_second_looks_of_the_version_before_are_kept(database_url: str, tmp_path: Path) -> None:
    before = tmp_path / "trainer" / "migrations"
    before.mkdir(parents=True)
    for file in sorted(MIGRATIONS.glob("*.sql")):
        if file.name < "0009":
            copy(file, before)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA trainer CASCADE")
    await migrate_schemas(database_url, {"trainer": [KERNEL, before]})
    await connection.execute("SET search_path = trainer")
    run_id = uuid4()
    await connection.execute(
        "INSERT INTO run (run_id, reason, state, requested_at, finished_at) VALUES ($1, 'manual', 'kept', $2, $2)",
        run_id, NOW,
    )  # fmt: skip
    await connection.execute(
        "INSERT INTO second_look VALUES ('forum', 'a', 1, 'spam', true, 0.01, $1, $2)", run_id, NOW
    )
    await migrate_schemas(database_url, {"trainer": [KERNEL, MIGRATIONS]})
    row = await connection.fetchrow("SELECT label, given, score, by_lot FROM second_look")
    assert row is not None
    assert tuple(row) == ("spam", True, 0.01, False)
    with pytest.raises(asyncpg.CheckViolationError):
        await connection.execute("UPDATE second_look SET by_lot = true")
    await connection.close()


def judgements(name: str, texts: Iterable[str], spam: bool, people: list[str]) -> list[ContentLabelled]:
    return [
        labelled(f"{name}{number}", spam, text, reviewer=people[number % len(people)],
                 labelled_at=datetime.now(UTC) - timedelta(minutes=5))
        for number, text in enumerate(texts)
    ]  # fmt: skip


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("SECONDLOOK_STARTER_UNTIL", "0")
    async with make_world(database_url, tmp_path, encoder_cache, monkeypatch) as world:
        await world.bus.ensure_topics(topics(1))
        yield world


async def test_what_one_person_alone_teaches_is_withheld_reported_and_sent_to_others(world: World) -> None:
    people = [f"r{number}" for number in range(1, 6)]
    honest = [
        *judgements("spam", islice(sentences(True, 1), 150), True, people),
        *judgements("fine", islice(sentences(False, 2), 150), False, people),
    ]
    planted = (f"{text} {PHRASE}" for text in islice(sentences(True, 3), 60))
    await store(world.transactions, *honest, *judgements("bait", planted, False, ["eve"]))

    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await world.trainer.step()
    run = (await world.runs.latest())[0]
    assert run.state == "promoted", run.detail
    assert "withheld until others have looked: spam: eve alone said no" in run.detail
    assert "aunt agatha" in run.detail
    looks = [event for event in await asked(world.transactions) if event.reason != REASON]
    baited = [event for event in looks if event.content_id.startswith("bait")]
    assert len(baited) >= 10
    assert looks[: len(baited)] == baited, "they come first"
    assert (await world.registry.all())[0].reasons[0].startswith("withheld"), "the report and `bundle show` say so"


async def test_one_person_in_all_trains_as_before_and_is_told(world: World) -> None:
    honest = [
        *judgements("spam", islice(sentences(True, 1), 60), True, ["r1"]),
        *judgements("fine", islice(sentences(False, 2), 60), False, ["r1"]),
    ]
    await store(world.transactions, *honest)
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await world.trainer.step()
    run = (await world.runs.latest())[0]
    assert run.state == "promoted", run.detail
    assert "every judgement is by one person" in run.detail
    assert await asked(world.transactions) == [], "there is nobody to ask"
