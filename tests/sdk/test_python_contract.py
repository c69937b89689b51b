"""The Python client's models are the contract's: what the server takes, and what it sends."""

import ast
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import aiokafka
import confluent_kafka
import pytest
from pydantic import BaseModel, ValidationError

import secondlook_client
from secondlook.common.bus import Record
from secondlook.common.bus.wire import decode, encode
from secondlook.common.clock import SystemClock
from secondlook.common.contract import events
from secondlook_client import (
    ContentReported,
    ContentSubmitted,
    ContentWithdrawn,
    Decision,
    UnexpectedAnswer,
    kafka,
    models,
)
from tests.kafka_world import MockKafka
from tests.sdk.test_webhook_signatures import DECISION
from tests.unit.test_events import CONTENT, FULL
from tools.sdk.contract import contract
from tools.sdk.python_models import TARGET, Writer, main
from tools.sdk.python_models import models as written

SDK = Path(secondlook_client.__file__).parent
ODD: dict[str, list[Any]] = {
    "source": ["", "Forum", "a" * 65, "-a", "ü", None, "a.b_c-d"],
    "content_id": ["", "a b", "\x7f", "a" * 257, "ü/𝄞", "\x00", None],
    "revision": [0, 1, -1, 2**31 - 1, 2**31, None],
    "kind": ["", "Text", "1a", "a" * 33, "a-b_c"],
    "text": ["", "a", "x" * 200_000, "x" * 200_001, None],
    "language": ["", "pt-BR", "portuguese", "x", None],
    "author_id": ["", "a" * 256, "a" * 257, None],
    "created_at": ["soon", "2026-01-01T00:00:00", "2026-01-01T00:00:00+02:00", None],
    "context": [None, {}, {"title": "x" * 1001}, {"later": 1}, {"url": None}],
    "attributes": [None, {}, {"a": []}, {"a": {}}, {"a" * 101: 1}, {str(n): n for n in range(65)}, {"a": "x" * 1001}],
    "reports": [-1, 0, 2**31 - 1, 2**31],
    "reach": [-1, 0, 2**53 - 1, 2**53],
    "of_a_later_version": [1],
}


def taken(kind: type[BaseModel], value: Any) -> bool:
    try:
        kind.model_validate_json(json.dumps(value))
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("field", ODD)
def test_the_client_takes_what_the_server_takes_and_refuses_what_it_refuses(field: str) -> None:
    assert set(ODD) - {"of_a_later_version"} <= set(ContentSubmitted.model_fields)
    for value in ODD[field]:
        changed = {**CONTENT, field: value}
        assert taken(ContentSubmitted, changed) == taken(events.ContentSubmitted, changed), (field, value)


@pytest.mark.parametrize("name", ["ContentSubmitted", "ContentWithdrawn", "ContentReported"])
def test_what_the_client_writes_the_server_reads(name: str) -> None:
    ours, theirs = getattr(models, name), getattr(events, name)
    only_needed = {key: value for key, value in FULL[name].items() if theirs.model_fields[key].is_required()}
    for body in (FULL[name], only_needed):
        sent = ours.model_validate(body)
        assert theirs.model_validate_json(sent.model_dump_json()) == theirs.model_validate_json(json.dumps(body))


def test_an_error_about_content_does_not_quote_it() -> None:
    with pytest.raises(ValidationError) as raised:
        ContentSubmitted.model_validate({**CONTENT, "text": "secret words", "revision": "secret words"})
    assert "secret words" not in str(raised.value)


def test_a_decision_of_the_bus_is_a_decision_of_the_api() -> None:
    assert set(Decision.model_fields) == set(events.ContentDecided.model_fields)
    found = Decision.model_validate_json(json.dumps({**FULL["ContentDecided"], "later": {"more": 1}}))
    assert found.sequence == 2048
    assert not taken(Decision, {**DECISION, "outcome": "perhaps"}), "an outcome that nobody knows is no approval"


def test_a_state_that_a_later_server_knows_is_read() -> None:
    state = models.RevisionState.model_validate({"revision": 1, "state": "of_a_later_version"})
    assert state.state == "of_a_later_version"


def test_the_models_are_up_to_date() -> None:
    assert main(["--check"]) == 0


def test_models_that_are_stale_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.sdk.python_models.ROOT", tmp_path)
    monkeypatch.setattr("tools.sdk.python_models.TARGET", tmp_path / "models.py")
    (tmp_path / "models.py").write_text(TARGET.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert main(["--check"]) == 1


def test_the_writer_understands_what_the_contract_may_come_to_hold() -> None:
    """Names of values, numbers with limits, maps, choices and several types."""
    document = contract()
    document["components"]["schemas"]["ContentSubmitted"]["properties"].update(
        signals={"type": "object", "additionalProperties": {"type": "number", "minimum": 0, "maximum": 1},
                 "maxProperties": 64, "default": {}},
        tier={"enum": ["a", "b"], "type": "string", "default": "a"},
        size={"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "default": None},
        tags={"type": "array", "items": {"type": "string", "minLength": 1}, "maxItems": 3, "default": []},
    )  # fmt: skip
    space: dict[str, Any] = {"__name__": "a_module"}
    head = written().partition("\n\n\n")[0].replace("Annotated,", "Annotated, Any,")
    exec(f"{head}\n{Writer(document).text()}", space)  # noqa: S102
    kind = space["ContentSubmitted"]
    found = kind.model_validate({**CONTENT, "signals": {"vendor": 0.5}})
    assert (found.signals, found.tier, found.size, found.tags) == ({"vendor": 0.5}, "a", None, ())
    for field, value in [("signals", {"x": 1.5}), ("tier", "c"), ("size", 0), ("tags", ["a"] * 4), ("tags", [""])]:
        assert not taken(kind, {**CONTENT, field: value}), field


def test_the_client_works_where_second_look_is_not_installed(tmp_path: Path) -> None:
    imports = {
        alias.name if isinstance(node, ast.Import) else node.module or ""
        for path in SDK.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    foreign = {name.partition(".")[0] for name in imports} - set(sys.stdlib_module_names)
    assert foreign == {"secondlook_client", "httpx", "pydantic", "pydantic_core"}
    code = f"import sys; sys.path.insert(0, {str(SDK.parent)!r}); import secondlook_client.kafka; "
    code += "print([name for name in sys.modules if name.partition('.')[0] == 'secondlook'])"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.strip() == "[]"


Event: TypeAlias = ContentSubmitted | ContentWithdrawn | ContentReported
RECORDS: list[Event] = [
    ContentReported.model_validate(FULL["ContentReported"]),
    ContentSubmitted.model_validate(CONTENT),
    ContentWithdrawn(source="forum", content_id="post/1", withdrawn_at=datetime(2026, 1, 1, tzinfo=UTC)),
]


@pytest.mark.parametrize("content", RECORDS, ids=lambda content: type(content).__name__)
def test_a_record_of_the_client_is_what_the_services_read(content: Event) -> None:
    record = kafka.content_record(content, sender="forum")
    headers = {name: value.decode() for name, value in record.headers}
    event = decode(Record(record.topic, 0, 0, record.key.decode(), record.value, headers, datetime.now(UTC)))
    assert type(event).__name__ == type(content).__name__
    assert json.loads(event.model_dump_json()) == json.loads(content.model_dump_json())


async def test_records_go_through_a_real_client_and_decisions_come_out(mock_kafka: MockKafka) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": mock_kafka.bootstrap, **kafka.PRODUCER})
    for content in RECORDS:
        producer.produce(**kafka.content_record(content, sender="forum")._asdict())
    decided = encode(events.ContentDecided.model_validate_json(json.dumps(FULL["ContentDecided"])), "x", SystemClock())
    headers = [(name, value.encode()) for name, value in decided.headers.items()]
    producer.produce(decided.topic, key=decided.key, value=decided.value, headers=headers)
    assert producer.flush(20) == 0
    consumer = aiokafka.AIOKafkaConsumer(
        kafka.CONTENT_TOPIC, kafka.DECISION_TOPIC, bootstrap_servers=mock_kafka.bootstrap, auto_offset_reset="earliest"
    )
    async with consumer:
        found = [await consumer.getone() for _ in range(4)]
    values = {record.headers[1][1].decode(): record for record in found}
    assert json.loads(values["ContentSubmitted"].value) == json.loads(RECORDS[1].model_dump_json())
    places = {(record.topic, record.key, record.partition) for record in found if record.topic == kafka.CONTENT_TOPIC}
    assert len(places) == 1, "one key, one partition"
    decision = kafka.read_decision(values["ContentDecided"].value, values["ContentDecided"].headers)
    assert decision is not None
    assert decision.outcome == "reject"


def test_what_is_no_decision_is_left_out_and_a_broken_one_raised() -> None:
    body = json.dumps(FULL["ContentDecided"]).encode()
    assert kafka.read_decision(body) is not None
    assert kafka.read_decision(None) is None
    assert kafka.read_decision(b"{}", [("ce_type", b"OfALaterVersion")]) is None
    with pytest.raises(UnexpectedAnswer):
        kafka.read_decision(b"{}", [("ce_type", b"ContentDecided")])
