"""Certify the active bundle's thresholds again, on the judgements since. The weights stay the same."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from secondlook.common.bundle.certificates import CertifiedThresholds
from secondlook.common.bundle.manifest import Manifest
from secondlook.common.bundle.sides import filled, sides, upheld, widest, without
from secondlook.common.bundle.store import Bundle, open_bundle
from secondlook.common.errors import BundleRejected, TrainingRefused
from secondlook.trainer import certification
from secondlook.trainer.data.evidence_rows import Unlearned
from secondlook.trainer.evidence.certify import standing
from secondlook.trainer.evidence.frontier import automated_share
from secondlook.trainer.reissue import reissue
from secondlook.trainer.run.database import RunDatabase, SayProgress
from secondlook.trainer.run.evidence import FittedModel, load_sample, look
from secondlook.trainer.run.job import Job, Recertified, StoredBundle
from secondlook.trainer.run.train import open_active
from secondlook.trainer.settings import TrainerSettings


async def recertify(job: Job, settings: TrainerSettings, database: RunDatabase, progress: SayProgress) -> Recertified:
    """Store the active bundle with the thresholds that hold now; store nothing if they are the same.

    A side that is on stays as wide as it is, until an alarm, or until judgements that it rested on are corrected. A
    challenger that waits follows once it is certified to decide as much.

    Raises:
        TrainingRefused: there is nothing to certify, or no bundle.
    """
    active, notes = open_active(job, settings)
    if active is None or job.active_uri is None or job.active_sha256 is None:
        raise TrainingRefused("; ".join(notes) or "there is no active bundle to certify")
    manifest = active.manifest
    name = job.weights or manifest.bundle_version
    new = Unlearned(job.fitted_mark, job.asked_mark, job.learned_mark)
    model = FittedModel(name, manifest.labels, active.classifier, manifest.encoder.sha256, new)
    found = await look(job, settings, model, database, progress)
    if found.sample is None:
        raise TrainingRefused("the policy sets thresholds by hand; there is nothing to certify")
    old = manifest.thresholds or CertifiedThresholds()
    allowed = upheld(job.policy, old, manifest.labels)
    fallen = standing(found.sample, allowed, await certification.marks(database.pool))
    kept = without(old, {*job.off, *fallen})
    # A side that this policy holds back gives way to one that it allows, and else stays for a policy that allows it.
    thresholds = filled(widest(upheld(job.policy, kept, manifest.labels), found.certification.thresholds), kept)
    decided = Incumbent(active, model, upheld(job.policy, thresholds, manifest.labels))
    if (challenger := await _challenger(job, settings, decided, database, progress)) is not None:
        return challenger
    stored = None
    if thresholds != old:
        progress("storing the thresholds")
        source = Stored(job.active_uri, job.active_sha256, manifest)
        stored = await _store(job, settings, source, thresholds, name, database)
    certified_sides = f"certified: {', '.join(map(str, sides(thresholds))) or 'no side'}"
    return Recertified(
        bundle=stored, replaces=manifest.bundle_version, weights=name,
        reasons=(*(f"{side}: {why}" for side, why in fallen.items()), certified_sides, *found.findings.off),
        findings=found.findings,
        certified_again=tuple(side for side in job.off if side in sides(found.certification.thresholds)),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Incumbent:
    """The active bundle, and what it decides by from now on."""

    bundle: Bundle
    model: FittedModel
    thresholds: CertifiedThresholds


@dataclass(frozen=True, slots=True)
class Stored:
    """A bundle in the store."""

    uri: str
    sha256: str
    manifest: Manifest


async def _challenger(
    job: Job, settings: TrainerSettings, active: Incumbent, database: RunDatabase, progress: SayProgress
) -> Recertified | None:
    """The bundle of the challenger that waits, if it is certified to decide as much as the active one."""
    if (waiting := job.waiting) is None:
        return None
    try:
        bundle = open_bundle(waiting.uri, waiting.sha256, Path(settings.encoder_cache) / "bundles")
    except BundleRejected as error:
        progress(f"the challenger that waits cannot be opened: {error}")
        return None
    manifest = bundle.manifest
    new = Unlearned(waiting.fitted_mark, job.asked_mark, waiting.learned_mark)
    model = FittedModel(waiting.weights, manifest.labels, bundle.classifier, manifest.encoder.sha256, new)
    found = await look(job, settings, model, database, progress)
    if found.sample is None:
        return None
    theirs = await load_sample(job, replace(active.model, new=new), database, progress)
    ours = automated_share(found.sample, found.certification.thresholds)
    if not ours or ours < automated_share(theirs, active.thresholds):
        return None
    progress("storing the challenger's thresholds")
    source = Stored(waiting.uri, waiting.sha256, manifest)
    stored = await _store(job, settings, source, found.certification.thresholds, waiting.weights, database)
    certified_sides = f"certified: {', '.join(map(str, sides(found.certification.thresholds)))}"
    return Recertified(
        bundle=stored, replaces=active.bundle.manifest.bundle_version, weights=waiting.weights,
        reasons=("the challenger that waited for evidence follows", certified_sides, *found.findings.off),
        findings=found.findings, follows=True, certified_again=(),
    )  # fmt: skip


async def _store(
    job: Job,
    settings: TrainerSettings,
    source: Stored,
    thresholds: CertifiedThresholds,
    weights: str,
    database: RunDatabase,
) -> StoredBundle:
    created, manifest = datetime.now(UTC), source.manifest
    version = f"{weights}-t{created:%m%dT%H%M%S}"
    await database.announce(job, version, created)
    uri, sha256 = reissue(
        source.uri, source.sha256, Path(settings.encoder_cache) / "bundles", settings.bundle_uri,
        bundle_version=version, created_at=created, thresholds=thresholds,
    )  # fmt: skip
    return StoredBundle(
        bundle_version=version, uri=uri, sha256=sha256, labels=manifest.labels, metrics=manifest.metrics,
        created_at=created, weights=weights, encoder_sha256=manifest.encoder.sha256,
    )  # fmt: skip
