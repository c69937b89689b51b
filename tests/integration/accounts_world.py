"""People with accounts, and their browsers, before the reviewer API. No tests."""

from typing import Any
from uuid import UUID

import httpx

from secondlook.common.service.authentication import SESSION_COOKIE
from tests.integration.review_world import World

ORIGIN = {"Origin": "http://reviewer"}
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody


class Browser:
    """A person's browser: it keeps the cookie, and says which page asks."""

    def __init__(self, world: World) -> None:
        self._client = world.client
        self.cookie: str | None = None

    async def send(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        cookie = {"Cookie": f"{SESSION_COOKIE}={self.cookie}"} if self.cookie else {}
        sent = {**ORIGIN, **cookie, **headers}
        answer = await self._client.request(method, path, json=body, headers={k: v for k, v in sent.items() if v})
        self._client.cookies.clear()
        for line in answer.headers.get_list("set-cookie"):
            value = line.partition("=")[2].partition(";")[0].strip('"')
            self.cookie = value or None
        return answer

    async def sign_in(self, username: str, password: str = PASSWORD) -> httpx.Response:
        return await self.send("POST", "/session", {"username": username, "password": password})


async def person(world: World, username: str, role: str) -> UUID:
    """Somebody with an account and the PASSWORD; returns its id."""
    account_id, token, _ = await world.api.accounts.create(username, None, role, "test")
    browser = Browser(world)
    assert (await browser.send("POST", "/session/link", {"token": token})).status_code == 200
    assert (await browser.send("POST", "/session/password", {"new": PASSWORD})).status_code == 204
    return account_id
