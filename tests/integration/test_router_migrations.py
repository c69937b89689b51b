"""A router's database of the version before, with content in it, goes on working after the upgrade."""

import json
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy

import asyncpg

from secondlook.common.contract.events import ContentDecided, ReviewCancelled, ReviewRequested
from secondlook.common.contract.reports import ReviewReported
from secondlook.common.migrate import migrate_schemas
from secondlook.common.schemas import COMMON, KERNEL
from secondlook.router.identity.hashes import text_sha256
from tests.integration.router_world import FakeModel, content, make_world, withdrawal
from tests.integration.test_router_reports import POLICY as REPORTS
from tests.integration.test_router_reports import RULE, crowd

MIGRATIONS = COMMON.parent / "router" / "migrations"
OLD_CONTENT = "INSERT INTO content VALUES ('forum', $1, $2, $3, $4)"
OLD_REVISION = """
INSERT INTO revision (source, content_id, revision, text_sha256, route, why, audited, scores, bundle_version, routed_at)
VALUES ('forum', $1, $2, $3, $4, $5, $6, $7, 'b0', now())
"""
OLD_KEY = "INSERT INTO api_key VALUES ('01234567', '\\x00', 'web', 'upstream', 'upstream-1', now())"
BEFORE, AFTER = datetime(2025, 1, 15, tzinfo=UTC), datetime(2025, 3, 1, tzinfo=UTC)


async def test_content_of_the_version_before_follows_the_new_rules_as_far_as_it_can(
    database_url: str, tmp_path: Path
) -> None:
    before, kernel = tmp_path / "router" / "migrations", tmp_path / "common" / "migrations"
    for folder, files in ((before, MIGRATIONS), (kernel, KERNEL)):
        folder.mkdir(parents=True)
        for file in sorted(files.glob("*.sql"))[:2]:
            copy(file, folder)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA router CASCADE")
    await migrate_schemas(database_url, {"router": [kernel, before]})
    await connection.execute("SET search_path = router")
    await connection.execute(OLD_KEY)
    for name, route, why, reviewed, withdrawn_at in [
        ("open", "review", "uncertain", 2, None),
        ("repeated", "review", "uncertain", 2, None),
        ("decided", "approve", "sure", 0, None),
        ("gone", "review", "uncertain", 0, BEFORE),
        ("back", "review", "uncertain", 2, BEFORE),
    ]:
        await connection.execute(OLD_CONTENT, name, 2, reviewed, withdrawn_at)
        scores = json.dumps({"spam": 0.1})
        await connection.execute(OLD_REVISION, name, 2, text_sha256("unsure"), route, why, False, scores)
    await connection.close()

    applied = (await migrate_schemas(database_url))["router"]
    assert {"common/0003_key_sources.sql", "router/0003_order.sql"} <= set(applied)
    async with make_world(database_url) as world:
        await world.in_force(model=FakeModel())
        assert await world.database.pool.fetchval("SELECT submitted FROM totals") == 5
        assert await world.database.pool.fetchval("SELECT sources FROM api_key") is None
        names = ("open", "repeated", "decided", "gone", "back")
        # Repeats are known by their text, whatever else they carry: nothing but that was kept.
        await world.route(*(content(name, 2, text="unsure", author_id="ann") for name in names if name != "gone"))
        assert (await world.outcomes(), await world.dead_letters()) == ({}, [])
        await world.route(content("repeated", 2, text="unsure", reports=5), content("decided", 2, text="other"))
        assert [event.content_id for event in await world.events(ReviewRequested)] == ["repeated"]
        assert [reason for reason, _ in await world.dead_letters()] == ["revision_reused"]
        # When they were created is not known: a withdrawal applies as it arrives.
        await world.route(withdrawal("open"), withdrawal("back"), withdrawal("gone"))
        cancelled = {event.content_id: event.up_to_revision for event in await world.events(ReviewCancelled)}
        assert cancelled == {"open": 2, "back": 2}
        await world.route(content("gone", 2, text="unsure", created_at=AFTER))
        assert sorted(reason for reason, _ in await world.dead_letters()) == ["revision_reused", "withdrawn"]
        await world.route(*(content(name, 3, text="fine", created_at=AFTER) for name in names))
        assert {event.content_id for event in await world.events(ContentDecided)} == set(names)


async def test_content_of_before_reports_can_be_reported(database_url: str, tmp_path: Path) -> None:
    """What was approved then has no text here: reports of it count for its next revision. What waits is moved."""
    before, kernel = tmp_path / "router" / "migrations", tmp_path / "common" / "migrations"
    for folder, files in ((before, MIGRATIONS), (kernel, KERNEL)):
        folder.mkdir(parents=True)
        for file in sorted(files.glob("*.sql")):
            if file.parent.parent.name != "router" or file.name < "0006":
                copy(file, folder)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA router CASCADE")
    await migrate_schemas(database_url, {"router": [kernel, before]})
    await connection.execute("SET search_path = router")
    for name, route, why, reviewed in [("approved", "approve", "sure", 0), ("open", "review", "uncertain", 1)]:
        await connection.execute(
            "INSERT INTO content (source, content_id, latest_revision, reviewed_up_to) VALUES ('forum', $1, 1, $2)",
            name, reviewed,
        )  # fmt: skip
        scores = json.dumps({"spam": 0.1, "threat": 0.1})
        await connection.execute(OLD_REVISION, name, 1, text_sha256(name), route, why, False, scores)
    await connection.execute(
        "INSERT INTO content (source, content_id, latest_revision, withdrawn_at) VALUES ('forum', 'gone', 0, now())"
    )
    await connection.close()

    assert "router/0007_reports.sql" in (await migrate_schemas(database_url))["router"]
    async with make_world(database_url) as world:
        await world.in_force(REPORTS % RULE, FakeModel(labels=("spam", "threat")))
        await world.route(*crowd("approved"), *crowd("open"), *crowd("gone"))
        assert await world.events(ReviewRequested) == []
        told = {event.content_id: event.raised for event in await world.events(ReviewReported)}
        assert set(told) == {"approved", "open", "gone"}
        assert [name for name, raised in told.items() if raised is not None] == ["open"]
        await world.route(content("approved", 2, text="edited"))
        assert [event.content_id for event in await world.events(ReviewRequested)] == ["approved"]
        assert await world.dead_letters() == []
