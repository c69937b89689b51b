"""The load of bench.review counts what fails, and ends loudly where a server refuses."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, replace

import pytest

from bench import review_load
from bench.review_connection import Answer, AnswerLost, HttpConnection, ServerRefused, cut, encode
from bench.review_load import LoadPlan, LoadResult, load, quantile
from bench.review_world import free_port

PLAN = LoadPlan(
    ports=(), reviewers=("X-Who: a\r\n", "X-Who: b\r\n"), ask=("POST", "/ask"), ask_body="{}",
    finds={"item": ["items", 0, "id"]}, answer=("POST", "/items/$item/answer"), answer_bodies=['{"of":"$item"}'],
    seconds=0.3, warm_up=0.05,
)  # fmt: skip
Reply = Callable[[str, str], tuple[int, bytes]]


@asynccontextmanager
async def serving(reply: Reply, delay: float = 0.0) -> AsyncIterator[tuple[int, list[tuple[str, str]]]]:
    """A server on a port: `reply` makes status and body from the request's line and body."""
    seen: list[tuple[str, str]] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
            except (asyncio.IncompleteReadError, ConnectionError):
                break
            lengths = [line.split(": ")[1] for line in head.split("\r\n") if line.startswith("Content-Length")]
            body = (await reader.readexactly(int(lengths[0]))).decode() if lengths else ""
            seen.append((head, body))
            await asyncio.sleep(delay)
            status, content = reply(head.split("\r\n")[0], body)
            if status == 0:
                break
            writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(content)}\r\n\r\n".encode() + content)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], seen
    finally:
        server.close()
        for writer in writers:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()


def good(line: str, _: str) -> tuple[int, bytes]:
    return (200, b'{"items":[{"id":7}]}') if "/ask" in line else (201, b"{}")


async def test_a_reviewer_asks_and_answers_about_what_they_were_given() -> None:
    async with serving(good) as (port, seen):
        result = await load(replace(PLAN, ports=[port]))
    assert result.pairs > 10
    assert result.errors == {}
    assert {head.split("\r\n")[0] for head, _ in seen} == {"POST /ask HTTP/1.1", "POST /items/7/answer HTTP/1.1"}
    assert {body for _, body in seen} == {"{}", '{"of":"7"}'}
    assert {head.split("X-Who: ")[1][0] for head, _ in seen} == {"a", "b"}
    assert len(result.ask_s) >= result.pairs - 2


@pytest.mark.parametrize(("status", "error"), [(500, "answer 500"), (409, "answer 409"), (0, "answer lost")])
async def test_what_fails_is_counted_and_is_no_pair(status: int, error: str) -> None:
    calls = iter(range(10_000))

    def sometimes(line: str, body: str) -> tuple[int, bytes]:
        return good(line, body) if "/ask" in line or next(calls) % 2 else (status, b"")

    async with serving(sometimes) as (port, seen):
        result = await load(replace(PLAN, ports=[port], reviewers=PLAN.reviewers[:1], warm_up=0.0))
    answers = sum("/items/" in head for head, _ in seen)
    assert abs(result.errors[error] - answers / 2) <= 1
    assert list(result.errors) == [error]
    assert result.pairs <= answers - result.errors[error]


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        (lambda line, body: (401, b"who are you"), "turns a reviewer away: 401 b'who are you'"),
        (lambda line, body: (503, b""), "10 failures in a row"),
        (lambda line, body: (200, b'{"items":[]}'), "no item is left"),
    ],
)
async def test_a_server_that_refuses_ends_the_load(reply: Reply, said: str) -> None:
    async with serving(reply) as (port, _):
        with pytest.raises(ServerRefused, match=said):
            await load(replace(PLAN, ports=[port], seconds=30.0))


def test_a_port_where_nobody_listens_ends_the_process_with_an_error() -> None:
    with pytest.raises(RuntimeError, match="nobody answers on port"):
        review_load.run(replace(PLAN, ports=[free_port()]))


async def test_with_a_pace_a_slow_server_is_charged_for_what_had_to_wait() -> None:
    async with serving(good, delay=0.08) as (port, _):
        paced = await load(replace(PLAN, ports=[port], reviewers=PLAN.reviewers[:1], pace=10.0, seconds=0.8))
        eager = await load(replace(PLAN, ports=[port], reviewers=PLAN.reviewers[:1], seconds=0.8))
    assert max(eager.ask_s) < 0.16
    assert max(paced.answer_s) > 0.3  # 160 ms of work are due every 100 ms


async def test_with_a_pace_no_more_is_asked_than_is_due() -> None:
    async with serving(good) as (port, _):
        result = await load(replace(PLAN, ports=[port], pace=10.0, seconds=0.8))
    assert 12 <= result.pairs <= 18


@pytest.mark.parametrize(
    ("data", "ended", "found"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", False, (Answer(200, b"ab"), False)),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", False, None),
        (b"HTTP/1.1 200 OK\r\nContent-Le", False, None),
        (b"HTTP/1.1 404 No\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", False, (Answer(404, b""), True)),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1;x=y\r\nd\r\n0\r\n\r\n",
            False,
            (Answer(200, b"abcd"), False),
        ),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nab", False, None),
        (b"HTTP/1.1 204 No\r\n\r\n", False, (Answer(204, b""), False)),
        (b"HTTP/1.1 200 OK\r\n\r\nab", False, None),
        (b"HTTP/1.1 200 OK\r\n\r\nab", True, (Answer(200, b"ab"), True)),
    ],
)
def test_an_answer_is_cut_where_it_ends(data: bytes, ended: bool, found: tuple[Answer, bool] | None) -> None:
    assert cut(data, ended=ended) == found


async def test_a_connection_that_the_server_ended_is_made_again() -> None:
    replies = iter([(0, b""), (200, b"x"), (200, b"y")])
    async with serving(lambda line, body: next(replies)) as (port, _):
        connection, wire = HttpConnection(port), encode("GET", "/", "", None)
        with pytest.raises(AnswerLost):
            await connection.request(wire)
        assert [(await connection.request(wire)).body for _ in range(2)] == [b"x", b"y"]
        await connection.close()


def test_a_quantile_is_a_value_that_was_seen() -> None:
    values = [float(n) for n in range(1, 101)]
    assert [quantile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 50, 99, 100]
    with pytest.raises(ValueError, match="no request finished"):
        quantile([], 0.5)


def test_a_result_goes_through_a_pipe_unchanged() -> None:
    result = LoadResult(3, 1.5, [0.1], [0.2, 0.3], {"ask 500": 1}, 0.01)
    assert LoadResult(**json.loads(json.dumps(asdict(result)))) == result
    assert (result.per_second, result.latency_ms(1.0), result.latency_ms(1.0, "ask")) == (2.0, 300.0, 100.0)
