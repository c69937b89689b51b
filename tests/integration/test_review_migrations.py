"""A database with tasks in it is brought up to date."""

from datetime import timedelta
from pathlib import Path
from shutil import copy

import asyncpg

from secondlook.common.migrate import migrate_schemas
from secondlook.common.schemas import COMMON, KERNEL
from tests.integration.review_world import START, World, requested

MIGRATIONS = COMMON.parent / "reviewer_api" / "migrations"
OLD_TASK = """
INSERT INTO task (task_id, source, content_id, revision, sequence, decision_id, routed_queue, queue, priority, state,
                  available_at, created_at)
VALUES ($1, 'forum', $2, 1, 1024, gen_random_uuid(), 'default', 'default', $3, 'pending', $4, $4)
"""
OLD_PAYLOAD = """
INSERT INTO task_payload (task_id, why, content, u, inclusion_probability, stratum)
VALUES ($1, 'uncertain', $2, 0.5, 1, 'uncertain')
"""


async def test_tasks_from_before_ranks_are_claimed_by_rank(database_url: str, tmp_path: Path) -> None:
    before = tmp_path / "reviewer_api" / "migrations"
    before.mkdir(parents=True)
    copy(MIGRATIONS / "0001_reviewer.sql", before)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA reviewer CASCADE")
    await migrate_schemas(database_url, {"reviewer": [KERNEL, before]})
    await connection.execute("SET search_path = reviewer")
    for name, priority, minutes in [("calm", 0, 0), ("late", 30, 31), ("urgent", 30, 29)]:
        asked = requested(name)
        await connection.execute(OLD_TASK, asked.review_id, name, priority, START + timedelta(minutes=minutes))
        await connection.execute(OLD_PAYLOAD, asked.review_id, asked.content.model_dump_json())
    await connection.close()

    assert (
        "reviewer_api/0002_rank.sql"
        in (await migrate_schemas(database_url, {"reviewer": [KERNEL, MIGRATIONS]}))["reviewer"]
    )
    async with World.open(database_url) as world:
        world.clock.turn(3600)
        assert [task["content"]["content_id"] for task in await world.claim(3)] == ["urgent", "calm", "late"]
