"""The commands by name. A command's module is imported when somebody calls the command, so that help is fast."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from secondlook.common.printable import printable

# name: (module:function, or module:app of a group; help)
COMMANDS = {
    "up": ("secondlook.cli.commands.up:up", "Run all of Second Look on this machine."),
    "doctor": ("secondlook.cli.commands.doctor:doctor", "Show the settings and check that Second Look works."),
    "publish": ("secondlook.cli.commands.publish:publish", "Send content from a file to the router."),
    "labels": ("secondlook.cli.commands.labels:app", "Import labels, or list labels that look wrong."),
    "policy": ("secondlook.cli.commands.policy:app", "Write, check, simulate, apply and show the policy."),
    "stop-automation": ("secondlook.cli.commands.automation:stop", "Stop all automatic decisions, at once."),
    "start-automation": ("secondlook.cli.commands.automation:start", "Allow automatic decisions again."),
    "train": ("secondlook.cli.commands.train:train", "Ask the trainer for a new bundle."),
    "bundle": ("secondlook.cli.commands.bundle:app", "Manage bundles: models with their thresholds."),
    "quality": ("secondlook.cli.commands.quality:quality", "Show which decisions are certified and what is needed."),
    "audits": ("secondlook.cli.commands.audits:audits", "Show how often automatic decisions are wrong."),
    "reviewers": ("secondlook.cli.commands.reviewers:reviewers", "Show how well reviewers agree."),
    "decisions": ("secondlook.cli.commands.decisions:app", "Export the published decisions."),
    "webhooks": ("secondlook.cli.commands.webhooks:app", "Send decisions to an address of yours."),
    "dead-letters": ("secondlook.cli.commands.dead_letters:app", "List or retry records that could not be processed."),
    "accounts": ("secondlook.cli.commands.accounts:app", "Make, list and disable accounts of the console."),
    "audit-log": ("secondlook.cli.commands.audit_log:app", "Show who did what, and check that record."),
    "keys": ("secondlook.cli.commands.keys:app", "Create, list and revoke API keys."),
    "migrate": ("secondlook.cli.commands.migrate:migrate", "Update the database schema and create topics."),
    "carry-over": ("secondlook.cli.commands.carry_over:carry_over", "Move from the embedded bus to Kafka."),
    "router": ("secondlook.cli.commands.serve:router", "Run the router in the foreground."),
    "reviewer-api": ("secondlook.cli.commands.serve:reviewer_api", "Run the reviewer API in the foreground."),
    "trainer": ("secondlook.cli.commands.serve:trainer", "Run the trainer in the foreground."),
}

_UsageError: type[Exception] = typer.BadParameter.__mro__[1]  # typer has no public name for it


class Commands(TyperGroup):
    """The group of all commands. What a usage error quotes is made printable."""

    def make_context(self, *arguments: Any, **options: Any) -> Any:
        with _printable_errors():
            return super().make_context(*arguments, **options)

    def invoke(self, context: Any) -> Any:
        with _printable_errors():
            return super().invoke(context)


@contextmanager
def _printable_errors() -> Iterator[None]:
    try:
        yield
    except _UsageError as error:
        vars(error)["message"] = printable(str(vars(error)["message"]))
        raise


app = typer.Typer(
    cls=Commands, no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
)  # fmt: skip


def load(target: str) -> typer.Typer:
    """The Typer application behind an entry of COMMANDS."""
    module, _, attribute = target.partition(":")
    found = getattr(import_module(module), attribute)
    if isinstance(found, typer.Typer):
        return found
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    single.command()(found)
    return single


def _deferred(target: str) -> Callable[[typer.Context], None]:
    def call(context: typer.Context) -> None:
        status = get_command(load(target)).main(context.args, context.command_path, standalone_mode=False)
        if isinstance(status, int):
            raise typer.Exit(status)

    return call


for _name, (_target, _help) in COMMANDS.items():
    app.command(
        _name, help=_help, add_help_option=False,
        context_settings={
            "ignore_unknown_options": True, "allow_extra_args": True, "allow_interspersed_args": False,
        },
    )(_deferred(_target))  # fmt: skip


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"secondlook {version('second-look')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """A moderation decision for every piece of user content: a classifier where it is sure, people where it is not."""
