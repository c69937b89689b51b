"""`secondlook webhooks`: send decisions to an address of yours, and see what became of them."""

from typing import Annotated, Any
from uuid import UUID

import httpx
import typer

from secondlook.cli.output import note, say, show_table
from secondlook.cli.terminal import guarded
from secondlook.cli.workspace import DEFAULT_DATA_DIR, DataDir, find_workspace
from secondlook.common.errors import ConfigurationError

SECONDS = 30.0

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

ServiceKey = Annotated[
    str | None, typer.Option(envvar="SECONDLOOK_API_KEY", help="API key with the role service or admin.")
]
WebhookNumber = Annotated[UUID, typer.Argument(help="The webhook's id, from `secondlook webhooks list`.")]


@app.callback()
def webhooks() -> None:
    """Send every decision to an address of yours: signed, in order a piece of content, until it arrives."""


@app.command()
def add(
    url: Annotated[str, typer.Argument(help="Where to send decisions.")],
    source: Annotated[list[str] | None, typer.Option(help="Only of this source; repeatable.")] = None,
    label: Annotated[list[str] | None, typer.Option(help="Only with one of these labels; repeatable.")] = None,
    outcome: Annotated[str | None, typer.Option(help="Only approve, or only reject.")] = None,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    after: Annotated[str, typer.Option(help="Cursor of the feed from which on decisions are sent.")] = "now",
    key: ServiceKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Make a webhook and print its secret, which signs every message. It cannot be shown again."""
    body = {"url": url, "sources": source, "labels": label, "outcome": outcome, "description": description}
    made = _ask("POST", "", key, data_dir, {**body, "after": after})
    note(f"webhook {made['webhook']['webhook_id']}; keep this secret, it cannot be shown again:")
    say(made["secret"])


@app.command("list")
def list_webhooks(key: ServiceKey = None, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """List webhooks: yours, or everybody's with an admin's key."""
    found = _ask("GET", "", key, data_dir)["webhooks"]
    show_table(
        ("id", "url", "description", "state", "waiting", "failed", "not looked at"),
        [
            (
                one["webhook_id"], one["url"], one["description"], _state(one), one["waiting"], one["failed"],
                one["behind"],
            )
            for one in found
        ],
        "no webhooks",
    )  # fmt: skip


@app.command("test")
def send_test(webhook_id: WebhookNumber, key: ServiceKey = None, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Send a signed test message now. Exit status 1 if it does not arrive."""
    found = _ask("POST", f"/{webhook_id}/test", key, data_dir)
    say(f"{found['problem'] or 'arrived'}, {found['milliseconds']:,.0f} ms")
    if not found["arrived"]:
        raise typer.Exit(1)


@app.command()
def deliveries(
    webhook_id: WebhookNumber,
    state: Annotated[str | None, typer.Option(help="Only waiting, delivered or failed ones.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many.")] = 50,
    key: ServiceKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """List what was sent, or is to be, the newest first."""
    query: dict[str, str | int] = {"limit": limit, **({"state": state} if state else {})}
    found = _ask("GET", f"/{webhook_id}/deliveries?{httpx.QueryParams(query)}", key, data_dir)["deliveries"]
    show_table(
        ("number", "content", "state", "attempts", "tried", "problem"),
        [
            (
                one["position"], f"{one['source']}/{one['content_id']}", one["state"], one["attempts"],
                one["tried_at"] or "", one["problem"] or "",
            )
            for one in found
        ],
        "nothing was sent yet",
    )  # fmt: skip


@app.command()
def replay(
    webhook_id: WebhookNumber,
    since: Annotated[int | None, typer.Option(min=1, help="Also all from this number on that are still kept.")] = None,
    key: ServiceKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Send again what failed."""
    found = _ask("POST", f"/{webhook_id}/replay", key, data_dir, {"failed": True, "since": since})
    say(f"{found['deliveries']:,} will be sent again")


@app.command()
def rotate(webhook_id: WebhookNumber, key: ServiceKey = None, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Print a new secret. For a day the one before signs as well."""
    found = _ask("POST", f"/{webhook_id}/secret", key, data_dir)
    note(f"until {found['old_until']} both secrets sign; keep the new one, it cannot be shown again:")
    say(found["secret"])


@app.command()
def change(
    webhook_id: WebhookNumber,
    url: Annotated[str | None, typer.Option(help="Where to send decisions from now on.")] = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Go on, or pause.")] = None,
    key: ServiceKey = None,
    data_dir: DataDir = DEFAULT_DATA_DIR,
) -> None:
    """Change where it goes, pause it, or go on: nothing is lost in between."""
    found = _ask("PATCH", f"/{webhook_id}", key, data_dir, {"url": url, "enabled": enabled})
    say(f"{found['url']}: {_state(found)}")


@app.command()
def remove(webhook_id: WebhookNumber, key: ServiceKey = None, data_dir: DataDir = DEFAULT_DATA_DIR) -> None:
    """Remove it with what waits for it."""
    _ask("DELETE", f"/{webhook_id}", key, data_dir)
    say(f"removed webhook {webhook_id}")


def _state(one: dict[str, Any]) -> str:
    if not one["enabled"]:
        return f"disabled: {one['disabled_why'] or 'by hand'}"
    return f"rests until {one['resting_until']}" if one["resting_until"] else "enabled"


def _ask(method: str, path: str, key: str | None, data_dir: Any, body: dict[str, Any] | None = None) -> Any:
    """The answer of the reviewer API; a refusal ends the command with what the service said."""

    def command() -> Any:
        workspace = find_workspace(data_dir)
        token = key or workspace.keys.get("upstream")
        if token is None:
            raise ConfigurationError("no API key: give --key or SECONDLOOK_API_KEY; `secondlook keys create` makes one")
        url = f"{workspace.api_url}/v1/webhooks{path}"
        headers = {"Authorization": f"Bearer {token}"}
        try:
            answer = httpx.request(method, url, json=body, headers=headers, timeout=SECONDS)
        except httpx.HTTPError as error:
            raise ConfigurationError(f"{workspace.api_url} does not answer: {error}") from error
        if answer.is_success:
            return answer.json() if answer.content else None
        problem = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        raise ConfigurationError(f"{answer.status_code}: {problem.get('detail') or answer.reason_phrase}")

    return guarded(command)
