"""The production transport: Apache Kafka.

A service publishes by an insert into its outbox, within its transaction; relays send the outbox's rows. It reads from
its own stored position; the offsets that Kafka keeps for a group serve lag tools only.
"""

import asyncio
import heapq
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAlreadyExistsError, for_code

from secondlook.common.backoff import Backoff
from secondlook.common.bus import Bus, BusObserver, Consumer, Message, Record, Topic, outbox
from secondlook.common.bus.kafka_consumer import KafkaConsumer
from secondlook.common.bus.kafka_partition import PartitionReader, Unreadable, last_records
from secondlook.common.bus.kafka_record import available, in_time, to_record
from secondlook.common.bus.kafka_relay import Relay
from secondlook.common.errors import BusUnavailable, ConfigurationError
from secondlook.common.postgres import Connection, Database
from secondlook.common.settings import CommonSettings

REQUEST_MS = 10_000
FOLLOWED = 256  # records a look
FOLLOW_SECONDS = 0.05
FOLLOWERS = "its followers"

log = structlog.get_logger()


class KafkaBus(Bus):
    """Bus on Kafka. It connects when it is first needed, so publishing works while Kafka is away."""

    def __init__(self, database: Database, settings: CommonSettings) -> None:
        self._database, self._settings = database, settings
        self._client, self._prefix = client_options(settings), settings.kafka_prefix
        self._topics: list[Topic] = []
        self._log: str | None = None
        self._connecting = asyncio.Lock()
        self._unreadable = Unreadable()

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        self._topics, self._log = list(topics), None
        await self.identify()

    async def identify(self) -> str:
        """The name of this log, by the cluster's id. The topics exist once it returns.

        Raises:
            BusUnavailable: Kafka cannot be reached.
            ConfigurationError: a topic has the wrong settings, or is missing and cannot be created.
        """
        async with self._connecting:
            if self._log is None:
                async with self._admin() as admin:
                    cluster = await admin.describe_cluster()
                    await self._create(admin)
                    self._log = f"kafka:{cluster['cluster_id']}{self._prefix and f':{self._prefix}'}"
        return self._log

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**self._client, request_timeout_ms=REQUEST_MS)
        try:
            with available(f"Kafka at {self._settings.kafka_bootstrap} cannot be used"):
                with _logged() as reasons:
                    try:
                        await admin.start()
                    except KafkaConnectionError as error:  # for a wrong password too; only the log tells which
                        raise KafkaConnectionError("; ".join(dict.fromkeys(reasons)) or str(error)) from error
                yield admin
        finally:
            await admin.close()

    async def _create(self, admin: AIOKafkaAdminClient) -> None:
        known = set(await admin.list_topics())
        missing = [topic for topic in self._topics if self._prefix + topic.name not in known]
        if missing:
            answer = await admin.create_topics([self._new(topic) for topic in missing], timeout_ms=REQUEST_MS)
            for name, code, *detail in answer.topic_errors:
                if code and for_code(code) is not TopicAlreadyExistsError:
                    raise _uncreated(name, for_code(code), detail[0] if detail else None)
        there = await self._partitions(admin)
        for topic in self._topics:
            if there[topic.name] < topic.partitions or (topic.compacted and there[topic.name] > 1):
                raise ConfigurationError(_unlike(topic, there[topic.name]))

    async def _partitions(self, admin: AIOKafkaAdminClient) -> dict[str, int]:
        """Partitions by topic; Kafka shows a new topic only after a moment."""
        names = [self._prefix + topic.name for topic in self._topics]
        async with asyncio.timeout(REQUEST_MS / 1000):
            while True:
                found = await admin.describe_topics(names) if names else []
                there = {topic["topic"]: len(topic["partitions"]) for topic in found}
                if all(there.get(name) for name in names):
                    return {name.removeprefix(self._prefix): number for name, number in there.items()}
                await asyncio.sleep(0.1)

    def _new(self, topic: Topic) -> NewTopic:
        configs = {"cleanup.policy": "compact" if topic.compacted else "delete"}
        return NewTopic(
            self._prefix + topic.name, topic.partitions, self._settings.kafka_replication, topic_configs=configs
        )

    async def run(self, observer: BusObserver) -> None:
        self._unreadable.report_to(observer)
        await Relay(self._database, self._client, self._prefix, self.identify, observer).run()

    async def publish(self, connection: Connection, messages: Sequence[Message]) -> None:
        await outbox.append(connection, messages)

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        return KafkaConsumer(
            self._database, self._client, self._settings, self.identify, group, topics, self._unreadable
        )

    async def follow(self, topic: str, apply: Callable[[Record], Awaitable[None]], ready: Callable[[], None]) -> None:
        backoff, told = Backoff(), False

        def once() -> None:
            nonlocal told
            backoff.reset()
            self._unreadable.set(f"{topic}[0] for {FOLLOWERS}", None)
            if not told:
                told = True
                ready()

        while True:
            try:
                await self._follow(topic, apply, once)
            except BusUnavailable as error:
                self._unreadable.set(f"{topic}[0] for {FOLLOWERS}", str(error))
                seconds = backoff.wait()
                log.warning("waiting for Kafka", topic=topic, error=str(error), seconds=round(seconds, 1))
                await asyncio.sleep(seconds)

    async def _follow(self, topic: str, apply: Callable[[Record], Awaitable[None]], ready: Callable[[], None]) -> None:
        """Read a topic from its beginning; `apply` must recognise a record that it has applied before."""
        log_name, slot = await self.identify(), TopicPartition(self._prefix + topic, 0)
        reader = PartitionReader(FOLLOWERS, self._prefix, self._unreadable)
        consumer = AIOKafkaConsumer(
            **self._client, enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed"
        )
        try:
            with available(f"topic {topic}"):
                await consumer.start()
                consumer.assign([slot])
                end = (await in_time(consumer.end_offsets([slot]), REQUEST_MS / 1000))[slot]
                await consumer.seek_to_beginning(slot)
                newest: dict[str, Record] = {}
                while await consumer.position(slot) < end:
                    for found in await self._next(reader, consumer, slot):
                        record = to_record(found, log_name, self._prefix)
                        newest[record.key] = record
                for record in sorted(newest.values(), key=lambda r: r.offset):
                    await apply(record)
                ready()
                while True:
                    for found in await self._next(reader, consumer, slot):
                        await apply(to_record(found, log_name, self._prefix))
        finally:
            reader.keep(())
            with suppress(KafkaError, TimeoutError):
                await in_time(consumer.stop(), REQUEST_MS / 1000)

    async def _next(self, reader: PartitionReader, consumer: AIOKafkaConsumer, slot: TopicPartition) -> list[Any]:
        """What a follower reads next; empty after a moment without any."""
        await reader.check(consumer)
        found = await reader.read(consumer, slot, FOLLOWED)
        if not found:
            await asyncio.sleep(FOLLOW_SECONDS)
        return found

    async def tail(self, topic: str, records: int) -> list[Record]:
        log_name, name = await self.identify(), self._prefix + topic
        async with self._admin() as admin:
            # Some brokers create a missing topic that is asked for by name.
            known = name in await admin.list_topics()
            described = await admin.describe_topics([name]) if known else []
        slots = [TopicPartition(name, found["partition"]) for topic in described for found in topic["partitions"]]
        consumer = AIOKafkaConsumer(
            **self._client, enable_auto_commit=False, auto_offset_reset="earliest", isolation_level="read_committed"
        )
        newest: list[Record] = []
        try:
            with available(f"topic {topic}"):
                await in_time(consumer.start(), REQUEST_MS / 1000)
                first = await in_time(consumer.beginning_offsets(slots), REQUEST_MS / 1000)
                end = await in_time(consumer.end_offsets(slots), REQUEST_MS / 1000)
                for slot in slots:
                    consumer.assign([slot])
                    found = await last_records(consumer, slot, range(first[slot], end[slot]), records)
                    newest += [to_record(record, log_name, self._prefix) for record in found]
                    newest = heapq.nlargest(records, newest, key=lambda r: (r.written_at, r.partition, r.offset))
        finally:
            with suppress(KafkaError, TimeoutError):
                await in_time(consumer.stop(), REQUEST_MS / 1000)
        return newest[::-1]


@contextmanager
def _logged() -> Iterator[list[str]]:
    """What aiokafka logs as an error meanwhile."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    listener, logger = Listener(logging.ERROR), logging.getLogger("aiokafka")
    logger.addHandler(listener)
    try:
        yield lines
    finally:
        logger.removeHandler(listener)


def client_options(settings: CommonSettings) -> dict[str, Any]:
    """The options of every aiokafka client.

    Raises:
        ConfigurationError: the settings contradict each other, or a certificate cannot be read.
    """
    if not settings.kafka_bootstrap:
        raise ConfigurationError("SECONDLOOK_KAFKA_BOOTSTRAP is not set: name the brokers, as host:port,host:port")
    options: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security,
        "client_id": "second-look",
        "retry_backoff_ms": 300,
    }
    if settings.kafka_security.startswith("SASL"):
        if not settings.kafka_username or settings.kafka_password is None:
            raise ConfigurationError(
                f"SECONDLOOK_KAFKA_SECURITY={settings.kafka_security} needs SECONDLOOK_KAFKA_USERNAME and _PASSWORD"
            )
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password.get_secret_value(),
        }
    if settings.kafka_security.endswith("SSL"):
        options["ssl_context"] = _tls(settings)
    return options


def _tls(settings: CommonSettings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.kafka_ca_file)
        if settings.kafka_cert_file:
            context.load_cert_chain(settings.kafka_cert_file, settings.kafka_key_file)
    except OSError as error:
        files = "SECONDLOOK_KAFKA_CA_FILE, _CERT_FILE and _KEY_FILE"
        raise ConfigurationError(f"the certificates for Kafka cannot be read: {error} (check {files})") from error
    return context


def _uncreated(name: str, error: type[KafkaError], detail: str | None) -> Exception:
    why = detail or error.__name__
    if issubclass(error, KafkaConnectionError) or error.retriable:
        return BusUnavailable(f"topic {name} cannot be created yet: {why}")
    return ConfigurationError(
        f"topic {name} does not exist and cannot be created ({why}): create it, or grant the right to create topics"
    )


def _unlike(topic: Topic, there: int) -> str:
    if topic.compacted:
        return f"topic {topic.name} has {there} partitions and must have 1, or its records have no order: recreate it"
    return (
        f"topic {topic.name} has {there} partitions, fewer than the {topic.partitions} of SECONDLOOK_PARTITIONS: "
        "add partitions to the topic or lower the setting"
    )
