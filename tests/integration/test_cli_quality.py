"""`secondlook reviewers` and `secondlook labels suspects`: what is known of people and of their labels."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import asyncpg

from tests.integration.cli_world import secondlook
from tests.integration.quality_world import measure_quality

NOW = datetime(2026, 1, 1, tzinfo=UTC)


async def label(
    connection: asyncpg.Connection,
    item: int,
    reviewer: str,
    spam: bool,
    score: float | None = None,
    *,
    minutes: int = 0,
    split: str = "train",
) -> None:
    await connection.execute(
        "INSERT INTO trainer.item_text VALUES ('forum', $1, 1, $2) ON CONFLICT DO NOTHING", f"c{item}", bytes(32)
    )
    await connection.execute(
        "INSERT INTO trainer.label (label_id, source, content_id, revision, reviewer, text, text_sha256, labels, "
        "adjudicated, inclusion_probability, stratum, scores, labelled_at, split) "
        "VALUES ($1, 'forum', $2, 1, $3, 'x', $4, $5, true, 1, 'uncertain', $6, $7, $8)",
        uuid4(), f"c{item}", reviewer, bytes(32), json.dumps({"spam": spam}),
        None if score is None else json.dumps({"spam": score}), NOW + timedelta(seconds=item, minutes=minutes),
        split,
    )  # fmt: skip


async def test_a_reviewer_who_contradicts_the_others_is_seen(database_url: str, tmp_path: Path) -> None:
    assert "no judgements yet" in (await secondlook(database_url, "reviewers")).out
    connection = await asyncpg.connect(database_url)
    for item in range(30):
        for reviewer in ("ann", "bob", "cat"):
            await label(connection, item, reviewer, item % 3 == 0)
        await label(connection, item, "contrary", item % 3 != 0)
    await connection.close()
    await measure_quality(database_url)
    found = {one["reviewer"]: one for one in json.loads((await secondlook(database_url, "reviewers", "--json")).out)}
    assert found["ann"]["agreement"] == 1.0
    assert found["contrary"]["agreement"] == 0.0
    assert found["contrary"]["labels"]["spam"]["sensitivity"]["value"] < 0.5
    assert found["ann"]["labels"]["spam"]["sensitivity"]["value"] > 0.8
    text = (await secondlook(database_url, "reviewers")).out
    assert [line.split()[0] for line in text.splitlines()[1:]] == ["ann", "bob", "cat", "contrary"]


async def test_a_label_that_no_model_would_have_thought_of_is_listed_first_and_nothing_is_changed(
    database_url: str,
) -> None:
    assert "no label looks wrong" in (await secondlook(database_url, "labels", "suspects")).out
    connection = await asyncpg.connect(database_url)
    for item in range(40):
        await label(connection, item, "ann", item % 2 == 0, 0.95 if item % 2 == 0 else 0.05)
    await label(connection, 98, "ann", True, 0.02)
    await label(connection, 99, "ann", False, 0.97)
    await label(connection, 100, "ann", True)
    ran = await secondlook(database_url, "labels", "suspects")
    rows = [line.split() for line in ran.out.splitlines()[1:]]
    assert rows == [["forum/c98/1", "spam", "yes", "0.020", "no"], ["forum/c99/1", "spam", "no", "0.030", "no"]]
    assert ran.err == ""
    assert len((await secondlook(database_url, "labels", "suspects", "--limit", "1")).out.splitlines()) == 2
    assert await connection.fetchval("SELECT count(*) FROM bus.record") == 0
    await connection.close()


async def sent_back(connection: asyncpg.Connection, *items: int) -> None:
    """A run has asked for a second look at these, where people had said yes."""
    run_id = uuid4()
    await connection.execute(
        "INSERT INTO trainer.run (run_id, reason, state, requested_at, finished_at) "
        "VALUES ($1, 'manual', 'kept', $2, $2)",
        run_id, NOW,
    )  # fmt: skip
    await connection.executemany(
        "INSERT INTO trainer.second_look VALUES ('forum', $1, 1, 'spam', true, 0.01, $2, $3)",
        [(f"c{item}", run_id, NOW + timedelta(minutes=5)) for item in items],
    )


async def test_suspects_say_what_came_of_a_second_look(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    for item in range(40):
        await label(connection, item, "ann", item % 2 == 0, 0.95 if item % 2 == 0 else 0.05)
    for item, score in ((95, 0.01), (96, 0.02), (97, 0.03), (98, 0.04)):
        await label(connection, item, "ann", True, score)
    await label(connection, 99, "ann", True, 0.01, split="certify")
    await sent_back(connection, 95, 96, 97)
    await label(connection, 96, "bob", True, 0.02, minutes=9)
    await label(connection, 97, "bob", False, 0.03, minutes=9)
    await connection.close()
    ran = await secondlook(database_url, "labels", "suspects")
    assert [(line.split()[0], line.split()[-1]) for line in ran.out.splitlines()[1:]] == [
        ("forum/c95/1", "asked"),
        ("forum/c96/1", "answered"),
        ("forum/c98/1", "no"),
    ], "c97 looks wrong no more, and nobody is to correct c99 only because a model disagrees"
    assert ran.err == "3 second looks: 2 answered, 1 of them with a different answer\n"


async def test_second_looks_are_no_sample_to_judge_reviewers_by(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    for item in range(6):
        await label(connection, item, "ann", True)
    await label(connection, 0, "bob", True)
    await sent_back(connection, 1, 2)
    for item in (1, 2):
        await label(connection, item, "bob", False, minutes=9)
    await connection.close()
    await measure_quality(database_url)
    found = {one["reviewer"]: one for one in json.loads((await secondlook(database_url, "reviewers", "--json")).out)}
    assert [(found[name]["n"], found[name]["agreement"]) for name in ("ann", "bob")] == [(6, 1.0), (1, 1.0)]
    audits = json.loads((await secondlook(database_url, "audits", "--json")).out)
    (agreement,) = [row for row in audits if row["what"] == "agreement"]
    assert (agreement["n"], agreement["of"]) == (1, "spam")
