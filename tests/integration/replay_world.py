"""A deployment whose decisions are replayed, and the bundles that it has."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from secondlook.common.bundle.certificates import CertifiedThreshold, CertifiedThresholds
from secondlook.common.bundle.classifier import Head, Platt
from secondlook.common.bundle.features import FeatureSpec, ngrams
from secondlook.common.bundle.files import manifest_sha256
from secondlook.common.bundle.sides import in_force
from secondlook.common.bundle.store import open_bundle, write_bundle
from secondlook.common.contract.events import ContentDecided, ContentSubmitted
from secondlook.common.contract.policy import Policy, Thresholds
from secondlook.common.service.unit_of_work import Transactions
from secondlook.common.text.scope import Scope
from secondlook.reviewer_api.decisions import repository as decision_log
from secondlook.reviewer_api.policies.service import PolicyService
from secondlook.router.model import BundleModel
from secondlook.router.routing import route
from secondlook.trainer.encoders.encoder import ExportedEncoder
from secondlook.trainer.registry import BundleRow, Registry
from tests.certificates import certificate
from tests.integration.cli_world import Ran, secondlook
from tests.integration.router_world import World, content

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


def make_bundles(root: Path, encoder: ExportedEncoder) -> dict[str, Path]:
    """Bundles that look for a word: `buys` and `certified` for buy, `lamps` for lamp; `other` knows another label."""
    side = CertifiedThreshold(threshold=0.25, certificate=certificate(n=600, delta=0.01, epsilon=0.01))
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
            bundle_version=version, uri=folder.as_uri(), sha256=manifest_sha256(folder), policy_version=1,
            labels=labels, metrics={}, reasons=(), created_at=NOON, weights=weights,
        )  # fmt: skip
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


def contents() -> list[ContentSubmitted]:
    return [content(f"item-{n}", text=text) for n, text in enumerate(TEXTS)]


def policy(thresholds: Thresholds | None = MIDDLING, labels: Sequence[str] = ("spam",), **more: Any) -> Policy:
    described = {label: {"description": label} for label in labels}
    document = {"name": "test", "labels": described, "audit": {"certify": 0.4}, **more}
    if thresholds is not None:
        document |= {"mode": "fixed", "thresholds": thresholds.model_dump()}
    return Policy.model_validate(document)


def expected(model: BundleModel, policy: Policy) -> list[str]:
    """Where a router would send the texts."""
    prediction = model.classify(TEXTS)
    thresholds = in_force(policy, model.certified, model.labels)
    return [
        route(item, {"spam": float(row[0])}, thresholds, policy, u=0.5, scope=Scope(scope)).route
        for item, row, scope in zip(contents(), prediction.scores, prediction.scopes.tolist(), strict=True)
    ]


def moves(report: dict[str, Any]) -> dict[tuple[str, str], int]:
    return {(b, a): n for b, row in report["tally"]["routes"].items() for a, n in row.items() if n}
