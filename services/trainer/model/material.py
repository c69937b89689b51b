"""What a training run works on."""

from dataclasses import dataclass
from pathlib import Path

import scipy.sparse as sp

from secondlook.common.bundle.classifier import Encoder, Floats
from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.trainer.data.dataset import Dataset
from secondlook.trainer.encoders.encoder import ExportedEncoder, export_encoder
from secondlook.trainer.run.database import Progress, embedded, forget_others, load_data
from secondlook.trainer.runner import Job
from secondlook.trainer.settings import TrainerSettings

SPEC = FeatureSpec()


@dataclass(frozen=True, slots=True)
class Material:
    """The data set with what the encoder and the hashing make of its texts."""

    labels: tuple[str, ...]
    data: Dataset
    exported: ExportedEncoder
    encoder: Encoder
    embeddings: Floats
    features: sp.csr_matrix


async def gather(job: Job, settings: TrainerSettings, progress: Progress) -> Material:
    """The data of a run, embedded by the configured encoder. Raises TrainingRefused if there is none."""
    progress("exporting the encoder")
    exported = export_encoder(settings.encoder, Path(settings.encoder_cache))
    await forget_others(settings, exported.sha256)
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    data = await load_data(job, settings)
    embeddings = await embedded(settings, encoder, exported.sha256, data.texts, progress)
    return Material(tuple(sorted(job.policy.labels)), data, exported, encoder, embeddings, ngrams(data.texts, SPEC))
