"""Sign-ins by an identity provider, and whose accounts they are, in Postgres."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from secondlook.common.postgres import Connection, Queryable, Row, fetch_one

KEEP = "INSERT INTO oidc_login (state, browser, nonce, verifier, goes_to, made_at) VALUES ($1, $2, $3, $4, $5, $6)"
TAKE = """
DELETE FROM oidc_login WHERE state = $1 AND browser = $2 AND made_at > $3 RETURNING nonce, verifier, goes_to
"""
FORGET = "DELETE FROM oidc_login WHERE made_at <= $1"
COUNT = "SELECT count(*) AS open FROM oidc_login"
LOCK = "SELECT pg_advisory_xact_lock(hashtextextended($1::text || ' ' || $2::text, 0))"
FIND = """
SELECT a.* FROM account_identity i JOIN account a USING (account_id) WHERE i.issuer = $1 AND i.subject = $2
"""
LINK = "INSERT INTO account_identity (issuer, subject, account_id, linked_at) VALUES ($1, $2, $3, $4)"


@dataclass(frozen=True, slots=True)
class AtProvider:
    """A sign-in that came back from the provider."""

    nonce: str
    verifier: str
    goes_to: str


async def keep(
    connection: Queryable, state: bytes, browser: bytes, pending: AtProvider, now: datetime, oldest: datetime
) -> int:
    """Keep a sign-in that goes to the provider, forget those from before `oldest`; returns how many are open."""
    await connection.execute(FORGET, oldest)
    await connection.execute(KEEP, state, browser, pending.nonce, pending.verifier, pending.goes_to, now)
    return int((await fetch_one(connection, COUNT))["open"])


async def take(connection: Queryable, state: bytes, browser: bytes, oldest: datetime) -> AtProvider | None:
    """The sign-in of this state and browser, once; None if there is none, or no more."""
    row = await connection.fetchrow(TAKE, state, browser, oldest)
    return None if row is None else AtProvider(**row)


async def find(connection: Connection, issuer: str, subject: str) -> Row | None:
    """The account of whoever the provider calls so. Until this transaction ends, nobody else can make one for them."""
    await fetch_one(connection, LOCK, issuer, subject)
    return await connection.fetchrow(FIND, issuer, subject)


async def link(connection: Connection, issuer: str, subject: str, account_id: UUID, now: datetime) -> None:
    await connection.execute(LINK, issuer, subject, account_id, now)
