"""One classifier that the router asks over HTTP."""

import asyncio
import hashlib
import os
from collections import OrderedDict, deque
from collections.abc import Collection, Sequence
from time import perf_counter
from urllib.parse import urlsplit

import httpcore
import structlog

from secondlook.common.breaker import Breaker
from secondlook.common.clock import Clock
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.signals import SignalEndpoint
from secondlook.common.http.targets import GuardedNetwork, TargetRefused
from secondlook.common.printable import cut
from secondlook.router.signals.budget import Budget
from secondlook.router.signals.metrics import SignalMetrics
from secondlook.router.signals.reading import Heard, body_of, nothing, read

MOST_READ = 1024 * 1024  # bytes of an answer
IDLE_SECONDS = 30.0
ANY = 1_000_000

log = structlog.get_logger()


class NoAnswer(Exception):
    """A request brought no answer; says why, without what was asked. `retry_after`: seconds, if the other side asks."""

    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class AskedEndpoint:
    """Asks one classifier about content, each content once as long as its answer is kept.

    `hosts`: those that may lead to private addresses, be asked without TLS, and be sent a secret.
    """

    def __init__(
        self,
        name: str,
        settings: SignalEndpoint,
        hosts: Collection[str],
        budget: Budget,
        metrics: SignalMetrics,
        clock: Clock,
    ) -> None:
        self._name, self._settings, self._hosts = name, settings, hosts
        self._budget, self._metrics, self._clock = budget, metrics, clock
        self._breaker = Breaker()
        self._kept: OrderedDict[bytes, Heard] = OrderedDict()
        self._pool = httpcore.AsyncConnectionPool(
            max_connections=settings.at_once, max_keepalive_connections=settings.at_once,
            keepalive_expiry=IDLE_SECONDS, network_backend=GuardedNetwork(hosts=hosts),
        )  # fmt: skip

    async def close(self) -> None:
        """Close its connections."""
        await self._pool.aclose()

    async def ask(self, contents: Sequence[ContentSubmitted]) -> list[Heard]:
        """What it says of each item, within `timeout_seconds` altogether; never raises for what the other side does."""
        bodies = [body_of(self._settings, content) for content in contents]
        keys = [body and hashlib.sha256(body).digest() for body in bodies]
        found: dict[bytes, Heard] = {}
        asked: dict[bytes, bytes] = {}
        for key, body in zip(keys, bodies, strict=True):
            if key is None or body is None:
                continue
            if key in self._kept:
                self._kept.move_to_end(key)
                found[key] = self._kept[key]
            else:
                asked[key] = body
        self._count("kept", len(found))
        if asked:
            found |= await self._ask(asked)
        blank = nothing(self._settings, "there is no text to ask about")
        return [found[key] if key is not None else blank for key in keys]

    async def _ask(self, asked: dict[bytes, bytes]) -> dict[bytes, Heard]:
        found: dict[bytes, Heard] = {}
        why = self._refusal()
        if why is None and self._room == 0:
            why = "the classifier did not answer of late, and rests"
            self._count("resting", len(asked))
        if why is None:
            granted = await self._budget.take(self._name, self._settings, len(asked))
            self._count("over_limit", len(asked) - granted)
            why = "the policy's limit of requests is reached"
            waiting = deque(list(asked.items())[:granted])
            if granted:
                why = why if granted < len(asked) else f"no answer within {self._settings.timeout_seconds:g} s"
                try:
                    async with asyncio.timeout(self._settings.timeout_seconds):
                        await self._work_off(waiting, found)
                except TimeoutError:
                    why = f"no answer within {self._settings.timeout_seconds:g} s"
        rest = nothing(self._settings, why)
        return {key: found.get(key, rest) for key in asked}

    async def _work_off(self, waiting: deque[tuple[bytes, bytes]], found: dict[bytes, Heard]) -> None:
        if self._room == 1:  # a rest is over: one request tells whether to make the others
            await self._fetch(*waiting.popleft(), found)

        async def work() -> None:
            while waiting and self._room > 1:
                await self._fetch(*waiting.popleft(), found)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self._settings.at_once, len(waiting))):
                group.create_task(work())

    async def _fetch(self, key: bytes, body: bytes, found: dict[bytes, Heard]) -> None:
        began, answered = perf_counter(), False
        retry_after = 0.0
        try:
            heard = read(self._settings, await self._post(body))
            answered = bool(heard.signals)
            if not heard.missing:
                self._keep(key, heard)
        except NoAnswer as error:
            heard, retry_after = nothing(self._settings, str(error)), error.retry_after
        finally:  # also where the time is over
            if answered:
                self._breaker.succeeded()
            else:
                self._failed(retry_after)
            self._count("answered" if answered else "failed", 1)
            self._metrics.seconds.labels(self._name).observe(perf_counter() - began)
        found[key] = heard

    @property
    def _room(self) -> int:
        """How many requests may be made now: 0, one that tells whether it is back, or any number."""
        return self._breaker.room(self._clock.now(), ANY)

    def _failed(self, retry_after: float) -> None:
        rested = self._room == 0
        self._breaker.failed(self._clock.now(), retry_after)
        if self._room == 0 and not rested:
            log.warning("a classifier does not answer, and rests", endpoint=self._name)

    def _keep(self, key: bytes, heard: Heard) -> None:
        self._kept[key] = heard
        while len(self._kept) > self._settings.cached:
            self._kept.popitem(last=False)

    def _refusal(self) -> str | None:
        """Why the router asks nothing there at all."""
        parts = urlsplit(self._settings.url)
        vouched = parts.hostname in self._hosts
        if parts.scheme == "http" and not vouched:
            return f"SECONDLOOK_SIGNAL_HOSTS does not name {parts.hostname}, which is asked without TLS"
        if self._settings.secret is not None:
            if not vouched:
                return f"SECONDLOOK_SIGNAL_HOSTS does not name {parts.hostname}, so no secret is sent there"
            if not os.environ.get(self._settings.secret):
                return f"the router has no variable {self._settings.secret}"
        return None

    def _headers(self) -> list[tuple[bytes, bytes]]:
        found = [(b"content-type", b"application/json"), (b"accept", b"application/json")]
        if self._settings.secret is None:
            return found
        value = os.environ[self._settings.secret].encode()
        if self._settings.secret_header is None:
            return [*found, (b"authorization", b"Bearer " + value)]
        return [*found, (self._settings.secret_header.lower().encode(), value)]

    async def _post(self, body: bytes) -> bytes:
        headers = [*self._headers(), (b"content-length", b"%d" % len(body))]
        try:
            async with self._pool.stream("POST", self._settings.url, headers=headers, content=body) as response:
                if response.status != 200:
                    after = dict(response.headers).get(b"retry-after", b"")
                    raise NoAnswer(f"the answer was {response.status}", float(after) if after.isdigit() else 0.0)
                parts, size = [], 0
                async for part in response.aiter_stream():
                    parts.append(part)
                    size += len(part)
                    if size > MOST_READ:
                        raise NoAnswer(f"the answer has more than {MOST_READ} bytes")
                return b"".join(parts)
        except TargetRefused as error:
            raise NoAnswer(f"{cut(str(error), 300)}; SECONDLOOK_SIGNAL_HOSTS allows it") from error
        except NoAnswer:
            raise
        except Exception as error:  # httpcore passes on what TLS, sockets and the protocol raise
            raise NoAnswer(f"the request failed: {type(error).__name__}") from error

    def _count(self, result: str, number: int) -> None:
        if number:
            self._metrics.requests.labels(self._name, result).inc(number)
