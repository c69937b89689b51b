"""What a replayed deployment of `bench.loop` came to, held against the majority and against single answers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.loop_data import wrong
from bench.loop_replay import Loop
from bench.loop_steps import Decided, Event, Step
from secondlook.common.bundle.arrays import Array
from secondlook.common.bundle.sides import APPROVE
from secondlook.common.contract.policy import Risk

GRID = 60  # points of a curve
WINDOW = 300  # items over which the load of reviewers is looked at
LOUD = 4.0  # standard errors above what it was before: then it has risen
STRATEGIES: dict[str, Callable[[Step], Decided]] = {
    "": lambda step: step.loop,
    "_fixed": lambda step: step.fixed,
    "_automatic": lambda step: step.automatic,
}


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """`figures` by name; `curves` by name, [GRID], over the stream."""

    figures: dict[str, float]
    curves: dict[str, Array]


def measure(loop: Loop) -> Measured:
    """A deployment in steady traffic: what was reviewed, and how often automatic decisions were wrong."""
    steps = loop.steps
    figures: dict[str, float] = {}
    curves: dict[str, Array] = {}
    for suffix, of in STRATEGIES.items():
        reviewed = np.array([of(step).reviewed for step in steps])
        automatic = np.array([of(step).outcome is not None for step in steps])
        mistaken = np.array([of(step).wrong(step.row.truth) for step in steps])
        final = [of(step).wrong(step.row.truth) and not of(step).reviewed for step in steps]
        asked = [of(step).reviewed and _human(step) for step in steps]
        figures[f"reviews_share{suffix}"] = float(reviewed.mean())
        figures[f"auto_share{suffix}"] = float(automatic.mean())
        figures[f"auto_error{suffix}"] = _ratio(mistaken.sum(), automatic.sum())
        figures[f"final_error{suffix}"] = float(np.mean(np.logical_or(final, asked)))
        figures |= _sides(steps, of, suffix)
        curves[f"reviews{suffix}"] = _recent(reviewed)
        curves[f"error{suffix}"] = _so_far(mistaken, automatic)
    figures["error_human"] = float(np.mean([_human(step) for step in steps]))
    figures["target"] = _target(steps, loop.policy.risk)
    figures["shares"] = max(loop.ledger.shares.values(), default=0)
    figures["promoted"] = sum(event.what == "promoted" for event in loop.events)
    figures["alarms"] = sum(event.what == "alarm" for event in loop.events)
    figures["noticed_without_harm"] = notice(loop, len(steps) // 2)[0] is not None
    figures["first_automatic_item"] = _first(np.array([step.loop.outcome is not None for step in steps]))
    return Measured(figures, curves)


def measure_new_harm(loop: Loop, onset: int) -> Measured:
    """A deployment in which a new kind of harm arrives after `onset` items: when it was noticed, what came through."""
    later = loop.steps[onset:]
    noticed, how = notice(loop, onset)
    until = noticed if noticed is not None else len(later)
    arrived = np.array([step.row.new for step in later])
    figures: dict[str, float] = {
        "notice_items": until,
        "noticed": noticed is not None,
        **{f"noticed_by_{name}": how == name for name in ("alarm", "certification", "load")},
        "approving_at_onset": loop.steps[onset - 1].approves,
        "harm_arrived": float(arrived[:until].sum()),
        "harm_arrived_total": float(arrived.sum()),
    }
    curves = {}
    for suffix, of in STRATEGIES.items():
        through = np.array([step.row.new and of(step).outcome == "approve" for step in later])
        figures[f"harm_let_through{suffix}"] = float(through[:until].sum())
        figures[f"harm_let_through_total{suffix}"] = float(through.sum())
        curves[f"through{suffix}"] = np.cumsum(through)[_grid(len(later))].astype(np.float64)
    return Measured(figures, curves)


def notice(loop: Loop, onset: int) -> tuple[int | None, str]:
    """(items after `onset`, how) until the deployment shows that something changed; None if it does not.

    By `alarm`: audits switch approval off. By `certification`: a new model or attempt leaves it off. By `load`: of the
    last WINDOW items more went to reviewers than before, by LOUD standard errors.
    """
    approving = [step.approves for step in loop.steps]
    found = [
        *((event.items - onset, "alarm") for event in loop.events if _stops_approval(event) and event.items > onset),
        *((at - onset, "certification") for at in range(onset, len(approving)) if approving[at - 1] > approving[at]),
    ]
    reviewed = np.array([step.loop.reviewed for step in loop.steps], np.float64)
    usual = reviewed[max(0, onset - 2 * WINDOW) : onset].mean()
    loud = usual + LOUD * math.sqrt(usual * (1 - usual) / WINDOW)
    since = np.convolve(reviewed[onset:], np.full(WINDOW, 1 / WINDOW), mode="valid")
    over = np.flatnonzero(since > loud)
    if len(over):
        found.append((int(over[0]) + WINDOW, "load"))
    return min(found, default=(None, ""), key=lambda each: (each[0], each[1]))


def _stops_approval(event: Event) -> bool:
    return event.what == "alarm" and event.side == APPROVE


def _sides(steps: Sequence[Step], of: Callable[[Step], Decided], suffix: str) -> dict[str, float]:
    """Errors by outcome: against the majority, and as a person who judged the item would say."""
    figures = {}
    for outcome in ("approve", "reject"):
        decided = [(step.row, of(step)) for step in steps if of(step).outcome == outcome]
        mistaken = sum(done.wrong(row.truth) for row, done in decided)
        answers = sum(sum(done.wrong(vote) for vote in row.votes) / len(row.votes) for row, done in decided)
        figures[f"{outcome}_share{suffix}"] = len(decided) / len(steps)
        figures[f"auto_error_{outcome}{suffix}"] = _ratio(mistaken, len(decided))
        figures[f"auto_error_{outcome}_by_answers{suffix}"] = _ratio(answers, len(decided))
    return figures


def _human(step: Step) -> bool:
    """Whether the reviewer's own answer is wrong, as a decision."""
    said = tuple(label for label, there in step.answer.items() if there)
    return wrong("reject" if said else "approve", said, step.row.truth)


def _target(steps: Sequence[Step], risk: Risk) -> float:
    """What the policy allows for the mix of approvals and rejections that were made."""
    allowed = [risk.approve if step.loop.outcome == "approve" else risk.reject for step in steps if step.loop.outcome]
    return _ratio(sum(allowed), len(allowed))


def _ratio(part: float, whole: float) -> float:
    return float(part / whole) if whole else math.nan


def _first(flags: NDArray[np.bool_]) -> float:
    return float(np.argmax(flags)) if flags.any() else math.nan


def _grid(n: int) -> NDArray[np.int64]:
    return np.linspace(n / GRID, n, GRID).astype(np.int64) - 1


def _recent(flags: NDArray[np.bool_]) -> Array:
    """The share among the last twentieth of the stream, along it."""
    sums = np.concatenate([[0], np.cumsum(flags)])
    ends = _grid(len(flags)) + 1
    starts = np.maximum(ends - max(1, len(flags) // 20), 0)
    return np.asarray((sums[ends] - sums[starts]) / (ends - starts), np.float64)


def _so_far(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> Array:
    """The share from the beginning, along the stream; NaN before there is any."""
    parts, wholes = (np.cumsum(flags)[_grid(len(flags))].astype(np.float64) for flags in (part, whole))
    return np.asarray(np.divide(parts, wholes, out=np.full(GRID, np.nan), where=wholes > 0))
