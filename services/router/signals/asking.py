"""Gathers what other classifiers say of content: what upstream sent with it, and what the policy has the router ask."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from secondlook.common.clock import Clock, SystemClock
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.fields import MAX_SIGNALS
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.signals import SignalEndpoint, SignalsPolicy
from secondlook.router.signals.budget import Budget
from secondlook.router.signals.endpoint import AskedEndpoint
from secondlook.router.signals.metrics import SignalMetrics
from secondlook.router.signals.reading import Heard


@dataclass(frozen=True, slots=True)
class ToldContent:
    """Content with its signals, and why others that were asked for did not come."""

    content: ContentSubmitted
    missing: Mapping[str, str] = field(default_factory=dict)


class AskedSignals:
    """Asks the endpoints of the policy in force, all at once. An endpoint whose settings change starts anew.

    Missing signals are missing: whoever routes decides what follows.
    """

    def __init__(
        self,
        budget: Budget,
        metrics: SignalMetrics,
        hosts: Collection[str] = (),
        clock: Clock | None = None,
    ) -> None:
        self._budget, self._metrics = budget, metrics
        self._hosts, self._clock = frozenset(hosts), clock or SystemClock()
        self._endpoints: dict[str, tuple[SignalEndpoint, AskedEndpoint]] = {}

    async def gather(self, policy: Policy | None, contents: Sequence[ContentSubmitted]) -> list[ToldContent]:
        """The items in their order. Takes no longer than the slowest endpoint's `timeout_seconds`."""
        signals = policy.signals if policy is not None else SignalsPolicy()
        endpoints = await self._of(signals)
        if not contents or not endpoints:
            told = [ToldContent(content) for content in contents]
        else:
            heard = await asyncio.gather(*(endpoint.ask(contents) for endpoint in endpoints))
            told = [joined(content, each, signals) for content, *each in zip(contents, *heard, strict=True)]
        for name in signals.required:
            lacking = sum(name not in each.content.signals for each in told)
            self._metrics.missing.labels(name).inc(lacking)
        return told

    async def aclose(self) -> None:
        """Close all connections."""
        await self._of(SignalsPolicy())

    async def _of(self, signals: SignalsPolicy) -> list[AskedEndpoint]:
        for name, (settings, endpoint) in list(self._endpoints.items()):
            if signals.ask.get(name) != settings:
                del self._endpoints[name]
                await endpoint.close()
        for name, settings in signals.ask.items():
            if name not in self._endpoints:
                made = AskedEndpoint(name, settings, self._hosts, self._budget, self._metrics, self._clock)
                self._endpoints[name] = settings, made
        return [endpoint for _, endpoint in self._endpoints.values()]


def joined(content: ContentSubmitted, heard: Sequence[Heard], signals: SignalsPolicy) -> ToldContent:
    """What was heard beside what upstream sent. What the router asks for itself is never upstream's word, also where no
    answer came; of more than an item may have, those that the policy names come first. Pure."""
    asked = {name: value for each in heard for name, value in each.signals.items()}
    missing = {name: why for each in heard for name, why in each.missing.items()}
    sent = {name: value for name, value in content.signals.items() if name not in signals.asked}
    ranked = sorted(sent, key=lambda name: (name not in signals.required, name))
    kept = {name: sent[name] for name in ranked[: MAX_SIGNALS - len(asked)]}
    return ToldContent(content.model_copy(update={"signals": {**kept, **asked}}), missing)


def parse_hosts(listed: str) -> frozenset[str]:
    """The host names in a list with commas; a URL or a port beside one is not minded."""
    parts = [part.strip() for part in listed.split(",") if part.strip()]
    return frozenset(urlsplit(part if "//" in part else f"//{part}").hostname or part for part in parts)
