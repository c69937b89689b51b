"""Counts what a policy would change, as people ask for over the bus: the router has the content and the model."""

import asyncio
import time
from collections.abc import Sequence
from functools import partial
from typing import get_args

from secondlook.common.bus import Bus
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.operations import OperationAsked, Route, Simulated, What
from secondlook.common.contract.policy import Policy
from secondlook.common.postgres import Queryable
from secondlook.common.service.operations import Act
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.router.coin.secret import CoinSecret
from secondlook.router.identity.hashes import text_sha256
from secondlook.router.replay.count import ROUTES, Fate, ReplayedItem
from secondlook.router.replay.excerpt import Excerpt, newest
from secondlook.router.replay.score import read_contents
from secondlook.router.replay.simulate import PastDecision, reroute
from secondlook.router.state import InForce, RoutingState

MINE: tuple[What, ...] = ("simulate",)
LAST = 1000  # items
BREATH_SECONDS = 0.2  # after each batch of texts that is read again: content that flows comes first
ROUTED = """
SELECT k.number - 1 AS number, r.route, r.audited, r.scores, r.why, r.policy_version, r.bundle_version,
       coalesce(r.signals, '{}') AS signals
FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[])
     WITH ORDINALITY AS k(source, content_id, revision, text_sha256, number)
JOIN revision r USING (source, content_id, revision, text_sha256)
WHERE r.route = ANY ($5::text[]) ORDER BY k.number
"""


class Simulations:
    """Reads what this router has decided, and reads texts again where the scores of then do not serve."""

    def __init__(self, pool: Queryable, bus: Bus, state: RoutingState, secret: CoinSecret) -> None:
        self._pool, self._bus, self._state, self._secret = pool, bus, state, secret

    async def prepare(self, asked: OperationAsked) -> Act:
        """Count; raises NotFound where there is no content yet."""
        assert asked.policy is not None  # noqa: S101 - so the contract says
        excerpt = await newest(self._bus, LAST)
        decided = await _decided(self._pool, excerpt.contents)
        active = self._state.in_force()
        fits = active.model is not None and set(asked.policy.labels) <= set(active.model.labels)
        force = InForce(asked.policy, None, active.model if fits else None, active.items, active.raised)
        alike = {active.model.version} if active.model is not None and fits else set()
        read = partial(read_contents, force.model, lambda _: time.sleep(BREATH_SECONDS))
        items = await asyncio.to_thread(reroute, decided, force, alike, read, self._secret)
        counted = _counted(items, force, _notes(asked.policy, active, excerpt, len(items), fits))

        async def act(unit: UnitOfWork) -> tuple[str, Simulated | None]:
            changed = sum(item.flips for item in items)
            return f"{changed:,} of {len(items):,} items would go another way", counted

        return act


async def _decided(pool: Queryable, contents: Sequence[ContentSubmitted]) -> list[PastDecision]:
    keys = [(c.source, c.content_id, c.revision, text_sha256(c.text)) for c in contents]
    rows = await pool.fetch(ROUTED, *map(list, zip(*keys, strict=True)), list(ROUTES))
    return [
        PastDecision(
            contents[row["number"]].model_copy(update={"signals": row["signals"]}),
            Fate(row["route"], row["route"] == "review" or row["audited"], (), row["scores"], row["why"] or ""),
            row["policy_version"],
            row["bundle_version"],
        )
        for row in rows
    ]


def _counted(items: Sequence[ReplayedItem], force: InForce, notes: Sequence[str]) -> Simulated:
    routes: tuple[Route, ...] = get_args(Route)
    moves = [(item.before.route, item.after.route) for item in items]
    return Simulated(
        items=len(items), bundle_version=force.version,
        routes={before: {after: moves.count((before, after)) for after in routes} for before in routes},
        people_before=sum(item.before.asked for item in items),
        people_after=sum(item.after.asked for item in items),
        notes=tuple(notes),
    )  # fmt: skip


def _notes(policy: Policy, active: InForce, excerpt: Excerpt, items: int, fits: bool) -> list[str]:
    """What a person should know about the count."""
    notes = []
    if active.model is None:
        notes.append("no bundle is active: everything goes to review")
    elif not fits:
        unknown = ", ".join(sorted(set(policy.labels) - set(active.model.labels)))
        notes.append(f"bundle {active.model.version} does not know {unknown}: everything goes to review until one does")
    if policy.kill_switch:
        notes.append("the kill switch is on: everything goes to review")
    before = active.policy
    if policy.mode == "certified" and before and (before.mode, before.risk) != ("certified", policy.risk):
        notes.append("the active bundle's thresholds count here; other risks count once they are certified")
    if len(excerpt.contents) > items:
        notes.append(f"left out: {len(excerpt.contents) - items:,} that are not decided, or were superseded")
    return notes
