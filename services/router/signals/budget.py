"""How often classifiers were asked, as all routers of the deployment count it together."""

from typing import Protocol

from secondlook.common.contract.signals import SignalEndpoint
from secondlook.common.postgres import Database

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('signal_request/' || $1, 0))"
FORGET = "DELETE FROM signal_request WHERE endpoint = $1 AND hour <= now() - interval '25 hours'"
# Of a day, the hours that begin within the last 24: a little more than a day, never less.
USED = """
SELECT coalesce(sum(requests) FILTER (WHERE hour = date_trunc('hour', now(), 'UTC')), 0)::bigint AS hour,
       coalesce(sum(requests), 0)::bigint AS day
FROM signal_request WHERE endpoint = $1 AND hour > date_trunc('hour', now(), 'UTC') - interval '24 hours'
"""
SPEND = """
INSERT INTO signal_request AS s (endpoint, hour, requests) VALUES ($1, date_trunc('hour', now(), 'UTC'), $2)
ON CONFLICT (endpoint, hour) DO UPDATE SET requests = s.requests + excluded.requests
"""


class Budget(Protocol):
    """Says how many requests the policy's limits leave."""

    async def take(self, name: str, endpoint: SignalEndpoint, wanted: int) -> int:
        """Spend up to `wanted` requests of the endpoint with this name; returns how many are granted."""


class SharedBudget:
    """The limits of all routers together, over restarts. A request that is granted is spent, also if it is not made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, name: str, endpoint: SignalEndpoint, wanted: int) -> int:
        if wanted == 0 or (endpoint.most_an_hour is None and endpoint.most_a_day is None):
            return wanted
        async with self._database.pool.acquire() as connection, connection.transaction():
            await connection.execute(LOCK, name)
            await connection.execute(FORGET, name)
            used = await connection.fetchrow(USED, name)
            assert used is not None  # noqa: S101 - an aggregate has a row
            limits = ((endpoint.most_an_hour, used["hour"]), (endpoint.most_a_day, used["day"]))
            granted: int = max(0, min([wanted, *(most - spent for most, spent in limits if most is not None)]))
            if granted:
                await connection.execute(SPEND, name, granted)
            return granted
