"""Cells as programs write them: nothing in its many spellings, and whole numbers with a point."""

import math
import re
from typing import Any

# What pandas.read_csv takes for nothing, and what str() makes of it; in small letters.
NOTHING = frozenset({
    "", "#n/a", "#n/a n/a", "#na", "-1.#ind", "-1.#qnan", "-nan", "1.#ind", "1.#qnan", "<na>", "n/a", "na", "nan",
    "nat", "none", "null",
})  # fmt: skip
_WHOLE = re.compile(r"[-+]?[0-9]{1,18}\.0+")
EXACT = 2**53  # a float names every whole number below it


def is_nothing(value: Any) -> bool:
    """Whether somebody's program wrote this for a missing value. Not for texts: a person may write `None`."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().lower() in NOTHING)


def whole(value: Any) -> Any:
    """`17.0` as 17, also in text: what a column of integers becomes where one is missing. Others as they are."""
    if isinstance(value, float) and value.is_integer() and abs(value) < EXACT:
        return int(value)
    if isinstance(value, str) and _WHOLE.fullmatch(text := value.strip()):
        return text.partition(".")[0]
    return value
