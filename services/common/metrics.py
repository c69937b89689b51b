"""Metrics as a typed catalogue: each is defined once, and the Prometheus objects are made from the definitions.

    class ShopMetrics(Catalogue):
        sold = counter("shop_sold", "Items sold", "kind")

    ShopMetrics(registry).sold.labels("book").inc()

The class lists its definitions, for the documentation; an instance holds the objects.
"""

from typing import Any, Generic, TypeVar, overload

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

MetricKind = TypeVar("MetricKind", Counter, Gauge, Histogram)


class Metric(Generic[MetricKind]):
    """The definition of a metric: an attribute of a catalogue's class, and its object on an instance of it."""

    def __init__(
        self, kind: type[MetricKind], name: str, help: str, labels: tuple[str, ...], buckets: tuple[float, ...] = ()
    ) -> None:
        self.kind: type[MetricKind] = kind
        self.name, self.help, self.labels, self.buckets = name, help, labels, buckets

    @property
    def exposed_name(self) -> str:
        """The name in queries: Prometheus appends `_total` to counters."""
        return f"{self.name}_total" if issubclass(self.kind, Counter) else self.name

    def make(self, registry: CollectorRegistry) -> MetricKind:
        """The object, registered."""
        more: dict[str, Any] = {"buckets": self.buckets} if self.buckets else {}
        made: MetricKind = self.kind(self.name, self.help, self.labels, registry=registry, **more)
        return made

    @overload
    def __get__(self, catalogue: None, owner: type) -> "Metric[MetricKind]": ...

    @overload
    def __get__(self, catalogue: "Catalogue", owner: type) -> MetricKind: ...

    def __get__(self, catalogue: "Catalogue | None", owner: type) -> "Metric[MetricKind] | MetricKind":
        # Never for an instance: there the object, set under the same name, comes first.
        return self


class Catalogue:
    """Base of a service's catalogue. One instance a process, on the process's registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        for attribute, metric in self._attributes().items():
            vars(self)[attribute] = metric.make(registry)

    @classmethod
    def definitions(cls) -> list[Metric[Any]]:
        """Every metric, in the order of its definition."""
        return list(cls._attributes().values())

    @classmethod
    def _attributes(cls) -> dict[str, Metric[Any]]:
        return {name: value for name, value in vars(cls).items() if isinstance(value, Metric)}


def counter(name: str, help: str, *labels: str) -> Metric[Counter]:
    """A count that only grows."""
    return Metric(Counter, name, help, labels)


def gauge(name: str, help: str, *labels: str) -> Metric[Gauge]:
    """A value that goes up and down."""
    return Metric(Gauge, name, help, labels)


def histogram(name: str, help: str, *labels: str, buckets: tuple[float, ...]) -> Metric[Histogram]:
    """Values, counted in buckets by their upper bounds."""
    return Metric(Histogram, name, help, labels, buckets)
