"""Publish a policy and know the one in force."""

from typing import Any

from secondlook.common.bus.wire import MAX_BYTES
from secondlook.common.contract.events import PolicyPublished
from secondlook.common.contract.policy import Policy, refuse_reserved, refuse_unaudited
from secondlook.common.errors import Conflict, NotFound, PolicyRejected
from secondlook.common.service.unit_of_work import Transactions, UnitOfWork
from secondlook.reviewer_api.audit_log.repository import append
from secondlook.reviewer_api.policies.repository import PolicyRepository, PublishedPolicy


class PolicyService:
    """Policies as leads and the command line use them. Knows nothing of HTTP."""

    def __init__(self, transactions: Transactions, policies: PolicyRepository | None = None) -> None:
        self._transactions, self._policies = transactions, policies or PolicyRepository()

    async def publish(self, policy: Policy, published_by: str, *, over: int | None = None) -> int:
        """Put a policy in force and tell every service; returns its version.

        A policy equal to the one in force changes nothing and returns that one's version. `published_by` is a
        pseudonym. Safe to call at once from several processes: each gets a version of its own, unless `over` names the
        version that must still be in force (0: none).

        Raises:
            PolicyRejected: it is too large for the bus, or gives a new label a reserved name.
            Conflict: `policy_changed`: another version than `over` is in force.
        """
        async with self._transactions.begin() as work:
            await self._policies.lock(work.connection)
            active = await self._policies.active(work.connection)
            if over is not None and over != (active.version if active else 0):
                now = f"version {active.version}, by {active.published_by}," if active else "no policy"
                raise Conflict("policy_changed", f"{now} is in force by now, not version {over}: read it first")
            return await self._publish(work, active, policy, published_by)

    async def switch(self, published_by: str, *, kill_switch: bool) -> int:
        """Publish the policy in force with its kill switch set so; returns its version. One that is set so stays.

        No other policy can come between: whatever is in force when this returns has the switch set so.

        Raises:
            NotFound: no policy has been published yet.
        """
        async with self._transactions.begin() as work:
            await self._policies.lock(work.connection)
            active = await self._policies.active(work.connection)
            if active is None:
                raise NotFound("no policy has been published yet, so nothing is automatic")
            policy = active.policy.model_copy(update={"kill_switch": kill_switch})
            return await self._publish(work, active, policy, published_by)

    async def _publish(
        self, work: UnitOfWork, active: PublishedPolicy | None, policy: Policy, published_by: str
    ) -> int:
        """Under the lock, over the policy in force."""
        if active is not None and active.policy.model_dump_json() == policy.model_dump_json():
            return active.version
        _refuse(policy, active)
        version = active.version + 1 if active else 1
        published = PublishedPolicy(version, policy, work.clock.now(), published_by)
        await self._policies.insert(work.connection, published)
        told = {"name": policy.name, "kill_switch": policy.kill_switch}
        await append(work.connection, work.clock.now(), published_by, "policy.published", f"policy {version}", told)
        work.publish(_event(published))
        return version

    async def check(self, policy: Policy) -> None:
        """Raises PolicyRejected where `publish` would."""
        active = await self.active()
        if active is None or active.policy != policy:
            _refuse(policy, active)

    async def publish_again(self) -> bool:
        """Publish the policy in force as it is, for whoever has not read it; False if there is none."""
        async with self._transactions.begin() as work:
            await self._policies.lock(work.connection)
            active = await self._policies.active(work.connection)
            if active is not None:
                work.publish(_event(active))
            return active is not None

    async def active(self) -> PublishedPolicy | None:
        """The policy in force, or None while none was published."""
        async with self._transactions.database.pool.acquire() as connection:
            return await self._policies.active(connection)

    async def version(self, version: int) -> PublishedPolicy:
        """One version, known to exist; raises NotFound."""
        async with self._transactions.database.pool.acquire() as connection:
            active = await self._policies.active(connection)
            if active is None or not 1 <= version <= active.version:
                raise NotFound(f"there is no policy version {version}")
            return await self._policies.version(connection, version)

    async def all(self) -> list[dict[str, Any]]:
        """Every version, newest first, without its document."""
        async with self._transactions.database.pool.acquire() as connection:
            return await self._policies.all(connection)


def _refuse(policy: Policy, active: PublishedPolicy | None) -> None:
    """Raises PolicyRejected for what may not follow the policy in force."""
    if len(policy.model_dump_json().encode()) > MAX_BYTES - 4096:
        raise PolicyRejected(f"policy is too large: at most {MAX_BYTES - 4096} bytes as JSON")
    refuse_reserved(policy, active.policy.labels if active else ())
    refuse_unaudited(policy, active.policy if active else None)


def _event(published: PublishedPolicy) -> PolicyPublished:
    return PolicyPublished(
        version=published.version,
        policy=published.policy,
        published_at=published.published_at,
        published_by=published.published_by,
    )
