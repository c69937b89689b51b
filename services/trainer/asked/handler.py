"""The trainer's handler of `review.requested`: what people are asked about, in the order in which it comes."""

import base64
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from secondlook.common.contract.events import Coin, Event, ReviewCancelled, ReviewRequested, Why
from secondlook.common.postgres import Connection
from secondlook.common.service.stream import Item
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.trainer.data.splits import UNIFORM, cluster_keys, draw_all, group_keys, held_out, held_share, stand_in

STORE = """
INSERT INTO asked (source, content_id, revision, kind, language, text, keys, u, approve, reject, held_out,
                   bundle_version, asked_at, embedding, reports, signals)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING
"""
# What was judged stays evidence; only what waits is gone.
GONE = """
UPDATE asked a SET gone = $4
WHERE (source, content_id) = ($1, $2) AND revision <= $3 AND gone IS NULL AND NOT EXISTS (
    SELECT FROM label l WHERE adjudicated
        AND (l.source, l.content_id, l.revision) = (a.source, a.content_id, a.revision))
"""
NEWEST = "SELECT coalesce(max(number), 0) FROM asked"
FIRST = frozenset({Why.UNCERTAIN, Why.AUDIT, Why.NO_BUNDLE, Why.KILL_SWITCH})  # appeals are chosen, not drawn


@dataclass(frozen=True, slots=True)
class AskedHandler:
    """Keeps each item once, with the probability that it was judged. `hold_out`: the policy's share."""

    hold_out: Callable[[], float]

    async def prepare(self, items: Sequence[Item]) -> list[Event]:
        return [item.event for item in items if isinstance(item.event, ReviewRequested | ReviewCancelled)]

    async def apply(self, work: UnitOfWork, plan: list[Event]) -> None:
        """Store the requests, then note what is gone: of one key, both come in order."""
        asked = [event for event in plan if isinstance(event, ReviewRequested) and event.why in FIRST]
        await self._store(work.connection, asked)
        gone = [
            (event.source, event.content_id, event.up_to_revision, event.why)
            for event in plan
            if isinstance(event, ReviewCancelled)
        ]
        await work.connection.executemany(GONE, gone)

    async def _store(self, connection: Connection, asked: Sequence[ReviewRequested]) -> None:
        contents = [event.content for event in asked]
        groups = [group_keys(stand_in(content), content.source, content.author_id) for content in contents]
        share = held_share(self.hold_out(), await connection.fetchval(NEWEST))
        drawn = await draw_all(connection, groups, share)
        rows: list[tuple[Any, ...]] = []
        for event, draw in zip(asked, drawn, strict=True):
            content = event.content
            keys = cluster_keys(stand_in(content), content.source, content.author_id)
            rows.append(
                (
                    event.source, event.content_id, event.revision, content.kind, content.language, content.text, keys,
                    event.coin.u, *judged(event.coin), held_out(draw), event.bundle_version, event.requested_at,
                    embedding(event), content.reports, content.signals or None,
                )
            )  # fmt: skip
        await connection.executemany(STORE, rows)

    def committed(self, done: None) -> None:
        pass


def embedding(event: ReviewRequested) -> bytes | None:
    """What the request carries, as it is kept: float16 in little-endian order; None where it carries nothing usable."""
    try:
        found = base64.b64decode(event.embedding or "", validate=True)
    except ValueError:
        return None
    return found if found and len(found) % 2 == 0 else None


def judged(coin: Coin) -> tuple[float, float]:
    """The shares of what was approved, and of what was rejected, that people judged when the item was routed.

    Of an item from a router that did not say so, only what the coin drew out of all traffic is known to be a fair
    sample; the others never count, as their coin does not lie below 0.
    """
    if coin.approve is not None and coin.reject is not None:
        return coin.approve, coin.reject
    known = coin.inclusion_probability if coin.stratum == UNIFORM else 0.0
    return known, known
