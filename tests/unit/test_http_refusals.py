"""What an answer says of a bad request: bounded, printable, and with an address that explains it."""

import ast
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from secondlook.common.bus.wire import parse
from secondlook.common.contract.events import ContentSubmitted
from secondlook.common.errors import (
    LISTED,
    MAX_FIELD,
    MAX_PROBLEM,
    FieldProblem,
    InvalidInput,
    PolicyRejected,
)
from secondlook.common.http.answers import MAX_DETAIL, STATUS, from_error
from secondlook.common.http.problem_types import TYPES, type_of
from secondlook.common.observability import Health
from secondlook.common.outline import MAX_MEMBERS, holds_more_than
from secondlook.common.printable import cut
from secondlook.common.service.http import create_app
from secondlook.router.ingest.refusals import Refusals, ranges
from tests.architecture.house import ROOT

SERVICES = ROOT / "services"
# Reasons of refusals that no route gives.
NOT_OVER_HTTP = {
    "unknown_type": "a record's header", "wrong_key": "a record's key", "failed": "a record that the handler cannot do",
    "wrong_content": "a record for other content", "unknown_revision": "a second look", "not_settled": "a second look",
}  # fmt: skip
JSON: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(alphabet='a,"\\[{:é'),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet='a,"\\'), inner),
    max_leaves=40,
)


class Strict(BaseModel, extra="forbid"):
    number: int = 0


@pytest.fixture
def app() -> FastAPI:
    app = create_app("test", Health(), CollectorRegistry())

    @app.post("/things")
    async def things(_: Strict) -> int:
        return 1

    @app.get("/things")
    async def listed(limit: int = 3) -> int:
        return limit

    return app


async def call(app: FastAPI, method: str, url: str, **more: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.request(method, url, **more)


@pytest.mark.parametrize("wrong", [1, LISTED, LISTED + 1, 900])
async def test_an_answer_names_twenty_problems_and_counts_all(app: FastAPI, wrong: int) -> None:
    answer = await call(app, "POST", "/things", json={f"field{number}": 1 for number in range(wrong)})
    body = answer.json()
    assert answer.status_code == 422
    assert (len(body["errors"]), body["error_count"]) == (min(wrong, LISTED), wrong)
    assert (f"and {wrong - LISTED} more" in body["detail"]) is (wrong > LISTED)


@pytest.mark.parametrize("name", ["x" * 100_000, "\x1b[2J" * 100, "\u202e\u2066" * 500, "\x00", "\\ud800"])
async def test_what_an_answer_repeats_is_short_and_printable(app: FastAPI, name: str) -> None:
    raw = b'{"%s": 1}' % (name.encode() if name.startswith("\\") else json.dumps(name)[1:-1].encode())
    answer = await call(app, "POST", "/things", content=raw, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["field"].isprintable()
    assert len(problem["field"]) <= 6 * MAX_FIELD + 1
    assert len(answer.content) < 10_000


async def test_the_longest_answer_is_short(app: FastAPI) -> None:
    names = {f"{number}" + "\u202e" * 1000: "x" for number in range(40)}
    answer = await call(app, "POST", "/things", json=names)
    assert answer.json()["error_count"] == 40
    assert len(answer.content) < 6 * LISTED * (MAX_FIELD + MAX_PROBLEM) + 6 * MAX_DETAIL + 1_000
    assert len(from_error(PolicyRejected("é" * 1_000_000)).body) < 3 * MAX_DETAIL


async def test_a_wide_body_is_refused_before_its_parts_are_checked(app: FastAPI) -> None:
    answer = await call(app, "POST", "/things", json={f"field{number}": 1 for number in range(MAX_MEMBERS + 2)})
    assert (answer.status_code, answer.json()["error_count"]) == (422, 1)
    assert "1,000" in answer.json()["detail"]
    with pytest.raises(InvalidInput) as refused:
        parse(ContentSubmitted, json.dumps({"attributes": {f"a{n}": [] for n in range(18_000)}}).encode())
    assert (refused.value.reason, refused.value.count) == ("invalid", 1)


def test_text_full_of_commas_is_not_wide() -> None:
    text = 'a, "b", \\, ' * 1_800
    body = {"source": "forum", "content_id": "a", "revision": 1, "text": text, "created_at": "2025-01-01T00:00:00Z"}
    assert parse(ContentSubmitted, json.dumps(body).encode()).text == text


@given(JSON, st.integers(0, 50))
def test_commas_between_members_are_counted_and_no_others(value: Any, members: int) -> None:
    def commas(part: Any) -> int:
        if isinstance(part, dict):
            return max(len(part) - 1, 0) + sum(map(commas, part.values()))
        return max(len(part) - 1, 0) + sum(map(commas, part)) if isinstance(part, list) else 0

    for ascii_only in (True, False):
        document = json.dumps(value, ensure_ascii=ascii_only).encode()
        assert holds_more_than(members, document) is (commas(value) > members)


@given(st.text(), st.integers(0, 20))
def test_printable_text_acts_on_nothing(text: str, limit: int) -> None:
    found = cut(text, limit)
    assert all(character.isprintable() or character in "\n\t" for character in found)
    assert len(found) <= 10 * limit + 1
    found.encode()  # no half of a surrogate pair is left
    if text.isprintable() and len(text) <= limit:
        assert found == text


@pytest.mark.parametrize(
    ("url", "unknown"),
    [("/things", []), ("/things?limit=5", []), ("/things?limits=5", ["limits"]), ("/things?limit=5&a=1&b=", ["a", "b"]),
     ("/things?=1", [""]), ("/healthz?verbose=1", ["verbose"]), ("/readyz?x", ["x"]), ("/metrics?name=a", ["name"]),
     ("/problems/invalid?lang=de", ["lang"])],
)  # fmt: skip
async def test_a_parameter_that_no_route_knows_is_named(app: FastAPI, url: str, unknown: list[str]) -> None:
    answer = await call(app, "GET", url)
    assert answer.status_code == (422 if unknown else 200), answer.text
    if unknown:
        body = answer.json()
        assert (body["type"], body["code"]) == ("/problems/unknown-parameter", "unknown_parameter")
        assert [problem["field"] for problem in body["errors"]] == unknown
        assert ("limit" in body["detail"]) is url.startswith("/things")


async def test_every_type_of_problem_has_a_page_here_and_in_the_docs(app: FastAPI) -> None:
    docs = (ROOT / "docs" / "reference" / "problems.md").read_text(encoding="utf-8")
    for name, kind in TYPES.items():
        answer = await call(app, "GET", kind.uri)
        assert answer.status_code == 200
        assert answer.text == f"{name}: {kind.page()}"
        assert f"## {name}\n\n{kind.page()}" in docs
    assert docs.count("\n## ") == len(TYPES)
    assert (await call(app, "GET", "/problems/unheard-of")).status_code == 404


@pytest.mark.parametrize(
    ("method", "url", "name"),
    [("GET", "/nowhere", "not-found"), ("PUT", "/things", "method-not-allowed"), ("GET", "/things?x=1",
     "unknown-parameter"), ("POST", "/things", "invalid")],
)  # fmt: skip
async def test_the_address_of_a_problem_leads_to_its_page(app: FastAPI, method: str, url: str, name: str) -> None:
    answer = await call(app, method, url)
    kind = answer.json()["type"]
    assert kind == f"/problems/{name}"
    assert TYPES[name].status == answer.status_code
    assert (await call(app, "GET", str(httpx.URL("http://test/v1/x").join(kind)))).status_code == 200


def test_every_word_in_the_code_has_a_type_of_its_own() -> None:
    words = {word.replace("_", "-") for word in _words()} | {word.replace("_", "-") for _, _, word in STATUS}
    assert words - TYPES.keys() == {word.replace("_", "-") for word in NOT_OVER_HTTP} & words
    for kind, status, word in STATUS:
        assert type_of(status, word) == f"/problems/{word.replace('_', '-')}", kind


def _words() -> set[str]:
    """The codes of conflicts and the reasons of refusals that router and reviewer API may answer with."""
    found: set[str] = set()
    for folder in ("common", "router", "reviewer_api"):
        for path in (SERVICES / folder).rglob("*.py"):
            found |= _words_of(path)
    assert {"lease_lost", "revision_reused", "malformed"} <= found
    return found


def _words_of(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "Conflict" and node.args:
                found |= _texts(node.args[0])
            for keyword in node.keywords:
                if keyword.arg == "reason" and node.func.id == "InvalidInput":
                    found |= _texts(keyword.value)
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "reason":
            found |= _texts(node.value)
    return found


def _texts(node: ast.AST) -> set[str]:
    branches = [node.body, node.orelse] if isinstance(node, ast.IfExp) else [node]
    return {part.value for part in branches if isinstance(part, ast.Constant) and isinstance(part.value, str)}


@given(st.sets(st.integers(1, 60)))
def test_line_numbers_are_written_short_and_complete(lines: set[int]) -> None:
    text = ranges(sorted(lines))
    read: set[int] = set()
    for run in filter(None, text.split(",")):
        first, _, last = run.partition("-")
        read |= set(range(int(first), int(last or first) + 1))
    assert read == lines
    assert ranges([3, 7, 8, 9, 12]) == "3,7-9,12"


def test_refused_lines_are_all_counted_and_the_first_kept_without_what_they_came_from() -> None:
    refused = Refusals()
    for number in range(1, 9_501):
        try:
            parse(ContentSubmitted, b"{" if number % 2 else b'{"a": 1}')
        except InvalidInput as error:
            refused.add(number, error)
    assert refused.count == 9_500
    assert [problem.line for problem in refused.first] == list(range(1, LISTED + 1))
    assert {code: len(lines) for code, lines in refused.lines.items()} == {"malformed": 4_750, "invalid": 4_750}
    assert all(one.error.__cause__ is None and one.error.__traceback__ is None for one in refused.first)


def test_a_problem_is_cut_and_escaped_wherever_it_is_made() -> None:
    problem = FieldProblem("a\x1b" + "x" * 1_000, "y\u202e" * 1_000)
    assert problem.field == "a\\x1b" + "x" * (MAX_FIELD - 2) + "…"
    assert "\u202e" not in problem.problem
