"""The picture of `bench.loop`: reviews, errors and a new kind of harm over time, medians over the streams."""

import math
import statistics
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.loop_measure import GRID, Measured
from secondlook.common.bundle.arrays import Array

COLOURS = {"": "tab:blue", "_fixed": "tab:orange", "_automatic": "tab:grey"}
NAMES = {"": "Second Look", "_fixed": "fixed 0.9 / 0.1", "_automatic": "all automatic"}


def draw(steady: Mapping[str, Sequence[Measured]], new: Mapping[str, Sequence[Measured]], path: Path) -> None:
    """A column a data set; from the top: reviews, error of automatic decisions, harm let through."""
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "loop", "font.size": 9}):
        figure = Figure(figsize=(9, 8.4), layout="constrained")
        rows = figure.subplots(3, len(steady))
        for column, name in enumerate(steady):
            runs = steady[name]
            _curves(rows[0][column], runs, "reviews", ("", "_fixed"))
            rows[0][column].set(title=name, ylim=(0, 1.02))
            _curves(rows[1][column], runs, "error", ("", "_fixed", "_automatic"))
            allowed = [run.figures["target"] for run in runs if not math.isnan(run.figures["target"])]
            if allowed:
                target = statistics.median(allowed)
                rows[1][column].axhline(target, color="black", linestyle=":", linewidth=1, label="target")
            rows[1][column].set_ylim(0, None)
            _curves(rows[2][column], new[name], "through", ("", "_fixed", "_automatic"))
            for row, end in zip(rows, ("of the stream", "of the stream", "since the new kind"), strict=True):
                row[column].set_xlabel(f"items, share {end}")
                row[column].set_xlim(0, 1)
                row[column].grid(alpha=0.3)
        for row, label in zip(
            rows,
            ("share sent to reviewers", "error of automatic decisions so far", "new harm let through"),
            strict=True,
        ):
            row[0].set_ylabel(label)
            row[0].legend()
        figure.savefig(path, metadata={"Date": None})


def _curves(axes: Axes, runs: Sequence[Measured], name: str, suffixes: Sequence[str]) -> None:
    along = np.linspace(1 / GRID, 1, GRID)
    for suffix in suffixes:
        axes.plot(
            along, _median([run.curves[name + suffix] for run in runs]), color=COLOURS[suffix], label=NAMES[suffix]
        )


def _median(curves: Sequence[Array]) -> Array:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of nothing but NaN: before the first automatic decision
        return np.asarray(np.nanmedian(np.stack(curves), axis=0))
