"""The process as an operator starts it."""

import asyncio
import signal
import socket
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.topics import topics
from secondlook.common.clock import SystemClock
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.postgres import Database
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.policies.service import PolicyService
from tests.integration.process_world import started
from tests.integration.review_world import POLICY, requested

pytestmark = pytest.mark.slow

MAX_RSS_KB = 200 * 1024
UNDELAYED = 3.0  # seconds; the server cuts off what has not ended after 5


def resident_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


async def until(client: httpx.AsyncClient, method: str, path: str, body: Any, good: Any) -> Any:
    """Ask until the answer is good."""
    async with asyncio.timeout(20):
        while True:
            try:
                answer = await client.request(method, path, json=body)
                if good(answer):
                    return answer.json()
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


async def test_a_request_on_the_bus_becomes_a_decision_in_the_log(database_url: str, port: int) -> None:
    async with Database.open(database_url, "reviewer") as database:
        clock, bus = SystemClock(), PostgresBus(database)
        await bus.ensure_topics(topics(2))
        transactions = Transactions(database, bus, clock, "test")
        key = await ApiKeys(database, clock).create("ann", "reviewer")
        assert await PolicyService(transactions).publish(parse_policy(POLICY), "lead-0") == 1
        async with transactions.begin() as work:
            work.publish(requested("a", at=datetime.now(UTC)))
        url, headers = f"http://127.0.0.1:{port}", {"Authorization": f"Bearer {key}"}
        async with (
            started("reviewer_api", database_url, port, SECONDLOOK_UNDO_GRACE_SECONDS="0.1") as process,
            httpx.AsyncClient(base_url=url, headers=headers) as client,
        ):
            await until(client, "GET", "/readyz", None, lambda a: a.status_code == 200)
            claimed = await until(client, "POST", "/v1/review/claims", {}, lambda a: a.json()["tasks"])
            [task] = claimed["tasks"]
            verdict = {"lease_token": task["lease_token"], "outcome": "reject", "labels": ["spam"]}
            answer = await client.post(f"/v1/review/tasks/{task['task_id']}/decision", json=verdict)
            assert answer.status_code == 200
            content = await until(
                client, "GET", "/v1/content/forum/a", None, lambda a: a.status_code == 200 and a.json()["decisions"]
            )
            assert content["decisions"][0]["labels"] == ["spam"]
            rss = resident_kb(process.pid)
            print(f"{rss / 1024:.0f} MB resident")  # noqa: T201
            assert rss < MAX_RSS_KB
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 20) == 0


async def test_open_streams_end_when_the_service_stops_and_do_not_delay_it(database_url: str, port: int) -> None:
    async with Database.open(database_url, "reviewer") as database:
        await PostgresBus(database).ensure_topics(topics(2))
        key = await ApiKeys(database, SystemClock()).create("ann", "reviewer")
    async with (
        started("reviewer_api", database_url, port) as process,
        httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {key}"}, timeout=30
        ) as client,
    ):
        await until(client, "GET", "/readyz", None, lambda a: a.status_code == 200)
        async with client.stream("GET", "/v1/events") as first, client.stream("GET", "/v1/events") as second:
            heard = [first.aiter_bytes(), second.aiter_bytes()]
            for stream in heard:
                assert b"event: queues" in await asyncio.wait_for(anext(stream), 20)
            process.send_signal(signal.SIGTERM)
            for stream in heard:  # a stream that was cut off raises
                assert b"event: end" not in b"".join([part async for part in stream])
            assert await asyncio.wait_for(process.wait(), UNDELAYED) == 0


async def test_processes_share_a_port_and_one_that_ends_leaves_it_to_the_others(database_url: str, port: int) -> None:
    async with (
        started("reviewer_api", database_url, port, SECONDLOOK_SHARE_PORT="true") as first,
        started("reviewer_api", database_url, port, SECONDLOOK_SHARE_PORT="true") as second,
    ):
        both = {first.pid, second.pid}
        async with asyncio.timeout(30):
            while {pid for pid in both if psutil.CONN_LISTEN in connections(pid, port)} != both:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        async with AsyncExitStack() as stack:
            for _ in range(32):  # that one process takes all of them is as likely as 31 coins alike
                client = await stack.enter_async_context(httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}"))
                assert (await client.get("/healthz")).status_code == 200
            assert all(psutil.CONN_ESTABLISHED in connections(pid, port) for pid in both)
        first.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(first.wait(), 20) == 0
        for _ in range(8):
            async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                assert (await client.get("/healthz")).status_code == 200


async def test_a_port_that_is_not_shared_stays_with_the_first(database_url: str, port: int) -> None:
    with socket.create_server(("127.0.0.1", port)):
        async with started("reviewer_api", database_url, port, SECONDLOOK_SHARE_PORT="true") as process:
            assert await asyncio.wait_for(process.wait(), 30) == 1


def connections(pid: int, port: int) -> set[str]:
    """The states of a process's connections on a port."""
    return {found.status for found in psutil.Process(pid).net_connections("tcp") if found.laddr.port == port}


async def test_a_wrong_setting_is_one_line_and_status_2(port: int) -> None:
    for url, named in (("", "SECONDLOOK_DATABASE_URL"), (f"postgresql://127.0.0.1:{port}/x", "connect")):
        async with started("reviewer_api", url, port) as process:
            _, error = await asyncio.wait_for(process.communicate(), 20)
            assert process.returncode == 2
            [line] = error.decode().splitlines()
            assert named in line
