"""What a training process reads from the database and writes there: labels, embeddings, what it is about to store."""

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime
from uuid import UUID

from secondlook.common.bundle.classifier import Encoder, Floats
from secondlook.common.errors import TrainingRefused
from secondlook.common.postgres import Database
from secondlook.trainer import certification as claims
from secondlook.trainer.data.dataset import Dataset, build, load_judged
from secondlook.trainer.data.embeddings import embed, forget
from secondlook.trainer.run.audits import AuditedText, load_audited
from secondlook.trainer.runner import Job
from secondlook.trainer.runs import Runs
from secondlook.trainer.settings import TrainerSettings

Progress = Callable[[str], None]


async def load_data(job: Job, settings: TrainerSettings) -> Dataset:
    """The data set for the labels of the policy. Raises TrainingRefused if it is empty."""
    async with _database(settings) as database:
        judged = await load_judged(database.pool, job.label_mark)
    data = build(sorted(job.policy.labels), judged, settings.starter_until)
    if not data.texts:
        raise TrainingRefused("there are no labels for this policy")
    return data


async def load_audits(job: Job, settings: TrainerSettings) -> list[AuditedText]:
    """The audits of what the active bundle's weights scored, since the last alarm; none without a bundle."""
    if job.weights is None:
        return []
    async with _database(settings) as database:
        return await load_audited(database.pool, job.weights, job.after, job.label_mark)


async def embedded(
    settings: TrainerSettings, encoder: Encoder, encoder_sha256: str, texts: Sequence[str], progress: Progress
) -> Floats:
    """Embeddings float32[n, dim] of the texts by this encoder; what the database keeps is not computed again."""
    async with _database(settings) as database:
        return await embed(
            database.pool, encoder, encoder_sha256, texts,
            lambda done, total: progress(f"embedded {done} of {total} new texts"),
        )  # fmt: skip


async def forget_others(settings: TrainerSettings, encoder_sha256: str) -> None:
    """Drop the embeddings that neither this encoder nor a bundle whose files are kept has made."""
    async with _database(settings) as database:
        await forget(database.pool, encoder_sha256)


async def announce(job: Job, settings: TrainerSettings, bundle_version: str, created_at: datetime) -> None:
    """Write down what the run is about to store, so that it is removed if the run does not get to its end."""
    if job.run_id is not None:
        async with _database(settings) as database:
            await Runs(database).announce(UUID(job.run_id), bundle_version, created_at)


async def begin_to_look(job: Job, settings: TrainerSettings) -> None:
    """Write down that the attempt to certify is about to look at judgements."""
    if job.run_id is not None:
        async with _database(settings) as database:
            await claims.look(database.pool, UUID(job.run_id))


def _database(settings: TrainerSettings) -> contextlib.AbstractAsyncContextManager[Database]:
    return Database.open(settings.database_url.get_secret_value(), "trainer", size=1)
