"""Measures regularly and publishes the figures when they change, for reviewer_api to keep and people to read."""

import asyncio
import math
import time
from datetime import timedelta

import structlog

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bus.wire import decode
from secondlook.common.contract.events import QualityMeasured
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.quality import MAX_BUNDLES, MAX_GATE_REASONS, MeasuredAudits, MeasuredBundle
from secondlook.common.errors import InvalidInput
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer import certification
from secondlook.trainer.evidence.findings import Findings
from secondlook.trainer.guard import Guard, Sighting
from secondlook.trainer.quality import repository
from secondlook.trainer.quality.summary import LONGEST_REASON, Facts, summarise
from secondlook.trainer.registry import BundleRow, Registry

NEWEST = 10_000  # judgements that each published figure is about, so that measuring takes about a second at most

log = structlog.get_logger()


class QualityMonitor:
    """Publishes `quality.measured`. Run one a deployment: a second one would publish the same figures again."""

    def __init__(self, seconds: float, transactions: Transactions, registry: Registry, guard: Guard) -> None:
        self._seconds, self._transactions = seconds, transactions
        self._registry, self._guard = registry, guard
        self._published: QualityMeasured | None = None
        self._looked = False  # at what was published before this process
        self._measured_at, self._ended = -math.inf, ""  # when it last measured, and the run that had ended then

    def expire(self) -> None:
        """Something else than a run changed what the figures tell: measure at the next step."""
        self._measured_at = -math.inf

    async def step(self, policy: Policy | None) -> None:
        """Measure if a run has ended since the last time, or `seconds` have passed. Without a policy, do nothing."""
        if policy is None:
            return
        ended = await repository.last_ended_run(self._transactions.database.pool) or ""
        due = ended != self._ended or time.monotonic() - self._measured_at >= self._seconds
        if due and await self.measure(policy) is not None:
            self._measured_at, self._ended = time.monotonic(), ended

    async def measure(self, policy: Policy) -> QualityMeasured | None:
        """Measure now, and publish the figures if they differ from the last ones published.

        Returns None while the guard has yet to look at the active bundle: until then its sides are unknown.
        """
        facts = await self._gather(policy)
        if facts is None:
            return None
        now, before = self._transactions.clock.now(), await self._before()
        if before is not None:  # readers keep the latest, whatever the clocks of the hosts say
            now = max(now, before.measured_at + timedelta(microseconds=1))
        measured = await asyncio.to_thread(summarise, policy, facts, now)
        if before is None or before.model_copy(update={"measured_at": measured.measured_at}) != measured:
            async with self._transactions.begin() as work:
                work.publish(measured)
            self._published = measured
            log.info("quality measured", bundle=measured.bundle_version, certify_items=measured.certify_items)
        return measured

    async def _gather(self, policy: Policy) -> Facts | None:
        pool, active = self._transactions.database.pool, await self._registry.active()
        seen = self._guard.sighting
        if active is None or policy.mode == "fixed":  # no certificates, so the guard looks at no audits
            seen = Sighting(active.bundle_version if active else "", None)
        elif seen is None or seen.bundle_version != active.bundle_version:
            return None
        return Facts(
            bundle_version=seen.bundle_version or None,
            thresholds=seen.thresholds or CertifiedThresholds(),
            audited={
                state.side: MeasuredAudits(audits=state.audits, errors=state.errors, lower=state.lower)
                for state in seen.states
            },
            off=frozenset(await certification.switched_off(pool, active.weights)) if active else frozenset(),
            found=await self._found(policy, active.weights if active else None),
            ratings=await repository.ratings(pool, NEWEST),
            shared=await repository.shared_ratings(pool, NEWEST),
            uniform=await repository.uniform_labels(pool, NEWEST),
            decisions=await repository.audited_decisions(pool, NEWEST),
            scored=await repository.scored_answers(pool, NEWEST),
            second_looks=await repository.second_looks(pool),
            confirmed=await repository.confirmed(pool, NEWEST),
            bundles=[_bundle(row) for row in (await self._registry.all())[:MAX_BUNDLES]],
        )

    async def _found(self, policy: Policy, weights: str | None) -> Findings:
        """What the latest look at the evidence of the active weights found."""
        pool, claim = self._transactions.database.pool, certification.claim_of(policy)
        found = await certification.findings(pool, claim, weights) if weights and policy.mode == "certified" else None
        return found or Findings()

    async def _before(self) -> QualityMeasured | None:
        """The figures published last, also by an earlier process."""
        if not self._looked:
            for record in await self._transactions.bus.tail(QualityMeasured.topic, 1):
                try:
                    event = decode(record)
                except InvalidInput:  # of another version; it is replaced
                    continue
                self._published = event if isinstance(event, QualityMeasured) else None
            self._looked = True
        return self._published


def _bundle(row: BundleRow) -> MeasuredBundle:
    return MeasuredBundle(
        bundle_version=row.bundle_version, stage=row.stage.value, policy_version=row.policy_version,
        created_at=row.created_at, promoted_at=row.promoted_at, kept=row.removed_at is None,
        reasons=tuple(reason[:LONGEST_REASON] for reason in row.reasons[:MAX_GATE_REASONS]),
    )  # fmt: skip
