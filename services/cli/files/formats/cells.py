"""Text in CSV that no spreadsheet takes for a formula, and back.

A cell that begins like a formula gets an apostrophe before it (OWASP, "CSV Injection"); spreadsheets show such a cell
as text. `original` takes off exactly what `harmless` put on.
"""

import re
from typing import Any

# A formula's sign, also in its wide and small forms, behind blanks, quotes and marks that nobody sees; or a first
# character at which some programs begin a new cell.
_BLANK = r"\s\x00-\x20\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"
_QUOTE = r"\"'`\u00ab\u00b4\u00bb\u2018-\u201f\uff02\uff07"
_SIGN = r"=+\-@\uff1d\uff0b\uff0d\uff20\ufe66\ufe62\ufe63\ufe6b"
_FORMULA = re.compile(rf"[\t\r\n]|[{_BLANK}{_QUOTE}]*[{_SIGN}]")


def harmless(value: Any) -> Any:
    """The value for a cell. Only text is changed: a number of ours stays one, also below zero."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def original(cell: str) -> str:
    """The text that `harmless` made this cell of; any other cell as it is."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell[1:]) else cell
