"""How upstream learns decisions, and what breaks on the way: `python -m bench.connect`.

A real reviewer API process on an embedded PostgreSQL; decisions on its bus, one after the other on each of many pieces
of content. `topic_per_s`, `feed_per_s` and `sse_per_s` count decisions that one reader of a backlog gets a second, and
`webhook_per_s` those that one endpoint on loopback gets, which checks each signature.

`feed_lost` and `sse_lost` count decisions that a reader never saw while the reviewer API was killed with SIGKILL again
and again and decisions kept coming; `feed_twice` those that it saw twice. `webhook_lost` and `webhook_reordered` count
what an endpoint never got, and first arrivals out of the order of their content, while the endpoint was dead, slow and
lying: 500, redirects, answers after the time was over, connections that it cut, each for a part of the deliveries.

`slow_endpoint_harm` is the rate of a good endpoint beside one that refuses connections and one that never answers,
over its rate without them: the median of pairs measured side by side.
"""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from bench import connect_world, review_world
from bench.connect_world import Publisher, Receiver, until
from bench.loopback_endpoint import Reply
from bench.report import console, report
from secondlook.cli.local.embedded import embedded_postgres
from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.topics import topics
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentDecided
from secondlook.common.migrate import migrate_schemas
from secondlook.common.postgres import Database
from secondlook.common.service.api_keys import ApiKeys

DECISIONS, KEYS = 10_000, 1_000
TROUBLED, KILLS, PAIRS = 4_000, 4, 5
PAIR_DECISIONS = 2_000
PATIENCE = 300.0
TARGETS = {"feed_lost": 0, "webhook_lost": 0, "webhook_reordered": 0, "slow_endpoint_harm": 0.9}


@asynccontextmanager
async def api(url: str, port: int, folder: Path) -> AsyncIterator[subprocess.Popen[bytes]]:
    """A process of the reviewer API that is ready."""
    environment = {
        "SECONDLOOK_DATABASE_URL": url, "SECONDLOOK_API_PORT": str(port), "SECONDLOOK_LOG_LEVEL": "error",
        "SECONDLOOK_WEBHOOK_PRIVATE_TARGETS": "true",
    }  # fmt: skip
    log = folder / f"reviewer-api-{port}.log"
    with review_world.service([sys.executable, "-m", "secondlook.reviewer_api"], environment, log) as process:
        await asyncio.to_thread(review_world.await_ready, process, f"http://127.0.0.1:{port}/readyz", log)
        yield process


async def by_topic(url: str, count: int) -> float:
    """Decisions a second that a consumer group of the bus reads."""
    async with Database.open(url, "trainer", size=2) as database:
        consumer, seen, began = PostgresBus(database).consumer("bench", [ContentDecided.topic]), 0, time.perf_counter()
        while seen < count:
            if batch := await consumer.fetch(500, 1.0):
                seen += len(batch.records)
                await consumer.done(batch)
        taken = time.perf_counter() - began
        await consumer.close()
    return count / taken


async def by_feed(client: httpx.AsyncClient, count: int) -> float:
    """Decisions a second that one reader gets by `GET /v1/decisions/feed`."""
    seen, after, began = 0, "", time.perf_counter()
    while seen < count:
        params: dict[str, str] = {"limit": "1000", **({"after": after} if after else {})}
        answer = await client.get("/v1/decisions/feed", params=params)
        page = answer.raise_for_status().json()
        seen, after = seen + len(page["decisions"]), page["next"]
    return count / (time.perf_counter() - began)


async def by_stream(client: httpx.AsyncClient, count: int) -> float:
    """Decisions a second that one reader gets by server-sent events."""
    seen, began = 0, time.perf_counter()
    async with client.stream("GET", "/v1/decisions/stream") as answer:
        async for line in answer.raise_for_status().aiter_lines():
            seen += line.startswith("data: ") and bool(json.loads(line[6:])["decision_id"])
            if seen == count:
                break
    return count / (time.perf_counter() - began)


async def delivered(client: httpx.AsyncClient, endpoint: Receiver, count: int, after: str | None = None) -> float:
    """Decisions a second that a new webhook delivers, from the first to the last; it is removed afterwards."""
    began = time.perf_counter()
    number, endpoint.secret = await connect_world.webhook(client, endpoint.url, after or "now")
    await until(lambda: len(endpoint.first) >= count, PATIENCE)
    await client.delete(f"/v1/webhooks/{number}")
    return count / (endpoint.last - began)


async def killed(url: str, port: int, folder: Path, client: httpx.AsyncClient, made: Publisher) -> dict[str, float]:
    """Readers by feed and stream while the service dies again and again and decisions keep coming."""
    start = made.made
    feed_seen: list[str] = []
    stream_seen: list[str] = []
    over = asyncio.Event()

    async def follow(read: Any) -> None:
        cursor = None
        while not over.is_set() or not read.__dict__.get("done"):
            try:
                cursor = await read(cursor)
            except (httpx.HTTPError, KeyError):
                await asyncio.sleep(0.05)

    async def feed(cursor: str | None) -> str:
        params = {"limit": "200", "wait": "1", **({"after": cursor} if cursor else {})}
        page = (await client.get("/v1/decisions/feed", params=params)).raise_for_status().json()
        feed_seen.extend(one["decision_id"] for one in page["decisions"])
        feed.__dict__["done"] = over.is_set() and not page["decisions"]
        return str(page["next"])

    last: dict[str, str] = {}

    async def stream(_: str | None) -> None:
        headers = {"Last-Event-ID": last["id"]} if last else {}
        async with client.stream("GET", "/v1/decisions/stream", headers=headers, timeout=3) as answer:
            async for line in answer.raise_for_status().aiter_lines():
                if line.startswith("id: "):
                    coming = line[4:]
                elif line.startswith("data: "):
                    stream_seen.append(json.loads(line[6:])["decision_id"])
                    last["id"] = coming

    async def stream_to_the_end(cursor: str | None) -> None:
        try:
            await stream(cursor)
        except httpx.ReadTimeout:
            stream_to_the_end.__dict__["done"] = over.is_set()  # silence for 3 s: nothing more comes

    following = [asyncio.create_task(follow(read)) for read in (feed, stream_to_the_end)]
    for _ in range(KILLS):
        async with api(url, port, folder) as process:
            for _ in range(5):
                await made.publish(TROUBLED // KILLS // 5)
                await asyncio.sleep(random.uniform(0.1, 0.4))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
    async with api(url, port, folder):
        over.set()
        await asyncio.wait_for(asyncio.gather(*following), PATIENCE)
    return {
        "feed_lost": made.made - len(set(feed_seen)),
        "feed_twice": len(feed_seen) - len(set(feed_seen)),
        "sse_lost": made.made - len(set(stream_seen)),
        "published_under_kills": made.made - start,
    }


async def troubled(client: httpx.AsyncClient, made: Publisher) -> dict[str, float]:
    """An endpoint that is dead for a while, slow, and lies in every way once for a part of the messages."""
    lies = {0: Reply(500), 1: Reply(302), 2: Reply(None), 3: Reply(204, 0.3), 4: Reply(429)}

    def react(message: str, times: int) -> Reply:
        number = zlib.crc32(message.encode())
        if times == 1 and number % 400 == 0:
            return Reply(200, 11.0)  # after the time is over
        return lies.get(number % 50, Reply()) if times == 1 else Reply()

    async with connect_world.receiver(react) as endpoint:
        number, endpoint.secret = await connect_world.webhook(client, endpoint.url)
        before = made.made
        for part in range(4):
            await made.publish(TROUBLED // 4)
            if part in (1, 2):
                await until(lambda: endpoint.arrivals > 100 * part, PATIENCE)  # noqa: B023
                await endpoint.endpoint.stop()
                await asyncio.sleep(4)
                await endpoint.endpoint.start()
        await until(lambda: len(endpoint.first) >= made.made - before, PATIENCE)
        await asyncio.sleep(1)
        await client.delete(f"/v1/webhooks/{number}")
    return {
        "webhook_lost": made.made - before - len(endpoint.first),
        "webhook_reordered": endpoint.reordered,
        "webhook_forged": endpoint.forged,
        "webhook_repeats": sum(endpoint.seen.values()) - len(endpoint.seen),
    }


async def beside_bad_ones(client: httpx.AsyncClient, made: Publisher) -> dict[str, float]:
    """The rate of a good endpoint alone, and beside one that is dead and one that never answers; in pairs."""
    ratios = []
    async with connect_world.receiver() as hangs, connect_world.receiver() as dead:
        hangs.reaction = lambda *_: Reply(200, 3600.0)
        await dead.endpoint.stop()
        for _ in range(PAIRS):
            rates = []
            for bad in random.sample([False, True], 2):
                numbers = []
                if bad:
                    numbers = [(await connect_world.webhook(client, one.url))[0] for one in (hangs, dead)]
                async with connect_world.receiver() as good:
                    number, good.secret = await connect_world.webhook(client, good.url)
                    await asyncio.sleep(1.5)  # the service knows the new ones within a second
                    began = time.perf_counter()
                    await made.publish(PAIR_DECISIONS)
                    await until(lambda: len(good.first) >= PAIR_DECISIONS, PATIENCE)
                    rates.append((bad, PAIR_DECISIONS / (good.last - began)))
                    for one in (number, *numbers):
                        await client.delete(f"/v1/webhooks/{one}")
                    await asyncio.sleep(1.5)
            by = dict(rates)
            ratios.append(by[True] / by[False])
            console.print(f"beside bad endpoints {by[True]:.0f}/s, without {by[False]:.0f}/s")
    return {"slow_endpoint_harm": connect_world.median(ratios)}


async def main() -> None:
    """Measure everything, and report."""
    began, load = time.monotonic(), os.getloadavg()[0]
    with TemporaryDirectory() as folder, embedded_postgres(Path(folder) / "postgres") as server:
        figures: dict[str, float] = {}
        url = await review_world.make_database(server.url, "connect")
        await migrate_schemas(url)
        async with Database.open(url, "reviewer", size=2) as database:
            await PostgresBus(database).ensure_topics(topics(4))
            key = await ApiKeys(database, SystemClock()).create("bench", "service")
        port = review_world.free_port()
        headers, base = {"Authorization": f"Bearer {key}"}, f"http://127.0.0.1:{port}"
        async with (
            connect_world.publisher(url, KEYS) as made,
            httpx.AsyncClient(base_url=base, headers=headers, timeout=60) as client,
        ):
            await made.publish(DECISIONS)
            figures["topic_per_s"] = await by_topic(url, DECISIONS)
            async with api(url, port, Path(folder)):
                await _known(client, DECISIONS)
                feed = (await client.get("/v1/decisions/feed?after=now")).json()["next"].partition("-")[0]
                figures["feed_per_s"] = await by_feed(client, DECISIONS)
                figures["sse_per_s"] = await by_stream(client, DECISIONS)
                async with connect_world.receiver() as endpoint:
                    figures["webhook_per_s"] = await delivered(client, endpoint, DECISIONS, f"{feed}-0")
                for name, value in figures.items():
                    console.print(f"{name}: {value:,.0f}")
                figures |= await troubled(client, made)
                figures |= await beside_bad_ones(client, made)
            figures |= await killed(url, port, Path(folder), client, made)
    settings = {
        "decisions": DECISIONS, "contents": KEYS, "troubled": TROUBLED, "kills": KILLS, "pairs": PAIRS,
        "load_before": round(load, 2), "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    report("connect", figures, TARGETS, settings)


async def _known(client: httpx.AsyncClient, count: int) -> None:
    """Wait until the service has read so many decisions from the bus."""

    async def known() -> bool:
        return bool((await client.get("/v1/decisions/feed?after=now")).json()["next"].endswith(f"-{count}"))

    await until(known, PATIENCE)


if __name__ == "__main__":
    asyncio.run(main())
