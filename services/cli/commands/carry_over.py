"""`secondlook carry-over`: move a system, including its unread records, from the embedded bus to Kafka."""

from secondlook.cli.output import say
from secondlook.cli.terminal import run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, Workspace, common_settings, find_workspace
from secondlook.common.bus import Message, embedded_log, outbox
from secondlook.common.errors import ConfigurationError
from secondlook.common.postgres import Database

SERVICES = ("router", "reviewer", "trainer")
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
        await embedded_log.lock(connection)
        if members := await embedded_log.members(connection):
            raise ConfigurationError(
                f"still running on the embedded bus: {', '.join(sorted(members))}; stop them first"
            )
        records = await embedded_log.unread(connection, SERVICES)
        messages = [Message(record.topic, record.key, record.value, record.headers) for record in records]
        for start in range(0, len(messages), MESSAGES):
            await outbox.append(connection, messages[start : start + MESSAGES])
        await embedded_log.forget(connection, SERVICES)
    return len(messages)
