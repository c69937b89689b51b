"""Services as processes of their own."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

PORTS = {"router": "SECONDLOOK_ROUTER_PORT", "reviewer_api": "SECONDLOOK_API_PORT"}


@contextlib.asynccontextmanager
async def started(service: str, url: str, port: int, **more: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """The service on this database and port, with more settings; its log can be read, and what still runs is killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", f"secondlook.{service}", stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "SECONDLOOK_DATABASE_URL": url, PORTS[service]: str(port), **more},
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()
