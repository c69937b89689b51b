"""What every transport promises when members of a group come and go, or are replaced."""

import asyncio

import pytest

from secondlook.common.errors import Fenced
from tests.contract.conftest import Transport, real_only
from tests.waiting import until


@real_only
async def test_the_next_owner_reads_on_where_the_effects_end(transport: Transport) -> None:
    await transport.with_topic(1)
    await transport.send(transport.message("k", "1"))
    first = transport.consumer()
    batch = await transport.fetch(first)
    async with transport.transactions.begin(transport.group, batch):
        pass
    await first.close()  # it never learned that its batch is done
    await transport.send(transport.message("k", "2"))
    second = transport.consumer()
    assert [record.value for record in (await transport.fetch(second)).records] == [b"2"]
    await second.close()


@real_only
async def test_a_replaced_owner_is_fenced_and_its_messages_are_never_seen(transport: Transport) -> None:
    await transport.with_topic(1)
    await transport.send(transport.message("k", "1"))
    zombie = transport.consumer()
    batch = await transport.fetch(zombie)
    await zombie.close()  # the group is told; the batch is still in work, as in a process that had stopped for a while
    heir = transport.consumer()
    taken = await transport.fetch(heir)
    assert taken.records == batch.records
    with pytest.raises(Fenced):
        async with transport.transactions.begin(transport.group, batch) as work:
            work.forward(transport.message("k", "from the zombie"))
    async with transport.transactions.begin(transport.group, taken):
        pass
    with pytest.raises(Fenced):
        async with transport.transactions.begin(transport.group, taken):
            pass
    await heir.done(taken)
    await transport.send(transport.message("k", "2"))
    assert [record.value for record in (await transport.fetch(heir)).records] == [b"2"]
    await heir.close()


@real_only
async def test_members_share_the_partitions_and_take_over(transport: Transport) -> None:
    await transport.with_topic(4)
    stop = [asyncio.Event(), asyncio.Event()]
    seen: list[set[int]] = [set(), set()]
    values: list[str] = []

    async def member(number: int) -> None:
        consumer = transport.consumer()
        while not stop[number].is_set():
            try:
                if batch := await consumer.fetch(10, wait=0.1):
                    async with transport.transactions.begin(transport.group, batch):
                        pass
                    await consumer.done(batch)
                    seen[number] |= {record.partition for record in batch.records}
                    values.extend(record.value.decode() for record in batch.records)
            except Fenced:
                await consumer.fenced()
        await consumer.close()

    sent = 0

    async def send_round() -> None:
        """Send to all partitions, until the members have read it all; `seen` says who read what of this round."""
        nonlocal sent
        seen[:] = [set(), set()]
        await transport.send(*(transport.message(f"k{n}", f"{sent}-{n}") for n in range(40)))
        sent += 40
        await until(lambda: len(values) == sent)
        assert seen[0] | seen[1] == {0, 1, 2, 3}

    members = [asyncio.create_task(member(number)) for number in (0, 1)]
    async with asyncio.timeout(30):  # the second may join while the first reads everything
        while not len(seen[0]) == len(seen[1]) == 2:
            await send_round()
    await send_round()
    assert seen[0].isdisjoint(seen[1])
    assert len(seen[0]) == len(seen[1]) == 2
    stop[0].set()
    await members[0]
    await send_round()
    assert seen[1] == {0, 1, 2, 3}
    assert len(set(values)) == sent
    stop[1].set()
    await members[1]


@real_only
async def test_a_member_without_a_partition_waits_and_takes_over(transport: Transport) -> None:
    await transport.with_topic(1)
    first, second = transport.consumer(), transport.consumer()
    await transport.send(transport.message("k", "1"))
    batch = await transport.fetch(first)
    joining = asyncio.create_task(second.fetch(10, wait=2))
    async with transport.transactions.begin(transport.group, batch):
        pass
    await first.done(batch)
    assert await joining is None
    await first.close()
    await transport.send(transport.message("k", "2"))
    values = [record.value for record in await transport.drain(second, lambda: True)] or [
        record.value for record in (await transport.fetch(second)).records
    ]
    assert values == [b"2"]
    await second.close()
