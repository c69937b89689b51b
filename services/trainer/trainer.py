"""Decides when to train, runs it, and publishes what the gate lets through."""

import time
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from services.common.bus import Record
from services.common.errors import InvalidInput, TrainingRefused
from services.common.events import PolicyPublished
from services.common.unit_of_work import Transactions
from services.common.wire import decode
from services.trainer.metrics import TrainerMetrics
from services.trainer.registry import BundleRow, Registry
from services.trainer.runner import Job, TrainingFailed, run_job
from services.trainer.runs import Runs
from services.trainer.schedule import Situation, due
from services.trainer.settings import TrainerSettings

log = structlog.get_logger()


class Trainer:
    """The training loop. Run one a deployment: a second one would fit every model twice, and publish it once."""

    def __init__(
        self,
        settings: TrainerSettings,
        transactions: Transactions,
        registry: Registry,
        runs: Runs,
        metrics: TrainerMetrics,
    ) -> None:
        self._settings, self._transactions = settings, transactions
        self._registry, self._runs, self._metrics = registry, runs, metrics
        self._policy: PolicyPublished | None = None

    async def on_policy(self, record: Record) -> None:
        """Take up a policy."""
        try:
            event = decode(record)
        except InvalidInput as error:
            log.error("policy record refused", offset=record.offset, error=str(error))
            return
        if isinstance(event, PolicyPublished):
            self._policy = event

    async def step(self) -> None:
        """Queue a run if one is due, and carry out the one that is queued."""
        if self._policy is None:
            return
        now = self._transactions.clock.now()
        await self._runs.reset(now)  # steps do not overlap: what still runs was cut off
        run_id = await self._runs.queued()
        if run_id is None:
            after = timedelta(hours=self._settings.retrain_hours)
            reason = due(now, await self._situation(), after_labels=self._settings.retrain_labels, after=after)
            if reason is None:
                return
            run_id = await self._runs.request(reason, now)
        await self._carry_out(run_id, self._policy)

    async def _situation(self) -> Situation:
        latest = await self._runs.latest()
        last = latest[0] if latest else None
        active = await self._registry.active()
        new_labels = await self._runs.new_labels(last.label_mark if last else 0)
        self._metrics.new_labels.set(new_labels)
        return Situation(
            policy_version=self._policy.version if self._policy else None,
            policy_labels=frozenset(self._policy.policy.labels if self._policy else ()),
            active_labels=frozenset(active.labels) if active else None,
            new_labels=new_labels,
            last_run_at=last.requested_at if last else None,
            last_policy_version=last.policy_version if last else None,
        )

    async def _carry_out(self, run_id: UUID, policy: PolicyPublished) -> None:
        started = time.monotonic()
        await self._runs.start(run_id, policy.version, self._transactions.clock.now())
        run = await self._runs.get(run_id)
        assert run is not None  # noqa: S101
        active = await self._registry.active()
        job = Job(
            policy.policy,
            policy.version,
            run.label_mark,
            active.uri if active else None,
            active.sha256 if active else None,
        )
        log.info("training", run=str(run_id), reason=run.reason, policy_version=policy.version)
        self._metrics.running.set(1)
        try:
            result = await run_job(job, lambda detail: self._runs.progress(run_id, detail))
        except (TrainingRefused, TrainingFailed) as error:
            state = "refused" if isinstance(error, TrainingRefused) else "failed"
            await self._end(run_id, state, str(error), None)
        else:
            bundle = BundleRow(
                bundle_version=result["bundle_version"],
                uri=result["uri"],
                sha256=result["sha256"],
                stage="refused",
                policy_version=policy.version,
                labels=tuple(result["labels"]),
                metrics=result["metrics"],
                reasons=tuple(result["reasons"]),
                created_at=datetime.fromisoformat(result["created_at"]),
                promoted_at=None,
                removed_at=None,
            )
            state = "promoted" if result["promote"] else "kept"
            await self._end(run_id, state, "; ".join(bundle.reasons), bundle)
            await self._registry.prune(self._settings.keep_bundles, self._transactions.clock.now())
        finally:
            self._metrics.running.set(0)
            self._metrics.run_seconds.set(time.monotonic() - started)

    async def _end(self, run_id: UUID, state: str, detail: str, bundle: BundleRow | None) -> None:
        async with self._transactions.begin() as work:
            if bundle is not None:
                await self._registry.add(work, bundle)
                if state == "promoted":
                    await self._registry.activate(work, bundle.bundle_version)
            await self._runs.finish(work, run_id, state, detail)
        self._metrics.runs.labels(state).inc()
        log.info("training ended", run=str(run_id), state=state, detail=detail)
