"""Before anything is fitted: whether one person teaches the model something that nobody else confirms.

Judgements in a slice where one person contradicts everybody else's are withheld: no model is fitted or compared on them
until somebody else has looked at some of them. The second looks start with them.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

import numpy as np
from numpy.typing import NDArray

from secondlook.trainer.data.dataset import Dataset
from secondlook.trainer.data.second_looks import Doubt
from secondlook.trainer.data.splits import UNIFORM
from secondlook.trainer.data.standing import NOBODY
from secondlook.trainer.evidence.dissent import Dissent, confirmed, find_dissents
from secondlook.trainer.gate.contested import Contested
from secondlook.trainer.model.material import Material
from secondlook.trainer.model.outsiders import Outsiders, outsiders
from secondlook.trainer.model.slices import Slices, slices_of

WITHOUT = 10
LOOKS = 10  # at each slice, in a run
ONE_PERSON = "every judgement is by one person: what the model learns, and every figure about it, rests on that person"
MOSTLY = "most judgements are by {}: others have judged too little to check what that person teaches"


@dataclass(frozen=True, slots=True, eq=False)
class Withheld:
    """A slice of which one person's judgements are withheld. `rows` of the data set; `expected` float64[rows]: what the
    others' judgements teach of them, for the label in `column`.
    """

    name: str
    column: int
    rows: NDArray[np.int64]
    expected: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Scrutiny:
    """The material without what is withheld, the slices of that, second looks at them, and notes for a person."""

    material: Material
    withheld: tuple[Withheld, ...]
    doubts: tuple[Doubt, ...]
    notes: tuple[str, ...]


def scrutinise(material: Material) -> Scrutiny:
    """Withhold the slices that one person alone teaches against all others. Takes about as long as fitting a head."""
    data, labels = material.data, material.labels
    embeddings, features = material.firsts
    without = outsiders(labels, data, np.hstack([embeddings, material.said]), features)
    if without is None:
        one = len(data.standing.reviewers) == 1
        return Scrutiny(material, (), (), (ONE_PERSON,) if one else ())
    said, sole = _as_said(data, labels)
    expected = without.expected(sole)
    slices = slices_of(data, *material.firsts)
    found = [
        replace(each, rows=each.rows[data.standing.sole[each.rows, each.label] == each.person])
        for each in find_dissents(said, sole, expected, slices.contains)
        if not confirmed(_looked_at(data, labels[each.label], each, without, slices))
    ]
    names = [_name(data, labels, each, slices.name(each.feature, each.against)) for each in found]
    withheld = tuple(
        Withheld(name, each.label, each.rows, expected[each.rows, each.label])
        for name, each in zip(names, found, strict=True)
    )
    rows = np.zeros(len(data.texts), np.bool_)
    for each in withheld:
        rows[each.rows] = True
    doubts = _in_turn([list(_doubts(data, labels, each, expected)) for each in found])
    unchecked = [data.standing.reviewers[person] for person in without.unchecked(sole)]
    notes = (*map(MOSTLY.format, unchecked), *(f"withheld until others have looked: {name}" for name in names))
    return Scrutiny(replace(material, data=data.withholding(rows)), withheld, tuple(doubts), notes)


def _as_said(data: Dataset, labels: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Targets and `sole`, but where two people differ, those of the one who was overruled: a second look counts against
    whose answer it denies, not against who gave it."""
    standing = data.standing
    disputed = (standing.sole != NOBODY) & ~np.isnan(standing.others)
    sole = standing.sole.copy()
    for row, column in np.argwhere(disputed).tolist():
        denied = bool(standing.others[row, column])
        first = next(who for who, told in standing.answers[row].items() if told.get(labels[column]) is denied)
        sole[row, column] = standing.reviewers.index(first)
    return np.where(disputed, standing.others, data.targets), sole


def comparable(data: Dataset, withheld: Sequence[Withheld]) -> NDArray[np.bool_]:
    """bool[n]: the rows that bundles are compared on, gold and recent audits, without what is withheld."""
    rows = compared(data)
    for each in withheld:
        rows[each.rows] = False
    return rows


def compared(data: Dataset) -> NDArray[np.bool_]:
    """bool[n]: gold, and of what is held out the uniform sample of the traffic."""
    return np.asarray(data.part("gold") | (data.part("certify") & (data.strata == UNIFORM)), np.bool_)


def contested(
    withheld: Sequence[Withheld], challenger: NDArray[np.float64], active: NDArray[np.float64]
) -> tuple[Contested, ...]:
    """The withheld slices for the gate; both scores are float64[n, labels] of the data set's rows."""
    return tuple(
        Contested(each.name, each.expected, *(scores[each.rows, each.column] for scores in (challenger, active)))
        for each in withheld
    )


def without_each(data: Dataset) -> dict[str, NDArray[np.bool_]]:
    """bool[n] for the `WITHOUT` people on whom most of the compared rows rest: the rows that do not."""
    rests_on = data.standing.rests_on
    work = Counter(rests_on[compared(data) & (rests_on != NOBODY)].tolist())
    people = [person for person, _ in work.most_common(WITHOUT)] if len(work) > 1 else []
    return {f"without {data.standing.reviewers[person]}": rests_on != person for person in people}


def _looked_at(
    data: Dataset, label: str, found: Dissent, without: Outsiders, slices: Slices
) -> list[tuple[bool, bool]]:
    """(the person's answer, the newest of the others') for each row of the slice in which the person went against the
    model and that others judged too."""
    person, pairs = data.standing.reviewers[found.person], []
    p = without.of(found.person, found.label)
    against = (p < 0.5) if found.given else (p >= 0.5)
    for row in np.flatnonzero(against & slices.inside(found.feature)).tolist():
        said = data.standing.answers[row]
        theirs = [told[label] for name, told in said.items() if name != person and label in told]
        if said.get(person, {}).get(label) is found.given and theirs:
            pairs.append((found.given, theirs[-1]))
    return pairs


def _name(data: Dataset, labels: Sequence[str], found: Dissent, texts: str) -> str:
    person, said = data.standing.reviewers[found.person], "yes" if found.given else "no"
    return (
        f"{labels[found.label]}: {person} alone said {said} to {found.count} of {found.sure} {texts}, "
        "against what everybody else's judgements teach"
    )


def _doubts(data: Dataset, labels: Sequence[str], found: Dissent, expected: NDArray[np.float64]) -> Iterator[Doubt]:
    """A sample of the slice's answers that go against the model, of those that may be asked about."""
    asked = data.part("train", "calibrate")
    rows = [row for row in found.against.tolist() if asked[row] and data.items[row] is not None]
    for row in np.random.default_rng(len(data.texts)).permutation(np.array(rows, np.int64))[:LOOKS].tolist():
        item = data.items[int(row)]
        assert item is not None  # noqa: S101
        p = float(expected[row, found.label])
        yield Doubt(*item, labels[found.label], found.given, p if found.given else 1 - p)


def _in_turn(lists: Sequence[list[Doubt]]) -> Iterator[Doubt]:
    """One of each, then the next of each; an item once."""
    seen = set()
    for row in zip_longest(*lists):
        for doubt in row:
            if doubt is not None and (doubt.source, doubt.content_id, doubt.revision) not in seen:
                seen.add((doubt.source, doubt.content_id, doubt.revision))
                yield doubt
