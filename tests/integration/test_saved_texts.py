"""What a person writes often: kept for them alone, each text once, and not without end."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from secondlook.reviewer_api.replies.schemas import MOST
from tests.integration.review_world import World, code_of, fields_of


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with World.open(database_url) as world:
        yield world


async def texts(world: World, name: str = "") -> list[str]:
    return [each["text"] for each in (await world.call("GET", "/review/texts", name=name)).json()["texts"]]


async def test_everybody_keeps_their_own(world: World) -> None:
    for text in ("advertising", "an insult", "advertising"):
        world.clock.turn(1)
        assert (await world.call("POST", "/review/texts", {"text": text})).status_code == 201
    assert await texts(world) == ["advertising", "an insult"], "each once, the newest first"
    assert await texts(world, "bob") == []
    [newest, _] = (await world.call("GET", "/review/texts")).json()["texts"]
    path = f"/review/texts/{newest['text_id']}"
    assert (await world.call("DELETE", path, name="bob")).status_code == 404
    assert (await world.call("DELETE", path)).status_code == 204
    assert (await world.call("DELETE", path)).status_code == 404
    assert (await world.call("DELETE", f"/review/texts/{uuid4()}")).status_code == 404
    assert await texts(world) == ["an insult"]


async def test_not_without_end_and_no_empty_ones(world: World) -> None:
    assert fields_of(await world.call("POST", "/review/texts", {"text": ""})) == {"text"}
    assert fields_of(await world.call("POST", "/review/texts", {"text": "n" * 2001})) == {"text"}
    for number in range(MOST):
        assert (await world.call("POST", "/review/texts", {"text": f"text {number}"})).status_code == 201
    assert code_of(await world.call("POST", "/review/texts", {"text": "one more"})) == "409 too_many_texts"
    assert (await world.call("POST", "/review/texts", {"text": "text 7"})).status_code == 201, "it is kept already"
    assert len(await texts(world)) == MOST
