"""What cannot be read is seen: in metrics, in readiness and by `secondlook doctor`, with the remedy."""

import asyncio

import pytest
import uvicorn
from aiokafka import codec
from aiokafka.errors import CorruptRecordException, TopicAuthorizationFailedError, UnsupportedCodecError
from prometheus_client import CollectorRegistry

from secondlook.cli.local.checks import UNREADABLE_TODO, check_codecs, check_services
from secondlook.cli.workspace import Workspace
from secondlook.common.bus.kafka_partition import CODECS, INSTALL, MANUAL, Unreadable, explained
from secondlook.common.observability import BusMetrics, Health
from secondlook.common.service.http import create_app
from tests.waiting import until


def test_metrics_and_readiness_follow_what_cannot_be_read() -> None:
    registry, health, unreadable = CollectorRegistry(), Health(), Unreadable()
    unreadable.set("a[0] for g", "before anybody listened")
    unreadable.report_to(BusMetrics(registry, health))

    def now() -> tuple[float | None, dict[str, str]]:
        return registry.get_sample_value("secondlook_bus_unreadable_partitions"), health.reasons()

    assert now() == (1, {"cannot read a[0] for g": "before anybody listened"})
    unreadable.set("b[1] for g", "why")
    unreadable.set("a[0] for g", "another reason")
    assert now() == (2, {"cannot read a[0] for g": "another reason", "cannot read b[1] for g": "why"})
    unreadable.set("a[0] for g", None)
    unreadable.set("never said", None)
    assert now() == (1, {"cannot read b[1] for g": "why"})
    unreadable.set("b[1] for g", None)
    assert now() == (0, {})


@pytest.mark.parametrize(("error", "says"), [
    (UnsupportedCodecError("Libraries for zstd compression codec not found"), INSTALL),
    (CorruptRecordException("Invalid CRC"), MANUAL),
    (TopicAuthorizationFailedError("content.submitted"), "grant the Kafka user Read"),
    (EOFError(), MANUAL),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"), MANUAL),
])  # fmt: skip
def test_every_cause_has_a_remedy(error: Exception, says: str) -> None:
    assert says in explained(error)


@pytest.mark.parametrize("missing", CODECS)
def test_doctor_finds_a_missing_library(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert check_codecs().state == "ok"
    monkeypatch.setattr(codec, f"has_{missing}", lambda: False)
    finding = check_codecs()
    assert finding.state == "broken"
    assert missing in finding.found
    assert INSTALL in finding.todo


async def test_doctor_shows_what_a_service_cannot_read(port: int) -> None:
    health = Health()
    BusMetrics(CollectorRegistry(), health).unreadable({"content.submitted[3] for router": "at offset 7: why"})
    server = uvicorn.Server(
        uvicorn.Config(create_app("t", health, CollectorRegistry()), port=port, log_config=None, ws="none")
    )
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    url = f"http://127.0.0.1:{port}"
    nobody = f"http://127.0.0.1:{port + 1}"
    found = await check_services(Workspace(database_url="", router_url=url, api_url=nobody, trainer_url=nobody))
    server.should_exit = True
    await serving
    [router] = [finding for finding in found if finding.name == "router"]
    assert (router.state, router.todo) == ("broken", UNREADABLE_TODO)
    assert "cannot read content.submitted[3] for router: at offset 7: why" in router.found
