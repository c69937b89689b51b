"""The commands that administer a system: migrate, policy, bundle, train, keys, doctor."""

import asyncio
import os
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
import yaml

from secondlook.cli.commands import doctor, train
from secondlook.cli.commands.migrate import migrate_all
from secondlook.cli.commands.train import follow
from secondlook.cli.local import checks
from secondlook.cli.output import note
from secondlook.cli.workspace import Workspace
from secondlook.common.bus import Message
from secondlook.common.bus.outbox import append
from secondlook.common.clock import SystemClock
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.errors import NotFound, Unauthenticated
from secondlook.common.postgres import Database
from secondlook.common.service.api_keys import ApiKeys
from secondlook.common.service.permissions import ROLES, Role
from secondlook.router.metrics import RouterMetrics
from secondlook.trainer.runs import Runs, RunState
from tests.integration.cli_world import records, router, secondlook, transactions
from tests.waiting import until

KEYS = f"{'k' * 32},{'o' * 32}"
POLICY = """
name: "[bold]house rules[/bold]"
mode: fixed
labels:
  spam: {description: advertising, action: hide, severity: 2}
  hate: {description: attacks, severity: 4, quorum: 2}
thresholds: {approve: 0.1, reject: {spam: 0.9}}
"""


@pytest.fixture
async def database_url(database_url: str) -> str:
    """A database as `secondlook migrate` leaves it: with topics."""
    await migrate_all(Workspace(database_url=database_url))
    return database_url


@pytest.fixture
async def empty_url(postgres_server: str) -> str:
    """A database without any schema."""
    admin = await asyncpg.connect(postgres_server.format(database="postgres"))
    await admin.execute("DROP DATABASE IF EXISTS cli_empty")
    await admin.execute("CREATE DATABASE cli_empty")
    await admin.close()
    return postgres_server.format(database="cli_empty")


async def test_migrate_twice(empty_url: str) -> None:
    before = await secondlook(empty_url, "keys", "list")
    assert before.status == 2
    assert "run `secondlook migrate`" in before.err
    first = await secondlook(empty_url, "migrate")
    assert first.status == 0
    assert "bus: bus/0001_log.sql" in first.out
    second = await secondlook("", "migrate", "--database-url", empty_url)
    assert (second.status, second.out) == (
        0, "bus: up to date\nrouter: up to date\nreviewer: up to date\ntrainer: up to date\n",
    )  # fmt: skip
    async with transactions(empty_url, "bus") as units:
        topics = await units.database.pool.fetchval("SELECT count(DISTINCT topic) FROM partition")
    assert topics >= 6


async def test_no_system_and_no_server() -> None:
    nowhere = await secondlook("", "keys", "list")
    assert nowhere.status == 2
    assert "no running system" in nowhere.err
    away = await secondlook("postgresql://127.0.0.1:1/x", "keys", "list")
    assert away.status == 2
    assert "cannot connect to PostgreSQL" in away.err


async def test_policy_check_apply_show(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    nothing = await secondlook(database_url, "policy", "show")
    assert (nothing.status, nothing.out) == (2, "")
    assert "no policy has been published yet" in nothing.err

    checked = await secondlook("", "policy", "check", file)
    assert checked.status == 0
    assert "UNCERTIFIED" in checked.out
    assert "[bold]house rules[/bold]" in checked.out
    assert [line.split()[:2] for line in checked.out.splitlines() if line.startswith(("spam", "hate"))] == [
        ["spam", "hide"], ["hate", "remove"],
    ]  # fmt: skip

    assert (await secondlook(database_url, "policy", "apply", file)).out == "version 1 is in force\n"
    assert (await secondlook(database_url, "policy", "apply", file)).out == "version 1 is in force already\n"
    file.write_text(POLICY.replace("0.9", "0.95"), encoding="utf-8")
    assert (await secondlook(database_url, "policy", "apply", file)).out == "version 2 is in force\n"
    assert [event["version"] for event in await records(database_url, "policy.published")] == [1, 2]

    shown = await secondlook(database_url, "policy", "show")
    assert parse_policy(shown.out) == parse_policy(file.read_text(encoding="utf-8"))
    old = await secondlook(database_url, "policy", "show", "--version", "1")
    assert yaml.safe_load(old.out)["thresholds"]["reject"] == {"spam": 0.9}
    assert (await secondlook(database_url, "policy", "show", "--version", "3")).status == 2


async def test_a_certified_policy_shows_its_promise(tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text("name: p\nlabels: {spam: {description: d}}\nkill_switch: true\n", encoding="utf-8")
    checked = await secondlook("", "policy", "check", file)
    assert "at most 1.0% of automatic approvals" in checked.out
    assert "kill switch is on" in checked.out
    assert "UNCERTIFIED" not in checked.out


async def test_policy_init_writes_a_policy_that_applies(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "a policy.yaml"
    assert (await secondlook("", "policy", "init", file)).status == 0
    assert (await secondlook("", "policy", "check", file)).err == ""
    assert (await secondlook(database_url, "policy", "apply", file)).out == "version 1 is in force\n"
    file.write_text("mine", encoding="utf-8")
    again = await secondlook("", "policy", "init", file)
    assert (again.status, file.read_text(encoding="utf-8")) == (2, "mine")
    assert "--force" in again.err
    assert (await secondlook("", "policy", "init", file, "--force")).status == 0
    assert (await secondlook("", "policy", "init", "-")).out == file.read_text(encoding="utf-8")
    assert "cannot be created" in (await secondlook("", "policy", "init", tmp_path / "no" / "policy.yaml")).err


async def test_a_doubtful_policy_is_applied_with_a_warning(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY.replace("0.9", "0.3"), encoding="utf-8")
    for command in ("check", "apply"):
        ran = await secondlook(database_url, "policy", command, file)
        assert ran.status == 0
        assert "warning: line " in ran.err
        assert "is below 0.5" in ran.err


async def test_automation_stops_and_starts_in_one_word(database_url: str, tmp_path: Path) -> None:
    early = await secondlook(database_url, "stop-automation")
    assert (early.status, early.out) == (2, "")
    assert "no policy has been published yet" in early.err
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    await secondlook(database_url, "policy", "apply", file)

    async def switched() -> list[bool]:
        return [event["policy"]["kill_switch"] for event in await records(database_url, "policy.published")]

    assert "version 2 is in force" in (await secondlook(database_url, "stop-automation")).out
    assert "version 2 stopped automation already" in (await secondlook(database_url, "stop-automation")).out
    assert await switched() == [False, True]
    assert "version 3 is in force" in (await secondlook(database_url, "start-automation")).out
    assert await switched() == [False, True, False]
    shown = await secondlook(database_url, "policy", "show")
    assert parse_policy(shown.out) == parse_policy(POLICY)


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ("name: p\n", "labels"),
        ("name: [", "not YAML"),
        ("name: p\nlabels: {spam: {description: d}}\ntypo: 1\n", "typo"),
        ("", "mapping"),
        ("name: p\nlabels: {review: {description: d}}\n", "review is reserved"),
    ],
)
async def test_a_bad_policy_changes_nothing(database_url: str, tmp_path: Path, document: str, problem: str) -> None:
    file = tmp_path / "policy.yaml"
    file.write_text(document, encoding="utf-8")
    for command in ("check", "apply"):
        ran = await secondlook(database_url, "policy", command, file)
        assert (ran.status, ran.out) == (2, "")
        assert problem in ran.err
    assert await records(database_url, "policy.published") == []


async def test_train_queues_one_run(database_url: str) -> None:
    first = await secondlook(database_url, "train", "--no-wait")
    second = await secondlook(database_url, "train", "--no-wait")
    assert (first.status, first.out) == (0, second.out)
    assert "is queued" in first.out


@pytest.mark.parametrize(("state", "status"), [("promoted", 0), ("kept", 0), ("refused", 1), ("failed", 1)])
async def test_train_follows_its_run(
    database_url: str, state: str, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def noted(text: str) -> None:
        told.append(text)
        note(text)

    monkeypatch.setattr(train, "note", noted)
    training = asyncio.create_task(secondlook(database_url, "train"))
    async with transactions(database_url, "trainer") as units:
        runs = Runs(units.database)
        while (queued := await runs.queued()) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        await runs.start(queued, 1, units.clock.now())
        await runs.progress(queued, "fitting")
        await until(lambda: "running: fitting" in told)
        async with units.begin() as work:
            await runs.finish(work, queued, RunState(state), "these are the [reasons]")
    ran = await training
    assert (ran.status, ran.out) == (status, f"{state}: these are the [reasons]\n")
    assert "running: fitting" in ran.err


async def test_following_a_run_that_is_not_there(database_url: str) -> None:
    async with transactions(database_url, "trainer") as units:
        with pytest.raises(NotFound):
            await follow(Runs(units.database), UUID(int=0))


@pytest.mark.parametrize("role", ["upstream", "service", "reviewer", "admin"])
async def test_keys(database_url: str, role: Role) -> None:
    await secondlook(database_url, "migrate")
    made = await secondlook(database_url, "keys", "create", "somebody", "--role", role)
    assert made.status == 0
    key = made.out.strip()
    async with transactions(database_url, "reviewer") as units:
        keys = ApiKeys(units.database, SystemClock())
        assert (await keys.authenticate(key)).permissions == ROLES[role]
        listed = await secondlook(database_url, "keys", "list")
        key_id = key.split("_")[1]
        assert listed.out.splitlines()[1].split()[4] == "any"
        assert [line.split()[:3] for line in listed.out.splitlines()[1:]] == [[key_id, "somebody", role]]
        assert key.split("_", 2)[2] not in listed.out
        assert (await secondlook(database_url, "keys", "revoke", key_id)).status == 0
        with pytest.raises(Unauthenticated):
            await keys.authenticate(key)
    again = await secondlook(database_url, "keys", "revoke", key_id)
    assert again.status == 2
    assert "no active key" in again.err


async def test_an_upstream_key_is_bound_to_its_sources(database_url: str) -> None:
    bind = ("--role", "upstream", "--source", "shop", "--source", "blog")
    await secondlook(database_url, "migrate")
    made = await secondlook(database_url, "keys", "create", "web", *bind)
    assert "sources shop, blog" in made.err
    async with transactions(database_url, "reviewer") as units:
        caller = await ApiKeys(units.database, SystemClock()).authenticate(made.out.strip())
    assert caller.sources == frozenset({"blog", "shop"})
    assert "blog, shop" in (await secondlook(database_url, "keys", "list")).out
    for arguments in (["--role", "reviewer", "--source", "shop"], ["--role", "upstream", "--source", "No Source"]):
        refused = await secondlook(database_url, "keys", "create", "x", *arguments)
        assert (refused.status, "--source" in refused.err) == (2, True)


async def test_keys_of_an_earlier_version_open_every_service_after_migrate(database_url: str) -> None:
    async with transactions(database_url, "router") as units:
        old = ApiKeys(units.database, units.clock)
        key, revoked = await old.create("forum", "upstream", ["forum"]), await old.create("gone", "upstream")
        await old.revoke(revoked.split("_")[1])
    assert "2 keys of the router open every service now" in (await secondlook(database_url, "migrate")).out
    assert "keys of the router" not in (await secondlook(database_url, "migrate")).out
    async with transactions(database_url, "reviewer") as units:
        keys = ApiKeys(units.database, units.clock)
        assert (await keys.authenticate(key)).sources == frozenset({"forum"})
        with pytest.raises(Unauthenticated):
            await keys.authenticate(revoked)
    assert (await secondlook(database_url, "keys", "create", "x", "--role", "king")).status == 2


async def test_doctor(database_url: str, tmp_path: Path) -> None:
    away = "http://127.0.0.1:1"
    async with router(database_url) as (url, _):
        ran = await secondlook(
            database_url, "doctor", "--data-dir", tmp_path,
            SECONDLOOK_ROUTER_URL=url, SECONDLOOK_API_URL=away, SECONDLOOK_TRAINER_URL=away,
        )  # fmt: skip
    assert ran.status == 1
    lines = {line.split("  ")[0]: line for line in ran.out.splitlines()}
    assert " ok " in lines["router"]
    assert " ok " in lines["Python"]
    assert "migrations applied" in lines["database"]
    assert "broken" in lines["trainer"]
    assert "secondlook trainer" in lines["trainer"]
    assert database_url not in ran.out
    assert "SECONDLOOK_DATABASE_URL" in ran.out
    assert "****" in ran.out


@pytest.mark.parametrize(
    ("keys", "state", "said"),
    [
        ("", "notice", "are not signed: whoever can write to the bus puts them in force"),
        (KEYS, "ok", "policies and bundles are signed; 1 older keys"),
    ],
)
async def test_doctor_tells_whether_records_are_signed_and_which_were_refused(
    database_url: str, tmp_path: Path, keys: str, state: str, said: str
) -> None:
    async with router(database_url, refused=["unsigned", "unsigned"]) as (url, _):
        ran = await secondlook(
            database_url, "doctor", "--data-dir", tmp_path,
            SECONDLOOK_ROUTER_URL=url, SECONDLOOK_SIGNING_KEY=keys,
        )  # fmt: skip
    lines = {line.split("  ")[0]: line for line in ran.out.splitlines()}
    assert f" {state} " in lines["signatures"]
    assert said in lines["signatures"]
    assert "2 by the router (policy.published: unsigned)" in lines["records"]
    assert "kkkk" not in ran.out + ran.err


@pytest.mark.parametrize(
    ("usable", "refused", "state", "said"),
    [
        (0, 2, "broken", "no bundle is usable: everything goes to review; refused 2 times"),
        (0, 0, "notice", "no bundle is usable: everything goes to review"),
        (1, 1, "notice", "the router uses one; bundles were refused 1 times"),
        (1, 0, "ok", "the router uses one"),
    ],
)
async def test_doctor_tells_whether_the_router_has_a_bundle(
    database_url: str, tmp_path: Path, usable: int, refused: int, state: str, said: str
) -> None:
    def counted(metrics: RouterMetrics) -> None:
        metrics.bundle_usable.set(usable)
        metrics.bundle_refused.inc(refused)

    async with router(database_url, counted) as (url, _):
        ran = await secondlook(database_url, "doctor", "--data-dir", tmp_path, SECONDLOOK_ROUTER_URL=url)
    line = next(line for line in ran.out.splitlines() if line.startswith("bundle "))
    assert line.split()[1] == state
    assert said in line
    assert ("see the router's log, `secondlook bundle list`" in line) == (state != "ok")


async def test_doctor_tells_whether_what_was_published_reaches_kafka(
    database_url: str, tmp_path: Path, kafka_bootstrap: str
) -> None:
    async def lines(bootstrap: str) -> dict[str, str]:
        ran = await secondlook(
            database_url, "doctor", "--data-dir", tmp_path,
            SECONDLOOK_BUS="kafka", SECONDLOOK_KAFKA_BOOTSTRAP=bootstrap,
        )  # fmt: skip
        return {line.split("  ")[0]: line for line in ran.out.splitlines()}

    found = await lines(kafka_bootstrap)
    assert f"answers at {kafka_bootstrap}" in found["Kafka"]
    assert "0 messages on their way" in found["outbox of router"]
    async with Database.open(database_url, "reviewer") as database:
        await append(database.pool, [Message("policy.published", "policy", b"{}", {})])
        await database.pool.execute("UPDATE outbox SET written_at = now() - interval '5 minutes'")
    found = await lines("127.0.0.1:1")
    assert "Kafka at 127.0.0.1:1 cannot be used" in found["Kafka"]
    assert "broken" in found["outbox of reviewer"]
    assert "1 messages have not reached Kafka, the oldest for 3" in found["outbox of reviewer"]


async def test_doctor_on_an_old_database_and_wrong_settings(empty_url: str, tmp_path: Path) -> None:
    ran = await secondlook(empty_url, "doctor", "--data-dir", tmp_path, SECONDLOOK_ROUTER_PORT="many")
    assert ran.status == 1
    assert "run `secondlook migrate`" in ran.out
    assert "SECONDLOOK_ROUTER_PORT" in ran.out


async def test_doctor_before_anything_runs(tmp_path: Path) -> None:
    assert "SECONDLOOK_DATABASE_URL" not in os.environ
    ran = await secondlook("", "doctor", "--data-dir", tmp_path)
    assert ran.status == 0
    assert "no running system" in ran.out
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    assert (await secondlook("", "doctor", "--data-dir", tmp_path)).status == 1
    (tmp_path / "run.json").unlink()
    (tmp_path / "run.json").mkdir()
    ran = await secondlook("", "doctor", "--data-dir", tmp_path)
    assert ran.status == 1
    assert "run.json is a directory, not a file" in ran.out


@pytest.mark.parametrize(("mode", "state"), [("head", "notice"), ("finetune", "broken")])
def test_doctor_misses_what_fine_tuning_needs_only_where_it_is_set(
    mode: str, state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECONDLOOK_TRAIN_MODE", mode)
    monkeypatch.setattr(checks, "_installed", lambda name: name not in ("torch", "peft"))
    found = {check.name: check for check in checks.check_packages(doctor.extras())}["packages for fine-tuning"]
    assert (found.state, found.found) == (state, "missing: peft, torch")
