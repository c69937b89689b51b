"""Translates Kafka's records and errors into those of the port."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

from aiokafka.errors import KafkaError

from secondlook.common.bus import Record
from secondlook.common.errors import BusUnavailable

Answer = TypeVar("Answer")
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_record(found: Any, log: str, prefix: str) -> Record:
    """A record that aiokafka read from `log`. Bytes in key and headers become text, whatever they are.

    `prefix` begins the names of topics in Kafka, and is left out everywhere else.
    """
    topic = found.topic.removeprefix(prefix)
    headers = {name: value.decode("utf-8", "replace") for name, value in found.headers if value is not None}
    key = found.key.decode("utf-8", "replace") if found.key is not None else ""
    return Record(topic, found.partition, found.offset, key, found.value or b"", headers, _time(found.timestamp), log)


def _time(milliseconds: int | None) -> datetime:
    if milliseconds is None:
        return EPOCH  # the oldest message format has no times
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        return EPOCH  # another writer's nonsense


async def in_time(asking: Coroutine[Any, Any, Answer], seconds: float) -> Answer:
    """Aiokafka's answer within `seconds`. It runs in a task of its own, so its cancellations do not become ours.

    Raises:
        TimeoutError: it did not answer.
    """
    task = asyncio.create_task(asking)
    try:
        await asyncio.wait([task], timeout=seconds)
    finally:
        task.cancel()
    await asyncio.wait([task], timeout=1)
    if not task.done() or task.cancelled():
        raise TimeoutError
    return task.result()


@contextmanager
def available(what: str) -> Iterator[None]:
    """Turns Kafka's errors into BusUnavailable; `what` names the request. aiokafka turns the system's into its own."""
    try:
        yield
    except KafkaError as error:
        raise BusUnavailable(f"{what}: {str(error) or type(error).__name__}") from error
    except TimeoutError as error:
        raise BusUnavailable(f"{what}: no answer in time") from error
