"""A scenario: a fresh system under load, a fault for a while, then quiet, then the checker."""

import asyncio
import contextlib
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from secondlook.common.contract.events import ContentDecided
from tests.faults.collect import collect, left, sample
from tests.faults.facts import History
from tests.faults.faults import Fault, Stage, Strike
from tests.faults.history import Violation, check
from tests.faults.load import Submitted, submitting
from tests.faults.reviewers import Reviewers
from tests.faults.system import System, running

WARM_UP_SECONDS = 2.0
SETTLE_SECONDS = 90.0
IN_FLIGHT = timedelta(seconds=1)


@dataclass(frozen=True)
class Recovery:
    """How the content that was accepted just before or in a strike fared.

    `after`: seconds from the strike's end until all of it was routed. `wait`: the longest that any of it waited.
    """

    what: str
    after: float
    wait: float


@dataclass(frozen=True)
class Run:
    """What one scenario showed. `refused`: log lines of stopped routers. `ends`: processes that ended by themselves."""

    name: str
    seed: int
    accepted: int
    decided: int
    repeated: int
    fenced: int
    refused: list[str]
    recoveries: list[Recovery]
    settled_seconds: float
    violations: list[Violation]
    ends: list[str]

    def count(self, kind: str) -> int:
        return sum(violation.kind == kind for violation in self.violations)


async def play(name: str, faults: list[Fault], seed: int, seconds: float, keep: Path | None = None) -> Run:
    """Play the faults one after the other, `seconds` each. With `keep`, logs and data stay in that folder."""
    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(TemporaryDirectory(prefix="second-look-")))
        async with running(folder) as system:
            return await _play(system, name, faults, seed, seconds)


async def _play(system: System, name: str, faults: list[Fault], seed: int, seconds: float) -> Run:
    history, submitted = History(), Submitted()
    line = f"{name}/{seed}"
    reviewers = Reviewers(system, line)
    stage = Stage(system, random.Random(line), seconds)
    sampling = asyncio.create_task(sample(system, history))
    try:
        async with reviewers.working():
            async with submitting(system, line, submitted):
                await asyncio.sleep(WARM_UP_SECONDS)
                for fault in faults:
                    await stage.play(fault)
                await asyncio.sleep(WARM_UP_SECONDS)
            reviewers.finish()
            settled = await _settle(system)
    finally:
        sampling.cancel()
        await asyncio.gather(sampling, return_exceptions=True)
    history.accepted, history.withdrawn, history.reused = submitted.accepted, submitted.withdrawn, submitted.reused
    history.answered = reviewers.answered
    await collect(system, history)
    return Run(
        name, seed, len(history.accepted), len(history.events(ContentDecided)), history.repeated,
        sum(len(service.logged('"fenced"')) for service in system.services),
        stage.refused, list(_recoveries(history, stage.strikes)), settled,
        [*check(history), *(Violation("unsettled", failure) for failure in stage.failures)],
        [end for service in system.services for end in service.ends],
    )  # fmt: skip


async def _settle(system: System) -> float:
    """Wait until nothing is on its way, but not for ever; what is left then is for the checker to say."""
    began = time.monotonic()
    while time.monotonic() - began < SETTLE_SECONDS and await left(system):  # noqa: ASYNC110
        await asyncio.sleep(0.5)
    return time.monotonic() - began


def _recoveries(history: History, strikes: list[Strike]) -> Iterator[Recovery]:
    for strike in strikes:
        ended = strike.ended or strike.began
        met = [
            (at, history.routed[revision].at)
            for revision, at in history.accepted.items()
            if strike.began - IN_FLIGHT <= at <= ended and revision in history.routed
        ]
        last = max((routed for _, routed in met), default=ended)
        waits = [(routed - at).total_seconds() for at, routed in met]
        yield Recovery(strike.what, max(0.0, (last - ended).total_seconds()), max(0.0, *waits, 0.0))
