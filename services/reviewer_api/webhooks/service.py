"""Make, show, change and test webhooks. Nobody but their owner and admins sees that they exist."""

import json
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

from secondlook.common.clock import Clock
from secondlook.common.errors import InvalidInput, NotFound
from secondlook.common.postgres import Connection, Database, fetch_one
from secondlook.common.service.permissions import Caller, Permission
from secondlook.reviewer_api.audit_log.repository import append
from secondlook.reviewer_api.feed.service import Feed
from secondlook.reviewer_api.webhooks import repository, signing
from secondlook.reviewer_api.webhooks.schedule import GIVE_UP
from secondlook.reviewer_api.webhooks.schemas import NewWebhook, WebhookChange
from secondlook.reviewer_api.webhooks.sender import Attempt, Sender
from secondlook.reviewer_api.webhooks.targets import ensure_allowed

MOST = 100
BOTH_VALID = timedelta(hours=24)  # the old secret signs as well for so long


class WebhookService:
    """What upstream and admins do with webhooks. `private`: whether they may go to private addresses and plain http."""

    def __init__(self, database: Database, clock: Clock, feed: Feed, *, private: bool) -> None:
        self._database, self._clock, self._feed, self._private = database, clock, feed, private

    async def create(self, new: NewWebhook, caller: Caller) -> tuple[dict[str, Any], str]:
        """A new webhook and its secret, which is shown once.

        Raises:
            InvalidInput: the URL or the cursor is wrong, or there are MOST already.
            Forbidden: the caller's key is for other sources.
        """
        ensure_allowed(new.url, private=self._private)
        for source in new.sources or ():
            caller.ensure_source(source)
        sources = new.sources or (sorted(caller.sources) if caller.sources is not None else None)
        position, _ = await self._feed.start(new.after)
        webhook_id, secret, now = uuid4(), signing.new_secret(), self._clock.now()
        async with self._database.pool.acquire() as connection, connection.transaction():
            if await connection.fetchval(repository.COUNT) >= MOST:
                raise InvalidInput(f"there are {MOST} webhooks already: remove one that nobody needs")
            await connection.execute(
                repository.INSERT, webhook_id, new.url, new.description, caller.subject, sources, new.labels,
                new.outcome, new.decided_by, secret, position, now,
            )  # fmt: skip
            await self._note(connection, caller, "webhook.created", webhook_id, {"url": new.url})
        return await self.one(webhook_id, caller), secret

    async def all(self, caller: Caller) -> list[dict[str, Any]]:
        """The caller's webhooks, or everybody's for those who may see them."""
        owner = None if caller.may(Permission.WEBHOOKS_ANY) else caller.subject
        return await repository.shown(self._database.pool, None, owner)

    async def one(self, webhook_id: UUID, caller: Caller) -> dict[str, Any]:
        """One webhook; raises NotFound, also where it is somebody else's."""
        owner = None if caller.may(Permission.WEBHOOKS_ANY) else caller.subject
        found = await repository.shown(self._database.pool, webhook_id, owner)
        if not found:
            raise NotFound(f"there is no webhook {webhook_id} of yours")
        return found[0]

    async def change(self, webhook_id: UUID, to: WebhookChange, caller: Caller) -> dict[str, Any]:
        """Change it, and try at once what waits; raises NotFound, InvalidInput."""
        await self.one(webhook_id, caller)
        if to.url is not None:
            ensure_allowed(to.url, private=self._private)
        async with self._database.pool.acquire() as connection, connection.transaction():
            now = self._clock.now()
            await connection.execute(repository.CHANGE, webhook_id, to.url, to.description, to.enabled, now)
            told = to.model_dump(exclude_none=True)
            await self._note(connection, caller, "webhook.changed", webhook_id, told)
        return await self.one(webhook_id, caller)

    async def remove(self, webhook_id: UUID, caller: Caller) -> None:
        """Remove it with its deliveries; raises NotFound."""
        await self.one(webhook_id, caller)
        async with self._database.pool.acquire() as connection, connection.transaction():
            await connection.execute(repository.REMOVE, webhook_id)
            await self._note(connection, caller, "webhook.removed", webhook_id, {})

    async def rotate(self, webhook_id: UUID, caller: Caller) -> tuple[str, Any]:
        """A new secret, and until when the one before signs as well; an older one stops at once. Raises NotFound."""
        await self.one(webhook_id, caller)
        secret, until = signing.new_secret(), self._clock.now() + BOTH_VALID
        async with self._database.pool.acquire() as connection, connection.transaction():
            await connection.execute(repository.ROTATE, webhook_id, secret, until)
            await self._note(connection, caller, "webhook.rotated", webhook_id, {})
        return secret, until

    async def deliveries(
        self, webhook_id: UUID, caller: Caller, state: str | None, before: int | None, limit: int
    ) -> list[dict[str, Any]]:
        """Its deliveries, the newest first; raises NotFound."""
        await self.one(webhook_id, caller)
        return await repository.deliveries(self._database.pool, webhook_id, state, before, limit)

    async def replay(self, webhook_id: UUID, caller: Caller, since: int | None, *, failed: bool) -> int:
        """Send again what failed, and all from the number `since` on; returns how many. Raises NotFound."""
        await self.one(webhook_id, caller)
        now = self._clock.now()
        async with self._database.pool.acquire() as connection, connection.transaction():
            status = await connection.execute(repository.REPLAY, webhook_id, now, now + GIVE_UP, failed, since)
            count = int(status.split()[-1])
            await self._note(connection, caller, "webhook.replayed", webhook_id, {"deliveries": count})
        return count

    async def test(self, webhook_id: UUID, caller: Caller) -> Attempt:
        """Send a signed message of the type `webhook.test` now; raises NotFound."""
        await self.one(webhook_id, caller)
        row, now = await fetch_one(self._database.pool, repository.SECRETS, webhook_id), self._clock.now()
        body = json.dumps({"type": "webhook.test", "timestamp": now.isoformat(), "data": {}}).encode()
        headers = signing.headers(f"msg_{uuid4()}", now, body, signing.valid(dict(row), now))
        async with Sender(private=self._private, at_once=1) as sender:
            return await sender.send(row["url"], headers, body)

    async def _note(
        self, connection: Connection, caller: Caller, what: str, webhook_id: UUID, told: dict[str, Any]
    ) -> None:
        await append(connection, self._clock.now(), caller.subject, what, f"webhook {webhook_id}", told)
