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
from bench.loop_evidence import Answered, Ledger
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
from secondlook.router.coin.rates import audit_rates
from secondlook.router.coin.secret import SECRET_BYTES, CoinSecret
from secondlook.router.routing import Routing, route
from secondlook.trainer.data.dataset import Dataset, Judged, build
from secondlook.trainer.data.splits import Draw, cluster_keys, draws, group_keys, held_out, held_share, split_at
from secondlook.trainer.evidence.certify import Certification
from secondlook.trainer.evidence.watch import Audited, judge
from secondlook.trainer.gate.decide import Evidence, GateDecision, decide
from secondlook.trainer.model.fit import fit_head
from secondlook.trainer.model.material import Material
from secondlook.trainer.noticing.rise import HarmDetector
from secondlook.trainer.run.scrutiny import compared as compared_rows
from secondlook.trainer.run.train import calibrated, probabilities
from secondlook.trainer.schedule import Situation, due
from secondlook.trainer.settings import TrainerSettings

SETTINGS = TrainerSettings.model_fields
RETRAIN_LABELS: int = SETTINGS["retrain_labels"].default
CERTIFY_LABELS: int = SETTINGS["certify_labels"].default
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
    number: int  # of the model
    fitted_at: int  # so many had been asked


@dataclass(slots=True)
class Loop:
    """The state of a deployment."""

    plan: Plan
    policy: Policy
    corpus: Corpus
    secret: CoinSecret
    chance: np.random.Generator
    ledger: Ledger
    active: ActiveModel | None = None
    waiting: ActiveModel | None = None  # as good as the active one, but for the evidence
    judged: list[Judged] = field(default_factory=list)
    audited: list[Audited] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    switched_off: set[Side] = field(default_factory=set)
    known_draws: dict[bytes, Draw] = field(default_factory=dict)
    detector: HarmDetector = field(default_factory=HarmDetector)
    models: int = 0
    looked_at: int = 0
    last_look: datetime | None = None
    trained_at: datetime | None = None
    trained_labels: int = 0
    learned: int = 0  # texts that the newest model learned from, promoted or not

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

    @property
    def _young(self) -> bool:
        """Whether a model that has learned from enough has yet to be tried."""
        return self.learned < CERTIFY_LABELS

    def _item(self, row: Row, number: int) -> None:
        active, scores = self.active, None
        if active is not None:
            scores = dict(zip(self.plan.labels, active.scores[number].tolist(), strict=True))
        scope = Scope(int(self.corpus.scopes[number]))

        rates = audit_rates(self.policy, len(self.steps))

        def routed(thresholds: Thresholds) -> Routing:
            u = self.secret.flip(row.content)
            return route(row.content, scores, thresholds, self.policy, u=u, scope=scope, rates=rates)

        routing = routed(bare(active.thresholds) if active is not None else OFF)
        answer = row.votes[self.chance.integers(len(row.votes))]
        if routing.why is not None:
            self._label(row, number, routing, scores, answer)
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

    def _label(self, row: Row, number: int, routing: Routing, scores: Mapping[str, float] | None, answer: Said) -> None:
        text, coin, received = row.content.text, routing.coin, len(self.judged) + 1
        keys = group_keys(text)
        share = held_share(self.policy.audit.hold_out, len(self.ledger.asked))
        draw = draws([keys], self.known_draws, share)[0]
        split = split_at(draw, coin.stratum)
        by = self.active.number if self.active else 0
        self.ledger.asked.append(
            Answered(number, answer, coin.u, routing.judged, held_out(draw), tuple(cluster_keys(text)), by)
        )  # fmt: skip
        self.judged.append(
            Judged(text, answer, split, coin.stratum, coin.inclusion_probability, row.content.source, None, received)
        )
        if scores is not None:
            embedding = self.corpus.embeddings[number]
            if self.detector.add(max(scores.values()), any(answer.values()), embedding):
                self._note("noticed", "more harm than expected")
        if scores is not None and (routing.outcome is not None or coin.stratum == "uniform"):
            self.audited.append(Audited(received, scores, answer, number=received))

    def _guard(self) -> None:
        """As `Guard.watch`: a side that audits refute is off from now on."""
        if self.active is None:
            return
        for state in judge(self.audited, self.active.thresholds, self.policy.risk, self.ledger.marks):
            if state.fired:
                self.switched_off.add(state.side)
                self.ledger.marks[state.side] = len(self.ledger.asked)
                self._note("alarm", f"{state.side}: {state.errors} of {state.audits}", state.side)
        self.active = replace(self.active, thresholds=without(self.active.thresholds, self.switched_off))

    def _learn(self) -> None:
        """As `Trainer.step`: a run if one is due."""
        labels = frozenset(self.plan.labels)
        situation = Situation(
            policy_version=1, policy_labels=labels, active_labels=labels if self.active else None,
            new_labels=len(self.judged) - self.trained_labels, last_run_at=self.trained_at,
            last_policy_version=1 if self.trained_at else None, certifies=True, judgements=len(self.judged),
            looked_at=self.looked_at, last_look_at=self.last_look,
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
        if promoted or reason == "certify":  # a look at a refused challenger says nothing of the active model
            self.last_look, self.looked_at = self.now, len(self.judged)

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
        self.models += 1
        unseen = scores[rows].astype(np.float64)
        unseen[fitting] = probabilities(fitted, fitted.out_of_fold)
        asked = len(self.ledger.asked)
        reference = unseen, self.corpus.scopes[rows]
        self.learned = int(data.part("train", "calibrate").sum())
        found = self.ledger.look(self.models, asked, scores, self.corpus.scopes, reference, young=self._young)
        challenger = ActiveModel(scores, found.thresholds, self.models, asked)
        decision = self._compare(data, scores[rows], rows, found)
        self.waiting = challenger if decision.waits else None
        if decision.promote:
            self._activate(challenger)
            self._note("promoted", ", ".join(map(str, sides(found.thresholds))) or "; ".join(found.reasons))
        return decision.promote

    def _activate(self, model: ActiveModel) -> None:
        self.active, self.waiting = model, None
        self.audited, self.switched_off = [], set()
        self.detector = HarmDetector()

    def _compare(self, data: Dataset, scores: Floats, rows: NDArray[np.int64], found: Certification) -> GateDecision:
        active, compared = self.active, compared_rows(data)
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
        return decision

    def _recertify(self) -> None:
        """As `run.recertify.recertify`: a side that is on stays as wide as it is."""
        active = self.active
        assert active is not None
        scopes = self.corpus.scopes
        found = self.ledger.look(active.number, active.fitted_at, active.scores, scopes, young=self._young)
        new = widest(without(active.thresholds, self.switched_off), found.thresholds)
        self.switched_off -= set(sides(found.thresholds))
        if new != active.thresholds:
            self.active = replace(active, thresholds=new)
            self._note("certified", ", ".join(map(str, sides(new))))
        self._let_follow(replace(active, thresholds=new))

    def _let_follow(self, active: ActiveModel) -> None:
        """As `run.recertify`: the challenger that waits follows once it is certified to decide as much."""
        if self.waiting is None:
            return
        waiting, scopes = self.waiting, self.corpus.scopes
        found = self.ledger.look(waiting.number, waiting.fitted_at, waiting.scores, scopes, young=self._young)
        challenger = replace(waiting, thresholds=found.thresholds)
        ours, theirs = (self.ledger.automated(waiting.fitted_at, model, scopes) for model in (challenger, active))
        if ours and ours >= theirs:
            self._activate(challenger)
            self._note("promoted", ", ".join(map(str, sides(found.thresholds))))

    def _note(self, what: str, detail: str, side: Side | None = None) -> None:
        self.events.append(Event(len(self.steps), what, detail, side))


def replay(plan: Plan, rows: Sequence[Row], corpus: Corpus, seed: int) -> Loop:
    """Run the rows through a new deployment; the seed fixes coin and reviewers."""
    secret, ledger = CoinSecret(seed.to_bytes(SECRET_BYTES)), Ledger(plan.labels, plan.risk)
    loop = Loop(plan, plan.policy(), corpus, secret, np.random.default_rng(seed), ledger)
    for start in range(0, len(rows), plan.batch):
        loop.take(rows[start : start + plan.batch])
    return loop
