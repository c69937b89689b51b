"""`secondlook audits` counts what people said of automatic decisions, and only that."""

import json
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest

from tests.integration.cli_world import secondlook
from tests.integration.quality_world import measure_quality

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Items:
    """Rows as the services leave them."""

    def __init__(self, connection: asyncpg.Connection) -> None:
        self._connection, self._count = connection, 0

    async def add(
        self, count: int, route: str, score: float, said: bool | None, *, uniform: bool = True, reviewers: int = 1
    ) -> None:
        for _ in range(count):
            self._count += 1
            key = ("forum", f"c{self._count}", 1)
            await self._connection.execute(
                "INSERT INTO router.revision (source, content_id, revision, text_sha256, route, why, audited, scores, "
                "bundle_version, routed_at) VALUES ($1, $2, $3, $4, $5, 'x', $6, $7, 'b1', $8)",
                *key, bytes(32), route, said is not None and route != "review", json.dumps({"spam": score}), NOW,
            )  # fmt: skip
            if route != "review":
                await self._connection.execute(
                    "INSERT INTO reviewer.decision_log (decision_id, source, content_id, revision, sequence, outcome, "
                    "labels, action, decided_by, decided_at, reason) "
                    "VALUES ($1, $2, $3, $4, 1, $5, $6, 'x', 'model', $7, 'x')",
                    uuid4(), *key, route, ["spam"] if route == "reject" else [], NOW,
                )  # fmt: skip
            await self._connection.execute("INSERT INTO trainer.item_text VALUES ($1, $2, $3, $4)", *key, bytes(32))
            for number in range(reviewers if said is not None else 0):
                await self._connection.execute(
                    "INSERT INTO trainer.label (label_id, source, content_id, revision, reviewer, text, text_sha256, "
                    "labels, adjudicated, inclusion_probability, stratum, labelled_at, split, audited_outcome, "
                    "audited_labels) VALUES ($1, $2, $3, $4, $5, 'x', $6, $7, $8, 0.5, $9, $10, 'certify', $11, $12)",
                    uuid4(), *key, f"r{number}", bytes(32), json.dumps({"spam": said}), number == 0,
                    "uniform" if uniform else "audit_approve", NOW,
                    None if route == "review" else route,
                    None if route == "review" else ["spam"] if route == "reject" else [],
                )  # fmt: skip


async def found(url: str) -> dict[tuple[str, str, str], dict[str, float]]:
    await measure_quality(url)
    ran = await secondlook(url, "audits", "--json")
    assert ran.status == 0, ran.err
    return {(row["what"], row["of"], row["method"]): row for row in json.loads(ran.out)}


async def test_audits(database_url: str) -> None:
    empty = await secondlook(database_url, "audits")
    assert (empty.status, "nothing was classified yet" in empty.out) == (0, True)
    connection = await asyncpg.connect(database_url)
    items = Items(connection)
    await items.add(5, "approve", 0.01, None)
    await measure_quality(database_url)
    ran = await secondlook(database_url, "audits")
    assert "no automatic decision was audited yet" in ran.out
    await items.add(18, "approve", 0.01, False, reviewers=2)
    await items.add(2, "approve", 0.01, True)
    await items.add(50, "approve", 0.01, True, uniform=False)
    await items.add(9, "reject", 0.99, True)
    await items.add(1, "reject", 0.99, False)
    await items.add(10, "review", 0.5, True)
    await items.add(30, "review", 0.5, None)
    await connection.close()

    rows = await found(database_url)
    approve = rows["wrong of automatic", "approve", "Clopper-Pearson"]
    assert (approve["k"], approve["n"]) == (52, 70), "whatever the coin drew of approvals is a fair sample of them"
    assert approve["low"] < 52 / 70 < approve["high"]
    reject = rows["wrong of automatic", "reject spam", "Clopper-Pearson"]
    assert (reject["k"], reject["n"]) == (1, 10)
    overturned = rows["overturned by audits", "all", "Clopper-Pearson"]
    assert (overturned["k"], overturned["n"]) == (53, 80)
    prevalence = rows["prevalence", "spam", "Clopper-Pearson"]
    assert (prevalence["k"], prevalence["n"]) == (21, 40), "uniform items, however they were routed"
    assert rows["agreement", "spam", "Krippendorff's alpha"]["n"] == 18
    text = (await secondlook(database_url, "audits")).out
    assert "52 of 70" in text
    assert "0.1000" in text


@pytest.mark.parametrize("arguments", [["--last", "0"], ["--last", "many"]])
async def test_audits_refuses_nonsense(database_url: str, arguments: list[str]) -> None:
    assert (await secondlook(database_url, "audits", *arguments)).status == 2
