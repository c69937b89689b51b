"""Items a second through the router, on both transports, beside a floor that does no more than read, store and answer.

`python -m bench.router` (or `make bench-router`). The texts are offensive; nothing of them is printed. Floor and
router take turns, and medians count, so that what else the machine does falls on both.
"""

import argparse
import asyncio
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from bench.davidson import POLICY, SOURCE, rows
from bench.fitted_bundle import fit_bundle
from bench.report import DATA, console, report
from bench.router_floor import kafka_floor, postgres_floor
from bench.router_world import World
from secondlook.cli.local.embedded import embedded_postgres
from secondlook.common.bus import Message
from secondlook.common.bus.wire import encode
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import (
    BundlePublished,
    ContentDecided,
    ContentSubmitted,
    PolicyPublished,
    decision_id,
    first_sequence,
)
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.router.model import loader
from tools.kafka.broker import Broker

SKIP = 0.2  # of the items, while caches, connections and the group settle
CONSTANT, REAL = "bench.constant_router", "secondlook.router"
TARGETS = {
    "items_per_s_kafka": 8_000.0,
    "items_per_s_postgres": 8_000.0,
    "floor_ratio_kafka": 0.5,
    "floor_ratio_postgres": 0.5,
    "model_ratio": 0.95,
}
CLOCK = SystemClock()


def contents(texts: Sequence[str], total: int) -> list[Message]:
    """Submissions: the texts in turn, each time as new content."""
    written = datetime(2025, 1, 1, tzinfo=UTC)
    return [
        encode(
            ContentSubmitted(
                source=SOURCE, content_id=f"{SOURCE}-{number:08}", revision=1, text=text, language="en",
                author_id=f"author-{number % 5_000}", created_at=written,
            ),
            "bench", CLOCK,
        )
        for number, text in enumerate(itertools.islice(itertools.cycle(texts), total))
    ]  # fmt: skip


def in_force(uri: str, sha256: str) -> list[Message]:
    """The policy and the bundle that the router goes by."""
    now = CLOCK.now()
    policy = PolicyPublished(version=1, policy=parse_policy(POLICY), published_at=now, published_by="bench")
    bundle = BundlePublished(stage="active", bundle_version="bench", uri=uri, sha256=sha256, published_at=now)
    return [encode(event, "bench", CLOCK) for event in (policy, bundle)]


def answer() -> Message:
    """A message of a decision's size, for the floors."""
    number, sequence = f"{SOURCE}-{0:08}", first_sequence(1)
    event = ContentDecided(
        source=SOURCE, content_id=number, decision_id=decision_id(SOURCE, number, 1, sequence), revision=1,
        sequence=sequence, outcome="approve", labels=(), action="allow", decided_by="model", decided_at=CLOCK.now(),
        confidence=0.97, policy_version=1, bundle_version="constant", reason="highest score 0.030 ≤ 0.080",
    )  # fmt: skip
    return encode(event, "router", CLOCK)


async def constant(world: World, total: int, rounds: int, batch: int) -> dict[str, float]:
    """Router and floor in turn, on both transports."""
    found: dict[str, list[float]] = {}

    def note(name: str, rate: float) -> None:
        found.setdefault(name, []).append(rate)
        console.print(f"  {name}: {rate:,.0f} a second")

    route = partial(world.route, total=total, module=CONSTANT, batch=batch, skip=SKIP)
    for _ in range(rounds):
        async with world.database("empty") as url:
            note("floor_kafka", await kafka_floor(url, world.bootstrap, total, answer(), batch=batch, skip=SKIP))
        note("items_per_s_kafka", await route("empty", kafka=True))
        async with world.database("filled") as url:
            note("floor_postgres", await postgres_floor(url, total, answer(), batch=batch, skip=SKIP))
        note("items_per_s_postgres", await route("filled", kafka=False))
        note("items_per_s_kafka_2", await route("empty", kafka=True, routers=2))
    middle = {name: statistics.median(rates) for name, rates in found.items()}
    for transport in ("kafka", "postgres"):
        middle[f"floor_ratio_{transport}"] = middle[f"items_per_s_{transport}"] / middle[f"floor_{transport}"]
    return middle


def bare(uri: str, sha256: str, cache: Path, texts: Sequence[str], batch: int) -> float:
    """Texts a second through a bundle and nothing else, once a share of SKIP is done."""
    model = loader(cache)(uri, sha256)
    skipped = round(SKIP * len(texts) / batch) * batch
    for start in range(0, len(texts), batch):
        if start == skipped:
            began = time.monotonic()
        model.classify(texts[start : start + batch])
    return (len(texts) - skipped) / (time.monotonic() - began)


async def real(
    world: World, uri: str, sha256: str, cache: Path, texts: Sequence[str], options: Any
) -> dict[str, float]:
    """A fitted bundle in the router, and by itself in a process of its own, in turn."""
    alone, routed = [], []
    for _ in range(options.rounds):
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            alone.append(pool.submit(bare, uri, sha256, cache, texts, options.batch).result())
        rate = await world.route("empty", len(texts), module=REAL, kafka=True, batch=options.batch, skip=SKIP)
        routed.append(rate)
        console.print(f"  model alone {alone[-1]:,.0f} a second, in the router {routed[-1]:,.0f}")
    ratio = statistics.median(r / a for r, a in zip(routed, alone, strict=True))
    return {
        "model_alone": statistics.median(alone),
        "model_in_router": statistics.median(routed),
        "model_ratio": ratio,
    }


async def measure(folder: Path, server: str, options: Any) -> dict[str, float]:
    """All figures. Each half has a Kafka of its own, for what was sent stays there."""
    data = rows()
    texts = [row["text"] for row in data]
    figures: dict[str, float] = {}
    if options.items:
        with Broker(folder / "kafka") as broker:
            world = World(server, broker.bootstrap)
            messages = in_force("bench://constant", "0" * 64) + contents(texts, options.items)
            await world.prepare("empty", [])
            await world.prepare("filled", messages)
            await world.fill_kafka("empty", messages)
            figures |= await constant(world, options.items, options.rounds, options.batch)
    if options.texts:
        uri, sha256 = fit_bundle(data, folder)
        with Broker(folder / "kafka-model") as broker:
            world = World(server, broker.bootstrap)
            if not options.items:
                await world.prepare("empty", [])
            await world.fill_kafka("empty", in_force(uri, sha256) + contents(texts, options.texts))
            figures |= await real(world, uri, sha256, folder / "cache", texts[: options.texts], options)
    return figures


def main() -> int:
    """Run everything; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=60_000, help="for the constant classifier; 0 leaves it out")
    parser.add_argument("--texts", type=int, default=5_000, help="for the real classifier; 0 leaves it out")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256, help="SECONDLOOK_BATCH_SIZE")
    options = parser.parse_args()
    if not (DATA / f"{SOURCE}.jsonl.gz").exists():
        console.print(f"{DATA} is not there: this benchmark needs the data set {SOURCE}")
        return 1
    with tempfile.TemporaryDirectory(prefix="second-look-bench-") as name:
        folder = Path(name)
        with embedded_postgres(folder / "postgres") as postgres:
            server = postgres.url.replace("/postgres?", "/{database}?")
            figures = asyncio.run(measure(folder, server, options))
    targets = {name: value for name, value in TARGETS.items() if name in figures}
    if options.items and options.texts:
        report("router", figures, targets, {"data": SOURCE, **vars(options)})
    else:
        console.print(figures)
    return 0


if __name__ == "__main__":
    sys.exit(main())
