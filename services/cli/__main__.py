"""`secondlook`: the command line. A command's module is imported when the command is called, so that help is fast."""

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer
from typer.main import get_command

# name: (module:function, or module:app of a group; help)
COMMANDS = {
    "up": ("secondlook.cli.commands.up:up", "Run everything on this machine."),
    "doctor": ("secondlook.cli.commands.doctor:doctor", "Show the settings and check what Second Look needs."),
    "publish": ("secondlook.cli.commands.publish:publish", "Send content from a file to the router."),
    "labels": ("secondlook.cli.commands.labels:app", "Labels that people gave elsewhere, and labels to look at again."),
    "policy": ("secondlook.cli.commands.policy:app", "Check, try out, publish and show the moderation policy."),
    "train": ("secondlook.cli.commands.train:train", "Ask the trainer for a new bundle."),
    "bundle": ("secondlook.cli.commands.bundle:app", "List, compare, promote and roll back bundles."),
    "audits": ("secondlook.cli.commands.audits:audits", "How often automatic decisions are wrong."),
    "reviewers": ("secondlook.cli.commands.reviewers:reviewers", "How far reviewers agree."),
    "decisions": ("secondlook.cli.commands.decisions:app", "Every decision that was published."),
    "dead-letters": ("secondlook.cli.commands.dead_letters:app", "Records that could not be handled."),
    "keys": ("secondlook.cli.commands.keys:app", "API keys."),
    "migrate": ("secondlook.cli.commands.migrate:migrate", "Bring the database up to date."),
    "carry-over": ("secondlook.cli.commands.carry_over:carry_over", "Move what the embedded bus holds to Kafka."),
    "router": ("secondlook.cli.commands.serve:router", "Run the router in the foreground."),
    "reviewer-api": ("secondlook.cli.commands.serve:reviewer_api", "Run the reviewer API in the foreground."),
    "trainer": ("secondlook.cli.commands.serve:trainer", "Run the trainer in the foreground."),
}

app = typer.Typer(
    no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False,
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
        try:
            application = load(target)
        except ModuleNotFoundError as error:
            if (error.name or "").startswith("secondlook"):
                raise
            typer.echo(f"error: {error.name} is missing: pip install 'second-look[all]'", err=True)
            raise typer.Exit(2) from error
        status = get_command(application).main(context.args, context.command_path, standalone_mode=False)
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


def main() -> None:
    """The console script."""
    app(prog_name="secondlook")


if __name__ == "__main__":
    main()
