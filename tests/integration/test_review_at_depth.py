"""What reviewers do costs as little beside many items that wait as beside few."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from secondlook.common.postgres import Database
from secondlook.reviewer_api.review.queues import ALONE
from secondlook.reviewer_api.review.repository import CLAIM_FROM_ALL, CLAIM_FROM_ONE
from secondlook.reviewer_api.search.repository import Wanted, has_few, statement
from tests.integration.review_world import World, requested

WAITING = """
WITH made AS (
    INSERT INTO task (source, content_id, revision, sequence, decision_id, routed_queue, queue, priority, state,
                      available_at, created_at)
    SELECT 'forum', 'many-' || n, 1, 1, gen_random_uuid(), 'default', 'default', 0, 'pending', now(),
           now() - n * interval '1 second'
    FROM generate_series(1, 20000) AS n RETURNING task_id, content_id
)
INSERT INTO task_payload (task_id, why, content, u, inclusion_probability, stratum)
SELECT task_id, 'uncertain', json_build_object('source', 'forum', 'content_id', content_id, 'revision', 1,
                                               'kind', 'text', 'text', 'text of ' || content_id,
                                               'author_id', 'author-' || hashtext(content_id) % 5000,
                                               'created_at', now()), 0.5, 1, 'uncertain'
FROM made
"""
DECIDED = """
INSERT INTO decision_log (decision_id, source, content_id, revision, sequence, outcome, labels, action, decided_by,
                          decided_at, reason)
SELECT gen_random_uuid(), 'forum', 'many-' || n, 1, 1, CASE WHEN n = 19999 THEN 'reject' ELSE 'approve' END,
       CASE WHEN n = 19999 THEN ARRAY['spam'] ELSE '{}' END, 'allow',
       CASE WHEN n = 19999 THEN 'reviewer-x' ELSE 'm' END,
       now(), 'x'
FROM generate_series(1, 20000) AS n
"""


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def said_while(world: World, act: Any) -> list[str]:
    """The statements that the pool's connections run meanwhile."""
    said: list[str] = []

    def note(query: Any) -> None:
        said.append(query.query)

    pool = world.database.pool
    held = [await pool.acquire() for _ in range(pool.get_size())]
    for connection in held:
        connection.add_query_logger(note)
    for connection in held:
        await pool.release(connection)
    said.clear()
    await act()
    return said


async def test_a_pooled_connection_comes_back_without_a_word_and_without_its_transaction(database_url: str) -> None:
    async with Database.open(database_url, "reviewer", size=1) as database:
        said: list[str] = []
        async with database.pool.acquire() as connection:
            connection.add_query_logger(lambda query: said.append(query.query))
        async with database.pool.acquire() as connection:
            await connection.execute("BEGIN")
            await connection.execute("CREATE TABLE left_open ()")
        assert said == ["BEGIN", "CREATE TABLE left_open ()", "ROLLBACK"]
        assert await database.pool.fetchval("SELECT to_regclass('left_open')") is None


@pytest.mark.parametrize(
    ("by", "wanted", "most"),
    [
        (None, Wanted(author_id="author-77"), 100),
        (None, Wanted(author_id="author-77", source="forum"), 100),
        (None, Wanted(label="spam"), 250),
        (None, Wanted(decided_by="reviewer-x"), 100),
        (None, Wanted(outcome="reject"), 600),
        ("reviewer-x", Wanted(), 100),
    ],
)
async def test_a_search_for_little_reads_little(world: World, by: str | None, wanted: Wanted, most: int) -> None:
    for text in (WAITING, DECIDED, "ANALYZE"):
        await world.database.pool.execute(text)
    async with world.database.pool.acquire() as connection:
        few = await has_few(connection, wanted)
    text, given = statement("reader", by, wanted, None, 50, few=few)
    [row] = await world.database.pool.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {text}", *given)
    plan = json.loads(row[0])[0]["Plan"]
    assert plan["Actual Rows"] == (0 if by else 1)
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < most


@pytest.mark.parametrize(
    ("claim", "queue"), [(CLAIM_FROM_ALL, "'{default,photos}'"), (CLAIM_FROM_ONE, "'default'")], ids=["all", "one"]
)
async def test_a_claim_reads_little_by_the_plan_that_the_server_keeps(world: World, claim: str, queue: str) -> None:
    for text in (WAITING, "ANALYZE"):
        await world.database.pool.execute(text)
    async with world.database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL plan_cache_mode = force_generic_plan")
        await connection.execute("PREPARE kept AS " + claim.replace("{limit}", "1"))
        values = f"now(), 'r', now(), false, {queue}, now(), '{{default,photos}}'"
        [row] = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE kept({values})")
        await connection.execute("DEALLOCATE kept")
    plan = json.loads(row[0])[0]["Plan"]
    assert plan["Actual Rows"] == 1
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < 200


async def test_a_claim_and_a_verdict_take_few_statements(world: World) -> None:
    await world.request(*[requested(f"c{n}") for n in range(3)])
    for _ in range(2):  # the first of a caller also notes that their key was used
        [task] = await world.claim()
        await world.approve(task)

    async def again() -> None:
        [task] = await world.claim()
        await world.approve(task)

    said = [query.split()[0] for query in await said_while(world, again)]
    assert said.count("BEGIN;") == said.count("COMMIT;") == 2
    assert len(said) == 14, said


async def test_counting_for_the_gauges_takes_a_small_part_of_the_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("secondlook.reviewer_api.review.queues.CALM", 100_000)
    assert ALONE in await said_while(world, world.api.queues.measure)
    assert await said_while(world, world.api.queues.measure) == []
