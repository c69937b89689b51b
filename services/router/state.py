"""The policy and the bundle in force, followed from their topics and swapped whole while items flow."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from services.common.bus import Record
from services.common.errors import InvalidInput
from services.common.events import BundlePublished, PolicyPublished
from services.common.policy import Policy, Thresholds
from services.common.wire import decode
from services.router.metrics import RouterMetrics

log = structlog.get_logger()


class Prediction(Protocol):
    @property
    def scores(self) -> NDArray[np.float32]: ...

    @property
    def embeddings(self) -> NDArray[np.float32]: ...

    @property
    def whole(self) -> NDArray[np.bool_]: ...


class Model(Protocol):
    """A bundle, as the router sees it."""

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
    """What a batch is decided by. `model` is None unless it scores every label of the policy."""

    policy: Policy | None
    policy_version: int | None
    model: Model | None

    @property
    def thresholds(self) -> Thresholds:
        if self.policy is not None and self.policy.mode == "fixed":
            return self.policy.thresholds
        return self.model.thresholds if self.model is not None else Thresholds()

    def scores(self, row: Sequence[float]) -> dict[str, float] | None:
        """The scores of the policy's labels, by name; None unless each score is a probability."""
        if self.policy is None or self.model is None or not all(0 <= score <= 1 for score in row):
            return None
        named = zip(self.model.labels, row, strict=True)
        return {label: score for label, score in named if label in self.policy.labels}


class RoutingState:
    """Follows `policy.published` and `routing.bundle`. A bundle that does not hold up changes nothing."""

    def __init__(self, load: LoadModel, metrics: RouterMetrics) -> None:
        self._load, self._metrics = load, metrics
        self._published: PolicyPublished | None = None
        self._wanted: BundlePublished | None = None
        self._loaded: BundlePublished | None = None
        self._model: Model | None = None
        self._loading = asyncio.Lock()

    def in_force(self) -> InForce:
        """A consistent pair of policy and bundle; also says in the metrics whether there is one."""
        published, model = self._published, self._model
        policy = published.policy if published else None
        covered = policy is not None and model is not None and set(policy.labels) <= set(model.labels)
        self._metrics.bundle_usable.set(covered)
        return InForce(policy, published.version if published else None, model if covered else None)

    async def on_policy(self, record: Record) -> None:
        event = _read(record)
        if isinstance(event, PolicyPublished) and (not self._published or event.version > self._published.version):
            self._published = event
            self._metrics.policy_version.set(event.version)
            self.in_force()
            log.info("policy in force", version=event.version, mode=event.policy.mode)

    async def on_bundle(self, record: Record) -> None:
        event = _read(record)
        if not isinstance(event, BundlePublished) or event.stage != "active":
            return
        # An event can repeat, also after a newer one; each activation has a later time than the one before.
        if self._wanted is None or event.published_at >= self._wanted.published_at:
            self._wanted = event
            await self.take_up()

    async def take_up(self) -> None:
        """Load the bundle that was published last, unless it is in force. To be repeated: its storage may come back."""
        async with self._loading:
            wanted = self._wanted
            if wanted is None or (self._loaded is not None and self._loaded.sha256 == wanted.sha256):
                return
            try:
                self._model = await asyncio.to_thread(self._load, wanted.uri, wanted.sha256)
            except Exception as error:
                # Whatever a loader raises must not stop the router: the bundle in use stays.
                self._metrics.bundle_refused.inc()
                kept = self._loaded.bundle_version if self._loaded else None
                log.error("bundle refused", version=wanted.bundle_version, kept=kept, error=repr(error))
                return
            self._loaded = wanted
            self.in_force()
            log.info("bundle in force", version=wanted.bundle_version)


def _read(record: Record) -> BundlePublished | PolicyPublished | None:
    try:
        event = decode(record)
    except InvalidInput as error:
        log.error("state record refused", topic=record.topic, offset=record.offset, error=str(error))
        return None
    return event if isinstance(event, BundlePublished | PolicyPublished) else None
