"""How far ahead of its turn an item is reviewed. Pure.

A point is a minute: an item with 60 points is reviewed before one without any that came up to an hour earlier. So what
matters less waits longer, never forever. `bench/priority.py` shows what the weights below bring and cost.

The points depend on the item, its scores and the severities of the policy, never on thresholds or on the reason for the
review. What the coin drew stands where one of the last other items stands (`Places`): its own scores, or a fixed place,
would tell reviewers what it is, who see when an item came and in which order they get it. And because the place does
not depend on the item, those judged so far are a uniform sample, too.
"""

import math
from collections import deque
from collections.abc import Mapping

from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.contract.policy import LabelPolicy, Policy

HARM = 120  # points of certain harm of the highest severity
REPORTS = 60  # points of ENOUGH_REPORTS or more
DOUBT = 30  # points of a score of one half: what a judgement teaches the model
ENOUGH_REPORTS = 10
MAX_TENFOLDS = 6  # a million people or more
MAX_SEVERITY = 5
DRAWN = 60  # points of what the coin drew, as long as there is no other item to stand beside
KEPT = 256  # places of other items that are remembered
MOST = (HARM + REPORTS) * (1 + MAX_TENFOLDS) + DOUBT  # 1,290: less than a day

# Without scores every label may be there or not; without a policy the severity is that of a label that states none.
UNKNOWN_SCORE = 0.5
UNKNOWN_SEVERITY = int(LabelPolicy.model_fields["severity"].default)


def priority(content: ContentSubmitted, scores: Mapping[str, float] | None, policy: Policy | None) -> int:
    """The points of an item, 0 to MOST; see `weighed`."""
    return weighed(content.reach, content.reports, scores, policy)


def weighed(reach: int, reports: int, scores: Mapping[str, float] | None, policy: Policy | None) -> int:
    """The points of an item with these counts, 0 to MOST.

    Args:
        scores: a probability for each of the policy's labels; None where nothing usable classified it. Such an item
            stands in the middle: behind items likely to do harm, before the others.
    """
    if policy is None or scores is None:
        severity = max(label.severity for label in policy.labels.values()) if policy else UNKNOWN_SEVERITY
        return points(_harm(UNKNOWN_SCORE, severity), _doubt(UNKNOWN_SCORE), reach, reports)
    harm = max(_harm(score, policy.labels[label].severity) for label, score in scores.items())
    doubt = max(_doubt(score) for score in scores.values())
    return points(harm, doubt, reach, reports)


def points(harm: float, doubt: float, reach: int, reports: int) -> int:
    """(expected harm + reports) times reach, and what the model does not know. No argument that grows lowers them.

    Args:
        harm: expected severity as a share of the highest, 0 to 1.
        doubt: 1 at a score of one half, 0 where the model is certain.
        reach: people who see it, 0 where unknown. Each tenfold adds the first two terms once more.
        reports: the first ones count most.
    """
    reported = math.log1p(min(reports, ENOUGH_REPORTS)) / math.log1p(ENOUGH_REPORTS)
    tenfolds = min(math.log10(1 + reach), MAX_TENFOLDS)
    return round((HARM * harm + REPORTS * reported) * (1 + tenfolds) + DOUBT * doubt)


class Places:
    """The points of the last items in review that the coin did not draw."""

    def __init__(self) -> None:
        self._last: deque[int] = deque(maxlen=KEPT)

    def keep(self, points: int) -> None:
        """Remember those of another item."""
        self._last.append(points)

    def pick(self, number: float) -> int:
        """The points of one of the items kept, as `number` in [0, 1) says; DRAWN while there is none."""
        return self._last[int(number * len(self._last))] if self._last else DRAWN


def _harm(score: float, severity: int) -> float:
    return score * severity / MAX_SEVERITY


def _doubt(score: float) -> float:
    return 4 * score * (1 - score)
