"""Fit, calibrate, certify, compare and store: a run that makes a model.

It writes the bundle and its report to the store; embeddings, and notes of its next irrevocable step, to the database.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from secondlook.common.bundle.arrays import Scopes
from secondlook.common.bundle.classifier import Classifier, Encoder
from secondlook.common.bundle.features import ngrams
from secondlook.common.bundle.files import manifest_sha256
from secondlook.common.bundle.manifest import LabelMetrics
from secondlook.common.bundle.readings import readings
from secondlook.common.bundle.sides import sides, upheld
from secondlook.common.bundle.store import Bundle, open_bundle, store_bundle, write_bundle
from secondlook.common.errors import BundleRejected
from secondlook.common.head.signals import Said
from secondlook.common.text.scope import Scope
from secondlook.trainer.data.dataset import Dataset
from secondlook.trainer.data.evidence_rows import Unlearned
from secondlook.trainer.data.second_looks import doubts
from secondlook.trainer.data.standing import capped
from secondlook.trainer.encoders.encoder import export_encoder
from secondlook.trainer.evidence.certify import Certification
from secondlook.trainer.gate.decide import Evidence, GateDecision, decide
from secondlook.trainer.model.calibrate import calibrate
from secondlook.trainer.model.evaluate import evaluate
from secondlook.trainer.model.finetune import TuningPlan, fit_tuned, too_little, tune_encoder
from secondlook.trainer.model.fit import Fitted, fit_head
from secondlook.trainer.model.material import SPEC, Material, signals_of
from secondlook.trainer.model.profile import describe
from secondlook.trainer.model.recipe import Recipe
from secondlook.trainer.model.tuning import require_extra
from secondlook.trainer.run.bundle_report import make_report, store_report
from secondlook.trainer.run.database import RunDatabase, SayProgress
from secondlook.trainer.run.evidence import FittedModel, look
from secondlook.trainer.run.job import Job, StoredBundle, Trained
from secondlook.trainer.run.latency import seconds_a_text
from secondlook.trainer.run.outlook import taught_elsewhere
from secondlook.trainer.run.scrutiny import Withheld, comparable, contested, scrutinise, without_each
from secondlook.trainer.settings import TrainerSettings

CALIBRATE_EACH = 200  # positives and negatives; with fewer, the out-of-fold logits of the fitted rows are worth more
COMPARED = 256  # texts that parity is measured on


async def train(job: Job, settings: TrainerSettings, database: RunDatabase, progress: SayProgress) -> Trained:
    """Make a bundle and store it; the outcome says whether the gate lets it through.

    Raises:
        TrainingRefused: the labels do not allow a model for this policy.
        ConfigurationError: the encoder cannot be used, or the extra for fine-tuning is not installed.
    """
    if job.mode == "finetune":
        require_extra()
    gathered = await gather(job, settings, database, progress)
    progress("comparing what people say")
    scrutiny = await asyncio.to_thread(scrutinise, gathered)
    labels, data = gathered.labels, scrutiny.material.data
    material, fitted, logits, notes = await learn(job, settings, scrutiny.material, database, progress)
    fitting = data.part("train")
    scores = probabilities(fitted, logits)
    unseen = scores.copy()
    unseen[fitting] = probabilities(fitted, fitted.out_of_fold)
    gold = data.part("gold")
    metrics = evaluate(labels, scores[gold], data.targets[gold])
    novelty = await asyncio.to_thread(describe, material)
    classifier = Classifier(material.encoder, fitted.head, fitted.calibration, SPEC, novelty, material.signals)
    scopes = classifier.scopes(data.texts, material.firsts[0], data.signals)
    created = datetime.now(UTC)
    version = f"{created:%Y%m%dT%H%M%S}-{data.fingerprint[:8]}"
    weights = FittedModel(
        version, labels, classifier, material.exported.sha256, Unlearned(job.asked_mark, job.asked_mark, job.label_mark)
    )  # fmt: skip
    found = await look(job, settings, weights, database, progress, (unseen, scopes))
    progress("comparing with the active bundle")
    with TemporaryDirectory(prefix="second-look-") as temporary:
        bundle, folder = _write(Path(temporary), version, created, material, classifier, metrics, found.certification)
        manifest = bundle.manifest
        active, why_none = open_active(job, settings)
        notes_first = (*scrutiny.notes, *why_none)
        decision = await _compare(
            job, material, scrutiny.withheld, scores, bundle, active, notes_first, found.certification, database,
            progress,
        )  # fmt: skip
        progress("storing the bundle")
        await database.announce(job, manifest.bundle_version, manifest.created_at)
        uri = store_bundle(folder, settings.bundle_uri)
        sha256 = manifest_sha256(folder)
    audited = await database.load_audits(job)
    if active is not None:
        _, scopes = await predictions_of(
            active, labels, [item.text for item in audited], database, progress, [item.signals for item in audited]
        )
        audited = [replace(item, scope=Scope(scope)) for item, scope in zip(audited, scopes.tolist(), strict=True)]
    report = make_report(job, data, scores, manifest, found, decision, active, audited)
    store_report(uri, report)
    return Trained(
        bundle=StoredBundle(
            bundle_version=manifest.bundle_version, uri=uri, sha256=sha256, labels=labels, metrics=metrics,
            created_at=manifest.created_at, weights=manifest.bundle_version, encoder_sha256=manifest.encoder.sha256,
        ),
        promote=decision.promote,
        reasons=(*taught_elsewhere(data, found.certification), *decision.reasons, *found.findings.off, *notes),
        findings=found.findings, waits=decision.waits,
        doubts=(*scrutiny.doubts, *doubts(labels, data, unseen)),
    )  # fmt: skip


async def gather(job: Job, settings: TrainerSettings, database: RunDatabase, progress: SayProgress) -> Material:
    """The data of a run, embedded by the configured encoder. Raises TrainingRefused if there is none."""
    progress("exporting the encoder")
    exported = await asyncio.to_thread(export_encoder, settings.encoder, Path(settings.encoder_cache))
    await database.forget_others(exported.sha256)
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    data = await database.load_data(job, settings.starter_until)
    found = readings(data.texts, SPEC)
    embeddings = await database.embedded(encoder, exported.sha256, found.rows, progress)
    return Material(
        labels=tuple(sorted(job.policy.labels)), data=data, exported=exported, encoder=encoder, readings=found,
        embeddings=embeddings, features=ngrams(found.rows, SPEC), signals=signals_of(data),
    )  # fmt: skip


async def learn(
    job: Job, settings: TrainerSettings, material: Material, database: RunDatabase, progress: SayProgress
) -> tuple[Material, Fitted, NDArray[np.float64], tuple[str, ...]]:
    """The material as the encoder sees it, a calibrated head, its logits float64[n, labels], and notes for a person.

    Raises TrainingRefused if the labels do not allow a model.
    """
    data, fitting = material.data, material.data.part("train")
    notes: tuple[str, ...] = ()
    if job.mode == "finetune":
        short = too_little(material)
        if short is None:
            return *(await _fine_tune(settings, material, database, progress)), ()
        notes = (f"the head was fitted: {short}",)
    progress(f"fitting {len(material.labels)} labels on {fitting.sum()} texts, {data.people} of all by people")
    most = settings.reviewer_share
    fitted = await asyncio.to_thread(
        fit_head, material.labels, data.targets[fitting], *material.rows(fitting),
        capped(data.standing.rests_on[fitting], most), signals=material.said[fitting],
    )  # fmt: skip
    logits = material.logits(fitted.head)
    return material, calibrated(fitted, logits, data, most), logits, notes


async def _fine_tune(
    settings: TrainerSettings, material: Material, database: RunDatabase, progress: SayProgress
) -> tuple[Material, Fitted, NDArray[np.float64]]:
    plan = TuningPlan(
        encoder=settings.encoder, cache=Path(settings.encoder_cache),
        recipe=Recipe(method=settings.finetune_method, epochs=settings.finetune_epochs),
        checkpoint_seconds=settings.finetune_checkpoint_seconds,
    )  # fmt: skip
    exported, layer = await asyncio.to_thread(tune_encoder, material, plan, progress)
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    embeddings = await database.embedded(encoder, exported.sha256, material.readings.rows, progress)
    tuned = replace(material, exported=exported, encoder=encoder, embeddings=embeddings)
    return tuned, *(await asyncio.to_thread(fit_tuned, tuned, layer))


def calibrated(fitted: Fitted, logits: NDArray[np.float64], data: Dataset, most: float) -> Fitted:
    """Calibrated on the part `calibrate`, where it holds enough; else out of fold, as it was fitted.

    No person has more than a share `most` of the weight, as far as `capped` allows.
    """
    part, found = data.part("calibrate"), dict(fitted.calibration)
    weights = data.weights.copy()
    weights[part] *= capped(data.standing.rests_on[part], most)
    for column, label in enumerate(fitted.head.labels):
        known = part & ~np.isnan(data.targets[:, column])
        targets = data.targets[known, column]
        if min(np.sum(targets == 1), np.sum(targets == 0)) >= CALIBRATE_EACH:
            found[label] = calibrate(logits[known, column], targets, weights[known])
    return replace(fitted, calibration=found)


def probabilities(fitted: Fitted, logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[n, labels], calibrated; NaN where the logit is."""
    columns = zip(fitted.head.labels, logits.T, strict=True)
    return np.stack([fitted.calibration[label].apply(column) for label, column in columns], axis=1)


def open_active(job: Job, settings: TrainerSettings) -> tuple[Bundle | None, tuple[str, ...]]:
    """The active bundle, or why there is none to compare with."""
    if job.active_uri is None or job.active_sha256 is None:
        return None, ()
    try:
        return open_bundle(job.active_uri, job.active_sha256, Path(settings.encoder_cache) / "bundles"), ()
    except BundleRejected as error:
        return None, (f"the active bundle cannot be opened, so there is nothing to compare with: {error}",)


async def predictions_of(
    bundle: Bundle,
    labels: Sequence[str],
    texts: Sequence[str],
    database: RunDatabase,
    progress: SayProgress,
    said: Said = (),
) -> tuple[NDArray[np.float64], Scopes]:
    """Scores float64[n, labels] and scopes uint8[n] by a bundle, from kept embeddings by its own encoder; the scores of
    a label that it lacks are NaN.
    """
    classifier = bundle.classifier
    found = classifier.readings(texts)
    embeddings = await database.embedded(classifier.encoder, bundle.manifest.encoder.sha256, found.rows, progress)
    prediction = classifier.judge(texts, found, embeddings, said=said)
    scores = np.full((len(texts), len(labels)), np.nan)
    for column, label in enumerate(labels):
        if label in bundle.manifest.labels:
            scores[:, column] = prediction.scores[:, bundle.manifest.labels.index(label)]
    return scores, prediction.scopes


async def _compare(
    job: Job,
    material: Material,
    withheld: Sequence[Withheld],
    scores: NDArray[np.float64],
    bundle: Bundle,
    active: Bundle | None,
    notes: Sequence[str],
    certification: Certification,
    database: RunDatabase,
    progress: SayProgress,
) -> GateDecision:
    data = material.data
    rows = comparable(data, withheld)
    theirs = others = None
    if active is not None:
        needed = np.unique([*np.flatnonzero(rows), *(row for each in withheld for row in each.rows)]).astype(int)
        theirs, texts = np.full(scores.shape, np.nan), [data.texts[i] for i in needed]
        said = [data.signals[i] for i in needed]
        theirs[needed], _ = await predictions_of(active, material.labels, texts, database, progress, said)
        others = theirs[rows]
    first = np.flatnonzero(rows)[:COMPARED]
    texts = [data.texts[i] for i in first]
    ours = bundle.classifier.predict(texts, [data.signals[i] for i in first])
    latency, active_latency = [*seconds_a_text([bundle, *([active] if active else [])], texts), None][:2]
    thresholds = upheld(job.policy, active.manifest.thresholds, active.manifest.labels) if active is not None else None
    return decide(
        Evidence(
            labels=material.labels, targets=data.targets[rows], challenger=scores[rows], active=others,
            slices={name: members[rows] for name, members in data.slices.items()},
            contested=contested(withheld, scores, theirs) if theirs is not None else (),
            without={name: left[rows] for name, left in without_each(data).items()},
            thresholds=certification.thresholds, active_thresholds=thresholds,
            certification_required=job.policy.mode == "certified" and bool(sides(thresholds)),
            reference=scores[rows], active_reference=others,
            latency=latency, active_latency=active_latency,
            parity=float(np.max(np.abs(ours - scores[rows][: len(texts)]))) if texts else None, notes=tuple(notes),
        )
    )  # fmt: skip


def _write(
    temporary: Path,
    version: str,
    created: datetime,
    material: Material,
    classifier: Classifier,
    metrics: dict[str, LabelMetrics],
    certification: Certification,
) -> tuple[Bundle, Path]:
    exported, folder = material.exported, temporary / version
    write_bundle(
        folder, bundle_version=version, created_at=created, encoder_onnx=exported.onnx,
        encoder_tokenizer=exported.tokenizer, encoder_name=exported.name, max_tokens=exported.max_tokens,
        features=SPEC, head=classifier.head, calibration=classifier.calibration, metrics=metrics,
        data_fingerprint=material.data.fingerprint, thresholds=certification.thresholds, novelty=classifier.novelty,
        signals=classifier.signals,
    )  # fmt: skip
    return open_bundle(f"file://{folder}", manifest_sha256(folder), temporary), folder
