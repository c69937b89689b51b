"""What a person asks another service to do, and what came of it. The newest record of a key counts.

The service that does it answers once, however often the request is read, and does nothing that was asked for too long
ago: a request is what somebody wants now.
"""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal, Self
from uuid import UUID

from pydantic import BaseModel, Field, model_validator

from secondlook.common.contract.event import Event
from secondlook.common.contract.fields import STRICT, Count, Moment, Name, Words
from secondlook.common.contract.policy import Policy

What = Literal["promote", "rollback", "simulate"]
Route = Literal["approve", "reject", "review"]
STALE_AFTER = timedelta(minutes=10)  # and more than clocks of hosts differ


def _key(what: What) -> str:
    return "simulation" if what == "simulate" else "bundle"


class OperationAsked(Event):
    """Promote a bundle, go back to the one before (the trainer), or count what a policy would change (a router)."""

    topic: ClassVar[str] = "operation.asked"
    type: ClassVar[str] = "OperationAsked"

    operation_id: UUID
    what: What
    bundle_version: Name | None = None
    policy: Policy | None = None
    asked_by: Name
    asked_at: Moment

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if (self.bundle_version is not None) != (self.what == "promote"):
            raise ValueError("to promote takes a bundle, and nothing else does")
        if (self.policy is not None) != (self.what == "simulate"):
            raise ValueError("to simulate takes a policy, and nothing else does")
        return self

    @property
    def key(self) -> str:
        return _key(self.what)


class Simulated(BaseModel):
    """Where the newest `items` would go: `routes` counts them by the route that they took, then by the new one.

    `people` of them were, and would be, judged by people, audits included.
    """

    model_config = STRICT
    items: Count
    bundle_version: Name | None
    routes: dict[Route, dict[Route, Count]]
    people_before: Count
    people_after: Count
    notes: Annotated[tuple[Words, ...], Field(max_length=16)] = ()


class OperationDone(Event):
    """What came of an operation. `detail` says it to a person; where `ok` is false nothing was changed."""

    topic: ClassVar[str] = "operation.done"
    type: ClassVar[str] = "OperationDone"

    operation_id: UUID
    what: What
    ok: bool
    detail: Words
    simulated: Simulated | None = None
    done_at: Moment

    @property
    def key(self) -> str:
        return _key(self.what)
