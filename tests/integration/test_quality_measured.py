"""Quality figures from the trainer's labels over the bus to leads: published when they change, kept, and shown."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from secondlook.common.bundle.certificates import Certificate, CertifiedThreshold, CertifiedThresholds
from secondlook.common.bus import Record
from secondlook.common.bus.topics import topics
from secondlook.common.contract.events import QualityMeasured
from secondlook.common.contract.policy import Policy
from secondlook.common.contract.quality import (
    FrontierPoint,
    MeasuredEvidence,
    MeasuredSecondLooks,
    MeasuredShare,
    SideStanding,
)
from secondlook.trainer import certification
from secondlook.trainer.evidence.findings import Findings, SideFinding
from secondlook.trainer.evidence.watch import Audited, judge
from secondlook.trainer.guard import Guard, Sighting
from secondlook.trainer.quality.measure import QualityMonitor
from secondlook.trainer.registry import BundleRow
from secondlook.trainer.stages import BundleStage
from tests.integration.cli_world import secondlook
from tests.integration.review_world import World as ReviewWorld
from tests.integration.review_world import code_of
from tests.integration.trainer_world import SPAM, Labels, World, as_record, make_world

NOW = datetime(2026, 1, 1, tzinfo=UTC)
BY_HAND = SPAM.model_copy(update={"mode": "fixed"})
ON = CertifiedThreshold(threshold=0.1, certificate=Certificate(n=300, k=1, epsilon=0.05, delta=0.01, upper_bound=0.02))


FOUND = Findings(
    items=1_234,
    sides=(
        SideFinding(
            side="approve",
            evidence=MeasuredEvidence(
                threshold=0.1, wrong=1, n=300, judged=310, waiting=2, missing=0, declared=0, worst=0.01, bound=0.02
            ),
        ),
        SideFinding(
            side="reject spam", reason="3 of 40 wrong in its best reach", outlook="about 700 more judgements",
            needed=700,
            evidence=MeasuredEvidence(
                threshold=0.8, wrong=3, n=40, judged=41, waiting=5, missing=1, declared=0, worst=0.1, bound=0.3
            ),
        ),
    ),
    frontier=(FrontierPoint(factor=2.0, approve=0.02, reject=0.06, automated=0.375, reviews_a_day=1_250.0),),
)  # fmt: skip


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with make_world(database_url, tmp_path, encoder_cache, monkeypatch) as world:
        await world.bus.ensure_topics(topics(1))
        yield world


def monitor(world: World, seconds: float = 3600) -> tuple[QualityMonitor, Guard]:
    guard = Guard(world.settings, world.transactions, world.registry, world.metrics)
    return QualityMonitor(seconds, world.transactions, world.registry, guard), guard


async def on_the_bus(world: World) -> list[QualityMeasured]:
    rows = await world.database.pool.fetch(
        "SELECT value FROM bus.record WHERE topic = 'quality.measured' ORDER BY \"offset\""
    )
    return [QualityMeasured.model_validate_json(row["value"]) for row in rows]


async def activate(world: World, version: str) -> None:
    row = BundleRow(
        bundle_version=version, uri="file:///none", sha256="0" * 64, stage=BundleStage.STORED, policy_version=1,
        labels=("spam",), metrics={}, reasons=(), created_at=NOW, promoted_at=None, removed_at=None,
    )  # fmt: skip
    async with world.transactions.begin() as work:
        await world.registry.add(work, row)
        await world.registry.activate(work, version)


async def look(world: World, policy: Policy = SPAM, found: Findings = FOUND) -> None:
    """A run has looked at the evidence of the active bundle."""
    pool, now = world.database.pool, world.transactions.clock.now()
    run_id = await world.runs.request("certify", now)
    await certification.begin(pool, certification.claim_of(policy), run_id, now)
    await certification.end(pool, run_id, findings=found)
    await world.database.pool.execute("UPDATE run SET state = 'kept', finished_at = $2 WHERE run_id = $1", run_id, now)


async def test_what_has_not_changed_is_not_published_again(world: World) -> None:
    quality, _ = monitor(world)
    await quality.measure(SPAM)
    await quality.measure(SPAM)
    (first,) = await on_the_bus(world)
    assert [(side.outcome, side.standing) for side in first.sides] == [
        ("approve", SideStanding.UNCERTIFIED), ("reject", SideStanding.UNCERTIFIED)
    ]  # fmt: skip
    assert (first.bundle_version, first.certify_items, first.labels[0].prevalence.n) == (None, 0, 0)

    again, _ = monitor(world)  # another process
    await again.measure(SPAM)
    assert len(await on_the_bus(world)) == 1
    await Labels(world).give(20, "uniform")
    await again.measure(SPAM)
    await again.measure(SPAM)
    _, second = await on_the_bus(world)
    assert second.measured_at > first.measured_at
    assert (second.labels[0].prevalence.n, second.labels[0].prevalence.value) == (20, 0.5)
    assert [(one.reviewer, one.n) for one in second.reviewers] == [("r1", 20)]


async def test_a_correction_changes_the_figures(world: World) -> None:
    quality, _ = monitor(world)
    await Labels(world).give(10, "uniform")
    await quality.measure(SPAM)
    await world.database.pool.execute("UPDATE label SET labels = $1 WHERE content_id = 'c2'", {"spam": True})
    await quality.measure(SPAM)
    assert [each.labels[0].prevalence.value for each in await on_the_bus(world)] == [0.5, 0.6]


async def test_it_measures_when_a_run_has_ended_and_when_it_is_time(world: World) -> None:
    quality, _ = monitor(world)
    await quality.step(None)
    assert await on_the_bus(world) == [], "without a policy there are no sides"
    await quality.step(SPAM)
    await Labels(world).give(4, "uniform")
    await quality.step(SPAM)
    assert len(await on_the_bus(world)) == 1, "not yet"
    run_id = await world.runs.request("manual", NOW)
    await world.database.pool.execute("UPDATE run SET state = 'kept', finished_at = $2 WHERE run_id = $1", run_id, NOW)
    await quality.step(SPAM)
    assert len(await on_the_bus(world)) == 2
    always, _ = monitor(world, seconds=0.0)
    await Labels(world).give(4, "uniform", reviewer="r2")
    await always.step(SPAM)
    assert len(await on_the_bus(world)) == 3


async def test_certified_sides_are_those_that_the_guard_saw_of_the_active_bundle(world: World) -> None:
    quality, guard = monitor(world)
    await activate(world, "b1")
    assert await quality.measure(SPAM) is None, "what the active bundle certifies is not known yet"
    guard.sighting = Sighting("b0", CertifiedThresholds(approve=ON))
    assert await quality.measure(SPAM) is None, "that was another bundle"
    assert await on_the_bus(world) == []
    guard.sighting = Sighting("b1", CertifiedThresholds(approve=ON))
    measured = await quality.measure(SPAM)
    assert measured is not None
    approve, _ = measured.sides
    assert (measured.bundle_version, approve.standing, approve.threshold) == ("b1", SideStanding.CERTIFIED, 0.1)
    by_hand = await quality.measure(BY_HAND)
    assert by_hand is not None
    assert [side.standing for side in by_hand.sides] == [SideStanding.UNCERTIFIED] * 2, "the policy sets no threshold"


async def test_what_a_look_found_is_published_until_the_claim_changes(world: World) -> None:
    quality, guard = monitor(world)
    await activate(world, "b1")
    guard.sighting = Sighting("b1", CertifiedThresholds(approve=ON))
    before = await quality.measure(SPAM)
    assert before is not None
    assert (before.certify_items, before.reasons, before.frontier) == (0, (), ())
    await look(world)
    measured = await quality.measure(SPAM)
    assert measured is not None
    approve, spam = measured.sides
    assert (approve.standing, approve.evidence) == (SideStanding.CERTIFIED, FOUND.sides[0].evidence)
    assert (spam.standing, spam.needed, spam.evidence) == (SideStanding.UNCERTIFIED, 700, FOUND.sides[1].evidence)
    assert (measured.certify_items, measured.frontier) == (1_234, FOUND.frontier)
    assert measured.reasons == ("reject spam: 3 of 40 wrong in its best reach; about 700 more judgements",)

    stricter = SPAM.model_copy(update={"risk": SPAM.risk.model_copy(update={"approve": 0.001})})
    other = await quality.measure(stricter)
    assert other is not None
    assert (other.certify_items, other.sides[1].reason) == (0, "nobody has looked at its evidence yet")
    by_hand = await quality.measure(BY_HAND)
    assert by_hand is not None
    assert [side.evidence for side in by_hand.sides] == [None, None], "nothing is certified in mode fixed"


@pytest.mark.parametrize("audits", [0, 1, 2, 3])
async def test_the_first_audits_of_a_side_can_be_published(world: World, audits: int) -> None:
    quality, guard = monitor(world)
    await activate(world, "b1")
    on = CertifiedThresholds(approve=ON)
    audited = [Audited(number, {"spam": 0.01}, {"spam": number == 1}) for number in range(1, audits + 1)]
    guard.sighting = Sighting("b1", on, tuple(judge(audited, on, SPAM.risk, {})))
    measured = await quality.measure(SPAM)
    assert measured is not None
    found = measured.sides[0].audited
    assert found is not None
    assert (found.audits, found.errors) == (audits, min(audits, 1))


async def test_answers_without_any_score_are_measured(world: World) -> None:
    quality, _ = monitor(world)
    await Labels(world).give(4, "uniform")
    await world.database.pool.execute("UPDATE label SET scores = $1", {})
    assert await quality.measure(SPAM) is not None


async def test_an_event_of_another_version_is_replaced(world: World) -> None:
    quality, _ = monitor(world)
    await quality.measure(SPAM)
    await world.database.pool.execute(
        "UPDATE bus.record SET value = $1 WHERE topic = 'quality.measured'", json.dumps({"of": "tomorrow"}).encode()
    )
    again, _ = monitor(world)
    await again.measure(SPAM)
    (last,) = await world.bus.tail("quality.measured", 1)
    assert QualityMeasured.model_validate_json(last.value).certify_items == 0


def published(at: datetime, answered: int) -> QualityMeasured:
    return QualityMeasured(
        measured_at=at, bundle_version="b1", sides=(), certify_items=0, labels=(), reviewers=(),
        second_looks=MeasuredSecondLooks(answered=answered),
        overturned=MeasuredShare(value=None, n=0, k=0, low=0, high=1),
    )  # fmt: skip


async def receive(world: ReviewWorld, *records: Record) -> None:
    for record in records:
        await world.api.quality.on_record(record)
        await world.api.quality.store()


async def test_leads_read_the_newest_figures(database_url: str) -> None:
    async with ReviewWorld.open(database_url) as world:
        assert code_of(await world.call("GET", "/quality", role="lead")) == "404"
        newer, older = as_record(published(NOW, 2)), as_record(published(NOW - timedelta(seconds=1), 1))
        await receive(world, older, newer)
        await receive(world, older)  # it can come again
        answer = await world.call("GET", "/quality", role="lead")
        assert answer.status_code == 200, answer.text
        assert answer.json()["second_looks"] == {"answered": 2, "changed": 0}
        assert QualityMeasured.model_validate_json(answer.text).measured_at == NOW
        for role, status in (("admin", 200), ("reviewer", 403), ("upstream", 403)):
            assert (await world.call("GET", "/quality", role=role)).status_code == status  # type: ignore[arg-type]
        assert (await world.client.get("/quality")).status_code == 401


async def test_what_this_version_cannot_read_changes_nothing(database_url: str) -> None:
    async with ReviewWorld.open(database_url) as world:
        good = as_record(published(NOW, 1))
        damaged = [
            replace(good, value=b"{"), replace(good, value=b'{"of": "tomorrow"}'), replace(good, key="other"),
            replace(good, headers={**good.headers, "ce_type": "QualityMeasuredAnew"}),
        ]  # fmt: skip
        await receive(world, good, *damaged)
        assert (await world.call("GET", "/quality", role="lead")).json()["second_looks"]["answered"] == 1
        await world.database.pool.execute('UPDATE quality SET document = \'{"of": "tomorrow"}\'')
        answer = await world.call("GET", "/quality", role="lead")
        assert answer.status_code == 404
        assert "of another version" in answer.json()["detail"]
        await receive(world, as_record(published(NOW + timedelta(seconds=1), 3)))
        assert (await world.call("GET", "/quality", role="lead")).json()["second_looks"]["answered"] == 3


async def test_the_trainers_figures_reach_leads_over_the_bus(world: World, database_url: str) -> None:
    quality, _ = monitor(world)
    await Labels(world).give(20, "uniform")
    await quality.measure(SPAM)
    async with ReviewWorld.open(database_url) as reviewers:
        await receive(reviewers, *await world.bus.tail("quality.measured", 1))
        shown = (await reviewers.call("GET", "/quality", role="lead")).json()
    (label,) = shown["labels"]
    assert (label["label"], label["prevalence"]["n"]) == ("spam", 20)
    ran = await secondlook(database_url, "quality", "--json")
    assert json.loads(ran.out) == shown


async def test_the_command_shows_sides_labels_and_reviewers(world: World, database_url: str) -> None:
    empty = await secondlook(database_url, "quality")
    assert (empty.status, "not published any quality figures yet" in empty.err) == (2, True)
    quality, guard = monitor(world)
    await Labels(world).give(20, "uniform")
    await activate(world, "b1")
    guard.sighting = Sighting("b1", CertifiedThresholds(approve=ON))
    measured = await quality.measure(SPAM)
    assert measured is not None
    async with ReviewWorld.open(database_url) as reviewers:
        await receive(reviewers, *await world.bus.tail("quality.measured", 1))
    ran = await secondlook(database_url, "quality")
    lines = ran.out.splitlines()
    assert "bundle b1" in lines[0]
    (approve,) = [line for line in lines if line.startswith("approve ")]
    assert approve.split() == ["approve", "certified", "0.1000", "1", "wrong", "of", "300", "0.0200"]
    (reject,) = [line for line in lines if line.startswith("reject spam ")]
    assert "uncertified" in reject
    assert "reject spam: nobody has looked at its evidence yet" in lines
    assert [line.split()[:3] for line in lines if line.startswith("spam ")] == [["spam", "0.5000", "20"]]
    assert any(line.split()[:2] == ["r1", "20"] for line in lines)
    await look(world)
    await quality.measure(SPAM)
    async with ReviewWorld.open(database_url) as reviewers:
        await receive(reviewers, *await world.bus.tail("quality.measured", 1))
    lines = (await secondlook(database_url, "quality")).out.splitlines()
    (approve,) = [line for line in lines if line.startswith("approve ")]
    assert approve.split()[-5:] == ["1", "wrong", "of", "312", "2"], "the certified side, with what waits"
    assert "reject spam: 3 of 40 wrong in its best reach; about 700 more judgements" in lines
    assert ["2.00%", "6.00%", "37.5%", "1,250"] in [line.split() for line in lines], "what other risks would cost"
    await world.database.pool.execute("UPDATE reviewer.quality SET document = '{}'")
    other = await secondlook(database_url, "quality")
    assert (other.status, other.err) == (2, "error: the stored quality figures are of another version of Second Look\n")
