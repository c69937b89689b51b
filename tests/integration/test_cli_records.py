"""Dead letters and the decision log, from the command line."""

import asyncio
import csv
import io
import json
import os
import stat
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from secondlook.cli.commands.migrate import migrate_all
from secondlook.cli.workspace import Workspace
from secondlook.common.bus import Record
from secondlook.common.contract.events import decision_id
from secondlook.common.errors import InvalidInput
from tests.integration.cli_world import secondlook, transactions

START = datetime(2026, 1, 1, tzinfo=UTC)
DECISION = """
INSERT INTO decision_log (decision_id, source, content_id, revision, sequence, outcome, labels, action, decided_by,
                          decided_at, confidence, policy_version, bundle_version, reason, supersedes)
VALUES ($1, 'forum', $2, 1, 1024, 'reject', '{spam,hate}', 'hide', 'model', $3, 0.9, 1, NULL, 'score', NULL)
"""
FIRST = "postgres/content.submitted/0/1"


@pytest.fixture
async def database_url(database_url: str) -> str:
    """A database as `secondlook migrate` leaves it: with topics."""
    await migrate_all(Workspace(database_url=database_url))
    return database_url


async def set_aside(
    url: str, service: str, count: int, reason: str = "invalid", topic: str = "content.submitted"
) -> None:
    async with transactions(url, service) as units, units.begin() as work:
        for offset in range(count):
            value = b'{"text": "private words", "n": %d}' % offset
            record = Record(topic, 0, offset, f"forum/{offset % 7}", value, {"ce_type": "x"}, START)
            await work.dead_letter(record, InvalidInput("text: is missing", reason=reason))


async def on_topic(url: str, topic: str = "content.submitted") -> list[Any]:
    async with transactions(url, "bus") as units:
        return list(await units.database.pool.fetch(
            'SELECT key, value, headers FROM record WHERE topic = $1 ORDER BY partition, "offset"', topic
        ))  # fmt: skip


async def test_dead_letters_are_listed_without_content(database_url: str) -> None:
    assert (await secondlook(database_url, "dead-letters", "list")).out == "no dead letters\n"
    await set_aside(database_url, "router", 3)
    await set_aside(database_url, "trainer", 2, reason="unknown_type", topic="review.labelled")
    listed = await secondlook(database_url, "dead-letters", "list")
    assert len(listed.out.splitlines()) == 1 + 5
    assert "postgres/content.submitted/0/2" in listed.out
    assert "text: is missing" in listed.out
    assert "private" not in listed.out
    assert len((await secondlook(database_url, "dead-letters", "list", "--limit", "1")).out.splitlines()) == 3
    only = await secondlook(database_url, "dead-letters", "list", "--reason", "unknown_type")
    assert len(only.out.splitlines()) == 3
    assert (
        "content.submitted" not in (await secondlook(database_url, "dead-letters", "list", "--service", "trainer")).out
    )


async def test_long_keys_and_details_are_cut_and_ids_are_whole(database_url: str) -> None:
    async with transactions(database_url, "router") as units, units.begin() as work:
        record = Record("content.submitted", 0, 123_456_789, "k" * 1_000_000, b"{}", {}, START)
        await work.dead_letter(record, InvalidInput("d" * 10_000))
    listed = (await secondlook(database_url, "dead-letters", "list")).out.splitlines()
    assert len(listed) == 2
    assert "postgres/content.submitted/0/123456789" in listed[1]
    assert f" {'k' * 79}… " in listed[1]
    assert f" {'d' * 79}… " in listed[1]


async def test_requeue_publishes_each_record_once_and_in_order(database_url: str) -> None:
    await set_aside(database_url, "router", 250)
    ran = await secondlook(database_url, "dead-letters", "requeue", "--all")
    assert (ran.status, ran.out) == (0, "router: 250 requeued\n")
    found = await on_topic(database_url)
    assert len(found) == 250
    assert [row["headers"] for row in found] == [{"ce_type": "x"}] * 250
    for key in {row["key"] for row in found}:
        numbers = [json.loads(row["value"])["n"] for row in found if row["key"] == key]
        assert numbers == sorted(numbers)
    again = await secondlook(database_url, "dead-letters", "requeue", "--all")
    assert (again.status, again.out) == (0, "nothing to requeue\n")
    assert len(await on_topic(database_url)) == 250
    assert (await secondlook(database_url, "dead-letters", "list")).out == "no dead letters\n"
    assert len((await secondlook(database_url, "dead-letters", "list", "--all")).out.splitlines()) == 1 + 50


async def test_requeueing_at_once_from_several_places(database_url: str) -> None:
    await set_aside(database_url, "router", 300)
    line = ["-m", "secondlook.cli", "dead-letters", "requeue", "--all"]
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, *line, stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "SECONDLOOK_DATABASE_URL": database_url},
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in processes:
        await process.communicate()
        assert process.returncode == 0
    assert len(await on_topic(database_url)) == 300


async def test_requeue_by_id_and_by_reason(database_url: str) -> None:
    await set_aside(database_url, "router", 3)
    some = await secondlook(database_url, "dead-letters", "requeue", FIRST, "postgres/content.submitted/0/9")
    assert (some.status, some.out) == (1, "router: 1 requeued\n")
    assert some.err == "unknown, already requeued, or too large for an event: postgres/content.submitted/0/9\n"
    assert [json.loads(row["value"])["n"] for row in await on_topic(database_url)] == [1]
    other = await secondlook(database_url, "dead-letters", "requeue", "--reason", "too_large")
    assert other.out == "nothing to requeue\n"
    rest = await secondlook(database_url, "dead-letters", "requeue", "--reason", "invalid", "--service", "router")
    assert rest.out == "router: 2 requeued\n"


async def test_a_record_that_two_services_set_aside_is_published_once(database_url: str) -> None:
    await set_aside(database_url, "router", 2)
    await set_aside(database_url, "reviewer", 2)
    ran = await secondlook(database_url, "dead-letters", "requeue", "--all")
    assert ran.status == 0
    assert len(await on_topic(database_url)) == 2
    assert (await secondlook(database_url, "dead-letters", "list")).out == "no dead letters\n"


@pytest.mark.parametrize("arguments", [[], ["nonsense"], [FIRST, "--all"], ["a/b/c"], ["content.submitted/0/1"]])
async def test_requeue_says_what_it_needs(database_url: str, arguments: list[str]) -> None:
    ran = await secondlook(database_url, "dead-letters", "requeue", *arguments)
    assert (ran.status, ran.out) == (2, "")


async def decide(url: str, count: int) -> None:
    async with transactions(url, "reviewer") as units:
        await units.database.pool.executemany(
            DECISION,
            [(decision_id("forum", f"c,{n}", 1, 1024), f"c,{n}", START + timedelta(minutes=n)) for n in range(count)],
        )


async def test_decisions_as_json_lines(database_url: str) -> None:
    assert (await secondlook(database_url, "decisions", "export")).out == ""
    await decide(database_url, 2500)
    ran = await secondlook(database_url, "decisions", "export")
    assert (ran.status, ran.err) == (0, "2,500 decisions\n")
    rows = [json.loads(line) for line in ran.out.splitlines()]
    assert [row["content_id"] for row in rows] == [f"c,{n}" for n in range(2500)]
    assert rows[0] == {
        "decision_id": str(decision_id("forum", "c,0", 1, 1024)), "source": "forum", "content_id": "c,0", "revision": 1,
        "sequence": 1024, "outcome": "reject", "labels": ["spam", "hate"], "action": "hide", "decided_by": "model",
        "decided_at": "2026-01-01T00:00:00+00:00", "confidence": 0.9, "policy_version": 1, "bundle_version": None,
        "reason": "score", "supersedes": None,
    }  # fmt: skip


async def test_decisions_as_files(database_url: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    await decide(database_url, 3)
    for name in ("d.csv", "d.parquet", "d.jsonl"):
        ran = await secondlook(database_url, "decisions", "export", tmp_path / name, "--since", "2026-01-01T00:01")
        assert (ran.status, ran.out, ran.err) == (0, "", f"2 decisions in {tmp_path / name}\n")
    lines = list(csv.DictReader(io.StringIO((tmp_path / "d.csv").read_text(encoding="utf-8"))))
    assert [(line["content_id"], line["labels"]) for line in lines] == [("c,1", "spam hate"), ("c,2", "spam hate")]
    table = parquet.read_table(tmp_path / "d.parquet").to_pylist()
    assert [row["labels"] for row in table] == [["spam", "hate"]] * 2
    assert table[0]["decided_at"] == START + timedelta(minutes=1)
    assert sorted(path.name for path in os.scandir(tmp_path)) == ["d.csv", "d.jsonl", "d.parquet"]


async def test_exports_that_cannot_be_written(database_url: str, tmp_path: Path) -> None:
    for arguments in (
        ["/nonexistent/d.csv"], [str(tmp_path)], ["--since", "yesterday"], ["--format", "parquet"], ["--format", "xml"],
    ):  # fmt: skip
        ran = await secondlook(database_url, "decisions", "export", *arguments)
        assert (ran.status, ran.out) == (2, "")
    assert (await secondlook(database_url, "decisions", "export", "/dev/null")).status == 0
    assert stat.S_ISCHR(os.stat("/dev/null").st_mode)
    assert os.listdir(tmp_path) == []
