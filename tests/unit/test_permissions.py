"""What each role may do, and that routes take any kind of credential."""

import httpx
import pytest
from fastapi import Depends, FastAPI
from prometheus_client import CollectorRegistry

from secondlook.common.errors import Unauthenticated
from secondlook.common.observability import Health
from secondlook.common.service.authentication import require
from secondlook.common.service.http import create_app
from secondlook.common.service.permissions import ROLES, Caller, Permission

# content:submit, review, escalations, undo:any, leases:any, decisions:read, decisions:any, decisions:follow,
# decisions:reverse, webhooks:own, webhooks:any, policy:read, policy:publish, models:promote, quality:read,
# accounts:manage, keys:manage, audit_log:read
TABLE = {
    "service": "x----xxx-x--------",
    "moderator": "-x---x-----x------",
    "lead": "-xxxxxx-x--xxxx---",
    "policy_owner": "-----xx----xxxx---",
    "auditor": "-----xxx---x--x--x",
    "admin": "xxxxxxxxxxxxxxxxxx",
    "upstream": "x----xxx-x--------",
    "reviewer": "-x---x-----x------",
}


def test_a_role_is_a_set_of_permissions() -> None:
    marks = {role: "".join("-x"[permission in held] for permission in Permission) for role, held in ROLES.items()}
    assert marks == TABLE


class Sessions:
    """Another kind of credential than API keys: the caller's name, for everybody whose name is known."""

    async def authenticate(self, credential: str | None) -> Caller:
        if credential not in ("ann", "lea"):
            raise Unauthenticated("sign in first")
        return Caller(credential, ROLES["lead" if credential == "lea" else "reviewer"])


@pytest.fixture
def app() -> FastAPI:
    app = create_app("test", Health(), CollectorRegistry())

    @app.get("/policies")
    async def publish(caller: Caller = Depends(require(Sessions(), Permission.POLICY_PUBLISH))) -> str:
        return caller.subject

    return app


@pytest.mark.parametrize(("name", "status"), [(None, 401), ("eve", 401), ("ann", 403), ("lea", 200)])
async def test_a_route_asks_its_authenticator_and_for_one_permission(
    app: FastAPI, name: str | None, status: int
) -> None:
    headers = {"Authorization": f"Bearer {name}"} if name else {}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://service") as client:
        answer = await client.get("/policies", headers=headers)
    assert answer.status_code == status
    if status == 403:
        assert "`policy:publish`" in answer.json()["detail"]
