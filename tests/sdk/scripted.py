"""An HTTP server that answers as a test says: busy, wrong, cut off, or lying. It notes what it was asked."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple


class Asked(NamedTuple):
    """A request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


class Answered(NamedTuple):
    """What to answer. `cut`: close the connection without an answer, or in the middle of it where `body` is longer."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = {}  # noqa: RUF012
    cut: bool = False


Script = Callable[[Asked], Answered]


class ScriptedServer:
    """Answers what `script` says, and keeps every request in `asked`."""

    def __init__(self, script: Script, url: str) -> None:
        self.script, self.url = script, url
        self.asked: list[Asked] = []


def in_turn(*answers: Answered) -> Script:
    """These answers, one after the other; the last one for ever."""
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def problem(status: int, headers: dict[str, str] | None = None, **more: Any) -> Answered:
    """A problem document."""
    body = {"type": "/problems/x", "title": "X", "status": status, "detail": "what happened", **more}
    return Answered(status, json.dumps(body).encode(), {"Content-Type": "application/problem+json", **(headers or {})})


@contextmanager
def scripted(*answers: Answered, script: Script | None = None) -> Iterator[ScriptedServer]:
    """A server on a free port of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
            server.asked.append(asked)
            answer = server.script(asked)
            if answer.cut and not answer.body:
                self.close_connection = True
                return
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body) + (1000 if answer.cut else 0)))
            self.end_headers()
            self.wfile.write(answer.body)
            self.close_connection = answer.cut

        do_GET = do_POST = do_DELETE = _handle

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that went away is no trouble of the server."""

    with Server(("127.0.0.1", 0), Handler) as http:
        server = ScriptedServer(script or in_turn(*answers), f"http://127.0.0.1:{http.server_port}")
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            http.shutdown()
            thread.join()
