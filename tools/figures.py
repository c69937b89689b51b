"""Writes the benchmarks' figures into the README and the docs; `--check` only compares.

A page names a template between two comments, and what lies between them is generated:

    <!-- figures: NAME, from docs/templates -->
    …
    <!-- end of figures -->

`docs/templates/NAME.md` is a Jinja2 template over `bench/results/*.json`: `{{ main_job.items_per_s | number }}` is the
figure `items_per_s` of `main_job.json`; `settings` and `targets` stand beside the figures. Every number is the JSON's
value, rounded to the digits that the page shows, by Python's `format`.
"""

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError

ROOT = Path(__file__).parents[1]
PAGES = ("README.md", "docs/figures.md", "docs/kafka.md")
BLOCK = re.compile(r"(<!-- figures: (\w+), from docs/templates -->\n)(.*?)(<!-- end of figures -->)", re.DOTALL)


class StaleTemplate(Exception):
    """A template asks for something that the results do not hold; the message names both."""


def number(value: float, digits: int = 0) -> str:
    """`1,234.5`: so many digits after the point, thousands separated."""
    return f"{float(value):,.{digits}f}"  # `float` refuses a figure that does not exist


def percent(value: float, digits: int = 0) -> str:
    """`12.3 %` of a share."""
    return f"{100 * float(value):.{digits}f} %"


def results(folder: Path) -> dict[str, dict[str, Any]]:
    """Every result by name; its figures stand at the top, beside `settings` and `targets`."""
    found = {}
    for path in sorted(folder.glob("*.json")):
        content: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        found[path.stem] = {**content["figures"], "settings": content["settings"], "targets": content["targets"]}
    return found


class Figures:
    """The templates of a checkout, filled from its results."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._values = results(root / "bench" / "results")
        # Markdown, not HTML: nothing is escaped.
        self._templates = Environment(  # noqa: S701
            loader=FileSystemLoader(root / "docs" / "templates"), undefined=StrictUndefined, keep_trailing_newline=True
        )
        self._templates.filters |= {"number": number, "percent": percent}

    def render(self, name: str) -> str:
        """The text of a template.

        Raises:
            StaleTemplate: there is no such template or figure.
        """
        try:
            return self._templates.get_template(f"{name}.md").render(self._values)
        except TemplateError as error:
            raise StaleTemplate(f"docs/templates/{name}.md: {error.message or 'not found'}") from error

    def page(self, path: str) -> tuple[str, str]:
        """A page as it is, and as it should be."""
        text = (self._root / path).read_text(encoding="utf-8")
        return text, BLOCK.sub(lambda block: block[1] + self.render(block[2]) + block[4], text)


def stale(root: Path) -> dict[str, str]:
    """The pages whose figures are not those of the results, each with the text it should have."""
    figures = Figures(root)
    pages = {path: figures.page(path) for path in PAGES}
    return {path: wanted for path, (text, wanted) in pages.items() if text != wanted}


def main() -> int:
    """Write, or with `--check` compare; returns the exit status."""
    try:
        found = stale(ROOT)
    except StaleTemplate as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for path, wanted in found.items():
        if "--check" in sys.argv[1:]:
            sys.stderr.write(f"{path} does not show the figures of bench/results: run `make figures`\n")
        else:
            (ROOT / path).write_text(wanted, encoding="utf-8")
            sys.stdout.write(f"{path} written\n")
    return 1 if found and "--check" in sys.argv[1:] else 0


if __name__ == "__main__":
    sys.exit(main())
