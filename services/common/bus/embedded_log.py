"""What moving to Kafka needs of the embedded log: to read its unread records, and to close it.

Every function runs in the caller's transaction, which locks the log first: nobody publishes to it or joins it until
that transaction ends.
"""

from collections.abc import Iterable

from secondlook.common.bus import Record
from secondlook.common.bus.postgres_consumer import to_record
from secondlook.common.postgres import Connection

# Waits for whoever is publishing, and lets nobody publish or join until this transaction ends.
LOCK = "LOCK TABLE bus.partition IN ACCESS EXCLUSIVE MODE"
MEMBERS = """
SELECT DISTINCT p.consumer_group FROM bus.progress p JOIN pg_locks l
  ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
 AND l.classid = (hashtext(p.consumer_group)::bigint & 4294967295)::oid
 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
ORDER BY p.consumer_group
"""
NEWEST = """
SELECT DISTINCT ON (r.topic, r.key) r.* FROM bus.record r JOIN bus.partition p USING (topic, partition)
WHERE p.compacted ORDER BY r.topic, r.key, r."offset" DESC
"""
FORGET = ("DELETE FROM bus.record", "DELETE FROM bus.progress", "DELETE FROM bus.partition")


async def lock(connection: Connection) -> None:
    """Wait for whoever is publishing, then let nobody publish or join."""
    await connection.execute(LOCK)


async def members(connection: Connection) -> list[str]:
    """The consumer groups of which a process still reads the log."""
    return [row["consumer_group"] for row in await connection.fetch(MEMBERS)]


async def unread(connection: Connection, schemas: Iterable[str]) -> list[Record]:
    """The newest record of each key of the compacted topics, then what no group with a position in `schemas` has read.

    Of a topic that no group ever read that is all of it. Records of a partition are in its order.
    """
    positions = " UNION ALL ".join(f"SELECT * FROM {schema}.consumer_position" for schema in schemas)  # noqa: S608
    behind = f"""
    WITH position AS ({positions})
    SELECT r.* FROM bus.record r JOIN bus.partition p USING (topic, partition)
    WHERE NOT p.compacted AND r.topic NOT LIKE '%.dead-letter' AND r."offset" >= coalesce(
        (SELECT min(q.next_offset) FROM position q
         WHERE (q.log, q.topic, q.partition) = ('postgres', r.topic, r.partition)), 0)
    ORDER BY r.topic, r.partition, r."offset"
    """  # noqa: S608
    return [to_record(row) for query in (NEWEST, behind) for row in await connection.fetch(query)]


async def forget(connection: Connection, schemas: Iterable[str]) -> None:
    """Remove the log, and every position in it that these schemas hold."""
    positions = (f"DELETE FROM {schema}.consumer_position WHERE log = 'postgres'" for schema in schemas)  # noqa: S608
    for statement in (*FORGET, *positions):
        await connection.execute(statement)
