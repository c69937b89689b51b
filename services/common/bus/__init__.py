"""The event bus: one port, one transport behind it.

What every transport promises:

- A message published in a transaction becomes a record if and only if that transaction commits.
- Records of one key are in one partition and are read in the order in which their transactions committed.
- A consumer that gets a partition resumes from the position that its service stored with its effects
  (`secondlook.common.bus.positions`), so a record takes effect exactly once, however often it is delivered.
- No committed record is skipped. If unread records are gone, `fetch` raises PositionLost.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from secondlook.common.postgres import Connection

DEAD_LETTER_SUFFIX = ".dead-letter"


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic to create. `compacted`: only the newest record of a key counts, and is kept for ever."""

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
    """A member of a consumer group: reads the partitions that the group assigns to it."""

    async def fetch(self, max_records: int, wait: float) -> Batch | None:
        """The next records of the partitions held, or None if there are none within `wait` seconds.

        Callers may fetch a batch while earlier ones are in work; batches take effect in the order of their fetches. A
        member gives up a partition only once none of its batches is in work: None, also before `wait` is over, may
        mean that the caller should finish them. What cannot be read in one partition holds up that one only.

        Raises:
            BusUnavailable: the transport cannot be reached or refuses; try again.
            PositionLost: unread records were removed from the log.
        """

    async def done(self, batch: Batch) -> None:
        """The batch has taken effect: its transaction committed."""

    async def retry(self, batch: Batch) -> None:
        """The batch has not taken effect: the next fetch reads it again, and all that was fetched after it."""

    async def fenced(self) -> None:
        """Another member owns a partition: give all partitions up and join again."""

    async def lag(self) -> int:
        """How many records of the held partitions have not taken effect yet."""

    async def close(self) -> None:
        """Leave the group. Another member takes over at once."""


class BusObserver(Protocol):
    """Hears from a transport's background work, for metrics and readiness."""

    def sent(self, messages: int) -> None:
        """So many published messages have reached the log."""

    def backlog(self, messages: int, seconds: float) -> None:
        """So many have not reached it yet; the oldest has waited for `seconds`."""

    def waiting(self, reason: str | None) -> None:
        """The transport waits for something to come back (`reason`), or works again (None)."""

    def unreadable(self, partitions: Mapping[str, str]) -> None:
        """All partitions that this process should read and cannot, by name: where, why, and what to do.

        Their readers stand where they stood, miss nothing, and try again; all other partitions go on.
        """

    def signatures(self, checked: bool) -> None:
        """Whether the records of state topics are signed and checked."""

    def refused(self, topic: str, reason: str) -> None:
        """A record of a state topic was not what its owner signed; nobody has seen it."""


class Bus(Protocol):
    """A transport."""

    async def ensure_topics(self, topics: Sequence[Topic]) -> None:
        """Create the topics that do not exist. Existing ones keep their partitions.

        Raises:
            BusUnavailable: the bus cannot be reached now, and creates them once it can.
            ConfigurationError: a topic has the wrong settings, or is missing and cannot be created.
        """

    async def run(self, observer: BusObserver) -> None:
        """Do the transport's background work (sending published messages, retention) until cancelled.

        Every process of a service runs it. While a server is away, it waits and reports that to `observer`.
        """

    async def publish(self, connection: Connection, messages: Sequence[Message]) -> None:
        """Publish with the transaction of `connection`. Called last in the transaction."""

    def consumer(self, group: str, topics: Sequence[str]) -> Consumer:
        """A new member of a consumer group. It joins with its first fetch."""

    async def follow(self, topic: str, apply: Callable[[Record], Awaitable[None]], ready: Callable[[], None]) -> None:
        """Hand every key's newest record, then each new one, to `apply`; runs until cancelled.

        Calls `ready` once, after it has applied all records that were in the topic at the start.
        """

    async def tail(self, topic: str, records: int) -> list[Record]:
        """The newest records of a topic over all its partitions, at most so many, in the order of `written_at`.

        If there are fewer, they are the whole topic; a topic that does not exist has none. Records published meanwhile
        may be missing. The call creates, joins and stores nothing, and its memory grows with `records`, not the topic.

        Raises:
            BusUnavailable: the transport cannot be reached or refuses; try again.
        """
