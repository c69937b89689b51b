"""A database with tasks in it is brought up to date."""

from datetime import timedelta
from pathlib import Path
from shutil import copy
from uuid import uuid4

import asyncpg
import pytest

from secondlook.common.errors import Conflict
from secondlook.common.migrate import migrate_schemas
from secondlook.common.schemas import COMMON, KERNEL
from secondlook.common.service.permissions import ROLES, Caller
from secondlook.reviewer_api.review.tasks import Verdict
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


async def old_schema(database_url: str, tmp_path: Path, newest: int) -> "asyncpg.Connection[asyncpg.Record]":
    """A connection to the schema as the first migrations made it."""
    before = tmp_path / "reviewer_api" / "migrations"
    before.mkdir(parents=True)
    for file in sorted(MIGRATIONS.glob("*.sql"))[:newest]:
        copy(file, before)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA reviewer CASCADE")
    await migrate_schemas(database_url, {"reviewer": [KERNEL, before]})
    await connection.execute("SET search_path = reviewer")
    return connection


async def test_tasks_from_before_ranks_are_claimed_by_rank(database_url: str, tmp_path: Path) -> None:
    connection = await old_schema(database_url, tmp_path, 1)
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


OLD_LEASE = """
UPDATE task SET state = 'leased', leased_by = $2, lease_token = $3, available_at = $4, excluded = $5 WHERE task_id = $1
"""
OLD_KEY = """
INSERT INTO api_key (key_id, secret, name, role, subject, created_at) VALUES ($1, $2, $1, $3, $1, $4)
"""


async def test_leases_and_exclusions_from_before_holds_go_on(database_url: str, tmp_path: Path) -> None:
    connection = await old_schema(database_url, tmp_path, 4)
    keys = {"ann": "reviewer", "ben": "reviewer", "lea": "lead", "shop": "upstream"}
    for name, role in keys.items():
        await connection.execute(OLD_KEY, name, name.encode(), role, START - timedelta(days=400))
    tokens = {}
    for name, excluded in [("held", []), ("doubted", ["ben"]), ("skipped", ["ann", "ben"])]:
        asked = requested(name)
        await connection.execute(OLD_TASK, asked.review_id, name, 0, START)
        await connection.execute(OLD_PAYLOAD, asked.review_id, asked.content.model_dump_json())
        if name != "skipped":
            tokens[name] = (asked.review_id, uuid4())
            until = START + timedelta(minutes=5)
            await connection.execute(OLD_LEASE, asked.review_id, "ann", tokens[name][1], until, excluded)
        else:
            await connection.execute("UPDATE task SET excluded = $2 WHERE task_id = $1", asked.review_id, excluded)
    assert (
        "reviewer_api/0005_fair_queue.sql"
        in (await migrate_schemas(database_url, {"reviewer": [KERNEL, MIGRATIONS]}))["reviewer"]
    )
    seen = await connection.fetch("SELECT reviewer FROM reviewer_seen ORDER BY reviewer")
    assert [row["reviewer"] for row in seen] == ["ann", "ben", "lea"], "nobody counts as away after the upgrade"
    await connection.execute("UPDATE reviewer_seen SET seen_at = $1", START)  # the clock of these tests stands there
    await connection.close()

    ann, lea = Caller("ann", ROLES["reviewer"]), Caller("lea", ROLES["lead"])
    async with World.open(database_url) as world:
        reviews = world.api.reviews
        assert {task.lease_token for task in (await reviews.held(ann)).tasks} == {token for _, token in tokens.values()}
        await reviews.decide(*tokens["doubted"], ann, Verdict("approve", frozenset()))
        for _ in range(15):  # an hour in all, counted from the first call after the upgrade
            await reviews.heartbeat(*tokens["held"], ann)
            world.clock.turn(240)
        with pytest.raises(Conflict) as refused:
            await reviews.heartbeat(*tokens["held"], ann)
        assert refused.value.code == "held_too_long"
        await reviews.release(*tokens["held"], ann)
        [left] = (await reviews.claim(lea, 5, "leads")).tasks
        assert left.content.content_id == "skipped"
