"""How fast people can work, beside Label Studio: `python -m bench.review`.

Real processes of the reviewer API on a PostgreSQL of their own, and reviewers from another process over loopback; each
claims an item and decides it, one of three a rejection. As many items arrive as are decided, so the queue keeps its
depth of 1,000 or of 1,000,000. `decisions_per_s_N` counts claims with their decisions by N reviewers who never pause,
one process, a million items; `_at_1000` is the same beside a thousand, `_processes` with a process for each core.
`p50_ms_32` and `p99_ms_32` are latencies of single requests while 32 reviewers decide once a second, from the moment
when each was due; `depth_p99_ratio` is the p99 at a million beside that at a thousand. Searches run one after the
other, at a million.

Label Studio (its community edition, from PyPI) does the same work on the same server: next task and annotation through
its HTTP API, 32 people with tokens, under the same load. `rate_vs_label_studio` compares 32 reviewers who never pause
at a thousand items: the better of one process and one for each core, beside the better of Label Studio's own server and
Gunicorn with a process for each core.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlencode

import psutil

from bench import label_studio, review_load, review_world
from bench.report import console, report
from bench.review_connection import HttpConnection, encode
from bench.review_load import LoadPlan, LoadResult, quantile
from secondlook.cli.local.embedded import embedded_postgres

DEPTHS = (1_000, 1_000_000)
PEOPLE, PACED = (1, 32, 200), 32
SECONDS, WARM_UP, PACED_SECONDS = 15.0, 3.0, 45.0
SEARCHES = 200
LABEL_STUDIO_TASKS = 2_000
CORES = os.cpu_count() or 1
TARGETS = {"rate_vs_label_studio": 100.0, "p99_ms_32": 25.0, "depth_p99_ratio": 1.2}
AT_LEAST = ("rate_vs_label_studio",)
OURS = LoadPlan(
    ports=(), reviewers=(), ask=("POST", "/v1/review/claims"), ask_body='{"limit":1}',
    finds={"task": ["tasks", 0, "task_id"], "lease": ["tasks", 0, "lease_token"]},
    answer=("POST", "/v1/review/tasks/$task/decision"),
    answer_bodies=[
        '{"lease_token":"$lease","outcome":"approve"}', '{"lease_token":"$lease","outcome":"approve"}',
        '{"lease_token":"$lease","outcome":"reject","labels":["spam"]}',
    ],
    seconds=SECONDS, warm_up=WARM_UP,
)  # fmt: skip
CHOICE = (
    '{"result":[{"from_name":"outcome","to_name":"text","type":"choices","value":{"choices":["%s"]}}],"lead_time":1}'
)
THEIRS = replace(
    OURS, ask_body=None, finds={"task": ["id"]}, answer=("POST", "/api/tasks/$task/annotations/"),
    answer_bodies=[CHOICE % "approve", CHOICE % "approve", CHOICE % "reject"],
)  # fmt: skip


class FailedRequests(Exception):
    """Requests failed that must not, so the figures would be about something else."""


def measured(plan: LoadPlan, what: str) -> LoadResult:
    """The result of a plan that ran without a failed request.

    Raises:
        FailedRequests: some failed.
    """
    result = review_load.run(plan)
    if result.errors:
        raise FailedRequests(f"{what}: {result.errors}")
    console.print(
        f"{what}: {result.per_second:.1f}/s, p50 {result.latency_ms(0.5):.1f} ms, p99 {result.latency_ms(0.99):.1f} ms"
    )
    return result


async def at_depth(url: str, depth: int, folder: Path) -> dict[str, float]:
    """The figures of a queue of this depth; those beside a thousand items end in `_at_1000`."""
    url, figures = await review_world.make_database(url, f"depth_{depth}"), {}
    began = time.monotonic()
    async with review_world.queue(url, depth) as (database, items):
        console.print(f"{depth:,} open items, made in {time.monotonic() - began:.0f} s")
        [lead] = await review_world.keys(database, "lead", 1)
        reviewers = await review_world.keys(database, "reviewer", max(PEOPLE))

        async def run(ports: Sequence[int], people: int, pace: float | None = None) -> LoadResult:
            seconds = SECONDS if pace is None else PACED_SECONDS
            plan = replace(OURS, ports=ports, reviewers=reviewers[:people], pace=pace, seconds=seconds)
            async with review_world.fed(database, items):
                what = f"{people} reviewers, {depth:,} items, {len(ports)} process(es), pace {pace}"
                return await asyncio.to_thread(measured, plan, what)

        with review_world.reviewer_apis(url, 1, folder) as ports:
            review_world.publish_policy(ports[0], lead)
            paced = await run(ports, PACED, 1.0)
            figures["p50_ms_32"], figures["p99_ms_32"] = paced.latency_ms(0.5), paced.latency_ms(0.99)
            figures["claim_p99_ms_32"] = paced.latency_ms(0.99, "ask")
            figures["decision_p99_ms_32"] = paced.latency_ms(0.99, "answer")
            for people in PEOPLE:
                before = _processor_seconds(folder)
                result = await run(ports, people)
                figures[f"decisions_per_s_{people}"] = result.per_second
                if people == PACED:
                    spent = [after - then for after, then in zip(_processor_seconds(folder), before, strict=True)]
                    each = [1000 * seconds / result.per_second / (SECONDS + WARM_UP) for seconds in spent]
                    figures["api_cpu_ms_32"], figures["postgres_cpu_ms_32"] = each
            if depth == max(DEPTHS):
                figures |= await _searched(ports[0], lead)
        with review_world.reviewer_apis(url, CORES, folder) as ports:
            figures["decisions_per_s_32_processes"] = (await run(ports, PACED)).per_second
    return figures if depth == max(DEPTHS) else {f"{name}_at_{depth}": value for name, value in figures.items()}


async def _searched(port: int, lead: str) -> dict[str, float]:
    """Search requests of a lead, one after the other, of the kinds in turn."""
    drawn = random.Random(1)
    kinds: list[Callable[[], dict[str, str]]] = [
        dict,
        lambda: {"text": f"w{drawn.randrange(10):x}"},
        lambda: {"text": f"w{drawn.randrange(200, 20_000):x}"},
        lambda: {"text": f"w{drawn.randrange(100):x} w{drawn.randrange(1000):x}"},
        lambda: {"author_id": f"author-{drawn.randrange(review_world.AUTHORS)}"},
        lambda: {"author_id": f"author-{drawn.randrange(review_world.AUTHORS)}", "source": review_world.SOURCE},
        lambda: {"label": drawn.choice(("spam", "hate"))},
        lambda: {"state": "in_review", "queue": review_world.QUEUE},
    ]
    connection, seen, slowest = HttpConnection(port), [], (0.0, "")
    for number in range(SEARCHES):
        query = urlencode(kinds[number % len(kinds)]())
        since = time.perf_counter()
        answer = await connection.request(encode("GET", f"/v1/search?{query}", lead, None))
        seen.append(time.perf_counter() - since)
        slowest = max(slowest, (seen[-1], query))
        if answer.status != 200:
            raise FailedRequests(f"search {query}: {answer.status} {answer.body[:300]!r}")
    await connection.close()
    console.print(f"slowest search: {slowest}")
    return {"search_p50_ms": 1000 * quantile(seen, 0.5), "search_p99_ms": 1000 * quantile(seen, 0.99)}


def _processor_seconds(folder: Path) -> tuple[float, float]:
    """What the reviewer APIs and PostgreSQL have used of processors so far."""
    spent = {"api": 0.0, "postgres": 0.0}
    for process in psutil.process_iter():
        try:
            if "secondlook.reviewer_api" in process.cmdline() and process.ppid() == os.getpid():
                kind = "api"
            elif process.name() == "postgres" and Path(process.cwd()).is_relative_to(folder):
                kind = "postgres"
            else:
                continue
            used = process.cpu_times()
            spent[kind] += used.user + used.system
        except psutil.Error:
            continue
    return spent["api"], spent["postgres"]


def beside(url: str, folder: Path) -> dict[str, float]:
    """What Label Studio does under the same load."""
    home = label_studio.install()
    data = folder / "label-studio"
    data.mkdir()
    installed = label_studio.LabelStudio(home, asyncio.run(review_world.make_database(url, "label_studio")), data)
    installed.migrate()
    owner, *people = installed.people(PACED + 1)
    ways: dict[str, Callable[[], AbstractContextManager[int]]] = {
        "start": installed.started,
        "gunicorn": installed.gunicorn,
    }
    figures = {}
    for name, serve in ways.items():
        with serve() as port:
            project = label_studio.make_project(port, owner, LABEL_STUDIO_TASKS)
            for count in (1, PACED):
                plan = replace(
                    THEIRS, ports=[port], reviewers=people[:count], ask=("GET", f"/api/projects/{project}/next")
                )
                result = measured(plan, f"Label Studio, {name}, {count} people")
                figures[f"label_studio_{name}_per_s_{count}"] = result.per_second
    return figures


def main() -> int:
    """Run it all, report, and return 1 if a target is missed."""
    began, load = time.monotonic(), os.getloadavg()[0]
    with TemporaryDirectory(prefix="second-look-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        with embedded_postgres(folder / "postgres") as server:
            figures = beside(server.url, folder)
            for depth in DEPTHS:
                figures |= asyncio.run(at_depth(server.url, depth, folder))
    theirs = max(figures["label_studio_start_per_s_32"], figures["label_studio_gunicorn_per_s_32"])
    ours = max(figures["decisions_per_s_32_at_1000"], figures["decisions_per_s_32_processes_at_1000"])
    figures["rate_vs_label_studio"] = ours / theirs
    figures["rate_vs_label_studio_start"] = ours / figures["label_studio_start_per_s_32"]
    figures["depth_p99_ratio"] = figures["p99_ms_32"] / figures["p99_ms_32_at_1000"]
    settings = {
        "depths": list(DEPTHS), "seconds_each": SECONDS, "paced_seconds": PACED_SECONDS, "searches": SEARCHES,
        "label_studio": label_studio.VERSION, "label_studio_tasks": LABEL_STUDIO_TASKS, "cores": CORES,
        "memory_gb": round(psutil.virtual_memory().total / 1e9), "load_before": round(load, 2),
        "seconds": round(time.monotonic() - began),
    }  # fmt: skip
    report("review", figures, TARGETS, settings)
    missed = [key for key in TARGETS if (figures[key] < TARGETS[key]) == (key in AT_LEAST)]
    console.print(f"missed: {', '.join(missed) or 'none'}")
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main())
