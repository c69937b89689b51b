"""A reviewer who notes everything that the API tells, and learns from it, cannot tell audits from other items."""

from collections import Counter

import pytest

from bench.telling_audits import attack, best
from bench.telling_world import run
from secondlook.common.contract.events import Why

ENOUGH = 50  # of each kind


@pytest.mark.slow
async def test_the_best_attacker_is_no_better_than_chance(database_url: str) -> None:
    """`bench/telling_audits.py` does the same with thousands of items, and bounds what is left."""
    marks, why = await run(database_url, 480, seed=2)
    among = [number for number, each in enumerate(why) if each in (Why.AUDIT, Why.UNCERTAIN)]
    told, rows = [why[number] == Why.AUDIT for number in among], [marks[number] for number in among]
    assert min(Counter(told).values()) >= ENOUGH
    _, auc, _ = best(attack(rows, told), told)
    # Four standard errors of an AUC at chance (Hanley and McNeil 1982).
    audits, others = sum(told), len(told) - sum(told)
    assert auc < 0.5 + 4 * ((audits + others + 1) / (12 * audits * others)) ** 0.5

    # What depends on no time, turn or text is the same for all kinds; the spy's own decisions grow in number.
    varies = (
        "seconds", "bit", "coin", "later", "earlier", "latest", "earliest", "turn", "place", "time of", "age",
        "claimed with", "size", "reports", "text", "confidence",
    )  # fmt: skip
    same = {name for name in rows[0] if not any(word in name for word in varies)}
    assert {name: {row[name] for row in marks} for name in same if len({row[name] for row in marks}) > 1} == {}

    # An id that gives two of three audits away is found.
    for number, (row, audit) in enumerate(zip(rows, told, strict=True)):
        row["id of audit"] = audit and number % 3 > 0
    assert best(attack(rows, told), told)[1] > 0.7
