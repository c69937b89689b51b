"""The learning loop as a whole: audits certify thresholds, refute them, and certify them again."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.store import open_bundle
from secondlook.trainer.guard import Guard
from secondlook.trainer.stages import BundleStage
from tests.integration.trainer_world import SPAM, Labels, World, as_record, make_world, published

pytestmark = pytest.mark.slow


@pytest.fixture
async def world(
    database_url: str, tmp_path: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    async with make_world(database_url, tmp_path, encoder_cache, monkeypatch) as world:
        yield world.configured(retrain_labels=10_000, certify_hours=1e-9)


@pytest.fixture
def labels(world: World) -> Labels:
    return Labels(world)


async def thresholds(world: World) -> CertifiedThresholds:
    active = await world.registry.active()
    assert active is not None
    found = open_bundle(active.uri, active.sha256, Path(world.settings.encoder_cache)).manifest.thresholds
    assert found is not None
    return found


def paged(world: World, side: str) -> float | None:
    return world.prometheus.get_sample_value("secondlook_trainer_side_off", {"side": side})


async def scored(world: World, labels: Labels, count: int, *, spam: bool, wrong: bool, **more: Any) -> None:
    """Audited items that the active bundle scored as sure, with what people say of them."""
    active = await world.registry.active()
    assert active is not None
    score = 0.999 if spam else 0.001
    said = spam != wrong
    await labels.give(
        count,
        "uniform",
        spam=lambda text, number: said,
        scores={"spam": score},
        bundle_version=active.bundle_version,
        **more,
    )


async def test_a_run_says_first_what_cannot_certify_and_then_what_each_side_needs(world: World, labels: Labels) -> None:
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await labels.give(300, "imported")
    await world.trainer.step()
    bundle = await world.registry.active()
    assert bundle is not None
    assert bundle.reasons[0].startswith("300 of 300 labelled texts were imported: they teach the model")
    sides = [reason for reason in bundle.reasons if reason.startswith(("approve: ", "reject spam: "))]
    assert all("judgements of what it would decide are missing" in reason for reason in sides)
    assert len(sides) == 2

    await labels.give(40, "uniform", labelled_at=datetime.now(UTC))
    await world.trainer.step()
    run = (await world.runs.latest())[0]
    assert run.reason == "certify"
    said = re.findall(r"about (\d+) more judgements, in about \d+ \w+ at last week's pace \((\d+) a week\)", run.detail)
    assert len(said) == 2
    assert all(int(a_week) > 0 and int(more) >= int(a_week) for more, a_week in said)


async def test_audits_certify_a_side_refute_it_and_certify_it_again(world: World, labels: Labels) -> None:
    guard = Guard(world.settings, world.transactions, world.registry, world.metrics)
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await labels.give(300, "uncertain")
    await world.trainer.step()
    assert await world.state() == "promoted", (await world.runs.latest())[0].detail
    assert await thresholds(world) == CertifiedThresholds(), "too little was held out yet"
    first = await world.registry.active()

    await labels.give(600, "uniform")
    await world.trainer.step()
    run = (await world.runs.latest())[0]
    assert (run.reason, run.state) == ("certify", "promoted"), run.detail
    on = await thresholds(world)
    assert on.approve is not None
    assert on.reject.keys() == {"spam"}
    assert on.approve.certificate.upper_bound <= 0.05
    again = await world.registry.active()
    assert first is not None
    assert again is not None
    assert again.weights == first.bundle_version, "only the thresholds changed"
    await world.trainer.step()
    assert len(await world.runs.latest(9)) == 2, "nothing came in, so nothing is certified again"

    await scored(world, labels, 60, spam=False, wrong=False)
    await scored(world, labels, 100, spam=False, wrong=True, text="dinner " * 3_000)
    await guard.watch(SPAM)
    assert await thresholds(world) == on, "what was not read to its end was not approved"
    await scored(world, labels, 40, spam=False, wrong=True)
    await guard.watch(SPAM)
    off = await thresholds(world)
    assert off.approve is None
    assert off.reject == on.reject, "the other side goes on"
    await guard.watch(SPAM)
    assert len(await world.bundles_on_the_bus()) == 3, "it is switched off once"
    restarted = world.configured()
    await Guard(restarted.settings, restarted.transactions, restarted.registry, restarted.metrics).watch(SPAM)
    assert paged(restarted, "approve") == 1, "and stays a reason to page, also after a restart"
    assert paged(restarted, "reject spam") == 0

    await world.registry.rollback()
    assert (await thresholds(world)).approve is not None
    await guard.watch(SPAM)
    assert (await thresholds(world)).approve is None, "what audits refuted does not come back by a rollback"

    await labels.give(900, "uniform")
    await world.trainer.step()
    run = (await world.runs.latest())[0]
    assert (run.reason, run.state) == ("certify", "promoted"), run.detail
    assert (await thresholds(world)).approve is not None
    await guard.watch(SPAM)
    assert (await thresholds(world)).approve is not None, "the old audits belong to the old alarm"
    assert paged(world, "approve") == 0
    spent = await world.database.pool.fetch("SELECT side, weights FROM spending ORDER BY number")
    assert [(row["side"], row["weights"]) for row in spent] == [("", first.weights), ("approve", first.weights)], (
        "to look costs nothing, and an alarm makes only its own side start again"
    )


async def test_a_candidate_goes_through_its_stages_and_steps_back(world: World, labels: Labels) -> None:
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await labels.give(300, "uncertain")
    await labels.give(1_100, "uniform")
    await world.trainer.step()
    active = await world.registry.active()
    assert active is not None, (await world.runs.latest())[0].detail

    world = world.configured(shadow_minutes=1, canary_minutes=1)
    guard = Guard(world.settings, world.transactions, world.registry, world.metrics)
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await labels.give(300, "uncertain")
    await world.runs.request("manual", datetime.now(UTC))
    await world.trainer.step()
    shadow = await world.registry.at(BundleStage.SHADOW)
    assert shadow is not None, (await world.runs.latest())[0].detail
    await guard.watch(SPAM)
    assert await world.registry.at(BundleStage.SHADOW) is not None, "its time is not over"
    await world.database.pool.execute("UPDATE bundle SET staged_at = staged_at - interval '2 minutes'")
    await guard.watch(SPAM)
    canary = await world.registry.at(BundleStage.CANARY)
    assert canary is not None
    assert canary.bundle_version == shadow.bundle_version
    assert await world.registry.at(BundleStage.SHADOW) is None

    await labels.give(
        60, "uniform", spam=lambda text, number: True, scores={"spam": 0.001}, bundle_version=canary.bundle_version
    )
    await guard.watch(SPAM)
    assert await world.registry.at(BundleStage.CANARY) is None
    assert (await world.registry.active()) == active
    (refused,) = [row for row in await world.registry.all() if row.bundle_version == canary.bundle_version]
    assert refused.stage == "refused"
    assert "stepped back: 60 of 60 audits of approve were wrong" in refused.reasons


async def test_labels_that_allow_no_model_leave_the_active_bundle_alone(
    world: World, labels: Labels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_STARTER_UNTIL", "0")
    await world.trainer.on_policy(as_record(published(SPAM, 1)))

    async def refused() -> str:
        await world.runs.request("manual", datetime.now(UTC))
        await world.trainer.step()
        run = (await world.runs.latest())[0]
        assert run.state == "refused"
        return run.detail

    assert "there are no labels for this policy" in await refused()
    await labels.give(20, "uncertain", labels={"heresy": True})
    assert "there are no labels for this policy" in await refused(), "of labels that the policy does not know"
    await labels.give(10, "uncertain")
    assert "at least 8 of each are needed" in await refused(), "ten labels"
    await labels.give(60, "uncertain", spam=lambda text, number: True)
    assert "label spam:" in await refused(), "one class only"
    assert await world.registry.active() is None
    assert await world.bundles_on_the_bus() == []
    assert await world.database.pool.fetchval("SELECT count(*) FROM spending") == 0


async def test_a_change_of_what_comes_in_is_said_and_switches_nothing(world: World, labels: Labels) -> None:
    guard = Guard(world.settings, world.transactions, world.registry, world.metrics)
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await labels.give(300, "uncertain")
    await world.trainer.step()
    active = await world.registry.active()

    def warnings() -> float:
        name, series = "secondlook_trainer_drift_total", {"series": "highest score"}
        return world.prometheus.get_sample_value(name, series) or 0.0

    await scored(world, labels, 500, spam=False, wrong=False)
    await guard.watch(SPAM)
    assert warnings() == 0
    await scored(world, labels, 500, spam=True, wrong=False)
    await guard.watch(SPAM)
    assert warnings() == 1
    await guard.watch(SPAM)
    again = Guard(world.settings, world.transactions, world.registry, world.metrics)
    await again.watch(SPAM)
    assert warnings() == 1, "it is said once, also after a restart"
    assert await world.registry.active() == active


async def test_a_report_and_a_card_lie_beside_the_bundle(world: World, labels: Labels) -> None:
    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await labels.give(300, "uncertain")
    await labels.give(1_100, "uniform")
    await world.trainer.step()
    active = await world.registry.active()
    assert active is not None, (await world.runs.latest())[0].detail
    folder = Path(active.uri.removeprefix("file://"))
    page, card = (folder / "report.html").read_text(), (folder / "model-card.md").read_text()
    for text in (page, card):
        assert active.bundle_version in text
        assert "spam" in text
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert "## What audits found\n\nNot measured yet" in card

    before = active.bundle_version
    assert (await thresholds(world)).approve is not None
    await labels.give(60, "uniform", scores={"spam": 0.001}, bundle_version=before)
    await world.runs.request("manual", datetime.now(UTC))
    await world.trainer.step()
    active = await world.registry.active()
    assert active is not None
    assert active.bundle_version != before, (await world.runs.latest())[0].detail
    card = (Path(active.uri.removeprefix("file://")) / "model-card.md").read_text()
    assert f"Not of this bundle, which had decided nothing when this was written, but of what bundle {before}" in card
    audited = re.search(r"\| Approve \| (\d+) \| 30 \| ", card)
    assert audited is not None, "of what the model was made for, half was wrong"
    assert 55 <= int(audited[1]) <= 60
