"""`/v1/webhooks`."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query

from secondlook.common.service.authentication import Authenticator, require
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.webhooks import schemas
from secondlook.reviewer_api.webhooks.service import WebhookService


def routes(webhooks: WebhookService, authenticator: Authenticator) -> APIRouter:
    """Upstream services work with their own webhooks, admins with everybody's."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["webhooks"])
    owner = Annotated[Caller, Depends(require(authenticator, Permission.WEBHOOKS_OWN))]

    @router.get("/webhooks", summary="List webhooks", responses=documented())
    async def list_webhooks(caller: owner) -> schemas.WebhookList:
        """Yours; an admin sees everybody's."""
        return schemas.WebhookList(webhooks=[_shown(row) for row in await webhooks.all(caller)])

    @router.post("/webhooks", summary="Make a webhook", status_code=201, responses=documented(422))
    async def create(new: schemas.NewWebhook, caller: owner) -> schemas.CreatedWebhook:
        """Every decision that matches is sent to the URL as a signed POST, in order a piece of content, again and again
        for 3 days until the answer is 2xx. The answer here is the only place where the secret is shown."""
        row, secret = await webhooks.create(new, caller)
        return schemas.CreatedWebhook(webhook=_shown(row), secret=secret)

    @router.get("/webhooks/{webhook_id}", summary="Read a webhook", responses=documented(404, 422))
    async def read(webhook_id: UUID, caller: owner) -> schemas.Webhook:
        """With what waits for it and what was given up."""
        return _shown(await webhooks.one(webhook_id, caller))

    @router.patch("/webhooks/{webhook_id}", summary="Change a webhook", responses=documented(404, 422))
    async def change(webhook_id: UUID, to: schemas.WebhookChange, caller: owner) -> schemas.Webhook:
        """While it is disabled nothing is sent, and nothing is lost: it goes on from where it stood."""
        return _shown(await webhooks.change(webhook_id, to, caller))

    @router.delete(
        "/webhooks/{webhook_id}", summary="Remove a webhook", status_code=204, responses=documented(404, 422)
    )
    async def remove(webhook_id: UUID, caller: owner) -> None:
        """With its deliveries."""
        await webhooks.remove(webhook_id, caller)

    @router.post("/webhooks/{webhook_id}/secret", summary="Rotate its secret", responses=documented(404, 422))
    async def rotate(webhook_id: UUID, caller: owner) -> schemas.RotatedSecret:
        """For 24 hours each delivery carries two signatures, by the new secret and by the one before."""
        secret, until = await webhooks.rotate(webhook_id, caller)
        return schemas.RotatedSecret(secret=secret, old_until=until)

    @router.post("/webhooks/{webhook_id}/test", summary="Send a test message", responses=documented(404, 422))
    async def test(webhook_id: UUID, caller: owner) -> schemas.Tested:
        """A signed message of the type `webhook.test`, now and once."""
        attempt = await webhooks.test(webhook_id, caller)
        return schemas.Tested(
            arrived=attempt.arrived, status=attempt.status, problem=attempt.problem,
            milliseconds=round(attempt.seconds * 1000, 1),
        )  # fmt: skip

    @router.get("/webhooks/{webhook_id}/deliveries", summary="List deliveries", responses=documented(404, 422))
    async def deliveries(
        webhook_id: UUID,
        caller: owner,
        state: schemas.DeliveryState | None = None,
        before: Annotated[int | None, Query(ge=1, lt=2**53, description="`next` of the page before")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> schemas.DeliveryPage:
        """The newest first. Delivered ones are kept for 3 days, failed ones for 30."""
        rows = await webhooks.deliveries(webhook_id, caller, state, before, limit + 1)
        found = [schemas.WebhookDelivery(**row) for row in rows[:limit]]
        return schemas.DeliveryPage(deliveries=found, next=found[-1].position if len(rows) > limit else None)

    @router.post("/webhooks/{webhook_id}/replay", summary="Send again", responses=documented(404, 422))
    async def replay(webhook_id: UUID, which: schemas.ReplayWanted, caller: owner) -> schemas.Replayed:
        """With the same `webhook-id` as before: who has processed one already can tell."""
        count = await webhooks.replay(webhook_id, caller, which.since, failed=which.failed)
        return schemas.Replayed(deliveries=count)

    return router


def _shown(row: dict[str, Any]) -> schemas.Webhook:
    return schemas.Webhook(**row)
