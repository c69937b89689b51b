"""`policy simulate` and `bundle compare`: a real router's decisions, replayed with real bundles."""

import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from aiokafka import AIOKafkaProducer

from services.common.bundle import manifest_sha256, open_bundle, write_bundle
from services.common.classifier import Head, Platt
from services.common.events import ContentDecided, ContentSubmitted
from services.common.features import FeatureSpec, ngrams
from services.common.manifest import Certificate, CertifiedThreshold, CertifiedThresholds
from services.common.policy import Policy, Thresholds
from services.common.unit_of_work import Transactions
from services.reviewer_api.decisions import repository as decision_log
from services.reviewer_api.policies.service import PolicyService
from services.router.model import BundleModel
from services.router.routing import route
from services.trainer.encoder import DEFAULT_ENCODER, ExportedEncoder, export_encoder
from services.trainer.registry import BundleRow, Registry
from tests.integration.cli_world import Ran, secondlook, transactions
from tests.integration.router_world import World, content, make_world, withdrawal

SPEC = FeatureSpec(bits=12)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MIDDLING = Thresholds(approve=0.3, reject={"spam": 0.7})
LONG = "a long letter about the garden " * 5
TEXTS = [" ".join(["buy"] * (n % 5) + ["the lamp"] * (n % 3) + [f"number {n}"]) for n in range(38)] + [
    LONG,
    "buy " * 40,
]
TABLES = ["bus.record", "bus.partition", "bus.progress", *(
    f"{schema}.{table}" for schema, tables in {
        "router": ("revision", "content", "dead_letter", "outbox", "consumer_position"),
        "reviewer": ("policy", "decision_log", "outbox", "task"), "trainer": ("bundle", "run", "outbox"),
    }.items() for table in tables
)]  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> ExportedEncoder:
    return export_encoder(DEFAULT_ENCODER, tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory, encoder: ExportedEncoder) -> dict[str, Path]:
    """Bundles that look for a word: `buys` and `certified` for buy, `lamps` for lamp; `other` knows another label."""
    root = tmp_path_factory.mktemp("bundles")
    side = CertifiedThreshold(
        threshold=0.25, certificate=Certificate(n=400, k=0, epsilon=0.01, delta=0.05, upper_bound=0.008)
    )
    for version, word, label in [
        ("buys", "buy", "spam"), ("lamps", "lamp", "spam"), ("other", "buy", "hate"), ("certified", "buy", "spam"),
    ]:  # fmt: skip
        weights = np.asarray(ngrams([word], SPEC).todense(), np.float32).T
        write_bundle(
            root / version,
            bundle_version=version,
            created_at=NOON,
            encoder_onnx=encoder.onnx,
            encoder_tokenizer=encoder.tokenizer,
            encoder_name=encoder.name,
            max_tokens=24,
            features=SPEC,
            head=Head((label,), np.zeros((encoder.dim, 1), np.float32), weights, np.zeros(1, np.float32)),
            calibration={label: Platt(slope=4, intercept=-3)},
            metrics={},
            data_fingerprint="test",
            thresholds=CertifiedThresholds(approve=side) if version == "certified" else None,
        )
    return {version: root / version for version in ("buys", "lamps", "other", "certified")}


@dataclass
class Deployment:
    """A router that has decided all texts, with everything a replay reads."""

    url: str
    router: World
    reviewer: Transactions
    trainer: Transactions
    folders: dict[str, Path]
    versions: int = 0

    def model(self, version: str) -> BundleModel:
        folder = self.folders[version]
        return BundleModel(open_bundle(folder.as_uri(), manifest_sha256(folder), Path("/nonexistent")))

    async def publish(self, policy: Policy) -> int:
        """Put a policy in force, everywhere."""
        self.versions = await PolicyService(self.reviewer).publish(policy, "test")
        event = self.router.policy(policy.model_dump_json(), self.versions)
        await self.router.state.on_policy(self.router.record_of(event))
        return self.versions

    async def register(self, version: str, *, weights: str = "", active: bool = False) -> None:
        folder, registry = self.folders[version], Registry(self.trainer.database, self.trainer)
        labels = tuple(self.model(version).labels)
        row = BundleRow(
            version, folder.as_uri(), manifest_sha256(folder), "refused", 1, labels, {}, (), NOON, None, None, weights
        )
        async with self.trainer.begin() as work:
            await registry.add(work, row)
            if active:
                await registry.activate(work, version)
        if active:
            await self.router.in_force(None, self.model(version))

    async def route(self, *events: Any) -> None:
        """Decide these, and let the reviewer API know."""
        await self.router.route(*events)
        decisions = await self.router.events(ContentDecided)
        async with self.reviewer.begin() as work:
            await decision_log.insert(work.connection, decisions)

    async def snapshot(self) -> dict[str, list[str]]:
        """Every row there is."""
        return {
            table: sorted(str(tuple(row)) for row in await self.reviewer.database.pool.fetch(f"SELECT * FROM {table}"))  # noqa: S608
            for table in TABLES
        }

    async def run(self, *line: str | Path) -> Ran:
        return await secondlook(self.url, *line)

    async def found(self, *line: str | Path) -> dict[str, Any]:
        """What a command finds, as JSON."""
        ran = await self.run(*line, "--json")
        assert (ran.status, ran.err) == (0, "")
        report: dict[str, Any] = json.loads(ran.out)
        return report


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


def contents() -> list[ContentSubmitted]:
    return [content(f"item-{n}", text=text) for n, text in enumerate(TEXTS)]


def policy(thresholds: Thresholds | None = MIDDLING, labels: Sequence[str] = ("spam",), **more: Any) -> Policy:
    described = {label: {"description": label} for label in labels}
    document = {"name": "test", "labels": described, "audit": {"certify": 0.4}, **more}
    if thresholds is not None:
        document |= {"mode": "fixed", "thresholds": thresholds.model_dump()}
    return Policy.model_validate(document)


@pytest.fixture
def written(tmp_path: Path) -> Any:
    def write(policy: Policy) -> Path:
        path = tmp_path / "policy.yaml"
        path.write_text(yaml.safe_dump(policy.model_dump(mode="json")))
        return path

    return write


def expected(model: BundleModel, policy: Policy) -> list[str]:
    """Where a router would send the texts."""
    prediction = model.classify(TEXTS)
    thresholds = policy.thresholds if policy.mode == "fixed" else model.thresholds
    return [
        route(item, {"spam": float(row[0])}, thresholds, policy, whole=bool(whole)).route
        for item, row, whole in zip(contents(), prediction.scores, prediction.whole, strict=True)
    ]


def moves(report: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(b, a): n for b, row in report["tally"]["routes"].items() for a, n in row.items() if n}


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
    assert any("scores are of then, and every text counts as read to its end" in line for line in report["notes"])
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
        "bundle buys (active), policy 1", "bundle lamps (refused), policy 1",
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
