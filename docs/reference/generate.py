"""Write the events' JSON Schemas, the AsyncAPI and OpenAPI documents, and the pages of metrics, problems and limits.

`--check` compares.
"""

import json
import sys
from pathlib import Path
from typing import Any, cast

import yaml
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from secondlook.common.bus.postgres import PostgresBus
from secondlook.common.bus.signatures.keyring import HEADER
from secondlook.common.bus.topics import STATE_TOPICS
from secondlook.common.clock import SystemClock
from secondlook.common.contract.events import EVENTS, ContentSubmitted
from secondlook.common.errors import LISTED, MAX_FIELD, MAX_PROBLEM
from secondlook.common.http import limits, problem_types
from secondlook.common.metrics import Catalogue
from secondlook.common.observability import BusMetrics, Health, StreamFamily
from secondlook.common.outline import MAX_MEMBERS
from secondlook.common.postgres import Database
from secondlook.reviewer_api import app as reviewer_api
from secondlook.reviewer_api.__main__ import build
from secondlook.reviewer_api.metrics import ReviewerMetrics
from secondlook.reviewer_api.settings import ReviewerSettings
from secondlook.router import api as router
from secondlook.router import submissions
from secondlook.router.metrics import RouterMetrics
from secondlook.router.signals.metrics import SignalMetrics
from secondlook.trainer.metrics import TrainerMetrics

SIGNATURE = {
    "type": "string",
    "description": "HMAC-SHA256 over topic, key, body and the `ce_*` headers; records without it are refused where a "
    "signing key is set.",
}
UPSTREAM = (
    "Written by upstream services. CloudEvents in structured mode are read too, headers may be spelled `ce-`, in any "
    "case, and a type may stand behind a domain and before `.v1`."
)
HERE = Path(__file__).parent
METRICS: dict[str, tuple[type[Catalogue], ...]] = {
    "Every service": (StreamFamily, BusMetrics),
    "Router": (RouterMetrics, SignalMetrics),
    "Reviewer API": (ReviewerMetrics,),
    "Trainer": (TrainerMetrics,),
}


def schema(event: Any) -> dict[str, Any]:
    """The JSON Schema of an event's body."""
    body = event.model_json_schema(ref_template="#/$defs/{model}")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}


def asyncapi() -> dict[str, Any]:
    """AsyncAPI 3.0: one channel a topic, one message an event."""
    channels: dict[str, Any] = {}
    for event in EVENTS:
        channel = channels.setdefault(event.topic, {"address": event.topic, "messages": {}})
        channel["messages"][event.type] = {"$ref": f"#/components/messages/{event.type}"}
        if event.topic == ContentSubmitted.topic:
            channel["description"] = UPSTREAM
        if event.topic in STATE_TOPICS:
            channel["description"] = "Compacted: the newest record of a key is the one in force."
    messages = {
        event.type: {
            "name": event.type,
            "summary": (event.__doc__ or "").strip().splitlines()[0],
            "contentType": "application/json",
            "headers": {
                "type": "object",
                "description": "CloudEvents 1.0, binary mode.",
                "properties": {
                    "ce_id": {"type": "string"},
                    "ce_type": {"const": event.type},
                    "ce_source": {"type": "string"},
                    "ce_time": {"type": "string", "format": "date-time"},
                    "ce_specversion": {"const": "1.0"},
                    "traceparent": {"type": "string"},
                    **({HEADER: SIGNATURE} if event.topic in STATE_TOPICS else {}),
                },
            },
            "payload": {"$ref": f"schemas/{event.type}.json"},
        }
        for event in EVENTS
    }
    info = {
        "title": "Second Look events",
        "version": "1",
        "description": "Keys are `source/content_id`; the events of one key stay in order.",
    }
    return {"asyncapi": "3.0.0", "info": info, "channels": channels, "components": {"messages": messages}}


def metrics() -> str:
    """The page of metrics, as Markdown: a table a service."""
    page = ["# Metrics", "", "Each service answers `GET /metrics` on its own port. `make schemas` writes this page."]
    for service, catalogues in METRICS.items():
        page += ["", f"## {service}", "", "| metric | kind | labels | meaning |", "| --- | --- | --- | --- |"]
        for metric in (metric for catalogue in catalogues for metric in catalogue.definitions()):
            labels = ", ".join(f"`{label}`" for label in metric.labels)
            page.append(f"| `{metric.exposed_name}` | {metric.kind.__name__.lower()} | {labels} | {metric.help} |")
    return "\n".join(page) + "\n"


def http_limits() -> str:
    """The page of the HTTP side's limits, as Markdown."""
    own = {**router.LARGER, **reviewer_api.LARGER}
    return f"""# Limits of the HTTP APIs

What a service takes over HTTP, so that nobody can stall it for the others. The same table stands in the description of
each API, at `/docs`. A service knows the caller, and that the caller may do this, before it reads anything of a body.
`make schemas` writes this page.

{limits.described()}

Routes with limits of their own:

| route | body |
| --- | --- |
{chr(10).join(f"| `POST {path}` | {size // limits.KIB:,} KiB |" for path, size in own.items())}

- A body holds at most {MAX_MEMBERS:,} fields and values. In a batch that is the limit of each line.
- A batch has at most {submissions.MAX_LINES:,} lines. The router reads one batch at a time; {submissions.WAITING} more
  may wait, and further ones are answered 503 with `Retry-After`. Policies take turns in the same way.
- An answer names the first {LISTED} problems and says how many there are in `error_count`; a field's name is cut to
  {MAX_FIELD} characters, a problem to {MAX_PROBLEM}. The answer to a batch lists all refused lines by number.
- Unknown query parameters are refused with 422.
"""


def openapi() -> dict[str, dict[str, Any]]:
    """Each HTTP API as OpenAPI, by the name of its file: what the console's and the clients' types are made from."""
    database = Database("", "reviewer", cast(Any, None))  # routes are described, none is called
    settings, bus, nothing = ReviewerSettings(database_url=SecretStr("")), PostgresBus(database), cast(Any, None)
    return {
        "reviewer-api": build(settings, database, bus, SystemClock()).app.openapi(),
        "router": router.create_router_app(nothing, nothing, Health(), CollectorRegistry(), nothing).openapi(),
    }


def documents() -> dict[Path, str]:
    """Every generated file with its text."""
    found = {
        HERE / "schemas" / f"{event.type}.json": json.dumps(schema(event), indent=2, ensure_ascii=False) + "\n"
        for event in EVENTS
    }
    for name, document in openapi().items():
        found[HERE / "openapi" / f"{name}.json"] = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    found[HERE / "asyncapi.yaml"] = yaml.safe_dump(asyncapi(), sort_keys=False, allow_unicode=True, width=110)
    found[HERE / "metrics.md"] = metrics()
    found[HERE / "problems.md"] = problem_types.pages()
    found[HERE / "limits.md"] = http_limits()
    return found


def main() -> int:
    """Write, or with `--check` compare; returns the exit status."""
    stale = [
        path for path, text in documents().items() if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    if "--check" in sys.argv[1:]:
        for path in stale:
            sys.stderr.write(f"{path.relative_to(HERE.parent.parent)} is stale: run `make schemas`\n")
        return 1 if stale else 0
    for path in stale:
        path.parent.mkdir(exist_ok=True)
        path.write_text(documents()[path], encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
