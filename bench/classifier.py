"""What the classifier is worth: quality after 500 to 14,000 labels, quality together with reviewers, cost of a refit.

`python -m bench.classifier` (or `make bench-classifier`). Embeddings are kept in a database under `.secondlook/bench`,
so that a second run is fast; what is said about the speed of embedding is measured anew in each.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from bench.classifier_data import SETS, DataSet, load, missing
from bench.classifier_learning import SAMPLES, Curve, learn
from bench.classifier_speed import first_embedding, refit
from bench.report import DATA, RESULTS, console, report
from secondlook.cli.local.embedded import embedded_postgres
from secondlook.common.bundle.classifier import Encoder, Floats
from secondlook.common.migrate import migrate_schemas
from secondlook.common.postgres import Database
from secondlook.trainer.data.embeddings import embed
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, ExportedEncoder, export_encoder
from secondlook.trainer.evidence.collaborative import FRACTIONS
from secondlook.trainer.run.bundle_report import NOISY_REVIEWER

WORK = Path(__file__).parent.parent / ".secondlook" / "bench"
REFIT_ON, REFIT_LABELS = "davidson", 16_000
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
TARGETS = {
    "davidson_offensive_500_auroc": 0.962,
    "davidson_offensive_2000_auroc": 0.974,
    "davidson_offensive_14000_auroc": 0.984,
    "refit_16000_seconds": 20.0,
    "refit_16000_mb": 1_500.0,
    "first_embedding_ratio": 0.9,
}


class Rate(ProgressColumn):
    """Texts a second."""

    def render(self, task: Task) -> Text:
        seconds = task.finished_time or task.elapsed
        return Text(f"{task.completed / seconds:,.0f} texts/s" if seconds else "")


def bar() -> Progress:
    """A progress bar that counts texts."""
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), Rate(), console=console)


async def embedded(connection: Any, data: DataSet, exported: ExportedEncoder, encoder: Encoder) -> Floats:
    """Embeddings float32[n, dim] of a data set; those that are not kept yet are computed."""
    with bar() as progress:
        task = progress.add_task(f"embedding {data.name}", total=None, visible=False)

        def tell(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total, visible=True)

        return await embed(connection, encoder, exported.sha256, data.texts, tell)


async def measure(url: str, work: Path, speed_texts: int) -> tuple[dict[str, float], list[Curve], dict[str, object]]:
    """All figures, the curves to draw, and the sizes of the data."""
    await migrate_schemas(url)
    exported = export_encoder(DEFAULT_ENCODER, work / "encoders")
    encoder = Encoder(exported.onnx, exported.tokenizer, max_tokens=exported.max_tokens)
    sets = {name: load(name) for name in SETS}
    figures: dict[str, float] = {}
    curves: list[Curve] = []
    async with Database.open(url, "trainer", size=2) as database, database.pool.acquire() as connection:
        for data in sets.values():
            embeddings = await embedded(connection, data, exported, encoder)
            with console.status(f"learning {data.name}"):
                curves += learn(data, encoder, embeddings)
        for curve in curves:
            figures |= dict(curve.figures())
        different = sorted({text for data in sets.values() for text in data.texts})
        drawn = np.random.default_rng(0).permutation(len(different))[:speed_texts]
        with console.status("measuring the speed of embedding"):
            figures |= await first_embedding(connection, exported, encoder, [different[i] for i in drawn])
        with tempfile.TemporaryDirectory(dir=work) as bundles, console.status("refit") as status:
            environment = {
                "SECONDLOOK_DATABASE_URL": url,
                "SECONDLOOK_BUNDLE_URI": Path(bundles).as_uri(),
                "SECONDLOOK_ENCODER_CACHE": str(work / "encoders"),
                **ONE_THREAD,
            }
            done = await refit(
                connection, sets[REFIT_ON], REFIT_LABELS, environment, lambda words: status.update(f"refit: {words}")
            )
    figures |= {"refit_16000_seconds": done.seconds, "refit_16000_cpu_seconds": done.cpu_seconds}
    figures["refit_16000_mb"] = done.peak_mb
    rows: dict[str, object] = {
        "test_rows": {name: len(data.test) for name, data in sets.items()},
        "full_rows": {name: len(data.pool) for name, data in sets.items()},
    }
    return figures, curves, rows


def draw(curves: Sequence[Curve], path: Path) -> None:
    """The picture: quality over labels, and accuracy over the share that reviewers see."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "classifier", "font.family": "sans-serif"}):
        figure = Figure(figsize=(13, 4), layout="constrained")
        auroc, auprc, together = figure.subplots(1, 3)
        for number, curve in enumerate(curves):
            style: dict[str, Any] = {"color": f"C{number}", "label": curve.name, "linewidth": 1.5}
            for axes, values in ((auroc, [p.auroc for p in curve.points]), (auprc, [p.auprc for p in curve.points])):
                middle = [float(np.median(found)) for found in values]
                spread = [[m - min(v) for m, v in zip(middle, values, strict=True)],
                          [max(v) - m for m, v in zip(middle, values, strict=True)]]  # fmt: skip
                axes.errorbar([p.size for p in curve.points], middle, spread, marker="o", capsize=2, **style)
            for strategy, line in (("uncertainty", "-"), ("toxicity", ":")):
                perfect = [c for c in curve.together if c.strategy == strategy and c.reviewer_accuracy == 1]
                together.plot(
                    [0.0, *(c.fraction for c in perfect)], [curve.alone, *(c.accuracy for c in perfect)], line, **style
                )
        for axes, title in ((auroc, "AUROC"), (auprc, "AUPRC")):
            axes.set(title=title, xlabel="labels", xscale="log", xticks=[500, 2_000, 14_000])
            axes.set_xticklabels(["500", "2,000", "14,000"])
            axes.minorticks_off()
            axes.grid(color="0.9")
        together.set(title="accuracy together with reviewers", xticks=[0, *FRACTIONS])
        together.set_xlabel("share reviewed (dotted: highest scores first)")
        together.grid(color="0.9")
        auroc.legend(fontsize="small")
        figure.savefig(path, metadata={"Date": None})


def main() -> int:
    """Run everything; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, default=WORK, help="where embeddings are kept from run to run")
    parser.add_argument("--speed-texts", type=int, default=3_072, help="to measure the speed of embedding on")
    options = parser.parse_args()
    if gone := missing():
        console.print(f"{DATA}: this benchmark needs the data sets {', '.join(gone)}, which are not there")
        return 1
    started = time.perf_counter()
    work = options.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    with embedded_postgres(work / "postgres") as postgres:
        figures, curves, rows = asyncio.run(measure(postgres.url, work, options.speed_texts))
    figures["seconds"] = time.perf_counter() - started
    RESULTS.mkdir(exist_ok=True)
    draw(curves, RESULTS / "classifier.svg")
    samples = {"samples": SAMPLES, "noisy_reviewer": NOISY_REVIEWER, "speed_texts": options.speed_texts}
    report("classifier", figures, TARGETS, {**rows, **samples, "encoder": DEFAULT_ENCODER})
    return 0


if __name__ == "__main__":
    sys.exit(main())
