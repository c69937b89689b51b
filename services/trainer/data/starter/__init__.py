"""The starter set: short, mild examples written for Second Look, so that a fresh install has a first model.

An example answers yes or no for each label of the set, and is unknown for any other. Examples of a label stop
counting once people have labelled enough for it.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

LABELS = ("hate", "harassment", "sexual", "violence", "self_harm", "spam")


@dataclass(frozen=True, slots=True)
class Example:
    """A text and its labels."""

    text: str
    language: str
    labels: Mapping[str, bool]


@cache
def starter_set() -> tuple[Example, ...]:
    """All examples, in a fixed order."""
    examples = []
    for file in sorted(files(__name__).iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".jsonl"):
            continue
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            examples.append(Example(row["text"], row["lang"], {label: label in row["labels"] for label in LABELS}))
    return tuple(examples)
