"""One training run, as a process: `python -m services.trainer.job`.

Standard input: the job as one JSON line; when it closes, the process ends, so it never outlives the trainer.
Standard output: JSON lines, `{"progress": words}` any number of times, then one result: either `{"refused": why}`, or
`bundle_version`, `uri`, `sha256`, `labels`, `metrics`, `created_at`, `promote`, `reasons`.
"""

import asyncio
import json
import os
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from services.common.bundle import manifest_sha256, open_bundle, store_bundle, write_bundle
from services.common.classifier import Encoder, Floats
from services.common.errors import BundleRejected, ConfigurationError, TrainingRefused
from services.common.features import FeatureSpec, ngrams
from services.common.manifest import LabelMetrics
from services.common.postgres import Database
from services.trainer.dataset import Dataset, build, load_judged
from services.trainer.embeddings import embed
from services.trainer.encoder import ExportedEncoder, export_encoder
from services.trainer.evaluate import evaluate
from services.trainer.fit import Fitted, fit_head
from services.trainer.gate import GateDecision, compare
from services.trainer.runner import Job
from services.trainer.settings import TrainerSettings

SPEC = FeatureSpec()


def say(message: dict[str, Any]) -> None:
    """One line to the trainer."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def progress(words: str) -> None:
    say({"progress": words})


async def train(job: Job, settings: TrainerSettings) -> dict[str, Any]:
    """Fit, measure and store a bundle; the result says whether the gate lets it through.

    Raises:
        TrainingRefused: the labels do not allow a model for this policy.
    """
    labels = sorted(job.policy.labels)
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
    features = ngrams(data.texts, SPEC)
    fitting, holdout = ~data.holdout, data.holdout
    progress(f"fitting {len(labels)} labels on {fitting.sum()} texts, {data.people} of all were labelled by people")
    fitted = fit_head(labels, data.targets[fitting], embeddings[fitting], features[fitting])
    progress("comparing with the active bundle")
    logits = fitted.head.logits(embeddings[holdout], features[holdout])
    scores = np.stack([fitted.calibration[label].apply(logits[:, i]) for i, label in enumerate(labels)], axis=1)
    metrics = evaluate(labels, scores, data.targets[holdout])
    cache = Path(settings.encoder_cache) / "bundles"
    active, notes = _measure_active(job, labels, data, embeddings, exported.sha256, cache)
    decision = compare(metrics, active, policy_labels=labels)
    progress("storing the bundle")
    stored = _store(settings, exported, fitted, metrics, data)
    return {**stored, **_verdict(decision, notes), "labels": labels, "metrics": _plain(metrics)}


def _measure_active(
    job: Job, labels: list[str], data: Dataset, embeddings: Floats, encoder_sha256: str, cache: Path
) -> tuple[dict[str, LabelMetrics] | None, list[str]]:
    """The active bundle's metrics on the same hold-out, for the labels it has; None if it cannot be opened."""
    if job.active_uri is None or job.active_sha256 is None:
        return None, []
    try:
        bundle = open_bundle(job.active_uri, job.active_sha256, cache)
    except BundleRejected as error:
        return None, [f"the active bundle cannot be opened, so there is nothing to compare with: {error}"]
    texts = [text for text, held in zip(data.texts, data.holdout, strict=True) if held]
    if bundle.manifest.encoder.sha256 == encoder_sha256:  # the usual case: nothing needs embedding again
        scores = bundle.classifier.score(embeddings[data.holdout], ngrams(texts, bundle.manifest.features))
    else:
        scores = bundle.classifier.predict(texts)
    targets = data.targets[data.holdout]
    shared = [label for label in bundle.manifest.labels if label in labels]
    columns = [bundle.manifest.labels.index(label) for label in shared]
    return evaluate(shared, scores[:, columns], targets[:, [labels.index(label) for label in shared]]), []


def _store(
    settings: TrainerSettings,
    exported: ExportedEncoder,
    fitted: Fitted,
    metrics: dict[str, LabelMetrics],
    data: Dataset,
) -> dict[str, str]:
    created = datetime.now(UTC)
    version = f"{created:%Y%m%dT%H%M%S}-{data.fingerprint[:8]}"
    with tempfile.TemporaryDirectory(prefix="second-look-") as temporary:
        folder = Path(temporary) / version
        write_bundle(
            folder,
            bundle_version=version,
            created_at=created,
            encoder_onnx=exported.onnx,
            encoder_tokenizer=exported.tokenizer,
            encoder_name=exported.name,
            max_tokens=exported.max_tokens,
            features=SPEC,
            head=fitted.head,
            calibration=fitted.calibration,
            metrics=metrics,
            data_fingerprint=data.fingerprint,
        )
        uri = store_bundle(folder, settings.bundle_uri)
        return {
            "bundle_version": version,
            "uri": uri,
            "sha256": manifest_sha256(folder),
            "created_at": created.isoformat(),
        }


def _verdict(decision: GateDecision, notes: list[str]) -> dict[str, Any]:
    return {"promote": decision.promote, "reasons": [*notes, *decision.reasons]}


def _plain(metrics: dict[str, LabelMetrics]) -> dict[str, Any]:
    return {label: measured.model_dump() for label, measured in metrics.items()}


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held when the interpreter ends
        pass
    os._exit(3)


def main() -> int:
    """Read the job, train, say the result. Refusals and wrong settings are results, not faults."""
    job = Job.from_json(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        say(asyncio.run(train(job, TrainerSettings.load())))
    except (TrainingRefused, ConfigurationError) as error:
        say({"refused": str(error)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
