"""The trainer's database as a training run uses it: labels, embeddings, and notes of its next irrevocable step."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from secondlook.common.bundle.classifier import Encoder, Floats
from secondlook.common.errors import TrainingRefused
from secondlook.common.postgres import Database, Queryable
from secondlook.trainer.data.dataset import Dataset, build, load_judged
from secondlook.trainer.data.embeddings import embed, forget
from secondlook.trainer.run.audits import AuditedText, load_audited
from secondlook.trainer.run.job import Job
from secondlook.trainer.runs import Runs
from secondlook.trainer.settings import TrainerSettings

SayProgress = Callable[[str], None]


class RunDatabase:
    """The trainer's database as one run sees it.

    The connection is idle while a model is fitted. The pool replaces one that the server closed meanwhile, provided
    that the event loop ran: run long computations in a thread.
    """

    def __init__(self, database: Database) -> None:
        self.database = database

    @property
    def pool(self) -> Queryable:
        return self.database.pool

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: TrainerSettings) -> AsyncIterator["RunDatabase"]:
        """One connection, closed on leaving. Raises ConfigurationError if there is no such database."""
        async with Database.open(settings.database_url.get_secret_value(), "trainer", size=1) as database:
            yield cls(database)

    async def load_data(self, job: Job, starter_until: int) -> Dataset:
        """The data set for the labels of the policy. Raises TrainingRefused if it is empty."""
        judged = await load_judged(self.database.pool, job.label_mark)
        data = build(sorted(job.policy.labels), judged, starter_until)
        if not data.texts:
            raise TrainingRefused("there are no labels for this policy")
        return data

    async def load_audits(self, job: Job) -> list[AuditedText]:
        """The audits of what the active bundle's weights scored; none without a bundle."""
        if job.weights is None:
            return []
        return await load_audited(self.pool, job.weights, job.label_mark)

    async def embedded(
        self, encoder: Encoder, encoder_sha256: str, texts: Sequence[str], progress: SayProgress
    ) -> Floats:
        """Embeddings float32[n, dim] of the texts by this encoder; computes only those that the database lacks."""
        return await embed(
            self.database.pool, encoder, encoder_sha256, texts,
            lambda done, total: progress(f"embedded {done} of {total} new texts"),
        )  # fmt: skip

    async def forget_others(self, encoder_sha256: str) -> None:
        """Drop the embeddings that neither this encoder nor a bundle whose files are kept has made."""
        await forget(self.database.pool, encoder_sha256)

    async def announce(self, job: Job, bundle_version: str, created_at: datetime) -> None:
        """Record the bundle that the run is about to store, so that the trainer removes it if the run does not end."""
        if job.run_id is not None:
            await Runs(self.database).announce(job.run_id, bundle_version, created_at)
