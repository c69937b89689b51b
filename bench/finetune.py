"""What fine-tuning the encoder brings and costs: quality beside that of the default head, fitted on the same rows.

`python -m bench.finetune` (or `make bench-finetune`); needs the extra `finetune`. Everything is done as the trainer
does it: what is measured is the int8 encoder with its mixed and calibrated head, on a part that nothing was fitted on.
"""

import argparse
import asyncio
import json
import resource
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from pydantic import SecretStr
from rich.status import Status

from bench.classifier import WORK
from bench.classifier_data import SETS as CALLED
from bench.classifier_data import DataSet, load, missing
from bench.report import DATA, RESULTS, console, report
from secondlook.cli.local.embedded import embedded_postgres
from secondlook.common.bundle.classifier import Encoder
from secondlook.common.bundle.features import ngrams
from secondlook.common.bundle.manifest import LabelMetrics
from secondlook.common.bundle.readings import readings
from secondlook.common.contract.policy import LabelPolicy, Policy
from secondlook.common.errors import ConfigurationError
from secondlook.common.migrate import migrate_schemas
from secondlook.trainer.data.dataset import Dataset
from secondlook.trainer.data.standing import standing
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, export_encoder
from secondlook.trainer.model.evaluate import evaluate
from secondlook.trainer.model.material import SPEC, Material
from secondlook.trainer.model.tuning import require_extra
from secondlook.trainer.run.database import RunDatabase
from secondlook.trainer.run.job import Job
from secondlook.trainer.run.train import learn, probabilities
from secondlook.trainer.settings import TrainerSettings

SETS = ("davidson", "edos", "sms_spam")  # wiki_toxicity has too few rows
WAYS = ("head", "full", "lora")
ROWS = 14_000
CALIBRATE = 0.15  # of what is not held out, as the trainer splits it
SEEN = ("auroc", "auprc", "log_loss")


def as_dataset(data: DataSet, rows: int) -> Dataset:
    """At most `rows` of the pool, split in train and calibrate, and the test part as gold."""
    pool = np.random.default_rng(0).permutation(data.pool)[:rows]
    chosen = np.concatenate([pool, data.test])
    splits = np.array(["train"] * len(pool) + ["gold"] * len(data.test), dtype="U9")
    splits[: int(CALIBRATE * len(pool))] = "calibrate"
    n = len(chosen)
    return Dataset(
        texts=tuple(data.texts[row] for row in chosen), targets=data.targets[chosen], splits=splits,
        strata=np.full(n, "uncertain"), weights=np.ones(n), received=np.arange(n), slices={}, people=n,
        fingerprint=data.name, items=(None,) * n, standing=standing(data.labels, [{}] * n, [{}] * n),
        signals=({},) * n,
    )  # fmt: skip


async def measure(url: str, work: Path, rows: int, ways: Sequence[str]) -> tuple[dict[str, float], dict[str, object]]:
    """Figures a label and way of learning, and how many rows there were."""
    await migrate_schemas(url)
    base = TrainerSettings(database_url=SecretStr(url), encoder_cache=str(work / "encoders"))
    async with RunDatabase.open(base) as database:
        return await _measure(database, base, work, rows, ways)


async def _measure(
    database: RunDatabase, base: TrainerSettings, work: Path, rows: int, ways: Sequence[str]
) -> tuple[dict[str, float], dict[str, object]]:
    exported = export_encoder(DEFAULT_ENCODER, work / "encoders")
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    figures: dict[str, float] = {}
    sizes: dict[str, object] = {}
    for name in SETS:
        source = load(name)
        data = as_dataset(source, rows)
        sizes[name] = {part: int(data.part(part).sum()) for part in ("train", "calibrate", "gold")}
        read = readings(data.texts, SPEC)
        vectors = await database.embedded(encoder, exported.sha256, read.rows, lambda words: None)
        material = Material(
            labels=source.labels, data=data, exported=exported, encoder=encoder, readings=read, embeddings=vectors,
            features=ngrams(read.rows, SPEC),
        )  # fmt: skip
        labels = {label: LabelPolicy(description=label) for label in source.labels}
        for way in ways:
            settings = base if way == "head" else base.model_copy(update={"finetune_method": way})
            job = Job(
                kind="train", policy=Policy(name=name, labels=labels), policy_version=1, label_mark=0,
                mode="head" if way == "head" else "finetune",
            )  # fmt: skip
            began = time.perf_counter()
            with console.status(f"{name}, {way}") as status:

                def tell(words: str, what: str = f"{name}, {way}", status: Status = status) -> None:
                    status.update(f"{what}: {words}")

                _, fitted, logits, notes = await learn(job, settings, material, database, tell)
            if notes:
                raise ValueError(f"{name}: {notes[0]}")
            figures[f"{name}_{way}_seconds"] = time.perf_counter() - began
            gold = data.part("gold")
            found = evaluate(source.labels, probabilities(fitted, logits)[gold], data.targets[gold])
            for label, called in zip(source.labels, source.names, strict=True):
                figures |= {f"{called}_{way}_{figure}": value for figure, value in _seen(found[label]).items()}
    figures["peak_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return figures, sizes


def _seen(metrics: LabelMetrics) -> dict[str, float]:
    return {figure: getattr(metrics, figure) or 0.0 for figure in SEEN}


def draw(figures: Mapping[str, float], path: Path) -> None:
    """The picture: AUPRC and log loss a label, a bar a way."""
    names = [called for name in SETS for called in CALLED[name].values()]
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "finetune", "font.family": "sans-serif"}):
        picture = Figure(figsize=(11, 3.5), layout="constrained")
        for axes, figure in zip(picture.subplots(1, 2), ("auprc", "log_loss"), strict=True):
            for number, way in enumerate(WAYS):
                heights = [figures[f"{name}_{way}_{figure}"] for name in names]
                axes.bar(np.arange(len(names)) + 0.27 * (number - 1), heights, 0.25, label=way)
            axes.set_xticks(range(len(names)), [name.replace("_", "\n") for name in names])
            axes.set_title({"auprc": "AUPRC (more is better)", "log_loss": "log loss (less is better)"}[figure])
            axes.grid(axis="y", color="0.9")
            axes.set_axisbelow(True)
        axes.legend(fontsize="small")
        picture.savefig(path, metadata={"Date": None})


def main() -> int:
    """Run everything; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK, help="where embeddings are kept from run to run")
    parser.add_argument("--way", action="append", choices=WAYS, help="only this way; figures of the others are kept")
    parser.add_argument("--rows", type=int, default=ROWS, help="of each data set, at most")
    options = parser.parse_args()
    try:
        require_extra()
    except ConfigurationError as error:
        console.print(str(error))
        return 1
    if gone := missing():
        console.print(f"{DATA}: this benchmark needs the data sets {', '.join(gone)}, which are not there")
        return 1
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    with embedded_postgres(work / "postgres") as postgres:
        figures, sizes = asyncio.run(measure(postgres.url, work, options.rows, options.way or WAYS))
    before = RESULTS / "finetune.json"
    if options.way and before.exists():
        figures = {**json.loads(before.read_text(encoding="utf-8"))["figures"], **figures}
    draw(figures, RESULTS / "finetune.svg")
    report("finetune", figures, {}, {"rows": sizes, "encoder": DEFAULT_ENCODER})
    return 0


if __name__ == "__main__":
    sys.exit(main())
