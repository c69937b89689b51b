"""How fast texts are embedded the first time, and what fitting again costs when they were embedded before."""

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import numpy as np
import onnxruntime
import psutil
from tokenizers import Tokenizer

from bench.classifier_data import DataSet
from secondlook.common.bundle.classifier import Encoder
from secondlook.common.contract.policy import LabelPolicy, Policy
from secondlook.trainer.data.embeddings import embed
from secondlook.trainer.data.handler import STORE, text_sha256
from secondlook.trainer.encoders.encoder import ExportedEncoder
from secondlook.trainer.run.job import Job, Trained
from secondlook.trainer.run.process import carry_out

BLOCK, ROUNDS, WARM_UP, BATCH = 1_024, 3, 64, 32
POLL_SECONDS = 0.01
TRAINING = "secondlook.trainer.run"
FORGET = "DELETE FROM embedding WHERE encoder_sha256 = $1"
EMPTY = "TRUNCATE label, asked, evidence_score RESTART IDENTITY"


class BareLoop:
    """What anyone would write: tokenize, sort by length, pad, run the model. ONNX Runtime comes with threads that spin
    while they wait, which helps on an idle machine only.
    """

    def __init__(self, exported: ExportedEncoder, *, spinning: bool) -> None:
        options = onnxruntime.SessionOptions()
        options.add_session_config_entry("session.intra_op.allow_spinning", "1" if spinning else "0")
        self._session = onnxruntime.InferenceSession(str(exported.onnx), options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(exported.tokenizer))
        self._tokenizer.enable_truncation(exported.max_tokens)
        self._tokenizer.no_padding()

    def run(self, texts: Sequence[str]) -> None:
        """Embed the texts and drop the result."""
        tokens = sorted((encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))), key=len)
        for start in range(0, len(tokens), BATCH):
            batch = tokens[start : start + BATCH]
            ids = np.zeros((len(batch), len(batch[-1])), np.int64)
            mask = np.zeros_like(ids)
            for row, text in enumerate(batch):
                ids[row, : len(text)] = text
                mask[row, : len(text)] = 1
            self._session.run(None, {"input_ids": ids, "attention_mask": mask})


async def first_embedding(
    connection: Any, exported: ExportedEncoder, encoder: Encoder, texts: Sequence[str]
) -> dict[str, float]:
    """Texts a second as the trainer embeds and keeps them, and in the better one of two bare loops over the same.

    They take turns, and of each block the fastest of `ROUNDS` counts, so that what else the machine does does not.
    """
    loops = [BareLoop(exported, spinning=spinning) for spinning in (True, False)]
    for loop in loops:
        loop.run(texts[:WARM_UP])
    encoder.encode(texts[:WARM_UP])
    key, product, bare = f"{exported.sha256} measured", 0.0, [0.0, 0.0]
    for start in range(0, len(texts), BLOCK):
        block = texts[start : start + BLOCK]
        times: list[list[float]] = []
        for _ in range(ROUNDS):
            await connection.execute(FORGET, key)
            marks = [time.perf_counter()]
            await embed(connection, encoder, key, block, lambda done, total: None)
            marks.append(time.perf_counter())
            for loop in loops:
                loop.run(block)
                marks.append(time.perf_counter())
            times.append([end - begin for begin, end in pairwise(marks)])
        fastest = [min(column) for column in zip(*times, strict=True)]
        product, bare = product + fastest[0], [sum(pair) for pair in zip(bare, fastest[1:], strict=True)]
    await connection.execute(FORGET, key)
    return {
        "first_embedding_per_s": len(texts) / product,
        "bare_onnx_per_s": len(texts) / min(bare),
        "first_embedding_ratio": min(bare) / product,
    }


@dataclass(frozen=True, slots=True)
class Refit:
    """A training run of the product: seconds of its process, by the clock and on processors, and the most memory that
    it had resident, in MB.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    result: Trained


async def refit(
    connection: Any, data: DataSet, size: int, settings: dict[str, str], progress: Callable[[str], None]
) -> Refit:
    """Train twice on `size` rows of `train`, the second time beside the bundle of the first, which counts.

    The other rows go to `gold` and `certify`, so that certifying, the gate and the report take their time, too.
    Embeddings that are not kept yet would count: embed the texts before.
    """
    mark = await _store(connection, data, size)
    labels = {label: LabelPolicy(description=label) for label in data.labels}
    job = Job(
        kind="train", policy=Policy(name=data.name, labels=labels), policy_version=1, label_mark=mark, asked_mark=mark
    )
    os.environ.update(settings)
    active = (await _measured(job, progress)).result
    beside = {
        "active_uri": active.bundle.uri,
        "active_sha256": active.bundle.sha256,
        "weights": active.bundle.weights,
    }
    return await _measured(job.model_copy(update=beside), progress)


# What is drawn from all traffic, as if people had been asked about it.
ASK = """
INSERT INTO asked (source, content_id, revision, kind, text, keys, u, approve, reject, held_out, asked_at)
SELECT source, content_id, revision, 'text', text, ARRAY[text_sha256], 0, 1, 1, true, labelled_at
FROM label WHERE stratum = 'uniform' ORDER BY received
"""


async def _store(connection: Any, data: DataSet, size: int) -> int:
    """Store every row as a settled judgement; returns the number of the last one."""
    await connection.execute(EMPTY)
    noon = datetime(2025, 1, 1, 12, tzinfo=UTC)
    records = []
    for number, row in enumerate(np.argsort(data.draws, kind="stable")):  # near copies beside each other
        split = "train" if number < size else ("gold", "certify")[number >= (size + len(data.draws)) // 2]
        said = {label: bool(value) for label, value in zip(data.labels, data.targets[row], strict=True)}
        records.append(
            (
                uuid5(NAMESPACE_URL, data.ids[row]), data.name, data.ids[row], 1, "bench", data.texts[row],
                text_sha256(data.texts[row]), "en", json.dumps(said), True, 1.0,
                "uniform" if split == "certify" else "imported", None, None, noon + timedelta(seconds=number), split,
            )
        )  # fmt: skip
    await connection.executemany(STORE, records)
    await connection.execute(ASK)
    return len(records)


async def _measured(job: Job, progress: Callable[[str], None]) -> Refit:
    async def say(words: str) -> None:
        progress(words)

    seen: list[tuple[float, float]] = []
    watching = asyncio.create_task(_watch(seen))
    began = time.perf_counter()
    try:
        result = await carry_out(job, say)
        seconds = time.perf_counter() - began
    finally:
        watching.cancel()
    if not isinstance(result, Trained):
        raise RuntimeError(f"the run did not train a model: {result}")
    return Refit(seconds, max(cpu for cpu, _ in seen), max(mb for _, mb in seen), result)


async def _watch(seen: list[tuple[float, float]]) -> None:
    """Note the seconds on processors and the resident MB of the training process, for as long as it is there."""
    process: psutil.Process | None = None
    while True:
        with suppress(psutil.Error):
            if process is None:
                process = next((c for c in psutil.Process().children() if c.cmdline()[-1:] == [TRAINING]), None)
            else:
                used = process.cpu_times()
                seen.append((used.user + used.system, process.memory_info().rss / 1e6))
        await asyncio.sleep(POLL_SECONDS)
