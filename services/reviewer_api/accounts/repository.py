"""Accounts, sessions, links and failed tries in Postgres."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from secondlook.common.postgres import Connection, Queryable, Row, fetch_one
from secondlook.common.service.permissions import ROLES, Caller, Permission

_ACCOUNT = """
SELECT a.account_id, a.username, a.name, a.role, a.subject, a.created_at, a.disabled_at,
       a.password IS NOT NULL AS password_set,
       (SELECT max(seen_at) FROM session s WHERE s.account_id = a.account_id) AS last_seen_at
FROM account a
"""
ALL = _ACCOUNT + "ORDER BY a.username"
ONE = _ACCOUNT + "WHERE a.account_id = $1"
BY_ID = "SELECT * FROM account WHERE account_id = $1"
LOCK = BY_ID + " FOR UPDATE"
MANAGERS = [role for role, held in ROLES.items() if Permission.ACCOUNTS_MANAGE in held]
_MANAGER = "role = ANY ($1::text[]) AND disabled_at IS NULL"
LOCK_MANAGERS = f"SELECT account_id FROM account WHERE {_MANAGER} ORDER BY account_id FOR UPDATE"  # noqa: S608
BY_NAME = "SELECT * FROM account WHERE username = $1"
MANAGER = f"""
SELECT * FROM account WHERE {_MANAGER} AND account_id NOT IN (SELECT account_id FROM account_identity)
ORDER BY created_at, account_id LIMIT 1
"""  # noqa: S608
INSERT = """
INSERT INTO account (username, name, role, subject, created_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (username) DO NOTHING RETURNING account_id
"""
CHANGE = "UPDATE account SET name = $2, role = $3, disabled_at = $4 WHERE account_id = $1"
SET_PASSWORD = "UPDATE account SET password = $2 WHERE account_id = $1"  # noqa: S105 - a statement
ELSEWHERE = "SELECT EXISTS (SELECT FROM account_identity WHERE account_id = $1)"
ACTIVE = "SELECT role, subject, created_at FROM account WHERE disabled_at IS NULL"

KEEP_LINK = "INSERT INTO login_link (token, account_id, made_at, expires_at) VALUES ($1, $2, $3, $4)"
FORGET_LINKS = "DELETE FROM login_link WHERE account_id = $1 AND used_at IS NULL"
USE_LINK = """
UPDATE login_link l SET used_at = $2 FROM account a
WHERE l.token = $1 AND l.used_at IS NULL AND l.expires_at > $2
  AND a.account_id = l.account_id AND a.disabled_at IS NULL
RETURNING a.*
"""

KEEP_SESSION = "INSERT INTO session (token, account_id, created_at, seen_at, ends_at) VALUES ($1, $2, $3, $3, $4)"
SESSION = """
SELECT a.account_id, a.subject, a.name, a.role, a.password IS NOT NULL AS password_set, s.ends_at, s.seen_at
FROM session s JOIN account a USING (account_id)
WHERE s.token = $1 AND a.disabled_at IS NULL AND s.ends_at > $2 AND s.seen_at > $3
"""
TOUCH = "UPDATE session SET seen_at = $2 WHERE token = $1 AND seen_at < $3"
END_SESSION = "DELETE FROM session WHERE token = $1"
END_SESSIONS = "DELETE FROM session WHERE account_id = $1 AND token IS DISTINCT FROM $2"
FORGET_SESSIONS = "DELETE FROM session WHERE ends_at <= $1 OR seen_at <= $2"

FAILED = "INSERT INTO failed_login (counted_by, failed_at) SELECT unnest($1::text[]), $2"
FAILURES = """
SELECT count(*) AS tries, min(failed_at) AS first FROM failed_login WHERE counted_by = $1 AND failed_at > $2
"""
FORGET_OLD_LINKS = "DELETE FROM login_link WHERE expires_at <= $1"
FORGET_FAILURES = "DELETE FROM failed_login WHERE failed_at <= $1"


async def every(connection: Queryable) -> list[dict[str, Any]]:
    """All accounts, without their passwords."""
    return [dict(row) for row in await connection.fetch(ALL)]


async def one(connection: Queryable, account_id: UUID) -> dict[str, Any] | None:
    """One account, without its password."""
    row = await connection.fetchrow(ONE, account_id)
    return dict(row) if row else None


async def lock(connection: Connection, account_id: UUID) -> Row | None:
    """The account, which nobody else can change until this transaction ends."""
    return await connection.fetchrow(LOCK, account_id)


async def lock_managers(connection: Connection) -> list[UUID]:
    """Who can manage accounts; nobody else can change them until this transaction ends."""
    return [row["account_id"] for row in await connection.fetch(LOCK_MANAGERS, MANAGERS)]


async def by_id(connection: Queryable, account_id: UUID) -> Row:
    """An account that exists."""
    return await fetch_one(connection, BY_ID, account_id)


async def by_username(connection: Queryable, username: str) -> Row | None:
    return await connection.fetchrow(BY_NAME, username)


async def manager(connection: Queryable) -> Row | None:
    """The oldest account that can manage accounts and that no identity provider signs in."""
    return await connection.fetchrow(MANAGER, MANAGERS)


async def insert(
    connection: Connection, username: str, name: str, role: str, subject: str, now: datetime
) -> UUID | None:
    """The new account; None if the username is taken."""
    found: UUID | None = await connection.fetchval(INSERT, username, name, role, subject, now)
    return found


async def change(connection: Connection, account_id: UUID, name: str, role: str, disabled_at: datetime | None) -> None:
    await connection.execute(CHANGE, account_id, name, role, disabled_at)


async def set_password(connection: Connection, account_id: UUID, hashed: str) -> None:
    await connection.execute(SET_PASSWORD, account_id, hashed)


async def keep_link(connection: Connection, token: bytes, account_id: UUID, now: datetime, until: datetime) -> None:
    """Keep a link, and no older one that was not used."""
    await connection.execute(FORGET_LINKS, account_id)
    await connection.execute(KEEP_LINK, token, account_id, now, until)


async def use_link(connection: Connection, token: bytes, now: datetime) -> Row | None:
    """The account that the link signs in, once; None if it is unknown, used or over, or the account is disabled."""
    return await connection.fetchrow(USE_LINK, token, now)


async def keep_session(connection: Connection, token: bytes, account_id: UUID, now: datetime, until: datetime) -> None:
    await connection.execute(KEEP_SESSION, token, account_id, now, until)


async def session(connection: Queryable, token: bytes, now: datetime, idle: timedelta) -> Row | None:
    """Who is signed in by this session; None if it is over, or the account is disabled."""
    return await connection.fetchrow(SESSION, token, now, now - idle)


async def touch(connection: Queryable, token: bytes, now: datetime, exactly: timedelta) -> None:
    """Keep that the session was used now, as exactly as that."""
    await connection.execute(TOUCH, token, now, now - exactly)


async def end_session(connection: Queryable, token: bytes) -> None:
    await connection.execute(END_SESSION, token)


async def end_sessions(connection: Connection, account_id: UUID, but: bytes | None = None) -> None:
    """End all sessions of an account, but this one."""
    await connection.execute(END_SESSIONS, account_id, but)


async def forget(connection: Queryable, now: datetime, idle: timedelta, failures: timedelta) -> None:
    """Remove sessions and links that are over, and failed tries that no longer count."""
    await connection.execute(FORGET_SESSIONS, now, now - idle)
    await connection.execute(FORGET_OLD_LINKS, now)
    await connection.execute(FORGET_FAILURES, now - failures)


async def failed(connection: Queryable, counted_by: list[str], now: datetime) -> None:
    """Keep that a try failed, by each of these."""
    await connection.execute(FAILED, counted_by, now)


async def failures(connection: Queryable, counted_by: str, since: datetime) -> tuple[int, datetime | None]:
    """How many tries failed since then, and when the first of them did."""
    row = await fetch_one(connection, FAILURES, counted_by, since)
    return row["tries"], row["first"]


async def account_holders(connection: Queryable) -> list[tuple[Caller, datetime]]:
    """Everyone who may sign in, and since when."""
    rows = await connection.fetch(ACTIVE)
    return [(Caller(row["subject"], ROLES[row["role"]]), row["created_at"]) for row in rows]


async def signs_in_elsewhere(connection: Queryable, account_id: UUID) -> bool:
    """Whether an identity provider signs this account in."""
    found: bool = await connection.fetchval(ELSEWHERE, account_id)
    return found
