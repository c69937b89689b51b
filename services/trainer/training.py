"""Fit, calibrate, certify, compare and store: what a training run does. No side effects but files and embeddings."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from services.common.bundle import Bundle, manifest_sha256, open_bundle, store_bundle, write_bundle
from services.common.classifier import Encoder, Floats
from services.common.errors import BundleRejected, TrainingRefused
from services.common.features import FeatureSpec, ngrams
from services.common.manifest import CertifiedThresholds, LabelMetrics
from services.common.postgres import Database
from services.trainer.calibrate import calibrate
from services.trainer.certify import Certification, certify
from services.trainer.dataset import Dataset, build, load_judged
from services.trainer.embeddings import embed
from services.trainer.encoder import ExportedEncoder, export_encoder
from services.trainer.evaluate import evaluate
from services.trainer.fit import Fitted, fit_head
from services.trainer.gate import Evidence, GateDecision, decide
from services.trainer.publish import publish_report
from services.trainer.reissue import sides
from services.trainer.runner import Job
from services.trainer.settings import TrainerSettings

SPEC = FeatureSpec()
CALIBRATE_EACH = 200  # positives and negatives; with fewer, all that was fitted out of fold says more
REFERENCE = 100  # items of uniform traffic that thresholds are laid out by; with fewer, all that is not certified on
COMPARED = 256  # texts that parity is measured on
TIMED, LATENCY_ROUNDS = 64, 8  # texts and passes that latency is measured by
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Material:
    """The data set with what the encoder and the hashing make of its texts."""

    labels: tuple[str, ...]
    data: Dataset
    exported: ExportedEncoder
    encoder: Encoder
    embeddings: Floats
    features: sp.csr_matrix


async def train(job: Job, settings: TrainerSettings, progress: Progress) -> dict[str, Any]:
    """Make a bundle and store it; the result says whether the gate lets it through.

    Raises:
        TrainingRefused: the labels do not allow a model for this policy.
    """
    material = await gather(job, settings, progress)
    labels, data = material.labels, material.data
    fitting = data.part("train")
    progress(f"fitting {len(labels)} labels on {fitting.sum()} texts, {data.people} of all were labelled by people")
    fitted = fit_head(labels, data.targets[fitting], material.embeddings[fitting], material.features[fitting])
    logits = fitted.head.logits(material.embeddings, material.features).astype(np.float64)
    fitted = calibrated(fitted, logits, data)
    scores = np.stack([fitted.calibration[label].apply(logits[:, i]) for i, label in enumerate(labels)], axis=1)
    gold = data.part("gold")
    metrics = evaluate(labels, scores[gold], data.targets[gold])
    progress("certifying")
    certification = certified(job, material, scores)
    progress("comparing with the active bundle")
    with TemporaryDirectory(prefix="second-look-") as temporary:
        bundle, folder = _write(Path(temporary), material, fitted, metrics, certification.thresholds)
        active, notes = open_active(job, settings)
        decision = _compare(job, material, scores, bundle, active, notes, certification)
        progress("storing the bundle")
        uri = store_bundle(folder, settings.bundle_uri)
        sha256 = manifest_sha256(folder)
    manifest = bundle.manifest
    publish_report(uri, job, data, scores, manifest, certification, decision, active)
    return {
        "bundle_version": manifest.bundle_version, "uri": uri, "sha256": sha256, "labels": list(labels),
        "metrics": {label: measured.model_dump() for label, measured in metrics.items()},
        "created_at": manifest.created_at.isoformat(), "promote": decision.promote,
        "reasons": [*decision.reasons, *certification.reasons], "spent": certification.spent,
        "off": list(certification.reasons), "weights": manifest.bundle_version,
    }  # fmt: skip


async def gather(job: Job, settings: TrainerSettings, progress: Progress) -> Material:
    """The data of a run. Raises TrainingRefused if there is none."""
    labels = tuple(sorted(job.policy.labels))
    progress("exporting the encoder")
    exported = export_encoder(settings.encoder, Path(settings.encoder_cache))
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    url = settings.database_url.get_secret_value()
    async with Database.open(url, "trainer", size=2) as database, database.pool.acquire() as connection:
        data = build(labels, await load_judged(connection, job.label_mark), settings.starter_until)
        if not data.texts:
            raise TrainingRefused("there are no labels for this policy")
        embeddings = await embed(
            connection, encoder, exported.sha256, data.texts,
            lambda done, total: progress(f"embedded {done} of {total} new texts"),
        )  # fmt: skip
    return Material(labels, data, exported, encoder, embeddings, ngrams(data.texts, SPEC))


def calibrated(fitted: Fitted, logits: NDArray[np.float64], data: Dataset) -> Fitted:
    """Calibrated on the part that is there for it, where it holds enough; else out of fold, as it was fitted."""
    part, found = data.part("calibrate"), dict(fitted.calibration)
    for column, label in enumerate(fitted.head.labels):
        known = part & ~np.isnan(data.targets[:, column])
        targets = data.targets[known, column]
        if min(np.sum(targets == 1), np.sum(targets == 0)) >= CALIBRATE_EACH:
            found[label] = calibrate(logits[known, column], targets, data.weights[known])
    return replace(fitted, calibration=found)


def certified(job: Job, material: Material, scores: NDArray[np.float64]) -> Certification:
    """Thresholds that the certify items allow; without an attempt to spend, none."""
    if job.attempt is None:
        return Certification(CertifiedThresholds(), (), spent=False)
    data = material.data
    judged = data.part("certify") & (data.received > job.after)
    reference = data.part("gold") & (data.strata == "uniform")
    if reference.sum() < REFERENCE:
        reference = ~data.part("certify")
    texts = [data.texts[i] for i in np.flatnonzero(judged)]
    return certify(
        material.labels, scores[judged], data.targets[judged], scores[reference], job.policy.risk,
        attempt=job.attempt, whole=material.encoder.reads_whole(texts),
    )  # fmt: skip


def open_active(job: Job, settings: TrainerSettings) -> tuple[Bundle | None, tuple[str, ...]]:
    """The active bundle, or why there is none to compare with."""
    if job.active_uri is None or job.active_sha256 is None:
        return None, ()
    try:
        return open_bundle(job.active_uri, job.active_sha256, Path(settings.encoder_cache) / "bundles"), ()
    except BundleRejected as error:
        return None, (f"the active bundle cannot be opened, so there is nothing to compare with: {error}",)


def scores_of(bundle: Bundle, material: Material, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64[rows, labels] of another bundle; a label that it does not have is NaN."""
    texts = [material.data.texts[i] for i in np.flatnonzero(rows)]
    if bundle.manifest.encoder.sha256 == material.exported.sha256:  # the usual case: nothing needs embedding again
        known = bundle.classifier.score(material.embeddings[rows], ngrams(texts, bundle.manifest.features))
    else:
        known = bundle.classifier.predict(texts)
    found = np.full((len(texts), len(material.labels)), np.nan)
    for column, label in enumerate(material.labels):
        if label in bundle.manifest.labels:
            found[:, column] = known[:, bundle.manifest.labels.index(label)]
    return found


def _compare(
    job: Job,
    material: Material,
    scores: NDArray[np.float64],
    bundle: Bundle,
    active: Bundle | None,
    notes: Sequence[str],
    certification: Certification,
) -> GateDecision:
    data = material.data
    rows = data.part("gold", "certify")
    texts = [data.texts[i] for i in np.flatnonzero(rows)][:COMPARED]
    ours = bundle.classifier.predict(texts)
    latency, active_latency = [*_seconds_a_text([bundle, *([active] if active else [])], texts[:TIMED]), None][:2]
    thresholds = active.manifest.thresholds if active is not None else None
    others = scores_of(active, material, rows) if active is not None else None
    return decide(
        Evidence(
            labels=material.labels, targets=data.targets[rows], challenger=scores[rows], active=others,
            slices={name: members[rows] for name, members in data.slices.items()},
            thresholds=certification.thresholds, active_thresholds=thresholds,
            certification_required=job.policy.mode == "certified" and bool(sides(thresholds)),
            reference=scores[rows], active_reference=others,
            latency=latency, active_latency=active_latency,
            parity=float(np.max(np.abs(ours - scores[rows][: len(texts)]))) if texts else None, notes=tuple(notes),
        )
    )  # fmt: skip


def _seconds_a_text(bundles: Sequence[Bundle], texts: Sequence[str]) -> list[float | None]:
    """The fastest of several passes of each. They take turns, so that what else the machine does falls on all."""
    best: list[float | None] = [None] * len(bundles)
    for _ in range(LATENCY_ROUNDS if texts else 0):
        for number, bundle in enumerate(bundles):
            began = time.perf_counter()
            bundle.classifier.predict(texts)
            seconds = (time.perf_counter() - began) / len(texts)
            best[number] = min(seconds, best[number] or seconds)
    return best


def _write(
    temporary: Path,
    material: Material,
    fitted: Fitted,
    metrics: dict[str, LabelMetrics],
    thresholds: CertifiedThresholds,
) -> tuple[Bundle, Path]:
    created = datetime.now(UTC)
    version = f"{created:%Y%m%dT%H%M%S}-{material.data.fingerprint[:8]}"
    exported, folder = material.exported, temporary / version
    write_bundle(
        folder, bundle_version=version, created_at=created, encoder_onnx=exported.onnx,
        encoder_tokenizer=exported.tokenizer, encoder_name=exported.name, max_tokens=exported.max_tokens,
        features=SPEC, head=fitted.head, calibration=fitted.calibration, metrics=metrics,
        data_fingerprint=material.data.fingerprint, thresholds=thresholds,
    )  # fmt: skip
    return open_bundle(folder.as_uri(), manifest_sha256(folder), temporary), folder
