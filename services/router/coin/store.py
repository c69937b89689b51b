"""Where the secret of the audit coin lies: one row of the router's own schema, which no view and no API shows."""

import secrets

from secondlook.common.postgres import Queryable
from secondlook.router.coin.secret import SECRET_BYTES, CoinSecret

MAKE = "INSERT INTO coin_secret (secret) VALUES ($1) ON CONFLICT DO NOTHING"
READ = "SELECT secret FROM coin_secret"


async def coin_secret(connection: Queryable) -> CoinSecret:
    """The deployment's secret, made at the first call: every router of a database gets the same one."""
    if (found := await connection.fetchval(READ)) is None:
        await connection.execute(MAKE, secrets.token_bytes(SECRET_BYTES))
        found = await connection.fetchval(READ)
    return CoinSecret(found)
