"""Turns a row of somebody's labelled data into a ContentLabelled. Pure."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import ValidationError

from secondlook.cli.files.content import content_id, language_of, text_of
from secondlook.common.bus.wire import invalid
from secondlook.common.contract.events import ContentLabelled
from secondlook.common.contract.policy import RESERVED_LABELS
from secondlook.common.errors import FieldProblem, InvalidInput

STRATUM, DECLARED = "imported", "declared"
_NAMESPACE = uuid5(NAMESPACE_URL, "https://second-look.dev/ns/imported-label")
_FLAGS = {"0": False, "1": True, "0.0": False, "1.0": True, "false": False, "true": True}


@dataclass(frozen=True, slots=True)
class Labelling:
    """What holds for all rows of an import. `labels` restricts it to these names; if empty, every name counts.

    `known` are the labels of the policy in force, which may have a name that is reserved otherwise. `drawn`: the share
    of the traffic that the rows are, if somebody declares that they were drawn from it by chance alone.
    """

    source: str
    reviewer: str
    labels: tuple[str, ...] = ()
    text_column: str = "text"
    known: Collection[str] = ()
    drawn: float | None = None


def judgement(number: int, row: Mapping[str, Any], labelling: Labelling, now: datetime) -> ContentLabelled:
    """The judgement in a row. The same content judged by the same reviewer has the same id in every import.

    Raises:
        InvalidInput: names the field.
    """
    row = dict(row)
    source = str(row.get("source") or labelling.source)
    text = text_of(row, labelling.text_column)
    if not text:
        raise InvalidInput([FieldProblem(labelling.text_column, "is empty")])
    identity = content_id(number, row, text)
    try:
        return ContentLabelled(
            label_id=label_id(source, identity, labelling.reviewer),
            source=source,
            content_id=identity,
            revision=1,
            text=text,
            language=language_of(row),
            labels=_unreserved(_labels(row, labelling.labels), labelling.known),
            reviewer=labelling.reviewer,
            labelled_at=now,
            decision_id=None,
            adjudicated=True,
            inclusion_probability=labelling.drawn,
            stratum=STRATUM if labelling.drawn is None else DECLARED,
        )
    except ValidationError as error:
        raise invalid(error) from error


def label_id(source: str, content_id: str, reviewer: str) -> UUID:
    """UUIDv5 of what identifies an imported judgement."""
    return uuid5(_NAMESPACE, f"{source}/{content_id}/{reviewer}")


def _labels(row: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, bool]:
    given = _structured(row.get("labels"))
    if isinstance(given, Mapping):
        found = {name: value for name, value in given.items() if not names or name in names}
    elif isinstance(given, list):
        # Without --label nobody knows which labels the reviewer looked for, so a label that is not named stays unknown.
        if not all(isinstance(name, str) for name in given):
            raise InvalidInput([FieldProblem("labels", "is a list, but not of names")])
        found = {name: name in given for name in names} if names else dict.fromkeys(given, True)
    elif given is None:
        found = {name: row.get(name) for name in names}
    else:
        raise InvalidInput([FieldProblem("labels", "is neither an object nor a list of names")])
    judged = {name: flag for name, value in found.items() if (flag := _flag(name, value)) is not None}
    if not judged:
        raise InvalidInput([FieldProblem("labels", "no label is judged; name the columns with --label")])
    return judged


def _unreserved(labels: dict[str, bool], known: Collection[str]) -> dict[str, bool]:
    for name in sorted(RESERVED_LABELS & (labels.keys() - set(known))):
        meaning = "it means something else in tables and reports; choose another name"
        raise InvalidInput([FieldProblem(f"labels.{name}", f"is reserved, because {meaning}")])
    return labels


def _structured(value: Any) -> Any:
    """Labels as an object or a list, also from JSON in a CSV field or from a Parquet map."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return value
    if isinstance(value, list) and value and all(isinstance(item, tuple) and len(item) == 2 for item in value):
        return dict(value)
    return None if value == "" else value


def _flag(name: str, value: Any) -> bool | None:
    """True, False, or None where it is unknown."""
    text = str(value).strip().lower()
    if value is None or text in ("", "nan", "null", "none"):
        return None
    if text not in _FLAGS:
        raise InvalidInput([FieldProblem(f"labels.{name}", "is not 0, 1, true or false")])
    return _FLAGS[text]
