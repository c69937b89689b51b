"""Sends answers that look wrong back to the review queue, to a second reviewer. It changes no answer itself.

Only items that are fitted or calibrated on are asked about, and only those that the queue asked people about because
it was not sure. To ask again about what certifies thresholds, compares bundles or audits decisions, and only where the
model disagrees, would take away errors that count against the model and leave those that count for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import timedelta
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from secondlook.common.contract.events import SecondLookRequested
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.trainer.data.dataset import Dataset, RevisionKey
from secondlook.trainer.data.suspects import find_suspects

MOST = 1_000  # doubts that a run reports
AT_WORK = timedelta(days=30)  # who has judged within this time may get an item

# One person has judged the item, and another one is at work who could.
ASK = """
INSERT INTO second_look (source, content_id, revision, label, given, score, run_id, asked_at)
SELECT d.source, d.content_id, d.revision, d.label, d.given, d.score, $7, $8
FROM unnest($1::text[], $2::text[], $3::int[], $4::text[], $5::bool[], $6::float8[])
    WITH ORDINALITY AS d(source, content_id, revision, label, given, score, place)
CROSS JOIN LATERAL (
    SELECT count(DISTINCT reviewer) AS people, min(reviewer) AS reviewer FROM label l
    WHERE (l.source, l.content_id, l.revision) = (d.source, d.content_id, d.revision)
) AS judged
WHERE people = 1 AND EXISTS (SELECT FROM unnest($9::text[]) AS other WHERE other <> judged.reviewer)
  AND NOT EXISTS (SELECT FROM second_look s
                  WHERE (s.source, s.content_id, s.revision) = (d.source, d.content_id, d.revision))
ORDER BY d.place LIMIT $10
ON CONFLICT DO NOTHING
RETURNING source, content_id, revision, label, given, score
"""
REVIEWERS = "SELECT DISTINCT reviewer FROM label WHERE stratum NOT IN ('imported', 'declared') AND labelled_at > $1"


@dataclass(frozen=True, slots=True)
class Doubt:
    """An item with the answer that looks most wrong: `score` is the model's probability of the answer `given`."""

    source: str
    content_id: str
    revision: int
    label: str
    given: bool
    score: float

    @property
    def reason(self) -> str:
        said = "yes" if self.given else "no"
        return f"{self.label}: people said {said}; a model that had not learned from it gives that {self.score:.3f}"


def doubts(labels: Sequence[str], data: Dataset, unseen: NDArray[np.float64]) -> list[Doubt]:
    """The items that may be asked about again, the least likely answer first, at most `MOST`.

    `unseen` float64[n, labels]: probabilities of a model that was not fitted on the row; NaN where there is none.
    """
    open_to_doubt = data.part("train", "calibrate")[:, None]
    found: dict[RevisionKey, Doubt] = {}
    for suspect in find_suspects(labels, np.where(open_to_doubt, unseen, np.nan), data.targets):
        item = data.items[suspect.row]
        if item is not None and len(found) < MOST:
            found.setdefault(item, Doubt(*item, suspect.label, suspect.given, suspect.score))
    return list(found.values())


async def ask(work: UnitOfWork, run_id: UUID, found: Iterable[Doubt], limit: int) -> int:
    """Send the first `limit` of the doubts back to review that never were before; returns how many that is.

    Items that several people have judged, or that nobody else at work could judge, are left out.
    """
    columns = [list(column) for column in zip(*map(astuple, found), strict=True)]
    if not columns or not limit:
        return 0
    now = work.clock.now()
    at_work = [row["reviewer"] for row in await work.connection.fetch(REVIEWERS, now - AT_WORK)]
    rows = await work.connection.fetch(ASK, *columns, run_id, now, at_work, limit)
    for doubt in (Doubt(**row) for row in rows):
        work.publish(
            SecondLookRequested(
                source=doubt.source,
                content_id=doubt.content_id,
                revision=doubt.revision,
                reason=doubt.reason,
                requested_at=now,
            )
        )
    return len(rows)
