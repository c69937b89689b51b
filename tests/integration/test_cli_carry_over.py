"""From the embedded bus to Kafka: nothing that was published is lost, nothing is read twice, nobody goes back."""

import asyncio
import secrets
from dataclasses import dataclass, field

import pytest

from secondlook.cli.commands.carry_over import carry_all
from secondlook.cli.commands.migrate import migrate_all
from secondlook.cli.workspace import Workspace, common_settings, service_transactions
from secondlook.common.bus import Record
from secondlook.common.bus.transport import open_bus
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.errors import ConfigurationError
from secondlook.common.postgres import Database
from secondlook.reviewer_api.policies.service import PolicyService
from tests.contract.conftest import Observed
from tests.integration.cli_world import secondlook
from tests.integration.router_world import content
from tests.waiting import until


@dataclass
class Moving:
    """One database, first on the embedded bus, then on Kafka under a prefix of this test's own."""

    embedded: Workspace
    kafka: Workspace
    seen: dict[str, list[Record]] = field(default_factory=dict)

    async def publish(self, *names: str) -> None:
        async with service_transactions(self.embedded, "router") as transactions, transactions.begin() as work:
            for name in names:
                work.publish(content(name))

    async def read(self, workspace: Workspace, count: int, group: str = "router") -> list[str]:
        """The names in the next records of the router's group, which take effect."""
        names: list[str] = []
        async with service_transactions(workspace, "router") as transactions:
            consumer = transactions.bus.consumer(group, ["content.submitted"])
            async with asyncio.timeout(20):
                while len(names) < count:
                    if batch := await consumer.fetch(100, wait=1):
                        async with transactions.begin(group, batch):
                            names += [record.key.removeprefix("forum/") for record in batch.records]
                        await consumer.done(batch)
            await consumer.close()
        return names


@pytest.fixture
async def moving(database_url: str, kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> Moving:
    monkeypatch.setenv("SECONDLOOK_KAFKA_PREFIX", f"move-{secrets.token_hex(4)}.")
    embedded = Workspace(database_url=database_url)
    await migrate_all(embedded)
    return Moving(embedded, Workspace(database_url=database_url, bus="kafka", kafka_bootstrap=kafka_bootstrap))


async def test_what_was_not_read_goes_on_in_order_and_what_was_does_not(moving: Moving) -> None:
    await moving.publish(*"abc")
    assert sorted(await moving.read(moving.embedded, 3)) == list("abc")
    await moving.publish(*"defgh")
    async with service_transactions(moving.embedded, "reviewer") as transactions:
        for name in ("one", "two"):
            await PolicyService(transactions).publish(
                parse_policy(f"{{name: {name}, labels: {{spam: {{description: x}}}}, audit: {{certify: 1.0e-9}}}}"),
                "test",
            )
    await migrate_all(moving.kafka)
    assert await carry_all(moving.kafka) == 6, "five unread records and the newest policy"
    assert await carry_all(moving.kafka) == 0, "once"

    async with Database.open(moving.kafka.database_url, "router") as database:
        bus = open_bus(common_settings(moving.kafka), database)
        relaying = asyncio.create_task(bus.run(Observed()))
        assert sorted(await moving.read(moving.kafka, 5)) == list("defgh")
        policies: list[Record] = []
        caught_up = asyncio.Event()

        async def apply(record: Record) -> None:
            policies.append(record)

        following = asyncio.create_task(bus.follow("policy.published", apply, caught_up.set))
        await asyncio.wait_for(caught_up.wait(), 10)
        await until(lambda: bool(policies), 10)  # the relay may send it after the content
        assert [b'"two"' in record.value for record in policies] == [True]
        for task in (following, relaying):
            task.cancel()
        await asyncio.gather(following, relaying, return_exceptions=True)
        # Whoever still publishes to the embedded bus is refused, and so loses nothing.
        with pytest.raises(Exception, match="has no partition 0"):
            await moving.publish("late")


async def test_it_waits_for_no_service_that_still_runs_but_says_which(moving: Moving) -> None:
    await moving.publish("a")
    async with service_transactions(moving.embedded, "router") as transactions:
        consumer = transactions.bus.consumer("router", ["content.submitted"])
        assert await consumer.fetch(10, wait=5)
        with pytest.raises(ConfigurationError, match="still running on the embedded bus: router"):
            await carry_all(moving.kafka)
        await consumer.close()
    assert await moving.read(moving.embedded, 1) == ["a"], "nothing was moved"


async def test_the_command_says_what_it_did_and_what_is_missing(moving: Moving, kafka_bootstrap: str) -> None:
    url = moving.embedded.database_url
    refused = await secondlook(url, "carry-over")
    assert (refused.status, "set SECONDLOOK_BUS=kafka first" in refused.err) == (2, True)
    await moving.publish("a", "b")
    environment = {"SECONDLOOK_BUS": "kafka", "SECONDLOOK_KAFKA_BOOTSTRAP": kafka_bootstrap}
    done = await secondlook(url, "carry-over", **environment)
    assert (done.status, done.out) == (0, "moved 2 records; the router sends them to Kafka when it starts\n")
    again = await secondlook(url, "carry-over", **environment)
    assert (again.status, again.out) == (0, "the embedded bus holds nothing\n")
