"""The process as an operator starts it."""

import asyncio
import signal
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
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


async def test_a_wrong_setting_is_one_line_and_status_2(port: int) -> None:
    for url, named in (("", "SECONDLOOK_DATABASE_URL"), (f"postgresql://127.0.0.1:{port}/x", "connect")):
        async with started("reviewer_api", url, port) as process:
            _, error = await asyncio.wait_for(process.communicate(), 20)
            assert process.returncode == 2
            [line] = error.decode().splitlines()
            assert named in line
