"""The trainer's handler of `review.labelled`."""

import hashlib
from collections.abc import Callable, Sequence

from prometheus_client import Counter

from secondlook.common.contract.events import ContentLabelled
from secondlook.common.errors import FieldProblem, RevisionReused
from secondlook.common.postgres import Connection
from secondlook.common.service.stream import Item
from secondlook.common.service.unit_of_work import UnitOfWork
from secondlook.trainer.data.splits import (
    DECLARED,
    IMPORTED,
    Draw,
    cluster_keys,
    draw_all,
    group_keys,
    held_out,
    held_share,
    split_at,
    stand_in,
)

STORE = """
INSERT INTO label AS l (label_id, source, content_id, revision, reviewer, text, text_sha256, language, labels,
                        adjudicated, inclusion_probability, stratum, scores, bundle_version, labelled_at, split,
                        audited_outcome, audited_labels, signals)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
ON CONFLICT (label_id) DO UPDATE SET
    labels = excluded.labels, adjudicated = excluded.adjudicated, labelled_at = excluded.labelled_at
WHERE excluded.labelled_at > l.labelled_at
"""
# Of these judgements, one whose id is that of a judgement of something else, or of somebody else's.
TAKEN = """
SELECT t.source, t.content_id, t.revision
FROM unnest($1::text[], $2::text[], $3::int[], $4::uuid[], $5::text[])
     AS t(source, content_id, revision, label_id, reviewer)
JOIN label l USING (label_id)
WHERE (l.source, l.content_id, l.revision, l.reviewer) <> (t.source, t.content_id, t.revision, t.reviewer) LIMIT 1
"""
KEEP_TEXT = """
INSERT INTO item_text (source, content_id, revision, text_sha256)
SELECT source, content_id, revision, text_sha256
FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[])
     WITH ORDINALITY AS t(source, content_id, revision, text_sha256, place)
ORDER BY source, content_id, revision, place
ON CONFLICT DO NOTHING
"""
OTHER_TEXT = """
SELECT source, content_id, revision
FROM unnest($1::text[], $2::text[], $3::int[], $4::bytea[]) AS t(source, content_id, revision, text_sha256)
JOIN item_text i USING (source, content_id, revision) WHERE i.text_sha256 <> t.text_sha256 LIMIT 1
"""


async def _hold_to_one_text(connection: Connection, labels: Sequence[ContentLabelled]) -> None:
    """Keep the text of every revision that is new. Raises RevisionReused if another text is known of one."""
    columns = [*_items(labels), [text_sha256(label.text) for label in labels]]
    await connection.execute(KEEP_TEXT, *columns)
    if other := await connection.fetchrow(OTHER_TEXT, *columns):
        source, content_id, revision = other
        what = f"{source}/{content_id}, revision {revision}"
        raise RevisionReused([FieldProblem("text", f"is not the text that {what} was judged on before")])


async def _refuse_taken(connection: Connection, labels: Sequence[ContentLabelled]) -> None:
    """To be called when they are stored. Raises RevisionReused if one of them has the id of another judgement."""
    columns = [*_items(labels), [label.label_id for label in labels], [label.reviewer for label in labels]]
    if other := await connection.fetchrow(TAKEN, *columns):
        source, content_id, revision = other
        what = f"{source}/{content_id}, revision {revision}"
        raise RevisionReused([FieldProblem("label_id", f"is that of another judgement, not of this one of {what}")])


def _items(labels: Sequence[ContentLabelled]) -> list[list[str] | list[int]]:
    return [
        [label.source for label in labels],
        [label.content_id for label in labels],
        [label.revision for label in labels],
    ]


def text_sha256(text: str) -> bytes:
    """The key under which a text's embedding is kept."""
    return hashlib.sha256(text.encode()).digest()


NEWEST = "SELECT coalesce(max(number), 0) FROM asked"
DECLARE = """
INSERT INTO asked (source, content_id, revision, kind, language, text, keys, u, approve, reject, held_out, declared,
                   asked_at, signals)
VALUES ($1, $2, $3, 'text', $4, $5, $6, 0, 1, 1, $7, true, $8, $9) ON CONFLICT DO NOTHING
"""


class LabelHandler:
    """Stores every judgement once, with the probability that its item was looked at.

    Labels of a revision are labels of one text: the first that was judged. What comes with another is refused, and so
    is what has the id of another judgement. What people declared to be a uniform sample counts as asked about.
    """

    def __init__(self, stored: Counter, hold_out: Callable[[], float] = lambda: 0.0) -> None:
        self._stored, self._hold_out = stored, hold_out

    async def prepare(self, items: Sequence[Item]) -> list[ContentLabelled]:
        return [item.event for item in items if isinstance(item.event, ContentLabelled)]

    async def apply(self, work: UnitOfWork, plan: list[ContentLabelled]) -> list[ContentLabelled]:
        await _hold_to_one_text(work.connection, plan)
        groups = [group_keys(stand_in(label), label.source, label.author_id) for label in plan]
        drawn = await self._draw(work.connection, plan, groups)
        await work.connection.executemany(
            STORE,
            [
                (
                    label.label_id, label.source, label.content_id, label.revision, label.reviewer, label.text,
                    text_sha256(label.text), label.language, label.labels, label.adjudicated,
                    label.inclusion_probability, label.stratum,
                    label.scores,
                    label.bundle_version, label.labelled_at, split_at(draw, label.stratum),
                    label.audited and label.audited.outcome, label.audited and list(label.audited.labels),
                    label.signals or None,
                )
                for label, draw in zip(plan, drawn, strict=True)
            ],
        )  # fmt: skip
        await _refuse_taken(work.connection, plan)
        await work.connection.executemany(
            DECLARE,
            [
                (
                    label.source, label.content_id, label.revision, label.language, label.text,
                    cluster_keys(stand_in(label), label.source, label.author_id), held_out(draw), label.labelled_at,
                    label.signals or None,
                )
                for label, draw in zip(plan, drawn, strict=True)
                if label.stratum == DECLARED
            ],
        )  # fmt: skip
        return plan

    async def _draw(
        self, connection: Connection, labels: Sequence[ContentLabelled], groups: Sequence[Sequence[bytes]]
    ) -> list[Draw]:
        """Where each belongs. Of groups that were first seen in a file of labels, nothing is held out but gold."""
        share = held_share(self._hold_out(), await connection.fetchval(NEWEST))
        shares = [0.0 if label.stratum == IMPORTED else share for label in labels]
        found: dict[int, Draw] = {}
        for each in sorted(set(shares)):
            places = [place for place, of in enumerate(shares) if of == each]
            drawn = await draw_all(connection, [groups[place] for place in places], each)
            found |= dict(zip(places, drawn, strict=True))
        return [found[place] for place in range(len(labels))]

    def committed(self, done: list[ContentLabelled]) -> None:
        for label in done:
            self._stored.labels(label.stratum).inc()
