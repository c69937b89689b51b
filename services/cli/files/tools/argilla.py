"""Exports of Argilla: records of version 2 (nested or flat), of a FeedbackDataset and of version 1.

https://docs.argilla.io, `Dataset.records.to_json` and `to_list(flatten=True)`. Suggestions and predictions are what a
model said, and no labels.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NamedTuple

from secondlook.cli.files.tools.layout import LABELS, NOBODY, REVIEWER, Judgements, Layout, ToolRecord
from secondlook.common.errors import FieldProblem, InvalidInput

_RESPONSES = ".responses"
_COUNTED = (None, "submitted")  # the states of a response that stands


class _Response(NamedTuple):
    user: str
    question: str
    value: Any


def layout_of(columns: Collection[str], first: Mapping[str, Any]) -> Layout | None:
    """The layout, if these are rows of such an export; `first` is one of them."""
    if isinstance(first.get("fields"), Mapping) and ("responses" in columns or "suggestions" in columns):
        unfold = _nested
    elif any(name.endswith((_RESPONSES, ".suggestion")) for name in columns):
        unfold = _flat
    elif "annotation" in columns and "annotation_agent" in columns:
        return Layout("Argilla 1", labels_column=LABELS, reviewer_column=REVIEWER, content=_first_version_content,
                      judgements=_first_version)  # fmt: skip
    else:
        return None

    def judgements(record: ToolRecord, question: str | None) -> Judgements:
        return _by_user(_content(record), list(unfold(record)), question)

    return Layout("Argilla", labels_column=LABELS, reviewer_column=REVIEWER, content=_content, judgements=judgements)


def _content(record: ToolRecord) -> ToolRecord:
    fields, metadata = record.get("fields"), record.get("metadata")
    content = {name: value for name, value in record.items() if "." not in name and name not in ("fields", "metadata")}
    identity = record.get("external_id") or record.get("id")
    for part in (metadata, fields):
        content.update(part if isinstance(part, Mapping) else {})
    return {**content, "id": identity}


def _nested(record: ToolRecord) -> Iterator[_Response]:
    responses = record.get("responses")
    if isinstance(responses, Mapping):  # a question, and what each user answered
        for question, answers in responses.items():
            for answer in answers if isinstance(answers, list) else []:
                if isinstance(answer, Mapping) and answer.get("status") in _COUNTED:
                    yield _Response(_user(answer.get("user_id")), question, answer.get("value"))
    for answer in responses if isinstance(responses, list) else []:  # a user, and the answer to each question
        values = answer.get("values") if isinstance(answer, Mapping) else None
        if isinstance(values, Mapping) and answer.get("status") in _COUNTED:
            for question, value in values.items():
                yield _Response(_user(answer.get("user_id")), question, _inner(value))


def _flat(record: ToolRecord) -> Iterator[_Response]:
    for name, answers in record.items():
        if name.endswith(_RESPONSES) and isinstance(answers, list):
            users, states = record.get(f"{name}.users"), record.get(f"{name}.status")
            for number, value in enumerate(answers):
                if _at(states, number) in _COUNTED:
                    yield _Response(_user(_at(users, number)), name.removesuffix(_RESPONSES), value)


def _by_user(content: ToolRecord, responses: list[_Response], question: str | None) -> Judgements:
    asked = [each for each in responses if question in (None, each.question)]
    if not asked:
        yield InvalidInput([FieldProblem("responses", "nobody has submitted a response to this record")])
    for user in dict.fromkeys(each.user for each in asked):
        labels: list[Any] = []
        for response in asked:
            if response.user == user:
                labels += response.value if isinstance(response.value, list) else [response.value]
        yield {**content, LABELS: labels, REVIEWER: user}


def _first_version_content(record: ToolRecord) -> ToolRecord:
    inputs = record.get("inputs")
    fields = inputs if isinstance(inputs, Mapping) else {"text": inputs} if isinstance(inputs, str) else {}
    given = {name: value for name, value in record.items() if name != "inputs" and value is not None}
    return {**fields, **given}


def _first_version(record: ToolRecord, question: str | None) -> Judgements:
    labels = record.get("annotation")
    if record.get("status") == "Discarded" or labels is None:
        yield InvalidInput([FieldProblem("annotation", "nobody has annotated this record, or it was discarded")])
        return
    by = _user(record.get("annotation_agent"))
    yield {**_first_version_content(record), LABELS: labels if isinstance(labels, list) else [labels], REVIEWER: by}


def _inner(value: Any) -> Any:
    return value.get("value") if isinstance(value, Mapping) else value


def _at(values: Any, number: int) -> Any:
    return values[number] if isinstance(values, list) and number < len(values) else None


def _user(value: Any) -> str:
    return NOBODY if value is None else str(value)
