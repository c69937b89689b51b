"""What certificates of a replayed deployment rest on, and what they have spent: the trainer's tables, in memory."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from bench.loop_data import Said
from secondlook.common.bundle.arrays import Array, Bools, Scopes
from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.classifier import Floats
from secondlook.common.bundle.sides import Side
from secondlook.common.contract.policy import Risk
from secondlook.router.coin.rates import Rates
from secondlook.trainer.evidence.certify import Certification, all_sides, certify, could_pass, deltas_of
from secondlook.trainer.evidence.frontier import automated_share
from secondlook.trainer.evidence.grid import grid
from secondlook.trainer.evidence.sample import Sample, plain_sample


@dataclass(frozen=True, slots=True)
class Answered:
    """An item that a person was asked about, and answered at once. `by`: the number of the model that routed it."""

    row: int
    answer: Said
    u: float
    judged: Rates
    held_out: bool
    keys: tuple[bytes, ...]
    by: int


class Certified(Protocol):
    """A model with the thresholds that it may use; `scores`[corpus, labels]."""

    @property
    def scores(self) -> Floats: ...

    @property
    def thresholds(self) -> CertifiedThresholds: ...


@dataclass(slots=True)
class Ledger:
    """All that people were asked, the thresholds that models try, and the numbers of their shares."""

    labels: tuple[str, ...]
    risk: Risk
    asked: list[Answered] = field(default_factory=list)
    marks: dict[Side, int] = field(default_factory=dict)
    shares: dict[tuple[int, str, int], int] = field(default_factory=dict)
    grids: dict[int, dict[Side, tuple[float, ...]]] = field(default_factory=dict)

    def look(
        self,
        model: int,
        fitted_at: int,
        scores: Floats,
        scopes: Scopes,
        reference: tuple[Array, Scopes] | None = None,
        *,
        young: bool = False,
    ) -> Certification:
        """What a model with these scores[corpus, labels], fitted when so many had been asked, can certify now.

        A `young` model learned from too few to spend anything.
        """
        sample = self._sample(model, fitted_at, scores, scopes)
        sides = all_sides(self.labels)
        fixed = self.grids.setdefault(model, {})
        others, of = reference or (sample.scores, sample.scopes)
        for side in sides:
            if not fixed.get(side):
                fixed[side] = grid(side, self.labels, others, of)
        deltas = deltas_of({side: self._number(model, side) for side in sides}, self.risk, len(self.labels))
        if young:
            return Certification(CertifiedThresholds(), ())
        if could_pass(sample, self.risk, deltas, self.marks):
            for side in sides:
                self.shares.setdefault(self._share(model, side), self._number(model, side))
        return certify(sample, self.grids[model], self.risk, deltas, self.marks)

    def automated(self, fitted_at: int, model: "Certified", scopes: Scopes) -> float:
        """About how much of the content a model decides, by what was held out or asked since `fitted_at`."""
        return automated_share(self._sample(0, fitted_at, model.scores, scopes), model.thresholds)

    def _share(self, model: int, side: Side) -> tuple[int, str, int]:
        mark = self.marks.get(side, 0)
        return model, str(side) if mark else "", mark

    def _number(self, model: int, side: Side) -> int:
        return self.shares.get(self._share(model, side), max(self.shares.values(), default=0) + 1)

    def _sample(self, model: int, fitted_at: int, scores: Floats, scopes: Scopes) -> Sample:
        chosen: Bools = np.array([one.held_out for one in self.asked], np.bool_)
        chosen[fitted_at:] = True
        numbers = np.flatnonzero(chosen)
        items: Sequence[Answered] = [self.asked[number] for number in numbers.tolist()]
        rows = np.array([one.row for one in items], np.int64)
        judged = [one.judged if one.by == model else Rates(min(one.judged), min(one.judged)) for one in items]
        targets = [[float(one.answer.get(label, np.nan)) for label in self.labels] for one in items]
        return plain_sample(
            self.labels, scores[rows].astype(np.float64), np.array(targets).reshape(-1, len(self.labels)),
            scopes=scopes[rows], u=np.array([one.u for one in items]), numbers=numbers + 1,
            approve=np.array([rates.approve for rates in judged]), reject=np.array([rates.reject for rates in judged]),
            clusters=tuple(one.keys for one in items),
        )  # fmt: skip
