"""An HTTP endpoint on loopback that does as it is told: it answers, is slow, redirects, hangs up, or is dead."""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import NamedTuple


class Reply(NamedTuple):
    """What comes back after so many seconds; None: the connection is cut."""

    status: int | None = 204
    seconds: float = 0.0


React = Callable[[str, Mapping[str, str], bytes], Reply]  # of path, headers by lower-case names, and body


class LoopbackEndpoint:
    """Serves until it is stopped; may be started again on the same port."""

    def __init__(self, react: React) -> None:
        self._react = react
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()
        self._over = asyncio.Event()  # ends those that wait
        self.port = 0

    async def start(self) -> None:
        """Listen."""
        self._over.clear()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """As if it were killed: connections are cut, and its port refuses new ones."""
        self._over.set()
        if self._server is not None:
            self._server.close()
            for client in list(self._clients):
                client.transport.abort()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            while True:
                first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                status, seconds = self._react(first.split()[1], headers, body)
                if seconds:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(seconds):
                            await self._over.wait()
                if status is None:
                    return
                more = "location: /elsewhere\r\n" if 300 <= status < 400 else ""
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n{more}\r\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self._clients.discard(writer)
            writer.close()
