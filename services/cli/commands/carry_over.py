"""`secondlook carry-over`: move a system, including its unread records, from the embedded bus to Kafka."""

from secondlook.cli.output import say
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, Workspace, common_settings, find_workspace
from secondlook.common.bus import Message, outbox
from secondlook.common.bus.postgres_record import to_record
from secondlook.common.errors import ConfigurationError
from secondlook.common.postgres import Database, Row

SERVICES = ("router", "reviewer", "trainer")
# Waits for running publishes, and blocks publishing and joining until this transaction ends.
CLOSE = "LOCK TABLE bus.partition IN ACCESS EXCLUSIVE MODE"
MEMBERS = """
SELECT DISTINCT p.consumer_group FROM bus.progress p JOIN pg_locks l
  ON l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
 AND l.classid = (hashtext(p.consumer_group)::bigint & 4294967295)::oid
 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
# What the group that reads a topic has not read yet; of a compacted topic the newest record of each key.
UNREAD = f"""
WITH position AS ({" UNION ALL ".join(f"SELECT * FROM {name}.consumer_position" for name in SERVICES)})
SELECT r.* FROM bus.record r JOIN bus.partition p USING (topic, partition)
WHERE NOT p.compacted AND r.topic NOT LIKE '%.dead-letter' AND r."offset" >= coalesce(
    (SELECT min(q.next_offset) FROM position q
     WHERE (q.log, q.topic, q.partition) = ('postgres', r.topic, r.partition)), 0)
ORDER BY r.topic, r.partition, r."offset"
"""  # noqa: S608
NEWEST = """
SELECT DISTINCT ON (r.topic, r.key) r.* FROM bus.record r JOIN bus.partition p USING (topic, partition)
WHERE p.compacted ORDER BY r.topic, r.key, r."offset" DESC
"""
FORGET = [
    "DELETE FROM bus.record", "DELETE FROM bus.progress", "DELETE FROM bus.partition",
    *(f"DELETE FROM {name}.consumer_position WHERE log = 'postgres'" for name in SERVICES),  # noqa: S608
]  # fmt: skip
MESSAGES = 1_000  # per insert


def carry_over(data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Move a system, including its unread records, from the embedded bus to Kafka.

    Stop the services, set SECONDLOOK_BUS=kafka and SECONDLOOK_KAFKA_BOOTSTRAP, run this, and start the services again.
    Safe to repeat. `secondlook up --kafka` does all of it.
    """

    async def command() -> None:
        carried = await carry_all(find_workspace(data_dir))
        say(
            f"moved {carried:,} records; the router sends them to Kafka when it starts"
            if carried
            else "the embedded bus holds nothing"
        )

    run(command())


async def carry_all(workspace: Workspace) -> int:
    """Move unread records and the newest state into the router's outbox, and close the embedded log; returns how many.

    One transaction: either everything is in the outbox afterwards, or nothing is and the log is unchanged. Open
    reviews, labels and decisions stay in the services' tables.

    Raises:
        ConfigurationError: the system is not set to Kafka, or a service still runs on the embedded bus.
    """
    if common_settings(workspace).bus != "kafka":
        raise ConfigurationError("this system is set to the embedded bus: set SECONDLOOK_BUS=kafka first")
    async with (
        Database.open(workspace.database_url, "router", size=2) as database,
        database.pool.acquire() as connection,
        connection.transaction(),
    ):
        await connection.execute(CLOSE)
        if members := [row["consumer_group"] for row in await connection.fetch(MEMBERS)]:
            raise ConfigurationError(
                f"still running on the embedded bus: {', '.join(sorted(members))}; stop them first"
            )
        messages = [_message(row) for query in (NEWEST, UNREAD) for row in await connection.fetch(query)]
        for start in range(0, len(messages), MESSAGES):
            await outbox.append(connection, messages[start : start + MESSAGES])
        for statement in FORGET:
            await connection.execute(statement)
    return len(messages)


def _message(row: Row) -> Message:
    record = to_record(row)
    return Message(record.topic, record.key, record.value, record.headers)
