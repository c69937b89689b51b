"""A database with tasks in it is brought up to date."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from uuid import uuid4

import asyncpg
import pytest

from secondlook.common.contract.events import Why, decision_id, label_id
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.errors import Conflict
from secondlook.common.migrate import migrate_schemas
from secondlook.common.schemas import COMMON, KERNEL
from secondlook.common.service.permissions import ROLES, Caller
from secondlook.reviewer_api.review.tasks import Verdict
from tests.integration.review_world import POLICY, START, World, prior, requested

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


OLD = ("0001_reviewer.sql", "0002_rank.sql", "0003_quality.sql", "0004_promised_views.sql")
LEASED = "UPDATE task SET state = 'leased', lease_token = $2, leased_by = $3, available_at = $4 WHERE task_id = $1"
JUDGED = """
INSERT INTO judgement (lease_token, task_id, reviewer, outcome, labels, result, policy_version, judged_at, undo_until)
VALUES ($1, $2, $3, 'reject', '{csam}', $4, 1, now(), now() + $5)
"""
DECIDED = "UPDATE task SET state = 'decided', lease_token = $2, leased_by = $3, available_at = $4 WHERE task_id = $1"


async def test_open_tasks_of_before_opaque_ids_stay_open_and_tell_nothing(database_url: str, tmp_path: Path) -> None:
    """A pending audit gets a random id; what a client holds goes on working: a lease, a verdict to undo."""
    before = tmp_path / "reviewer_api" / "migrations"
    before.mkdir(parents=True)
    for name in OLD:
        copy(MIGRATIONS / name, before)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA reviewer CASCADE")
    await migrate_schemas(database_url, {"reviewer": [KERNEL, before]})
    await connection.execute("SET search_path = reviewer")
    document = parse_policy(POLICY).model_dump_json()
    await connection.execute("INSERT INTO policy VALUES (1, $1, now(), 'lead-0')", document)
    names = ("pending", "leased", "decided", "opinion", "late")
    asked = {name: requested(name, why=Why.AUDIT, prior=prior(name, "approve")) for name in names}
    decisions = {name: decision_id("forum", name, 1, 1025) for name in names}
    async with World.open(database_url, policy=None) as world:
        me = (await world.caller("reviewer")).subject
        key = world.keys["reviewer"]
    soon = START + timedelta(hours=1)
    for name, event in asked.items():
        await connection.execute(OLD_TASK, event.review_id, name, 0, START)
        await connection.execute(OLD_PAYLOAD, event.review_id, event.content.model_dump_json())
        await connection.execute(
            "UPDATE task SET decision_id = $2 WHERE task_id = $1", event.review_id, decisions[name]
        )
    tokens = {name: uuid4() for name in names}
    hour = timedelta(hours=1)
    await connection.execute(LEASED, asked["leased"].review_id, tokens["leased"], me, soon)
    for name, result, undo in (
        ("decided", "decided", hour),
        ("opinion", "second_opinion", hour),
        ("late", "decided", timedelta()),
    ):
        await connection.execute(JUDGED, tokens[name], asked[name].review_id, me, result, undo)
    for name in ("decided", "late"):
        await connection.execute(DECIDED, asked[name].review_id, tokens[name], me, soon)
    await connection.execute("UPDATE task SET excluded = $2 WHERE task_id = $1", asked["opinion"].review_id, [me])

    await migrate_schemas(database_url, {"reviewer": [KERNEL, MIGRATIONS]})
    rows = {
        row["content_id"]: row for row in await connection.fetch("SELECT * FROM task JOIN task_payload USING (task_id)")
    }
    kept = {name for name, row in rows.items() if row["task_id"] == asked[name].review_id}
    assert {name: row["review_id"] for name, row in rows.items()} == {
        name: None if name in kept else event.review_id for name, event in asked.items()
    }
    assert kept == {"leased", "decided", "late"}, "a task that nobody holds has a new id"
    assert {rows[name]["task_id"].version for name in set(names) - kept} == {4}
    assert {name for name, row in rows.items() if row["formerly"] is not None} == {"decided", "opinion"}
    orphans = "SELECT count(*) FROM judgement LEFT JOIN task USING (task_id) WHERE task.task_id IS NULL"
    assert await connection.fetchval(orphans) == 0
    await connection.close()

    async with World.open(database_url, policy=None, keys={"reviewer": key}) as world:
        world.clock.time = datetime.now(UTC)
        held = {"task_id": str(asked["leased"].review_id), "lease_token": str(tokens["leased"])}
        await world.reject(held, "spam")
        for name in ("decided", "opinion"):
            assert (await world.call("POST", f"/decisions/{decisions[name]}/undo")).status_code == 200, name
        for name in ("pending", "leased"):
            probed = await world.call("POST", f"/decisions/{decisions[name]}/undo")
            assert probed.status_code == 404, "who computes the id of a decision learns nothing"
        assert (await world.call("POST", f"/decisions/{held['task_id']}/undo")).status_code == 200
        await world.request(*asked.values())
        assert await world.database.pool.fetchval("SELECT count(*) FROM task") == len(names), "repeats make no task"
        claimed = await world.claim(10)
        assert {task["content"]["content_id"] for task in claimed} == {"pending", "leased", "decided", "opinion"}
        [pending] = [task for task in claimed if task["content"]["content_id"] == "pending"]
        await world.reject(pending, "spam")
        await world.publish()
        labels = {label["content_id"]: label["label_id"] for label in await world.published("review.labelled")}
        assert labels["pending"] == str(label_id(asked["pending"].review_id, me)), "labels keep their ids"
