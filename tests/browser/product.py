"""The product that the browser tests share: the reviewer API as a process, on a database of the run."""

import asyncio
import contextlib
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import httpx

from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.topics import topics
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import ContentSubmitted, Event, ReviewRequested, Why, review_id
from secondlook.common.contract.operations import OperationAsked, OperationDone, Simulated, What
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.contract.quality import (
    FrontierPoint,
    MeasuredBundle,
    MeasuredCertificate,
    MeasuredLabel,
    MeasuredSecondLooks,
    MeasuredShare,
    MeasuredSide,
    QualityMeasured,
    SideStanding,
)
from secondlook.common.migrate import migrate_schemas
from secondlook.common.postgres import Database
from secondlook.common.service.unit_of_work import Transactions
from secondlook.reviewer_api.accounts.schemas import AccountRole
from secondlook.reviewer_api.accounts.service import AccountService
from secondlook.reviewer_api.policies.service import PolicyService
from tests.integration.review_world import requested

ROOT = Path(__file__).parents[2]
QUEUES = 100
_QUEUES = "".join(f"  q{number}: {{sla_minutes: 60}}\n" for number in range(QUEUES))
POLICY = f"""
name: community rules
labels:
  spam: {{description: "Unwanted advertising, or the same text again and again.", action: hide, severity: 2}}
  harassment: {{description: "Attacks on a person: insults, threats, private data.", action: remove, severity: 4}}
  hate: {{description: "Attacks on people for what they are.", action: remove, severity: 4}}
  violence: {{description: "Praise of violence, or a call for it.", action: report, severity: 5}}
queues:
  default: {{sla_minutes: 60}}
{_QUEUES}  leads: {{sla_minutes: 240, role: lead}}
"""
START_SECONDS = 30.0
MADE = datetime(2026, 1, 1, tzinfo=UTC)
NOTHING = MeasuredShare(value=None, n=0, k=0, low=0, high=1)
FIGURES = QualityMeasured(
    measured_at=MADE, bundle_version="b-7", certify_items=4_200, reviewers=(),
    sides=(
        MeasuredSide(
            outcome="approve", label=None, standing=SideStanding.CERTIFIED, threshold=0.08,
            wrong=MeasuredShare(value=0.004, n=1_000, k=4, low=0.001, high=0.0102),
            certificate=MeasuredCertificate(n=900, k=3, epsilon=0.01, delta=0.025, bound=0.0097),
        ),
        MeasuredSide(
            outcome="reject", label="spam", standing=SideStanding.UNCERTIFIED, wrong=NOTHING, needed=120,
            reason="3 of 40 judged are wrong, too many for 3 %.", outlook="About 120 more, in 4 days.",
        ),
    ),
    labels=(
        MeasuredLabel(
            label="spam", prevalence=MeasuredShare(value=0.06, n=1_000, k=60, low=0.046, high=0.077), suspects=2,
            agreement_n=80, agreement=0.81, agreement_low=0.7, agreement_high=0.9,
        ),
    ),
    second_looks=MeasuredSecondLooks(), overturned=MeasuredShare(value=0.02, n=200, k=4, low=0.005, high=0.05),
    bundles=(
        MeasuredBundle(
            bundle_version="b-7", stage="active", policy_version=1, created_at=MADE, promoted_at=MADE, kept=True,
            reasons=("every label is at least as good",),
        ),
        MeasuredBundle(
            bundle_version="b-6", stage="retired", policy_version=1, created_at=MADE, promoted_at=MADE, kept=True,
        ),
        MeasuredBundle(
            bundle_version="b-5", stage="refused", policy_version=1, created_at=MADE, promoted_at=None, kept=False,
            reasons=("spam: worse on 412 pairs",),
        ),
    ),
    frontier=tuple(
        FrontierPoint(factor=factor, approve=0.01 * factor, reject=0.03 * factor, automated=share, reviews_a_day=day)
        for factor, share, day in ((0.5, 0.2, 800), (1, 0.55, 450), (2, 0.7, 300), (5, 0.85, 150))
    ),
)  # fmt: skip
Value = TypeVar("Value")


def settled(work: Coroutine[Any, Any, Value]) -> Value:
    """The result of `work`, done in a thread of its own: Playwright's loop runs in the one of the tests."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


@dataclass(frozen=True)
class Product:
    """A running reviewer API at `url`, whose policy has the queues `q0` and on, one for each test."""

    url: str
    database_url: str

    def account(self, username: str, role: AccountRole) -> str:
        """A new account; returns the token of its login link."""

        async def create() -> str:
            async with Database.open(self.database_url, "reviewer", size=1) as database:
                _, token, _ = await AccountService(database, SystemClock()).create(username, None, role, "test")
                return token

        return settled(create())

    def put(self, queue: str, texts: Sequence[str], **fields: Any) -> list[str]:
        """Ask for reviews of these texts; returns their content ids once they wait in the queue, in this order."""
        events = [item(queue, text, **fields) for text in texts]
        self.publish(*events)
        ids = [event.content_id for event in events]
        until(lambda: self.value_of("SELECT count(*) FROM task WHERE content_id = ANY($1)", ids) == len(ids))
        return ids

    def publish(self, *events: Event) -> None:
        """Put events on the bus."""
        settled(self._publish(events))

    def tells_quality(self) -> None:
        """The trainer's figures arrive: one side certified, the other off."""
        settled(self._publish([FIGURES]))
        until(lambda: self.value_of("SELECT count(*) FROM quality") == 1)

    async def _publish(self, events: Sequence[Event]) -> None:
        async with Database.open(self.database_url, "reviewer", size=2) as database:
            bus = PostgresBus(database)
            await bus.ensure_topics(topics(2))
            async with Transactions(database, bus, SystemClock(), "test").begin() as work:
                for event in events:
                    work.publish(event)

    async def value(self, query: str, *values: Any) -> Any:
        """One value of the service's database."""
        async with Database.open(self.database_url, "reviewer", size=1) as database:
            return await database.pool.fetchval(query, *values)

    def value_of(self, query: str, *values: Any) -> Any:
        """The same, from outside of a loop."""
        return settled(self.value(query, *values))

    def answers(self, what: What, ok: bool, detail: str, simulated: Simulated | None = None) -> OperationAsked:
        """Another service answers the newest request of this kind, once there is one; returns the request."""
        query = "SELECT value FROM bus.record WHERE topic = 'operation.asked' ORDER BY \"offset\" DESC LIMIT 1"
        until(lambda: self.value_of("SELECT count(*) FROM operation WHERE done_at IS NULL AND what = $1", what) == 1)
        asked = OperationAsked.model_validate_json(self.value_of(query))
        assert asked.what == what
        done = OperationDone(
            operation_id=asked.operation_id, what=what, ok=ok, detail=detail, simulated=simulated,
            done_at=datetime.now(UTC),
        )  # fmt: skip
        self.publish(done)
        return asked

    def end_sessions(self) -> None:
        """Everybody is logged out."""
        self.value_of("DELETE FROM session")

    def judgements(self, content_id: str) -> int:
        """How many verdicts on this content count."""
        query = """
            SELECT count(*) FROM judgement JOIN task USING (task_id) WHERE content_id = $1 AND undone_at IS NULL
        """
        return int(self.value_of(query, content_id))

    def state(self, content_id: str) -> str:
        """The state of the content's review."""
        return str(self.value_of("SELECT state FROM task WHERE content_id = $1", content_id))


def item(queue: str, text: str, **fields: Any) -> ReviewRequested:
    """A request to review one text of its own."""
    content_id = fields.pop("content_id", f"item-{uuid.uuid4().hex[:10]}")
    embedding, coin = fields.pop("embedding", None), fields.pop("coin", None)
    now = datetime.now(UTC)
    asked = requested(content_id, queue=queue, at=now, embedding=embedding)
    given = {"text": text, "author_id": f"author-{queue}", "kind": "post", "language": "en", **fields}
    content = ContentSubmitted(**{**asked.content.model_dump(), **given})
    made = review_id(content.source, content_id, 1, Why.UNCERTAIN)
    return asked.model_copy(update={"content": content, "review_id": made, "coin": coin or asked.coin})


def until(met: Any, seconds: float = 20.0) -> None:
    """Wait until `met()` is true; fail if that takes longer."""
    end = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


@contextlib.contextmanager
def running(server_url: str, port: int, **settings: str) -> Iterator[Product]:
    """The product on a database of its own, with these settings of the environment."""
    name = f"browser_{uuid.uuid4().hex[:8]}"
    settled(_prepare(server_url, name))
    url = server_url.format(database=name)
    environment = {
        **os.environ, "SECONDLOOK_DATABASE_URL": url, "SECONDLOOK_API_PORT": str(port), "SECONDLOOK_HOST": "127.0.0.1",
        **settings,
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "secondlook.reviewer_api"], env=environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        address = f"http://127.0.0.1:{port}"
        until(lambda: _answers(f"{address}/readyz"), START_SECONDS)
        yield Product(address, url)
    finally:
        process.terminate()
        process.wait(20)


async def _prepare(server_url: str, name: str) -> None:
    admin = await asyncpg.connect(server_url.format(database="postgres"))
    await admin.execute(f"CREATE DATABASE {name}")
    await admin.close()
    url = server_url.format(database=name)
    await migrate_schemas(url)
    async with Database.open(url, "reviewer", size=2) as database:
        bus = PostgresBus(database)
        await bus.ensure_topics(topics(2))
        await PolicyService(Transactions(database, bus, SystemClock(), "test")).publish(parse_policy(POLICY), "lead-0")


def _answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False
