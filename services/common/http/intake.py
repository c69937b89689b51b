"""ASGI middleware: a body arrives in bounded size and time, or not at all."""

import asyncio
from collections.abc import Mapping
from typing import Any

from secondlook.common.errors import Busy, PayloadTooLarge, TooSlow
from secondlook.common.http.encodings import Decode, decoder_for
from secondlook.common.http.limits import BODY_RATE, GAP_SECONDS, MAX_BODY, MAX_HELD
from secondlook.common.http.turns import LARGE

CLOSE = (b"connection", b"close")


class Intake:
    """Watches over the bodies of all requests. Nothing of a body is looked at before the application asks for it.

    The application's `receive` raises:
        PayloadTooLarge: the body is longer than the limit of its path, `larger[path]` or MAX_BODY bytes, as it arrives
            or decoded.
        UnknownEncoding, InvalidInput: it is compressed in a way that is not read, or badly.
        TooSlow: it arrives too slowly, or not at all.
        Busy: the bodies of all requests in progress take more than MAX_HELD bytes.
    """

    def __init__(
        self, app: Any, larger: Mapping[str, int], *, gap_seconds: float = GAP_SECONDS, max_held: int = MAX_HELD
    ) -> None:
        self._app, self._larger, self._gap, self._most, self._held = app, larger, gap_seconds, max_held, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._larger.get(scope["path"], MAX_BODY)
        body = _Body(scope, receive, limit, self._gap)

        async def bounded() -> Any:
            before = body.size
            message = await body.receive()
            self._held += body.size - before
            if self._held > self._most:
                raise Busy("the requests in progress fill the memory set aside for them; send it again in a moment")
            return message

        async def whole() -> Any:
            """The body as one decoded message, when it is asked for; afterwards what else comes."""
            if (body.complete and body.size == 0) or body.decoded:
                return await bounded()
            decode, body.decoded = decoder_for(body.encoding), True
            if decode is None:
                return await bounded()
            parts = []
            while (message := await bounded())["type"] == "http.request":
                parts.append(message.get("body", b""))
                if not message.get("more_body", False):
                    return {**message, "body": await self._decoded(decode, b"".join(parts), limit, body)}
            return message

        async def closing(message: Any) -> None:
            # What an answer leaves unread of a body must not be taken for the next request, nor be waited for.
            if message["type"] == "http.response.start" and not body.complete:
                message = {**message, "headers": [*message.get("headers", ()), CLOSE]}
            await send(message)

        try:
            await self._app(scope, whole if body.encoding else bounded, closing)
        finally:
            self._held -= body.size

    async def _decoded(self, decode: Decode, raw: bytes, limit: int, body: "_Body") -> bytes:
        found = await asyncio.to_thread(decode, raw, limit) if len(raw) > LARGE else decode(raw, limit)
        body.size += len(found)
        self._held += len(found)
        return found


class _Body:
    """One request's body, as far as it has arrived."""

    def __init__(self, scope: Any, receive: Any, limit: int, gap: float) -> None:
        headers = dict(scope["headers"])
        self._receive, self._limit, self._gap = receive, limit, gap
        self._declared: bytes = headers.get(b"content-length", b"0")
        self._waited = 0.0
        self.encoding: bytes = headers.get(b"content-encoding", b"")
        self.decoded = False
        self.size = 0
        self.complete = b"transfer-encoding" not in headers and self._declared == b"0"

    async def receive(self) -> Any:
        if self.complete:
            return await self._receive()  # it returns when the client goes away
        if not self._declared.isdigit() or int(self._declared) > self._limit:
            raise self._too_large()
        message = await self._next()
        self.size += len(message.get("body", b""))
        self.complete = not message.get("more_body", False)
        if self.size > self._limit:
            raise self._too_large()
        return message

    async def _next(self) -> Any:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            async with asyncio.timeout(min(self._gap, self._gap + self.size / BODY_RATE - self._waited)):
                return await self._receive()
        except TimeoutError as error:
            raise TooSlow(f"{self.size} bytes of the body arrived, and the rest not in time") from error
        finally:
            self._waited += clock() - began

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"the body is larger than {self._limit} bytes")
