"""What a row says of labels: an object, names in one cell, or a column for each label. Pure."""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from secondlook.cli.files.values import is_nothing
from secondlook.common.errors import FieldProblem, InvalidInput

_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}
_UNKNOWN = frozenset({"-1", "-1.0"})  # in Jigsaw and in class columns: nobody has looked
_PARTS = re.compile(r"\s*[,;|#\n]\s*")
_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'|\"((?:[^\"\\]|\\.)*)\"")
_LABEL = re.compile(r"[a-z][a-z0-9_]{0,63}")
SHOWN = 64


@dataclass(frozen=True, slots=True)
class RowAnswers:
    """What a row says, by the names in the file: true, false, or None where it does not say.

    `listed`: the row lists the names that are true; then only somebody who knows what was asked can say what is false.
    """

    flags: Mapping[str, bool | None]
    listed: bool = False

    def to(self, asked: Mapping[str, str]) -> dict[str, bool]:
        """The answers to the labels that are asked for (name → name in the file); to all in the row if none is.

        Raises:
            InvalidInput: a name cannot be that of a label, or the row answers nothing.
        """
        if asked:
            absent = False if self.listed else None
            found = {name: self.flags.get(there, absent) for name, there in asked.items()}
        else:
            found = dict(self.flags)
        judged = {name: flag for name, flag in found.items() if flag is not None}
        if not judged:
            how = "name columns with --label, or the column of names with --labels-column"
            raise InvalidInput([FieldProblem("labels", f"no label is judged; {how}")])
        for name in judged:
            if not _LABEL.fullmatch(name):
                raise InvalidInput([FieldProblem("labels", _unfit(name))])
        return judged


def answers(row: Mapping[str, Any], column: str | None, asked: Collection[str], known: Collection[str]) -> RowAnswers:
    """What a row says in its column of labels; where that is empty, in the columns that are `asked` for.

    `known`: names that are labels for sure, so that `hate speech` can be told from `hate spam`.

    Raises:
        InvalidInput: names the field that cannot be read.
    """
    given = None if column is None else _given(column, row.get(column), known)
    if given is None:
        return RowAnswers({name: _flag(name, row[name]) for name in asked if name in row})
    if isinstance(given, Mapping):
        named = {str(name).strip(): value for name, value in given.items()}
        return RowAnswers(
            {name: _flag(name, value) if not asked or name in asked else None for name, value in named.items()}
        )
    return RowAnswers(dict.fromkeys(given, True), listed=True)


def _given(column: str, value: Any, known: Collection[str]) -> Mapping[Any, Any] | list[str] | None:
    if is_nothing(value):
        return None
    if isinstance(value, str):
        value = _parsed(value.strip(), known)
    if isinstance(value, list) and value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
        value = dict(value)  # a Parquet map
    if isinstance(value, Mapping):
        choices = value.get("choices")  # how Label Studio writes several in one cell
        return choices if len(value) == 1 and isinstance(choices, list) else value
    if isinstance(value, list):
        if not all(isinstance(name, str) for name in value):
            raise InvalidInput([FieldProblem(column, "is a list, but not of names")])
        return [name.strip() for name in value]
    what = "is a number and no name; if the column answers one label, write --label NAME=" + column
    raise InvalidInput([FieldProblem(column, what)])


def _parsed(text: str, known: Collection[str]) -> Any:
    """An object or a list from JSON, a list as Python or numpy prints it, or names in one cell."""
    if text[:1] in ("{", "["):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            pass
        if text[:1] == "[" and not _QUOTED.sub("", text).strip("[], \r\n\t"):
            return [single or double for single, double in _QUOTED.findall(text)]
        raise InvalidInput([FieldProblem("labels", "begins like JSON and is none")])
    if text in _FLAGS or text in _UNKNOWN:
        return json.loads(text.lower())
    if text in known:
        return [text]
    parts = [part for part in _PARTS.split(text) if part]
    if len(parts) == 1 and all(word in known for word in text.split()):
        return text.split()
    return parts


def _flag(name: str, value: Any) -> bool | None:
    """True, False, or None where it is unknown."""
    text = str(value).strip().lower()
    if is_nothing(value) or text in _UNKNOWN:
        return None
    if text not in _FLAGS:
        shown = name if may_be_shown(name) else "…"
        raise InvalidInput([FieldProblem(f"labels.{shown}", "is not 0, 1, true, false or (unknown) -1")])
    return _FLAGS[text]


def may_be_shown(name: str) -> bool:
    """Whether this may be the name of a label, and is no text of somebody's that stands in the wrong column."""
    return len(name) <= SHOWN and len(name.split()) <= 4


def _unfit(name: str) -> str:
    rule = "which is made of small letters, digits and _"
    if not may_be_shown(name):
        return f"is no name of a label, {rule}; is it the right column?"
    made = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    made = made if _LABEL.fullmatch(made) else "NAME"
    return f"{name!r} is no name of a label, {rule}; give it one: --label {made}={json.dumps(name, ensure_ascii=False)}"
