"""How a service's process begins: its settings, its log, its event loop."""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from secondlook.common.errors import ConfigurationError
from secondlook.common.observability import configure_logging
from secondlook.common.settings import CommonSettings

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

COLLECT_AFTER = 20_000  # objects; a batch of content makes about as many, and drops them without a cycle

Settings = TypeVar("Settings", bound=CommonSettings)


def run_service(name: str, settings: type[Settings], run: Callable[[Settings], Coroutine[Any, Any, int]]) -> int:
    """Run a service with the settings of the environment; returns its exit status.

    A wrong setting, or something that the service cannot start without, is a line on standard error and status 2.

    What was imported so far is taken out of garbage collection, and the rest is looked through less often: with
    Python's settings, a quarter of the router's time went into looking for cycles that are not there.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    try:
        known = settings.load()
        configure_logging(name, known.log_level, known.log_format)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(run(known))
    except ConfigurationError as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 2
