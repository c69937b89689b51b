"""One run, as a process: `python -m secondlook.trainer.run`.

Standard input: the job as one JSON line; when it closes, the process ends, so it never outlives the trainer.
Standard output: JSON lines, `{"progress": words}` any number of times, then one result: `{"refused": why}`,
`{"failed": why}`, or what `training.train` and `recertify.recertify` return.
"""

import asyncio
import json
import os
import sys
import threading
from typing import Any

from secondlook.common.errors import ConfigurationError, TrainingRefused
from secondlook.trainer.run.recertify import recertify
from secondlook.trainer.run.train import train
from secondlook.trainer.runner import Job
from secondlook.trainer.settings import TrainerSettings

KINDS = {"train": train, "certify": recertify}


def say(message: dict[str, Any]) -> None:
    """One line to the trainer."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held when the interpreter ends
        pass
    os._exit(3)


def main() -> int:
    """Read the job, do it, say the result. Refusals and wrong settings are results, not faults."""
    job = Job.from_json(sys.stdin.buffer.readline())
    if job.mode == "finetune":
        os.nice(10)  # minutes on every core: what serves goes first
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        say(asyncio.run(KINDS[job.kind](job, TrainerSettings.load(), lambda words: say({"progress": words}))))
    except (TrainingRefused, ConfigurationError) as error:
        say({"refused": str(error)})
    except OSError as error:  # a disk that is full, a folder that cannot be written, a database that went away
        say({"failed": f"{type(error).__name__}: {error}"})
    return 0


if __name__ == "__main__":
    sys.exit(main())
