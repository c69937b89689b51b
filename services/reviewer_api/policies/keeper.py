"""Keeps the topic of policies equal to the policy that is in force here."""

from collections.abc import Mapping

import structlog

from secondlook.common.bus.signatures.keeper import Seen
from secondlook.common.bus.signatures.keyring import Authenticity
from secondlook.common.bus.wire import decode
from secondlook.common.contract.events import PolicyPublished
from secondlook.common.errors import InvalidInput
from secondlook.reviewer_api.policies.repository import PublishedPolicy
from secondlook.reviewer_api.policies.service import PolicyService

KEY = "policy"

log = structlog.get_logger()


async def agree(policies: PolicyService, newest: Mapping[str, Seen]) -> bool:
    """Publish the policy in force again unless it is the newest record; returns whether it had to.

    A genuine record of a later version stays: this database knows less than the bus, as after a restore.
    """
    active, seen = await policies.active(), newest.get(KEY)
    if active is None:
        return False
    published = _policy_in(seen)
    if seen is not None and published is not None:
        if seen.authenticity in (Authenticity.GENUINE, Authenticity.UNCHECKED) and _same(published, active):
            return False
        if seen.authenticity in (Authenticity.GENUINE, Authenticity.OLDER_KEY) and published.version > active.version:
            log.error("the bus holds a later policy", version=published.version, database=active.version)
            return False
    return await policies.publish_again()


def _policy_in(seen: Seen | None) -> PolicyPublished | None:
    if seen is None:
        return None
    try:
        event = decode(seen.record)
    except InvalidInput:  # of another version, or forged
        return None
    return event if isinstance(event, PolicyPublished) else None


def _same(published: PolicyPublished, active: PublishedPolicy) -> bool:
    return (published.version, published.policy) == (active.version, active.policy)
