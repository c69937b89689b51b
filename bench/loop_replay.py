"""One deployment of `bench.loop`, item by item: the product's own pure parts route, learn, certify and switch off.

What services and tables do around them is done here in memory, by the same rules. Reviewers answer at once, with the
answer of one of the people who judged the item.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from bench.loop_data import BEGIN, Plan, Row, Said
from bench.loop_features import Corpus
from bench.loop_steps import Decided, Event, Step, by_hand
from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.classifier import Floats
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.readings import readings
from secondlook.common.bundle.sides import Side, bare, sides, widest, without
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.common.errors import TrainingRefused
from secondlook.common.text.scope import Scope
from secondlook.router.coin.secret import SECRET_BYTES, CoinSecret
from secondlook.router.routing import Routing, route
from secondlook.trainer.data.dataset import Dataset, Judged, build
from secondlook.trainer.data.splits import draws, group_keys, split_at
from secondlook.trainer.evidence.certify import Certification
from secondlook.trainer.evidence.gate import Evidence, decide
from secondlook.trainer.evidence.watch import Audited, judge
from secondlook.trainer.model.fit import fit_head
from secondlook.trainer.model.material import Material
from secondlook.trainer.run.job import Job
from secondlook.trainer.run.train import calibrated, certified
from secondlook.trainer.schedule import Situation, due
from secondlook.trainer.settings import TrainerSettings

SETTINGS = TrainerSettings.model_fields
RETRAIN_LABELS: int = SETTINGS["retrain_labels"].default
STARTER_UNTIL: int = SETTINGS["starter_until"].default
NEVER = timedelta.max  # time between runs; here only labels bring them
MINUTE = timedelta(minutes=1)  # between two items
FIXED, EVEN = 0.9, 0.5
OFF = Thresholds()


@dataclass(frozen=True, slots=True, eq=False)
class ActiveModel:
    """The active bundle, and the scores float32[corpus, labels] of every text by it."""

    scores: Floats
    thresholds: CertifiedThresholds


@dataclass(slots=True)
class Loop:
    """The state of a deployment."""

    plan: Plan
    policy: Policy
    corpus: Corpus
    secret: CoinSecret
    chance: np.random.Generator
    active: ActiveModel | None = None
    judged: list[Judged] = field(default_factory=list)
    audited: list[Audited] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    marks: dict[Side, int] = field(default_factory=dict)
    switched_off: set[Side] = field(default_factory=set)
    known_draws: dict[bytes, float] = field(default_factory=dict)
    valid_after: int = 0
    attempts: int = 0
    attempt_items: int = 0
    attempt_at: datetime | None = None
    trained_at: datetime | None = None
    trained_labels: int = 0

    def take(self, rows: Sequence[Row]) -> None:
        """Route a batch, ask reviewers, then watch and learn, as the services do between batches."""
        numbers = self.corpus.find([row.content.text for row in rows])
        for row, number in zip(rows, numbers, strict=True):
            self._item(row, int(number))
        self._guard()
        self._learn()

    @property
    def now(self) -> datetime:
        return BEGIN + len(self.steps) * MINUTE

    def _item(self, row: Row, number: int) -> None:
        active, scores = self.active, None
        if active is not None:
            scores = dict(zip(self.plan.labels, active.scores[number].tolist(), strict=True))
        scope = Scope(int(self.corpus.scopes[number]))

        def routed(thresholds: Thresholds) -> Routing:
            return route(row.content, scores, thresholds, self.policy, u=self.secret.flip(row.content), scope=scope)

        routing = routed(bare(active.thresholds) if active is not None else OFF)
        answer = row.votes[self.chance.integers(len(row.votes))]
        if routing.why is not None:
            self._label(row, routing, scores, answer)
        fixed, automatic = (routed(by_hand(self.plan.labels, least)) for least in (FIXED, EVEN))
        self.steps.append(
            Step(
                row,
                Decided(routing.outcome, routing.labels, routing.why is not None),
                Decided(fixed.outcome, fixed.labels, fixed.outcome is None),
                Decided(automatic.outcome, automatic.labels, automatic.outcome is None),
                answer,
                active is not None and active.thresholds.approve is not None,
            )
        )

    def _label(self, row: Row, routing: Routing, scores: Mapping[str, float] | None, answer: Said) -> None:
        text, coin, received = row.content.text, routing.coin, len(self.judged) + 1
        draw = draws([group_keys(text)], self.known_draws)[0]
        split = split_at(draw, coin.stratum)
        self.judged.append(
            Judged(text, answer, split, coin.stratum, coin.inclusion_probability, row.content.source, None, received)
        )
        if scores is not None and coin.stratum == "uniform":
            self.audited.append(Audited(received, scores, answer))

    def _guard(self) -> None:
        """As `Guard.watch`: a side that audits refute is off from now on."""
        if self.active is None:
            return
        for state in judge(self.audited, self.active.thresholds, self.policy.risk, self.marks):
            if state.fired:
                self.switched_off.add(state.side)
                self.marks[state.side] = self.valid_after = len(self.judged)
                self.attempt_items = 0
                self._note("alarm", f"{state.side}: {state.errors} of {state.audits}", state.side)
        self.active = replace(self.active, thresholds=without(self.active.thresholds, self.switched_off))

    def _learn(self) -> None:
        """As `Trainer.step`: a run if one is due."""
        labels = frozenset(self.plan.labels)
        items = sum(row.split == "certify" and row.received > self.valid_after for row in self.judged)
        situation = Situation(
            policy_version=1, policy_labels=labels, active_labels=labels if self.active else None,
            new_labels=len(self.judged) - self.trained_labels, last_run_at=self.trained_at,
            last_policy_version=1 if self.trained_at else None, certifies=True, certify_items=items,
            last_certified_items=self.attempt_items, last_certified_at=self.attempt_at,
        )  # fmt: skip
        after_labels = max(RETRAIN_LABELS, round(self.plan.growth * self.trained_labels))
        reason = due(self.now, situation, after_labels=after_labels, after=NEVER, certify_after=timedelta(0))
        if reason is None:
            return
        promoted = False
        if reason == "certify":
            self._recertify()
        else:
            self.trained_at, self.trained_labels = self.now, len(self.judged)
            try:
                promoted = self._train()
            except TrainingRefused as refused:
                self._note("refused", str(refused))
        if promoted or reason == "certify":  # an attempt for a refused challenger says nothing of the active model
            self.attempt_at, self.attempt_items = self.now, items

    def _material(self) -> tuple[Material, NDArray[np.int64]]:
        data = build(self.plan.labels, self.judged, STARTER_UNTIL)
        if not data.texts:
            raise TrainingRefused("there are no labels for this policy")
        rows, corpus = self.corpus.find(data.texts), self.corpus
        embeddings, features = corpus.embeddings[rows], corpus.features[rows]  # of the first readings, to fit on
        return Material(
            labels=self.plan.labels, data=data, exported=corpus.exported, encoder=corpus.encoder,
            readings=readings(data.texts, FeatureSpec()), embeddings=embeddings, features=features,
        ), rows  # fmt: skip

    def _train(self) -> bool:
        """As `run.train.train`; whether a model was promoted. Leaves out latency and artefact: it writes none."""
        material, rows = self._material()
        data, fitting = material.data, material.data.part("train")
        labels = self.plan.labels
        fitted = fit_head(labels, data.targets[fitting], *material.rows(fitting))
        scores = self.corpus.scores(calibrated(fitted, self.corpus.logits(fitted)[rows], data, most=1.0))
        found = self._certify(material, rows, scores[rows])
        promoted = self._compare(data, scores[rows], rows, found)
        if promoted:
            self.active = ActiveModel(scores, found.thresholds)
            self.audited, self.marks, self.switched_off = [], {}, set()
            self._note("promoted", ", ".join(map(str, sides(found.thresholds))) or "; ".join(found.reasons))
        return promoted

    def _compare(self, data: Dataset, scores: Floats, rows: NDArray[np.int64], found: Certification) -> bool:
        active, compared = self.active, data.part("gold", "certify")
        others = active.scores[rows][compared].astype(np.float64) if active else None
        ours = scores[compared].astype(np.float64)
        decision = decide(
            Evidence(
                labels=self.plan.labels, targets=data.targets[compared], challenger=ours, active=others,
                slices={name: members[compared] for name, members in data.slices.items()},
                thresholds=found.thresholds, active_thresholds=active.thresholds if active else None,
                certification_required=bool(active and sides(active.thresholds)),
                reference=ours, active_reference=others,
            )
        )  # fmt: skip
        if not decision.promote:
            self._note("kept", next(str(check) for check in decision.checks if check.passed is False))
        return decision.promote

    def _certify(self, material: Material, rows: NDArray[np.int64], scores: Floats) -> Certification:
        """As `run.train.certified`, with the next attempt; one that looked at no judgement is not spent."""
        job = Job(
            kind="train", policy=self.policy, policy_version=1, label_mark=len(self.judged),
            attempt=self.attempts + 1, after=self.valid_after,
        )  # fmt: skip
        found = certified(job, material.data, self.corpus.scopes[rows], scores.astype(np.float64))
        self.attempts += found.spent
        return found

    def _recertify(self) -> None:
        """As `run.recertify.recertify`: a side that is on stays as wide as it is."""
        assert self.active is not None
        material, rows = self._material()
        found = self._certify(material, rows, self.active.scores[rows])
        new = widest(without(self.active.thresholds, self.switched_off), found.thresholds)
        self.switched_off -= set(sides(found.thresholds))
        if new != self.active.thresholds:
            self.active = replace(self.active, thresholds=new)
            self._note("certified", ", ".join(map(str, sides(new))))

    def _note(self, what: str, detail: str, side: Side | None = None) -> None:
        self.events.append(Event(len(self.steps), what, detail, side))


def replay(plan: Plan, rows: Sequence[Row], corpus: Corpus, seed: int) -> Loop:
    """Run the rows through a new deployment; the seed fixes coin and reviewers."""
    loop = Loop(plan, plan.policy(), corpus, CoinSecret(seed.to_bytes(SECRET_BYTES)), np.random.default_rng(seed))
    for start in range(0, len(rows), plan.batch):
        loop.take(rows[start : start + plan.batch])
    return loop
