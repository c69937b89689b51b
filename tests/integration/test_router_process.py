"""The router as an operator starts it: `python -m secondlook.router`."""

import asyncio
import contextlib
import signal
import socket

import httpx
import pytest

from secondlook.common.contract.events import ReviewRequested
from secondlook.common.service.api_keys import ApiKeys
from tests.integration.process_world import started
from tests.integration.router_world import make_world
from tests.integration.test_router_api import BODY

pytestmark = pytest.mark.slow


async def answered(client: httpx.AsyncClient, path: str, status: int) -> httpx.Response:
    async with asyncio.timeout(40):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (answer := await client.get(path)).status_code == status:
                    return answer
            await asyncio.sleep(0.1)


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
async def test_content_sent_to_the_process_is_routed_and_a_signal_stops_it(
    database_url: str, port: int, signal_number: signal.Signals
) -> None:
    async with make_world(database_url) as world:
        key = await ApiKeys(world.database, world.clock).create("forum", "upstream")
        headers = {"Authorization": f"Bearer {key}"}
        url = f"http://127.0.0.1:{port}"
        async with (
            started("router", database_url, port) as process,
            httpx.AsyncClient(base_url=url, headers=headers) as client,
        ):
            await answered(client, "/readyz", 200)
            assert (await client.post("/v1/content", json=BODY)).status_code == 202
            await world.idle()
            (asked,) = await world.events(ReviewRequested)
            assert (asked.why, asked.content.text) == ("no_bundle", "hello")
            metrics = (await client.get("/metrics")).text
            assert 'secondlook_router_routed_total{route="review",stage="active",why="no_bundle"} 1.0' in metrics
            assert 'secondlook_stream_records_total{group="router"} 1.0' in metrics
            process.send_signal(signal_number)
            _, log = await asyncio.wait_for(process.communicate(), 20)
            assert process.returncode == 0, log.decode()
            assert "Traceback" not in log.decode()


async def test_a_port_in_use_is_named_and_ends_the_process(database_url: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        async with started("router", database_url, port) as process:
            _, log = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: is the port in use?" in log.decode()


@pytest.mark.parametrize(
    ("url", "more", "complaint"),
    [
        ("", {}, "SECONDLOOK_DATABASE_URL"),
        ("postgresql://127.0.0.1:1/x", {}, "cannot connect to PostgreSQL"),
        ("postgresql://127.0.0.1:1/x", {"SECONDLOOK_BATCH_SIZE": "0"}, "SECONDLOOK_BATCH_SIZE"),
        ("postgresql://127.0.0.1:1/x", {"SECONDLOOK_BUNDLE_ROOTS": "s3://b/../c"}, "SECONDLOOK_BUNDLE_ROOTS: 's3://b"),
        ("postgresql://127.0.0.1:1/x", {"SECONDLOOK_SIGNING_KEY": "secret"}, "SECONDLOOK_SIGNING_KEY: "),
    ],
)
async def test_a_wrong_setting_is_one_line_and_status_2(
    url: str, more: dict[str, str], complaint: str, port: int
) -> None:
    async with started("router", url, port, **more) as process:
        _, log = await asyncio.wait_for(process.communicate(), 40)
    assert process.returncode == 2
    (line,) = log.decode().splitlines()
    assert complaint in line
