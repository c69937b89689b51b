"""Reviewers and a lead who work through the reviewer API without pause, whatever becomes of it."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx

from tests.faults.system import REVIEWERS, System

CLAIM = 8
VERDICTS: tuple[tuple[str, list[str]], ...] = (
    ("approve", []),
    ("approve", []),
    ("reject", ["spam"]),
    ("reject", ["scam"]),  # takes two reviewers
)
TRIES = 3


class Reviewers:
    """`answered`: the verdicts that the API took, by lease token: none of them may be lost."""

    def __init__(self, system: System, seed: str) -> None:
        self._system, self._seed = system, seed
        self.answered: dict[UUID, str] = {}
        self._finishing = False

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        tasks = [
            asyncio.create_task(self._work(number, key, random.Random(f"{self._seed}/reviewer/{number}")))
            for number, key in enumerate(self._system.reviewer_keys)
        ]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def finish(self) -> None:
        """From now on judge everything and change no mind, so that the queue empties."""
        self._finishing = True

    async def _work(self, number: int, key: str, chance: random.Random) -> None:
        # The lead only settles what others could not, and only one reviewer skips: somebody may always judge.
        wanted = {"limit": CLAIM, "queue": "leads" if number == REVIEWERS else "default"}
        ways_out = ("release", "escalate", "skip", None) if number == 0 else ("release", "escalate", None)
        while True:
            claimed = await self._call(key, chance, "review/claims", wanted)
            for task in claimed["tasks"] if claimed else ():
                await self._handle(key, chance, task, ways_out)
            await asyncio.sleep(chance.uniform(0.05, 0.2))

    async def _handle(
        self, key: str, chance: random.Random, task: dict[str, Any], ways_out: Sequence[str | None]
    ) -> None:
        held = {"lease_token": task["lease_token"]}
        draw = 0.0 if self._finishing else chance.random()
        if draw > 0.92:
            action = chance.choice(ways_out)  # None: the lease runs out
            if action is not None:
                await self._call(key, chance, f"review/tasks/{task['task_id']}/{action}", held)
            return
        outcome, labels = chance.choice(VERDICTS)
        said = {**held, "outcome": outcome, "labels": labels}
        answer = await self._call(key, chance, f"review/tasks/{task['task_id']}/decision", said)
        if answer:
            self.answered[UUID(task["lease_token"])] = outcome
            if not self._finishing and chance.random() < 0.05:
                await self._call(key, chance, f"decisions/{answer['decision_id']}/undo", {})

    async def _call(self, key: str, chance: random.Random, path: str, body: dict[str, Any]) -> Any:
        """The answer; None if there is none after some tries, or it is a refusal (the state has moved on)."""
        for _ in range(TRIES):
            try:
                answer = await self._system.client.post(
                    f"{chance.choice(self._system.apis).url}/v1/{path}",
                    json=body, headers={"Authorization": f"Bearer {key}"},
                )  # fmt: skip
            except httpx.HTTPError:
                await asyncio.sleep(0.2)
                continue
            if answer.status_code == 200:
                return answer.json()
            if answer.status_code < 500:
                return None
            await asyncio.sleep(0.2)
        return None
