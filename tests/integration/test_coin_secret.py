"""Where the secret of the audit coin lies: one a database, made once, shown by nothing."""

import asyncio
from pathlib import Path
from shutil import copy

import asyncpg
import httpx
import pytest

from secondlook.common.contract.events import ReviewRequested
from secondlook.common.migrate import migrate_schemas
from secondlook.common.observability import Health
from secondlook.common.postgres import Database
from secondlook.common.schemas import COMMON, KERNEL
from secondlook.common.service.api_keys import ApiKeys
from secondlook.router.api import create_router_app
from secondlook.router.coin.store import coin_secret
from secondlook.router.submissions import Submissions
from tests.integration.router_world import AHEAD, FakeModel, content, make_world

MIGRATIONS = COMMON.parent / "router" / "migrations"
OLD_ROWS = """
INSERT INTO content (source, content_id, latest_revision) VALUES ('forum', 'a', 1);
INSERT INTO revision (source, content_id, revision, text_sha256, route, why, audited, routed_at)
VALUES ('forum', 'a', 1, sha256('text of a'), 'review', 'uncertain', false, now());
"""


async def test_routers_that_start_at_once_share_one_secret_and_keep_it(database_url: str) -> None:
    async with Database.open(database_url, "router") as database:
        made = await asyncio.gather(*(coin_secret(database.pool) for _ in range(8)))
        assert len({secret.key for secret in made}) == 1
        assert await coin_secret(database.pool) == made[0]
        assert await database.pool.fetchval("SELECT count(*) FROM coin_secret") == 1
        with pytest.raises(asyncpg.CheckViolationError):
            await database.pool.execute("UPDATE coin_secret SET secret = 'short'")


async def test_every_deployment_has_a_secret_of_its_own(database_url: str) -> None:
    found = set()
    async with Database.open(database_url, "router") as database:
        for _ in range(3):
            await database.pool.execute("DELETE FROM coin_secret")
            found.add((await coin_secret(database.pool)).key)
    assert len(found) == 3


async def test_no_route_and_no_view_shows_it(database_url: str) -> None:
    async with make_world(database_url) as world:
        secret = (await coin_secret(world.database.pool)).key
        assert secret == world.secret.key
        submissions = Submissions(world.transactions, world.clock, world.metrics, AHEAD)
        keys = ApiKeys(world.database, world.clock)
        app = create_router_app(submissions, keys, Health(), world.registry, world.reports())
        headers = {"Authorization": f"Bearer {await keys.create('root', 'admin')}"}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://router", headers=headers) as client:
            for path in ("/metrics", "/healthz", "/readyz", "/openapi.json"):
                text = (await client.get(path)).text
                assert secret.hex() not in text
        views = await world.database.pool.fetch(
            "SELECT view_name FROM information_schema.view_table_usage WHERE table_name = 'coin_secret'"
        )
        assert views == []


async def test_a_database_of_before_gets_a_secret_and_repeats_are_not_flipped_again(
    database_url: str, tmp_path: Path
) -> None:
    before = tmp_path / "router" / "migrations"
    before.mkdir(parents=True)
    for name in ("0001_content.sql", "0002_promised_views.sql"):
        copy(MIGRATIONS / name, before)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA router CASCADE")
    await migrate_schemas(database_url, {"router": [KERNEL, before]})
    await connection.execute("SET search_path = router")
    await connection.execute(OLD_ROWS)
    await connection.close()
    assert "router/0004_coin_secret.sql" in (
        await migrate_schemas(database_url, {"router": [KERNEL, MIGRATIONS]})
    )["router"]  # fmt: skip
    async with make_world(database_url) as world:
        await world.in_force(model=FakeModel())
        await world.route(content("a", text="text of a"), content("b", text="unsure"))
        [asked] = await world.events(ReviewRequested)
        assert asked.content_id == "b"
        assert asked.coin.u == world.secret.flip(asked.content)
