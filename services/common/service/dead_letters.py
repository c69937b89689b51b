"""Puts dead letters back onto their topics."""

from collections.abc import Collection, Sequence

from secondlook.common.bus import Message
from secondlook.common.bus.wire import MAX_EVENT_BYTES
from secondlook.common.postgres import Row
from secondlook.common.service.unit_of_work import Transactions

Place = tuple[str, str, int, int]  # log, topic, partition, offset

BATCH = 100
NEWEST = """
SELECT log || '/' || topic || '/' || partition || '/' || "offset" AS id, left(key, $4) AS key, reason,
       left(detail, $4) AS detail, failed_at, requeued_at
FROM dead_letter WHERE ($1::text IS NULL OR reason = $1) AND ($2 OR requeued_at IS NULL)
ORDER BY failed_at DESC, topic, partition, "offset" LIMIT $3
"""
WAITING = """
SELECT log, topic, partition, "offset" FROM dead_letter
WHERE requeued_at IS NULL AND ($1::text IS NULL OR reason = $1)
  AND octet_length(key) + octet_length(value) + octet_length(headers::text) <= $2
ORDER BY log, topic, partition, "offset"
"""
TAKE = """
UPDATE dead_letter d SET requeued_at = $5
FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[]) AS w(log, topic, partition, "offset")
WHERE (d.log, d.topic, d.partition, d."offset") = (w.log, w.topic, w.partition, w."offset") AND d.requeued_at IS NULL
RETURNING d.log, d.topic, d.partition, d."offset", d.key, d.value, d.headers
"""


async def newest(
    transactions: Transactions, reason: str | None, *, requeued: bool, limit: int, length: int
) -> list[Row]:
    """The newest dead letters of a service: id, key, reason, detail, failed_at, requeued_at.

    Key and detail come from outside and are cut to `length` characters. With `requeued` also those that were requeued.
    """
    return await transactions.database.pool.fetch(NEWEST, reason, requeued, limit, length)


async def waiting(transactions: Transactions, reason: str | None) -> list[Place]:
    """The dead letters of a service that nobody has requeued yet, in the order of the log.

    Without those longer than any event: nothing could handle them, and Kafka may not take them.
    """
    return [tuple(row) for row in await transactions.database.pool.fetch(WAITING, reason, MAX_EVENT_BYTES)]


async def requeue_places(
    transactions: Transactions, places: Sequence[Place], *, already: Collection[Place] = ()
) -> set[Place]:
    """Publish these records again, in order; returns those that this call took.

    One transaction marks and publishes a batch, and skips marked records: however often and from however many processes
    this is called, a dead letter is published once. Places in `already` are only marked: another service set the same
    record aside, and its topic has it back.
    """
    taken: set[Place] = set()
    for start in range(0, len(places), BATCH):
        batch = places[start : start + BATCH]
        columns = [list(column) for column in zip(*batch, strict=True)]
        async with transactions.begin() as work:
            rows = await work.connection.fetch(TAKE, *columns, work.clock.now())
            for row in sorted(rows, key=lambda r: (r["log"], r["topic"], r["partition"], r["offset"])):
                place = (row["log"], row["topic"], row["partition"], row["offset"])
                if place not in already:
                    work.forward(Message(row["topic"], row["key"], row["value"], row["headers"]))
                taken.add(place)
    return taken
