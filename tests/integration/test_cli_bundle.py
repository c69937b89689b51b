"""`secondlook bundle`: list, show, stages, rollback, report."""

import dataclasses
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from secondlook.cli.commands.migrate import migrate_all
from secondlook.cli.workspace import Workspace
from secondlook.common.bundle.files import manifest_sha256
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, export_encoder
from secondlook.trainer.registry import BundleRow, Registry
from tests.integration.cli_world import records, secondlook, transactions
from tests.integration.replay_world import make_bundles


@pytest.fixture
async def database_url(database_url: str) -> str:
    """A database as `secondlook migrate` leaves it: with topics."""
    await migrate_all(Workspace(database_url=database_url))
    return database_url


def made(version: str, minute: int) -> BundleRow:
    return BundleRow(
        bundle_version=version, uri=f"file:///nowhere/{version}", sha256="0" * 64, policy_version=1,
        labels=("spam",), metrics={"auroc": 0.9}, reasons=("better",),
        created_at=datetime(2026, 1, 1, 0, minute, tzinfo=UTC),
    )  # fmt: skip


async def test_bundles(database_url: str) -> None:
    empty = await secondlook(database_url, "bundle", "list")
    assert empty.status == 0
    assert empty.out.startswith("no bundles yet")
    for arguments in (["rollback"], ["show", "b1"], ["promote", "b1"]):
        assert (await secondlook(database_url, "bundle", *arguments)).status == 2

    async with transactions(database_url, "trainer") as units, units.begin() as work:
        registry = Registry(units.database, units)
        await registry.add(work, made("b1", 1))
        await registry.add(work, made("b2", 2))
    for version in ("b1", "b2"):
        assert (await secondlook(database_url, "bundle", "promote", version)).status == 0
    listed = await secondlook(database_url, "bundle", "list")
    assert [line.split()[:2] for line in listed.out.splitlines()[1:]] == [["b2", "active"], ["b1", "retired"]]
    assert json.loads((await secondlook(database_url, "bundle", "show", "b2", "--json")).out)["metrics"] == {
        "auroc": 0.9
    }

    back = await secondlook(database_url, "bundle", "rollback")
    assert "bundle b1 is active again" in back.out
    further = await secondlook(database_url, "bundle", "rollback")
    assert further.status == 2
    assert "no earlier bundle" in further.err
    published = [event["bundle_version"] for event in await records(database_url, "routing.bundle")]
    assert published == ["b1", "b2", "b1"]


async def test_a_bundle_is_shown_with_its_checks_as_a_table(database_url: str) -> None:
    metrics = {"n": 40, "positives": 3, "auroc": 0.91234, "auprc": None, "log_loss": 1.5}
    reasons = ("5 labels were imported", "gold (failed): mean log loss 1 (active 0.5)", "latency (passed): 1 ms: fine")
    row = dataclasses.replace(made("b1", 1), metrics={"spam": metrics}, reasons=reasons)
    async with transactions(database_url, "trainer") as units, units.begin() as work:
        await Registry(units.database, units).add(work, row)
    lines = (await secondlook(database_url, "bundle", "show", "b1")).out.splitlines()
    table = [[part.strip() for part in line.split("  ") if part.strip()] for line in lines]
    assert lines[0] == "bundle b1, stored, policy 1, made 2026-01-01 00:01:00Z"
    assert ["spam", "40", "3", "0.9123", "1.5000"] in table
    assert table[-4][0] == "5 labels were imported"
    assert table[-3:] == [
        ["check", "result", "detail"],
        ["gold", "failed", "mean log loss 1 (active 0.5)"], ["latency", "passed", "1 ms: fine"],
    ]  # fmt: skip


async def test_stages_of_bundles(database_url: str) -> None:
    async with transactions(database_url, "trainer") as units, units.begin() as work:
        registry = Registry(units.database, units)
        for minute in (1, 2, 3):
            await registry.add(work, made(f"b{minute}", minute))
    for arguments in (["b1"], ["b2", "--stage", "canary", "--share", "0.2"], ["b3", "--stage", "shadow"]):
        assert (await secondlook(database_url, "bundle", "promote", *arguments)).status == 0
    active = await secondlook(database_url, "bundle", "promote", "b1", "--stage", "shadow")
    assert (active.status, "b1 is active" in active.err) == (2, True)
    assert (await secondlook(database_url, "bundle", "promote", "b3", "--stage", "canary")).status == 0
    assert "b3 is no longer canary" in (await secondlook(database_url, "bundle", "clear", "canary")).out
    assert (await secondlook(database_url, "bundle", "clear", "canary")).status == 2
    assert (await secondlook(database_url, "bundle", "clear", "active")).status == 2
    events = await records(database_url, "routing.bundle")
    assert [(e["bundle_version"], e["stage"], e["share"], e["in_force"]) for e in events] == [
        ("b1", "active", 0, True), ("b2", "canary", 0.2, True), ("b3", "shadow", 0, True),
        ("b2", "canary", 0, False), ("b3", "shadow", 0, False), ("b3", "canary", 0.05, True),
        ("b3", "canary", 0, False),
    ]  # fmt: skip
    times = [e["published_at"] for e in events]
    assert times == sorted(times)
    listed = await secondlook(database_url, "bundle", "list")
    assert sorted(line.split()[1] for line in listed.out.splitlines()[1:]) == ["active", "refused", "refused"]


async def test_a_bundle_shows_which_sides_decide_under_the_policy_in_force(
    database_url: str, tmp_path: Path, encoder_cache: Path
) -> None:
    folder = make_bundles(tmp_path, export_encoder(DEFAULT_ENCODER, encoder_cache))["certified"]
    row = dataclasses.replace(made("b1", 1), uri=folder.as_uri(), sha256=manifest_sha256(folder))
    async with transactions(database_url, "trainer") as units, units.begin() as work:
        await Registry(units.database, units).add(work, row)

    async def sides() -> object:
        return json.loads((await secondlook(database_url, "bundle", "show", "b1", "--json")).out)["sides"]

    assert await sides() == {"approve": "on, at 0.25"}
    document = "{name: p, labels: {spam: {description: d}}, risk: {approve: %s}}"
    for risk, shown in (("0.01", "on, at 0.25"), ("0.001", "off: certified for a risk of 0.01, and the policy allows")):
        (tmp_path / "policy.yaml").write_text(document % risk)
        assert (await secondlook(database_url, "policy", "apply", tmp_path / "policy.yaml")).status == 0
        found = await sides()
        assert isinstance(found, dict)
        assert found["approve"].startswith(shown)
    (folder / "manifest.json").unlink()
    assert "cannot be read" in str(await sides())


async def test_a_bundle_s_report(database_url: str, tmp_path: Path) -> None:
    async with transactions(database_url, "trainer") as units, units.begin() as work:
        row = made("b1", 1)
        await Registry(units.database, units).add(work, dataclasses.replace(row, uri=f"file://{tmp_path / 'b1'}"))
    missing = await secondlook(database_url, "bundle", "report", "b1")
    assert (missing.status, "has no report.html" in missing.err) == (2, True)
    (tmp_path / "b1").mkdir()
    for name in ("report.html", "model-card.md"):
        (tmp_path / "b1" / name).write_text(name)
    ran = await secondlook(database_url, "bundle", "report", "b1", "--output", tmp_path / "new")
    assert ran.status == 0
    assert (tmp_path / "new" / "b1-report.html").read_text() == "report.html"
    assert (tmp_path / "new" / "b1-model-card.md").read_text() == "model-card.md"
    assert (await secondlook(database_url, "bundle", "report", "b9")).status == 2


async def test_a_bundle_of_a_format_that_this_version_does_not_know_is_not_promoted(
    database_url: str, tmp_path: Path
) -> None:
    document = json.dumps({"format": 3}).encode()
    (tmp_path / "manifest.json").write_bytes(document)
    unknown = dataclasses.replace(made("b0", 0), uri=tmp_path.as_uri(), sha256=hashlib.sha256(document).hexdigest())
    async with transactions(database_url, "trainer") as units, units.begin() as work:
        registry = Registry(units.database, units)
        for row in (unknown, made("b1", 1)):
            await registry.add(work, row)
        await registry.activate(work, "b0")
        await registry.activate(work, "b1")
    for arguments in (["promote", "b0"], ["promote", "b0", "--stage", "shadow"], ["rollback"]):
        ran = await secondlook(database_url, "bundle", *arguments)
        assert (ran.status, ran.out) == (2, "")
        assert "manifest.json has format 3, and this version reads formats 1 and 2" in ran.err
        assert ran.err.count("\n") == 1
    listed = await secondlook(database_url, "bundle", "list")
    assert [line.split()[:2] for line in listed.out.splitlines()[1:]] == [["b1", "active"], ["b0", "retired"]]
