"""Starts a service's process: settings, log, event loop."""

import asyncio
import gc
import sys
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from secondlook.common.errors import ConfigurationError
from secondlook.common.observability import configure_logging
from secondlook.common.printable import printable
from secondlook.common.settings import CommonSettings

if sys.platform == "win32":
    from asyncio import new_event_loop
else:
    from uvloop import new_event_loop

COLLECT_AFTER = 20_000  # objects; a batch of content makes about as many, and drops them without a cycle
SWITCH_SECONDS = 0.0005  # a thread that computes keeps the event loop waiting for so long, each time it wakes up

Settings = TypeVar("Settings", bound=CommonSettings)


def run_service(name: str, settings: type[Settings], run: Callable[[Settings], Coroutine[Any, Any, int]]) -> int:
    """Run a service with the settings of the environment; returns its exit status.

    If a setting is wrong or a prerequisite is missing, it writes one line to standard error and returns 2.

    The garbage collector leaves out what was imported so far and looks through the rest less often: with Python's
    defaults, the router spent a quarter of its time looking for cycles that do not exist.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_AFTER)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        known = settings.load()
        configure_logging(name, known.log_level, known.log_format)
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(run(known))
    except ConfigurationError as error:
        sys.stderr.write(f"{name}: {printable(str(error))}\n")
        return 2
