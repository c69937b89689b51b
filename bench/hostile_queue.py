"""What one hostile reviewer among eight keeps from the others: `python -m bench.hostile_queue`.

The real review service over a PostgreSQL of its own, on a clock that the benchmark turns; leases last 15 minutes. 440
items wait at first, and 6 a minute arrive for an hour. Seven honest reviewers judge an item every 40 s each and claim
five at a time. The eighth judges nothing: `hoard` claims all that it gets and keeps it by heartbeat, `loop` releases
everything every 12 minutes and claims it again, `skip` skips all that it gets. A run ends after 100 minutes.

`withheld` is the share of the hour's items that the hostile reviewer kept from the others for ten minutes or more in
all. `longest_wait` is in minutes; an item that nobody judged counts until the end. `unjudged` counts those. `_before`
is the same service under a policy that switches the limits off (1,000 leases, a day's hold, nobody first, any number of
returns), which is what the service did before it had them; `_after` is the default policy.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.report import report
from secondlook.cli.local.embedded import embedded_postgres
from secondlook.common.errors import Conflict
from secondlook.common.migrate import migrate_schemas
from secondlook.common.service.permissions import Caller
from secondlook.reviewer_api.review.schemas import ReviewTask
from secondlook.reviewer_api.review.tasks import Verdict
from tests.integration.review_world import POLICY, START, World, requested

WAITING, A_MINUTE, HONEST, PREFETCH = 440, 6, 7, 5
HOUR, END, STEP = 3600, 6000, 40  # seconds; an honest reviewer judges an item a step
LEASE, HEARTBEAT, LOOP = 900, 840, 720
LONG = 600  # seconds that count as withheld
OFF = "review: {max_leases: 1000, max_hold_minutes: 1440, others_first_minutes: 0, max_returns: 100000}\n"
POLICIES = {"before": POLICY + OFF, "after": POLICY}
STRATEGIES = ("hoard", "loop", "skip")
TABLES = "task, task_payload, judgement, closure, hold, returned_lease, reviewer_seen, api_key, policy, bus.record"
FINE = Verdict("approve", frozenset())


@dataclass
class Hour:
    """A run: when each item came and was judged, and for how many seconds the hostile reviewer held it."""

    world: World
    hostile: Caller
    honest: Sequence[Caller]
    came: dict[str, int] = field(default_factory=dict)
    judged: dict[str, int] = field(default_factory=dict)
    kept: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    hands: defaultdict[str, list[ReviewTask]] = field(default_factory=lambda: defaultdict(list))

    async def run(self, strategy: str) -> dict[str, float]:
        """Play until the end and measure."""
        await self.arrive(WAITING, 0)
        for now in range(0, END, STEP):
            if now and now < HOUR:
                await self.arrive(A_MINUTE * STEP // 60, now)
            await self.attack(strategy, now)
            for reviewer in self.honest:
                await self.judge_one(reviewer, now)
            for task in (await self.world.api.reviews.held(self.hostile)).tasks:
                self.kept[task.content.content_id] += STEP
            self.world.clock.turn(STEP)
            await self.world.api.publisher.publish_due()
        waits = [self.judged.get(item, END) - came for item, came in self.came.items()]
        return {
            "withheld": round(sum(seconds >= LONG for seconds in self.kept.values()) / len(self.came), 4),
            "longest_wait": round(max(waits) / 60, 1),
            "unjudged": len(self.came) - len(self.judged),
        }

    async def arrive(self, count: int, now: int) -> None:
        names = [f"item-{len(self.came) + number}" for number in range(count)]
        self.came.update(dict.fromkeys(names, now))
        await self.world.request(*[requested(name, at=self.world.clock.now()) for name in names])

    async def judge_one(self, reviewer: Caller, now: int) -> None:
        hand = self.hands[reviewer.subject]
        if not hand:
            hand += await self.claim(reviewer, PREFETCH)
        if hand:
            task = hand.pop(0)
            await self.world.api.reviews.decide(task.task_id, task.lease_token, reviewer, FINE)
            self.judged[task.content.content_id] = now + STEP

    async def claim(self, reviewer: Caller, limit: int) -> list[ReviewTask]:
        with suppress(Conflict):
            return (await self.world.api.reviews.claim(reviewer, limit)).tasks
        return []

    async def attack(self, strategy: str, now: int) -> None:
        """Do what the strategy does at this moment, then claim all that there is."""
        reviews, hand = self.world.api.reviews, self.hands[self.hostile.subject]
        if strategy == "hoard" and now % HEARTBEAT == 0:
            for task in hand:
                with suppress(Conflict):
                    await reviews.heartbeat(task.task_id, task.lease_token, self.hostile)
        elif strategy == "skip" or (strategy == "loop" and now % LOOP == 0):
            back = reviews.skip if strategy == "skip" else reviews.release
            for task in hand:
                with suppress(Conflict):
                    await back(task.task_id, task.lease_token, self.hostile)
            hand.clear()
        while claimed := await self.claim(self.hostile, 50):
            hand += claimed


async def measure(url: str) -> dict[str, float]:
    """Every strategy before and after."""
    figures: dict[str, float] = {}
    async with World.open(url, policy=None) as world:  # nothing here outlives a power cut
        for statement in ("ALTER SYSTEM SET synchronous_commit = off", "SELECT pg_reload_conf()"):
            await world.database.pool.execute(statement)
    for strategy in STRATEGIES:
        for when, policy in POLICIES.items():
            async with World.open(url, policy=None, lease_seconds=LEASE) as world:
                await world.database.pool.execute(f"TRUNCATE {TABLES} CASCADE")
                await world.call("POST", "/policies", {"document": policy}, role="lead")
                honest = [await world.caller("reviewer", f"honest-{number}") for number in range(HONEST)]
                hour = Hour(world, await world.caller("reviewer", "hostile"), honest)
                found = await hour.run(strategy)
                assert world.clock.now() == START + timedelta(seconds=END)
            figures.update({f"{strategy}_{name}_{when}": value for name, value in found.items()})
    return figures


def main() -> None:
    """Run every strategy without and with limits, and report; there is no target, only before and after."""
    started = time.monotonic()
    with TemporaryDirectory(prefix="second-look-") as folder, embedded_postgres(Path(folder) / "postgres") as server:
        asyncio.run(migrate_schemas(server.url))
        figures = asyncio.run(measure(server.url))
    settings = {
        "reviewers": HONEST + 1, "waiting": WAITING, "a_minute": A_MINUTE, "lease_seconds": LEASE,
        "seconds": round(time.monotonic() - started),
    }  # fmt: skip
    report("hostile_queue", figures, {}, settings)


if __name__ == "__main__":
    main()
