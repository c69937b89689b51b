"""A short version of `make faults`: what hurts most, under load, and nothing is lost, doubled or reordered."""

from tests.faults.faults import Fault, broker_killed, router_killed, router_stopped
from tests.faults.scenario import Run, play
from tests.requirements import unavailable
from tools.kafka.jars import BrokerUnavailable

SEED = 1


async def played(name: str, faults: list[Fault], seconds: float) -> Run:
    try:
        run = await play(name, faults, SEED, seconds)
    except BrokerUnavailable as error:
        unavailable("Kafka", error)
    assert run.violations == []
    assert run.accepted > 100
    assert run.decided > 50
    return run


async def test_killed_routers_and_a_killed_broker_break_no_promise() -> None:
    run = await played("kills", [router_killed, broker_killed], 1)
    assert [strike.what[:7] for strike in run.recoveries] == ["kill -9"] * 2


async def test_a_stopped_router_that_wakes_up_is_refused_its_write_and_works_on() -> None:
    run = await played("zombie", [router_stopped], 1)
    assert run.refused
