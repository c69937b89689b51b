"""The policy and the bundles in force, followed from their topics and replaced as a whole while items flow."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

import structlog

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.prediction import Prediction
from secondlook.common.bundle.sides import Side, held_back, in_force
from secondlook.common.bus import Record
from secondlook.common.bus.wire import decode
from secondlook.common.contract.events import BundlePublished, ContentSubmitted, PolicyPublished
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.common.contract.succession import takes_over
from secondlook.common.errors import BundleUntrusted, InvalidInput
from secondlook.common.head.signals import Said
from secondlook.router.coin.rates import Rates, audit_rates
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
    def certified(self) -> CertifiedThresholds | None:
        """The thresholds with their certificates, which follow from their numbers; a side without one is off."""

    def classify(self, texts: Sequence[str], signals: Said = ()) -> Prediction: ...


LoadModel = Callable[[str, str], Model]


@dataclass(frozen=True, slots=True)
class InForce:
    """The policy and the bundle that decide an item. `model` is None unless it scores every label of the policy."""

    policy: Policy | None
    policy_version: int | None
    model: Model | None
    items: int = 0  # of content, that the deployment has had
    raised: bool = False  # as much is audited as the policy allows
    # The policy's own in mode fixed, else those of the bundle that are as good as the policy asks.
    thresholds: Thresholds = field(init=False)
    rates: Rates | None = field(init=False)  # of audits

    def __post_init__(self) -> None:
        certified, labels = (self.model.certified, self.model.labels) if self.model is not None else (None, ())
        object.__setattr__(self, "thresholds", in_force(self.policy, certified, labels))
        object.__setattr__(self, "rates", self._rates())

    def _rates(self) -> Rates | None:
        return audit_rates(self.policy, self.items, raised=self.raised) if self.policy else None

    @property
    def version(self) -> str | None:
        return self.model.version if self.model is not None else None

    @property
    def held_back(self) -> dict[Side, str]:
        """The certified sides that the policy does not let decide, and why."""
        if self.policy is None or self.model is None or self.policy.mode == "fixed":
            return {}
        return held_back(self.policy, self.model.certified, self.model.labels)

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
        self._kept: BundlePublished | None = None  # the record before, of a bundle that was loaded or left the stage
        self._name, self._load, self._metrics = name, load, metrics
        self._loaded = ""  # sha256 of `model`
        self._loading = asyncio.Lock()

    def want(self, event: BundlePublished) -> bool:
        """Remember a record as the newest; False if a later one is known."""
        # An event can repeat, also after a newer one; each activation has a later time than the one before.
        if self.wanted is not None and event.published_at < self.wanted.published_at:
            return False
        self.wanted = event
        if not event.in_force:
            self._kept = event
        if self._name != "active" and not self._wants(self._loaded):
            self.model, self._loaded = None, ""
        log.info("bundle published", stage=self._name, version=event.bundle_version, in_force=event.in_force)
        return True

    def _wants(self, sha256: str) -> bool:
        return self.wanted is not None and self.wanted.in_force and self.wanted.sha256 == sha256

    async def take_up(self) -> None:
        async with self._loading:
            while (wanted := self.wanted) is not None and wanted.in_force and not self._wants(self._loaded):
                try:
                    model = await asyncio.to_thread(self._load, wanted.uri, wanted.sha256)
                except BundleUntrusted as error:
                    self._refuse(wanted, error)
                    if wanted is self._kept:  # it was trusted before: its place has changed
                        return
                    if self.wanted is wanted:  # as if it had never been published
                        self.wanted = self._kept
                    continue
                except Exception as error:
                    # Whatever a loader raises must not stop the router: the active bundle stays.
                    self._refuse(wanted, error)
                    return
                if self._wants(wanted.sha256):  # not if another one was published meanwhile
                    self.model, self._loaded, self._kept = model, wanted.sha256, wanted
                    log.info("bundle in force", stage=self._name, version=wanted.bundle_version)

    def _refuse(self, wanted: BundlePublished, error: Exception) -> None:
        refused = self._metrics.stage_refused.labels(self._name)
        (self._metrics.bundle_refused if self._name == "active" else refused).inc()
        kept = self.model.version if self.model is not None else None
        log.error("bundle refused", stage=self._name, version=wanted.bundle_version, kept=kept, error=repr(error))

    @property
    def sha256(self) -> str:
        """That of the model's bundle, empty without one."""
        return self._loaded


class RoutingState:
    """Follows `policy.published` and `routing.bundle`. A bundle that is refused changes nothing."""

    def __init__(self, load: LoadModel, metrics: RouterMetrics) -> None:
        self._metrics = metrics
        self._published: PolicyPublished | None = None
        self._stages: dict[StageName, _Stage] = {stage: _Stage(stage, load, metrics) for stage in STAGES}
        self._taking_up: set[asyncio.Task[None]] = set()
        self._held_back: dict[Side, str] = {}
        self._items = 0

    def count(self, items: int) -> None:
        """How many items of content the deployment has had, by which the share that is audited falls."""
        self._items = items
        self._measure()

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
        self._metrics.bundle_info.clear()
        for name, stage in self._stages.items():
            if stage.model is not None:
                self._metrics.bundle_info.labels(name, stage.model.version, stage.sha256).set(1)
        for outcome, rate in zip(("approve", "reject"), stages.active.rates or (), strict=False):
            self._metrics.audit_rate.labels(outcome).set(rate)
        held_back = stages.active.held_back
        self._metrics.side_held_back.clear()
        for side in held_back:
            self._metrics.side_held_back.labels(str(side)).set(1)
        if held_back != self._held_back:
            log.warning("sides held back", **{str(side): why for side, why in held_back.items()})
            self._held_back = held_back

    def in_force(self) -> InForce:
        """The policy and the active bundle."""
        return self.stages().active

    def _in_force(self, stage: _Stage) -> InForce:
        policy, model = (self._published.policy if self._published else None), stage.model
        covered = policy is not None and model is not None and set(policy.labels) <= set(model.labels)
        version = self._published.version if self._published else None
        raised = stage.wanted is not None and stage.wanted.raised
        return InForce(policy, version, model if covered else None, self._items, raised)

    async def on_policy(self, record: Record) -> None:
        event = _read(record)
        if not isinstance(event, PolicyPublished):
            return
        if takes_over(event, self._published):
            self._published = event
            self._metrics.policy_version.set(event.version)
            self._measure()
            log.info("policy in force", version=event.version, mode=event.policy.mode)
        elif self._published and event.version > self._published.version:
            self._metrics.policy_refused.inc()
            log.error("policy refused", version=event.version, kept=self._published.version, error="too far ahead")

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
