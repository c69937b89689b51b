"""One run, as a process: `python -m secondlook.trainer.run`.

Standard input: a `Job` as one JSON line; when it closes, the process ends, so it never outlives the trainer.
Standard output: JSON lines, `Progress` any number of times, then one `RunOutcome`.
"""

import asyncio
import os
import sys
import threading

from secondlook.common.errors import BundleRejected, ConfigurationError, TrainingRefused
from secondlook.common.postgres import TRANSIENT
from secondlook.trainer.run.database import RunDatabase
from secondlook.trainer.run.job import Failed, Job, Progress, Refused, RunOutcome
from secondlook.trainer.run.recertify import recertify
from secondlook.trainer.run.train import train
from secondlook.trainer.settings import TrainerSettings


def tell(answer: Progress | RunOutcome) -> None:
    """Write one line to the trainer."""
    sys.stdout.buffer.write(answer.to_line())
    sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    while os.read(0, 4096):  # not sys.stdin: its lock would be held when the interpreter ends
        pass
    os._exit(3)


async def carry_out(job: Job, settings: TrainerSettings) -> RunOutcome:
    """Do the job on a database that is opened once. A refusal, a wrong setting or a full disk is an outcome too."""
    try:
        async with RunDatabase.open(settings) as database:
            work = train if job.kind == "train" else recertify
            return await work(job, settings, database, lambda words: tell(Progress(words=words)))
    except (TrainingRefused, ConfigurationError) as error:
        return Refused(why=str(error))
    # A full disk, a folder or a store that cannot be written, a database that left.
    except (OSError, BundleRejected, *TRANSIENT) as error:
        return Failed(why=f"{type(error).__name__}: {error}")


def main() -> int:
    """Read the job, carry it out, and answer."""
    job = Job.model_validate_json(sys.stdin.buffer.readline())
    if job.mode == "finetune":
        os.nice(10)  # minutes on every core: what serves goes first
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        settings = TrainerSettings.load()
    except ConfigurationError as error:
        tell(Refused(why=str(error)))
    else:
        tell(asyncio.run(carry_out(job, settings)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
