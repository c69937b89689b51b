"""`secondlook router|reviewer-api|trainer`: run one service in the foreground, set up by environment variables."""

from runpy import run_module


def router() -> None:
    """Run the router in the foreground. It takes content in and decides it, or sends it to review.

    `secondlook doctor` lists its settings, which are environment variables.
    """
    _serve("secondlook.router")


def reviewer_api() -> None:
    """Run the reviewer API in the foreground. It serves the review queue, decisions and policies over HTTP.

    `secondlook doctor` lists its settings, which are environment variables.
    """
    _serve("secondlook.reviewer_api")


def trainer() -> None:
    """Run the trainer in the foreground. It makes bundles from labels. Run exactly one per deployment.

    `secondlook doctor` lists its settings, which are environment variables.
    """
    _serve("secondlook.trainer")


def _serve(package: str) -> None:
    """As `python -m PACKAGE`, which ends this process with the service's status."""
    run_module(package, run_name="__main__", alter_sys=True)
