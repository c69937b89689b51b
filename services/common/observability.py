"""Structured logs, readiness and the metrics that every service has. Content never goes into a log line."""

import logging
import math
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry

from secondlook.common.metrics import Catalogue, counter, gauge, histogram
from secondlook.common.printable import printable, printable_values

REPEAT_SECONDS = 10.0
TRACES = frozenset({"exception", "stack"})
UNREADABLE = "cannot read "  # begins the readiness reasons of partitions


def configure_logging(service: str, level: str, form: str) -> None:
    """Log to standard error, one line an event: JSON for machines, `console` for people."""
    finish = _finish(form)
    structlog.configure(
        processors=[*_SHARED, *finish],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )
    structlog.contextvars.bind_contextvars(service=service)
    libraries = logging.StreamHandler(sys.stderr)
    libraries.addFilter(_Once())
    libraries.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, structlog.stdlib.add_logger_name],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *finish,
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[libraries])


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso"),
]


def _finish(form: str) -> list[Any]:
    renderer: Any = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    return [structlog.processors.format_exc_info, _escape, renderer]


def configure_command() -> None:
    """What a command logs goes to standard error as it is at that moment: standard output is for the result."""
    structlog.configure(
        processors=[*_SHARED, *_finish("console")], logger_factory=lambda *_: structlog.PrintLogger(sys.stderr)
    )


def _escape(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> dict[str, Any]:
    """A value from outside can neither control the terminal that shows the log nor begin a line of its own.

    Tracebacks keep their lines, behind a margin.
    """
    return {
        printable(name): _trace(value) if name in TRACES and isinstance(value, str) else _plain(value)
        for name, value in event.items()
    }


def _trace(value: str) -> str:
    return printable(value, keep="\n").replace("\n", "\n  ")


def _plain(value: Any) -> Any:
    """Both renderers write what is no text by its `repr`, which may hold such characters too."""
    return value if value is None or isinstance(value, bool | int | float) else printable_values(_as_text(value))


def _as_text(value: Any) -> Any:
    return value if isinstance(value, str | Mapping | list | tuple | set | frozenset) else repr(value)


class _Once(logging.Filter):
    """Lets a library's line through once in REPEAT_SECONDS: clients repeat themselves while their broker is away."""

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


class StreamFamily(Catalogue):
    """The metric families that all consumer loops of a process share."""

    records = counter("secondlook_stream_records", "Records processed, dead letters included", "group")
    dead_letters = counter("secondlook_stream_dead_letters", "Records set aside as dead letters", "group")
    batch_size = histogram(
        "secondlook_stream_batch_size", "Records a batch", "group", buckets=(1, 4, 16, 64, 128, 256, 512, 1024)
    )
    waiting = gauge("secondlook_stream_waiting", "1 while the loop waits for a dependency", "group")
    fenced = counter(
        "secondlook_stream_fenced", "Batches rolled back because another member had taken the partition", "group"
    )
    lag = gauge("secondlook_stream_lag", "Records not processed yet", "group")

    def __init__(self, registry: CollectorRegistry, health: Health) -> None:
        super().__init__(registry)
        self._health = health

    def of(self, group: str) -> StreamMetrics:
        """The metrics of one consumer group's loop."""
        return StreamMetrics(self, self._health, group)


class BusMetrics(Catalogue):
    """Metrics and readiness of the transport's own work in a process. Implements `BusObserver`."""

    outbox_sent = counter("secondlook_outbox_sent", "Messages put on Kafka")
    outbox_messages = gauge("secondlook_outbox_messages", "Messages that are not on Kafka yet")
    outbox_age = gauge("secondlook_outbox_age_seconds", "Age of the oldest message that is not on Kafka yet")
    unreadable_partitions = gauge(
        "secondlook_bus_unreadable_partitions", "Partitions that this process reads and cannot read on in"
    )
    signatures_checked = gauge(
        "secondlook_signatures_checked", "1 if policies, bundles and figures on the bus are signed and checked"
    )
    records_refused = counter(
        "secondlook_records_refused",
        "Records of state topics that were refused, by reason (unsigned, wrong_signature, replayed); what was in "
        "force stayed",
        "topic",
        "reason",
    )

    def __init__(self, registry: CollectorRegistry, health: Health) -> None:
        super().__init__(registry)
        self._health = health
        self._cannot_read: set[str] = set()

    def sent(self, messages: int) -> None:
        self.outbox_sent.inc(messages)

    def backlog(self, messages: int, seconds: float) -> None:
        self.outbox_messages.set(messages)
        self.outbox_age.set(seconds)

    def waiting(self, reason: str | None) -> None:
        if reason is None:
            self._health.ready("bus")
        else:
            self._health.unready("bus", reason)

    def unreadable(self, partitions: Mapping[str, str]) -> None:
        self.unreadable_partitions.set(len(partitions))
        for name in self._cannot_read - partitions.keys():
            self._health.ready(f"{UNREADABLE}{name}")
        for name, reason in partitions.items():
            self._health.unready(f"{UNREADABLE}{name}", reason)
        self._cannot_read = set(partitions)

    def signatures(self, checked: bool) -> None:
        self.signatures_checked.set(checked)

    def refused(self, topic: str, reason: str) -> None:
        self.records_refused.labels(topic, reason).inc()
