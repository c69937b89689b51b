"""The training loop: decides when a run is due, carries it out, and publishes the bundle that the gate lets through."""

import asyncio
import time
from datetime import timedelta
from uuid import UUID

import structlog

from secondlook.common.bus import Record
from secondlook.common.bus.wire import decode
from secondlook.common.contract.events import PolicyPublished
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.succession import takes_over
from secondlook.common.errors import InvalidInput
from secondlook.common.service.unit_of_work import Transactions, UnitOfWork
from secondlook.trainer import certification
from secondlook.trainer.bundle_files import remove_stray
from secondlook.trainer.data.evidence_rows import forget_scores, known_when_fitted
from secondlook.trainer.data.second_judgements import draw_lots
from secondlook.trainer.data.second_looks import ask
from secondlook.trainer.metrics import TrainerMetrics
from secondlook.trainer.registry import BundleRow, Registry
from secondlook.trainer.run.job import Failed, Job, Recertified, Refused, RunOutcome, StoredBundle, Trained, Waiting
from secondlook.trainer.run.process import carry_out
from secondlook.trainer.runs import Run, Runs, RunState
from secondlook.trainer.schedule import Situation, due
from secondlook.trainer.settings import TrainerSettings
from secondlook.trainer.stages import BundleStage

MAX_STARTS = 5  # of a fine-tuning run whose process is killed; each resumes where the last one was

log = structlog.get_logger()


class TrainingLoop:
    """Run one a deployment: a second one would fit every model twice, and publish it once."""

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
        """Train for this policy from now on."""
        try:
            event = decode(record)
        except InvalidInput as error:
            log.error("policy record refused", offset=record.offset, error=str(error))
            return
        if isinstance(event, PolicyPublished) and takes_over(event, self._policy):
            self._policy = event

    def hold_out(self) -> float:
        """The share of the content that no model learns from, of which the policy in force decides."""
        policy = self.policy
        return policy.audit.hold_out if policy is not None and policy.mode == "certified" else 0.0

    @property
    def policy(self) -> Policy | None:
        """The policy in force; None before the first one is read."""
        return self._policy.policy if self._policy else None

    async def step(self) -> None:
        """Queue a run if one is due, and carry out the queued one."""
        if self._policy is None:
            return
        now, settings = self._transactions.clock.now(), self._settings
        await self._runs.reset(now)  # steps do not overlap: a run that is still `running` was cut off
        await self._remove_strays()
        run_id = await self._runs.queued()
        if run_id is None:
            reason = due(
                now,
                await self._situation(self._policy),
                after_labels=settings.retrain_labels,
                after=timedelta(hours=settings.retrain_hours),
                certify_after=timedelta(hours=settings.certify_hours),
            )
            if reason is None:
                return
            run_id = await self._runs.request(reason, now)
        await self._carry_out(run_id, self._policy)

    async def _remove_strays(self) -> None:
        for stray in await self._runs.strays():
            try:
                found = await asyncio.to_thread(
                    remove_stray, self._settings.bundle_uri, stray.bundle_version, stray.created_at
                )
            except Exception as error:  # fsspec passes on all that its backends raise
                log.warning("cannot remove a stray bundle", bundle=stray.bundle_version, error=str(error))
                continue
            await self._runs.removed(stray)
            log.info("stray bundle", bundle=stray.bundle_version, run=str(stray.run_id), removed=found)

    async def _situation(self, policy: PolicyPublished) -> Situation:
        pool = self._transactions.database.pool
        last, active = await self._runs.latest_training(), await self._registry.active()
        weights = active.weights if active else ""
        look = await certification.latest(pool, certification.claim_of(policy.policy), weights)
        new_labels = await self._runs.new_labels(last.label_mark if last else 0)
        self._metrics.new_labels.set(new_labels)
        return Situation(
            policy_version=policy.version,
            policy_labels=frozenset(policy.policy.labels),
            active_labels=frozenset(active.labels) if active else None,
            new_labels=new_labels,
            last_run_at=last.requested_at if last else None,
            last_policy_version=last.policy_version if last else None,
            known_labels=last.label_mark if last else 0,
            certifies=policy.policy.mode == "certified",
            judgements=await certification.judgements(pool),
            looked_at=look.items if look else 0,
            last_look_at=look.started_at if look else None,
        )

    async def _carry_out(self, run_id: UUID, policy: PolicyPublished) -> None:
        started = time.monotonic()
        await self._runs.start(run_id, policy.version, self._transactions.clock.now())
        run = await self._runs.get(run_id)
        assert run is not None  # noqa: S101
        job = await self._job(run, policy)
        log.info("training", run=str(run_id), reason=run.reason, policy_version=policy.version)
        self._metrics.running.set(1)
        try:
            outcome = await carry_out(job, lambda words: self._runs.progress(run_id, words))
            if isinstance(outcome, Failed) and outcome.killed and job.mode == "finetune" and run.starts < MAX_STARTS:
                log.warning("fine-tuning was killed and resumes", run=str(run_id), starts=run.starts, why=outcome.why)
                return  # the next step finds it cut off
            await self._end(run_id, policy.version, outcome)
            if isinstance(outcome, Trained | Recertified):
                await self._registry.prune(self._settings.keep_bundles, self._transactions.clock.now())
                await forget_scores(self._transactions.database.pool)
        finally:
            self._metrics.running.set(0)
            self._metrics.run_seconds.set(time.monotonic() - started)

    async def _job(self, run: Run, policy: PolicyPublished) -> Job:
        pool, active, now = (
            self._transactions.database.pool, await self._registry.active(), self._transactions.clock.now()
        )  # fmt: skip
        if policy.policy.mode == "certified":
            await certification.begin(pool, certification.claim_of(policy.policy), run.run_id, now)
        fitted = await known_when_fitted(pool, active.weights) if active else None
        return Job(
            kind="certify" if run.reason == "certify" else "train",
            policy=policy.policy,
            policy_version=policy.version,
            label_mark=run.label_mark,
            active_uri=active.uri if active else None,
            active_sha256=active.sha256 if active else None,
            weights=active.weights if active else None,
            asked_mark=run.asked_mark,
            waiting=await self._waiting(),
            tried_mark=tried.label_mark if (tried := await self._runs.latest_training()) else 0,
            fitted_mark=run.asked_mark if fitted is None else fitted[0],
            learned_mark=0 if fitted is None else fitted[1],
            off=tuple(await certification.switched_off(pool, active.weights)) if active else (),
            run_id=run.run_id,
            mode=run.mode or self._settings.train_mode,
            judged_a_week=await certification.a_week(pool, now),
        )

    async def _waiting(self) -> Waiting | None:
        """The challenger that waits for evidence."""
        row = await self._registry.at(BundleStage.WAITING)
        fitted = await known_when_fitted(self._transactions.database.pool, row.weights) if row else None
        if row is None or fitted is None:
            return None
        return Waiting(
            uri=row.uri, sha256=row.sha256, weights=row.weights, fitted_mark=fitted[0], learned_mark=fitted[1]
        )  # fmt: skip

    async def _end(self, run_id: UUID, policy_version: int, outcome: RunOutcome) -> None:
        """Store the outcome, with everything that the run brought, in one transaction."""
        state, asked, drawn, settings = end_state(outcome), 0, 0, self._settings
        async with self._transactions.begin() as work:
            connection = work.connection
            if isinstance(outcome, Refused | Failed):
                detail, version = outcome.why, None
            else:
                detail, version = "; ".join(outcome.reasons), outcome.bundle.bundle_version if outcome.bundle else None
                await certification.end(connection, run_id, bundle_version=version, findings=outcome.findings)
                if (stage := await self._take(work, policy_version, outcome)) is not None:
                    detail = f"{stage}; {detail}"
                if isinstance(outcome, Trained):
                    asked = await ask(work, run_id, outcome.doubts, settings.second_looks)
                    share, most = settings.second_judgement_share, settings.second_judgements
                    drawn = await draw_lots(work, run_id, share, most)
            await self._runs.finish(work, run_id, state, detail, version)
        self._metrics.second_looks.inc(asked)
        self._metrics.second_judgements.inc(drawn)
        self._metrics.runs.labels(state).inc()
        log.info("training ended", run=str(run_id), state=state, detail=detail, second_looks=asked, by_lot=drawn)

    async def _take(self, work: UnitOfWork, policy_version: int, outcome: Trained | Recertified) -> BundleStage | None:
        """Register the bundle of a run and move it as the gate decided; returns the stage of a promoted new model."""
        if outcome.bundle is not None:
            await self._registry.add(work, _row(outcome.bundle, policy_version, outcome.reasons))
        if isinstance(outcome, Recertified):
            if outcome.bundle is not None:  # weights that were compared before: no stages to go through
                await self._registry.activate(work, outcome.bundle.bundle_version, outcome.replaces)
            if outcome.follows:
                await self._registry.dismiss(work)
            for side in outcome.certified_again:
                await certification.clear(work.connection, outcome.weights, side, work.clock.now())
            return None
        version = outcome.bundle.bundle_version
        if outcome.waits:
            await self._registry.wait(work, version)
            return BundleStage.WAITING
        await self._registry.dismiss(work)
        if outcome.promote:
            return await self._registry.move_on(work, version, BundleStage.STORED, self._settings)
        await self._registry.refuse(work, version)
        return None


def end_state(outcome: RunOutcome) -> RunState:
    """The state that a run with this outcome ends in. Pure."""
    match outcome:
        case Refused():
            return RunState.REFUSED
        case Failed():
            return RunState.FAILED
        case Trained():
            return RunState.PROMOTED if outcome.promote else RunState.KEPT
        case Recertified():
            return RunState.KEPT if outcome.bundle is None else RunState.PROMOTED


def _row(bundle: StoredBundle, policy_version: int, reasons: tuple[str, ...]) -> BundleRow:
    return BundleRow(
        **{**dict(bundle), "metrics": bundle.model_dump()["metrics"]}, policy_version=policy_version, reasons=reasons
    )
