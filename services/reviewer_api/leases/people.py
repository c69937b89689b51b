"""Who is there to review."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from secondlook.common.postgres import Connection
from secondlook.common.service.api_keys import key_holders
from secondlook.common.service.permissions import Caller, Permission
from secondlook.reviewer_api.accounts.repository import account_holders

AWAY = timedelta(days=7)  # who has neither asked for an item nor got a key for so long is not waited for
SEEN = "SELECT reviewer FROM reviewer_seen WHERE seen_at > $1"


@dataclass(frozen=True, slots=True)
class People:
    """The pseudonyms of everyone who reviews, and of those among them who may take escalated items."""

    reviewers: frozenset[str]
    leads: frozenset[str]

    def wanted(self) -> list[str]:
        """Whose work the queues are that the policy leaves to reviewers: everyone's but leads', if there is such."""
        return sorted(self.reviewers - self.leads or self.reviewers)


async def active_callers(connection: Connection, now: datetime) -> list[tuple[Caller, datetime]]:
    """Everyone who has an account or a key that works, and since when."""
    return [*await key_holders(connection, now), *await account_holders(connection)]


async def present(connection: Connection, now: datetime) -> People:
    """Everyone whose account or key permits to review, works, and was made or used for reviews in the last 7 days."""
    since = now - AWAY
    seen = {row["reviewer"] for row in await connection.fetch(SEEN, since)}
    everyone = await active_callers(connection, now)
    there = [caller for caller, created in everyone if created > since or caller.subject in seen]
    return People(
        frozenset(caller.subject for caller in there if caller.may(Permission.REVIEW)),
        frozenset(caller.subject for caller in there if caller.may(Permission.ESCALATIONS)),
    )
