"""`/v1/bundles`, `/v1/policies/simulate` and `/v1/operations`."""

import asyncio
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Path

from secondlook.common.contract.fields import Str
from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.http.turns import Turns
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.operations.schemas import Operation
from secondlook.reviewer_api.operations.service import OperationService
from secondlook.reviewer_api.policies.schemas import NewPolicy
from secondlook.reviewer_api.policies.service import PolicyService

WAITING = 16  # policies that may wait while one is read
BundleVersion = Annotated[Str, Path(min_length=1, max_length=200)]


def routes(operations: OperationService, policies: PolicyService, authenticator: Authenticator) -> APIRouter:
    """Other services do these. Ask `GET /v1/operations/{id}` for the answer, which takes seconds."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["operations"])
    manager = Annotated[Caller, Depends(require(authenticator, Permission.MODELS_PROMOTE))]
    publisher = Annotated[Caller, Depends(require(authenticator, Permission.POLICY_PUBLISH))]
    turns = Turns(at_once=1, waiting=WAITING)

    @router.post(
        "/bundles/{bundle_version}/promote", summary="Make a bundle active", status_code=202, responses=documented(422)
    )
    async def promote(bundle_version: BundleVersion, caller: manager) -> Operation:
        """It decides everything from then on, even if the gate refused it. `GET /v1/quality` lists bundles."""
        return await operations.ask("promote", caller, bundle_version=bundle_version)

    @router.post("/bundles/rollback", summary="Go back to the bundle before", status_code=202, responses=documented())
    async def rollback(caller: manager) -> Operation:
        """The bundle that was active before the active one is active again."""
        return await operations.ask("rollback", caller)

    @router.post("/policies/simulate", summary="Simulate a policy", status_code=202, responses=documented(413, 422))
    async def simulate(new: NewPolicy, caller: publisher) -> Operation:
        """A router routes the newest 1,000 items again under this policy, and counts. Nothing changes."""
        async with turns.turn():
            policy = await asyncio.to_thread(parse_policy, new.document)
        await policies.check(policy)
        return await operations.ask("simulate", caller, policy=policy)

    @router.get(
        "/operations/{operation_id}", summary="Read what came of an operation", responses=documented(404, 422),
        dependencies=[Depends(require(authenticator, Permission.QUALITY_READ))],
    )  # fmt: skip
    async def read(operation_id: UUID) -> Operation:
        """`done_at` is null until the other service has answered."""
        return await operations.one(operation_id)

    return router
