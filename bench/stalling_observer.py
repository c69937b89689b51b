"""An honest client in a process of its own: it asks `/healthz`, claims items and judges them, and notes the times."""

import multiprocessing
import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx

PACE_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Seen:
    """One request of the observer: `healthz` or `claim`, when it began, and how long the answer took."""

    kind: str
    at: float
    seconds: float
    failed: bool


@dataclass(slots=True)
class Observer:
    """What the observer saw, asked for by time."""

    _seen: Any
    _kept: list[Seen]

    def during(self, work: Callable[[], None]) -> list[Seen]:
        """What it saw of requests that began while `work` ran."""
        began = time.monotonic()
        work()
        ended = time.monotonic()
        while not self._kept or self._kept[-1].at <= ended:
            self._kept.append(self._seen.get(timeout=60))
        return [one for one in self._kept if began <= one.at <= ended]


@contextmanager
def observed(port: int, key: str) -> Iterator[Observer]:
    """An observer of the reviewer API at `port` and the router beside it, until the block ends."""
    context = multiprocessing.get_context("spawn")
    seen = context.Queue()
    process = context.Process(target=_observe, args=(port, key, seen), daemon=True)
    process.start()
    try:
        yield Observer(seen, [])
    finally:
        process.kill()
        process.join()


def _observe(port: int, key: str, seen: "queue.Queue[Seen]") -> None:
    headers = {"Authorization": f"Bearer {key}"}
    api, router = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port + 1}"
    with httpx.Client(headers=headers, timeout=60) as client:

        def ask(kind: str, method: str, url: str, **more: Any) -> httpx.Response | None:
            began = time.monotonic()
            answer = None
            try:
                answer = client.request(method, url, **more)
            except httpx.HTTPError:
                client.get(f"{api}/healthz")  # a fresh connection for the next one
            failed = answer is None or answer.status_code != 200
            seen.put(Seen(kind, began, time.monotonic() - began, failed))
            return None if failed else answer

        while True:
            for url in (api, router):
                ask("healthz", "GET", f"{url}/healthz")
                time.sleep(PACE_SECONDS)
            claimed = ask("claim", "POST", f"{api}/v1/review/claims", json={"limit": 1})
            for task in claimed.json()["tasks"] if claimed else ():
                given = {"lease_token": task["lease_token"], "outcome": "approve", "labels": []}
                client.post(f"{api}/v1/review/tasks/{task['task_id']}/decision", json=given)
            time.sleep(PACE_SECONDS)
