"""Which faults CI plays on a day."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from tests.faults.faults import FAULTS, of_the_day


@given(st.dates(max_value=date(9999, 12, 1)))
def test_a_day_has_three_faults_and_four_days_have_all(day: date) -> None:
    chosen = of_the_day(day)
    assert chosen == of_the_day(day)
    assert len(set(chosen)) == 3
    assert {name for ahead in range(4) for name in of_the_day(day + timedelta(ahead))} == set(FAULTS)
