"""The event bus: one port, one transport behind it.

What every transport promises:

- A message published in a transaction becomes a record if and only if that transaction commits.
- Records of one key are in one partition and are read in the order in which their transactions committed.
- A consumer that is given a partition reads on from the position that its service stored with its effects
  (`services.common.positions`), so a record takes effect exactly once, however often it is delivered.
- No committed record is skipped. If unread records are gone, `fetch` raises PositionLost instead of going on.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

DEAD_LETTER_SUFFIX = ".dead-letter"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic to create. `compacted`: only the newest record of a key counts, and it is kept for ever."""

    name: str
    partitions: int
    compacted: bool = False


@dataclass(frozen=True, slots=True)
class Message:
    """Something to publish. Messages of one key stay in order."""

    topic: str
    key: str
    value: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """A message in the log."""

    topic: str
    partition: int
    offset: int
    key: str
    value: bytes
    headers: Mapping[str, str]
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Span:
    """The part of one partition that a batch covers: offsets `start` (included) to `end` (excluded)."""

    topic: str
    partition: int
    start: int
    end: int
    epoch: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in partition order, and the span of each partition they come from."""

    records: Sequence[Record]
    spans: Sequence[Span]


class Consumer(Protocol):
    """Reads the partitions that a member of a consumer group is given."""

    async def fetch(self, max_records: int, wait: float) -> Batch | None:
        """The next records of the partitions held, or None after `wait` seconds without one.

        Partitions are gained and given up only inside this call, so never while a batch is in work.

        Raises:
            PositionLost: unread records were removed from the log.
        """

    async def done(self, batch: Batch) -> None:
        """The batch has taken effect (its transaction committed): read on behind it."""

    async def retry(self, batch: Batch) -> None:
        """The batch has not taken effect: the next fetch reads it again."""

    async def fenced(self) -> None:
        """Another member owns a partition: give everything up and join again."""

    async def lag(self) -> int:
        """Records of the held partitions that were not yet done."""

    async def close(self) -> None:
        """Leave the group. Another member takes over at once."""


class Bus(Protocol):
    """A transport."""

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        """Create the topics that do not exist. Existing ones keep their partitions."""

    async def publish(self, connection: Any, messages: Sequence[Message]) -> None:
        """Publish with the transaction of `connection`. Called last in the transaction."""

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        """A new member of a consumer group. It joins with its first fetch."""

    async def follow(self, topic: str, apply: Callable[[Record], Awaitable[None]], ready: Callable[[], None]) -> None:
        """Hand every key's newest record, then each new one, to `apply`; runs until cancelled.

        `ready` is called once, when all that was in the topic at the start has been applied.
        """
