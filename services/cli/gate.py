"""Prints what is known of a bundle: its metrics by label, and why the gate passed or refused it."""

from collections.abc import Sequence

from secondlook.cli.output import say, show_table
from secondlook.trainer.gate.check import WORDS, Check
from secondlook.trainer.registry import BundleRow

METRICS = ("n", "positives", "auroc", "auprc", "log_loss", "brier", "ece")


def show_reasons(reasons: Sequence[str]) -> None:
    """Remarks as sentences, then the checks as a table, in the order in which they were kept: failed ones first."""
    read = [(reason, Check.read(reason)) for reason in reasons]
    for reason, check in read:
        if check is None:
            say(reason)
    checks = [(check.name, WORDS[check.passed], check.detail) for _, check in read if check is not None]
    show_table(("check", "result", "detail"), checks, "no checks were made", whole=("check", "result"))


def show_metrics(bundle: BundleRow) -> None:
    """One row a label; a metric that the hold-out does not define is left empty."""
    rows = [(label, *(_figure(bundle.metrics.get(label), name) for name in METRICS)) for label in sorted(bundle.labels)]
    show_table(("label", *METRICS), rows, "no labels", whole=("label",))


def _figure(metrics: object, name: str) -> object:
    value = metrics.get(name) if isinstance(metrics, dict) else None
    return f"{value:.4f}" if isinstance(value, float) else value
