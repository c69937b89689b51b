"""The policy and the bundles in force, followed from their topics and replaced as a whole while items flow."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import structlog

from secondlook.common.bundle.prediction import Prediction
from secondlook.common.bundle.sides import in_force
from secondlook.common.bus import Record
from secondlook.common.bus.wire import decode
from secondlook.common.contract.events import BundlePublished, ContentSubmitted, PolicyPublished
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.common.errors import InvalidInput
from secondlook.router.coin.secret import CoinSecret
from secondlook.router.metrics import RouterMetrics

StageName = Literal["active", "canary", "shadow"]
STAGES: tuple[StageName, ...] = ("active", "canary", "shadow")

log = structlog.get_logger()


class Model(Protocol):
    """A bundle, as far as the router needs to know it."""

    @property
    def version(self) -> str: ...

    @property
    def labels(self) -> Sequence[str]: ...

    @property
    def thresholds(self) -> Thresholds:
        """The certified thresholds; a side without a certificate is off."""

    def classify(self, texts: Sequence[str]) -> Prediction: ...


LoadModel = Callable[[str, str], Model]


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy and the bundle that decide an item. `model` is None unless it scores every label of the policy."""

    policy: Policy | None
    policy_version: int | None
    model: Model | None

    @property
    def version(self) -> str | None:
        return self.model.version if self.model is not None else None

    @property
    def thresholds(self) -> Thresholds:
        """The policy's own thresholds in mode fixed, else those of the bundle."""
        return in_force(self.policy, self.model.thresholds if self.model is not None else Thresholds())

    def scores(self, row: Sequence[float] | None) -> dict[str, float] | None:
        """The scores of the policy's labels, by name, from those of a `Classified`; None where the row has none."""
        if self.policy is None or self.model is None or row is None:
            return None
        named = zip(self.model.labels, row, strict=True)
        return {label: score for label, score in named if label in self.policy.labels}


@dataclass(frozen=True, slots=True)
class Canary:
    """A second bundle that decides a share of the content, under the same policy."""

    force: InForce
    share: float

    def takes(self, content: ContentSubmitted, secret: CoinSecret) -> bool:
        """Whether the canary decides it: the same for all revisions, and independent of the audit coin.

        The secret decides, so that no author can choose names that a canary decides.
        """
        return secret.canary(content) < self.share


class Stages(NamedTuple):
    """The bundles in force at one moment, without a canary or shadow that is the active bundle itself."""

    active: InForce
    canary: Canary | None
    shadow: InForce | None


class _Stage:
    """The bundle of one stage: the record published for it last, and its model.

    The active stage keeps its model until the next one is loaded; the others have the model of their newest record or
    none.
    """

    def __init__(self, name: StageName, load: LoadModel, metrics: RouterMetrics) -> None:
        self.model: Model | None = None
        self.wanted: BundlePublished | None = None
        self._name, self._load, self._metrics = name, load, metrics
        self._loaded = ""  # sha256 of `model`
        self._loading = asyncio.Lock()

    def want(self, event: BundlePublished) -> bool:
        """Remember a record as the newest; False if a later one is known."""
        # An event can repeat, also after a newer one; each activation has a later time than the one before.
        if self.wanted is not None and event.published_at < self.wanted.published_at:
            return False
        self.wanted = event
        if self._name != "active" and not self._wants(self._loaded):
            self.model, self._loaded = None, ""
        log.info("bundle published", stage=self._name, version=event.bundle_version, in_force=event.in_force)
        return True

    def _wants(self, sha256: str) -> bool:
        return self.wanted is not None and self.wanted.in_force and self.wanted.sha256 == sha256

    async def take_up(self) -> None:
        async with self._loading:
            wanted = self.wanted
            if wanted is None or not wanted.in_force or self._wants(self._loaded):
                return
            try:
                model = await asyncio.to_thread(self._load, wanted.uri, wanted.sha256)
            except Exception as error:
                # Whatever a loader raises must not stop the router: the active bundle stays.
                refused = self._metrics.stage_refused.labels(self._name)
                (self._metrics.bundle_refused if self._name == "active" else refused).inc()
                kept = self.model.version if self.model is not None else None
                log.error(
                    "bundle refused", stage=self._name, version=wanted.bundle_version, kept=kept, error=repr(error)
                )
                return
            if self._wants(wanted.sha256):  # not if another one was published meanwhile
                self.model, self._loaded = model, wanted.sha256
                log.info("bundle in force", stage=self._name, version=wanted.bundle_version)


class RoutingState:
    """Follows `policy.published` and `routing.bundle`. A bundle that is refused changes nothing."""

    def __init__(self, load: LoadModel, metrics: RouterMetrics) -> None:
        self._metrics = metrics
        self._published: PolicyPublished | None = None
        self._stages: dict[StageName, _Stage] = {stage: _Stage(stage, load, metrics) for stage in STAGES}
        self._taking_up: set[asyncio.Task[None]] = set()

    def stages(self) -> Stages:
        """Policy and bundles that fit together."""
        active, canary, shadow = (self._in_force(self._stages[stage]) for stage in STAGES)
        second, beside = (force if force.version not in (None, active.version) else None for force in (canary, shadow))
        wanted = self._stages["canary"].wanted
        return Stages(active, Canary(second, wanted.share) if second and wanted else None, beside)

    def _measure(self) -> None:
        """Show in the metrics which stages have a bundle of use; to be called after every change."""
        stages = self.stages()
        self._metrics.bundle_usable.set(stages.active.model is not None)
        self._metrics.stage_usable.labels("canary").set(stages.canary is not None)
        self._metrics.stage_usable.labels("shadow").set(stages.shadow is not None)

    def in_force(self) -> InForce:
        """The policy and the active bundle."""
        return self.stages().active

    def _in_force(self, stage: _Stage) -> InForce:
        policy, model = (self._published.policy if self._published else None), stage.model
        covered = policy is not None and model is not None and set(policy.labels) <= set(model.labels)
        return InForce(policy, self._published.version if self._published else None, model if covered else None)

    async def on_policy(self, record: Record) -> None:
        event = _read(record)
        if isinstance(event, PolicyPublished) and (not self._published or event.version > self._published.version):
            self._published = event
            self._metrics.policy_version.set(event.version)
            self._measure()
            log.info("policy in force", version=event.version, mode=event.policy.mode)

    async def on_bundle(self, record: Record) -> None:
        """Returns once an active bundle is loaded or refused; a canary or a shadow loads in the background."""
        event = _read(record)
        if not isinstance(event, BundlePublished) or not self._stages[event.stage].want(event):
            return
        self._measure()
        if event.stage == "active":
            await self.take_up()
        else:
            # However long it takes, it holds up neither the start nor the next active bundle.
            task = asyncio.create_task(self.take_up(event.stage))
            self._taking_up.add(task)
            task.add_done_callback(self._taking_up.discard)

    async def take_up(self, stage: StageName = "active") -> None:
        """Load the stage's newest bundle, unless it is loaded. Call it again later: its storage may be back by then."""
        await self._stages[stage].take_up()
        self._measure()


def _read(record: Record) -> BundlePublished | PolicyPublished | None:
    try:
        event = decode(record)
    except InvalidInput as error:
        log.error("state record refused", topic=record.topic, offset=record.offset, error=str(error))
        return None
    return event if isinstance(event, BundlePublished | PolicyPublished) else None
