"""What a policy may say and its author probably did not mean, each with its place in the document."""

from importlib.resources import files

import pytest
from pydantic import BaseModel

from secondlook.cli.policy_cautions import cautions
from secondlook.common.contract.policy import LabelPolicy, Override, Policy, QueuePolicy, Thresholds
from secondlook.common.contract.policy_yaml import parse_policy, read_policy
from secondlook.common.contract.reports import ReportsPolicy

HEAD = "name: p\nlabels: {spam: {description: d}, hate: {description: d}}\n"
AUDITED = "audit: {certify: 0.02}\n"


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("mode: fixed\nthresholds: {approve: 0.2, reject: {spam: 0.9}}\n", []),
        ("mode: fixed\nthresholds: {approve: 0.5, reject: {spam: 0.51}}\n", []),
        ("mode: fixed\nthresholds: {approve: 0.51}\n", ["line 4, column 14: approve 0.51 is above 0.5"]),
        (
            "mode: fixed\nthresholds:\n  approve: 0.4\n  reject: {spam: 0.9, hate: 0.4}\n",
            ["line 6, column 23: reject hate 0.4 is below 0.5", "reject hate 0.4 is not above approve 0.4"],
        ),
        (
            "mode: fixed\nthresholds: {approve: 0.95, reject: {spam: 0.9}}\n",
            ["approve 0.95 is above 0.5", "reject spam 0.9 is not above approve 0.95"],
        ),
        ("risk: {approve: 0.3}\n", ["line 3, column 8: approve 0.3 allows one wrong decision in 3"]),
        ("kill_switch: true\n", ["line 3, column 1: the kill switch is on"]),
        ("overrides:\n  - {source: a}\n  - {source: a, kind: b}\n", ["line 5, column 5: override 2 never applies"]),
        ("overrides:\n  - {source: a, kind: b}\n  - {source: a}\n  - {kind: b}\n", []),
        ("overrides:\n  - {kind: b, review_all: true}\n  - {kind: b, queue: default}\n", ["override 2 never applies"]),
    ],
)
def test_cautions_name_the_place(rest: str, words: list[str]) -> None:
    found = cautions(read_policy(HEAD + rest + AUDITED))
    assert len(found) == len(words)
    assert all(wanted in caution for wanted, caution in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("rest", "words"),
    [
        ("audit: {hold_out: 0}\n", ["hold_out is 0"]),
        ("mode: fixed\nthresholds: {reject: {spam: 0.9}}\naudit: {certify: 0}\n", ["no automatic reject is audited"]),
        ("mode: fixed\nthresholds: {reject: {spam: 0.9}}\naudit: {certify: 0, reject: 0.1}\n", []),
        ("mode: fixed\naudit: {certify: 0}\n", []),
    ],
)
def test_a_policy_that_measures_nothing_is_remarked_on(rest: str, words: list[str]) -> None:
    found = cautions(read_policy(HEAD + rest))
    assert [wanted in caution for wanted, caution in zip(words, found, strict=True)] == [True] * len(words)


def test_a_reserved_label_is_named_with_its_place() -> None:
    text = read_policy("name: p\nlabels:\n  spam: {description: d}\n  review: {description: d}\n")
    with pytest.raises(Exception, match=r"^line 4, column 3: labels: review is reserved"):
        text.refuse_unpublishable()


def test_the_policy_to_start_from_shows_every_field_with_its_default() -> None:
    template = files("secondlook.cli").joinpath("policy.yaml").read_text(encoding="utf-8")
    text = read_policy(template)
    assert cautions(text) == []
    text.refuse_unpublishable()
    minimal = parse_policy("name: community rules\nlabels: {x: {description: d}}")
    defaults = minimal.model_dump(exclude={"name", "labels", "reports"})
    assert text.policy.model_dump(exclude={"name", "labels", "reports"}) == defaults
    assert text.policy.reports == ReportsPolicy(), "a new policy hears reports; one of before the section does not"
    assert text.policy.labels["harassment"].model_dump(exclude={"description"}) == LabelPolicy(
        description="d"
    ).model_dump(exclude={"description"})
    shown = {line.split(":")[0].strip(" -#") for line in template.splitlines() if ":" in line}
    models: list[type[BaseModel]] = [Policy, LabelPolicy, QueuePolicy, Override, Thresholds]
    models += [
        type(section) for name in Policy.model_fields if isinstance(section := getattr(minimal, name), BaseModel)
    ]
    wanted = {name for model in models for name in model.model_fields}
    assert wanted - shown == {"salt"}
