"""The producers that docs/kafka-producers.md shows, each run against a real broker."""

import asyncio
import fcntl
import os
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import confluent_kafka
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import murmur2

from secondlook.common.bus import Record, Topic
from secondlook.common.bus.kafka import KafkaBus
from secondlook.common.bus.wire import MAX_BYTES, MAX_MESSAGE_BYTES, MAX_SENT, decode
from secondlook.common.contract.events import ContentSubmitted, ContentWithdrawn
from secondlook.common.contract.fields import MAX_TEXT
from secondlook.common.postgres import Database
from secondlook.router.settings import RouterSettings
from tests.contract.conftest import kafka_bus
from tests.requirements import NEEDS, unavailable
from tools.kafka.jars import BrokerUnavailable, fetch_jars, find_java
from tools.npm import find_node

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/kafka-producers.md"
EXAMPLES = ROOT / "docs/examples/kafka"
BUILD = ROOT / "build/examples/kafka/node"  # what npm fetches; the sources stay clean
PARTITIONS = 12
SENT = ContentSubmitted(
    source="forum",
    content_id="post-1",
    revision=1,
    text="Hello, is this still for sale?",
    created_at=datetime(2026, 1, 1, 12, tzinfo=UTC),
)
MURMUR2 = (murmur2(SENT.key.encode()) & 0x7FFF_FFFF) % PARTITIONS  # the partition that Java's producer chooses
FENCED = re.compile(r"^```\w+\n(.*?)^```", re.DOTALL | re.MULTILINE)
Command = tuple[list[str], dict[str, str]]  # what to run, and with which environment


def python(script: Path, folder: Path) -> Command:
    return [sys.executable, str(script)], {}


def java(script: Path, folder: Path) -> Command:
    try:
        found, jars = find_java(), fetch_jars()
    except BrokerUnavailable as error:
        unavailable("Java", error)
    if "jdk.compiler" not in run([found, "--list-modules"], "Java"):
        unavailable("a JDK", f"{found} has no compiler; on Debian and Ubuntu: apt-get install openjdk-17-jdk-headless")
    return [found, "-cp", f"{jars}/*", str(script)], {}


def go(script: Path, folder: Path) -> Command:
    found = shutil.which("go")
    if found is None:
        pytest.skip(f"{NEEDS}Go: there is no go on the PATH")
    program, local = folder / "produce", {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    needed = re.search(r"^go ([\d.]+)$", (script.parent / "go.mod").read_text(encoding="utf-8"), re.MULTILINE)
    version = run([found, "env", "GOVERSION"], "Go", local).strip().removeprefix("go")
    assert needed is not None
    if numbers(version) < numbers(needed[1]):
        pytest.skip(f"{NEEDS}Go {needed[1]}: this is {version}")
    run([found, "mod", "download", "-C", str(script.parent)], "Go's modules", local)
    build = [found, "build", "-C", str(script.parent), "-o", str(program), "."]
    built = subprocess.run(
        build, env={**os.environ, **local, "CGO_ENABLED": "0"}, capture_output=True, text=True, check=False
    )
    assert built.returncode == 0, built.stderr
    return [str(program)], {}


def node(script: Path, folder: Path) -> Command:
    found = find_node()
    if found is None:
        pytest.skip(f"{NEEDS}Node.js: there is none of version 20.19 or newer")
    npm, environment = found.npm, found.environment
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # other tests of this run want it too
        shutil.copytree(script.parent, BUILD, dirs_exist_ok=True, ignore=shutil.ignore_patterns("node_modules"))
        wanted, installed = BUILD / "package-lock.json", BUILD / "node_modules/.installed"
        if not installed.exists() or installed.read_bytes() != wanted.read_bytes():
            run([*npm, "ci", "--silent", "--no-progress", "--prefix", str(BUILD)], "npm's packages", environment)
            installed.write_bytes(wanted.read_bytes())
    return ["node", str(BUILD / script.name)], environment


PRODUCERS: dict[str, Callable[[Path, Path], Command]] = {
    "python/produce.py": python,
    "python/produce_async.py": python,
    "java/Produce.java": java,
    "go/produce.go": go,
    "node/produce.mjs": node,
}


def run(command: list[str], what: str, environment: dict[str, str] | None = None) -> str:
    """What the command printed; the test is skipped, in CI failed, if it fails: `what` could not be had."""
    done = subprocess.run(
        command, env={**os.environ, **(environment or {})}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        unavailable(what, (done.stdout + done.stderr).strip()[-2000:])
    return done.stdout


def numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def produce(command: Command, **settings: str) -> subprocess.CompletedProcess[str]:
    words, environment = command
    return subprocess.run(
        words, env={**os.environ, **environment, **settings}, capture_output=True, text=True, check=False, timeout=60
    )


class Inbox(NamedTuple):
    """A bus of a test's own, and what Kafka calls the topic that upstream services write to."""

    bus: KafkaBus
    topic: str

    async def record(self) -> Record:
        (record,) = await self.bus.tail(ContentSubmitted.topic, 10)
        assert decode(record) == SENT
        return record


@pytest.fixture
async def inbox(database_url: str, kafka_bootstrap: str) -> AsyncIterator[Inbox]:
    prefix = f"producers{secrets.token_hex(4)}."
    async with Database.open(database_url, "router", size=4) as database:
        bus = kafka_bus(database, kafka_bootstrap, kafka_prefix=prefix)
        await bus.ensure_topics([Topic(ContentSubmitted.topic, PARTITIONS)])
        yield Inbox(bus, prefix + ContentSubmitted.topic)


@pytest.mark.parametrize("name", PRODUCERS)
async def test_what_the_page_shows_reaches_second_look(
    inbox: Inbox, kafka_bootstrap: str, tmp_path: Path, name: str
) -> None:
    command = await asyncio.to_thread(PRODUCERS[name], EXAMPLES / name, tmp_path)
    done = await asyncio.to_thread(produce, command, KAFKA_BOOTSTRAP=kafka_bootstrap, CONTENT_TOPIC=inbox.topic)
    assert done.returncode == 0, done.stdout + done.stderr
    record = await inbox.record()
    assert (record.key, record.headers["ce_type"], record.partition) == (SENT.key, "ContentSubmitted", MURMUR2)


@pytest.mark.parametrize("name", PRODUCERS)
async def test_a_producer_whose_record_is_refused_ends_with_an_error(
    kafka_bootstrap: str, tmp_path: Path, name: str
) -> None:
    command = await asyncio.to_thread(PRODUCERS[name], EXAMPLES / name, tmp_path)
    topic = f"refusing-{secrets.token_hex(4)}"
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1, topic_configs={"max.message.bytes": "10"})])
    await admin.close()
    done = await asyncio.to_thread(produce, command, KAFKA_BOOTSTRAP=kafka_bootstrap, CONTENT_TOPIC=topic)
    assert done.returncode != 0
    assert re.search("too.?large", done.stderr, re.IGNORECASE), done.stderr


async def test_librdkafka_chooses_another_partition_unless_it_is_told(inbox: Inbox, kafka_bootstrap: str) -> None:
    producer = confluent_kafka.Producer({"bootstrap.servers": kafka_bootstrap})
    producer.produce(inbox.topic, SENT.model_dump_json().encode(), SENT.key.encode())
    assert await asyncio.to_thread(producer.flush, 20) == 0
    assert (await inbox.record()).partition != MURMUR2


@pytest.mark.parametrize("name", PRODUCERS)
def test_the_page_shows_what_is_run(name: str) -> None:
    assert (EXAMPLES / name).read_text(encoding="utf-8") in FENCED.findall(PAGE.read_text(encoding="utf-8"))


def test_every_example_is_run() -> None:
    kinds = {".py", ".java", ".go", ".mjs"}
    found = {path.relative_to(EXAMPLES) for path in EXAMPLES.rglob("*") if path.suffix in kinds}
    assert {path.as_posix() for path in found if "node_modules" not in path.parts} == set(PRODUCERS)


def test_the_page_shows_bodies_that_are_read() -> None:
    bodies = [text for text in FENCED.findall(PAGE.read_text(encoding="utf-8")) if text.startswith("{")]
    kinds = [ContentWithdrawn.type if "withdrawn_at" in body else ContentSubmitted.type for body in bodies]
    assert kinds.count(ContentWithdrawn.type) == 1
    for body, kind in zip(bodies, kinds, strict=True):
        headers = {} if "specversion" in body else {"ce_type": kind}
        event = decode(Record(ContentSubmitted.topic, 0, 0, SENT.key, body.encode(), headers, SENT.created_at))
        assert event.type == kind


def test_the_page_names_the_sizes_that_hold() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert f"at most {MAX_TEXT:,} characters" in page
    assert f"at most {MAX_BYTES // 1024} KiB" in page
    assert f"may have {MAX_SENT // 1024**2} MiB" in page
    assert f"larger than {MAX_MESSAGE_BYTES // 1024:,} KiB" in page
    assert f"`SECONDLOOK_FUTURE_SECONDS` ({RouterSettings.model_fields['future_seconds'].default})" in page


def test_no_lock_file_names_a_registry() -> None:
    locks = list(EXAMPLES.rglob("package-lock.json"))
    assert locks
    assert not [lock for lock in locks if '"resolved"' in lock.read_text(encoding="utf-8")]
