"""Certified automation through the running product, on real data: `python -m bench.certified` (or `sms`, or
`davidson`).

A new deployment, as a user starts it: a policy in mode certified, labels imported to learn from, and the rest of a data
set arriving while people judge what the system does not decide. Imported labels only teach. Content
comes in parts, and the next part once people have judged the one before and the trainer has looked at the evidence, as
it would at a slower pace. In `sms_declared` somebody declares that the imported labels are a uniform sample of the
traffic, as they are. Errors are held against the data set. The data is offensive; nothing of it is printed.
"""

import asyncio
import gzip
import json
import random
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from bench.deployment import Deployment, deployment
from bench.report import DATA, console, report

PORT, PATIENCE, QUIET, REVIEWERS = 18_300, 300.0, 2.5, 8
ENVIRONMENT = {
    "SECONDLOOK_UNDO_GRACE_SECONDS": "0", "SECONDLOOK_CERTIFY_HOURS": "0.000001", "SECONDLOOK_GUARD_SECONDS": "2",
    "SECONDLOOK_SECOND_LOOKS": "0", "SECONDLOOK_SECOND_JUDGEMENTS": "0",
}  # fmt: skip
TARGETS = {
    "sms_automated": 0.6, "sms_declared_automated": 0.6, "sms_error_approve": 0.02, "sms_error_reject": 0.05,
    "davidson_error_approve": 0.05, "davidson_error_reject": 0.03,
}  # fmt: skip
ROUTED = """
SELECT content_id, route, audited, scores FROM router.routed_revision WHERE source = $1 AND route <> 'superseded'
ORDER BY routed_at, content_id
"""
OPEN = """
SELECT (SELECT count(*) FROM router.routed_revision WHERE source = $1 AND (route = 'review' OR audited))
     - (SELECT count(DISTINCT content_id) FROM trainer.stored_label
        WHERE source = $1 AND adjudicated AND stratum NOT IN ('imported', 'declared'))
"""
RUNNING = "SELECT count(*) FROM trainer.run WHERE state IN ('queued', 'running')"


@dataclass(frozen=True, slots=True)
class Plan:
    """A data set, the labels of it that count, the risks, and how much is imported and arrives at a time."""

    name: str
    data: str
    labels: tuple[str, ...]
    approve: float
    reject: float
    imported: int
    arriving: int | None
    part: int
    declared: bool = False  # that what is imported is a uniform sample of the traffic, as it is here

    @property
    def policy(self) -> str:
        described = "".join(f"  {label}: {{description: {label} of the data set}}\n" for label in self.labels)
        risk = f"risk: {{approve: {self.approve}, reject: {self.reject}}}\n"
        return f"name: {self.name}\nmode: certified\nlabels:\n{described}{risk}"


PLANS = (
    Plan("sms", "sms_spam", ("spam",), 0.02, 0.05, 1_500, 2_600, 100),
    Plan("sms_declared", "sms_spam", ("spam",), 0.02, 0.05, 1_500, 2_600, 100, declared=True),
    Plan("davidson", "davidson", ("hate", "offensive"), 0.05, 0.03, 2_000, None, 800),
)


async def review(system: Deployment, key: str, truth: dict[str, dict[str, int]]) -> None:
    """One reviewer with the data set's labels, who judges at once."""
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=system.workspace.api_url, headers=headers, timeout=10) as client:
        while True:
            tasks: list[dict[str, Any]] = []
            with suppress(httpx.HTTPError):
                claimed = await client.post("/v1/review/claims", json={"limit": 20})
                tasks = claimed.raise_for_status().json()["tasks"]
                for task in tasks:
                    labels = [name for name, value in truth[task["content"]["content_id"]].items() if value]
                    verdict = {"lease_token": task["lease_token"], "labels": labels}
                    verdict["outcome"] = "reject" if labels else "approve"
                    await client.post(f"/v1/review/tasks/{task['task_id']}/decision", json=verdict)
            if not tasks:
                await asyncio.sleep(0.2)


async def settled(connection: Any, source: str, wanted: int) -> None:
    """Wait until all that was published is routed and judged, and no run has been under way for a while."""
    deadline, quiet = time.monotonic() + PATIENCE, time.monotonic()
    while time.monotonic() < deadline:
        routed = len(await connection.fetch(ROUTED, source))
        busy = routed < wanted or await connection.fetchval(OPEN, source) or await connection.fetchval(RUNNING)
        if busy:
            quiet = time.monotonic()
        elif time.monotonic() - quiet >= QUIET:
            return
        await asyncio.sleep(0.25)
    raise RuntimeError(f"{wanted} items were not settled within {PATIENCE:.0f} s")


async def arrive(system: Deployment, plan: Plan, work: Path, rows: list[dict[str, Any]]) -> list[Any]:
    """Publish the rows part by part while people judge; returns what was routed, in order."""
    truth = {row["id"]: {label: row["labels"][label] for label in plan.labels} for row in rows}
    keys = [
        system.command("keys", "create", f"reviewer {n}", "--role", "reviewer").split()[-1] for n in range(REVIEWERS)
    ]  # fmt: skip
    connection = await asyncpg.connect(system.workspace.database_url)
    reviewing = [asyncio.create_task(review(system, key, truth)) for key in keys]
    try:
        for start in range(0, len(rows), plan.part):
            part = work / "part.jsonl"
            part.write_text("\n".join(json.dumps({"id": row["id"], "text": row["text"]}) for row in
                                      rows[start : start + plan.part]), encoding="utf-8")  # fmt: skip
            await asyncio.to_thread(system.command, "publish", str(part), "--source", plan.data)
            await settled(connection, plan.data, min(start + plan.part, len(rows)))
        return list(await connection.fetch(ROUTED, plan.data))
    finally:
        for each in reviewing:
            each.cancel()
        await asyncio.gather(*reviewing, return_exceptions=True)
        await connection.close()


def run(plan: Plan) -> dict[str, float]:
    """One deployment; its figures."""
    with gzip.open(DATA / f"{plan.data}.jsonl.gz", "rt", encoding="utf-8") as lines:
        data = [json.loads(line) for line in lines]
    random.Random(0).shuffle(data)
    imported, rows = data[: plan.imported], data[plan.imported :][: plan.arriving]
    work, began = Path(tempfile.mkdtemp(prefix="second-look-bench-")), time.monotonic()
    try:
        with deployment(work / "data", PORT, ENVIRONMENT) as system:
            (work / "policy.yaml").write_text(plan.policy, encoding="utf-8")
            told = [
                {**row, "labels": {label: row["labels"][label] for label in plan.labels}} for row in imported
            ]  # fmt: skip
            (work / "labels.jsonl").write_text("\n".join(map(json.dumps, told)), encoding="utf-8")
            system.command("policy", "apply", str(work / "policy.yaml"))
            declaring = ("--sample", "uniform", "--of", str(len(data))) if plan.declared else ()
            options = ("--source", plan.data, *declaring)
            console.print(system.command("labels", "import", str(work / "labels.jsonl"), *options).strip())
            console.print(system.command("train").strip())
            routed = asyncio.run(arrive(system, plan, work, rows))
            console.print(system.command("quality"))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return {**figures(plan, routed, {row["id"]: row["labels"] for row in rows}), "seconds": time.monotonic() - began}


def figures(plan: Plan, routed: list[Any], truth: dict[str, dict[str, int]]) -> dict[str, float]:
    """Shares of what arrived; errors of what was decided automatically, against the data set."""
    automatic = [row["route"] in ("approve", "reject") for row in routed]
    approved = [row for row in routed if row["route"] == "approve"]
    rejected = [row for row in routed if row["route"] == "reject"]
    harmful = [any(truth[row["content_id"]][label] for label in plan.labels) for row in approved]
    harmless = [not any(truth[row["content_id"]][label] for label in plan.labels) for row in rejected]
    return {
        "items": len(routed),
        "automated": sum(automatic) / len(routed),
        "approved": len(approved) / len(routed),
        "rejected": len(rejected) / len(routed),
        "reviews": sum(not auto or row["audited"] for auto, row in zip(automatic, routed, strict=True)) / len(routed),
        "error_approve": sum(harmful) / max(1, len(approved)),
        "error_reject": sum(harmless) / max(1, len(rejected)),
        "first_automatic": automatic.index(True) + 1 if any(automatic) else float(len(routed)),
    }


def main() -> int:
    """Run the plans that are named, or all; returns the exit status."""
    chosen = [plan for plan in PLANS if plan.name in sys.argv[1:]] or list(PLANS)
    if absent := [plan.data for plan in chosen if not (DATA / f"{plan.data}.jsonl.gz").exists()]:
        console.print(f"{DATA} lacks what this benchmark needs: {', '.join(absent)}")
        return 1
    found: dict[str, float] = {}
    for plan in chosen:
        console.rule(plan.name)
        found |= {f"{plan.name}_{key}": value for key, value in run(plan).items()}
    targets = {key: value for key, value in TARGETS.items() if key in found}
    report("certified", found, targets, {plan.name: plan.policy for plan in chosen})
    return 0


if __name__ == "__main__":
    sys.exit(main())
