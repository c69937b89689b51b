"""Labels in the table, and what they say together of an item."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import CollectorRegistry

from secondlook.common.contract.events import ContentLabelled, PriorDecision
from secondlook.common.errors import RevisionReused
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer.data.dataset import load_judged
from secondlook.trainer.data.handler import LabelHandler
from secondlook.trainer.metrics import TrainerMetrics
from secondlook.trainer.quality.figures import AuditedDecision
from secondlook.trainer.quality.repository import audited_decisions
from tests.integration.trainer_world import trainer_transactions

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def transactions(database_url: str) -> AsyncIterator[Transactions]:
    async with trainer_transactions(database_url) as transactions:
        yield transactions


def labelled(
    content_id: str, value: bool, *, minutes: int = 0, reviewer: str = "r1", **more: object
) -> ContentLabelled:
    fields = {
        "source": "forum", "content_id": content_id, "label_id": uuid4(), "revision": 1, "text": f"text {content_id}",
        "labels": {"spam": value}, "reviewer": reviewer, "labelled_at": NOON + timedelta(minutes=minutes),
        "decision_id": None, "adjudicated": True, "inclusion_probability": None, "stratum": "uncertain", **more,
    }  # fmt: skip
    return ContentLabelled.model_validate(fields)


async def store(transactions: Transactions, *batch: ContentLabelled) -> None:
    async with transactions.begin() as work:
        await LabelHandler(TrainerMetrics(CollectorRegistry()).labels).apply(work, list(batch))


async def judged(transactions: Transactions) -> dict[str, dict[str, bool]]:
    """What the items are trained with, the oldest first."""
    return {row.text: dict(row.labels) for row in await load_judged(transactions.database.pool, 99)}


async def test_a_label_is_stored_once_and_a_correction_replaces_it(transactions: Transactions) -> None:
    first = labelled("1", True)
    corrected = first.model_copy(update={"labels": {"spam": False}, "labelled_at": NOON + timedelta(minutes=5)})
    for batch in ([first, first], [corrected], [first]):
        await store(transactions, *batch)
    rows = await transactions.database.pool.fetch("SELECT labels FROM label")
    assert [row["labels"] for row in rows] == [{"spam": False}]


async def test_a_judgement_keeps_the_decision_that_it_audits(transactions: Transactions) -> None:
    before = PriorDecision(decision_id=uuid4(), sequence=1024, outcome="reject", labels=("spam", "hate"))
    audit = labelled("1", True, audited=before)
    corrected = audit.model_copy(update={"labels": {"spam": False}, "labelled_at": NOON + timedelta(minutes=5)})
    await store(transactions, audit, labelled("2", True))
    await store(transactions, corrected)
    again = labelled("1", True, minutes=9)  # a second look: what people say last counts, of the same decision
    await store(transactions, again)
    (found,) = await audited_decisions(transactions.database.pool, 99)
    assert found == AuditedDecision("reject", ["spam", "hate"], {"spam": True}, False)


async def test_what_is_taken_back_is_gone_and_what_is_judged_again_counts_last(transactions: Transactions) -> None:
    gone = labelled("1", True)
    await store(
        transactions,
        gone, gone.model_copy(update={"labels": {}, "labelled_at": NOON + timedelta(minutes=1)}),
        labelled("2", True, reviewer="r1"), labelled("2", False, reviewer="lead", minutes=3),
        labelled("3", True, adjudicated=False),
        labelled("4", True), labelled("4", False, reviewer="lead", stratum="imported", minutes=5),
    )  # fmt: skip
    assert await judged(transactions) == {"text 2": {"spam": False}, "text 4": {"spam": False}}
    assert await load_judged(transactions.database.pool, 0) == []


async def test_judgements_made_elsewhere_count_by_their_majority_and_are_unknown_where_even(
    transactions: Transactions,
) -> None:
    def votes(content_id: str, *values: bool) -> list[ContentLabelled]:
        return [
            labelled(content_id, value, reviewer=f"r{number}", minutes=number, stratum="imported")
            for number, value in enumerate(values)
        ]

    taken_back = votes("withdrawn", False, True)
    both = votes("partly", True, True, False)
    both[2] = both[2].model_copy(update={"labels": {"spam": False, "hate": True}})
    await store(
        transactions,
        *votes("most", True, True, False), *votes("even", True, False), *votes("alone", False), *both,
        *taken_back, taken_back[0].model_copy(update={"labels": {}, "labelled_at": NOON + timedelta(hours=1)}),
        *votes("settled", True, True), labelled("settled", False, minutes=5),
    )  # fmt: skip
    assert await judged(transactions) == {
        "text most": {"spam": True},
        "text alone": {"spam": False},
        "text partly": {"spam": True, "hate": True},
        "text withdrawn": {"spam": True},
        "text settled": {"spam": False},
    }
    await store(transactions, labelled("even", True, reviewer="r2", stratum="imported"))
    assert (await judged(transactions))["text even"] == {"spam": True}


async def test_a_split_is_fixed_when_the_first_label_of_a_group_arrives(transactions: Transactions) -> None:
    first = labelled("a", True, text="Buy cheap pills", author_id="mallory")
    await store(transactions, first)
    await store(
        transactions,
        labelled("b", True, text="buy CHEAP pills!!!"),
        labelled("c", True, text="Something else entirely", author_id="mallory"),
        labelled("d", True, text="something else, entirely"),
        first.model_copy(update={"labelled_at": NOON + timedelta(minutes=5)}),
    )
    rows = await transactions.database.pool.fetch("SELECT DISTINCT split FROM label")
    assert len(rows) == 1, "copies, the author's other texts and copies of those stay together"


@pytest.mark.parametrize(
    "change", [{"content_id": "b"}, {"source": "shop"}, {"revision": 2}, {"reviewer": "r2"}], ids=str
)
@pytest.mark.parametrize("together", [True, False])
async def test_a_judgement_with_the_id_of_another_one_is_refused(
    transactions: Transactions, change: dict[str, Any], together: bool
) -> None:
    """Else what was said of one item would count as said of another."""
    first = labelled("a", False)
    later = first.labelled_at + timedelta(minutes=1)
    stolen = first.model_copy(update={"labels": {"spam": True}, "labelled_at": later, **change})
    if not together:
        await store(transactions, first)
    with pytest.raises(RevisionReused, match="label_id"):
        await store(transactions, *([first] if together else []), stolen)
    await store(transactions, first)
    assert await judged(transactions) == {"text a": {"spam": False}}
