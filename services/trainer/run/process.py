"""Carries out a job in a process of its own, so that the trainer keeps answering and survives its crash."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable

from secondlook.trainer.run.job import Failed, Job, Progress, RunOutcome, parse_answer

STOP_SECONDS = 5.0
MAX_LINE = 4 * 1024 * 1024

OnProgress = Callable[[str], Awaitable[None]]


async def carry_out(job: Job, on_progress: OnProgress) -> RunOutcome:
    """Start a process, give it the job, and wait for its outcome; `Failed` if it ends without one.

    The process ends with this one, however this one ends: it watches its standard input.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "secondlook.trainer.run",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_LINE,
            env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
        )  # fmt: skip
    except OSError as error:  # no memory, too many processes
        return Failed(why=f"the training process cannot be started: {error}")
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    outcome: RunOutcome | None = None
    try:
        process.stdin.write(job.to_line())
        async for line in process.stdout:
            answer = parse_answer(line)
            if isinstance(answer, Progress):
                await on_progress(answer.words)
            else:
                outcome = answer
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
    if outcome is None or status != 0:
        why = f"the training process ended with status {status} and no result; see the trainer's log"
        return Failed(why=why, killed=status < 0)
    return outcome
