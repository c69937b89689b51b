"""Kafka for tests: a real broker, one with passwords and certificates, and librdkafka's mock of a cluster."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any

import confluent_kafka
import trustme
from aiokafka.helpers import create_ssl_context
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from tests.requirements import unavailable
from tools.kafka.broker import Broker, Security
from tools.kafka.jars import BrokerUnavailable

USERS = {"admin": "admin-secret", "reader": "reader-secret"}


@contextmanager
def bootstrap_servers() -> Iterator[str]:
    """Address of SECONDLOOK_KAFKA_BOOTSTRAP, else of a broker started for the block; the test is skipped without."""
    if given := os.environ.get("SECONDLOOK_KAFKA_BOOTSTRAP"):
        yield given
        return
    with TemporaryDirectory(prefix="second-look-") as folder, started(Broker(Path(folder), quick=True)) as broker:
        yield broker.bootstrap


@contextmanager
def started(broker: Broker) -> Iterator[Broker]:
    """Run a broker for the block; the test is skipped where none can run."""
    try:
        broker.start()
    except BrokerUnavailable as error:
        unavailable("Kafka", error)
    try:
        yield broker
    finally:
        broker.stop()


@dataclass(frozen=True)
class SecureBroker:
    """A broker where `admin` may do everything, and `reader` may use topics and groups but make no topic.

    Its listeners: plain, where everyone may do everything, by password, and by client certificate. The files are PEM:
    the authority of all certificates, and certificate and key of a client named `admin`.
    """

    bootstrap: str
    sasl_bootstrap: str
    mtls_bootstrap: str
    authority: Path
    certificate: Path
    key: Path

    def by_password(self, user: str, password: str | None = None) -> dict[str, Any]:
        """Arguments for an aiokafka client that logs in as `user`, with the right password unless one is given."""
        return {
            "bootstrap_servers": self.sasl_bootstrap,
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": user,
            "sasl_plain_password": password or USERS[user],
            "ssl_context": create_ssl_context(cafile=str(self.authority)),
        }

    def by_certificate(self, *, shown: bool = True) -> dict[str, Any]:
        """Arguments for an aiokafka client on the listener for certificates; with `shown=False` it has none."""
        own = {"certfile": str(self.certificate), "keyfile": str(self.key)} if shown else {}
        return {
            "bootstrap_servers": self.mtls_bootstrap,
            "security_protocol": "SSL",
            "ssl_context": create_ssl_context(cafile=str(self.authority), **own),
        }


@contextmanager
def secured_broker() -> Iterator[SecureBroker]:
    """Run a broker with all listeners for the block; the test is skipped where none can run."""
    with TemporaryDirectory(prefix="second-look-") as name:
        folder = Path(name)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(folder / "authority.pem"))
        _write_certificate(authority.issue_cert("127.0.0.1", "localhost"), folder / "server.pem")
        client = authority.issue_cert("admin@example.org", common_name="admin")
        client.private_key_pem.write_to_path(str(folder / "client.key"))
        client.cert_chain_pems[0].write_to_path(str(folder / "client.pem"))
        security = Security(folder / "server.pem", folder / "authority.pem", USERS)
        with started(Broker(folder / "broker", secure=security, quick=True)) as broker:
            _allow_reader(broker.bootstrap)
            addresses = (broker.bootstrap, broker.sasl_bootstrap, broker.mtls_bootstrap)
            yield SecureBroker(*addresses, folder / "authority.pem", folder / "client.pem", folder / "client.key")


def _write_certificate(certificate: trustme.LeafCert, path: Path) -> None:
    # Kafka reads keys as PKCS #8 only.
    key = load_pem_private_key(certificate.private_key_pem.bytes(), None)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(pem + b"".join(part.bytes() for part in certificate.cert_chain_pems))


def _allow_reader(bootstrap: str) -> None:
    topics = [AclOperation.DESCRIBE, AclOperation.READ, AclOperation.WRITE]
    groups = [AclOperation.DESCRIBE, AclOperation.READ]
    bindings = [
        AclBinding(kind, "*", ResourcePatternType.LITERAL, "User:reader", "*", operation, AclPermissionType.ALLOW)
        for kind, operations in ((ResourceType.TOPIC, topics), (ResourceType.GROUP, groups))
        for operation in operations
    ]
    admin = AdminClient({"bootstrap.servers": bootstrap})
    for made in admin.create_acls(bindings).values():
        made.result(timeout=10)


class MockKafka:
    """A cluster inside librdkafka, to make brokers fail on demand; broker ids count from 1.

    It serves produce (also idempotent), fetch, offsets and groups of one member; topics come into being when they
    are first asked for, with 4 partitions, or by `create_topic`. It has no CreateTopics, no times of records, and
    no rebalance that an aiokafka consumer survives: use a real broker for those.
    """

    def __init__(self, brokers: int = 1) -> None:
        self._lib = library = ctypes.CDLL(confluent_kafka.cimpl.__file__)
        for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
            getattr(library, name).restype = ctypes.c_void_p
        library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
        conf = ctypes.c_void_p(library.rd_kafka_conf_new())
        error = ctypes.create_string_buffer(512)
        library.rd_kafka_conf_set(conf, b"log_level", b"0", error, 512)
        self._client = ctypes.c_void_p(library.rd_kafka_new(0, conf, error, 512))
        self._cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(self._client, brokers))
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(self._cluster, 0)
        self._brokers = brokers
        self.bootstrap: str = library.rd_kafka_mock_cluster_bootstraps(self._cluster).decode()

    def __enter__(self) -> "MockKafka":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)

    def create_topic(self, name: str, partitions: int) -> None:
        """Make a topic, replicated to all brokers."""
        self._check(self._lib.rd_kafka_mock_topic_create(self._cluster, name.encode(), partitions, self._brokers))

    def fail_next(self, api_key: int, *codes: int) -> None:
        """Answer the next requests of this kind with these error codes, one each, as the Kafka protocol counts them."""
        errors = (ctypes.c_int * len(codes))(*codes)
        count = ctypes.c_size_t(len(codes))
        self._lib.rd_kafka_mock_push_request_errors_array(self._cluster, ctypes.c_int16(api_key), count, errors)

    def down(self, broker: int) -> None:
        """Close a broker's connections and accept no more."""
        self._check(self._lib.rd_kafka_mock_broker_set_down(self._cluster, broker))

    def up(self, broker: int) -> None:
        """Let a broker that is down come back."""
        self._check(self._lib.rd_kafka_mock_broker_set_up(self._cluster, broker))

    def slow_down(self, broker: int, milliseconds: int) -> None:
        """Let a broker's answers take this long."""
        self._check(self._lib.rd_kafka_mock_broker_set_rtt(self._cluster, broker, milliseconds))

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Let this broker lead the partition; -1: none does."""
        leader = ctypes.c_int32(broker)
        self._check(self._lib.rd_kafka_mock_partition_set_leader(self._cluster, topic.encode(), partition, leader))

    def _check(self, code: int) -> None:
        assert code == 0, f"librdkafka's mock: error {code}"
