"""The requests of bench.stalling: each costs its sender little, and would cost a careless service much."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

ITEM = {"source": "stall", "content_id": "a", "revision": 1, "text": "x", "created_at": "2025-01-01T00:00:00Z"}
UNKNOWN = {f"unknown{number}": number for number in range(8)}
HALF_SENT = 1_500


@dataclass(frozen=True, slots=True)
class Attack:
    """A request to send again and again, and the statuses that a service may answer it with."""

    name: str
    port: int
    path: str
    body: bytes
    key: str | None
    allowed: tuple[int, ...]


def attacks(port: int, keys: dict[str, str]) -> Iterator[Attack]:
    """Requests to the reviewer API at `port` and to the router beside it."""
    router, upstream, reviewer, lead = port + 1, keys["upstream"], keys["reviewer"], keys["lead"]
    batch, content, claims, policies = "/v1/content/batch", "/v1/content", "/v1/review/claims", "/v1/policies"
    bad_line = json.dumps(UNKNOWN).encode()
    wrong = {**ITEM, "attributes": {f"a{number}": [] for number in range(18_000)}}
    names = json.dumps({f"a{number}": 1 for number in range(9_000)}).encode()
    deep = b'{"limit":' * 12_000
    yaml = "labels:\n" + "".join(f"  a{number}: [{{}}, {{}}]\n" for number in range(20_000))
    yield Attack("bad_lines", router, batch, b"\n".join([bad_line] * 9_500), upstream, (202, 503))
    yield Attack("wide_lines", router, batch, b"\n".join([json.dumps(wrong).encode()] * 30), upstream, (202, 503))
    yield Attack("wide_item", router, content, json.dumps(wrong).encode(), upstream, (422,))
    yield Attack("deep_item", router, content, b'{"context":' * 20_000, upstream, (422,))
    yield Attack("unknown_fields", port, claims, names, reviewer, (422,))
    yield Attack("deep_claim", port, claims, deep, reviewer, (422,))
    yield Attack("long_policy", port, policies, json.dumps({"document": yaml}).encode(), lead, (422, 503))
    yield Attack("without_key", router, batch, b" " * 8_000_000, None, (401,))


@contextmanager
def open_half_sent(port: int, keys: dict[str, str]) -> Iterator[Callable[[], int]]:
    """Open HALF_SENT connections and send the beginning of a request on each; gives a count of those still open."""
    head = f"POST /v1/content/batch HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {keys['upstream']}\r\n"
    beginnings = [
        (port, b"GET /healthz HTTP/1.1\r\nHo"),
        (port + 1, head.encode()),
        (port + 1, head.encode() + b"Content-Length: 1000000\r\n\r\n{"),
    ]
    with ExitStack() as stack:
        held: list[socket.socket] = []
        for number in range(HALF_SENT):
            to, beginning = beginnings[number % len(beginnings)]
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", to), 5))
            with suppress(OSError):  # it was closed already
                connection.sendall(beginning)
            held.append(connection)
        yield lambda: sum(map(_is_open, held))


def _is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        while connection.recv(4096):
            pass
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False
