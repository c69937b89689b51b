"""Certify the active bundle's thresholds again, on what audits have brought since. The weights stay what they are."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.sides import Side, sides, widest, without
from secondlook.common.errors import TrainingRefused
from secondlook.trainer.reissue import reissue
from secondlook.trainer.run.database import Progress, announce, begin_to_look, load_data
from secondlook.trainer.run.train import certified, open_active, scores_of
from secondlook.trainer.runner import Job
from secondlook.trainer.settings import TrainerSettings


async def recertify(job: Job, settings: TrainerSettings, progress: Progress) -> dict[str, Any]:
    """Store the active bundle with the thresholds that hold now; nothing is stored if they are the same.

    A side that is on stays as wide as it is: what was certified once stays certified, until an alarm.

    Raises:
        TrainingRefused: there is nothing to certify, or no bundle.
    """
    active, notes = open_active(job, settings)
    if active is None:
        raise TrainingRefused("; ".join(notes) or "there is no active bundle to certify")
    data = await load_data(job, settings)
    scores = await scores_of(active, sorted(job.policy.labels), data.texts, settings, progress)
    progress("certifying")
    await begin_to_look(job, settings)
    found = certified(job, data, active.classifier.encoder, scores)
    old = active.manifest.thresholds or CertifiedThresholds()
    new = widest(without(old, set(map(Side.named, job.off))), found.thresholds)
    reasons = [f"certified: {', '.join(map(str, sides(new))) or 'no side'}", *found.reasons]
    result: dict[str, Any] = {
        "spent": found.spent, "off": list(found.reasons), "reasons": reasons, "promote": new != old,
        "certified_again": [side for side in job.off if Side.named(side) in sides(found.thresholds)],
    }  # fmt: skip
    if new == old:
        return {**result, "unchanged": True}
    progress("storing the thresholds")
    created, weights = datetime.now(UTC), job.weights or active.manifest.bundle_version
    version = f"{weights}-t{created:%m%dT%H%M%S}"
    await announce(job, settings, version, created)
    assert job.active_uri is not None and job.active_sha256 is not None  # noqa: S101, PT018
    uri, sha256 = reissue(
        job.active_uri, job.active_sha256, Path(settings.encoder_cache) / "bundles", settings.bundle_uri,
        bundle_version=version, created_at=created, thresholds=new,
    )  # fmt: skip
    metrics = {label: measured.model_dump() for label, measured in active.manifest.metrics.items()}
    return {
        **result, "bundle_version": version, "uri": uri, "sha256": sha256, "labels": list(active.manifest.labels),
        "metrics": metrics, "created_at": created.isoformat(), "weights": weights,
        "replaces": active.manifest.bundle_version, "encoder_sha256": active.manifest.encoder.sha256,
    }  # fmt: skip
