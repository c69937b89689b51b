"""A layout: where the text, the labels and the reviewer are in the rows of some tool."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from secondlook.common.errors import InvalidInput

ToolRecord = dict[str, Any]
Judgements = Iterator[ToolRecord | InvalidInput]


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of columns after the rows were unfolded; what a person names instead goes first.

    `name` is how people call it, empty for plain rows. `content` gives the one item of a record; `judgements` gives a
    row for each person who judged it, or why it has none; its second argument names a question if there are several.
    """

    name: str = ""
    text_column: str = "text"
    labels_column: str | None = None
    label_columns: tuple[str, ...] = ()
    reviewer_column: str | None = None
    content: Callable[[ToolRecord], ToolRecord] | None = None
    judgements: Callable[[ToolRecord, str | None], Judgements] | None = None


PLAIN = Layout()
LABELS, REVIEWER = "labels", "reviewer"  # of rows that were unfolded
NOBODY = "unknown"  # the reviewer where a tool names none
