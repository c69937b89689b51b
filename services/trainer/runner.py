"""Runs training in a process of its own, so that health, metrics and label intake go on, and a crash stays there."""

import asyncio
import dataclasses
import json
import os
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from secondlook.common.contract.policy import Policy
from secondlook.common.errors import SecondLookError, TrainingRefused
from secondlook.trainer.settings import Mode

STOP_SECONDS = 5.0
MAX_LINE = 4 * 1024 * 1024

OnProgress = Callable[[str], Awaitable[None]]


class TrainingFailed(SecondLookError):
    """The training process ended without a result; its log says why. `killed`: it did not end by itself."""

    def __init__(self, message: str, *, killed: bool = False) -> None:
        super().__init__(message)
        self.killed = killed


@dataclass(frozen=True, slots=True)
class Job:
    """What to do: `train` a model on labels up to `label_mark`, or `certify` the active bundle's thresholds again.

    `attempt` is what may be spent on certifying, None for nothing; only labels received after `after` count for it.
    `off` are the sides that an alarm switched off; `weights` the first bundle that carried the active one's weights.
    `run_id` is the run's, as a UUID; without it nothing is written down about the bundle that is stored. `mode` says
    what learns from the labels: the head only, or the encoder too.
    """

    kind: Literal["train", "certify"]
    policy: Policy
    policy_version: int
    label_mark: int
    active_uri: str | None = None
    active_sha256: str | None = None
    weights: str | None = None
    attempt: int | None = None
    after: int = 0
    off: tuple[str, ...] = ()
    run_id: str | None = None
    mode: Mode = "head"

    def to_json(self) -> bytes:
        fields = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return json.dumps({**fields, "policy": self.policy.model_dump(mode="json")}).encode() + b"\n"

    @classmethod
    def from_json(cls, line: bytes) -> "Job":
        fields = json.loads(line)
        return cls(**{**fields, "policy": Policy.model_validate(fields["policy"]), "off": tuple(fields["off"])})


async def run_job(job: Job, on_progress: OnProgress) -> dict[str, Any]:
    """Train; returns the result that `secondlook.trainer.run` describes.

    The process ends with this one, however this one ends: it watches its standard input.

    Raises:
        TrainingRefused: the labels do not allow a model; says which label lacks what.
        TrainingFailed: the process died.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "secondlook.trainer.run",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=MAX_LINE,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false"},
    )  # fmt: skip
    assert process.stdin is not None  # noqa: S101
    assert process.stdout is not None  # noqa: S101
    try:
        process.stdin.write(job.to_json())
        result: dict[str, Any] | None = None
        async for line in process.stdout:
            message = json.loads(line)
            if "progress" in message:
                await on_progress(message["progress"])
            else:
                result = message
        status = await process.wait()
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), STOP_SECONDS)
    if result is None or status != 0:
        why = f"the training process ended with status {status} and no result; see the trainer's log"
        raise TrainingFailed(why, killed=status < 0)
    if "failed" in result:
        raise TrainingFailed(result["failed"])
    if "refused" in result:
        raise TrainingRefused(result["refused"])
    return result
