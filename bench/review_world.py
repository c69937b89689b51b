"""A review queue of any depth in PostgreSQL, and reviewer APIs that serve it, for `bench.review`."""

import asyncio
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentSubmitted, Why
from secondlook.common.contract.fields import Context
from secondlook.common.migrate import migrate_schemas
from secondlook.common.postgres import Database
from secondlook.common.service.api_keys import ApiKeys

SOURCE, QUEUE = "forum", "default"
POLICY = """
name: bench
labels:
  spam: {description: unwanted advertising, action: hide, severity: 2}
  hate: {description: attacks on a group, action: remove, severity: 4}
queues:
  default: {sla_minutes: 1440}
  leads: {sla_minutes: 240, role: lead}
"""
SOME_TIME = "2026-01-02T03:04:05.000006Z"
# The contract's own form, made once: a million of them would take longer than all that is measured.
CONTENT = ContentSubmitted(
    source=SOURCE, content_id="CONTENT", revision=1, text="TEXT", language="en", author_id="AUTHOR",
    created_at=datetime.fromisoformat(SOME_TIME), context=Context(url="https://forum.example/THREAD"),
).model_dump_json()  # fmt: skip
SPREAD = timedelta(days=30)  # how far back what waits was asked for
WORDS, AUTHORS, THREADS = 20_000, 50_000, 100_000
BLOCK = 20_000  # rows of a COPY
FEED_SECONDS = 0.25
START_SECONDS, COPY_SECONDS = 60.0, 600.0
TASK = (
    "task_id", "review_id", "source", "content_id", "revision", "sequence", "decision_id", "routed_queue", "queue",
    "priority", "state", "available_at", "created_at",
)  # fmt: skip
PAYLOAD = (
    "task_id", "why", "content", "scores", "u", "inclusion_probability", "stratum", "policy_version", "bundle_version",
)  # fmt: skip
INDEXES = """
SELECT i.indexname, i.indexdef FROM pg_indexes i
WHERE i.schemaname = current_schema AND i.tablename IN ('task', 'task_payload')
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conname = i.indexname)
"""
GIVEN = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM judgement_number_seq"


class Items:
    """Reviews to be, as the stream's handler stores them: texts of 5 to 60 words that are drawn as words occur."""

    def __init__(self, seed: int = 1) -> None:
        self._drawn, self._made = random.Random(seed), 0
        self._words = [f"w{number:x}" for number in range(WORDS)]
        self._weights = [0.0]
        for rank in range(1, WORDS + 1):
            self._weights.append(self._weights[-1] + 1 / rank)
        self._weights.pop(0)

    def make(self, count: int, now: datetime, spread: timedelta) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """So many rows of `task` and of `task_payload`, asked for within `spread` before `now`."""
        tasks, payloads, drawn = [], [], self._drawn
        for _ in range(count):
            self._made += 1
            at = now - spread * drawn.random()
            identifier, content_id = self._uuid(), f"item-{self._made}"
            tasks.append(
                (
                    identifier, self._uuid(), SOURCE, content_id, 1, 1, self._uuid(), QUEUE, QUEUE,
                    drawn.randrange(60), "pending", at, at,
                )
            )  # fmt: skip
            scores = f'{{"spam":{drawn.random():.4f},"hate":{drawn.random():.4f}}}'
            payloads.append(
                (
                    identifier,
                    Why.UNCERTAIN.value,
                    self._content(content_id, at),
                    scores,
                    drawn.random(),
                    1.0,
                    "uncertain",
                    1,
                    "1",
                )
            )
        return tasks, payloads

    def _content(self, content_id: str, at: datetime) -> str:
        words = self._drawn.choices(self._words, cum_weights=self._weights, k=self._drawn.randint(5, 60))
        changes = {
            "CONTENT": content_id,
            "TEXT": " ".join(words),
            "AUTHOR": f"author-{self._drawn.randrange(AUTHORS)}",
            "THREAD": str(self._drawn.randrange(THREADS)),
            SOME_TIME: f"{at:%Y-%m-%dT%H:%M:%S.%fZ}",
        }
        content = CONTENT
        for old, new in changes.items():
            content = content.replace(old, new)
        return content

    def _uuid(self) -> UUID:
        return UUID(int=self._drawn.getrandbits(128), version=4)


async def insert(connection: Any, items: Items, count: int, spread: timedelta) -> None:
    """Add so many open tasks by COPY."""
    for begin in range(0, count, BLOCK):
        tasks, payloads = items.make(min(BLOCK, count - begin), datetime.now(UTC), spread)
        await connection.copy_records_to_table("task", records=tasks, columns=TASK, timeout=COPY_SECONDS)
        await connection.copy_records_to_table("task_payload", records=payloads, columns=PAYLOAD, timeout=COPY_SECONDS)


async def fill(connection: Any, items: Items, count: int) -> None:
    """Add the first tasks as fast as it goes: the indexes are made afterwards, by what the catalog says of them."""
    async with connection.transaction():
        indexes = await connection.fetch(INDEXES)
        for index in indexes:
            await connection.execute(f"DROP INDEX {index['indexname']}")
        # Foreign keys hold by the way the rows are made.
        await connection.execute(
            "SET LOCAL session_replication_role = replica; SET LOCAL maintenance_work_mem = '512MB'"
        )
        await insert(connection, items, count, SPREAD)
        for index in indexes:
            await connection.execute(index["indexdef"], timeout=COPY_SECONDS)
    for statement in ("VACUUM (ANALYZE)", "CHECKPOINT"):
        await connection.execute(statement, timeout=COPY_SECONDS)


@asynccontextmanager
async def queue(url: str, depth: int) -> AsyncIterator[tuple[Database, Items]]:
    """The reviewer API's database with `depth` open tasks, tidied up as after a quiet hour."""
    await migrate_schemas(url)
    async with Database.open(url, "reviewer", size=4) as database:
        items = Items()
        async with database.pool.acquire() as connection:
            await fill(connection, items, depth)
        yield database, items


async def keys(database: Database, role: Any, count: int) -> list[str]:
    """Header lines of so many callers with a key each."""
    made = ApiKeys(database, SystemClock())
    return [f"Authorization: Bearer {await made.create(f'{role} {n}', role)}\r\n" for n in range(count)]


@asynccontextmanager
async def fed(database: Database, items: Items) -> AsyncIterator[None]:
    """While this is open, as many items arrive as are judged, so that the queue keeps its depth."""

    async def feed() -> None:
        before = await database.pool.fetchval(GIVEN)
        while True:
            await asyncio.sleep(FEED_SECONDS)
            given = await database.pool.fetchval(GIVEN)
            async with database.pool.acquire() as connection, connection.transaction():
                await insert(connection, items, given - before, timedelta())
            before = given

    feeding = asyncio.create_task(feed())
    try:
        yield
        if feeding.done():
            feeding.result()  # it never ends by itself
    finally:
        feeding.cancel()
        await asyncio.wait([feeding])


@contextmanager
def reviewer_apis(url: str, processes: int, logs: Path) -> Iterator[list[int]]:
    """So many processes of the reviewer API on one database; gives their ports once all are ready.

    Raises:
        RuntimeError: one does not start; with its log.
    """
    ports = [free_port() for _ in range(processes)]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                service(
                    [sys.executable, "-m", "secondlook.reviewer_api"],
                    {"SECONDLOOK_DATABASE_URL": url, "SECONDLOOK_API_PORT": str(port), "SECONDLOOK_LOG_LEVEL": "error"},
                    logs / f"reviewer-api-{port}.log",
                )
            )
            for port in ports
        ]
        for process, port in zip(started, ports, strict=True):
            await_ready(process, f"http://127.0.0.1:{port}/readyz", logs / f"reviewer-api-{port}.log")
        yield ports


def publish_policy(port: int, lead: str) -> None:
    """Put POLICY in force; raises RuntimeError if it is refused."""
    name, _, value = lead.strip().partition(": ")
    answer = httpx.post(f"http://127.0.0.1:{port}/v1/policies", json={"document": POLICY}, headers={name: value})
    if answer.status_code != 200:
        raise RuntimeError(f"the policy was refused: {answer.status_code} {answer.text}")


@contextmanager
def service(command: Sequence[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server process with its log; it is asked to stop on leaving."""
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **environment})
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_ready(process: subprocess.Popen[bytes], url: str, log: Path, seconds: float = START_SECONDS) -> None:
    """Return when the URL answers 200; raises RuntimeError with the log if it does not."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if httpx.get(url, timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{url} does not get ready:\n{log.read_text(errors='replace')[-5000:]}")
        time.sleep(0.1)


def free_port() -> int:
    """A port of this machine that nobody uses at the moment."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


async def make_database(url: str, name: str) -> str:
    """A database of this name on the server, emptied if it is there; returns its URL."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await connection.execute(f'CREATE DATABASE "{name}"')
    finally:
        await connection.close()
    return url.replace("/postgres?", f"/{name}?")
