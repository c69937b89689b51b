"""A run's look at the evidence: what people said of items that the model did not learn from, and what that
certifies."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Scopes
from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.classifier import Classifier
from secondlook.common.bundle.sides import automatable
from secondlook.common.contract.policy import Policy
from secondlook.common.text.language import spoken
from secondlook.trainer import certification
from secondlook.trainer.data import evidence_rows
from secondlook.trainer.data.evidence_rows import EvidenceRow, Unlearned
from secondlook.trainer.data.standing import standing
from secondlook.trainer.evidence.certify import Certification, SideOff, all_sides, certify, could_pass, deltas_of
from secondlook.trainer.evidence.declared import check_declared
from secondlook.trainer.evidence.findings import Findings
from secondlook.trainer.evidence.frontier import frontier
from secondlook.trainer.evidence.grid import grid
from secondlook.trainer.evidence.sample import NOBODY, Sample, Witnesses
from secondlook.trainer.run.database import RunDatabase, SayProgress
from secondlook.trainer.run.job import Job
from secondlook.trainer.run.outlook import findings
from secondlook.trainer.settings import TrainerSettings

CHUNK = 5_000  # texts that are scored together
NOTHING, NO_FINDINGS = Certification(CertifiedThresholds(), ()), Findings()


@dataclass(frozen=True, slots=True)
class Found:
    """What a look found. Without a `sample` nothing was looked at: the policy sets thresholds by hand."""

    certification: Certification = NOTHING
    sample: Sample | None = None
    findings: Findings = NO_FINDINGS


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A model whose evidence is looked at; `new` are the items that it did not learn from."""

    name: str
    labels: tuple[str, ...]
    classifier: Classifier
    encoder_sha256: str
    new: Unlearned


async def look(
    job: Job,
    settings: TrainerSettings,
    weights: FittedModel,
    database: RunDatabase,
    progress: SayProgress,
    reference: tuple[NDArray[np.float64], Scopes] | None = None,
) -> Found:
    """What can be certified now; nothing in mode fixed.

    `reference`: scores float64[m, labels] of the policy's labels, and scopes uint8[m], of other traffic, by which
    thresholds are laid out; by the sample's own if not given.
    """
    if job.policy.mode != "certified":
        return Found()
    sample, contradicted = check_declared(await load_sample(job, weights, database, progress))
    pool, claim, now = database.pool, certification.claim_of(job.policy), datetime.now(UTC)
    sides, marks = all_sides(sample.labels), await certification.marks(pool)
    scores, scopes = reference if reference is not None else (sample.scores, sample.scopes)
    fixed = await certification.grids(pool, claim, weights.name)
    laid_out = {side: grid(side, sample.labels, scores, scopes) for side in sides if side not in fixed}
    grids = await certification.keep_grids(pool, claim, weights.name, laid_out)
    numbers = await certification.numbers(pool, claim, weights.name, sides, marks)
    deltas = deltas_of(numbers, job.policy.risk, len(sample.labels))
    tried, least = max(weights.new.learned, job.tried_mark), settings.certify_labels
    learned = await evidence_rows.learned_from(pool, tried)
    if learned >= least and could_pass(sample, job.policy.risk, deltas, marks):
        numbers = await certification.grant(database.database, claim, weights.name, sides, marks, now)
        deltas = deltas_of(numbers, job.policy.risk, len(sample.labels))
    progress("certifying")
    found = await asyncio.to_thread(certify, sample, grids, job.policy.risk, deltas, marks)
    if learned < least:
        found = too_young(found, f"models have learned from {learned:,} judged texts, and it takes {least:,}")
    a_day = await evidence_rows.content_a_day(pool, now)
    points = await asyncio.to_thread(frontier, sample, grids, job.policy, deltas, marks, a_day)
    return Found(found, sample, findings(job, found, sample, points, contradicted))


def too_young(found: Certification, why: str) -> Certification:
    """No side on: a model that is about to be replaced by a better one spends nothing."""
    known = {each.side: each.evidence for each in found.off} | {each.side: each for each in found.evidence}
    return Certification(
        CertifiedThresholds(), tuple(SideOff(side, why, known[side]) for side in known), found.evidence
    )


async def load_sample(job: Job, weights: FittedModel, database: RunDatabase, progress: SayProgress) -> Sample:
    """All that people were asked about and that the weights did not learn from, scored by them."""
    pool, span = database.pool, weights.new
    new = await evidence_rows.unscored(pool, weights.name, span)
    for start in range(0, len(new), CHUNK):
        progress(f"scored {start} of {len(new)} new texts")
        part = new[start : start + CHUNK]
        texts, said = [text for _, text, _ in part], [signals for *_, signals in part]
        found = weights.classifier.readings(texts)
        embeddings = await database.embedded(
            weights.classifier.encoder, weights.encoder_sha256, found.rows, progress
        )  # fmt: skip
        judged = await asyncio.to_thread(weights.classifier.judge, texts, found, embeddings, None, said)
        await evidence_rows.save_scores(
            pool, weights.name,
            [
                (number, [float(score) for score in row], int(scope))
                for (number, *_), row, scope in zip(part, judged.scores, judged.scopes, strict=True)
            ],
        )  # fmt: skip
    rows = await evidence_rows.load_evidence(pool, weights.name, span, job.label_mark)
    return sample_of(job.policy, weights.labels, rows, await evidence_rows.load_scores(pool, weights.name))


def sample_of(
    policy: Policy, labels: Sequence[str], rows: Sequence[EvidenceRow], scored: Mapping[int, tuple[list[float], int]]
) -> Sample:
    """The rows as arrays, for the labels of the policy; `labels` are those of the scores. Pure."""
    wanted = sorted(policy.labels)
    scores, targets = np.full((2, len(rows), len(wanted)), np.nan)
    scopes = np.zeros(len(rows), np.uint8)
    for number, row in enumerate(rows):
        values, scopes[number] = scored[row.number]
        said = row.settled or {}
        for column, label in enumerate(wanted):
            if label in labels:
                scores[number, column] = values[labels.index(label)]
            if label in said:
                targets[number, column] = said[label]
    behind = standing(wanted, [row.settled or {} for row in rows], [row.answers for row in rows])
    least = np.array([row.least for row in rows], np.float64).reshape(len(rows), 2)
    declared = np.array([row.declared for row in rows], np.bool_)
    # Somebody vouches for a declared file as a whole, whoever is named in it.
    sole = np.where(declared[:, None], NOBODY, behind.sole)
    taken_back = np.array([row.settled == {} for row in rows], np.bool_)
    gone = np.array([row.gone for row in rows], np.bool_) | taken_back
    return Sample(
        labels=tuple(wanted), scores=scores, scopes=scopes, targets=targets,
        waiting=np.array([row.settled is None for row in rows], np.bool_) & ~gone, gone=gone,
        u=np.array([row.u for row in rows], np.float64), approve=least[:, 0], reject=least[:, 1],
        automatable=np.array([_automatable(policy, row) for row in rows], np.bool_),
        numbers=np.array([row.number for row in rows], np.int64),
        clusters=tuple(tuple(row.keys) for row in rows), declared=declared,
        people=Witnesses(sole, behind.others),
    )  # fmt: skip


def _automatable(policy: Policy, row: EvidenceRow) -> bool:
    language = spoken(row.language, row.text) if policy.asks_for_language else None
    return automatable(policy, row.source, row.kind, language, row.signals)
