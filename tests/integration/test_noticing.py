"""More harm than a model lets expect: it is said once, more is audited, a refit is asked for, and nothing else
changes."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from secondlook.common.contract.events import BundlePublished, Coin, ContentSubmitted, ReviewRequested, Why
from secondlook.common.postgres import fetch_one
from secondlook.trainer.asked.handler import AskedHandler
from secondlook.trainer.noticing.rise import LEAST
from secondlook.trainer.noticing.watch import HarmWatch
from secondlook.trainer.registry import BundleRow
from tests.integration.trainer_world import SPAM, Labels, World, make_world


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with make_world(database_url, tmp_path, encoder_cache, monkeypatch) as world:
        yield world


async def activate(world: World, version: str, weights: str = "") -> None:
    row = BundleRow(
        bundle_version=version, uri=f"file:///nowhere/{version}", sha256="0" * 64, policy_version=1, labels=("spam",),
        metrics={}, reasons=(), created_at=datetime.now(UTC), weights=weights,
    )  # fmt: skip
    async with world.transactions.begin() as work:
        await world.registry.add(work, row)
        await world.registry.activate(work, version)


async def published(world: World) -> list[tuple[str, bool]]:
    rows = await world.database.pool.fetch(
        "SELECT value FROM bus.record WHERE topic = 'routing.bundle' ORDER BY \"offset\""
    )
    events = [BundlePublished.model_validate_json(row["value"]) for row in rows]
    assert [event.published_at for event in events] == sorted({event.published_at for event in events})
    return [(event.bundle_version, event.raised) for event in events]


async def judged(world: World, labels: Labels, count: int, *, harmful: bool) -> None:
    scores = {"spam": 0.03}
    await labels.give(count, "uncertain", spam=lambda text, number: harmful, scores=scores, bundle_version="b1")


async def queued(world: World) -> list[tuple[str, UUID]]:
    return [(run.reason, run.run_id) for run in await world.runs.latest(9)]


async def test_it_is_said_once_and_asks_for_audits_and_a_refit(world: World) -> None:
    def watch() -> HarmWatch:
        return HarmWatch(world.transactions, world.registry, world.runs, world.metrics)

    labels, first = Labels(world), watch()
    await first.step(SPAM)
    await activate(world, "b1")
    await judged(world, labels, LEAST + 50, harmful=False)
    await first.step(SPAM)
    assert (await queued(world), await published(world)) == ([], [("b1", False)])

    await judged(world, labels, 12, harmful=True)
    await first.step(SPAM)
    assert await published(world) == [("b1", False), ("b1", True)]
    ((reason, _),) = await queued(world)
    assert reason == "noticed"
    active = await world.registry.active()
    assert active is not None
    assert active.bundle_version == "b1", "nothing is promoted, and nothing switched off"

    await watch().step(SPAM)  # as after a restart
    assert len(await published(world)) == 2
    assert await world.database.pool.fetchval("SELECT count(*) FROM notice") == 1

    await activate(world, "b1-t", weights="b1")
    await activate(world, "b2")
    assert (await published(world))[2:] == [("b1-t", True), ("b2", False)], "it is about the weights"


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("AAABAg==", b"\x00\x00\x01\x02"), (None, None), ("", None), ("AAA=x", None), ("AAAB", None)],
    ids=["float16", "none", "empty", "no base64", "half a number"],
)
async def test_what_an_item_is_about_is_kept_where_the_request_tells(
    world: World, sent: str | None, kept: bytes | None
) -> None:
    now = datetime.now(UTC)
    content = ContentSubmitted(source="s", content_id="c", revision=1, text="a text", reports=3, created_at=now)
    request = ReviewRequested(
        source="s", content_id="c", revision=1, review_id=uuid4(), content=content, why=Why.UNCERTAIN, queue="default",
        priority=0, scores=None, coin=Coin(u=0.5, inclusion_probability=1, stratum="all"), embedding=sent, prior=None,
        policy_version=None, bundle_version=None, requested_at=datetime.now(UTC),
    )  # fmt: skip
    async with world.transactions.begin() as work:
        await AskedHandler(world.trainer.hold_out).apply(work, [request])
    assert tuple(await fetch_one(world.database.pool, "SELECT embedding, reports FROM asked")) == (kept, 3)


async def test_a_notice_is_over_after_two_weeks(world: World) -> None:
    await activate(world, "b1")
    insert = "INSERT INTO notice VALUES ('b1', 1, 9, now() - interval '15 days')"
    await world.database.pool.execute(insert)
    async with world.transactions.begin() as work:
        await world.registry.publish_again(work)
    assert await published(world) == [("b1", False), ("b1", False)]


async def test_what_people_chose_to_reverse_is_no_sign_of_more_harm(world: World) -> None:
    labels = Labels(world)
    await activate(world, "b1")
    watch = HarmWatch(world.transactions, world.registry, world.runs, world.metrics)
    await judged(world, labels, LEAST + 50, harmful=False)
    chosen: dict[str, Any] = {"scores": {"spam": 0.03}, "bundle_version": "b1"}
    await labels.give(12, "reversal", spam=lambda text, number: True, **chosen)
    await watch.step(SPAM)
    assert await queued(world) == []
    await judged(world, labels, 12, harmful=True)
    await watch.step(SPAM)
    assert [reason for reason, _ in await queued(world)] == ["noticed"], "as much, that nobody chose, is one"
