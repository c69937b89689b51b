"""Identity providers: a real one as a process, and one that says whatever a test wants. No tests."""

import hmac
import json
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT_ID = "desk"
CLAIMS: dict[str, Mapping[str, Any]] = {
    "ann": {"preferred_username": "Ann", "name": "Ann A.", "groups": ["everybody", "mods"]},
    "boss": {"preferred_username": "boss", "groups": ["mods", "bosses"]},
    "stranger": {"preferred_username": "stranger", "groups": ["everybody"]},
    "nameless": {"groups": "mods"},
}


@contextmanager
def real_provider() -> Iterator[str]:
    """The issuer of a provider with the people of CLAIMS."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    people = [part for sub, claims in CLAIMS.items() for part in ("--user-claims", json.dumps({"sub": sub, **claims}))]
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", "--port", str(port), *people],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    issuer = f"http://localhost:{port}"
    try:
        deadline = time.monotonic() + 30
        while not _answers(f"{issuer}/.well-known/openid-configuration"):
            assert process.poll() is None, "the provider ended"
            assert time.monotonic() < deadline, "the provider does not start"
            time.sleep(0.1)
        yield issuer
    finally:
        process.terminate()
        process.wait(10)


async def authorise(address: str, person: str) -> str:
    """The person says yes at the real provider; returns the query of the address that they are sent back to."""
    async with httpx.AsyncClient() as client:
        answer = await client.post(address, data={"sub": person})
    assert answer.status_code == 302, answer.text
    return urlsplit(answer.headers["location"]).query


class HostileProvider:
    """Signs what `says` returns for a nonce. `key` signs; `shown` are the keys that it shows."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "first"})
        self.shown: list[Any] = [self.key]
        self.says: Callable[[str], Any] = self.token
        self.nonce, self.status, self.requests = "", 200, 0
        self.described: dict[str, str] = {}
        self.issuer = ""

    def claims(self, nonce: str, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT_ID, "sub": "ann", "nonce": nonce, "iat": now, "exp": now + 300,
            "groups": ["mods"], **changes,
        }  # fmt: skip
        if not nonce:
            del claims["nonce"]
        return {name: value for name, value in claims.items() if value is not None}

    def token(self, nonce: str, header: Mapping[str, Any] | None = None, key: Any = None, **changes: Any) -> str:
        head = {"alg": "RS256", "kid": self.key.kid, **(header or {})}
        return jwt.encode(head, self.claims(nonce, **changes), key or self.key, algorithms=["RS256", "HS256"])

    def unsigned(self, nonce: str) -> str:
        return ".".join(_part(json.dumps(part).encode()) for part in ({"alg": "none"}, self.claims(nonce))) + "."

    def signed_with_the_public_key(self, nonce: str) -> str:
        """As if what everybody may read were a secret (RFC 8725, section 2.1)."""
        head = {"alg": "HS256", "kid": self.key.kid}
        text = ".".join(_part(json.dumps(part).encode()) for part in (head, self.claims(nonce)))
        signature = hmac.digest(self.key.as_pem(private=False), text.encode(), "sha256")
        return f"{text}.{_part(signature)}"

    def answer(self, path: str) -> tuple[int, Any]:
        self.requests += 1
        if path == "/.well-known/openid-configuration":
            names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "jwks"}
            found = {name: f"{self.issuer}/{part}" for name, part in names.items()}
            return 200, {"issuer": self.issuer, **found, **self.described}
        if path == "/jwks":
            return 200, KeySet(list(self.shown)).as_dict(private=False)
        return self.status, {"access_token": "a", "token_type": "Bearer", "id_token": self.says(self.nonce)}

    @contextmanager
    def running(self) -> Iterator["HostileProvider"]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._send(*provider.answer(urlsplit(self.path).path))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", 0)))
                self._send(*provider.answer(urlsplit(self.path).path))

            def _send(self, status: int, body: Any) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def sent(self, address: str) -> str:
        """Somebody comes to `address` to sign in; returns the query with which they go back."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["code_challenge_method"] == "S256"
        self.nonce = asked["nonce"]
        return f"code=c&state={asked['state']}"


def _part(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.HTTPError:
        return False
