"""`secondlook up`: all of Second Look on one machine, with a PostgreSQL of its own."""

import asyncio
import fcntl
import os
import re
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from secondlook.cli.commands.accounts import first_link
from secondlook.cli.commands.carry_over import carry_all
from secondlook.cli.commands.keys import OWNER, adopt_router_keys, hand_keys_to_router
from secondlook.cli.commands.migrate import migrate_all
from secondlook.cli.local.checks import check_prerequisites
from secondlook.cli.local.demo import REVIEWERS, Demo, with_demo_queue
from secondlook.cli.local.embedded import EmbeddedPostgres, embedded_postgres
from secondlook.cli.local.patience import patiently
from secondlook.cli.local.supervisor import Child, Supervisor
from secondlook.cli.output import say
from secondlook.cli.terminal import console, run
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, Workspace, make_signing_key, service_transactions
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.errors import ConfigurationError, Unauthenticated
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.permissions import Role
from secondlook.reviewer_api.accounts.keys import KeyService
from secondlook.reviewer_api.accounts.service import BY_COMMAND
from secondlook.reviewer_api.policies.service import PolicyService

HOST = "127.0.0.1"
LEFT_OVER_SECONDS = 15.0
ENCODERS = "encoders"  # folder in the data directory
_UNITS = {"s": 1, "m": 60, "h": 3600}
_KEYS: dict[str, Role] = {"upstream": "service", "reviewer": "reviewer", "lead": "lead"}
_DEMO_KEYS: dict[str, Role] = dict.fromkeys(REVIEWERS, "reviewer")

# _prepare has read them by then.
_READ = ("SECONDLOOK_BUS", "SECONDLOOK_KAFKA_BOOTSTRAP", "SECONDLOOK_SIGNING_KEY")


def parse_duration(text: str) -> float:
    """Seconds of `90`, `90s`, `5m` or `1h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text.strip())
    if not match:
        raise typer.BadParameter("a duration looks like 60s, 5m or 1h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def up(
    data_dir: DataDir = DEFAULT_DATA_DIR,
    port: Annotated[
        int,
        typer.Option(min=1, max=65533, help="Port of the reviewer API; the router and the trainer use the next two."),
    ] = 8000,
    demo: Annotated[bool, typer.Option("--demo", help="Stream sample content, with simulated reviewers.")] = False,
    duration: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="Stop after 60s, 5m, 1h, …")] = None,
    kafka: Annotated[
        str | None,
        typer.Option("--kafka", metavar="HOST:PORT", help="Use this Kafka from now on, also on later starts."),
    ] = None,
) -> None:
    """Run all of Second Look on this machine: PostgreSQL, router, reviewer API and trainer.

    The data directory keeps everything, so the next start resumes from there. Ctrl-C stops all of it cleanly.
    """
    seconds = parse_duration(duration) if duration is not None else None
    if kafka is not None and not kafka.strip():
        raise typer.BadParameter("--kafka is empty: name the brokers, as host:port,host:port")
    run(_up(data_dir.resolve(), port, demo, seconds, kafka))


async def _up(data_dir: Path, port: int, demo: bool, seconds: float | None, kafka: str | None) -> None:
    check_prerequisites(data_dir / ENCODERS)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    with _alone(data_dir) as left_over:
        for needed in range(port, port + 3):
            await _await_free(needed, LEFT_OVER_SECONDS if left_over else 0)
        say(f"Second Look in {data_dir}", "bold")
        with ExitStack() as stack:
            with console.status("starting PostgreSQL"):
                server = stack.enter_context(embedded_postgres(data_dir / "postgres"))
            workspace = await _prepare(server.url, data_dir, port, kafka, demo)
            watching = asyncio.create_task(_watch(server))
            try:
                await _serve(workspace, data_dir, demo, seconds, stop)
            finally:
                watching.cancel()
    say("stopped; the next start resumes from here")


async def _watch(server: EmbeddedPostgres) -> None:
    """Restart PostgreSQL when it dies. The services wait for it."""
    while True:
        await asyncio.sleep(1)
        if not server.alive:
            say("PostgreSQL ended, restarting it", "yellow")
            try:
                await asyncio.to_thread(server.start_again)
            except ConfigurationError as error:
                say(str(error), "yellow")


async def _prepare(url: str, data_dir: Path, port: int, kafka: str | None, demo: bool) -> Workspace:
    """Make sure that schemas, API keys and a policy exist; those that do stay as they are, but for the demo's queue."""
    with console.status("preparing the database"):
        before = _before(data_dir)
        brokers = kafka or os.environ.get("SECONDLOOK_KAFKA_BOOTSTRAP", before.kafka_bootstrap)
        workspace = Workspace(
            database_url=url,
            api_url=f"http://{HOST}:{port}",
            router_url=f"http://{HOST}:{port + 1}",
            trainer_url=f"http://{HOST}:{port + 2}",
            bus="kafka" if kafka or os.environ.get("SECONDLOOK_BUS", before.bus) == "kafka" else "postgres",
            kafka_bootstrap=brokers,
            signing_key=os.environ.get("SECONDLOOK_SIGNING_KEY") or make_signing_key(data_dir),
        )
        await migrate_all(workspace)
        if workspace.bus == "kafka":
            workspace.model_copy(update={"keys": before.keys}).write(
                data_dir
            )  # before the move, which cannot be undone
            await carry_all(workspace)
        wanted = {**_KEYS, **(_DEMO_KEYS if demo else {})}
        await adopt_router_keys(workspace)
        keys = {name: await _key(workspace, before, name, role) for name, role in wanted.items()}
        await hand_keys_to_router(workspace)
        workspace = workspace.model_copy(update={"keys": {**before.keys, **keys}})
        async with service_transactions(workspace, "reviewer") as transactions:
            policies = PolicyService(transactions)
            active = await policies.active()
            policy = active.policy if active else parse_policy(_starter())
            if active is None or demo:
                await policies.publish(with_demo_queue(policy) if demo else policy, "second-look")
        workspace.write(data_dir)
    return workspace


def _starter() -> str:
    return (files("secondlook.cli") / "starter.yaml").read_text(encoding="utf-8")


def _before(data_dir: Path) -> Workspace:
    """The workspace of the last `up`, whose keys and bus the next one keeps."""
    with suppress(FileNotFoundError, ValueError):  # ValueError: a damaged file
        return Workspace.model_validate_json((data_dir / "run.json").read_bytes())
    return Workspace(database_url="")


async def _key(workspace: Workspace, before: Workspace, name: str, role: Role) -> str:
    async with service_transactions(workspace, OWNER) as transactions:
        if known := before.keys.get(name):
            with suppress(Unauthenticated):
                await ApiKeys(transactions.database, transactions.clock).authenticate(known)
                return known
        return await KeyService(transactions).create(f"secondlook up, {name}", role, (), None, BY_COMMAND)


def _children(workspace: Workspace, data_dir: Path, demo: bool) -> list[Child]:
    environment = {
        "SECONDLOOK_DATABASE_URL": workspace.database_url,
        "SECONDLOOK_BUS": workspace.bus,
        "SECONDLOOK_KAFKA_BOOTSTRAP": workspace.kafka_bootstrap,
        "SECONDLOOK_SIGNING_KEY": workspace.signing_key.get_secret_value(),
        "SECONDLOOK_API_PORT": workspace.api_url.rpartition(":")[2],
        "SECONDLOOK_ROUTER_PORT": workspace.router_url.rpartition(":")[2],
        "SECONDLOOK_ROUTER_URL": workspace.router_url,
        "SECONDLOOK_TRAINER_PORT": workspace.trainer_url.rpartition(":")[2],
        "SECONDLOOK_CACHE_DIR": str(data_dir / "cache"),
        "SECONDLOOK_BUNDLE_URI": f"file://{data_dir / 'bundles'}",
        "SECONDLOOK_ENCODER_CACHE": str(data_dir / ENCODERS),
        "SECONDLOOK_WEBHOOK_PRIVATE_TARGETS": "true",  # all of it is on this machine
        "TOKENIZERS_PARALLELISM": "false",
    }
    if demo:  # so that a minute shows the whole loop
        environment |= {"SECONDLOOK_UNDO_GRACE_SECONDS": "2", "SECONDLOOK_RETRAIN_LABELS": "60"}
    # What a person set in the environment wins over what this command would choose.
    environment |= {name: os.environ[name] for name in environment if name in os.environ and name not in _READ}
    return [
        Child("reviewer-api", "secondlook.reviewer_api", workspace.api_url, environment),
        Child("router", "secondlook.router", workspace.router_url, environment),
        Child("trainer", "secondlook.trainer", workspace.trainer_url, environment),
    ]


async def _serve(workspace: Workspace, data_dir: Path, demo: bool, seconds: float | None, stop: asyncio.Event) -> None:
    logs = data_dir / "logs"
    supervisor = Supervisor(_children(workspace, data_dir, demo), logs, lambda text: say(text, "yellow"))
    async with _running(supervisor, stop) as supervising:
        with console.status("starting the services") as status:
            ready = asyncio.create_task(supervisor.wait_ready(lambda names: status.update(f"waiting for {names}")))
            await _first(ready, supervising, stop)
        if not stop.is_set():
            _greet(workspace, data_dir, await patiently(lambda: first_link(workspace)))
            work = Demo(workspace).run(seconds) if demo else _idle(seconds)
            await _first(asyncio.create_task(work), supervising, stop)


@asynccontextmanager
async def _running(supervisor: Supervisor, stop: asyncio.Event) -> AsyncIterator[asyncio.Task[None]]:
    supervising = asyncio.create_task(supervisor.run())
    try:
        yield supervising
    finally:
        stop.set()
        supervising.cancel()
        with console.status("stopping the services"), suppress(asyncio.CancelledError):
            await supervising


async def _first(work: asyncio.Task[None], supervising: asyncio.Task[None], stop: asyncio.Event) -> None:
    """Wait for the work, a stop, or a supervisor that gives up, and raise its error."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([work, supervising, stopping], return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    finished = work.done()
    if not finished:
        work.cancel()
        with suppress(asyncio.CancelledError):
            await work
    if supervising.done():
        supervising.result()
    if finished:
        work.result()


async def _idle(seconds: float | None) -> None:
    if seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(seconds)


def _greet(workspace: Workspace, data_dir: Path, link: str) -> None:
    say(f"  console  {link}    signs in once, as admin", "bold")
    say(f"  API      {workspace.api_url}    docs {workspace.api_url}/docs")
    say(f"  ingest   {workspace.router_url}    docs {workspace.router_url}/docs")
    say(f"  metrics  {workspace.trainer_url}/metrics and on the two above")
    if workspace.bus == "kafka":
        say(f"  bus      Kafka at {workspace.kafka_bootstrap}")
    say(f"  keys     {data_dir / 'run.json'}    logs {data_dir / 'logs'}")
    say("  Ctrl-C stops everything; you lose nothing.")


@contextmanager
def _alone(data_dir: Path) -> Iterator[bool]:
    """Lock the data directory; yields whether its last holder was killed.

    Raises:
        ConfigurationError: another `up` uses it.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    with (data_dir / "up.lock").open("a+") as lock:
        lock.seek(0)
        holder = lock.read().strip()
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ConfigurationError(f"another `secondlook up` (process {holder}) is using {data_dir}") from error
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield bool(holder)
        lock.truncate(0)


async def _await_free(port: int, seconds: float) -> None:
    """Wait until the services of a killed `up` have noticed and ended; raises ConfigurationError."""
    deadline = time.monotonic() + seconds
    while not _is_free(port):
        if time.monotonic() > deadline:
            raise ConfigurationError(f"port {port} is in use; choose another with --port")
        await asyncio.sleep(0.2)


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
