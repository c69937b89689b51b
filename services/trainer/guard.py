"""The guard reads the audits of what bundles decide. It switches off a side that is wrong too often, and ends a canary.

Reading the audits is cheap, so the guard repeats it every few seconds; the bound holds at all those moments together.
"""

import asyncio
import dataclasses
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.classifier import Classifier
from secondlook.common.bundle.files import read_manifest
from secondlook.common.bundle.manifest import Manifest
from secondlook.common.bundle.sides import Side, bare, sides, upheld, without
from secondlook.common.bundle.store import open_bundle
from secondlook.common.contract.policy import Policy
from secondlook.common.service.unit_of_work import Transactions
from secondlook.common.text.scope import Scope
from secondlook.trainer import certification
from secondlook.trainer.data.audited import AUDITED, EVERY_LABEL
from secondlook.trainer.evidence.alarms import Drift
from secondlook.trainer.evidence.watch import Audited, SideState, judge, wrongly
from secondlook.trainer.metrics import TrainerMetrics
from secondlook.trainer.registry import BundleRow, Registry
from secondlook.trainer.reissue import reissue
from secondlook.trainer.settings import TrainerSettings
from secondlook.trainer.stages import BundleStage

IN_ORDER = f"""
SELECT received, scores, labels, number FROM ({AUDITED}) AS settled WHERE labels <> '{{}}' ORDER BY received
"""  # noqa: S608 - made of constants
TEXTS = "SELECT received, text FROM label WHERE received = ANY($1::bigint[])"

CHUNK = 256  # texts that are looked at together
KEPT = 2  # open bundles: the active one and the canary

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sighting:
    """The active bundle as the guard last saw it: its thresholds, and what audits say of each of its sides."""

    bundle_version: str
    thresholds: CertifiedThresholds | None
    states: tuple[SideState, ...] = ()


class Guard:
    """Watches the active bundle and the canary, and moves candidates from stage to stage."""

    def __init__(
        self, settings: TrainerSettings, transactions: Transactions, registry: Registry, metrics: TrainerMetrics
    ) -> None:
        self._settings, self._transactions = settings, transactions
        self._registry, self._metrics = registry, metrics
        self.sighting: Sighting | None = None
        self._watched: tuple[str, int] = "", 0  # weights, and the newest of their audits that was looked at for drift
        self._drift = Drift()
        self._manifests: dict[str, Manifest] = {}  # by the sha256 of their bundles
        self._opened: dict[str, Classifier] = {}  # by the sha256 of their bundles
        self._scopes: dict[tuple[str, int], Scope] = {}  # whether the weights were made for a text

    async def watch(self, policy: Policy) -> None:
        """Switch off the sides that audits refute, end a canary that they refute, and move candidates on."""
        if policy.mode == "certified":
            if (active := await self._registry.active()) is not None:
                await self._check_active(active, policy)
            if (canary := await self._registry.at(BundleStage.CANARY)) is not None:
                await self._check_canary(canary, policy)
        await self._advance()

    async def _check_active(self, active: BundleRow, policy: Policy) -> None:
        thresholds = await self._thresholds(active, policy)
        if thresholds is None:
            self.sighting = Sighting(active.bundle_version, None)
            return
        now, pool = self._transactions.clock.now(), self._transactions.database.pool
        refuted = set(await certification.switched_off(pool, active.weights))
        audited = await self._audited(active)
        self._warn(active.weights, audited, thresholds)
        states = judge(audited, thresholds, policy.risk, await certification.marks(pool))
        self.sighting = Sighting(active.bundle_version, thresholds, tuple(states))
        for state in states:
            self._metrics.audits.labels(str(state.side)).set(state.audits)
            self._metrics.audit_errors.labels(str(state.side)).set(state.errors)
            if state.fired and state.side not in refuted:
                log.error("side switched off", **_told(state), bundle=active.bundle_version)
                await certification.fire(
                    pool, active.weights, state.side, state.audits, state.errors, state.lower, state.epsilon, now
                )
                refuted.add(state.side)
        for side in {*sides(thresholds), *refuted}:
            self._metrics.side_off.labels(str(side)).set(side in refuted)
        if off := refuted.intersection(sides(thresholds)):
            await self._switch_off(active, off)

    async def _switch_off(self, active: BundleRow, off: Collection[Side]) -> None:
        """Publish the bundle again without these sides, so that people review their items from now on."""
        thresholds = (await self._manifest(active)).thresholds or CertifiedThresholds()
        now = self._transactions.clock.now()
        version = f"{active.weights}-a{now:%m%dT%H%M%S%f}"
        uri, sha256 = await asyncio.to_thread(
            reissue, active.uri, active.sha256, self._cache, self._settings.bundle_uri,
            bundle_version=version, created_at=now, thresholds=without(thresholds, off),
        )  # fmt: skip
        bundle = BundleRow(
            bundle_version=version, uri=uri, sha256=sha256, policy_version=active.policy_version, labels=active.labels,
            metrics=active.metrics, reasons=(f"audits switched off: {', '.join(sorted(map(str, off)))}",),
            created_at=now, weights=active.weights, encoder_sha256=active.encoder_sha256,
        )  # fmt: skip
        async with self._transactions.begin() as work:
            await self._registry.add(work, bundle)
            await self._registry.activate(work, version, active.bundle_version)

    async def _check_canary(self, canary: BundleRow, policy: Policy) -> None:
        thresholds = await self._thresholds(canary, policy)
        if thresholds is None:
            return
        marks = await certification.marks(self._transactions.database.pool)
        for state in judge(await self._audited(canary), thresholds, policy.risk, marks):
            if state.fired:
                told = f"stepped back: {state.errors} of {state.audits} audits of {state.side} were wrong"
                async with self._transactions.begin() as work:
                    await self._registry.clear(work, BundleStage.CANARY, told)
                log.error("canary stepped back", **_told(state), bundle=canary.bundle_version)
                return

    async def _audited(self, bundle: BundleRow) -> list[Audited]:
        rows = await self._transactions.database.pool.fetch(IN_ORDER, bundle.weights, *EVERY_LABEL)
        await self._look(bundle, [row["received"] for row in rows])
        return [
            Audited(
                row["received"], row["scores"], row["labels"], self._scopes[bundle.weights, row["received"]],
                row["number"],
            )
            for row in rows
        ]  # fmt: skip

    async def _look(self, bundle: BundleRow, audited: Sequence[int]) -> None:
        """Find out which of these items the bundle was made for, once for each."""
        new = [number for number in audited if (bundle.weights, number) not in self._scopes]
        if not new:
            return
        classifier = await self._classifier(bundle)
        for start in range(0, len(new), CHUNK):
            rows = await self._transactions.database.pool.fetch(TEXTS, new[start : start + CHUNK])
            scopes = await asyncio.to_thread(classifier.scopes, [row["text"] for row in rows])
            self._scopes |= {
                (bundle.weights, row["received"]): Scope(scope)
                for row, scope in zip(rows, scopes.tolist(), strict=True)
            }

    async def _classifier(self, bundle: BundleRow) -> Classifier:
        """That of the bundle, kept for the next audits, which come all the time."""
        if bundle.sha256 not in self._opened:
            if len(self._opened) >= KEPT:
                self._opened.clear()
            opened = await asyncio.to_thread(open_bundle, bundle.uri, bundle.sha256, self._cache)
            self._opened[bundle.sha256] = opened.classifier
        return self._opened[bundle.sha256]

    def _warn(self, weights: str, audited: Sequence[Audited], thresholds: CertifiedThresholds) -> None:
        """Warn when audit errors or scores have changed. A person should look then; no side is switched off for it."""
        known, mark = self._watched
        if known != weights:
            self._drift, mark = Drift(), 0
        decides = bare(thresholds)
        for item in audited:
            if item.received <= mark:
                continue
            wrong = [wrongly(side, item, decides) for side in sides(thresholds)]
            series = {"highest score": max(item.scores.values(), default=0.0)}
            if any(each is not None for each in wrong):
                series["audit errors"] = float(True in wrong)
            for name, value in series.items():
                warning = self._drift.add(name, value)
                if warning is not None and known == weights:  # older changes were reported before
                    self._metrics.drift.labels(name).inc()
                    log.warning("drift", **dataclasses.asdict(warning))
        self._watched = weights, max((item.received for item in audited), default=mark)

    async def _advance(self) -> None:
        """shadow → canary → active, each after its time."""
        now, settings = self._transactions.clock.now(), self._settings
        canary, shadow = await self._registry.at(BundleStage.CANARY), await self._registry.at(BundleStage.SHADOW)
        for candidate, minutes in ((canary, settings.canary_minutes), (shadow, settings.shadow_minutes)):
            if candidate is None or candidate.staged_at is None:
                continue
            if now - candidate.staged_at >= timedelta(minutes=minutes):
                async with self._transactions.begin() as work:
                    await self._registry.move_on(work, candidate.bundle_version, candidate.stage, settings)
                log.info("candidate moved on", bundle=candidate.bundle_version, from_stage=candidate.stage)
                return

    async def _thresholds(self, bundle: BundleRow, policy: Policy) -> CertifiedThresholds | None:
        """What the bundle decides by under the policy; None if nothing was ever certified for it."""
        manifest = await self._manifest(bundle)
        return None if manifest.thresholds is None else upheld(policy, manifest.thresholds, manifest.labels)

    async def _manifest(self, bundle: BundleRow) -> Manifest:
        if bundle.sha256 not in self._manifests:
            manifest = await asyncio.to_thread(read_manifest, bundle.uri, bundle.sha256, self._cache)
            self._manifests[bundle.sha256] = manifest
        return self._manifests[bundle.sha256]

    @property
    def _cache(self) -> Path:
        return Path(self._settings.encoder_cache) / "bundles"


def _told(state: SideState) -> dict[str, Any]:
    return {
        "side": str(state.side), "audits": state.audits, "errors": state.errors,
        "at_least": round(state.lower, 5), "allowed": state.epsilon,
    }  # fmt: skip
