"""How much is audited: as much as the policy allows at first, less as content comes, never less than it asks for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.policy import Audit, LabelPolicy, Policy, Thresholds
from secondlook.router.coin.rates import Rates, audit_rates
from secondlook.router.routing import route
from tests.unit.test_certify import ITEM

shares = st.floats(0, 1)


def policy(**audit: float) -> Policy:
    return Policy(name="p", labels={"spam": LabelPolicy(description="d")}, audit=Audit(**audit))


@given(shares, shares, shares, shares, st.integers(0, 10**9), st.integers(0, 10**9))
def test_it_falls_with_the_content_between_what_the_policy_asks_and_allows(
    certify: float, approve: float, reject: float, most: float, items: int, more: int
) -> None:
    asked = policy(certify=certify, approve=approve, reject=reject, most=most)
    now, later = audit_rates(asked, items), audit_rates(asked, items + more)
    for rate, next_rate, least in zip(now, later, (approve, reject), strict=True):
        assert max(certify, least) <= next_rate <= rate <= max(certify, least, most)
    assert audit_rates(asked, items, raised=True) == audit_rates(asked, 0)
    fixed = asked.model_copy(update={"mode": "fixed"})
    assert audit_rates(fixed, items, raised=True) == Rates(max(certify, approve), max(certify, reject))


def test_it_falls_with_the_cube_root() -> None:
    asked = policy(certify=0.01, most=0.3)
    assert audit_rates(asked, 1_000).approve == pytest.approx(0.3)
    assert audit_rates(asked, 8_000).approve == pytest.approx(0.15)
    assert audit_rates(asked, 10**9).approve == 0.01


@pytest.mark.parametrize(
    ("thresholds", "judged"),
    [
        (Thresholds(), (1.0, 1.0)),
        (Thresholds(approve=0.2), (0.3, 1.0)),
        (Thresholds(reject={"spam": 0.9}), (1.0, 0.2)),
        (Thresholds(reject={"gone": 0.9}), (1.0, 1.0)),
        (Thresholds(approve=0.2, reject={"spam": 0.9}), (0.3, 0.2)),
        (Thresholds(approve=0.6), (0.3, 0.3)),
        (Thresholds(approve=0.1, reject={"spam": 0.4}), (0.2, 0.2)),
    ],
)
def test_a_request_says_what_people_judged_of_either_outcome(
    thresholds: Thresholds, judged: tuple[float, float]
) -> None:
    """Approvals lie below one half and rejections above, unless somebody sets thresholds by hand."""
    item: ContentSubmitted = ITEM
    for score in (0.05, 0.5, 0.95):
        routing = route(item, {"spam": score}, thresholds, policy(certify=0.02), u=0.01, rates=Rates(0.3, 0.2))
        assert (routing.coin.approve, routing.coin.reject) == judged
    stopped = policy(certify=0.02).model_copy(update={"kill_switch": True})
    assert route(item, {"spam": 0.05}, thresholds, stopped, u=0.01, rates=Rates(0.3, 0.2)).judged == (1.0, 1.0)


@pytest.mark.parametrize(("u", "asked"), [(0.01, True), (0.19, True), (0.21, False)])
def test_what_is_decided_is_audited_at_the_rate_of_its_outcome(u: float, asked: bool) -> None:
    thresholds = Thresholds(approve=0.2, reject={"spam": 0.9})
    routing = route(ITEM, {"spam": 0.95}, thresholds, policy(certify=0.02), u=u, rates=Rates(0.5, 0.2))
    assert (routing.outcome, routing.why is not None) == ("reject", asked)
    assert routing.inclusion_probability == 0.2
