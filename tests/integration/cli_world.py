"""The world of the command line tests: the real commands on a real database, a real router over HTTP. No tests."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import uvicorn
from prometheus_client import CollectorRegistry
from typer.testing import CliRunner

from secondlook.cli.application import app
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.clock import SystemClock
from secondlook.common.observability import BusMetrics, Health
from secondlook.common.postgres import Database
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.http import create_app
from secondlook.common.service.unit_of_work import Transactions
from secondlook.router.api import LARGER, routes
from secondlook.router.metrics import RouterMetrics
from secondlook.router.submissions import Submissions


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    status: int
    out: str
    err: str


async def secondlook(url: str, *arguments: str | Path, stdin: str | None = None, **environment: str) -> Ran:
    """Run a command against the database `url`, as a person would."""
    settings = {"SECONDLOOK_DATABASE_URL": url, "SECONDLOOK_DATA_DIR": "/nonexistent", **environment}
    line = [str(argument) for argument in arguments]
    result = await asyncio.to_thread(CliRunner().invoke, app, line, input=stdin, env=settings)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ran(result.exit_code, result.stdout, result.stderr)


@asynccontextmanager
async def transactions(url: str, schema: str) -> AsyncIterator[Transactions]:
    """Units of work in a service's schema."""
    async with Database.open(url, schema, size=2) as database:
        yield Transactions(database, PostgresBus(database), SystemClock(), f"test-{schema}")


@asynccontextmanager
async def router(
    url: str, counted: Callable[[RouterMetrics], object] = lambda metrics: None, *, refused: Sequence[str] = ()
) -> AsyncIterator[tuple[str, str]]:
    """A router's HTTP side on a free port: (its URL, an upstream key). `counted` sets its metrics.

    `refused`: for what reasons it has refused policies.
    """
    async with transactions(url, "router") as units:
        registry, clock, keys = CollectorRegistry(), SystemClock(), ApiKeys(units.database, SystemClock())
        health, metrics = Health(), RouterMetrics(registry)
        counted(metrics)
        bus = BusMetrics(registry, health)
        for reason in refused:
            bus.refused("policy.published", reason)
        api = create_app("router", health, registry, larger_bodies=LARGER)
        api.include_router(routes(Submissions(units, clock, metrics, timedelta(minutes=5)), keys))
        with socket.create_server(("127.0.0.1", 0)) as listening:
            config = uvicorn.Config(api, log_config=None, access_log=False, ws="none", lifespan="off")
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve([listening]))
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}", await keys.create("test", "upstream")
            finally:
                server.should_exit = True
                await serving


async def records(url: str, topic: str) -> list[dict[str, Any]]:
    """The bodies of a topic, in the order in which they were written."""
    async with Database.open(url, "bus", size=2) as database:
        rows = await database.pool.fetch(
            'SELECT value FROM record WHERE topic = $1 ORDER BY written_at, partition, "offset"', topic
        )
    return [json.loads(row["value"]) for row in rows]


def json_lines(path: Path, rows: Iterable[object]) -> Path:
    """A JSON Lines file."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path
