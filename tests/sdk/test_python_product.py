"""The Python client and the running product: content in, decisions out, webhooks, and services that die."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any
from uuid import uuid4

import httpx
import pytest

from secondlook_client import (
    Conflict,
    ContentSubmitted,
    Invalid,
    NotFound,
    Retries,
    Unauthenticated,
    WebhookRefused,
    verify_webhook,
)
from tests.sdk.both import Called
from tests.sdk.product import Product
from tests.sdk.readmes import blocks
from tools.sdk.contract import ROOT

pytestmark = pytest.mark.slow
PATIENT = Retries(tries=40, first=0.1, longest=1)


class Asking:
    """Calls a client of the product."""

    def __init__(self, call: Called, product: Product) -> None:
        self._call, self._product = call, product

    def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        options = {"router_url": self._product.router_url, "key": self._product.key, "retries": PATIENT}
        return self._call(self._product.api_url, method, *arguments, **{**options, **named})


@pytest.fixture
def ask(call: Called, product: Product) -> Asking:
    return Asking(call, product)


def content(text: str = "hello", content_id: str | None = None, revision: int = 1) -> ContentSubmitted:
    now = datetime.now(UTC)
    return ContentSubmitted(
        source="forum", content_id=content_id or str(uuid4()), revision=revision, text=text, created_at=now
    )


def end(ask: Asking) -> str:
    cursor: str = ask("feed_page", "now").next
    return cursor


def outcomes(ask: Asking, cursor: str, wanted: set[str], **which: Any) -> dict[str, str]:
    """What is decided behind a cursor, until everything wanted is among it."""
    found: dict[str, str] = {}
    deadline = time.monotonic() + 90
    while wanted - found.keys():
        assert time.monotonic() < deadline, "the decisions do not come"
        page = ask("feed_page", cursor, wait=10, **which)
        found |= {decision.content_id: decision.outcome for decision in page.decisions}
        cursor = page.next
    return found


def test_content_goes_in_and_its_decision_comes_out_of_feed_and_stream(ask: Asking) -> None:
    cursor, source = end(ask), "forum"
    items = [content("click here"), content("see you"), content("click", content_id=f"a/b?c#d%{uuid4()}")]
    for item in items:
        assert ask("submit", item).content_id == item.content_id
        assert ask("content", source, item.content_id).revisions[0].state in ("accepted", "in_review", "decided")
    wanted = {item.content_id: "reject" if "click" in item.text else "approve" for item in items}
    assert wanted.items() <= outcomes(ask, cursor, set(wanted), source=source).items()
    streamed = ask("stream", cursor, label="spam", first=2)
    assert all(one.decision.labels == ("spam",) for one in streamed)
    rest = ask("feed_page", streamed[0].cursor, label="spam").decisions
    assert rest[0] == streamed[1].decision, "the cursors of stream and feed are the same"
    known = ask("content", source, items[0].content_id)
    assert [decision.outcome for decision in known.decisions] == ["reject"]


def test_the_feed_waits_for_what_comes(ask: Asking) -> None:
    cursor = end(ask)
    item = content("click soon")
    thread = threading.Timer(1, lambda: Asking(Called(False), ask._product)("submit", item))
    thread.start()
    pages = ask("feed", cursor, wait=20, first=1)
    thread.join()
    assert item.content_id in [decision.content_id for page in pages for decision in page.decisions]


def test_what_the_product_refuses_comes_as_its_own_error(ask: Asking) -> None:
    item = content()
    ask("submit", item)
    ask("submit", item)
    with pytest.raises(Conflict) as reused:
        ask("submit", item.model_copy(update={"text": "another"}))
    assert reused.value.code == "revision_reused"
    with pytest.raises(Invalid) as invalid:
        ask("submit", {**item.model_dump(mode="json"), "revision": 0, "later": 1})
    assert {error.field for error in invalid.value.errors} == {"revision", "later"}
    with pytest.raises(Unauthenticated) as unknown:
        ask("submit", item, key="sl_00000000_unknown")
    assert unknown.value.code == "unauthenticated"
    with pytest.raises(NotFound):
        ask("content", "forum", str(uuid4()))
    with pytest.raises(Invalid):
        ask("feed_page", "of another deployment")


def test_many_are_accepted_and_all_that_are_not_are_named(ask: Asking) -> None:
    rows: list[dict[str, Any]] = [content(f"text {n}").model_dump(mode="json") for n in range(250)]
    for number in range(0, 250, 10):
        rows[number] |= {"revision": 0}
    rows[7] |= {"text": "half \ud83d"}
    submitted = ask("submit_many", iter(rows), lines=100)
    assert submitted.accepted == 224
    assert [one.content for one in submitted.refused if one.code == "invalid"] == rows[::10]
    assert [one.content for one in submitted.refused if one.code == "malformed"] == [rows[7]]
    assert submitted.refused[1].errors[0].field == "revision"
    assert ask("submit_many", rows).accepted == 224, "a repeat changes nothing"


def test_what_is_gone_needs_no_decision(ask: Asking) -> None:
    later = content("tomorrow").model_copy(update={"created_at": datetime.now(UTC) + timedelta(minutes=5)})
    found = ask("withdraw", "forum", later.content_id, "deleted by its author")
    assert (found.content_id, found.known) == (later.content_id, False)


def test_content_is_reported_and_a_repeat_is_the_same_report(ask: Asking) -> None:
    item = content("hello")
    ask("submit", item)
    same = {"report_id": f"r-{item.content_id}", "reporter": "u1", "reason": "spam"}
    assert [ask("report", "forum", item.content_id, **same).known for _ in range(2)] == [True, True]
    with pytest.raises(Conflict) as reused:
        ask("report", "forum", item.content_id, **{**same, "reason": "rude"})
    assert reused.value.code == "report_reused"
    early = ask("report", "forum", str(uuid4()), report_id=str(uuid4()), reporter="u2", reason="rude", note="early")
    assert not early.known
    with pytest.raises(Invalid):
        ask("report", "forum", item.content_id, report_id="", reporter="u1", reason="spam")


@pytest.mark.parametrize("service", ["router", "reviewer-api"])
def test_a_service_that_dies_is_waited_for(ask: Asking, product: Product, service: str) -> None:
    cursor, item = end(ask), content("click me")
    product.kill(service)
    ask("submit", item)
    product.kill(service)
    assert outcomes(ask, cursor, {item.content_id})[item.content_id] == "reject"


@contextmanager
def received() -> Iterator[tuple[str, Queue[tuple[dict[str, str], bytes]]]]:
    """The address of a receiver of webhooks, and what arrives there."""
    arrived: Queue[tuple[dict[str, str], bytes]] = Queue()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.put((dict(self.headers.items()), self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/hook", arrived
        server.shutdown()
        thread.join()


def test_webhooks_of_the_product_are_believed_with_both_secrets_and_by_no_other(product: Product) -> None:
    ask = Asking(Called(False), product)
    headers = {"Authorization": f"Bearer {product.key}"}
    with received() as (url, arrived), httpx.Client(base_url=product.api_url, headers=headers) as api:
        made = api.post("/v1/webhooks", json={"url": url, "labels": ["spam"]}).raise_for_status().json()
        address, secrets = f"/v1/webhooks/{made['webhook']['webhook_id']}", [made["secret"]]
        item = content("click this")
        ask("submit", item)
        while True:
            message = verify_webhook(secrets, *arrived.get(timeout=30))
            assert message.decision is not None
            assert (message.type, message.decision.labels) == ("decision.published", ("spam",))
            if message.decision.content_id == item.content_id:
                break
        secrets.append(api.post(f"{address}/secret").raise_for_status().json()["secret"])
        for _ in range(20):  # what is on its way is signed by the first alone
            ask("submit", content("click twice"))
            sent_headers, body = arrived.get(timeout=30)
            verify_webhook(secrets, sent_headers, body)
            if " " in sent_headers["webhook-signature"]:
                break
        for secret in secrets:
            verify_webhook(secret, sent_headers, body)
        with pytest.raises(WebhookRefused):
            verify_webhook("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", sent_headers, body)
        with pytest.raises(WebhookRefused):
            verify_webhook(secrets, sent_headers, body.replace(b"reject", b"approve"))
        api.delete(address).raise_for_status()


def test_the_programs_of_the_readme_run(product: Product, tmp_path: Path) -> None:
    content_id, (follow, receive, records) = str(uuid4()), blocks(ROOT / "sdk/python/README.md", "python")
    checks = f"""
from tests.sdk.test_webhook_signatures import SECRET
from tests.sdk.vectors import webhooks
os.environ["WEBHOOK_SECRETS"] = f"{{SECRET}} {{SECRET}}"
print(receive(webhooks()[0].headers, webhooks()[0].body.encode()))
{records}
print(record.topic, record.key)
"""
    program = tmp_path / "program.py"
    program.write_text(follow.replace("post-1", content_id) + receive + checks, encoding="utf-8")
    environment = {**product.environment(), "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, program], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"{content_id} approve () allow", "400", "content.submitted b'forum/post-2'",
    ]  # fmt: skip
