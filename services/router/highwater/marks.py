"""Tells an old record of a state topic, sent again, from the newest one, also after a restart.

A router that runs keeps the later policy or bundle by itself. One that starts knows only the newest record of each key,
and an old record is as genuine as it ever was.
"""

from datetime import UTC, datetime, timedelta

from secondlook.common.bus import Record
from secondlook.common.bus.wire import decode
from secondlook.common.contract.access import KeysPublished
from secondlook.common.contract.events import BundlePublished, PolicyPublished
from secondlook.common.errors import InvalidInput
from secondlook.common.postgres import Database

LOAD = "SELECT topic, key, reached FROM high_water"
STORE = """
INSERT INTO high_water (topic, key, reached) SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[])
ON CONFLICT (topic, key) DO UPDATE SET reached = greatest(high_water.reached, excluded.reached)
"""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Marks:
    """The high-water marks of one router database. Only records whose signature was checked may raise them."""

    def __init__(self, database: Database, *, checked: bool) -> None:
        self._database, self._checked = database, checked
        self._reached: dict[tuple[str, str], int] = {}
        self._unstored: set[tuple[str, str]] = set()

    async def load(self) -> None:
        """Read what this router, or another one on its database, has seen before. Call it before following."""
        if self._checked:
            rows = await self._database.pool.fetch(LOAD)
            self._reached = {(row["topic"], row["key"]): row["reached"] for row in rows}

    def behind(self, record: Record) -> bool:
        """Whether a later record of its key was seen."""
        reached = _place_of(record)
        return reached is not None and reached < self._reached.get((record.topic, record.key), reached)

    def note(self, record: Record) -> None:
        """A genuine record was read. `store` writes it down, so that reading goes on while the database is away."""
        reached, name = _place_of(record), (record.topic, record.key)
        if self._checked and reached is not None and reached > self._reached.get(name, -1):
            self._reached[name] = reached
            self._unstored.add(name)

    async def store(self) -> None:
        """Write the marks that have risen."""
        taken = sorted(self._unstored)
        if taken:
            reached = [self._reached[name] for name in taken]
            await self._database.pool.execute(STORE, [n[0] for n in taken], [n[1] for n in taken], reached)
            self._unstored -= {name for name, at in zip(taken, reached, strict=True) if self._reached[name] == at}


def _place_of(record: Record) -> int | None:
    try:
        event = decode(record)
    except InvalidInput:  # whoever follows the topic refuses it
        return None
    if isinstance(event, PolicyPublished | KeysPublished):
        return event.version
    if isinstance(event, BundlePublished):
        return (event.published_at - _EPOCH) // timedelta(microseconds=1)
    return None
