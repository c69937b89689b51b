"""The broker that tests, benchmarks and `make kafka` start, and the mock of a cluster."""

import asyncio
import gc
import signal
import socket
import subprocess
import sys
import time
from asyncio.selector_events import _SelectorTransport  # type: ignore[attr-defined]
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError, TopicAuthorizationFailedError, for_code

from tests.kafka_world import MockKafka, SecureBroker, started
from tests.requirements import left_out, unavailable
from tests.waiting import until
from tools.kafka.broker import Broker
from tools.kafka.jars import BrokerUnavailable

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PRODUCE, NOT_LEADER = 0, 6  # an API key and an error code of the Kafka protocol


async def create(topic: str, **client: Any) -> type[KafkaError]:
    admin = AIOKafkaAdminClient(**client)
    try:
        await admin.start()
        answer = await admin.create_topics([NewTopic(topic, 2, 1)])
        error: type[KafkaError] = for_code(answer.topic_errors[0][1])
        return error
    finally:
        await admin.close()
        await until(_none_is_open)


def _none_is_open() -> bool:
    """No connection of this loop is open.

    aiokafka does not wait for the end of a TLS connection that was refused. A loop that ends first leaves the socket
    to whatever test the garbage is collected in.
    """
    loop = asyncio.get_running_loop()
    return not any(
        isinstance(each, _SelectorTransport) and each._loop is loop and each._sock is not None
        for each in gc.get_objects()
    )


async def write(topic: str, value: bytes, **client: Any) -> int:
    producer = AIOKafkaProducer(**client, enable_idempotence=True)
    try:
        await producer.start()
        return int((await producer.send_and_wait(topic, value, partition=0)).offset)
    finally:
        await producer.stop()


async def read(topic: str, **client: Any) -> bytes:
    async with asyncio.timeout(20), AIOKafkaConsumer(topic, auto_offset_reset="earliest", **client) as consumer:
        return bytes((await consumer.getone()).value)


def exists(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def test_a_topic_of_the_shared_broker_can_be_used(kafka_bootstrap: str) -> None:
    assert (await create("broker-shared", bootstrap_servers=kafka_bootstrap)).errno == 0
    assert await write("broker-shared", b"one", bootstrap_servers=kafka_bootstrap) == 0
    assert await read("broker-shared", bootstrap_servers=kafka_bootstrap) == b"one"


async def test_a_killed_broker_comes_back_with_its_data_and_address(tmp_path: Path) -> None:
    with started(Broker(tmp_path, quick=True)) as broker:
        address = broker.bootstrap
        await create("kept", bootstrap_servers=address)
        await write("kept", b"before", bootstrap_servers=address)
        broker.kill()
        assert broker.pid is None
        with pytest.raises(KafkaConnectionError):
            await write("kept", b"nobody there", bootstrap_servers=address)
        broker.start()
        assert broker.bootstrap == address
        assert await read("kept", bootstrap_servers=address) == b"before"
        assert await write("kept", b"after", bootstrap_servers=address) == 1


def test_no_broker_outlives_a_killed_owner(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tools.kafka.broker import Broker\n"
        "broker = Broker(Path(sys.argv[1]), quick=True); broker.start(); print(broker.pid, flush=True); time.sleep(60)"
    )
    with started(Broker(tmp_path / "first", quick=True)):
        pass  # skipped here where none can run
    command = [sys.executable, "-c", code, str(tmp_path / "second")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as owner:
        assert owner.stdout
        pid = int(owner.stdout.readline())
        assert exists(pid)
        owner.kill()
    deadline = time.monotonic() + 5
    while exists(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not exists(pid)


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        command = [sys.executable, "-m", "tools.kafka.broker", "--port", str(port), "--data-dir", str(tmp_path)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    if "needs Java" in done.stderr or "Maven" in done.stderr:
        unavailable("Kafka", done.stderr.strip().removeprefix("kafka: "))
    assert (done.returncode, done.stderr) == (2, f"kafka: port {port} on 127.0.0.1 is in use\n")


def test_ctrl_c_stops_the_foreground_broker_in_order(tmp_path: Path) -> None:
    with started(Broker(tmp_path / "first", quick=True)):
        pass  # skipped here where none can run
    command = [sys.executable, "-m", "tools.kafka.broker", "--port", str(free_port()), "--data-dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        try:
            assert "Kafka runs at 127.0.0.1:" in process.stdout.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0
            assert process.stderr.read() == ""
        finally:
            process.kill()
    # Kafka writes this file when it shuts down in order, and not when it is killed.
    assert (tmp_path / "data" / ".kafka_cleanshutdown").exists()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_missing_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerUnavailable, match=r"needs Java 17 or newer, and there is no java on the PATH"):
        Broker(tmp_path).start()


def test_old_java_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "java"
    java.write_text("#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n")
    java.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BrokerUnavailable, match=r'needs Java 17 or newer; .* is openjdk version "11\.0\.2"'):
        Broker(tmp_path).start()


def test_a_broker_that_does_not_start_shows_its_log(tmp_path: Path) -> None:
    with started(Broker(tmp_path, quick=True)):
        pass
    with pytest.raises(BrokerUnavailable, match=r"(?s)^Kafka ended while it started:\n.*log\.retention\.ms"):
        Broker(tmp_path, quick=True, settings={"log.retention.ms": "0"}).start()
    with pytest.raises(BrokerUnavailable, match=r"(?s)^Kafka cannot make .*log\.retention\.ms"):
        Broker(tmp_path / "new", quick=True, settings={"log.retention.ms": "0"}).start()


async def test_a_password_opens_the_secured_listener_and_a_wrong_one_does_not(
    secure_broker: SecureBroker, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await create("by-password", **secure_broker.by_password("admin"))).errno == 0
    with pytest.raises(KafkaConnectionError):
        await create("by-nobody", **secure_broker.by_password("admin", "wrong"))
    assert "invalid credentials" in caplog.text  # aiokafka logs the reason and raises another error


async def test_reader_uses_topics_and_makes_none(secure_broker: SecureBroker) -> None:
    reader = secure_broker.by_password("reader")
    await create("for-reader", bootstrap_servers=secure_broker.bootstrap)
    assert await create("of-reader", **reader) is TopicAuthorizationFailedError
    assert await write("for-reader", b"one", **reader) == 0
    assert await read("for-reader", group_id="readers", **reader) == b"one"


async def test_a_client_certificate_is_needed_where_it_is_asked_for(secure_broker: SecureBroker) -> None:
    assert (await create("by-certificate", **secure_broker.by_certificate())).errno == 0
    with pytest.raises(KafkaConnectionError):
        await create("by-nobody", **secure_broker.by_certificate(shown=False))


async def test_the_mock_fails_on_demand(mock_kafka: MockKafka) -> None:
    mock_kafka.create_topic("mocked", 2)
    mock_kafka.fail_next(PRODUCE, NOT_LEADER, NOT_LEADER)
    assert await write("mocked", b"one", bootstrap_servers=mock_kafka.bootstrap) == 0
    assert await read("mocked", bootstrap_servers=mock_kafka.bootstrap) == b"one"
    for broker in (1, 2, 3):
        mock_kafka.down(broker)
    with pytest.raises(KafkaConnectionError):
        await write("mocked", b"two", bootstrap_servers=mock_kafka.bootstrap)
    mock_kafka.up(1)


def test_what_is_missing_is_skipped_and_fails_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="needs Kafka: no java") as skipped:
        unavailable("Kafka", "no java")
    monkeypatch.setenv("CI", "1")
    with pytest.raises(pytest.fail.Exception, match="needs Kafka: no java"):
        unavailable("Kafka", "no java")

    def report(test: str, reason: str) -> pytest.TestReport:
        return pytest.TestReport(test, ("", 0, test), {}, "skipped", ("file", 1, f"Skipped: {reason}"), "setup")

    reports = [report("test_b", str(skipped.value)), report("test_c", "other"), report("test_a", str(skipped.value))]
    assert left_out(reports) == ["NOT RUN, needs Kafka: no java", "  test_a", "  test_b"]
