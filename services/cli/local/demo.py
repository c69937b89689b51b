"""The demo: streams sample content in, and simulates two reviewers who decide what the model leaves to people.

Its content has a source of its own, which the policy sends to a queue of its own. The simulated reviewers have keys of
their own and claim from that queue alone, so what anybody else publishes waits for that person's own reviewers.
"""

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, TypeVar

import httpx
from rich.live import Live
from rich.table import Table

from secondlook.cli.local.account import Counts, counts, mismatches
from secondlook.cli.local.patience import patiently
from secondlook.cli.output import say
from secondlook.cli.terminal import console
from secondlook.cli.workspace import Workspace
from secondlook.common.contract.policy import Override, Policy, QueuePolicy
from secondlook.common.postgres import Connection, connect

SOURCE = QUEUE = "demo"
REVIEWERS: tuple[str, ...] = ("demo reviewer 1", "demo reviewer 2")  # names of their keys
ITEMS_PER_SECOND = 12.0
CLAIM = 4
SETTLE_SECONDS = 30.0
T = TypeVar("T")


def with_demo_queue(policy: Policy) -> Policy:
    """The policy, with the demo's queue and the override that leads there; the same one if it has them."""
    queues = {**policy.queues, QUEUE: policy.queues.get(QUEUE, QueuePolicy())}
    override = Override(source=SOURCE, queue=QUEUE)
    overrides = policy.overrides if override in policy.overrides else (override, *policy.overrides)
    return policy.model_copy(update={"queues": queues, "overrides": overrides})


class Demo:
    """Streams samples in, reviews them and shows the figures. Uses the public APIs alone, except for the figures.

    It goes on when a service or PostgreSQL dies and is started again.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace
        self._samples = _samples()
        self._truth: dict[str, list[str]] = {sample["text"]: sample["labels"] for sample in self._samples}

    async def run(self, seconds: float | None) -> None:
        """Run for `seconds`, or until cancelled; then account for every revision."""
        await self._await_bundle()
        tasks = [asyncio.create_task(self._stream())]
        tasks += [asyncio.create_task(self._review(self._workspace.keys[name])) for name in REVIEWERS]
        show = asyncio.create_task(self._show())
        try:
            if seconds is None:
                await asyncio.gather(*tasks)
            await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
            for task in tasks:
                if task.done():
                    task.result()
        finally:
            for task in (*tasks, show):
                task.cancel()
            await asyncio.gather(*tasks, show, return_exceptions=True)
        await self._account()

    async def _ask(self, question: Callable[[Connection], Awaitable[T]]) -> T:
        async def asked() -> T:
            connection = await connect(self._workspace.database_url, "reviewer")
            try:
                return await question(connection)
            finally:
                await connection.close()

        return await patiently(asked)

    async def _await_bundle(self) -> None:
        """Wait for the first bundle, from the starter set; without it, everything would go to review."""
        started, told = time.monotonic(), ""
        with console.status("fitting the first model from the starter set") as status:
            while (now := await self._ask(counts)).bundle is None:
                if now.training and now.training != told:
                    told = now.training
                    status.update(f"fitting the first model: {told}")
                    if not console.is_terminal:
                        say(f"fitting the first model: {told}")
                if now.training and now.training.startswith(("refused", "failed")):
                    say(f"no first model ({now.training}); everything goes to review", "yellow")
                    return
                await asyncio.sleep(0.5)
        say(f"bundle {now.bundle} is active ({time.monotonic() - started:.0f} s)")

    async def _stream(self) -> None:
        samples = list(self._samples)
        chance = random.Random()  # noqa: S311
        run = f"{int(time.time()):x}"
        number = 0
        async with _client(self._workspace.router_url, self._workspace.keys["upstream"]) as client:
            while True:
                chance.shuffle(samples)
                for sample in samples:
                    number += 1
                    content_id = f"{run}-{number}"
                    body = {
                        "source": SOURCE,
                        "content_id": content_id,
                        "revision": 1,
                        "kind": "comment",
                        "text": sample["text"],
                        "language": sample["lang"],
                        "created_at": datetime.now(UTC).isoformat(),
                    }
                    with suppress(httpx.TransportError):  # a service that is restarting
                        _answered(await client.post("/v1/content", json=body))
                    await asyncio.sleep(chance.expovariate(ITEMS_PER_SECOND))

    async def _review(self, key: str) -> None:
        async with _client(self._workspace.api_url, key) as client:
            while True:
                with suppress(httpx.TransportError):
                    answer = await client.post("/v1/review/claims", json={"queue": QUEUE, "limit": CLAIM})
                    for task in _answered(answer).json()["tasks"]:
                        await asyncio.sleep(0.15)  # a very fast reader
                        await self._decide(client, task)
                await asyncio.sleep(0.2)

    async def _decide(self, client: httpx.AsyncClient, task: dict[str, Any]) -> None:
        path = f"/v1/review/tasks/{task['task_id']}"
        content = task["content"]
        truth = self._truth.get(content["text"]) if content["source"] == SOURCE else None
        if truth is None:  # somebody else's: these reviewers know the answers to the samples only
            await client.post(f"{path}/release", json={"lease_token": task["lease_token"]})
            return
        verdict = {
            "lease_token": task["lease_token"],
            "outcome": "reject" if truth else "approve",
            "labels": truth,
        }
        answer = await client.post(f"{path}/decision", json=verdict)
        if answer.status_code != 409:  # 409: superseded or lost meanwhile
            _answered(answer)

    async def _show(self) -> None:
        if not console.is_terminal:
            while True:
                say(_line(await self._ask(counts)))
                await asyncio.sleep(5)
        with Live(console=console, refresh_per_second=4, transient=True) as live:
            while True:
                live.update(_table(await self._ask(counts)))
                await asyncio.sleep(0.5)

    async def _account(self) -> None:
        """Wait until the services have read everything, then check every revision against its decision or task."""
        deadline = time.monotonic() + SETTLE_SECONDS
        wrong = await self._ask(mismatches)
        while (wrong.lost or wrong.doubled) and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
            wrong = await self._ask(mismatches)
        console.print(_table(await self._ask(counts)))
        say(f"checked every revision against its decisions and reviews: {wrong.lost} lost, {wrong.doubled} doubled")


def _samples() -> list[dict[str, Any]]:
    folder = files("secondlook.cli") / "samples"
    return [
        json.loads(line)
        for file in sorted(folder.iterdir(), key=lambda entry: entry.name)
        for line in file.read_text(encoding="utf-8").splitlines()
    ]


def _client(url: str, key: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=10)


def _answered(answer: httpx.Response) -> httpx.Response:
    """The answer; raises TransportError if the service waits for PostgreSQL, HTTPStatusError if this file is wrong."""
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        raise httpx.TransportError(answer.text)
    return answer.raise_for_status()


def _line(now: Counts) -> str:
    return (
        f"in {now.submitted}  auto-approved {now.approved}  auto-rejected {now.rejected}  in review {now.in_review}  "
        f"decided by people {now.decided}  labels {now.labels}  bundle {now.bundle or 'none yet'}"
    )


def _table(now: Counts) -> Table:
    rows = [
        ("in", str(now.submitted)),
        ("auto-approved", _share(now.approved, now.submitted)),
        ("auto-rejected", _share(now.rejected, now.submitted)),
        ("in review", str(now.in_review)),
        ("decided by people", str(now.decided)),
        ("dead letters", str(now.dead_letters)),
        ("labels", str(now.labels)),
        ("bundle", f"{now.bundle}, number {now.bundles}" if now.bundle else "none yet"),
        ("training", (now.training or "").rstrip(": ")),
    ]
    table = Table(title="Second Look", title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", min_width=44, max_width=60)
    for row in rows:
        table.add_row(*row)
    return table


def _share(part: int, whole: int) -> str:
    return f"{part}  ({part / whole:.0%})" if whole else str(part)
