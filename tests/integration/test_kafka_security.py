"""A secured Kafka through the settings: who may do what, and what whoever may not is told."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from secondlook.common.bus import Message, Record, Topic
from secondlook.common.bus.kafka import KafkaBus
from secondlook.common.errors import BusUnavailable, ConfigurationError
from secondlook.common.postgres import Database
from secondlook.common.settings import CommonSettings
from tests.contract.conftest import running
from tests.kafka_world import USERS, SecureBroker


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(database_url, "router", size=6) as database:
        yield database


def by_password(secure: SecureBroker, user: str = "admin", **other: Any) -> CommonSettings:
    return CommonSettings(
        **{
            "database_url": SecretStr("unused"),
            "bus": "kafka",
            "kafka_bootstrap": secure.sasl_bootstrap,
            "kafka_security": "SASL_SSL",
            "kafka_username": user,
            "kafka_password": SecretStr(USERS[user]),
            "kafka_ca_file": str(secure.authority),
            **other,
        }
    )


def by_certificate(secure: SecureBroker, **other: Any) -> CommonSettings:
    own = {"kafka_cert_file": str(secure.certificate), "kafka_key_file": str(secure.key)}
    address = secure.mtls_bootstrap
    return by_password(secure, kafka_bootstrap=address, kafka_security="SSL", **{**own, **other})


@pytest.mark.parametrize("settings", [by_password, by_certificate])
async def test_records_go_through_a_secured_kafka(
    settings: Any, secure_broker: SecureBroker, database: Database
) -> None:
    async with running(KafkaBus(database, settings(secure_broker)), database) as transport:
        await transport.with_topic(2)
        await transport.send(transport.message("a", "one"), Message(transport.topic, "b", b"two", {}))
        consumer = transport.consumer()
        seen: list[Record] = []
        while len(seen) < 2:
            seen += await transport.drain(consumer, lambda: True)
        assert sorted(record.value for record in seen) == [b"one", b"two"]
        await consumer.close()


REFUSED: dict[str, tuple[Any, type[Exception], str]] = {
    "wrong password": (
        lambda secure: by_password(secure, kafka_password=SecretStr("wrong")),
        BusUnavailable, "Authentication failed",
    ),
    "wrong authority": (lambda secure: by_password(secure, kafka_ca_file=None), BusUnavailable, "CERTIFICATE_VERIFY"),
    "no certificate": (
        lambda secure: by_certificate(secure, kafka_cert_file=None, kafka_key_file=None), BusUnavailable, "",
    ),
    "no encryption": (lambda secure: by_password(secure, kafka_security="PLAINTEXT"), BusUnavailable, ""),
    "no right to make a topic": (lambda secure: by_password(secure, "reader"), ConfigurationError, "refused"),
    "more replicas than brokers": (lambda secure: by_password(secure, kafka_replication=3), ConfigurationError, "3"),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "error", "words"), REFUSED.values(), ids=REFUSED)
async def test_whoever_is_refused_is_told_why_in_a_line(
    settings: Any, error: type[Exception], words: str, secure_broker: SecureBroker, database: Database
) -> None:
    known = settings(secure_broker)
    with pytest.raises(error) as raised:
        await KafkaBus(database, known).ensure_topics([Topic("refused", 2)])
    said = str(raised.value)
    assert words in said
    assert "\n" not in said
    assert "refused" in said or known.kafka_bootstrap in said, "it names the topic or the address"
    assert USERS["admin"] not in said


async def test_a_topic_with_too_few_partitions_is_refused_and_not_changed(
    secure_broker: SecureBroker, database: Database
) -> None:
    bus = KafkaBus(database, by_password(secure_broker))
    await bus.ensure_topics([Topic("few", 2)])
    with pytest.raises(ConfigurationError, match=r"few.* 2 partitions"):
        await bus.ensure_topics([Topic("few", 4)])
    await bus.ensure_topics([Topic("few", 2)])
