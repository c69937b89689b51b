"""Opens the transport that the settings name."""

from datetime import timedelta

import structlog

from secondlook.common.bus import Bus
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.signatures.keyring import Keyring
from secondlook.common.bus.signatures.signed_bus import SignedBus
from secondlook.common.bus.topics import topics
from secondlook.common.errors import BusUnavailable, ConfigurationError
from secondlook.common.postgres import Database
from secondlook.common.settings import CommonSettings

log = structlog.get_logger()


def open_bus(settings: CommonSettings, database: Database) -> SignedBus:
    """The bus of a service, over its own database. It connects later, when it is first used.

    Raises:
        ConfigurationError: the settings of Kafka contradict each other, or its client library is missing.
    """
    return SignedBus(_transport(settings, database), Keyring(settings.signing_keys))


def _transport(settings: CommonSettings, database: Database) -> Bus:
    if settings.bus == "postgres":
        return PostgresBus(database, timedelta(hours=settings.retention_hours))
    try:
        from secondlook.common.bus.kafka import KafkaBus  # here: an extra
    except ImportError as error:
        raise ConfigurationError("the Kafka client is missing: pip install 'second-look[kafka]'") from error
    return KafkaBus(database, settings)


async def service_bus(settings: CommonSettings, database: Database) -> SignedBus:
    """The bus of a service that starts, with all topics. While Kafka is unreachable, its users wait for it.

    Raises:
        ConfigurationError: as `open_bus`, or a topic has the wrong settings.
    """
    bus = open_bus(settings, database)
    try:
        await bus.ensure_topics(topics(settings.partitions))
    except BusUnavailable as error:
        log.warning("waiting for the bus", error=str(error))
    return bus
