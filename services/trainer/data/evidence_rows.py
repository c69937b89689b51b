"""What certificates rest on, as the database keeps it: what people were asked about, in order, and what they said."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from secondlook.common.contract.fields import Signals
from secondlook.common.postgres import Queryable
from secondlook.trainer.data.standing import Statements

NEW = """
NOT EXISTS (SELECT FROM label l WHERE l.received <= $4
            AND (l.source, l.content_id, l.revision) = (a.source, a.content_id, a.revision))
"""
# Of each item that `weights` have not learned from: held out, or asked about after they were fitted. `own`: the weights
# routed it themselves.
ASKED = f"""
SELECT a.number, a.source, a.content_id, a.revision, a.kind, a.language, a.text, a.keys, a.u, a.approve, a.reject,
       a.declared, coalesce(a.signals, '{{}}') AS signals, a.gone IS NOT NULL AS gone,
       coalesce(b.weights = $1, false) AS own
FROM asked a LEFT JOIN bundle b USING (bundle_version)
WHERE (a.held_out OR (a.number > $2 AND {NEW})) AND a.number <= $3 ORDER BY a.number
"""  # noqa: S608 - made of constants
# An item that was sent back because its answer looked wrong counts as it was answered before, and so does one of which
# a person chose to reverse the decision, or that users chose to report: to ask again only where a model disagrees would
# take away errors that count against it.
ANSWERS = """
SELECT a.number, l.reviewer, l.labels, l.adjudicated, l.received
FROM asked a JOIN label l USING (source, content_id, revision)
     LEFT JOIN second_look s ON (s.source, s.content_id, s.revision) = (a.source, a.content_id, a.revision)
                            AND NOT s.by_lot
WHERE (a.held_out OR a.number > $1) AND a.number <= $2 AND l.received <= $3
  AND l.stratum NOT IN ('reversal', 'reported')
  AND (s.asked_at IS NULL OR l.labelled_at <= s.asked_at)
ORDER BY a.number, l.labelled_at, l.label_id DESC
"""
UNSCORED = """
SELECT a.number, a.text, a.signals FROM asked a
WHERE (a.held_out OR a.number > $2) AND a.number <= $3
  AND NOT EXISTS (SELECT FROM evidence_score s WHERE s.weights = $1 AND s.number = a.number)
ORDER BY a.number
"""
KEEP = """
INSERT INTO evidence_score (weights, number, scores, scope) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING
"""
SCORES = "SELECT number, scores, scope FROM evidence_score WHERE weights = $1"
FORGET = """
DELETE FROM evidence_score WHERE weights NOT IN (
    SELECT weights FROM bundle WHERE stage IN ('active', 'canary', 'shadow', 'stored'))
"""
# Those whose coin lies below what was judged of everything are a fair sample of the content.
A_DAY = """
SELECT coalesce(sum(1 / least(approve, reject)), 0) / 14 FROM asked
WHERE u < least(approve, reject) AND asked_at > $1::timestamptz - interval '14 days'
"""
LEARNED = """
SELECT count(DISTINCT (source, content_id, revision)) FROM label
WHERE received <= $1 AND split IN ('train', 'calibrate') AND adjudicated AND labels <> '{}'
"""
NEWEST = "SELECT coalesce(max(number), 0) FROM asked"
FITTED = "SELECT asked_mark, label_mark FROM run WHERE bundle_version = $1 AND reason <> 'certify'"


@dataclass(frozen=True, slots=True)
class Unlearned:
    """The items that weights have not learned from: those that are held out, or numbered after `after`; all numbered up
    to `up_to`.

    An item of which a label up to `learned` was there when the model was fitted is not new to it, whatever its number.
    """

    after: int
    up_to: int
    learned: int = 0


@dataclass(slots=True, kw_only=True)
class EvidenceRow:
    """One item, and what people said. `settled` is None while nobody has judged it, `{}` if that was taken back."""

    number: int
    source: str
    content_id: str
    revision: int
    kind: str
    language: str | None
    text: str
    keys: Sequence[bytes]
    u: float
    approve: float
    reject: float
    gone: bool
    own: bool
    declared: bool = False
    signals: Mapping[str, float] = field(default_factory=dict)
    settled: Mapping[str, bool] | None = None
    answers: dict[str, Mapping[str, bool]] = field(default_factory=dict)

    @property
    def said(self) -> Statements:
        return self.answers

    @property
    def least(self) -> tuple[float, float]:
        """The shares that people judged of what the weights would approve, and reject.

        What other weights routed may have been approved or rejected by them, whatever these would do.
        """
        both = min(self.approve, self.reject)
        return (self.approve, self.reject) if self.own else (both, both)


async def load_evidence(connection: Queryable, weights: str, span: Unlearned, label_mark: int) -> list[EvidenceRow]:
    """The items of a look, in order, with the judgements up to `label_mark`. About 2 s for 100,000 judgements."""
    rows = {
        row["number"]: EvidenceRow(**dict(row))
        for row in await connection.fetch(ASKED, weights, *_of(span), span.learned)
    }
    for answer in await connection.fetch(ANSWERS, *_of(span), label_mark):
        if (row := rows.get(answer["number"])) is None:
            continue
        row.answers[answer["reviewer"]] = answer["labels"]
        if answer["adjudicated"]:
            row.settled = answer["labels"]
    return list(rows.values())


async def unscored(connection: Queryable, weights: str, span: Unlearned) -> list[tuple[int, str, Signals]]:
    """Numbers, texts and signals of the look that `weights` have not scored yet."""
    rows = await connection.fetch(UNSCORED, weights, *_of(span))
    return [(row["number"], row["text"], row["signals"] or {}) for row in rows]


async def save_scores(connection: Queryable, weights: str, rows: Sequence[tuple[int, list[float], int]]) -> None:
    """Keep what `weights` say: (number, scores in the order of the bundle's labels, scope)."""
    await connection.executemany(KEEP, [(weights, *row) for row in rows])


async def load_scores(connection: Queryable, weights: str) -> dict[int, tuple[list[float], int]]:
    """Scores and scope by number."""
    return {row["number"]: (row["scores"], row["scope"]) for row in await connection.fetch(SCORES, weights)}


async def forget_scores(connection: Queryable) -> None:
    """Drop the scores of weights that are in no stage."""
    await connection.execute(FORGET)


async def newest(connection: Queryable) -> int:
    """The number of the newest item that people were asked about; 0 before the first."""
    found: int = await connection.fetchval(NEWEST)
    return found


async def known_when_fitted(connection: Queryable, weights: str) -> tuple[int, int] | None:
    """The newest item, and the newest label, when the weights were fitted; None if no run is known to have done so."""
    row = await connection.fetchrow(FITTED, weights)
    return (row["asked_mark"], row["label_mark"]) if row else None


async def content_a_day(connection: Queryable, now: datetime) -> float:
    """About how many items of content came a day, in the last two weeks."""
    found: float = await connection.fetchval(A_DAY, now)
    return found


async def learned_from(connection: Queryable, label_mark: int) -> int:
    """How many judged items a model learned from that was fitted with the labels up to `label_mark`."""
    found: int = await connection.fetchval(LEARNED, label_mark)
    return found


def _of(span: Unlearned) -> tuple[Any, Any]:
    return span.after, span.up_to
