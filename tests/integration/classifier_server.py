"""Somebody else's classifier: a real HTTP server that is slow, wrong, dead or lying, as a test has it."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = tuple[int, bytes]


def scored(value: object) -> Callable[[dict[str, Any]], Answer]:
    """Answers every request with this value."""
    return lambda asked: (200, json.dumps({"score": value}).encode())


class ClassifierServer(ThreadingHTTPServer):
    """`answer`: what it says to a request. `seconds`: how long it takes for that. `asked`: the bodies, in order."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Callable[[dict[str, Any]], Answer] = scored(0.5)
        self.seconds, self.headers = 0.0, dict[str, str]()
        self.asked: list[dict[str, Any]] = []
        self.heard: list[dict[str, str]] = []  # headers
        self.stopping = threading.Event()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_address[1]}/score"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that are gone are no error here."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ClassifierServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        self.server.heard.append({name.lower(): value for name, value in self.headers.items()})
        self.server.stopping.wait(self.server.seconds)
        status, answer = self.server.answer(body)
        self.send_response(status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests print nothing."""


@contextmanager
def serving() -> Iterator[ClassifierServer]:
    """A server on a port of its own, until the block ends."""
    server = ClassifierServer()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server
    finally:
        server.stopping.set()
        server.shutdown()
        thread.join()
        server.server_close()
