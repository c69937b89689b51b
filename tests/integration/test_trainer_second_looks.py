"""From answers that look wrong to what people say of them the second time, and to the data set that follows."""

import json
import random
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import CollectorRegistry

from secondlook.common.bus.topics import topics
from secondlook.common.contract.events import ContentLabelled, SecondLookRequested, Why, label_id, review_id
from secondlook.common.contract.policy import LabelPolicy, Policy, Thresholds
from secondlook.common.service.unit_of_work import Transactions
from secondlook.trainer.data.dataset import load_judged
from secondlook.trainer.data.handler import LabelHandler
from secondlook.trainer.data.second_looks import AT_WORK, Doubt, ask
from secondlook.trainer.data.splits import Draw, group_keys, own_draw, split_at
from secondlook.trainer.metrics import TrainerMetrics
from secondlook.trainer.runs import Runs
from tests.integration.review_world import World as ReviewWorld
from tests.integration.review_world import requested
from tests.integration.trainer_world import World, as_record, make_world, published, trainer_transactions

pytestmark = pytest.mark.slow

SPAM = Policy(
    name="spam",
    mode="fixed",
    labels={"spam": LabelPolicy(description="Unasked-for advertising")},
    thresholds=Thresholds(approve=0.1, reject={"spam": 0.9}),
)
PLAIN = ("dinner", "garden", "train", "weather", "football", "library", "homework", "mountain", "bicycle", "concert")
PUSHY = ("winner", "prize", "discount", "casino", "free", "claim", "offer", "cheap", "pills", "bonus")
NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)


def sentences(spam: bool, seed: int) -> Iterable[str]:
    chance = random.Random(seed)
    while True:
        yield " ".join(chance.choice(PUSHY if spam else PLAIN) for _ in range(8))


def in_split(split: str, spam: bool, stratum: str = "uncertain", seed: int = 0) -> str:
    """A text that falls into this part of the data."""
    return next(
        text for text in sentences(spam, seed) if split_at(Draw(own_draw(group_keys(text)[0])), stratum) == split
    )  # fmt: skip


def labelled(
    content_id: str, spam: bool, text: str = "", *, why: Why | None = Why.UNCERTAIN, reviewer: str = "r1", **more: Any
) -> ContentLabelled:
    """A judgement of a review, or, without `why`, an imported one."""
    asked = review_id("forum" if why else "file", content_id, 1, why or Why.UNCERTAIN)
    fields = {
        "source": "forum", "content_id": content_id, "label_id": label_id(asked, reviewer), "revision": 1,
        "text": text or content_id, "labels": {"spam": spam}, "reviewer": reviewer, "labelled_at": NOW,
        "decision_id": None, "adjudicated": True, "inclusion_probability": 1.0 if why else None,
        "stratum": "uncertain" if why else "imported", **more,
    }  # fmt: skip
    return ContentLabelled.model_validate(fields)


async def store(transactions: Transactions, *batch: ContentLabelled) -> None:
    async with transactions.begin() as work:
        await LabelHandler(TrainerMetrics(CollectorRegistry()).labels).apply(work, list(batch))


async def asked(transactions: Transactions) -> list[SecondLookRequested]:
    rows = await transactions.database.pool.fetch(
        "SELECT value FROM bus.record WHERE topic = 'review.requested' AND headers->>'ce_type' = 'SecondLookRequested' "
        'ORDER BY partition, "offset"'
    )
    return [SecondLookRequested.model_validate_json(row["value"]) for row in rows]


async def judged(transactions: Transactions) -> dict[str, dict[str, bool]]:
    """What the items are trained with."""
    return {row.text: dict(row.labels) for row in await load_judged(transactions.database.pool, 10_000)}


class Reviewers:
    """The review queue beside the trainer, on the same database."""

    def __init__(self, world: ReviewWorld, transactions: Transactions) -> None:
        self._world, self._transactions = world, transactions
        self._labels = 0

    async def judge(self, name: str, answer: Callable[[str], bool]) -> list[str]:
        """Everything that `name` is given, by what `answer` says of its text; the labels reach the trainer."""
        tasks = await self._world.claim(50, name=name)
        for task in tasks:
            spam = answer(task["content"]["text"])
            await (self._world.reject(task, "spam", name=name) if spam else self._world.approve(task, name=name))
        await self._world.publish()
        labels = (await self._world.published("review.labelled"))[self._labels :]
        self._labels += len(labels)
        await store(self._transactions, *map(ContentLabelled.model_validate_json, map(json.dumps, labels)))
        return [task["content"]["text"] for task in tasks]


@pytest.fixture
async def review_world(database_url: str) -> AsyncIterator[ReviewWorld]:
    async with ReviewWorld.open(database_url) as world:
        world.clock.time = NOW
        yield world


@pytest.fixture
async def world(
    review_world: ReviewWorld, database_url: str, tmp_path: Path, encoder_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    monkeypatch.setenv("SECONDLOOK_STARTER_UNTIL", "0")
    monkeypatch.setenv("SECONDLOOK_SECOND_JUDGEMENTS", "0")  # those by lot have tests of their own
    async with make_world(database_url, tmp_path, encoder_cache, monkeypatch) as world:
        yield world


async def test_wrong_answers_come_back_to_the_queue_and_the_data_set_follows(
    world: World, review_world: ReviewWorld
) -> None:
    reviewers = Reviewers(review_world, world.transactions)
    missed, invented = in_split("train", True, seed=1), in_split("calibrate", False, seed=2)
    odd = in_split("train", True, seed=3)  # looks like spam, and is none
    for number, text in enumerate((missed, invented, odd)):
        request = requested(f"queue-{number}")
        await review_world.request(
            request.model_copy(update={"content": request.content.model_copy(update={"text": text})})
        )
    wrong = {missed: False, invented: True, odd: False}
    assert len(await reviewers.judge("ann", lambda text: wrong[text])) == 3
    right = [
        labelled(f"right-{spam}-{number}", spam, text, reviewer="bob")
        for spam in (True, False)
        for number, text in zip(range(120), sentences(spam, 9), strict=False)
    ]
    measured = [
        labelled("certify", False, in_split("certify", True, "uniform", 4), stratum="uniform"),
        labelled("gold", False, in_split("gold", True, seed=5)),
        labelled("audit", False, in_split("train", True, seed=6), why=Why.AUDIT, stratum="audit_approve"),
        labelled("imported", False, in_split("train", True, seed=7), why=None),
    ]
    await store(world.transactions, *right, *measured)

    await world.trainer.on_policy(as_record(published(SPAM, 1)))
    await world.trainer.step()
    run = (await world.runs.latest())[0]
    assert run.state in ("promoted", "kept"), run.detail
    events = await asked(world.transactions)
    assert {event.content_id for event in events} == {"queue-0", "queue-1", "queue-2"}
    assert all(event.reason.startswith("spam: people said ") for event in events)
    assert world.prometheus.get_sample_value("secondlook_trainer_second_looks_total") == 3
    assert (await judged(world.transactions))[missed]["spam"] is False, "nobody's answer is changed for a doubt"

    await review_world.request(*events)
    assert await reviewers.judge("ann", lambda text: True) == [], "she has judged them"
    right_now = {missed: True, invented: False, odd: False}
    assert set(await reviewers.judge("bob", lambda text: right_now[text])) == set(right_now)
    data = await judged(world.transactions)
    assert {text: data[text]["spam"] for text in right_now} == right_now
    decisions = [each for each in await review_world.published("moderation.decided") if each["supersedes"]]
    assert sorted(each["content_id"] for each in decisions) == ["queue-0", "queue-1"]
    assert {each["reason"] for each in decisions} == {"reviewed: second_look"}

    await world.runs.request("manual", datetime.now(UTC))
    await world.trainer.step()
    assert len(await asked(world.transactions)) == 3, "what was confirmed stays a doubt, and is not asked about again"


@pytest.fixture
async def transactions(database_url: str) -> AsyncIterator[Transactions]:
    async with trainer_transactions(database_url) as transactions:
        await transactions.bus.ensure_topics(topics(1))
        yield transactions


async def sent_back(transactions: Transactions, doubted: Iterable[str], limit: int) -> list[str]:
    """What a run sends back whose doubts these are."""
    before = len(await asked(transactions))
    run_id = await Runs(transactions.database).request("manual", NOW)
    doubts = [Doubt("forum", content_id, 1, "spam", True, 0.01) for content_id in doubted]
    async with transactions.begin() as work:
        count = await ask(work, run_id, doubts, limit)
    found = [event.content_id for event in (await asked(transactions))[before:]]
    assert count == len(found)
    return found


async def test_each_item_once_so_many_a_run_the_least_likely_first(transactions: Transactions) -> None:
    names = [f"c{number}" for number in range(5)]
    await store(transactions, *[labelled(name, True) for name in names], labelled("other", True, reviewer="r2"))
    assert await sent_back(transactions, names, 0) == []
    assert await sent_back(transactions, [], 9) == []
    assert sorted(await sent_back(transactions, ["c3", "c0", "c4"], 2)) == ["c0", "c3"]
    assert sorted(await sent_back(transactions, names, 2)) == ["c1", "c2"]
    assert await sent_back(transactions, names, 2) == ["c4"]
    assert await sent_back(transactions, names, 2) == []


async def test_only_where_one_person_judged_and_another_is_there(transactions: Transactions) -> None:
    await store(transactions, labelled("a", True), labelled("b", True))
    assert await sent_back(transactions, ["a", "b"], 9) == [], "there is nobody else"
    long_ago = NOW - AT_WORK - MINUTE
    await store(
        transactions,
        labelled("old", True, reviewer="r2", labelled_at=long_ago),
        labelled("file", True, why=None, reviewer="r3"),
    )
    assert await sent_back(transactions, ["a", "b"], 9) == [], "nobody who still works in the queue"
    await store(transactions, labelled("b", False, reviewer="r2", adjudicated=False))
    assert await sent_back(transactions, ["a", "b"], 9) == ["a"], "two people have judged the other one"


async def test_nothing_is_asked_if_the_run_is_not_stored(transactions: Transactions) -> None:
    await store(transactions, labelled("a", True), labelled("b", True, reviewer="r2"))
    run_id = await Runs(transactions.database).request("manual", NOW)

    async def fails_at_the_end() -> None:
        async with transactions.begin() as work:
            assert await ask(work, run_id, [Doubt("forum", "a", 1, "spam", True, 0.01)], 9) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fails_at_the_end()
    assert await asked(transactions) == []
    assert await sent_back(transactions, ["a"], 9) == ["a"]


@pytest.mark.parametrize("first", [True, False])
async def test_the_newest_answer_counts_in_both_directions(transactions: Transactions, first: bool) -> None:
    again: dict[str, Any] = {"why": Why.SECOND_LOOK, "reviewer": "r2"}
    await store(transactions, labelled("a", first), labelled("a", not first, labelled_at=NOW + MINUTE, **again))
    assert await judged(transactions) == {"a": {"spam": not first}}
    await store(
        transactions,
        labelled("a", first),
        labelled("b", first, labelled_at=NOW - MINUTE, **again),
        labelled("b", not first),
    )
    assert (await judged(transactions)) == {"a": {"spam": not first}, "b": {"spam": not first}}, (
        "newest, not last to come"
    )


async def test_items_of_the_queue_are_told_from_all_others(transactions: Transactions) -> None:
    await store(
        transactions,
        labelled("queue", True),
        labelled("audit", True, why=Why.AUDIT),
        labelled("file", True, why=None),
        labelled("foreign", True, label_id=UUID(int=7)),
        labelled("corrected", True),
        labelled("corrected", False, why=None, labelled_at=NOW + MINUTE),
        labelled("looked", True),
        labelled("looked", True, why=Why.SECOND_LOOK, reviewer="r2", labelled_at=NOW + MINUTE),
        labelled("both", True),
        labelled("both", True, reviewer="r2"),
    )
    rows = await load_judged(transactions.database.pool, 99)
    assert [row.text for row in rows if row.item] == ["queue"]
    assert {row.item for row in rows} == {None, ("forum", "queue", 1)}
