"""What goes wrong, one coroutine a fault. Chances come from the seed, so the same seed plays the same faults."""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import asyncpg

from tests.faults.process import Service
from tests.faults.proxy import Proxy
from tests.faults.system import ROUTERS, SESSION_SECONDS, System, use_model

RELAY_SESSIONS = """
SELECT DISTINCT a.pid FROM pg_stat_activity a JOIN pg_locks l USING (pid)
WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND a.query NOT LIKE '%pg_locks l%'
"""
GUESTS = 2  # beside the routers that are always there; one more for a moment
DONE = 'secondlook_stream_records_total{group="router"}'


@dataclass
class Strike:
    """A fault that happened."""

    what: str
    began: datetime
    ended: datetime | None = None


@dataclass
class Stage:
    """Where a fault plays: the system, the seeded chance, and how long to go on. It notes what happened."""

    system: System
    chance: random.Random
    seconds: float
    strikes: list[Strike] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)  # log lines: writes of a stopped router that were refused
    failures: list[str] = field(default_factory=list)  # what a fault itself found wrong
    _began: float = 0.0

    async def play(self, fault: "Fault") -> None:
        """Play one fault for `seconds`, or until it has done what it is for."""
        self._began = time.monotonic()
        await fault(self)

    def goes_on(self) -> bool:
        return time.monotonic() - self._began < self.seconds

    async def pause(self, shortest: float, longest: float) -> None:
        await asyncio.sleep(self.chance.uniform(shortest, longest))

    @asynccontextmanager
    async def strike(self, what: str) -> AsyncIterator[None]:
        """The block is the time in which something is wrong."""
        strike = Strike(what, datetime.now(UTC))
        self.strikes.append(strike)
        try:
            yield
        finally:
            strike.ended = datetime.now(UTC)


Fault = Callable[[Stage], Awaitable[None]]


async def _kill(stage: Stage, services: list[Service], rest: tuple[float, float] = (4, 6)) -> None:
    while stage.goes_on():
        victim = stage.chance.choice(services)
        async with stage.strike(f"kill -9 {victim.name}"):
            await victim.down()
            await stage.pause(0.2, 2)
            await victim.start()
        await stage.pause(*rest)


async def router_killed(stage: Stage) -> None:
    """kill -9 of a router."""
    await _kill(stage, stage.system.routers)


async def relay_killed(stage: Stage) -> None:
    """kill -9 of a process that only relays. Kafka answers late, so that something is mostly on its way."""
    stage.system.kafka.delay(0.1)
    await _kill(stage, stage.system.relays, rest=(2.5, 4))
    stage.system.kafka.heal()


async def api_killed(stage: Stage) -> None:
    """kill -9 of a reviewer API."""
    await _kill(stage, stage.system.apis)


async def relay_disowned(stage: Stage) -> None:
    """The sessions that own relays' shards end, while their processes send on for a moment."""
    stage.system.kafka.delay(0.1)
    while stage.goes_on():
        async with stage.strike("sessions of relays ended"):
            connection = await asyncpg.connect(stage.system.postgres.url)
            for row in await connection.fetch(RELAY_SESSIONS):
                await connection.execute("SELECT pg_terminate_backend($1)", row["pid"])
            await connection.close()
        await stage.pause(0.5, 4)
    stage.system.kafka.heal()


async def postgres_killed(stage: Stage) -> None:
    """kill -9 of PostgreSQL, all of its processes."""
    while stage.goes_on():
        async with stage.strike("kill -9 PostgreSQL"):
            await asyncio.to_thread(stage.system.postgres.kill)
            await stage.pause(0.2, 2)
            await stage.system.postgres.start_again()
        await stage.pause(6, 9)


async def broker_killed(stage: Stage) -> None:
    """kill -9 of Kafka."""
    while stage.goes_on():
        async with stage.strike("kill -9 Kafka"):
            await asyncio.to_thread(stage.system.broker.kill)
            await stage.pause(0.2, 2)
            await asyncio.to_thread(stage.system.broker.start)
        await stage.pause(6, 9)


async def broker_restarted(stage: Stage) -> None:
    """Kafka stops in order and starts again."""
    while stage.goes_on():
        async with stage.strike("Kafka restarted"):
            await asyncio.to_thread(stage.system.broker.stop)
            await asyncio.to_thread(stage.system.broker.start)
        await stage.pause(6, 9)


async def router_stopped(stage: Stage) -> None:
    """SIGSTOP of a router past its session, then SIGCONT: others own its partitions, and its write must be refused.

    The model is slow, so that a stop mostly meets a batch in work. It goes on until one did: a router may hear of the
    others before it writes, and drop the batch by itself. The second stop is long enough for PostgreSQL to end silent
    sessions.
    """
    await use_model(stage.system, SESSION_SECONDS / 4)
    for seconds in (SESSION_SECONDS * 2.5, 18.0, *[SESSION_SECONDS * 2.5] * 10):
        if not stage.goes_on() and stage.refused:
            break
        zombie = stage.chance.choice(stage.system.routers)
        known = len(_refusals(zombie))
        async with stage.strike(f"SIGSTOP {zombie.name} for {seconds:g} s"):
            zombie.suspend()
            await asyncio.sleep(seconds)
            zombie.resume()
        await asyncio.sleep(3)
        stage.refused += [f"{zombie.name}: {line}" for line in _refusals(zombie)[known:]]
        await _works_again(stage, zombie)


def _refusals(service: Service) -> list[Any]:
    """Fenced by the epoch of a position, or found its transaction ended by PostgreSQL."""
    found = [*service.logged('"fenced"'), *service.logged("IdleInTransactionSessionTimeout")]
    return sorted(found, key=lambda line: str(line.get("timestamp")))


async def _works_again(stage: Stage, router: Service) -> None:
    """A router that came back takes its share again."""
    before = await router.metric(stage.system.client, DONE)
    try:
        async with asyncio.timeout(30):
            while await router.metric(stage.system.client, DONE) <= before:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
    except TimeoutError:
        stage.failures.append(f"{router.name} did not work again within 30 s of SIGCONT")


async def rebalance_storm(stage: Stage) -> None:
    """Every 2 s a router joins or leaves, in order or by kill -9. Each stays long enough to be given partitions."""
    more: list[Service] = []
    turn = 0
    try:
        while stage.goes_on():
            turn += 1
            if turn % 2 or len(more) < GUESTS:
                more.append(stage.system.service("router", ROUTERS + turn))
                async with stage.strike(f"{more[-1].name} joins"):
                    await more[-1].start()
                    await asyncio.sleep(2)
            else:
                leaver, how = more.pop(0), stage.chance.choice((signal.SIGTERM, signal.SIGKILL))
                async with stage.strike(f"{leaver.name} leaves by {how.name}"):
                    await asyncio.gather(leaver.down(how), asyncio.sleep(2))
                stage.failures += leaver.ends
    finally:
        await asyncio.gather(*(service.down() for service in more))


async def _network(stage: Stage, name: str, proxy: Proxy) -> None:
    kinds: list[tuple[str, Callable[[], None], tuple[float, float]]] = [
        ("delayed", lambda: proxy.delay(stage.chance.uniform(0.02, 0.2)), (3, 5)),
        ("cut", proxy.cut, (0.1, 3)),
        ("black-holed", proxy.swallow, (SESSION_SECONDS * 1.5, SESSION_SECONDS * 3)),
    ]
    while stage.goes_on():
        stage.chance.shuffle(kinds)
        for what, break_it, (shortest, longest) in kinds:
            async with stage.strike(f"{name} {what}"):
                break_it()
                await stage.pause(shortest, longest)
                proxy.heal()
            await stage.pause(2, 4)


async def postgres_network(stage: Stage) -> None:
    """What lies between the services and PostgreSQL delays, cuts and swallows."""
    await _network(stage, "PostgreSQL", stage.system.postgres_proxy)


async def kafka_network(stage: Stage) -> None:
    """What lies between everyone and Kafka delays, cuts and swallows."""
    await _network(stage, "Kafka", stage.system.kafka)


FAULTS: dict[str, Fault] = {
    fault.__name__.replace("_", "-"): fault
    for fault in (
        router_killed, relay_killed, relay_disowned, api_killed, postgres_killed, broker_killed, broker_restarted,
        router_stopped, rebalance_storm, postgres_network, kafka_network,
    )
}  # fmt: skip
A_DAY = 3


def of_the_day(day: date) -> list[str]:
    """Three faults for a date: the same ones whenever it is asked, and all of them in any four days in a row."""
    names, first = [*FAULTS], day.toordinal() * A_DAY
    return [names[number % len(names)] for number in range(first, first + A_DAY)]
