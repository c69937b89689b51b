"""Which content to replay: the newest on the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from secondlook.common.bus import Bus, Record
from secondlook.common.bus.wire import decode
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.errors import InvalidInput, NotFound

RECORDS = (1, 2, 4)  # read for an item; after that, fewer items than asked for are replayed


@dataclass(frozen=True, slots=True)
class Excerpt:
    """The newest revisions on the log, each once, in the order in which they were written, from `first` to `last`.

    `complete`: the log holds no others.
    """

    contents: Sequence[ContentSubmitted]
    first: datetime | None
    last: datetime | None
    complete: bool


async def newest(bus: Bus, items: int) -> Excerpt:
    """The newest items on the log. Withdrawals, repeats and what cannot be read do not count as items.

    Raises:
        NotFound: there are none.
        BusUnavailable: the bus cannot be reached.
    """
    for asked in (items * times for times in RECORDS):
        records = await bus.tail(ContentSubmitted.topic, asked)
        excerpt = sift(records, items, complete=len(records) < asked)
        if len(excerpt.contents) == items or excerpt.complete:
            break
    if not excerpt.contents:
        raise NotFound("there is no content on the log to replay")
    return excerpt


def sift(records: Sequence[Record], items: int, *, complete: bool) -> Excerpt:
    """The last revisions in these records. Of repeats the first counts, as for the router."""
    found: dict[tuple[str, int, str], tuple[Record, ContentSubmitted]] = {}
    for record in records:
        try:
            event = decode(record)
        except InvalidInput:
            continue
        if isinstance(event, ContentSubmitted):
            found.setdefault((event.key, event.revision, event.text), (record, event))
    kept = list(found.values())[-items:]
    first, last = (kept[0][0].written_at, kept[-1][0].written_at) if kept else (None, None)
    return Excerpt([event for _, event in kept], first, last, complete and len(found) <= items)
