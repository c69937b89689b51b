"""Exports of Label Studio: JSON (a task with its annotations), JSON_MIN and CSV (a row for each annotation).

https://labelstud.io/guide/export
"""

from collections.abc import Collection, Mapping
from typing import Any

from secondlook.cli.files.tools.layout import LABELS, NOBODY, REVIEWER, Judgements, Layout, ToolRecord
from secondlook.common.errors import FieldProblem, InvalidInput

OWN = frozenset({"id", "annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"})


def layout_of(columns: Collection[str], first: Mapping[str, Any]) -> Layout | None:
    """The layout, if these are rows of such an export; `first` is one of them."""
    if isinstance(first.get("data"), Mapping) and ("annotations" in columns or "predictions" in columns):
        return Layout("Label Studio JSON", labels_column=LABELS, reviewer_column=REVIEWER, content=_content,
                      judgements=_judgements)  # fmt: skip
    if "annotation_id" in columns and "annotator" in columns:
        chosen = [name for name in columns if _choices(first.get(name))]
        others = [name for name in columns if name not in OWN | {"text"}]
        labels = chosen[0] if chosen else others[0] if len(others) == 1 else None
        return Layout("Label Studio JSON_MIN or CSV", labels_column=labels, reviewer_column="annotator",
                      content=_without_annotation)  # fmt: skip
    return None


def _choices(value: Any) -> bool:
    if isinstance(value, str):
        return value.startswith('{"choices"')
    return isinstance(value, Mapping) and "choices" in value


def _content(task: ToolRecord) -> ToolRecord:
    data = task.get("data")
    if not isinstance(data, Mapping):
        raise InvalidInput([FieldProblem("data", "is not an object; a task of Label Studio has its text in it")])
    return {"id": task.get("id"), **data}


def _without_annotation(row: ToolRecord) -> ToolRecord:
    """When somebody annotated it, and who, is nothing of the content."""
    return {name: value for name, value in row.items() if name == "id" or name not in OWN}


def _judgements(task: ToolRecord, question: str | None) -> Judgements:
    """A row for each annotation. A skipped one, and a task that has none, are refused: nobody has judged anything."""
    try:
        content = _content(task)
    except InvalidInput as error:
        yield error
        return
    annotations = task.get("annotations")
    if not isinstance(annotations, list) or not annotations:
        yield InvalidInput([FieldProblem("annotations", "nobody has annotated this task")])
        return
    for annotation in annotations:
        try:
            yield {**content, LABELS: _labels(annotation, question), REVIEWER: _reviewer(annotation)}
        except InvalidInput as error:
            yield error


def _labels(annotation: Any, question: str | None) -> list[str]:
    if not isinstance(annotation, Mapping) or not isinstance(results := annotation.get("result"), list):
        raise InvalidInput([FieldProblem("annotations", "is not as Label Studio exports it: it has no result")])
    if annotation.get("was_cancelled"):
        raise InvalidInput([FieldProblem("annotations", "the annotator skipped this task")])
    asked = [each for each in results if isinstance(each, Mapping) and question in (None, each.get("from_name"))]
    if question is not None and not asked:
        raise InvalidInput([FieldProblem("annotations", f"does not answer the question {question!r}")])
    found = [choices for each in asked if (choices := _chosen(each)) is not None]
    if asked and not found:
        kinds = ", ".join(sorted({str(each.get("type")) for each in asked}))
        raise InvalidInput([FieldProblem("annotations", f"has no choices, only {kinds}; labels are read from choices")])
    return [str(choice) for choices in found for choice in choices]


def _chosen(result: Mapping[str, Any]) -> list[Any] | None:
    value = result.get("value")
    choices = value.get("choices") if isinstance(value, Mapping) else None
    return choices if isinstance(choices, list) else None


def _reviewer(annotation: Mapping[str, Any]) -> str:
    by = annotation.get("completed_by")
    if isinstance(by, Mapping):  # some exports have the whole account: its number says enough
        by = by.get("id")
    return NOBODY if by is None else str(by)
