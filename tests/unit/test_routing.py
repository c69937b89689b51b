"""Routing, by property: nothing broken is decided automatically, and the audit coin sees the item only."""

import math
from datetime import UTC, datetime
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.contract.events import ContentSubmitted, Why
from secondlook.common.contract.policy import Audit, LabelPolicy, Override, Policy, QueuePolicy, Thresholds
from secondlook.common.text.scope import Scope
from secondlook.router.routing import Routing, route

LABELS = ("hate", "spam", "violence")
QUEUES = {"default": QueuePolicy(), "leads": QueuePolicy(role="lead"), "fast": QueuePolicy(sla_minutes=5)}
SURE = Thresholds(approve=1.0, reject=dict.fromkeys(LABELS, 0.0))  # decides everything, if anything is decided

shares = st.floats(0, 1)
coins = st.floats(0, 1, exclude_max=True)
modes: st.SearchStrategy[Literal["certified", "fixed"]] = st.sampled_from(["certified", "fixed"])
scores_of = st.fixed_dictionaries({label: shares for label in LABELS})
thresholds_of = st.builds(
    Thresholds,
    approve=st.none() | shares,
    reject=st.dictionaries(st.sampled_from(LABELS), shares),
)
audits = st.builds(Audit, certify=shares, approve=shares, reject=shares, most=shares)
contents = st.builds(
    lambda number, reports, kind: submitted(f"c{number}", reports=reports, kind=kind),
    st.integers(0, 10**9), st.integers(0, 50), st.sampled_from(["text", "name"]),
)  # fmt: skip


def submitted(content_id: str = "c", revision: int = 1, **more: Any) -> ContentSubmitted:
    created = datetime(2025, 1, 1, tzinfo=UTC)
    fields: dict[str, Any] = {"source": "forum", "text": "some text", "created_at": created, **more}
    return ContentSubmitted(content_id=content_id, revision=revision, **fields)


def policy_with(**more: Any) -> Policy:
    labels = {label: LabelPolicy(description=label, severity=number + 2) for number, label in enumerate(LABELS)}
    return Policy(name="test", labels=labels, queues=QUEUES, **more)


def in_review(routing: Routing, why: Why) -> bool:
    return (routing.outcome, routing.route, routing.why) == (None, "review", why)


broken: st.SearchStrategy[dict[str, float] | None] = st.one_of(
    st.none(),
    st.just({}),
    st.tuples(scores_of, st.sampled_from(LABELS)).map(lambda s: {k: v for k, v in s[0].items() if k != s[1]}),
    st.tuples(scores_of, st.sampled_from(LABELS), st.sampled_from([math.nan, math.inf, -math.inf, -0.01, 1.01])).map(
        lambda s: {**s[0], s[1]: s[2]}
    ),
)


@given(contents, broken, audits)
def test_missing_or_impossible_scores_lead_to_review(
    content: ContentSubmitted, scores: dict[str, float] | None, audit: Audit
) -> None:
    assert in_review(route(content, scores, SURE, policy_with(audit=audit), u=0.5), Why.NO_BUNDLE)


@given(contents, scores_of)
def test_without_a_policy_everything_is_reviewed(content: ContentSubmitted, scores: dict[str, float]) -> None:
    routing = route(content, scores, SURE, None, u=0.5)
    assert in_review(routing, Why.NO_BUNDLE)
    assert (routing.coin.inclusion_probability, routing.coin.stratum) == (1, "no_bundle")


@given(contents, scores_of | broken, audits)
def test_the_kill_switch_stops_every_automatic_decision(
    content: ContentSubmitted, scores: dict[str, float] | None, audit: Audit
) -> None:
    assert in_review(route(content, scores, SURE, policy_with(kill_switch=True, audit=audit), u=0.5), Why.KILL_SWITCH)


@given(contents, scores_of)
def test_an_override_reviews_all_of_what_it_matches_and_nothing_else(
    content: ContentSubmitted, scores: dict[str, float]
) -> None:
    policy = policy_with(overrides=(Override(kind="name", review_all=True, queue="fast"),), audit=Audit(certify=0))
    routing = route(content, scores, SURE, policy, u=0.5)
    assert in_review(routing, Why.UNCERTAIN) is (content.kind == "name")
    assert routing.queue == ("fast" if content.kind == "name" else "default")


@given(contents, scores_of, audits)
def test_a_side_without_a_threshold_is_off(content: ContentSubmitted, scores: dict[str, float], audit: Audit) -> None:
    policy = policy_with(audit=audit)
    assert in_review(route(content, scores, Thresholds(), policy, u=0.5), Why.UNCERTAIN)
    assert route(content, scores, Thresholds(approve=1.0), policy, u=0.5).outcome == "approve"
    assert route(content, scores, Thresholds(reject={"spam": 0.0}), policy, u=0.5).labels == ("spam",)


@given(contents, scores_of, thresholds_of, audits)
def test_reject_comes_before_approve_and_needs_its_threshold(
    content: ContentSubmitted, scores: dict[str, float], thresholds: Thresholds, audit: Audit
) -> None:
    policy = policy_with(audit=audit)
    routing = route(content, scores, thresholds, policy, u=0.5)
    over = sorted(label for label, least in thresholds.reject.items() if scores[label] >= least)
    highest = max(scores.values())
    if over:
        assert (routing.outcome, list(routing.labels)) == ("reject", over)
        assert routing.confidence == max(scores[label] for label in over)
        assert routing.action == policy.action_for(tuple(over)) == "remove"
    elif thresholds.approve is not None and highest <= thresholds.approve:
        assert (routing.outcome, routing.labels, routing.action) == ("approve", (), "allow")
        assert routing.confidence == 1 - highest
    else:
        assert in_review(routing, Why.UNCERTAIN)


@given(contents, scores_of, thresholds_of, st.floats(allow_nan=True), shares)
def test_labels_outside_the_policy_do_not_count(
    content: ContentSubmitted, scores: dict[str, float], thresholds: Thresholds, stray: float, least: float
) -> None:
    wider = Thresholds(approve=thresholds.approve, reject={**thresholds.reject, "gone": least})
    routing = route(content, {**scores, "gone": stray}, wider, policy_with(), u=0.5)
    assert routing == route(content, scores, thresholds, policy_with(), u=0.5)


@given(contents, scores_of | broken, thresholds_of, audits, modes, st.booleans(), coins, st.booleans())
def test_the_coin_decides_audits_with_the_stated_probability(
    content: ContentSubmitted,
    scores: dict[str, float] | None,
    thresholds: Thresholds,
    audit: Audit,
    mode: Literal["certified", "fixed"],
    kill: bool,
    drawn: float,
    near: bool,
) -> None:
    """A policy in mode certified first audits as much as it allows, `audit.most`, and never less than it asks for."""
    u = min(audit.most / 2, math.nextafter(1, 0)) if near else drawn
    overrides = (Override(kind="name", review_all=True),)
    policy = policy_with(audit=audit, mode=mode, kill_switch=kill, overrides=overrides)
    routing = route(content, scores, thresholds, policy, u=u)
    assert routing.coin.u == u
    assert (routing.coin.stratum == "uniform") is (u < audit.certify)
    if routing.outcome is None:
        assert routing.coin.inclusion_probability == 1
        return
    share = max(audit.certify, audit.approve if routing.outcome == "approve" else audit.reject)
    share = max(share, audit.most) if mode == "certified" else share
    assert (routing.why is Why.AUDIT) is (u < share)
    assert routing.why in (None, Why.AUDIT)
    if routing.why is Why.AUDIT:
        assert routing.coin.inclusion_probability == share
        assert routing.coin.stratum in ("uniform", f"audit_{routing.outcome}")


@given(contents, scores_of, st.sampled_from(["", "fast"]))
def test_an_audit_is_placed_like_the_same_item_in_review(
    content: ContentSubmitted, scores: dict[str, float], queue: str
) -> None:
    overrides = (Override(source="forum", queue=queue),) if queue else ()
    policy = policy_with(audit=Audit(certify=1), overrides=overrides)
    review = route(content, scores, Thresholds(), policy, u=0.5)
    for thresholds in (Thresholds(approve=1), SURE):
        audit = route(content, scores, thresholds, policy, u=0.5)
        assert audit.why is Why.AUDIT
        assert (audit.queue, audit.priority, audit.coin) == (review.queue, review.priority, review.coin)


@given(contents, st.none() | scores_of, thresholds_of, audits)
def test_routing_is_a_function_of_its_arguments(
    content: ContentSubmitted, scores: dict[str, float] | None, thresholds: Thresholds, audit: Audit
) -> None:
    policy = policy_with(audit=audit)
    backwards = dict(reversed(scores.items())) if scores else scores
    assert route(content, scores, thresholds, policy, u=0.5) == route(content, backwards, thresholds, policy, u=0.5)


@given(contents, scores_of, thresholds_of)
def test_a_text_that_was_not_read_whole_may_be_rejected_but_never_approved(
    content: ContentSubmitted, scores: dict[str, float], thresholds: Thresholds
) -> None:
    whole = route(content, scores, thresholds, policy_with(), u=0.5)
    part = route(content, scores, thresholds, policy_with(), u=0.5, scope=Scope.LONG)
    assert part.outcome == ("reject" if whole.outcome == "reject" else None)


@pytest.mark.parametrize(("tag", "queue"), [(None, "fast"), ("und", "fast"), ("UND-Latn", "fast"), ("en", "default")])
def test_an_override_knows_the_language_of_content_that_nobody_told(tag: str | None, queue: str) -> None:
    policy = policy_with(overrides=(Override(language="de", queue="fast"),))
    german = submitted(text="Ich habe das Buch gestern in der Stadt gekauft und es ist sehr gut", language=tag)
    assert route(german, {}, SURE, policy, u=0.5).queue == queue
