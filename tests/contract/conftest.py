"""The transports that the contract suite runs over."""

from collections.abc import AsyncIterator

import pytest

from services.common.bus.postgres import PostgresBus
from services.common.clock import SystemClock
from services.common.postgres import Database
from services.common.unit_of_work import Transactions


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.open(database_url, "router", size=24) as database:
        yield database


@pytest.fixture
def bus(database: Database) -> PostgresBus:
    return PostgresBus(database)


@pytest.fixture
def transactions(database: Database, bus: PostgresBus) -> Transactions:
    return Transactions(database, bus, SystemClock(), "test")
