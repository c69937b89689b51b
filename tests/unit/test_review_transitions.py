"""Every state and every action, without a database: what is allowed, what follows, and what a loser is told."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.errors import Conflict, Forbidden
from secondlook.common.service.permissions import ROLES, Caller
from secondlook.reviewer_api.leases.hand import LeaseEnd
from secondlook.reviewer_api.review import tasks
from secondlook.reviewer_api.review.tasks import Judgement, State, Task, Verdict, VerdictResult

NOW = datetime(2026, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(seconds=10)
TOKEN = uuid4()
ANN, BEN, LEAD = Caller("ann", ROLES["reviewer"]), Caller("ben", ROLES["reviewer"]), Caller("lea", ROLES["lead"])
SPAM, HATE, FINE = (Verdict("reject", frozenset({"spam"})), Verdict("reject", frozenset({"hate"})),
                    Verdict("approve", frozenset()))  # fmt: skip


def task(state: State, *, escalated: bool = False, excluded: tuple[str, ...] = ()) -> Task:
    held = state is not State.PENDING
    return Task(
        task_id=uuid4(), decision_id=uuid4(), state=state, routed_queue="default",
        queue="leads" if escalated else "default", escalated=escalated, available_at=NOW,
        lease_token=TOKEN if held else None, leased_by="ann" if held else None, excluded=excluded,
    )  # fmt: skip


def judgement(by: str, verdict: Verdict, result: VerdictResult, token: UUID | None = None) -> Judgement:
    return Judgement(lease_token=token or uuid4(), reviewer=by, verdict=verdict, result=result, undo_until=LATER)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (State.PENDING, "lease_lost"),
        (State.LEASED, None),
        (State.DECIDED, "already_decided"),
        (State.PUBLISHED, "already_decided"),
        (State.SUPERSEDED, "superseded"),
        (State.WITHDRAWN, "withdrawn"),
    ],
)
def test_only_a_held_task_can_be_worked_on(state: State, code: str | None) -> None:
    if code is None:
        tasks.ensure_held(task(state), TOKEN, ANN)
    else:
        with pytest.raises(Conflict) as conflict:
            tasks.ensure_held(task(state), TOKEN, ANN)
        assert conflict.value.code == code


@pytest.mark.parametrize(("token", "caller"), [(uuid4(), ANN), (TOKEN, BEN), (uuid4(), BEN)])
def test_a_lease_is_its_token_and_its_holder(token: UUID, caller: Caller) -> None:
    with pytest.raises(Conflict) as conflict:
        tasks.ensure_held(task(State.LEASED), token, caller)
    assert conflict.value.code == "lease_lost"


@pytest.mark.parametrize(
    ("verdict", "quorum", "escalated", "before", "result"),
    [
        (SPAM, 1, False, [], VerdictResult.DECIDED),
        (SPAM, 2, False, [], VerdictResult.SECOND_OPINION),
        (SPAM, 2, True, [], VerdictResult.DECIDED),
        (SPAM, 2, False, [SPAM], VerdictResult.DECIDED),
        (SPAM, 1, False, [SPAM], VerdictResult.DECIDED),
        (HATE, 1, False, [SPAM], VerdictResult.ESCALATED),
        (FINE, 1, False, [SPAM], VerdictResult.ESCALATED),
        (FINE, 1, True, [SPAM, HATE], VerdictResult.DECIDED),
    ],
)
def test_what_a_verdict_leads_to(
    verdict: Verdict, quorum: int, escalated: bool, before: list[Verdict], result: VerdictResult
) -> None:
    given = [judgement(f"r{n}", said, VerdictResult.SECOND_OPINION) for n, said in enumerate(before)]
    assert tasks.result_of(task(State.LEASED, escalated=escalated), given, verdict, quorum) is result


@pytest.mark.parametrize("ended", list(LeaseEnd))
@pytest.mark.parametrize("state", [State.PENDING, State.LEASED])
def test_who_lost_an_item_is_told_how(state: State, ended: LeaseEnd) -> None:
    with pytest.raises(Conflict) as conflict:
        tasks.ensure_held(task(state), uuid4(), ANN, ended)
    assert (conflict.value.code, str(conflict.value)) == ("lease_lost", tasks.LOST[ended])


MINUTES = st.integers(0, 300).map(lambda minutes: timedelta(minutes=minutes))


@given(since=st.none() | MINUTES, left=MINUTES, lease=MINUTES, longest=MINUTES)
def test_a_lease_is_renewed_for_so_long_and_never_shortened(
    since: timedelta | None, left: timedelta, lease: timedelta, longest: timedelta
) -> None:
    held_since = None if since is None else NOW - since
    held = replace(task(State.LEASED), available_at=NOW + left, held_since=held_since)
    if longest <= (since or timedelta()):
        with pytest.raises(Conflict) as conflict:
            tasks.renewed(held, NOW, lease, longest)
        assert conflict.value.code == "held_too_long"
    else:
        until = tasks.renewed(held, NOW, lease, longest).available_at
        assert until == max(NOW + left, min(NOW + lease, (held_since or NOW) + longest))


@pytest.mark.parametrize(
    ("excluded", "escalated", "leads", "is_excluded"),
    [
        ((), False, {"lea"}, False),
        (("ann",), False, {"lea"}, True),
        (("lea",), False, {"lea"}, True),
        (("lea",), True, {"lea"}, False),
        (("lea",), True, {"lea", "leo"}, True),
        (("lea", "leo", "ann"), True, {"lea", "leo"}, False),
        (("leo",), True, {"lea", "leo"}, False),
    ],
)
def test_an_escalated_item_excludes_leads_only_while_another_one_is_left(
    excluded: tuple[str, ...], escalated: bool, leads: set[str], is_excluded: bool
) -> None:
    name = "ann" if excluded[:1] == ("ann",) else "lea"
    held = task(State.PENDING, escalated=escalated, excluded=excluded)
    assert tasks.is_excluded(held, name, leads) is is_excluded


@pytest.mark.parametrize(
    ("state", "at", "code"),
    [
        (State.PENDING, NOW, None),
        (State.PENDING, LATER, "undo_open"),
        (State.LEASED, LATER, None),
        (State.DECIDED, NOW, "already_decided"),
        (State.PUBLISHED, NOW, "already_decided"),
        (State.SUPERSEDED, NOW, "superseded"),
        (State.WITHDRAWN, NOW, "withdrawn"),
    ],
)
def test_leads_take_and_give_what_is_open(state: State, at: datetime, code: str | None) -> None:
    held = replace(task(state), available_at=at)
    try:
        tasks.ensure_takeable(held, NOW)
        found = None
    except Conflict as conflict:
        found = conflict.code
    assert found == code
    if state is State.LEASED:
        assert tasks.taken_back(held, NOW) == tasks.freed(held, NOW)
        given = tasks.assigned(held, "ben", TOKEN, NOW, LATER)
        assert (given.leased_by, given.lease_token, given.available_at, given.held_since) == ("ben", TOKEN, LATER, NOW)
    elif code is None:
        with pytest.raises(Conflict, match="nobody holds"):
            tasks.taken_back(held, NOW)


def test_a_second_opinion_is_for_somebody_else_after_the_grace() -> None:
    after = tasks.judged(task(State.LEASED), judgement("ann", SPAM, VerdictResult.SECOND_OPINION, TOKEN), "leads")
    assert (after.state, after.queue, after.available_at, after.excluded) == (State.PENDING, "default", LATER, ("ann",))
    assert (after.lease_token, after.leased_by) == (None, None)


def test_a_disagreement_goes_to_the_escalation_queue() -> None:
    after = tasks.judged(task(State.LEASED), judgement("ann", SPAM, VerdictResult.ESCALATED, TOKEN), "leads")
    assert (after.state, after.queue, after.escalated, after.available_at) == (State.PENDING, "leads", True, LATER)


@given(result=st.sampled_from(VerdictResult), note=st.none() | st.text())
def test_undo_takes_back_all_that_a_judgement_did(result: VerdictResult, note: str | None) -> None:
    held = task(State.LEASED, escalated=False, excluded=("eve",))
    made = judgement("ann", replace(SPAM, note=note), result, TOKEN)
    after = tasks.undone(tasks.judged(held, made, "leads"), made, NOW)
    assert after == tasks.freed(held, NOW)


@pytest.mark.parametrize("state", [State.PENDING, State.LEASED, State.DECIDED, State.PUBLISHED])
@pytest.mark.parametrize("result", list(VerdictResult))
@pytest.mark.parametrize("now", [NOW, LATER])
def test_undo_is_possible_exactly_while_nothing_came_of_the_verdict(
    state: State, result: VerdictResult, now: datetime
) -> None:
    made = judgement("ann", SPAM, result)
    waits = State.DECIDED if result is VerdictResult.DECIDED else State.PENDING
    for caller in (ANN, LEAD):
        if state is waits and now < LATER:
            assert tasks.undoable(task(state), [made], caller, now) is made
        else:
            with pytest.raises(Conflict):
                tasks.undoable(task(state), [made], caller, now)
    with pytest.raises((Conflict, Forbidden)):
        tasks.undoable(task(state), [made], BEN, now)


def test_the_first_of_two_cannot_undo_the_second() -> None:
    first, second = judgement("ann", SPAM, VerdictResult.SECOND_OPINION), judgement("ben", SPAM, VerdictResult.DECIDED)
    with pytest.raises(Conflict) as conflict:
        tasks.undoable(task(State.DECIDED), [first, second], ANN, NOW)
    assert conflict.value.code == "second_opinion"
    assert tasks.undoable(task(State.DECIDED), [first, second], LEAD, NOW) is second


def test_the_same_call_is_recognised_by_token_reviewer_and_verdict() -> None:
    made = judgement("ann", SPAM, VerdictResult.DECIDED, TOKEN)
    decided = task(State.DECIDED)
    assert tasks.already_given(decided, [made], TOKEN, ANN, replace(SPAM, note="other")) is made
    assert tasks.already_given(decided, [made], uuid4(), ANN, SPAM) is None
    assert tasks.already_given(decided, [made], TOKEN, BEN, SPAM) is None
    with pytest.raises(Conflict):
        tasks.already_given(decided, [made], TOKEN, ANN, HATE)
