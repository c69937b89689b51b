"""`/v1/session`, `/v1/me`, `/v1/accounts` and `/v1/keys`."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Request, Response

from secondlook.common.errors import FieldProblem, InvalidInput
from secondlook.common.service.authentication import (
    SESSION_COOKIE,
    SESSION_PREFIX,
    Authenticator,
    credential_of,
    ensure_same_origin,
    require,
)
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.permissions import SENDERS, Caller, Permission
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.accounts import schemas
from secondlook.reviewer_api.accounts.keys import KeyService, id_of
from secondlook.reviewer_api.accounts.service import AccountService
from secondlook.reviewer_api.accounts.sign_in import SignedIn, SignIn
from secondlook.reviewer_api.accounts.tokens import LIFE

TAKEN = {"username_taken": "another account has the username"}
LAST = {"last_admin": "nobody could manage accounts any more"}
ELSEWHERE = {"signed_in_elsewhere": "an identity provider signs you in"}
DISABLED = {"account_disabled": "the account may not sign in"}


def session_routes(sign_in: SignIn, callers: Authenticator) -> APIRouter:
    """Who signs in, is signed in, and signs out."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["session"])
    signed_in = Depends(require(sign_in))

    @router.post("/session", summary="Sign in", responses=documented(422, 429))
    async def start(given: schemas.ByPassword, request: Request, response: Response) -> schemas.Me:
        """Sets the session's cookie. It ends 7 days after sign-in, and 8 hours after its last use."""
        ensure_same_origin(request)
        token, who = await sign_in.by_password(given.username, given.password, _address(request))
        return _started(response, token, who)

    @router.post("/session/link", summary="Sign in with a one-time link", responses=documented(422, 429))
    async def start_by_link(given: schemas.ByLink, request: Request, response: Response) -> schemas.Me:
        """As with a password."""
        ensure_same_origin(request)
        token, who = await sign_in.by_link(given.token, _address(request))
        return _started(response, token, who)

    @router.delete("/session", summary="Sign out", status_code=204, dependencies=[signed_in], responses=documented())
    async def end(request: Request, response: Response) -> None:
        """Ends the session and removes its cookie."""
        await sign_in.sign_out(await credential_of(request) or "")
        response.delete_cookie(SESSION_COOKIE, path="/", secure=True, httponly=True, samesite="strict")

    @router.post(
        "/session/password", summary="Set your password", status_code=204, dependencies=[signed_in],
        responses=documented(422, 429, **ELSEWHERE),
    )  # fmt: skip
    async def set_password(given: schemas.SetPassword, request: Request) -> None:
        """Ends your other sessions."""
        await sign_in.set_password(await credential_of(request) or "", given.new, given.current)

    @router.get("/me", summary="Who you are", responses=documented())
    async def me(request: Request) -> schemas.Me:
        """By session or by key, with what you may do."""
        credential = await credential_of(request)
        if credential is not None and credential.startswith(SESSION_PREFIX):
            return _me(await sign_in.who(credential))
        return _key(await callers.authenticate(credential))

    return router


def account_routes(accounts: AccountService, keys: KeyService, authenticator: Authenticator) -> APIRouter:
    """Who may sign in, and which keys there are."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1", tags=["accounts"])
    manager = Annotated[Caller, Depends(require(authenticator, Permission.ACCOUNTS_MANAGE))]
    key_manager = Annotated[Caller, Depends(require(authenticator, Permission.KEYS_MANAGE))]

    @router.get("/accounts", summary="List accounts", responses=documented())
    async def list_accounts(caller: manager) -> schemas.AccountList:
        """By username."""
        return schemas.AccountList(accounts=[schemas.Account(**row) for row in await accounts.all()])

    @router.post("/accounts", summary="Make an account", status_code=201, responses=documented(422, **TAKEN))
    async def create(new: schemas.NewAccount, caller: manager) -> schemas.CreatedAccount:
        """And a one-time link for its owner, who sets a password."""
        account_id, token, until = await accounts.create(new.username, new.name, new.role, caller.subject)
        account = schemas.Account(**await accounts.one(account_id))
        return schemas.CreatedAccount(account=account, link_token=token, link_expires_at=until)

    @router.patch("/accounts/{account_id}", summary="Change an account", responses=documented(404, 422, **LAST))
    async def change(account_id: UUID, to: schemas.AccountChange, caller: manager) -> schemas.Account:
        """A new role, and being disabled, end its sessions at once."""
        return schemas.Account(**await accounts.change(account_id, to.name, to.role, to.disabled, caller.subject))

    @router.post(
        "/accounts/{account_id}/link",
        summary="Make a one-time link",
        responses=documented(404, 422, **DISABLED, **ELSEWHERE),
    )
    async def link(account_id: UUID, caller: manager) -> schemas.LoginLink:
        """It signs its owner in once, within 24 hours. Older links of the account stop working."""
        token, until = await accounts.link(account_id, caller.subject)
        return schemas.LoginLink(link_token=token, link_expires_at=until)

    @router.get("/keys", summary="List API keys", responses=documented())
    async def list_keys(caller: key_manager) -> schemas.ApiKeyList:
        """Those of this service, without their secrets."""
        return schemas.ApiKeyList(keys=[schemas.ApiKey(**row) for row in await keys.all()])

    @router.post("/keys", summary="Make an API key", status_code=201, responses=documented(422))
    async def create_key(new: schemas.NewApiKey, caller: key_manager) -> schemas.CreatedApiKey:
        """The answer is the only place where it is ever shown."""
        if new.sources and new.role not in SENDERS:
            raise InvalidInput([FieldProblem("sources", "only a key for a service can be bound to sources")])
        key = await keys.create(new.name, new.role, new.sources, new.expires_at, caller.subject)
        return schemas.CreatedApiKey(key_id=id_of(key), key=key)

    @router.delete("/keys/{key_id}", summary="Revoke an API key", status_code=204, responses=documented(404, 422))
    async def revoke(key_id: schemas.KeyId, caller: key_manager) -> None:
        """It stops working with the next request."""
        await keys.revoke(key_id, caller.subject)

    return router


def _address(request: Request) -> str:
    return request.client.host if request.client else ""


def _started(response: Response, token: str, who: SignedIn) -> schemas.Me:
    response.set_cookie(
        SESSION_COOKIE, token, max_age=int(LIFE.total_seconds()), path="/", secure=True, httponly=True,
        samesite="strict",
    )  # fmt: skip
    return _me(who)


def _me(who: SignedIn) -> schemas.Me:
    return schemas.Me(
        subject=who.caller.subject, name=who.name, role=who.role, permissions=sorted(who.caller.permissions),
        password_set=who.password_set, session_ends_at=who.ends_at,
    )  # fmt: skip


def _key(caller: Caller) -> schemas.Me:
    return schemas.Me(
        subject=caller.subject, name=None, role=None, permissions=sorted(caller.permissions), password_set=None,
        session_ends_at=None,
    )  # fmt: skip
