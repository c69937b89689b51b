"""How fast callers may go, and that a router that is behind takes no more."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from secondlook.common.errors import TooFast
from secondlook.common.http.rates import MOST, CallerRates
from secondlook.common.service.permissions import Caller
from secondlook.router.ingest.pressure import BURST, Pressure

CALLER = Caller("service-1", frozenset())


@given(st.floats(0.1, 1000), st.lists(st.tuples(st.floats(0, 5), st.floats(1, 50)), max_size=60))
def test_nobody_gets_more_than_the_rate_and_one_burst(rate: float, asked: list[tuple[float, float]]) -> None:
    rates, now, got = CallerRates(rate, 50.0, "requests a second"), 0.0, 0.0
    for pause, tokens in asked:
        now += pause
        with suppress(TooFast):
            rates.take("a", now, tokens)
            got += tokens
    assert got <= 50.0 + rate * now + 1e-6


@given(st.floats(0.5, 100), st.floats(1, 50))
def test_after_the_wait_that_it_was_told_a_request_passes(rate: float, tokens: float) -> None:
    rates = CallerRates(rate, 50.0, "items a second")
    rates.take("a", 0.0, 50.0)
    with pytest.raises(TooFast) as refused:
        rates.take("a", 0.0, tokens)
    rates.take("a", float(refused.value.seconds), tokens)


def test_more_than_a_burst_waits_for_a_full_bucket_and_then_passes() -> None:
    rates = CallerRates(10, 50.0, "items a second")
    rates.take("a", 0.0, 500.0)
    with pytest.raises(TooFast):
        rates.take("a", 40.0, 1.0)
    rates.take("a", 46.0, 1.0)


def test_no_rate_is_no_limit_and_strangers_cost_bounded_memory() -> None:
    free = CallerRates(0, 1.0, "requests a second")
    for _ in range(10_000):
        free.take("a", 0.0)
    strict = CallerRates(1, 1.0, "requests a second")
    for number in range(2 * MOST):
        strict.take(f"caller-{number}", 0.0)
    assert len(strict._buckets) == MOST


def test_a_router_that_is_behind_takes_no_more_until_it_has_caught_up() -> None:
    pressure = Pressure(most=100)
    pressure.admit(CALLER, 10_000)
    pressure.measured(99)
    pressure.admit(CALLER)
    pressure.measured(100)
    with pytest.raises(TooFast, match="100 records wait") as refused:
        pressure.admit(CALLER)
    assert (refused.value.code, refused.value.seconds) == ("behind", 5)
    pressure.measured(0)
    pressure.admit(CALLER)
    unbounded = Pressure()
    unbounded.measured(10**9)
    unbounded.admit(CALLER)


def test_a_whole_batch_passes_at_once_whatever_the_rate() -> None:
    pressure = Pressure(per_second=1.0)
    pressure.admit(CALLER, BURST)
    with pytest.raises(TooFast):
        pressure.admit(CALLER, 1)
