"""How many items a reviewer may still lease, and when they gave back too many."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.contract.policy import ReviewPolicy
from secondlook.common.errors import Conflict
from secondlook.reviewer_api.leases.hand import Hand, ensure_judges, ensure_room
from secondlook.reviewer_api.leases.people import People


@given(live=st.integers(0, 200), cap=st.integers(1, 100))
def test_leases_and_room_add_up_to_the_cap(live: int, cap: int) -> None:
    hand, limits = Hand(live, 0, 0), ReviewPolicy(max_leases=cap)
    if live < cap:
        assert live + ensure_room(hand, limits) == cap
    else:
        with pytest.raises(Conflict) as conflict:
            ensure_room(hand, limits)
        assert conflict.value.code == "too_many_leases"
        assert f"{live} items" in str(conflict.value)


@pytest.mark.parametrize(
    ("returned", "judged", "allowed", "refused"),
    [
        (0, 0, 0, False),
        (1, 0, 0, True),
        (1, 1, 0, False),
        (100, 0, 100, False),
        (101, 0, 100, True),
        (151, 51, 100, False),
    ],
)
def test_who_judges_may_give_back_more(returned: int, judged: int, allowed: int, refused: bool) -> None:
    hand, limits = Hand(0, returned, judged), ReviewPolicy(max_returns=allowed)
    if not refused:
        ensure_judges(hand, limits)
        return
    with pytest.raises(Conflict) as conflict:
        ensure_judges(hand, limits)
    assert conflict.value.code == "too_many_returns"


@pytest.mark.parametrize(
    ("reviewers", "leads", "wanted"),
    [("abl", "l", ["a", "b"]), ("l", "l", ["l"]), ("lm", "lm", ["l", "m"]), ("", "", [])],
)
def test_queues_are_the_work_of_who_is_no_lead_if_there_is_such(reviewers: str, leads: str, wanted: list[str]) -> None:
    assert People(frozenset(reviewers), frozenset(leads)).wanted() == wanted
