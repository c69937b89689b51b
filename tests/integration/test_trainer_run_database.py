"""The database as a run sees it: opened once, however long the run computes in between."""

import asyncio

from secondlook.common.contract.policy import LabelPolicy, Policy
from secondlook.common.postgres import Database
from secondlook.trainer.run.database import RunDatabase
from secondlook.trainer.run.job import Job

JOB = Job(
    kind="train",
    policy=Policy(name="spam", labels={"spam": LabelPolicy(description="Unasked-for advertising")}),
    policy_version=1,
    label_mark=0,
)


async def test_a_connection_that_the_server_closed_meanwhile_is_replaced(database_url: str) -> None:
    async with (
        Database.open(database_url, "trainer", size=1) as database,
        Database.open(database_url, "trainer", size=1) as other,
    ):
        run = RunDatabase(database)
        before = await run.load_data(JOB, 500)
        closed = asyncio.Event()
        async with database.pool.acquire() as connection:
            backend = await connection.fetchval("SELECT pg_backend_pid()")
            connection.add_termination_listener(lambda _: closed.set())
        assert await other.pool.fetchval("SELECT pg_terminate_backend($1)", backend)
        await asyncio.wait_for(closed.wait(), 10)
        after = await run.load_data(JOB, 500)
        assert after.fingerprint == before.fingerprint
        assert await database.pool.fetchval("SELECT pg_backend_pid()") != backend
