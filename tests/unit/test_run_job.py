"""What the trainer and a training process say to each other, and the state that a run ends in."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from secondlook.common.bundle.manifest import LabelMetrics
from secondlook.common.bundle.sides import APPROVE, reject
from secondlook.common.contract.policy import LabelPolicy, Policy, Thresholds
from secondlook.common.contract.quality import FrontierPoint, MeasuredEvidence
from secondlook.trainer.data.second_looks import Doubt
from secondlook.trainer.evidence.findings import Findings, SideFinding
from secondlook.trainer.loop import end_state
from secondlook.trainer.run.job import (
    Failed,
    Job,
    Progress,
    Recertified,
    Refused,
    RunOutcome,
    StoredBundle,
    Trained,
    Waiting,
    parse_answer,
)
from secondlook.trainer.run.process import carry_out
from secondlook.trainer.runs import ENDED, RunState

POLICY = Policy(
    name="spam",
    mode="fixed",
    labels={"spam": LabelPolicy(description="Unasked-for advertising")},
    thresholds=Thresholds(approve=0.1, reject={"spam": 0.9}),
)
BUNDLE = StoredBundle(
    bundle_version="b1", uri="file:///b1", sha256="0" * 64, labels=("spam",),
    metrics={"spam": LabelMetrics(n=10, positives=3, auprc=0.9)}, created_at=datetime(2026, 1, 1, tzinfo=UTC),
    weights="b1", encoder_sha256="1" * 64,
)  # fmt: skip
EVIDENCE = MeasuredEvidence(
    threshold=0.1, wrong=1, n=8, judged=9, waiting=1, missing=2, declared=0, worst=0.25, bound=0.4
)
TRAINED = Trained(
    bundle=BUNDLE, promote=True, reasons=("better",),
    findings=Findings(
        items=3, sides=(SideFinding(side="approve", evidence=EVIDENCE, reason="too few", outlook="more", needed=7),),
        frontier=(FrontierPoint(factor=1.0, approve=0.01, reject=0.03, automated=0.5, reviews_a_day=70.0),),
    ),
    doubts=(Doubt("forum", "c1", 1, "spam", True, 0.01),),
)  # fmt: skip
RECERTIFIED = Recertified(
    bundle=BUNDLE, replaces="b0", weights="b0", reasons=(), findings=Findings(), certified_again=(APPROVE,)
)


@pytest.mark.parametrize(
    "answer",
    [
        Progress(words="fitting\n1 label"), TRAINED, TRAINED.model_copy(update={"promote": False, "waits": True}),
        RECERTIFIED, RECERTIFIED.model_copy(update={"bundle": None}), RECERTIFIED.model_copy(update={"follows": True}),
        Refused(why="there are no labels"), Failed(why="the disk is full"), Failed(why="killed", killed=True),
    ],
)  # fmt: skip
def test_an_answer_is_one_line_and_comes_back_as_it_was(answer: Progress | RunOutcome) -> None:
    line = answer.to_line()
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert parse_answer(line) == answer


def test_a_job_comes_back_as_it_was() -> None:
    job = Job(
        kind="certify", policy=POLICY, policy_version=3, label_mark=7, active_uri="file:///b0", active_sha256="0" * 64,
        weights="b0", asked_mark=9, fitted_mark=5, learned_mark=4, off=(reject("spam"),), run_id=UUID(int=1),
        waiting=Waiting(uri="file:///b1", sha256="1" * 64, weights="b1", fitted_mark=8, learned_mark=6),
        mode="finetune", judged_a_week=12.5,
    )  # fmt: skip
    assert Job.model_validate_json(job.to_line()) == job


async def test_a_training_process_that_cannot_be_started_is_a_failed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/nowhere/python")

    async def ignore(words: str) -> None:
        pass

    outcome = await carry_out(Job(kind="train", policy=POLICY, policy_version=1, label_mark=0), ignore)
    assert isinstance(outcome, Failed)
    assert outcome.why.startswith("the training process cannot be started: ")
    assert not outcome.killed


@pytest.mark.parametrize(
    "line",
    [
        b"Traceback (most recent call last):\n", b"{}\n", b'{"kind":"promoted"}\n', b'{"kind":"refused"}\n',
        b'{"kind":"failed","why":"x","more":1}\n',
    ],
)  # fmt: skip
def test_what_is_no_answer_is_not_taken_for_one(line: bytes) -> None:
    with pytest.raises(ValidationError):
        parse_answer(line)


def test_every_outcome_ends_a_run() -> None:
    ends = {
        end_state(outcome)
        for outcome in (TRAINED, TRAINED.model_copy(update={"promote": False}), Refused(why=""), Failed(why=""))
    }
    assert ends == ENDED
    assert end_state(TRAINED) is end_state(RECERTIFIED) is RunState.PROMOTED
    assert end_state(RECERTIFIED.model_copy(update={"bundle": None})) is RunState.KEPT
    waits = TRAINED.model_copy(update={"promote": False, "waits": True})
    assert end_state(waits) is RunState.KEPT, "a challenger that lacks evidence is in no stage that decides"


def test_findings_say_why_a_side_is_off_and_survive_fields_of_a_later_version() -> None:
    certified = SideFinding(side="reject spam", evidence=EVIDENCE)
    found = Findings(items=3, sides=(*TRAINED.findings.sides, certified))
    assert found.off == ("approve: too few; more",), "a certified side is not among them"
    later = {**found.model_dump(mode="json"), "of": "tomorrow"}
    later["sides"][0]["of"] = "tomorrow"
    assert Findings.model_validate(later) == found
