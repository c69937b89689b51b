"""A database of the version before is brought up to date, and nothing in it is lost."""

from pathlib import Path
from shutil import copy

import asyncpg

from secondlook.common.bundle.sides import APPROVE
from secondlook.common.clock import SystemClock
from secondlook.common.migrate import migrate_schemas
from secondlook.common.schemas import COMMON, KERNEL
from secondlook.trainer import certification
from secondlook.trainer.data.dataset import load_judged
from secondlook.trainer.data.evidence_rows import Unlearned, load_evidence
from secondlook.trainer.quality.figures import AuditedDecision
from secondlook.trainer.quality.repository import audited_decisions
from secondlook.trainer.registry import Registry
from secondlook.trainer.runs import Runs
from secondlook.trainer.stages import BundleStage
from tests.integration.trainer_world import trainer_transactions

MIGRATIONS = COMMON.parent / "trainer" / "migrations"
OLD_BUNDLE = """
INSERT INTO bundle (bundle_version, uri, sha256, stage, policy_version, labels, metrics, reasons, created_at, weights,
                    promoted_at)
VALUES ($1, $2, repeat('0', 64), $3, 1, '{spam}', '{}', '{}', now(), $1, now())
"""
OLD_LABEL = """
INSERT INTO label (label_id, source, content_id, revision, reviewer, text, text_sha256, labels, adjudicated, stratum,
                   labelled_at, split)
VALUES (gen_random_uuid(), 'forum', $1, 2, 'r1', 'x', '', '{"spam": true}', true, 'uniform', now(), 'certify')
"""
DECISION = """
INSERT INTO reviewer.decision_log (decision_id, source, content_id, revision, sequence, outcome, labels, action,
                                   decided_by, decided_at, reason)
VALUES (gen_random_uuid(), 'forum', $1, $2, 1, $3, $4, 'x', $5, now(), 'x')
"""
OLD_RUN = "INSERT INTO run (run_id, reason, state, requested_at) VALUES (gen_random_uuid(), $1, 'queued', now())"


async def test_bundles_of_the_time_when_stored_was_called_refused_are_kept(database_url: str, tmp_path: Path) -> None:
    before = tmp_path / "trainer" / "migrations"
    before.mkdir(parents=True)
    for file in sorted(MIGRATIONS.glob("*.sql"))[:5]:
        copy(file, before)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA trainer CASCADE")
    await migrate_schemas(database_url, {"trainer": [KERNEL, before]})
    await connection.execute("SET search_path = trainer")
    for version, stage in (("b1", "refused"), ("b2", "refused"), ("b3", "retired"), ("b4", "active")):
        await connection.execute(OLD_BUNDLE, version, (tmp_path / version).as_uri(), stage)
    await connection.execute(OLD_RUN, "alarm")
    await connection.close()

    assert (
        "trainer/0006_states.sql" in (await migrate_schemas(database_url, {"trainer": [KERNEL, MIGRATIONS]}))["trainer"]
    )
    async with trainer_transactions(database_url) as transactions:
        registry = Registry(transactions.database, transactions)
        assert {row.bundle_version: row.stage for row in await registry.all()} == {
            "b1": BundleStage.REFUSED, "b2": BundleStage.REFUSED, "b3": BundleStage.RETIRED, "b4": BundleStage.ACTIVE,
        }  # fmt: skip
        await registry.promote("b1")
        assert await registry.prune(9, SystemClock().now()) == ["b2"], "as before"
        (run,) = await Runs(transactions.database).latest()
        assert run.reason == "certify"


async def test_audits_that_were_judged_before_keep_the_decision_that_they_are_about(
    database_url: str, tmp_path: Path
) -> None:
    before = tmp_path / "trainer" / "migrations"
    before.mkdir(parents=True)
    for file in sorted(MIGRATIONS.glob("*.sql"))[:7]:
        copy(file, before)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA trainer CASCADE")
    await migrate_schemas(database_url, {"trainer": [KERNEL, before]})
    await connection.execute("SET search_path = trainer")
    for content_id in ("approved", "rejected", "reviewed", "of_another_revision"):
        await connection.execute(OLD_LABEL, content_id)
    await connection.execute(DECISION, "approved", 2, "approve", [], "model")
    await connection.execute(DECISION, "approved", 2, "reject", ["spam"], "r1")
    await connection.execute(DECISION, "rejected", 2, "reject", ["hate"], "model")
    await connection.execute(DECISION, "reviewed", 2, "reject", ["spam"], "r1")
    await connection.execute(DECISION, "of_another_revision", 1, "approve", [], "model")
    await connection.close()

    await migrate_schemas(database_url, {"trainer": [KERNEL, MIGRATIONS]})
    async with trainer_transactions(database_url) as transactions:
        found = await audited_decisions(transactions.database.pool, 99)
    assert sorted(found, key=lambda one: one.outcome) == [
        AuditedDecision("approve", [], {"spam": True}, True),
        AuditedDecision("reject", ["hate"], {"spam": True}, True),
    ]


async def test_labels_of_another_text_are_set_aside_and_the_others_stay(database_url: str, tmp_path: Path) -> None:
    before = tmp_path / "trainer" / "migrations"
    before.mkdir(parents=True)
    for file in sorted(MIGRATIONS.glob("*.sql"))[:8]:
        copy(file, before)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA trainer CASCADE")
    await migrate_schemas(database_url, {"trainer": [KERNEL, before]})
    await connection.execute("SET search_path = trainer")
    for content_id, text, minute, label in (
        ("mixed", "old", 1, "a"), ("mixed", "new", 2, "b"), ("mixed", "new", 3, "c"), ("plain", "text", 1, "d"),
    ):  # fmt: skip
        await connection.execute(
            "INSERT INTO label (label_id, source, content_id, revision, reviewer, text, text_sha256, labels, "
            "adjudicated, stratum, labelled_at, split) VALUES (gen_random_uuid(), 'forum', $1, 1, $4, $2, "
            "sha256(convert_to($2, 'UTF8')), jsonb_build_object($4::text, true), true, 'imported', "
            "'2026-01-01'::timestamptz + make_interval(mins => $3), 'train')",
            content_id, text, minute, label,
        )  # fmt: skip
    await migrate_schemas(database_url, {"trainer": [KERNEL, MIGRATIONS]})
    assert await connection.fetchval("SELECT string_agg(text, ' ') FROM label_of_another_text") == "old"
    assert await connection.fetchval("SELECT count(*) FROM judged_text") == 2
    await connection.close()
    async with trainer_transactions(database_url) as transactions:
        judged = {row.text: set(row.labels) for row in await load_judged(transactions.database.pool, 99)}
    assert judged == {"new": {"b", "c"}, "text": {"d"}}


async def test_what_certified_before_stays_evidence_and_what_was_spent_stays_spent(
    database_url: str, tmp_path: Path
) -> None:
    before = tmp_path / "trainer" / "migrations"
    before.mkdir(parents=True)
    for file in sorted(MIGRATIONS.glob("*.sql"))[:11]:
        copy(file, before)
    connection = await asyncpg.connect(database_url)
    await connection.execute("DROP SCHEMA trainer CASCADE")
    await migrate_schemas(database_url, {"trainer": [KERNEL, before]})
    await connection.execute("SET search_path = trainer")
    await connection.execute("ALTER TABLE label DROP CONSTRAINT label_of_one_text")
    for content_id in ("a", "b", "c"):
        await connection.execute(OLD_LABEL, content_id)
    await connection.execute("UPDATE label SET inclusion_probability = 0.02")
    await connection.execute("UPDATE label SET stratum = 'uncertain', split = 'train' WHERE content_id = 'c'")
    await connection.execute(
        "INSERT INTO alarm (weights, side, audits, errors, lower, epsilon, label_mark, fired_at) "
        "SELECT 'b0', 'approve', 9, 9, 0.5, 0.01, received, now() FROM label WHERE content_id = 'a'"
    )
    await connection.execute(
        "WITH r AS (INSERT INTO run (run_id, reason, state, requested_at, finished_at) "
        "VALUES (gen_random_uuid(), 'first', 'promoted', now(), now()) RETURNING run_id) "
        "INSERT INTO certification (claim, attempt, run_id, items, started_at) "
        "SELECT 'claim', 1, run_id, 9, now() FROM r"
    )
    await connection.close()

    applied = await migrate_schemas(database_url, {"trainer": [KERNEL, MIGRATIONS]})
    assert {"trainer/0012_evidence.sql", "trainer/0013_noticing.sql", "trainer/0014_topics.sql"} <= set(
        applied["trainer"]
    )
    async with trainer_transactions(database_url) as transactions:
        pool = transactions.database.pool
        rows = await load_evidence(pool, "b1", Unlearned(0, 99), 99)
        assert [(row.content_id, row.settled, row.u < min(row.least)) for row in rows] == [
            ("a", {"spam": True}, True), ("b", {"spam": True}, True)
        ]  # fmt: skip
        assert await certification.marks(pool) == {APPROVE: 1}, "what the alarm refuted stays refuted"
        granted = await certification.grant(transactions.database, "claim", "b1", (APPROVE,), {}, SystemClock().now())
        assert granted == {APPROVE: 2}, "half of the chance was spent"
