"""`/v1/policies`."""

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends

from secondlook.common.contract.policy_yaml import parse_policy
from secondlook.common.errors import NotFound
from secondlook.common.http.turns import Turns
from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.policies.repository import PublishedPolicy
from secondlook.reviewer_api.policies.schemas import NewPolicy, PolicyCheck, PolicyDocument, PolicyList, PolicyVersion
from secondlook.reviewer_api.policies.service import PolicyService

CHANGED = {"policy_changed": "another policy came into force since the version that this one was written over"}
WAITING = 16  # policies that may wait while one is read


def _document(published: PublishedPolicy) -> PolicyDocument:
    return PolicyDocument(
        version=published.version,
        name=published.policy.name,
        published_at=published.published_at,
        published_by=published.published_by,
        policy=published.policy,
    )


def routes(policies: PolicyService, authenticator: Authenticator) -> APIRouter:
    """Reviewers read policies, leads publish them."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1/policies", tags=["policies"])
    reader = Depends(require(authenticator, Permission.POLICY_READ))
    publisher = require(authenticator, Permission.POLICY_PUBLISH)
    turns = Turns(at_once=1, waiting=WAITING)

    @router.get("", summary="List policies", dependencies=[reader], responses=documented())
    async def list_policies() -> PolicyList:
        """Every version, newest first."""
        return PolicyList(policies=[PolicyVersion(**row) for row in await policies.all()])

    @router.get("/active", summary="Read the policy in force", dependencies=[reader], responses=documented(404))
    async def active_policy() -> PolicyDocument:
        """404 until one is published."""
        published = await policies.active()
        if published is None:
            raise NotFound("no policy has been published yet")
        return _document(published)

    @router.post("", summary="Publish a policy", responses=documented(413, 422, **CHANGED))
    async def publish_policy(new: NewPolicy, caller: Annotated[Caller, Depends(publisher)]) -> PolicyDocument:
        """Put a policy in force. One that equals the policy in force changes nothing and is answered with that one."""
        async with turns.turn():
            policy = await asyncio.to_thread(parse_policy, new.document)  # a long document takes seconds
        version = await policies.publish(policy, caller.subject, over=new.over)
        return _document(await policies.version(version))

    @router.post("/check", summary="Check a policy", dependencies=[reader], responses=documented(413, 422))
    async def check_policy(new: NewPolicy) -> PolicyCheck:
        """Read a document as publishing it would, and refuse it for the same reasons. Nothing changes."""
        async with turns.turn():
            policy = await asyncio.to_thread(parse_policy, new.document)
        await policies.check(policy)
        return PolicyCheck(policy=policy)

    return router
