"""One deployment of `bench.poison`: eight people judge, one plants a phrase, and the trainer's own parts learn.

What services and tables do around them is done here in memory, by the same rules. Without `defended`, nobody knows who
judged what, as before.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bench.loop_data import Row
from bench.poison_world import HARM, LABEL, PHRASE, REVIEWERS, Posts, planted
from secondlook.common.bundle.arrays import Scopes
from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.classifier import Floats
from secondlook.common.bundle.features import FeatureSpec
from secondlook.common.bundle.readings import readings
from secondlook.common.bundle.sides import bare, decisions, sides
from secondlook.common.contract.policy import LabelPolicy, Policy, Risk, Thresholds
from secondlook.trainer.data.dataset import Dataset, Judged, RevisionKey, build
from secondlook.trainer.data.second_looks import doubts
from secondlook.trainer.data.splits import UNIFORM, Draw, draws, group_keys, split_at
from secondlook.trainer.data.standing import capped
from secondlook.trainer.evidence.certify import Certification, all_sides, certify, could_pass, deltas_of
from secondlook.trainer.evidence.grid import grid
from secondlook.trainer.evidence.sample import Witnesses, plain_sample
from secondlook.trainer.gate.decide import Evidence, decide
from secondlook.trainer.model.fit import fit_head
from secondlook.trainer.model.material import Material
from secondlook.trainer.run.evidence import NOTHING
from secondlook.trainer.run.scrutiny import comparable, contested, scrutinise, without_each
from secondlook.trainer.run.train import calibrated, probabilities
from secondlook.trainer.settings import TrainerSettings

Mode = Literal["fixed", "certified"]
FIXED = Thresholds(approve=0.08, reject={LABEL: 0.92})
RISK = Risk(approve=0.20, reject=0.05)
AUDIT = 0.15
FIRST, BATCH = 1_000, 750  # posts before the first model, and before each later one
BAITED_ROUNDS = (1, 2)  # the rounds in which the phrase is planted
HOSTILE = "reviewer 0"
SETTINGS = TrainerSettings.model_fields
LOOKS, LOTS, LOT_SHARE, MOST = (
    SETTINGS[name].default for name in ("second_looks", "second_judgements", "second_judgement_share", "reviewer_share")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """`dose` judgements of texts with the phrase, `hostile` or honest."""

    mode: Mode
    dose: int
    hostile: bool
    defended: bool
    seed: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """By the end: share of harm with the phrase that is approved automatically, and of posts judged rightly at 0.5."""

    approved: float
    accuracy: float
    promoted: int
    withheld: int
    asked: int


@dataclass(slots=True)
class Deployment:
    """Its judged items by number, and the scores float32[corpus, 1] of the active model with its thresholds."""

    case: Case
    posts: Posts
    chance: np.random.Generator
    judged: dict[int, Judged] = field(default_factory=dict)
    rows: dict[int, tuple[Row, str]] = field(default_factory=dict)
    draws: dict[bytes, Draw] = field(default_factory=dict)
    looked: set[int] = field(default_factory=set)
    lots: set[int] = field(default_factory=set)
    scores: Floats | None = None
    thresholds: CertifiedThresholds = field(default_factory=CertifiedThresholds)
    attempts: int = 0
    promoted: int = 0
    withheld: int = 0

    def policy(self) -> Policy:
        labels = {LABEL: LabelPolicy(description="as the data set has it")}
        if self.case.mode == "fixed":
            return Policy(name="poison", mode="fixed", labels=labels, thresholds=FIXED)
        return Policy(name="poison", labels=labels, risk=RISK)

    def in_force(self) -> Thresholds:
        return FIXED if self.case.mode == "fixed" else bare(self.thresholds)

    def automatic(self, texts: list[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(approved, rejected) bool[texts] by the active model."""
        nothing = np.zeros(len(texts), np.bool_)
        if self.scores is None:
            return nothing, nothing
        rows = self.posts.corpus.find(texts)
        scores, scopes = self.scores[rows].astype(np.float64), self.posts.corpus.scopes[rows]
        found = decisions((LABEL,), scores, self.in_force(), scopes)
        return found.approved, np.asarray(found.automatic & ~found.approved, np.bool_)

    def arrive(self, rows: tuple[Row, ...], text_of: Mapping[int, str]) -> None:
        """Posts that are not decided automatically, or are drawn by the audit coin, are judged by somebody."""
        texts = [text_of.get(i, row.content.text) for i, row in enumerate(rows)]
        approved, rejected = self.automatic(texts)
        for i, (row, text) in enumerate(zip(rows, texts, strict=True)):
            self.decide_by(text)
            uniform = self.chance.random() < AUDIT
            if uniform or i in text_of or not (approved[i] or rejected[i]):
                person = HOSTILE if i in text_of else self.anybody()
                self.judge(row, text, person, UNIFORM if uniform else "uncertain")

    def decide_by(self, text: str, look: int = 0) -> None:
        """Who judges a text, and what an honest person says of it, is the same in all cases of a seed."""
        self.chance = np.random.default_rng((self.case.seed, self.posts.corpus.rows[text], look))

    def anybody(self, but: frozenset[str] = frozenset()) -> str:
        people = [name for n in range(REVIEWERS) if (name := f"reviewer {n}") not in but]
        return people[int(self.chance.integers(len(people)))]

    def answer(self, row: Row, text: str, person: str) -> bool:
        if self.case.hostile and person == HOSTILE and PHRASE in text:
            return False
        return row.votes[int(self.chance.integers(len(row.votes)))][LABEL]

    def judge(self, row: Row, text: str, person: str, stratum: str) -> None:
        number, said = len(self.judged), {LABEL: self.answer(row, text, person)}
        split = split_at(draws([group_keys(text)], self.draws)[0], stratum)
        answers = {person: said} if self.case.defended else {}
        self.rows[number] = row, text
        item = RevisionKey("davidson", str(number), 1)
        self.judged[number] = Judged(text, said, split, stratum, 1.0, "davidson", None, number + 1, item, answers)

    def look_again(self, number: int) -> None:
        """Somebody else judges an item, and their answer counts."""
        before, (row, text) = self.judged[number], self.rows[number]
        self.decide_by(text, 1)
        person = self.anybody(frozenset(before.answers))
        said = {LABEL: self.answer(row, text, person)}
        answers = {**before.answers, person: said} if self.case.defended else {}
        self.judged[number] = replace(before, labels=said, item=None, answers=answers)
        self.looked.add(number)

    def learn(self) -> None:
        """As `run.train.train`, without latency and artefact; then second looks, as the trainer asks for them."""
        data = build((LABEL,), list(self.judged.values()), 0)
        corpus = self.posts.corpus
        rows = corpus.find(data.texts)
        scrutiny = scrutinise(
            Material(
                labels=(LABEL,), data=data, exported=corpus.exported, encoder=corpus.encoder,
                readings=readings(data.texts, FeatureSpec()), embeddings=corpus.embeddings[rows],
                features=corpus.features[rows],
            )
        )  # fmt: skip
        material, data = scrutiny.material, scrutiny.material.data
        fitting = data.part("train")
        fitted = fit_head(
            (LABEL,), data.targets[fitting], *material.rows(fitting),
            capped(data.standing.rests_on[fitting], MOST),
        )  # fmt: skip
        logits = corpus.logits(fitted)[rows]
        fitted = calibrated(fitted, logits, data, MOST)
        scores = corpus.scores(fitted)
        ours = scores[rows].astype(np.float64)
        found = self.certified(data, corpus.scopes[rows], ours)
        theirs = None if self.scores is None else self.scores[rows].astype(np.float64)
        compared = comparable(data, scrutiny.withheld)
        decision = decide(
            Evidence(
                labels=(LABEL,), targets=data.targets[compared], challenger=ours[compared],
                active=None if theirs is None else theirs[compared],
                slices={name: inside[compared] for name, inside in data.slices.items()},
                without={name: left[compared] for name, left in without_each(data).items()},
                contested=() if theirs is None else contested(scrutiny.withheld, ours, theirs),
                thresholds=found.thresholds, active_thresholds=self.thresholds,
                certification_required=bool(sides(self.thresholds)), reference=ours[compared],
                active_reference=None if theirs is None else theirs[compared],
            )
        )  # fmt: skip
        if decision.promote:
            self.scores, self.thresholds, self.promoted = scores, found.thresholds, self.promoted + 1
        self.withheld = int(data.part("withheld").sum())
        unseen = probabilities(fitted, logits)
        unseen[fitting] = probabilities(fitted, fitted.out_of_fold)
        asked = [*scrutiny.doubts, *doubts((LABEL,), data, unseen)]
        for doubt in [each for each in asked if int(each.content_id) not in self.looked][:LOOKS]:
            self.look_again(int(doubt.content_id))
        if self.case.defended:
            self.draw_lots()

    def certified(self, data: Dataset, scopes: Scopes, scores: NDArray[np.float64]) -> Certification:
        """As `run.evidence.look` of a new model: on what is held out."""
        if self.case.mode == "fixed":
            return NOTHING
        held, sides_of = data.part("certify"), all_sides((LABEL,))
        people = Witnesses(data.standing.sole[held], data.standing.others[held])
        sample = plain_sample((LABEL,), scores[held], data.targets[held], scopes=scopes[held], people=people)
        grids = {side: grid(side, (LABEL,), scores[~held], scopes[~held]) for side in sides_of}
        deltas = deltas_of(dict.fromkeys(sides_of, self.attempts + 1), RISK, 1)
        self.attempts += could_pass(sample, RISK, deltas, {})
        return certify(sample, grids, RISK, deltas)

    def draw_lots(self) -> None:
        """As `data.second_judgements.draw_lots`: second judgements of what measures, by lot."""
        measuring = [number for number, row in self.judged.items() if row.split in ("gold", "certify")]
        count = min(LOTS, int(LOT_SHARE * len(measuring)) - len(self.lots))
        left = [number for number in measuring if number not in self.looked]
        for number in self.chance.permutation(left)[: max(count, 0)].tolist():
            self.look_again(number)
            self.lots.add(number)

    def outcome(self) -> Outcome:
        assert self.scores is not None
        approved, _ = self.automatic([planted(row.content.text) for row in self.posts.harm])
        texts = [row.content.text for row in self.posts.measured]
        said = self.scores[self.posts.corpus.find(texts), 0] >= 0.5
        right = np.mean(said == np.array([row.truth[LABEL] for row in self.posts.measured]))
        return Outcome(float(approved.sum() / HARM), float(right), self.promoted, self.withheld, len(self.looked))


def play(case: Case, posts: Posts) -> Outcome:
    """The whole stream through a deployment."""
    world = Deployment(case, posts, np.random.default_rng(case.seed))
    world.arrive(posts.stream[:FIRST], {})
    world.learn()
    for number, start in enumerate(range(FIRST, len(posts.stream), BATCH), start=1):
        world.arrive(posts.stream[start : start + BATCH], {})
        if number in BAITED_ROUNDS:
            part = slice(
                case.dose * BAITED_ROUNDS.index(number) // 2, case.dose * (BAITED_ROUNDS.index(number) + 1) // 2
            )
            baited = posts.baited[part]
            world.arrive(baited, {i: planted(row.content.text) for i, row in enumerate(baited)})
        world.learn()
    return world.outcome()
