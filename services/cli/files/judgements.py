"""Turns a row of somebody's labelled data into a ContentLabelled. Pure."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

from pydantic import ValidationError

from secondlook.cli.files.answers import RowAnswers, answers
from secondlook.cli.files.content import content_id, language_of, text_of
from secondlook.cli.files.values import is_nothing, whole
from secondlook.common.bus.wire import invalid
from secondlook.common.contract.events import ContentLabelled
from secondlook.common.contract.policy import RESERVED_LABELS
from secondlook.common.errors import FieldProblem, InvalidInput

STRATUM, DECLARED = "imported", "declared"
_NAMESPACE = uuid5(NAMESPACE_URL, "https://second-look.dev/ns/imported-label")


@dataclass(frozen=True, slots=True)
class Labelling:
    """What holds for all rows of an import.

    `labels` restricts it to these (name → name in the file); if empty, every name counts. `labels_column` holds an
    object or names, else each label has a column. With `reviewer_column`, each row names who judged. `known` are the
    labels of the policy in force, which may have a name that is reserved otherwise. `drawn`: the share of the traffic
    that the rows are, if somebody declares that they were drawn from it by chance alone.
    """

    source: str
    reviewer: str
    labels: Mapping[str, str] = field(default_factory=dict)
    text_column: str = "text"
    labels_column: str | None = "labels"
    reviewer_column: str | None = None
    known: Collection[str] = ()
    drawn: float | None = None


def judgement(number: int, row: Mapping[str, Any], labelling: Labelling, now: datetime) -> ContentLabelled:
    """The judgement in a row. The same content judged by the same reviewer has the same id in every import.

    Raises:
        InvalidInput: names the field.
    """
    row = dict(row)
    source = labelling.source if is_nothing(row.get("source")) else str(row["source"])
    text = text_of(row, labelling.text_column)
    if not text:
        raise InvalidInput([FieldProblem(labelling.text_column, "is empty")])
    identity = content_id(number if labelling.reviewer_column is None else None, row, text)
    reviewer = _reviewer(row, labelling)
    try:
        return ContentLabelled(
            label_id=label_id(source, identity, reviewer),
            source=source,
            content_id=identity,
            revision=1,
            text=text,
            language=language_of(row),
            labels=_unreserved(said(row, labelling).to(labelling.labels), labelling.known),
            reviewer=reviewer,
            labelled_at=now,
            decision_id=None,
            adjudicated=True,
            inclusion_probability=labelling.drawn,
            stratum=STRATUM if labelling.drawn is None else DECLARED,
        )
    except ValidationError as error:
        raise invalid(error) from error


def said(row: Mapping[str, Any], labelling: Labelling) -> RowAnswers:
    """What a row says of labels, by their names in the file; raises InvalidInput if that cannot be read."""
    asked = labelling.labels.values()
    return answers(row, labelling.labels_column, asked, {*labelling.known, *asked})


def label_id(source: str, content_id: str, reviewer: str) -> UUID:
    """UUIDv5 of what identifies an imported judgement."""
    return uuid5(_NAMESPACE, f"{source}/{content_id}/{reviewer}")


def pseudonym(name: str) -> str:
    """The name of a reviewer for events and tables: an e-mail address becomes `person-` and a hash of it."""
    if "@" not in name:
        return name
    return f"person-{hashlib.sha256(name.lower().encode('utf-8', 'surrogatepass')).hexdigest()[:12]}"


def _reviewer(row: Mapping[str, Any], labelling: Labelling) -> str:
    if labelling.reviewer_column is None:
        return labelling.reviewer
    value = row.get(labelling.reviewer_column)
    if is_nothing(value) or isinstance(value, list | dict | bool):
        problem = "names nobody; write in each row who gave its labels"
        raise InvalidInput([FieldProblem(labelling.reviewer_column, problem)])
    return pseudonym(str(whole(value)).strip())


def _unreserved(labels: dict[str, bool], known: Collection[str]) -> dict[str, bool]:
    for name in sorted(RESERVED_LABELS & (labels.keys() - set(known))):
        meaning = "it means something else in tables and reports; choose another name"
        raise InvalidInput([FieldProblem(f"labels.{name}", f"is reserved, because {meaning}")])
    return labels
