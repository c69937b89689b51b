"""Sends batches to the router over HTTP: paced, retried while the router is away, and unchanged between tries."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
from pydantic import BaseModel, ValidationError

from secondlook.common.backoff import Backoff
from secondlook.common.errors import ConfigurationError

BATCH_PATH = "/v1/content/batch"
BUSY = frozenset({429, 502, 503, 504})
LONGEST_WAIT = 10.0


class Refusal(BaseModel):
    """A line that the router refused, and why. Lines count from 1."""

    line: int
    code: str
    errors: list[dict[str, str]]


class Receipt(BaseModel):
    """The router's answer to a batch. The router has stored every accepted item.

    `refused_lines` has all refused lines by code, like `3,7-9`; `refused` says what is wrong with the first of them.
    """

    accepted: int
    refused: list[Refusal]
    refused_lines: dict[str, str] = {}

    def codes(self) -> Counter[str]:
        """How many lines were refused, by code."""
        if not self.refused_lines:  # a router of an earlier version lists every line
            return Counter(refusal.code for refusal in self.refused)
        return Counter({code: sum(map(_length, runs.split(","))) for code, runs in self.refused_lines.items()})


@dataclass(slots=True)
class Pace:
    """At most `per_second` items a second, without a burst to make up for lost time. None means no limit."""

    per_second: float | None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _next: float = 0.0

    def wait(self, items: int) -> None:
        """Return when `items` may be sent."""
        if self.per_second is None:
            return
        if (ahead := self._next - self.clock()) > 0:
            self.sleep(ahead)
        self._next = max(self._next, self.clock()) + items / self.per_second


def connect(url: str, key: str) -> httpx.Client:
    """An HTTP client for a router; raises ConfigurationError if the URL or the key cannot be used."""
    try:
        client = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key.strip()}"}, timeout=30)
    except (httpx.InvalidURL, ValueError) as error:
        raise ConfigurationError(f"the router's URL or the key cannot be used: {error}") from error
    if client.base_url.scheme not in ("http", "https") or not client.base_url.host:
        raise ConfigurationError(f"the router's URL must begin with http:// or https://: {url}")
    return client


class RouterClient:
    """Sends NDJSON to one router. Calls `notice` for every failed try."""

    def __init__(
        self, client: httpx.Client, retries: int, notice: Callable[[str], None], sleep: Callable[[float], None]
    ) -> None:
        self._client, self._retries, self._notice, self._sleep = client, retries, notice, sleep

    def send(self, lines: Sequence[bytes]) -> Receipt:
        """Send a batch until the router answers. It may have stored a try that was cut off; repeats change nothing.

        Raises:
            ConfigurationError: the router does not answer, refuses the key, or is not a router.
        """
        body = b"\n".join(lines)
        backoff = Backoff(0.5, LONGEST_WAIT)
        for attempt in range(self._retries + 1):
            try:
                answer = self._client.post(BATCH_PATH, content=body, headers={"Content-Type": "application/x-ndjson"})
            except httpx.TransportError as error:
                trouble = str(error) or type(error).__name__
            else:
                if answer.status_code not in BUSY:
                    return self._receipt(answer)
                trouble = f"answered {answer.status_code}"
            if attempt < self._retries:
                wait = backoff.wait()
                self._notice(f"router: {trouble}; trying again in {wait:.1f} s")
                self._sleep(wait)
        raise ConfigurationError(f"the router at {self._client.base_url} does not answer: {trouble}")

    def _receipt(self, answer: httpx.Response) -> Receipt:
        if answer.status_code == 202:
            try:
                return Receipt.model_validate_json(answer.content)
            except ValidationError:
                pass
        if answer.status_code in (401, 403):
            raise ConfigurationError(f"the router refuses the key: {_detail(answer)}")
        raise ConfigurationError(
            f"{self._client.base_url} answers {answer.status_code} ({_detail(answer)}): is it the router?"
        )


def _length(run: str) -> int:
    first, _, last = run.partition("-")
    return int(last or first) - int(first) + 1


def _detail(answer: httpx.Response) -> str:
    try:
        body: Any = answer.json()
    except ValueError:
        body = None
    detail = body.get("detail") if isinstance(body, dict) else None
    return str(detail or answer.reason_phrase or "no reason given")[:300]
