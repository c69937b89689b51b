"""Reviewers as load, in a process of its own: `python -m bench.review_load` reads a plan and prints what it saw.

A reviewer asks for an item and answers about it, over one connection. Without a pace they never pause. With one, the
clock says when each request is due, however slow the server is, and its latency counts from that moment: a server that
stalls is charged for everybody who would have come meanwhile. The same code loads Second Look and Label Studio; a plan
says what is asked and what is answered.
"""

import asyncio
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from string import Template
from typing import Any

import uvloop

from bench.review_connection import AnswerLost, HttpConnection, ServerRefused, encode

IN_A_ROW = 10  # failures of one reviewer, after which the server counts as refusing
TURNED_AWAY = (401, 403)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadPlan:
    """What reviewers do: `ask` and `answer` are a method and a path; what stands in `$` is found by the ask.

    `finds` names what the answer needs, and where it lies in the body of what the ask returned. Answers take turns.
    `pace` is in pairs a second of each reviewer; None: they never pause. The first `warm_up` seconds do not count.
    `reviewers` are header lines, one reviewer each; they spread over the ports.
    """

    ports: Sequence[int]
    reviewers: Sequence[str]
    ask: tuple[str, str]
    ask_body: str | None
    finds: dict[str, list[str | int]]
    answer: tuple[str, str]
    answer_bodies: Sequence[str]
    seconds: float
    warm_up: float
    pace: float | None = None
    seed: int = 1


@dataclass(frozen=True, slots=True)
class LoadResult:
    """`pairs` are items answered in the time that counts. Latencies are in seconds. `errors` counts what failed, in the
    warm-up too, by request and status; `late_s` is how far the generator itself fell behind its schedule at worst."""

    pairs: int
    seconds: float
    ask_s: list[float] = field(default_factory=list)
    answer_s: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)
    late_s: float = 0.0

    @property
    def per_second(self) -> float:
        """Items answered a second."""
        return self.pairs / self.seconds

    def latency_ms(self, share: float, of: str = "all") -> float:
        """The quantile of `ask`, `answer` or `all` requests, in milliseconds."""
        values = {"ask": self.ask_s, "answer": self.answer_s, "all": [*self.ask_s, *self.answer_s]}[of]
        return 1000 * quantile(values, share)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; raises ValueError without any."""
    if not values:
        raise ValueError("no request finished, so there is no latency")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 1).__int__() - 1))]


def run(plan: LoadPlan) -> LoadResult:
    """Run a plan in another process.

    Raises:
        RuntimeError: the server refused; with what the process said.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.review_load"], input=json.dumps(asdict(plan)), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    if done.returncode != 0:
        raise RuntimeError(f"the load ended: {done.stderr.strip()}")
    return LoadResult(**json.loads(done.stdout))


class _Load:
    """The reviewers of a plan, and what they have seen so far."""

    def __init__(self, plan: LoadPlan) -> None:
        self._plan, self._answer_path = plan, Template(plan.answer[1])
        self._bodies = [Template(body) for body in plan.answer_bodies]
        self._clock = time.monotonic  # uvloop's own clock counts milliseconds
        self._begin = self._clock() + 0.05
        self._counts_from = self._begin + plan.warm_up
        self._end = self._counts_from + plan.seconds
        self._pairs, self._errors, self._late = 0, Counter[str](), 0.0
        self._ask_s: list[float] = []
        self._answer_s: list[float] = []

    async def run(self) -> LoadResult:
        """Let all reviewers work until the time is over."""
        drawn = random.Random(self._plan.seed)
        ports = self._plan.ports
        connections = [HttpConnection(ports[number % len(ports)]) for number in range(len(self._plan.reviewers))]
        try:
            async with asyncio.TaskGroup() as group:
                for number, (connection, headers) in enumerate(zip(connections, self._plan.reviewers, strict=True)):
                    group.create_task(self._reviewer(number, connection, headers, drawn.random()))
        finally:
            for connection in connections:
                await connection.close()
        return LoadResult(
            self._pairs, self._plan.seconds, self._ask_s, self._answer_s, dict(self._errors), round(self._late, 6)
        )

    async def _reviewer(self, number: int, connection: HttpConnection, headers: str, offset: float) -> None:
        ask = encode(*self._plan.ask, headers, self._plan.ask_body)
        pace, failed, turn = self._plan.pace, 0, 0
        due = self._begin + (offset / pace if pace else 0.0)
        while due < self._end and self._clock() < self._end:
            held = await self._ask(connection, ask, due if pace else None)
            answered = held is not None and await self._answer(
                connection, headers, held, number + turn, due + 0.5 / pace if pace else None
            )
            failed = 0 if answered else failed + 1
            if failed == IN_A_ROW:
                raise ServerRefused(f"{IN_A_ROW} failures in a row: {dict(self._errors)}")
            turn, due = turn + 1, due + 1 / pace if pace else due

    async def _ask(self, connection: HttpConnection, wire: bytes, due: float | None) -> dict[str, str] | None:
        body = await self._send(connection, wire, due, "ask", self._ask_s)
        if body is None:
            return None
        found: dict[str, str] = {}
        for name, path in self._plan.finds.items():
            value: Any = json.loads(body)
            try:
                for step in path:
                    value = value[step]
            except (LookupError, TypeError) as error:
                raise ServerRefused(f"no item is left, or not where the plan looks for it: {body[:300]!r}") from error
            found[name] = str(value)
        return found

    async def _answer(
        self, connection: HttpConnection, headers: str, held: dict[str, str], turn: int, due: float | None
    ) -> bool:
        body = self._bodies[turn % len(self._bodies)].substitute(held)
        wire = encode(self._plan.answer[0], self._answer_path.substitute(held), headers, body)
        if await self._send(connection, wire, due, "answer", self._answer_s) is None:
            return False
        self._pairs += self._counts_from <= self._clock() < self._end
        return True

    async def _send(
        self, connection: HttpConnection, wire: bytes, due: float | None, kind: str, seen: list[float]
    ) -> bytes | None:
        """The body of a good answer. Anything else is counted, and returned as None."""
        if due is not None and (wait := due - self._clock()) > 0:
            await asyncio.sleep(wait)
            self._late = max(self._late, self._clock() - due)
        since = self._clock() if due is None else due
        try:
            answer = await connection.request(wire)
        except AnswerLost:
            self._errors[f"{kind} lost"] += 1
            return None
        if answer.status in TURNED_AWAY:
            raise ServerRefused(f"the server turns a reviewer away: {answer.status} {answer.body[:300]!r}")
        if not 200 <= answer.status < 300:
            self._errors[f"{kind} {answer.status}"] += 1
            return None
        if self._counts_from <= since < self._end:
            seen.append(self._clock() - since)
        return answer.body


async def load(plan: LoadPlan) -> LoadResult:
    """Run a plan in this event loop.

    Raises:
        ServerRefused: nobody listens, callers are turned away, no item is left, or one reviewer fails again and again.
    """
    try:
        return await _Load(plan).run()
    except* ServerRefused as refused:
        first: BaseException = refused
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise first from None


def main(work: Callable[[LoadPlan], Coroutine[Any, Any, LoadResult]] = load) -> int:
    """Read a plan, run it, print the result; 1 and a line on standard error if the server refuses."""
    plan = LoadPlan(**json.load(sys.stdin))
    try:
        result = uvloop.run(work(plan))
    except ServerRefused as refused:
        sys.stderr.write(f"{refused}\n")
        return 1
    json.dump(asdict(result), sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
