"""What a side that is off still needs, and about when it has it at the traffic of the last week. Pure.

A forecast, not a promise: it takes the share of errors found so far for the true one.
"""

import math
from dataclasses import dataclass

from secondlook.common.bundle.certificates import upper_bound
from secondlook.trainer.evidence.certify import GROWTH, SideOff

MOST_ITEMS = 10_000_000  # more is never


@dataclass(frozen=True, slots=True)
class Supply:
    """The certify items that there are, and how many came in the last week."""

    items: int
    a_week: float


def missing(off: SideOff, supply: Supply, epsilon: float, delta: float) -> str:
    """What to wait for, in words; `delta` is the chance of error that the next attempt may spend on the side."""
    if off.tested is None:
        wanted: int | None = off.needed
    elif off.tested.k >= epsilon * off.tested.n:
        return "more items alone will not do: it takes a model that is wrong less often"
    else:
        wanted = enough(off.tested.k / off.tested.n, epsilon, delta)
    if not off.within or wanted is None:
        return "no item is in its reach yet" if not off.within else "more items alone will hardly do"
    share = off.within / max(supply.items, 1)  # of the certify items that come
    # An attempt is made when the items have doubled, and not before: each makes all later ones dearer.
    total = max(math.ceil(wanted / share), math.ceil(GROWTH * supply.items))
    more = total - supply.items
    return f"about {more:,} more certify items, {when(more, supply.a_week)}"


def enough(rate: float, epsilon: float, delta: float) -> int | None:
    """The fewest items that certify `epsilon` if a share `rate` of them is wrong; None if it takes MOST_ITEMS."""
    few, many = 1, 2
    while upper_bound(math.ceil(rate * many), many, delta) > epsilon:
        few, many = many, 2 * many
        if many > MOST_ITEMS:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        fits = upper_bound(math.ceil(rate * middle), middle, delta) <= epsilon
        few, many = (few, middle) if fits else (middle, many)
    return many


def when(more: int, a_week: float) -> str:
    """In about how long so many items come."""
    if a_week <= 0:
        return "and none came in the last week"
    days = 7 * more / a_week
    unit, length = next(((u, n) for u, n in (("year", 365), ("month", 30), ("week", 7)) if days >= 2 * n), ("day", 1))
    count = max(1, round(days / length))
    return f"in about {count:,} {unit}{'s' * (count > 1)} at last week's traffic ({a_week:,.0f} a week)"
