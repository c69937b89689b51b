"""Small files of every kind that teams have, with the judgements that are in them. No tests."""

import csv
import gzip
import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Judged = dict[tuple[str, str], dict[str, bool]]  # (content_id, reviewer) → labels


def lines(*rows: object) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def array(*rows: object) -> bytes:
    return json.dumps(rows, indent=1, ensure_ascii=False).encode()


def table(rows: Sequence[Any], delimiter: str = ",", encoding: str = "utf-8") -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode(encoding)


def parquet(columns: dict[str, list[Any]], features: dict[str, Any] | None = None) -> bytes:
    import pyarrow as arrow
    from pyarrow import parquet as files

    made = arrow.table(columns)
    if features is not None:  # as `datasets` writes it
        made = made.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    file = io.BytesIO()
    files.write_table(made, file)
    return file.getvalue()


@dataclass(frozen=True)
class Kind:
    """A file, how somebody imports it, what must arrive, how the file is described, and what is refused."""

    name: str
    data: bytes | Callable[[], bytes]
    judged: Judged
    described: str
    options: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    items: int | None = None  # texts that `publish` sends; None: as many as were judged

    def content(self) -> bytes:
        return self.data if isinstance(self.data, bytes) else self.data()


def _task(number: int, text: str, *annotations: dict[str, Any], **other: Any) -> dict[str, Any]:
    return {"id": number, "data": {"text": text}, "annotations": list(annotations), "predictions": [], **other}


def _choice(by: object, *choices: str, question: str = "harm", **other: Any) -> dict[str, Any]:
    result = {"value": {"choices": list(choices)}, "from_name": question, "to_name": "text", "type": "choices"}
    return {"id": 1, "completed_by": by, "result": [result] if choices else [], "was_cancelled": False, **other}


YES, NO = {"spam": True, "hate": False}, {"spam": False, "hate": True}
BOTH = ("--label", "spam", "--label", "hate")
ONE = ("1", "imported")
TWO = ("2", "imported")
CLASSES = {"names": ["ham", "spam"], "_type": "ClassLabel"}
STUDIO = array(
    _task(1, "a", _choice(7, "spam"), _choice({"id": 8, "email": "somebody@example.org"}, "hate")),
    _task(2, "b", _choice(7)),
    _task(3, "c", _choice(7, "spam", was_cancelled=True)),
    _task(4, "d"),
    _task(5, "e", {"id": 1, "completed_by": 7, "result": [{"type": "rating", "value": {"rating": 3}}]}),
)
ARGILLA = [
    {"id": "1", "status": "completed", "fields": {"text": "a"}, "metadata": {}, "vectors": {},
     "suggestions": {"harm": {"value": "hate", "score": 0.9, "agent": "model"}},
     "responses": {"harm": [{"value": ["spam"], "user_id": "u1"}, {"value": ["hate"], "user_id": "u2"}]}},
    {"id": "2", "status": "pending", "fields": {"text": "b"}, "metadata": {}, "suggestions": {}, "responses": {}},
]  # fmt: skip
FLAT = {
    "id": "1", "status": "completed", "text": "a", "harm.responses": [["spam"], ["hate"], ["spam"]],
    "harm.responses.users": ["u1", "u2", "u3"], "harm.responses.status": ["submitted", "submitted", "discarded"],
    "harm.suggestion": ["hate"], "harm.suggestion.score": 0.4, "harm.suggestion.agent": "model",
}  # fmt: skip
FEEDBACK = {
    "id": "x", "external_id": "1", "fields": {"text": "a"}, "suggestions": [],
    "responses": [
        {"user_id": "u1", "status": "submitted", "values": {"harm": {"value": "spam"}, "other": {"value": "hate"}}},
        {"user_id": "u2", "status": "discarded", "values": {"harm": {"value": "hate"}}},
    ],
}  # fmt: skip
CLASSIC = [
    {"id": "1", "inputs": {"text": "a"}, "prediction": [{"label": "hate", "score": 1.0}], "annotation": "spam",
     "annotation_agent": "u1", "multi_label": False, "status": "Validated", "metadata": {}},
    {"id": "2", "inputs": {"text": "b"}, "prediction": None, "annotation": None, "annotation_agent": None,
     "status": "Default", "metadata": {}},
]  # fmt: skip
MIN = [
    {"id": 1, "text": "a", "harm": "spam", "annotator": 7, "annotation_id": 1, "lead_time": 1.5, "created_at": "x"},
    {"id": 1, "text": "a", "harm": {"choices": ["hate"]}, "annotator": "s@example.org", "annotation_id": 2},
]
SOMEBODY = "person-6927ba8e58ca"
NAMES = [["id", "text", "labels"], ["1", "a", "spam"], ["2", "b", "hate"]]
FROM_PANDAS = [["", "id", "text", "spam", "hate", "lang"], [0, 1.0, "a", 1.0, "0.0", "NaN"],
               [1, 2.0, "b", "0", 1, "<NA>"], [2, 3.0, "c", "nan", "None", "en"]]  # fmt: skip

KINDS = [
    Kind("x.jsonl", lines({"id": 1, "text": "a", "labels": {"spam": 1, "hate": 0}}), {ONE: YES}, "JSON Lines, utf-8"),
    Kind("x.json", array({"id": 1, "text": "a", "labels": ["spam"]}), {ONE: YES}, "JSON array, utf-8", BOTH),
    Kind("x.json", lines({"id": 1, "text": "a", "labels": {"spam": True, "hate": False}}), {ONE: YES}, "JSON Lines"),
    Kind("x.csv", table([["id", "text", "spam", "hate"], [1, "a", 1, 0]]), {ONE: YES}, "CSV, utf-8, delimiter ','",
         BOTH),
    Kind("x.tsv", table(NAMES, "\t"), {ONE: YES, TWO: NO}, "CSV, utf-8, delimiter tab", BOTH),
    Kind("x.txt", table(NAMES, "|", "utf-16"), {ONE: YES, TWO: NO}, "CSV, utf-16, delimiter '|'", BOTH),
    Kind("x.csv", table(NAMES, ";", "utf-8-sig"), {ONE: YES, TWO: NO}, "CSV, utf-8 with its mark, delimiter ';'", BOTH),
    Kind("x.csv", table([["id", "text", "labels"], [1, "é€", "spam"]], ";", "cp1252"), {ONE: YES}, "CSV, cp1252",
         (*BOTH, "--encoding", "cp1252")),
    Kind("x.csv", table(NAMES, "¤"), {ONE: YES, TWO: NO}, "CSV, utf-8, delimiter '¤'", (*BOTH, "--delimiter", "¤")),
    Kind("x.csv", table(FROM_PANDAS), {ONE: YES, TWO: NO}, "CSV", BOTH, ("row 3 (line 4): labels: no label is judged",),
         items=3),
    Kind("x.csv", table([["id", "text", "labels"], [1, "a", "['spam', 'hate']"], [2, "b", "['spam' 'hate']"],
                         [3, "c", "spam; hate"], [4, "d", "[]"], [5, "e", ""]]),
         {(str(n), "imported"): {"spam": n < 4, "hate": n < 4} for n in range(1, 5)}, "CSV", BOTH,
         ("row 5 (line 6): labels: no label is judged",), items=5),
    Kind("x.parquet", lambda: parquet({"id": [1, 2, 3], "text": ["a", "b", "c"], "label": [1, 0, -1]},
                                      {"label": CLASSES}),
         {ONE: {"ham": False, "spam": True}, TWO: {"ham": True, "spam": False}}, "Parquet", (),
         ("row 3: labels: no label is judged",), items=3),
    Kind("x.parquet", lambda: parquet({"id": [1.0], "text": ["a"], "labels": [[1]]},
                                      {"labels": {"feature": CLASSES, "_type": "Sequence"}}),
         {ONE: {"ham": False, "spam": True}}, "Parquet"),
    Kind("x.parquet", lambda: parquet({"id": ["1"], "text": ["a"], "spam": [1.0], "hate": [float("nan")]}),
         {ONE: {"spam": True}}, "Parquet", BOTH),
    Kind("train.csv", table([["id", "comment_text", "toxic", "severe_toxic", "obscene", "threat", "insult",
                              "identity_hate"], ["0001", "a", 1, 0, 1, -1, -1, 0], ["0002", "b", *[-1] * 6]]),
         {("0001", "imported"): {"toxic": True, "severe_toxic": False, "obscene": True, "identity_hate": False}},
         "CSV, utf-8, delimiter ',', as Jigsaw writes it", (),
         ("row 2 (line 3): labels: no label is judged",), items=2),
    Kind("x.json", STUDIO, {("1", "7"): YES, ("1", "8"): NO, ("2", "7"): {"spam": False, "hate": False}},
         "JSON array, utf-8, as Label Studio JSON writes it", BOTH,
         ("annotations: the annotator skipped this task", "annotations: nobody has annotated this task",
          "annotations: has no choices, only rating"), items=5),
    Kind("x.json", array(*MIN), {("1", "7"): YES, ("1", SOMEBODY): NO}, "as Label Studio JSON_MIN or CSV writes it",
         BOTH, items=1),
    Kind("x.csv", table([["annotation_id", "annotator", "created_at", "harm", "id", "lead_time", "text", "updated_at"],
                         [1, 7, "x", "spam", 1, 0.5, "a", "x"],
                         [2, 8, "x", '{"choices":["spam","hate"]}', 1, 0.5, "a", "x"]]),
         {("1", "7"): YES, ("1", "8"): {"spam": True, "hate": True}}, "as Label Studio JSON_MIN or CSV writes it", BOTH,
         items=1),
    Kind("x.jsonl", lines(*ARGILLA), {("1", "u1"): YES, ("1", "u2"): NO}, "JSON Lines, utf-8, as Argilla writes it",
         BOTH, ("row 2: responses: nobody has submitted a response",), items=2),
    Kind("x.json", array(FLAT), {("1", "u1"): YES, ("1", "u2"): NO}, "JSON array, utf-8, as Argilla writes it", BOTH,
         items=1),
    Kind("x.jsonl", lines(FEEDBACK), {("1", "u1"): YES}, "as Argilla writes it", (*BOTH, "--labels-column", "harm")),
    Kind("x.jsonl", lines(*CLASSIC), {("1", "u1"): YES}, "as Argilla 1 writes it", BOTH,
         ("row 2: annotation: nobody has annotated this record",), items=2),
    Kind("x.jsonl", lines({"id": 1, "text": "a", "label": ["spam"], "Comments": []},
                          {"id": 2, "text": "b", "label": ["hate"], "Comments": ["?"]}),
         {ONE: YES, TWO: NO}, "as doccano writes it", BOTH),
    Kind("x.jsonl", lines({"id": 1, "text": "a", "annotations": [{"label": 4, "user": 1}], "meta": {}}), {},
         "as doccano 0 writes it", (), ("row 1: annotations: holds numbers of labels and not their names",), items=1),
    Kind("x.jsonl", lines({"id": 1, "text": "a", "annotations": [{"label": 4, "user": 1}], "labels": {"spam": 1}}),
         {ONE: {"spam": True}}, "JSON Lines, utf-8"),
    Kind("x.csv", table([["id", "text", "label"], [1, "a", "spam"], [2, "b", "hate#spam"]]),
         {ONE: YES, TWO: {"spam": True, "hate": True}}, "CSV", BOTH),
    Kind("x.csv", table([["id", "body", "verdict", "who"], [1, "a", "spam", "ann"], [1, "a", "hate", "bob"],
                         [2, "b", "spam", "NA"]]),
         {("1", "ann"): YES, ("1", "bob"): NO}, "CSV",
         (*BOTH, "--text-column", "body", "--labels-column", "verdict", "--reviewer-column", "who"),
         ("row 3 (line 4): who: names nobody",), items=2),
    Kind("x.csv", table([["id", "text", "is_spam", "labels"], [1, "a", 1, "x"]]), {ONE: {"spam": True}}, "CSV",
         ("--label", "spam=is_spam")),
    Kind("x.csv", table([["id", "text", "labels"], [1, "a", "Hate speech"], [2, "b", "ham"]]),
         {ONE: {"hate_speech": True}, TWO: {"hate_speech": False}}, "CSV", ("--label", "hate_speech=Hate speech")),
]  # fmt: skip
ZIPPED = [
    Kind(f"{kind.name}.gz", lambda kind=kind: gzip.compress(kind.content(), mtime=0), kind.judged,  # type: ignore[misc]
         kind.described, kind.options, kind.refused, kind.items)
    for kind in KINDS
]  # fmt: skip
