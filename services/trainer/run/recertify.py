"""Certify the active bundle's thresholds again, on the audits since. The weights stay the same."""

from datetime import UTC, datetime
from pathlib import Path

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.manifest import Manifest
from secondlook.common.bundle.sides import filled, sides, upheld, widest, without
from secondlook.common.errors import TrainingRefused
from secondlook.trainer.reissue import reissue
from secondlook.trainer.run.database import RunDatabase, SayProgress
from secondlook.trainer.run.job import Job, Recertified, StoredBundle
from secondlook.trainer.run.outlook import taught_elsewhere
from secondlook.trainer.run.train import certified, open_active, predictions_of
from secondlook.trainer.settings import TrainerSettings


async def recertify(job: Job, settings: TrainerSettings, database: RunDatabase, progress: SayProgress) -> Recertified:
    """Store the active bundle with the thresholds that hold now; store nothing if they are the same.

    A side that is on stays as wide as it is: a certificate holds until an alarm.

    Raises:
        TrainingRefused: there is nothing to certify, or no bundle.
    """
    active, notes = open_active(job, settings)
    if active is None:
        raise TrainingRefused("; ".join(notes) or "there is no active bundle to certify")
    data = await database.load_data(job, settings.starter_until)
    scores, scopes = await predictions_of(active, sorted(job.policy.labels), data.texts, database, progress)
    progress("certifying")
    await database.begin_to_look(job)
    found = certified(job, data, scopes, scores)
    old = active.manifest.thresholds or CertifiedThresholds()
    kept = without(old, job.off)
    # A side that this policy holds back gives way to one that it allows, and else stays for a policy that allows it.
    new = filled(widest(upheld(job.policy, kept, active.manifest.labels), found.thresholds), kept)
    weights = job.weights or active.manifest.bundle_version
    stored = None
    if new != old:
        progress("storing the thresholds")
        stored = await _store(job, settings, active.manifest, new, weights, database)
    certified_sides = f"certified: {', '.join(map(str, sides(new))) or 'no side'}"
    return Recertified(
        bundle=stored, replaces=active.manifest.bundle_version, weights=weights,
        reasons=(*taught_elsewhere(data, found), certified_sides, *found.reasons), spent=found.spent,
        off=found.reasons, certified_again=tuple(side for side in job.off if side in sides(found.thresholds)),
    )  # fmt: skip


async def _store(
    job: Job,
    settings: TrainerSettings,
    manifest: Manifest,
    thresholds: CertifiedThresholds,
    weights: str,
    database: RunDatabase,
) -> StoredBundle:
    created = datetime.now(UTC)
    version = f"{weights}-t{created:%m%dT%H%M%S}"
    await database.announce(job, version, created)
    assert job.active_uri is not None and job.active_sha256 is not None  # noqa: S101, PT018
    uri, sha256 = reissue(
        job.active_uri, job.active_sha256, Path(settings.encoder_cache) / "bundles", settings.bundle_uri,
        bundle_version=version, created_at=created, thresholds=thresholds,
    )  # fmt: skip
    return StoredBundle(
        bundle_version=version, uri=uri, sha256=sha256, labels=manifest.labels, metrics=manifest.metrics,
        created_at=created, weights=weights, encoder_sha256=manifest.encoder.sha256,
    )  # fmt: skip
