"""`policy simulate` and `bundle compare`: a real router's decisions, replayed with real bundles."""

import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiokafka import AIOKafkaProducer

from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.trainer.encoders.encoder import DEFAULT_ENCODER, export_encoder
from tests.integration.cli_world import secondlook, transactions
from tests.integration.replay_world import LONG, TEXTS, Deployment, contents, expected, make_bundles, moves, policy
from tests.integration.router_world import content, make_world, withdrawal


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, encoder_cache: Path) -> dict[str, Path]:
    return make_bundles(tmp_path_factory.mktemp("bundles"), export_encoder(DEFAULT_ENCODER, encoder_cache))


@pytest.fixture
async def deployment(database_url: str, folders: dict[str, Path]) -> AsyncIterator[Deployment]:
    async with (
        make_world(database_url) as router,
        transactions(database_url, "reviewer") as reviewer,
        transactions(database_url, "trainer") as trainer,
    ):
        made = Deployment(database_url, router, reviewer, trainer, folders)
        await made.publish(policy())
        await made.register("buys", active=True)
        await made.route(*contents())
        yield made


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(policy: Policy) -> Path:
        path = tmp_path / "policy.yaml"
        path.write_text(yaml.safe_dump(policy.model_dump(mode="json")))
        return path

    return write


async def test_the_policy_in_force_flips_nothing_and_nothing_is_written(deployment: Deployment, written: Any) -> None:
    before = await deployment.snapshot()
    report = await deployment.found("policy", "simulate", written(policy()))
    now = Counter(expected(deployment.model("buys"), policy()))
    assert set(now) == {"approve", "reject", "review"}, "the texts are of all kinds"
    assert moves(report) == {(way, way): n for way, n in now.items()}
    tally = report["tally"]
    assert tally["flips"] == {"items": 0, "share": 0.0}
    assert tally["review"]["before"] == tally["review"]["after"]
    assert now["review"] < tally["review"]["after"]["items"], "audits are a load, too"
    assert tally["automatic"]["after"]["items"] == now["approve"] + now["reject"]
    assert tally["labels"] == {"spam": {"rejected_before": now["reject"], "rejected_after": now["reject"], "flips": 0}}
    assert report["shown"] == []
    assert any("and the active bundle: 0 (0.0%), and 0 of 0 flips" in line for line in report["notes"])
    assert any("UNCERTIFIED" in line for line in report["notes"])
    assert report["replayed"].startswith("40 of all 40 items that the log still holds, written from 20")
    assert report["replayed"].endswith("the router has accepted 40 so far")
    assert await deployment.snapshot() == before


async def test_other_thresholds_move_what_the_router_would_move(deployment: Deployment, written: Any) -> None:
    wide = policy(Thresholds(approve=0.6, reject={"spam": 0.9}))
    report = await deployment.found("policy", "simulate", written(wide), "--show", "3")
    was, now = (expected(deployment.model("buys"), each) for each in (policy(), wide))
    assert moves(report) == Counter(zip(was, now, strict=True))
    assert report["tally"]["flips"]["items"] == sum(a != b for a, b in zip(was, now, strict=True)) > 3
    assert now[TEXTS.index(LONG)] == "review", "the model does not read it to its end"
    assert len(report["shown"]) == 3
    assert all(set(shown) == {"key", "revision", "before", "after"} for shown in report["shown"])
    assert all(0.3 < shown["after"]["scores"]["spam"] <= 0.9 for shown in report["shown"])


async def test_a_person_reads_the_same_figures_and_texts_only_if_asked_for(
    deployment: Deployment, written: Any
) -> None:
    file = written(policy(Thresholds(approve=0.6, reject={"spam": 0.9})))
    report = await deployment.found("policy", "simulate", file)
    ran = await deployment.run("policy", "simulate", file, "--show", "2")
    assert (ran.status, ran.err) == (0, "")
    tally = report["tally"]
    assert f"flips: {tally['flips']['items']} ({tally['flips']['share']:.1%})" in ran.out
    review = tally["review"]
    assert f"audits: {review['before']['items']} ({review['before']['share']:.1%}) before" in ran.out
    rows = [line.split() for line in ran.out.splitlines() if line.startswith("was ")]
    assert {(row[1], column): int(n) for row in rows for column, n in zip(
        ("approve", "reject", "review"), row[2:5], strict=True) if n != "0"} == moves(report)  # fmt: skip
    shown = [line for line in ran.out.splitlines() if line.startswith("forum/item-")]
    assert len(shown) == 2
    assert all(" → " in line and "spam 0." in line and "highest score" in line for line in shown)
    assert "number" not in ran.out
    assert "number" in (await deployment.run("policy", "simulate", file, "--texts")).out


async def test_what_older_versions_decided_is_said(deployment: Deployment, written: Any) -> None:
    strict = policy(Thresholds(approve=0.1))
    await deployment.publish(strict)
    await deployment.route(*(content(f"new-{n}", text=TEXTS[n]) for n in range(10)))
    report = await deployment.found("policy", "simulate", written(strict))
    flips = report["tally"]["flips"]["items"]
    assert flips > 0
    assert any(f"active bundle: 40 (80.0%), and {flips} of {flips} flips" in line for line in report["notes"])
    last = await deployment.found("policy", "simulate", written(strict), "--last", "10")
    assert last["tally"]["flips"]["items"] == 0
    assert last["replayed"].startswith("10 of the last 10 on the log, ")
    assert last["replayed"].endswith("the router has accepted 50 so far")


async def test_a_bundle_that_does_not_know_a_label_sends_everything_to_review(
    deployment: Deployment, written: Any
) -> None:
    await deployment.register("other")
    for line, unknown in [
        (("policy", "simulate", written(policy(labels=("spam", "heresy")))), "bundle buys does not know heresy"),
        (("bundle", "compare", "other"), "bundle other does not know spam"),
    ]:
        report = await deployment.found(*line)
        assert {after for _, after in moves(report)} == {"review"}
        assert f"{unknown}: everything goes to review until one does" in report["notes"]


async def test_certified_thresholds_are_those_of_the_active_bundle(deployment: Deployment, written: Any) -> None:
    certified = policy(None)
    none = await deployment.found("policy", "simulate", written(certified))
    assert {after for _, after in moves(none)} == {"review"}
    assert any("carries no certified thresholds" in line for line in none["notes"])
    await deployment.register("certified", weights="buys", active=True)
    report = await deployment.found("policy", "simulate", written(certified))
    now = expected(deployment.model("certified"), certified)
    assert moves(report) == Counter(zip(expected(deployment.model("buys"), policy()), now, strict=True))
    assert any("other risk targets count once they are certified" in line for line in report["notes"])


async def test_a_bundle_that_is_gone_is_said_and_the_scores_of_then_are_used(
    deployment: Deployment, written: Any, tmp_path: Path
) -> None:
    await deployment.trainer.database.pool.execute("UPDATE bundle SET uri = $1", (tmp_path / "moved").as_uri())
    report = await deployment.found("policy", "simulate", written(policy()))
    assert [shown["key"] for shown in report["shown"]] == [f"forum/item-{TEXTS.index(LONG)}"]
    assert any(
        "the replay uses the stored scores, and assumes that the model read every text to its end" in line
        for line in report["notes"]
    )
    compared = await deployment.run("bundle", "compare", "buys")
    assert (compared.status, len(compared.err.splitlines())) == (2, 1)
    assert "manifest.json cannot be read" in compared.err


async def test_what_is_left_out_is_counted(deployment: Deployment, written: Any) -> None:
    await deployment.route(content("item-1", 5, text="buy"), content("item-1", 3, text="buy"), withdrawal("item-2"))
    await deployment.router.send(content("waiting"), content("item-0", text=TEXTS[0]), content("item-0", text="reused"))
    report = await deployment.found("policy", "simulate", written(policy()))
    assert report["tally"]["items"] == 41
    assert "left out: 2 not decided yet, or refused" in report["notes"]
    assert "left out: 1 superseded before they were decided" in report["notes"]
    await deployment.reviewer.database.pool.execute(
        "DELETE FROM bus.record WHERE topic = 'content.submitted' AND partition = 0"
    )
    fewer = await deployment.found("policy", "simulate", written(policy()))
    left = 42 - fewer["tally"]["items"]
    assert any(line.startswith("left out: ") and line.endswith("not on the log any more") for line in fewer["notes"])
    assert left > 1


async def test_on_kafka_its_log_is_replayed(deployment: Deployment, written: Any, kafka_bootstrap: str) -> None:
    await deployment.reviewer.database.pool.execute("DELETE FROM bus.record WHERE topic = 'content.submitted'")
    prefix = f"{secrets.token_hex(4)}."
    settings = {
        "SECONDLOOK_BUS": "kafka", "SECONDLOOK_KAFKA_BOOTSTRAP": kafka_bootstrap, "SECONDLOOK_KAFKA_PREFIX": prefix,
    }  # fmt: skip
    line = ("policy", "simulate", written(policy()), "--json")
    nothing = await secondlook(deployment.url, *line, **settings)
    assert (nothing.status, nothing.err) == (2, "error: there is no content on the log to replay\n")
    assert (await secondlook(deployment.url, "migrate", **settings)).status == 0
    async with AIOKafkaProducer(bootstrap_servers=kafka_bootstrap) as producer:
        for item in contents():
            await producer.send_and_wait(f"{prefix}{item.topic}", item.model_dump_json().encode(), item.key.encode())
    ran = await secondlook(deployment.url, *line, **settings)
    assert (ran.status, ran.err) == (0, "")
    report = json.loads(ran.out)
    assert report["tally"]["items"] == 40
    assert report["tally"]["flips"]["items"] == 0


async def test_comparing_bundles(deployment: Deployment) -> None:
    await deployment.register("lamps")
    before = await deployment.snapshot()
    same = await deployment.found("bundle", "compare", "buys")
    assert same["tally"]["flips"]["items"] == 0
    report = await deployment.found("bundle", "compare", "lamps")
    buys, lamps = (expected(deployment.model(version), policy()) for version in ("buys", "lamps"))
    assert moves(report) == Counter(zip(buys, lamps, strict=True))
    assert report["tally"]["flips"]["items"] > 0
    assert (report["before"], report["after"]) == (
        "bundle buys (active), policy 1", "bundle lamps (stored), policy 1",
    )  # fmt: skip
    shown = report["shown"][0]
    assert shown["before"]["scores"] != shown["after"]["scores"]
    other_way = await deployment.found("bundle", "compare", "buys", "--against", "lamps")
    assert moves(other_way) == Counter(zip(lamps, buys, strict=True))
    ran = await deployment.run("bundle", "compare", "lamps", "--last", "5")
    assert "5 of the last 5 on the log" in ran.out
    assert re.search(r"\[spam 0\.\d{3} → 0\.\d{3}\]", ran.out), "both scores"
    assert await deployment.snapshot() == before


async def test_what_cannot_be_replayed_is_one_line(deployment: Deployment) -> None:
    await deployment.trainer.database.pool.execute("UPDATE bundle SET stage = 'retired', removed_at = now()")
    for line, says in [
        (("policy", "simulate", "/nonexistent.yaml"), "/nonexistent.yaml"),
        (("bundle", "compare", "b7", "--against", "buys"), "no bundle 'b7'"),
        (("bundle", "compare", "buys", "--against", "b7"), "no bundle 'b7'"),
        (("bundle", "compare", "buys"), "no bundle is active; say which one to compare with: --against VERSION"),
        (("bundle", "compare", "buys", "--against", "buys"), "the files of bundle buys were removed"),
    ]:
        ran = await deployment.run(*line)
        assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
        assert says in ran.err


async def test_an_empty_system_and_one_that_is_away_are_one_line(database_url: str, written: Any) -> None:
    for line, says in [
        (("policy", "simulate", written(policy())), "there is no content on the log to replay"),
        (("bundle", "compare", "b1"), "no policy has been published yet"),
    ]:
        ran = await secondlook(database_url, *line)
        assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
        assert says in ran.err
    away = {"SECONDLOOK_BUS": "kafka", "SECONDLOOK_KAFKA_BOOTSTRAP": "127.0.0.1:1"}
    ran = await secondlook(database_url, "policy", "simulate", written(policy()), **away)
    assert (ran.status, ran.out, len(ran.err.splitlines())) == (2, "", 1)
    assert "Kafka at 127.0.0.1:1 cannot be used" in ran.err
    ran = await secondlook("postgresql://127.0.0.1:1/none", "policy", "simulate", written(policy()))
    assert (ran.status, len(ran.err.splitlines())) == (2, 1)
    assert "cannot connect to PostgreSQL" in ran.err
