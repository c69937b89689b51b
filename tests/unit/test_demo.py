"""The demo's reviewers know the answers to the demo's own content, and claim from its queue alone."""

from datetime import UTC, datetime
from importlib.resources import files

from secondlook.cli.local.demo import QUEUE, SOURCE, _samples, with_demo_queue
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.policy import Override, Policy, QueuePolicy
from secondlook.common.contract.policy_yaml import parse_policy

STARTER = parse_policy((files("secondlook.cli") / "starter.yaml").read_text(encoding="utf-8"))


def test_only_the_demos_source_goes_to_its_queue() -> None:
    policy = with_demo_queue(STARTER)
    demo, other = policy.override_for(SOURCE, "comment"), policy.override_for("forum", "comment")
    assert demo is not None
    assert demo.queue == QUEUE
    assert other is None
    assert Policy.model_validate(policy.model_dump()) == policy
    assert with_demo_queue(policy) == policy


def test_a_policy_of_ones_own_keeps_everything_it_says() -> None:
    mine = STARTER.model_copy(
        update={"queues": {**STARTER.queues, QUEUE: QueuePolicy(sla_minutes=5)},
                "overrides": (Override(kind="comment", queue="leads"),)},
    )  # fmt: skip
    policy = with_demo_queue(mine)
    assert policy.queues == mine.queues
    assert policy.override_for("forum", "comment") == mine.overrides[0]
    found = policy.override_for(SOURCE, "comment")
    assert found is not None
    assert found.queue == QUEUE


def test_every_sample_is_recognised_as_it_comes_back() -> None:
    for sample in _samples():
        content = ContentSubmitted(
            source=SOURCE, content_id="1", revision=1, text=sample["text"], created_at=datetime.now(UTC)
        )
        assert content.text == sample["text"]
