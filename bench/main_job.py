"""The main job on real input: import labels, train, publish everything, with and without services being killed.

`python -m bench.main_job` (or `make bench-main-job`). The data is offensive; nothing of it is printed.
"""

import asyncio
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

from bench.davidson import POLICY, SOURCE, rows
from bench.deployment import MODULES, Deployment, deployment
from bench.report import DATA, console, report
from secondlook.cli.local.account import counts, mismatches

LABELS = 2_000
KILLS = 5
PORT = 18_200
SETTLE_SECONDS = 120.0
TARGETS = {"router_rss_mb": 700.0, "api_rss_mb": 200.0, "lost": 0.0, "doubled": 0.0}
DECIDED = """
SELECT content_id, outcome, labels FROM reviewer.decision_log WHERE decided_by = 'model' AND source = $1
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run came to."""

    seconds: float
    submitted: int
    automatic: int
    in_review: int
    decided: int
    lost: int
    doubled: int
    auto_error: float
    kills: int
    peaks: dict[str, float]


def prepare(system: Deployment, work: Path, labelled: list[dict[str, Any]]) -> None:
    """Policy, labels and a bundle fitted to them."""
    (work / "policy.yaml").write_text(POLICY, encoding="utf-8")
    (work / "labels.jsonl").write_text("\n".join(json.dumps(row) for row in labelled), encoding="utf-8")
    system.command("policy", "apply", str(work / "policy.yaml"))
    console.print(system.command("labels", "import", str(work / "labels.jsonl"), "--source", SOURCE).strip())
    console.print(system.command("train").strip())


async def publish(system: Deployment, total: int, kills: int, chance: random.Random) -> tuple[float, int]:
    """Publish the data set while reviewers work; returns (seconds until everything is settled, kills done)."""
    connection = await asyncpg.connect(system.workspace.database_url)
    path = DATA / f"{SOURCE}.jsonl.gz"
    started = time.monotonic()
    publishing = asyncio.create_task(asyncio.to_thread(system.command, "publish", str(path), "--source", SOURCE))
    reviewing = asyncio.create_task(review(system, {row["id"]: row["labels"] for row in rows()}))
    done = 0
    moments = sorted(chance.uniform(0.05, 0.9) * total for _ in range(kills))
    try:
        while True:
            now = await counts(connection)
            system.measure()
            if done < kills and now.submitted >= moments[done]:
                victim = chance.choice(list(MODULES))
                if system.kill(victim):
                    done += 1
                    console.print(f"  killed {victim} at {now.submitted} of {total}")
            if publishing.done() and now.submitted >= total:
                wrong = await mismatches(connection)
                if not wrong.lost or time.monotonic() - started > SETTLE_SECONDS + 300:
                    break
            await asyncio.sleep(0.25)
        seconds = time.monotonic() - started
        await publishing
    finally:
        reviewing.cancel()
        with suppress(asyncio.CancelledError):
            await reviewing
        await connection.close()
    return seconds, done


async def review(system: Deployment, truth: dict[str, dict[str, int]]) -> None:
    """One reviewer with the data set's labels, at a person's pace, through the API."""
    workspace = system.workspace
    headers = {"Authorization": f"Bearer {workspace.keys['reviewer']}"}
    async with httpx.AsyncClient(base_url=workspace.api_url, headers=headers, timeout=5) as client:
        while True:
            with suppress(httpx.HTTPError):
                claimed = await client.post("/v1/review/claims", json={"limit": 2})
                for task in claimed.raise_for_status().json()["tasks"]:
                    labels = [name for name, value in truth[task["content"]["content_id"]].items() if value]
                    verdict = {"lease_token": task["lease_token"], "labels": labels}
                    verdict["outcome"] = "reject" if labels else "approve"
                    await client.post(f"/v1/review/tasks/{task['task_id']}/decision", json=verdict)
            await asyncio.sleep(0.2)


async def settle(system: Deployment, seconds: float, kills: int, seen: set[str]) -> Outcome:
    """Count, and hold automatic decisions against the data set; rows whose labels were imported do not count."""
    truth = {row["id"]: row["labels"] for row in rows()}
    connection = await asyncpg.connect(system.workspace.database_url)
    deadline = time.monotonic() + SETTLE_SECONDS
    wrong = await mismatches(connection)
    while (wrong.lost or wrong.doubled) and time.monotonic() < deadline:
        await asyncio.sleep(0.5)
        wrong = await mismatches(connection)
    now = await counts(connection)
    decided = [row for row in await connection.fetch(DECIDED, SOURCE) if row["content_id"] not in seen]
    errors = sum(
        any(truth[row["content_id"]].values())
        if row["outcome"] == "approve"
        else not all(truth[row["content_id"]][label] for label in row["labels"])
        for row in decided
    )
    await connection.close()
    return Outcome(
        seconds, now.submitted, now.approved + now.rejected, now.in_review, now.decided,
        wrong.lost, wrong.doubled, errors / max(1, len(decided)), kills, dict(system.peaks),
    )  # fmt: skip


def run(kills: int, seed: int) -> Outcome:
    """One deployment from nothing to settled."""
    data = rows()
    labelled = random.Random(0).sample(data, LABELS)
    work = Path(tempfile.mkdtemp(prefix="second-look-bench-"))
    environment = {"SECONDLOOK_RETRAIN_LABELS": "1000000", "SECONDLOOK_UNDO_GRACE_SECONDS": "1"}
    try:
        with deployment(work / "data", PORT, environment) as system:
            prepare(system, work, labelled)
            seconds, done = asyncio.run(publish(system, len(data), kills, random.Random(seed)))
            outcome = asyncio.run(settle(system, seconds, done, {row["id"] for row in labelled}))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    console.print(
        f"{outcome.submitted} in, {outcome.automatic} automatic, {outcome.in_review} in review, {outcome.decided} "
        f"decided by a reviewer; {outcome.lost} lost, {outcome.doubled} doubled, {outcome.seconds:.0f} s, {kills} kills"
    )
    return outcome


def main() -> int:
    """Run without and with kills; returns the exit status."""
    if not (DATA / f"{SOURCE}.jsonl.gz").exists():
        console.print(f"{DATA} is not there: this benchmark needs the data set {SOURCE}")
        return 1
    seed = int(sys.argv[1]) if len(sys.argv) > 1 else random.SystemRandom().randrange(10_000)
    console.rule("without kills")
    calm = run(0, seed)
    console.rule(f"kill -9 of a random service, {KILLS} times, seed {seed}")
    rough = run(KILLS, seed)
    figures = {
        "items_per_s": calm.submitted / calm.seconds,
        "automation_rate": calm.automatic / calm.submitted,
        "auto_error": calm.auto_error,
        "router_rss_mb": max(calm.peaks["router"], rough.peaks["router"]),
        "api_rss_mb": max(calm.peaks["reviewer-api"], rough.peaks["reviewer-api"]),
        "lost": calm.lost + rough.lost,
        "doubled": calm.doubled + rough.doubled,
        "submitted": calm.submitted,
        "submitted_with_kills": rough.submitted,
        "automatic_with_kills": rough.automatic,
        "kills": rough.kills,
        "items_per_s_with_kills": rough.submitted / rough.seconds,
    }
    report("main_job", figures, TARGETS, {"data": SOURCE, "imported_labels": LABELS, "seed": seed})
    return 0 if not figures["lost"] and not figures["doubled"] else 1


if __name__ == "__main__":
    sys.exit(main())
