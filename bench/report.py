"""How a benchmark reports: a table for people, `bench/results/NAME.json` for `make figures` and the docs."""

import json
import platform
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"
DATA = Path(__file__).parent.parent.parent / "shared" / "data"
console = Console()


def report(
    name: str, figures: Mapping[str, float], targets: Mapping[str, float], settings: Mapping[str, object]
) -> None:
    """Print the figures beside their targets and store them."""
    table = Table(title=name, title_justify="left")
    table.add_column("figure")
    table.add_column("value", justify="right")
    table.add_column("target", justify="right")
    for key, value in figures.items():
        table.add_row(key, f"{value:,.4g}", f"{targets[key]:,.4g}" if key in targets else "")
    console.print(table)
    RESULTS.mkdir(exist_ok=True)
    machine = {"python": platform.python_version(), "machine": platform.machine()}
    content = {"figures": figures, "targets": targets, "settings": {**settings, **machine}}
    (RESULTS / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
