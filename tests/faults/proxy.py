"""A TCP proxy that passes, delays, cuts and swallows what goes through it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
HOST = "127.0.0.1"
CHUNK = 256 * 1024


class Proxy:
    """Listens on `port` and connects each client to what `connect` opens. Starts out passing everything."""

    def __init__(self, port: int, connect: Callable[[], Awaitable[Connection]]) -> None:
        self.port, self._connect = port, connect
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._flows = asyncio.Event()
        self._delay = 0.0
        self._cut = False
        self.heal()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._abort()

    def heal(self) -> None:
        """Pass everything again. What was swallowed arrives now, as after a partition that TCP sat out."""
        self._delay, self._cut = 0.0, False
        self._flows.set()

    def delay(self, seconds: float) -> None:
        """Let everything arrive later, both ways."""
        self._delay = seconds

    def cut(self) -> None:
        """Reset every connection, also new ones."""
        self._cut = True
        self._abort()

    def swallow(self) -> None:
        """A black hole: connections stay open, also new ones, and nothing arrives, not even that an end was closed."""
        self._flows.clear()

    def _abort(self) -> None:
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        ends, pumps = [writer], list[asyncio.Task[None]]()
        try:
            await self._flows.wait()
            there, back = await self._connect()
            ends.append(back)
            self._open.update(ends)
            pumps = [asyncio.create_task(self._pump(reader, back)), asyncio.create_task(self._pump(there, writer))]
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            pass  # one end is gone; so is the other
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for end in ends:
                end.close()
                self._open.discard(end)
            self._tasks.discard(task)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry one direction until it ends."""
        with suppress(OSError):
            while data := await reader.read(CHUNK):
                if self._delay:
                    await asyncio.sleep(self._delay)
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        await self._flows.wait()
