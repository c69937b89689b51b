"""Compressed bodies: every right one is read, every wrong one is refused, and none grows beyond the limit."""

import contextlib
import gzip
import sys
import tracemalloc
import zlib
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from secondlook.common.errors import InvalidInput, PayloadTooLarge, SecondLookError, UnknownEncoding
from secondlook.common.http.encodings import DECODERS, decoder_for
from secondlook.common.http.limits import MAX_BODY
from secondlook.common.observability import Health
from secondlook.common.service.http import create_app

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIMIT = 1024 * 1024
ENCODERS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "x-gzip": gzip.compress, "zstd": zstd.compress}
BOMBS = {
    "gzip": gzip.compress(bytes(50_000_000), 9),
    "gzip, many members": gzip.compress(b"x") * 70_000,
    "zstd": zstd.compress(bytes(50_000_000)),
    "zstd, many frames": zstd.compress(b"x") * 70_000,
}


def decoded(encoding: str, body: bytes, limit: int = LIMIT) -> bytes:
    decode = decoder_for(encoding.encode())
    assert decode is not None
    return decode(body, limit)


@given(st.sampled_from(sorted(ENCODERS)), st.lists(st.binary(max_size=2000), max_size=4))
def test_what_was_compressed_comes_back_in_one_part_or_several(encoding: str, parts: list[bytes]) -> None:
    assert decoded(encoding, b"".join(ENCODERS[encoding](part) for part in parts)) == b"".join(parts)


def test_every_encoding_is_tried_here() -> None:
    assert ENCODERS.keys() == DECODERS.keys()


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_takes_little_memory(name: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(PayloadTooLarge, match="when it is decoded"):
            decoded(name.split(",")[0], BOMBS[name], 64 * 1024)
        assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
@pytest.mark.parametrize("wrong", ["plain", "cut", "tail", "flipped", "raw deflate"])
def test_what_is_not_what_it_says(encoding: str, wrong: str) -> None:
    whole = ENCODERS[encoding](b"some text that is long enough to be cut" * 20)
    body = {
        "plain": b'{"a": 1}', "cut": whole[:-5], "tail": whole + b"tail",
        "flipped": bytes([whole[0] ^ 1]) + whole[1:], "raw deflate": zlib.compress(b"text"),
    }[wrong]  # fmt: skip
    with pytest.raises(InvalidInput):
        decoded(encoding, body)


@given(st.sampled_from(["gzip", "zstd"]), st.binary(max_size=300))
def test_no_bytes_raise_anything_else(encoding: str, body: bytes) -> None:
    with contextlib.suppress(SecondLookError):
        decoded(encoding, body)


@pytest.mark.parametrize("name", ["br", "deflate", "gzip, gzip", "gzip;q=1", "compress", "ü"])
def test_an_encoding_that_nobody_reads(name: str) -> None:
    with pytest.raises(UnknownEncoding, match="gzip"):
        decoder_for(name.encode("latin-1"))


@pytest.mark.parametrize("name", ["", "identity", " IDENTITY "])
def test_nothing_to_decode(name: str) -> None:
    assert decoder_for(name.encode()) is None


@pytest.fixture
def app() -> FastAPI:
    app = create_app("test", Health(), CollectorRegistry())

    @app.post("/read")
    async def read(request: Request) -> int:
        return len(await request.body())

    return app


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [
        ("gzip", gzip.compress(b"x" * 100_000), 200),
        ("ZSTD", zstd.compress(b"x" * 100_000), 200),
        ("identity", b"x" * 100_000, 200),
        ("gzip", gzip.compress(b"x" * (MAX_BODY + 1)), 413),
        ("zstd", BOMBS["zstd"], 413),
        ("gzip", b"x", 422),
        ("br", b"x", 415),
        ("gzip", b"", 200),
    ],
)
async def test_over_http(app: FastAPI, encoding: str, body: bytes, status: int) -> None:
    async def parts() -> Any:
        for start in range(0, len(body) or 1, 1000):
            yield body[start : start + 1000]

    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        for content in (body, parts()):
            answer = await client.post("/read", content=content, headers={"Content-Encoding": encoding})
            assert answer.status_code == status, answer.text
            if status == 200:
                assert answer.json() == (100_000 if body else 0)
            elif status == 415:
                assert answer.headers["accept-encoding"] == "gzip, x-gzip, zstd"
