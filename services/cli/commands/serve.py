"""`secondlook router|reviewer-api|trainer`: one service in the foreground, with the settings of the environment."""

from importlib import import_module

import typer


def router() -> None:
    """Run the router in the foreground: content in, automatic decisions out. Settings: `secondlook doctor`."""
    _serve("secondlook.router")


def reviewer_api() -> None:
    """Run the reviewer API in the foreground: the review queue, its HTTP API and the console."""
    _serve("secondlook.reviewer_api")


def trainer() -> None:
    """Run the trainer in the foreground: labels in, bundles out. Run one a deployment."""
    _serve("secondlook.trainer")


def _serve(package: str) -> None:
    raise typer.Exit(import_module(f"{package}.__main__").main())
