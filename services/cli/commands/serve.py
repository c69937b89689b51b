"""`secondlook router|reviewer-api|trainer`: one service in the foreground, with the settings of the environment."""

from runpy import run_module


def router() -> None:
    """Run the router in the foreground: content in, automatic decisions out. Settings: `secondlook doctor`."""
    _serve("secondlook.router")


def reviewer_api() -> None:
    """Run the reviewer API in the foreground: the review queue and its HTTP API."""
    _serve("secondlook.reviewer_api")


def trainer() -> None:
    """Run the trainer in the foreground: labels in, bundles out. Run one a deployment."""
    _serve("secondlook.trainer")


def _serve(package: str) -> None:
    """As `python -m PACKAGE`, which ends this process with the service's status."""
    run_module(package, run_name="__main__", alter_sys=True)
