"""When the trainer trains."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from secondlook.trainer.schedule import Situation, due

NOW = datetime(2026, 1, 1, tzinfo=UTC)
SETTLED = Situation(
    policy_version=3,
    policy_labels=frozenset({"spam"}),
    active_labels=frozenset({"spam", "hate"}),
    new_labels=0,
    last_run_at=NOW - timedelta(hours=1),
    last_policy_version=3,
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, None),
        ({"policy_version": None, "new_labels": 999}, None),
        ({"new_labels": 99}, None),
        ({"new_labels": 100}, "labels"),
        ({"new_labels": 1, "last_run_at": NOW - timedelta(hours=24)}, "schedule"),
        ({"new_labels": 0, "last_run_at": NOW - timedelta(hours=99)}, None),
        ({"active_labels": None, "last_run_at": None, "last_policy_version": None}, "first"),
        ({"policy_labels": frozenset({"scam"}), "policy_version": 4}, "policy"),
        # Refused for this policy version already: the same labels are not tried again, new ones are.
        ({"policy_labels": frozenset({"scam"})}, None),
        ({"policy_labels": frozenset({"scam"}), "new_labels": 100}, "labels"),
        # A policy that the active bundle covers needs no run.
        ({"policy_version": 4}, None),
    ],
)
def test_due(change: dict[str, object], reason: str | None) -> None:
    situation = replace(SETTLED, **change)  # type: ignore[arg-type]
    assert due(NOW, situation, after_labels=100, after=timedelta(hours=24), certify_after=timedelta(hours=1)) == reason


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"judgements": 210}, "certify"),
        ({"judgements": 209}, None),
        ({"judgements": 1020, "looked_at": 1000}, None),  # 2 % of what there is
        ({"judgements": 1021, "looked_at": 1000}, "certify"),
        ({"judgements": 400, "last_look_at": NOW - timedelta(minutes=59)}, None),
        ({"judgements": 400, "last_look_at": NOW + timedelta(days=99)}, "certify"),  # the clock was set back
        ({"judgements": 400, "certifies": False}, None),
        ({"judgements": 400, "active_labels": frozenset({"hate"})}, None),
        ({"judgements": 400, "new_labels": 100}, "labels"),
        ({"new_labels": 799, "known_labels": 400}, None),
        ({"new_labels": 800, "known_labels": 400}, "labels"),
        ({"new_labels": 399, "known_labels": 400, "certifies": False}, "labels"),
        # After a day a quarter more labels will do; each model has a smaller share than those before.
        ({"new_labels": 99, "known_labels": 400, "last_run_at": NOW - timedelta(hours=24)}, None),
        ({"new_labels": 100, "known_labels": 400, "last_run_at": NOW - timedelta(hours=24)}, "schedule"),
        (
            {"new_labels": 1, "known_labels": 400, "last_run_at": NOW - timedelta(hours=24), "certifies": False},
            "schedule",
        ),
        ({"judgements": 10, "looked_at": 0, "last_look_at": None}, "certify"),
        ({"judgements": 9, "looked_at": 0, "last_look_at": None}, None),
    ],
)
def test_the_evidence_is_looked_at_as_judgements_come_in(change: dict[str, object], reason: str | None) -> None:
    hour = timedelta(hours=1)
    audited = replace(SETTLED, certifies=True, judgements=200, looked_at=200, last_look_at=NOW - hour)
    situation = replace(audited, **change)  # type: ignore[arg-type]
    assert due(NOW, situation, after_labels=100, after=timedelta(hours=24), certify_after=hour) == reason
