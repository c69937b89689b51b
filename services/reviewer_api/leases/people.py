"""Who is there to review."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from secondlook.common.postgres import Connection, fetch_one
from secondlook.common.service.api_keys import key_holders
from secondlook.common.service.permissions import Caller, Permission, roles_that_may
from secondlook.reviewer_api.accounts.repository import account_holders

AWAY = timedelta(days=7)  # who has neither asked for an item nor got a key for so long is not waited for


_REVIEW, _LEAD = (
    ", ".join(f"'{role}'" for role in roles_that_may(permission))
    for permission in (Permission.REVIEW, Permission.ESCALATIONS)
)
# $1 is the time. A claim reads this too, as far as it needs it.
PRESENT = f"""
SELECT coalesce(array_agg(subject) FILTER (WHERE role IN ({_REVIEW})), '{{}}') AS reviewers,
       coalesce(array_agg(subject) FILTER (WHERE role IN ({_LEAD})), '{{}}') AS leads
FROM (
    SELECT role, subject, created_at FROM api_key
    WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1)
    UNION ALL
    SELECT role, subject, created_at FROM account WHERE disabled_at IS NULL
) AS everyone
WHERE created_at > $1 - interval '{AWAY.days} days'
   OR EXISTS (SELECT FROM reviewer_seen WHERE reviewer = subject AND seen_at > $1 - interval '{AWAY.days} days')
"""  # noqa: S608 - made of constants


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
    row = await fetch_one(connection, PRESENT, now)
    return People(frozenset(row["reviewers"]), frozenset(row["leads"]))
