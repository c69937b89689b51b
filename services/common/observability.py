"""Structured logs, readiness and the metrics that every service has. Content never goes into a log line."""

import logging
import math
import sys
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

REPEAT_SECONDS = 10.0


def configure_logging(service: str, level: str, form: str) -> None:
    """Log to standard error, one line an event: JSON for machines, `console` for people."""
    renderer: Any = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)
    libraries = logging.StreamHandler(sys.stderr)
    libraries.addFilter(_Once())
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[libraries])


class _Once(logging.Filter):
    """Lets a line of a library through once in a while: clients of a broker that is away say the same many times."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        line = (record.name, record.msg)
        if record.created - self._said.get(line, -math.inf) < REPEAT_SECONDS:
            return False
        self._said[line] = record.created
        return True


class Health:
    """Named reasons why a service is not ready. Ready means: no reason left."""

    def __init__(self, *awaited: str) -> None:
        self._reasons: dict[str, str] = {}
        for name in awaited:
            self.wait_for(name)

    def wait_for(self, name: str) -> None:
        """Not ready until `name` is."""
        self.unready(name, "not there yet")

    def ready(self, name: str) -> None:
        self._reasons.pop(name, None)

    def unready(self, name: str, reason: str) -> None:
        self._reasons[name] = reason

    def reasons(self) -> dict[str, str]:
        return dict(self._reasons)


class StreamMetrics:
    """Metrics of one consumer loop; also keeps its readiness. Implements `StreamObserver`."""

    def __init__(self, family: "StreamFamily", health: Health, group: str) -> None:
        self._family, self._health, self._group = family, health, group

    def batch_done(self, records: int, dead_letters: int) -> None:
        self._family.records.labels(self._group).inc(records)
        self._family.dead_letters.labels(self._group).inc(dead_letters)
        self._family.batch_size.labels(self._group).observe(records)

    def fenced(self) -> None:
        self._family.fenced.labels(self._group).inc()

    def lag(self, records: int) -> None:
        self._family.lag.labels(self._group).set(records)

    def waiting(self, reason: str | None) -> None:
        name = f"stream:{self._group}"
        self._family.waiting.labels(self._group).set(reason is not None)
        if reason is None:
            self._health.ready(name)
        else:
            self._health.unready(name, reason)


class StreamFamily:
    """The metric families that all consumer loops of a process share."""

    def __init__(self, registry: CollectorRegistry, health: Health) -> None:
        self._health = health
        self.records = Counter(
            "secondlook_stream_records",
            "Records taken effect, dead letters included",
            ["group"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "secondlook_stream_dead_letters", "Records set aside as unreadable", ["group"], registry=registry
        )
        self.batch_size = Histogram(
            "secondlook_stream_batch_size", "Records a batch", ["group"],
            buckets=(1, 4, 16, 64, 128, 256, 512, 1024), registry=registry,
        )  # fmt: skip
        self.waiting = Gauge(
            "secondlook_stream_waiting",
            "1 while the loop waits for a dependency",
            ["group"],
            registry=registry,
        )
        self.fenced = Counter(
            "secondlook_stream_fenced",
            "Batches rolled back because another member had taken the partition",
            ["group"],
            registry=registry,
        )
        self.lag = Gauge("secondlook_stream_lag", "Records not yet done", ["group"], registry=registry)

    def of(self, group: str) -> StreamMetrics:
        """The metrics of one consumer group's loop."""
        return StreamMetrics(self, self._health, group)


class BusMetrics:
    """Metrics and readiness of the transport's own work in a process. Implements `BusObserver`."""

    def __init__(self, registry: CollectorRegistry, health: Health) -> None:
        self._health = health
        self._sent = Counter("secondlook_outbox_sent", "Messages put on Kafka", registry=registry)
        self._backlog = Gauge("secondlook_outbox_messages", "Messages that are not on Kafka yet", registry=registry)
        self._age = Gauge("secondlook_outbox_age_seconds", "Age of the oldest of them", registry=registry)

    def sent(self, messages: int) -> None:
        self._sent.inc(messages)

    def backlog(self, messages: int, seconds: float) -> None:
        self._backlog.set(messages)
        self._age.set(seconds)

    def waiting(self, reason: str | None) -> None:
        if reason is None:
            self._health.ready("bus")
        else:
            self._health.unready("bus", reason)
