"""Which tool or data set rows come from, by their columns."""

from collections.abc import Collection, Mapping
from typing import Any

from secondlook.cli.files.tools import argilla, label_studio
from secondlook.cli.files.tools.layout import PLAIN, Judgements, Layout, ToolRecord
from secondlook.common.errors import FieldProblem, InvalidInput

# https://www.kaggle.com/c/jigsaw-toxic-comment-classification-challenge: 0, 1, or -1 where nobody has looked
JIGSAW = ("toxic", "severe_toxic", "obscene", "threat", "insult", "identity_hate")
JIGSAW_TEXT = "comment_text"
DOCCANO = frozenset({"id", "text", "label", "labels", "Comments", "comments", "meta", "metadata"})
TEXTS = ("text", JIGSAW_TEXT)  # how the column of the text is called where nobody names it


def layout_of(columns: Collection[str], first: Mapping[str, Any]) -> Layout:
    """The layout of rows with these columns; `first` is one of them, empty if there is none."""
    if found := label_studio.layout_of(columns, first) or argilla.layout_of(columns, first):
        return found
    if JIGSAW_TEXT in columns:
        return Layout("Jigsaw", JIGSAW_TEXT, label_columns=tuple(name for name in JIGSAW if name in columns))
    if "labels" in columns:
        return PLAIN
    if _numbered(first.get("annotations")):
        return Layout("doccano 0", judgements=_numbers)
    if "label" in columns:
        tool = "doccano" if set(columns) <= DOCCANO and isinstance(first.get("label"), list) else ""
        return Layout(tool, labels_column="label")
    return PLAIN


def _numbered(annotations: Any) -> bool:
    if not isinstance(annotations, list) or not annotations or not isinstance(annotations[0], Mapping):
        return False
    return isinstance(annotations[0].get("label"), int) and "user" in annotations[0]


def _numbers(record: ToolRecord, question: str | None) -> Judgements:
    problem = "holds numbers of labels and not their names; export from doccano as JSONL with text labels"
    yield InvalidInput([FieldProblem("annotations", problem)])
