"""What a side that is off still needs, and about when it has it at the judgements of the last week. Pure.

A forecast, not a promise: it takes the share of errors found so far for the true one.
"""

import math

from secondlook.common.bundle.sequential import least
from secondlook.common.bundle.sides import APPROVE
from secondlook.common.contract.policy import Risk
from secondlook.trainer.evidence.certify import SideOff

LESS = 0.9  # of the risk: where more is wrong, certifying takes too many items


def outlook(off: SideOff, risk: Risk, a_week: float, *, of: int) -> str:
    """What to wait for, in words. `of` judgements held the evidence, and `a_week` more come in a week."""
    known = off.evidence
    if known is None:
        return "judgements of what it would decide are missing"
    if known.wrong and 2 * known.waiting > known.wrong:
        return f"{known.waiting:,} items wait for a person, and count as wrong until then"
    more = needed(off, risk, of=of)
    if more is None:
        return "more judgements alone will not do: it takes a model that is wrong less often"
    return f"about {more:,} more judgements, {when(more, a_week)}" if more else "judgements that stay as good"


def needed(off: SideOff, risk: Risk, *, of: int) -> int | None:
    """About how many more judgements of the queue certify the side; None if more of them alone will not."""
    known = off.evidence
    if known is None:
        return None
    epsilon, rate = risk.approve if off.side == APPROVE else risk.reject, known.wrong / known.n
    wanted = least(rate, epsilon, off.delta) if rate <= LESS * epsilon else None
    if wanted is None:
        return None
    return math.ceil(max(wanted - known.n, 0) * max(of / known.n, 1.0))


def when(more: int, a_week: float) -> str:
    """In about how long so many judgements come."""
    if a_week <= 0:
        return "and none came in the last week"
    days = 7 * more / a_week
    unit, length = next(((u, n) for u, n in (("year", 365), ("month", 30), ("week", 7)) if days >= 2 * n), ("day", 1))
    count = max(1, round(days / length))
    return f"in about {count:,} {unit}{'s' * (count > 1)} at last week's pace ({a_week:,.0f} a week)"
