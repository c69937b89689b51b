"""The event bus: one port, one transport behind it.

What every transport promises:

- A message published in a transaction becomes a record if and only if that transaction commits.
- Records of one key are in one partition and are read in the order in which their transactions committed.
- A consumer that is given a partition reads on from the position that its service stored with its effects
  (`secondlook.common.bus.positions`), so a record takes effect exactly once, however often it is delivered.
- No committed record is skipped. If unread records are gone, `fetch` raises PositionLost instead of going on.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from secondlook.common.postgres import Connection

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
    log: str = "postgres"  # which log the offset belongs to


@dataclass(frozen=True, slots=True)
class Span:
    """The part of one partition that a batch covers: offsets `start` (included) to `end` (excluded)."""

    topic: str
    partition: int
    start: int
    end: int
    epoch: int
    log: str  # which log the offsets belong to


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in partition order, and the span of each partition they come from."""

    records: Sequence[Record]
    spans: Sequence[Span]


class Consumer(Protocol):
    """Reads the partitions that a member of a consumer group is given."""

    async def fetch(self, max_records: int, wait: float) -> Batch | None:
        """The next records of the partitions held, or None after `wait` seconds, or sooner, without one.

        Batches may be fetched while earlier ones are in work; they take effect in the order they were fetched in. A
        partition is given up only once nothing of it is in work, so None may also mean: finish what you have.

        Raises:
            BusUnavailable: the transport cannot be reached or refuses; try again.
            PositionLost: unread records were removed from the log.
        """

    async def done(self, batch: Batch) -> None:
        """The batch has taken effect: its transaction committed."""

    async def retry(self, batch: Batch) -> None:
        """The batch has not taken effect: the next fetch reads it again. What was fetched later is given back too."""

    async def fenced(self) -> None:
        """Another member owns a partition: give everything up and join again."""

    async def lag(self) -> int:
        """Records of the held partitions that were not yet done."""

    async def close(self) -> None:
        """Leave the group. Another member takes over at once."""


class BusObserver(Protocol):
    """What a transport's own work reports: metrics and readiness."""

    def sent(self, messages: int) -> None:
        """So many messages that were published have reached the log."""

    def backlog(self, messages: int, seconds: float) -> None:
        """So many have not, and the oldest of them has waited for so long."""

    def waiting(self, reason: str | None) -> None:
        """The transport waits for something to come back (`reason`), or goes on (None)."""


class Bus(Protocol):
    """A transport."""

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        """Create the topics that do not exist. Existing ones keep their partitions.

        Raises:
            BusUnavailable: not now; the bus does it as soon as it is reached.
            ConfigurationError: a topic is not as it must be, or is missing and cannot be created.
        """

    async def run(self, observer: BusObserver) -> None:
        """Do the transport's own work (sending what was published, retention) until cancelled.

        Every process of a service runs it. It waits for what can come back, and says so.
        """

    async def publish(self, connection: Connection, messages: Sequence[Message]) -> None:
        """Publish with the transaction of `connection`. Called last in the transaction."""

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        """A new member of a consumer group. It joins with its first fetch."""

    async def follow(self, topic: str, apply: Callable[[Record], Awaitable[None]], ready: Callable[[], None]) -> None:
        """Hand every key's newest record, then each new one, to `apply`; runs until cancelled.

        `ready` is called once, when all that was in the topic at the start has been applied.
        """

    async def tail(self, topic: str, records: int) -> list[Record]:
        """The newest records of a topic over all its partitions, at most so many, in the order of `written_at`.

        Fewer are the whole topic; none, if it does not exist. What is published meanwhile may be missing. Nothing is
        created, joined or stored, and what is held in memory grows with `records`, not with the topic.

        Raises:
            BusUnavailable: the transport cannot be reached or refuses; try again.
        """
