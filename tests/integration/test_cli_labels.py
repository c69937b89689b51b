"""`secondlook labels import` with a real trainer's label intake."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from secondlook.cli.commands.migrate import migrate_all
from secondlook.cli.workspace import Workspace
from secondlook.common.contract.events import ContentLabelled
from secondlook.common.observability import Health, StreamFamily
from secondlook.common.postgres import Database
from secondlook.common.service.stream import Stream
from secondlook.trainer.data.handler import LabelHandler
from secondlook.trainer.metrics import TrainerMetrics
from tests.integration.cli_world import json_lines, records, secondlook, transactions
from tests.waiting import until


@pytest.fixture
async def database_url(database_url: str) -> str:
    """A database as `secondlook migrate` leaves it: with topics."""
    await migrate_all(Workspace(database_url=database_url))
    return database_url


@asynccontextmanager
async def label_intake(url: str) -> AsyncIterator[None]:
    """The part of the trainer that stores labels."""
    registry = CollectorRegistry()
    async with transactions(url, "trainer") as units:
        consumer = units.bus.consumer("trainer", [ContentLabelled.topic])
        family = StreamFamily(registry, Health())
        handler = LabelHandler(TrainerMetrics(registry).labels)
        running = asyncio.create_task(Stream("trainer", consumer, units, handler, family.of("trainer")).run())
        try:
            yield
        finally:
            running.cancel()
            await asyncio.wait([running])


async def stored(url: str) -> dict[str, dict[str, bool]]:
    async with Database.open(url, "trainer", size=2) as database:
        rows = await database.pool.fetch("SELECT content_id, labels FROM label")
    return {row["content_id"]: row["labels"] for row in rows}


async def test_labels_reach_the_trainer_and_repeats_replace(database_url: str, tmp_path: Path) -> None:
    rows = [{"id": f"c{n}", "text": f"text {n}", "labels": {"spam": n % 2}} for n in range(1100)]
    file = json_lines(tmp_path / "set.jsonl", rows)
    async with label_intake(database_url):
        first = await secondlook(database_url, "labels", "import", file, "--reviewer", "ann")
        assert (first.status, first.err) == (0, "")
        assert first.out.splitlines() == [
            "published 1,100 labels, refused 0 rows",
            "the trainer has them: 1,100 are new, 0 replace earlier ones",
        ]
        rows[0]["labels"] = {"spam": 1}
        again = await secondlook(database_url, "labels", "import", json_lines(file, rows), "--reviewer", "ann")
        assert "0 are new, 1,100 replace earlier ones" in again.out
        other = await secondlook(database_url, "labels", "import", file, "--reviewer", "bob", "--limit", "5")
        assert "5 are new" in other.out
    found = await stored(database_url)
    assert found["c0"] == {"spam": True}
    event = (await records(database_url, "review.labelled"))[0]
    assert (event["stratum"], event["inclusion_probability"], event["adjudicated"]) == ("imported", None, True)


async def test_a_declared_sample_is_evidence_and_carries_its_probability(database_url: str, tmp_path: Path) -> None:
    rows = [{"id": f"c{n}", "text": f"text {n} of so many words", "labels": {"spam": n % 2}} for n in range(40)]
    file = json_lines(tmp_path / "set.jsonl", rows)
    for options, words in (
        (("--sample", "uniform"), "belong together"),
        (("--of", "100"), "belong together"),
        (("--sample", "uniform", "--of", "39"), "40 rows cannot have been drawn from 39 items"),
        (("--sample", "first", "--of", "100"), "Invalid value for '--sample'"),
    ):
        refused = await secondlook(database_url, "labels", "import", file, *options)
        assert refused.status == 2
        assert words in refused.err
    async with label_intake(database_url):
        done = await secondlook(database_url, "labels", "import", file, "--sample", "uniform", "--of", "200")
        assert "40 are new" in done.out
    event = (await records(database_url, "review.labelled"))[0]
    assert (event["stratum"], event["inclusion_probability"]) == ("declared", 0.2)
    async with Database.open(database_url, "trainer", size=2) as database:
        asked = await database.pool.fetch("SELECT declared, u, approve, held_out FROM asked")
    assert len(asked) == 40
    assert {(row["declared"], row["u"], row["approve"]) for row in asked} == {(True, 0, 1)}


async def test_bad_rows_are_listed_and_the_others_go_on(database_url: str, tmp_path: Path) -> None:
    rows = [
        {"id": "1", "text": "a", "labels": {"spam": 1}},
        {"id": "2", "text": "private words", "labels": {"spam": "perhaps"}},
        {"id": "3", "text": "b"},
        {"id": "1", "text": "c", "labels": {"spam": 0}},
        {"id": "4", "labels": {"spam": 1}},
        {"id": "5", "text": "d", "labels": ["spam"]},
    ]
    file = json_lines(tmp_path / "set.jsonl", rows)
    ran = await secondlook(database_url, "labels", "import", file, "--no-wait")
    assert (ran.status, ran.out) == (1, "published 2 labels, refused 4 rows\n")
    for expected in (
        "row 2: labels.spam: is not", "row 3: labels: no label", "row 5: text: is missing",
        "row 4: content_id: set/1, revision 1, was in row 1 with another text",
    ):  # fmt: skip
        assert f"refused {expected}" in ran.err
    assert "private" not in ran.err
    assert sorted(event["content_id"] for event in await records(database_url, "review.labelled")) == ["1", "5"]


async def test_labels_of_one_text_are_never_given_to_another(database_url: str, tmp_path: Path) -> None:
    def written(*rows: tuple[str, str, dict[str, int]]) -> Path:
        lines = [{"id": id_, "text": text, "labels": labels} for id_, text, labels in rows]
        return json_lines(tmp_path / "set.jsonl", lines)

    async with label_intake(database_url):
        first = written(("1", "a", {"x": 1}), ("2", "b", {"x": 0}), ("1", "a", {"x": 1}), ("1", "other", {"y": 1}),
                        ("2", "b", {"x": 1}))  # fmt: skip
        ran = await secondlook(database_url, "labels", "import", first)
        assert (ran.status, ran.out.splitlines()[0]) == (1, "published 2 labels, refused 2 rows")
        assert "refused row 4: content_id: set/1, revision 1, was in row 1 with another text" in ran.err
        assert "refused row 5: content_id: set/2 was in row 2 with other labels" in ran.err
        for reviewer in ("imported", "bob"):  # by whoever gave them
            again = written(("1", "other", {"y": 1}), ("2", "b", {"x": 0}))
            ran = await secondlook(database_url, "labels", "import", again, "--reviewer", reviewer)
            assert (ran.status, ran.out.splitlines()[0]) == (1, "published 1 labels, refused 1 rows")
            assert "row 1: content_id: set/1, revision 1, has labels already, which were given on another" in ran.err
        ran = await secondlook(database_url, "labels", "import", again, "--source", "elsewhere")
        assert (ran.status, ran.err) == (0, ""), "another source has ids of its own"
    async with Database.open(database_url, "trainer", size=2) as database:
        rows = await database.pool.fetch(
            "SELECT source, content_id, text, labels FROM label ORDER BY source DESC, content_id"
        )
        assert await database.pool.fetchval("SELECT count(*) FROM dead_letter") == 0
    assert [(row["source"], row["content_id"], row["text"], list(row["labels"])) for row in rows] == [
        ("set", "1", "a", ["x"]), ("set", "2", "b", ["x"]), ("set", "2", "b", ["x"]),
        ("elsewhere", "1", "other", ["y"]), ("elsewhere", "2", "b", ["x"]),
    ]  # fmt: skip


async def test_what_the_command_could_not_know_the_trainer_refuses(database_url: str, tmp_path: Path) -> None:
    for text in ("a", "other"):  # both imports are over before the trainer reads the first
        file = json_lines(tmp_path / "set.jsonl", [{"id": "1", "text": text, "labels": {text: 1}}])
        assert (await secondlook(database_url, "labels", "import", file, "--no-wait")).status == 0
    async with label_intake(database_url), Database.open(database_url, "trainer", size=2) as database:

        async def refused() -> bool:
            return bool(await database.pool.fetchval("SELECT count(*) FROM dead_letter"))

        await until(refused)
        assert await database.pool.fetchval("SELECT reason FROM dead_letter") == "revision_reused"
    assert await stored(database_url) == {"1": {"a": True}}


async def test_columns_as_labels(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "set.csv"
    file.write_text("id,text,spam,hate\n1,a,1,0\n2,b,,1\n", encoding="utf-8")
    ran = await secondlook(
        database_url, "labels", "import", file, "--label", "spam", "--label", "hate", "--source", "forum", "--no-wait"
    )
    assert ran.status == 0
    found = {event["content_id"]: event["labels"] for event in await records(database_url, "review.labelled")}
    assert found == {"1": {"spam": True, "hate": False}, "2": {"hate": True}}


async def test_without_a_trainer_it_says_so(database_url: str, tmp_path: Path) -> None:
    file = json_lines(tmp_path / "set.jsonl", [{"text": "a", "labels": {"spam": 1}}])
    ran = await secondlook(database_url, "labels", "import", file, "--timeout", "1")
    assert ran.status == 1
    assert "the trainer has stored 0 of them so far: is it running?" in ran.err


async def test_a_file_that_is_not_there(database_url: str) -> None:
    ran = await secondlook(database_url, "labels", "import", "/nonexistent.jsonl")
    assert (ran.status, ran.out) == (2, "")
    assert "cannot read /nonexistent.jsonl" in ran.err
