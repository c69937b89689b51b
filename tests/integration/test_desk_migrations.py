"""A database of before the desk: what lies in it is found, its keys work, and what is new can be made."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from shutil import copy

import asyncpg

from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.migrate import migrate_schemas
from secondlook.common.schemas import KERNEL
from tests.integration.review_world import POLICY, START, World, requested
from tests.integration.test_review_migrations import MIGRATIONS, OLD_PAYLOAD, OLD_TASK

KERNEL_OF_BEFORE, NEWEST_OF_BEFORE = 3, 7  # migrations of every schema, and of this one
KEYS = {"upstream": "service", "reviewer": "moderator", "lead": "lead", "admin": "admin"}  # what each is called now


async def before(database_url: str, tmp_path: Path) -> "asyncpg.Connection[asyncpg.Record]":
    folders = []
    for folder, count in ((KERNEL, KERNEL_OF_BEFORE), (MIGRATIONS, NEWEST_OF_BEFORE)):
        copied = tmp_path / folder.parent.name / "migrations"
        copied.mkdir(parents=True)
        for file in sorted(folder.glob("*.sql"))[:count]:
            copy(file, copied)
        folders.append(copied)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA reviewer CASCADE")
    await migrate_schemas(database_url, {"reviewer": folders})
    await connection.execute("SET search_path = reviewer")
    return connection


async def test_what_was_there_before_is_found_and_goes_on(database_url: str, tmp_path: Path) -> None:
    connection = await before(database_url, tmp_path)
    document = parse_policy(POLICY).model_dump_json()
    await connection.execute("INSERT INTO policy VALUES (1, $1, now(), 'lead-0')", document)
    for number, role in enumerate(KEYS):
        secret = hashlib.sha256(("s" * 31 + str(number)).encode()).digest()
        await connection.execute(
            "INSERT INTO api_key (key_id, secret, name, role, subject, created_at) VALUES ($1, $2, $3, $3, $4, $5)",
            f"0000000{number}", secret, role, f"{role}-1", datetime.now(UTC),
        )  # fmt: skip
    for name, author in (("a", "ann"), ("b", "bob")):
        asked = requested(name)
        content = asked.content.model_copy(update={"author_id": author})
        await connection.execute(OLD_TASK, asked.review_id, name, 0, START)
        await connection.execute(OLD_PAYLOAD, asked.review_id, content.model_dump_json())
    await connection.close()

    applied = (await migrate_schemas(database_url, {"reviewer": [KERNEL, MIGRATIONS]}))["reviewer"]
    assert {"common/0004_keys_expire.sql", "reviewer_api/0008_accounts.sql", "reviewer_api/0010_desk.sql"} <= set(
        applied
    )

    keys = {role: f"sl_0000000{number}_{'s' * 31}{number}" for number, role in enumerate(KEYS)}
    async with World.open(database_url, policy=None, keys=keys) as world:
        world.clock.time = datetime.now(UTC)
        for old, new in KEYS.items():
            me = (await world.call("GET", "/me", role=old)).json()  # type: ignore[arg-type]
            made = await world.api.keys.authenticate(await world.api.keys.create(new, new))  # type: ignore[arg-type]
            assert me["permissions"] == sorted(made.permissions), old
        found = (await world.call("GET", "/search?author_id=ann", role="lead")).json()["items"]
        assert [(item["content_id"], item["excerpt"]) for item in found] == [("a", "text of a")]
        found = (await world.call("GET", '/search?text="of b"', role="lead")).json()["items"]
        assert [item["author_id"] for item in found] == ["bob"]
        [task] = await world.claim(filter={"author_id": "bob"})
        await world.reject(task, "spam")
        account_id, _, _ = await world.api.accounts.create("ann", None, "policy_owner", "test")
        assert (await world.api.accounts.one(account_id))["role"] == "policy_owner"
