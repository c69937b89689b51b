"""`/v1/session/ways` and `/v1/session/oidc`: to the identity provider and back."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import RedirectResponse

from secondlook.common.contract.fields import Str
from secondlook.common.errors import NotFound
from secondlook.common.service.authentication import SESSION_COOKIE
from secondlook.common.service.guarded import GuardedRoute, ReturnRoute
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.accounts.tokens import LIFE
from secondlook.reviewer_api.oidc.schemas import Ways
from secondlook.reviewer_api.oidc.service import PATIENCE, OidcSignIn, SignInRefused

COOKIE = "__Host-secondlook-oidc"
ProviderSays = Annotated[Str | None, Query(max_length=2048)]  # what a provider may tell beside the code
Page = Annotated[Str, Query(max_length=500, description="of the console, behind its `#/`")]
MOVED: dict[int | str, dict[str, Any]] = {302: {"description": "to the provider, or to a page of the console"}}


def routes(oidc: OidcSignIn | None, name: str) -> APIRouter:
    """For anybody with a browser. Without a provider, `/v1/session/oidc` is 404."""
    router = APIRouter(route_class=GuardedRoute, prefix="/v1/session", tags=["session"])

    @router.get("/ways", summary="How to sign in", responses=documented())
    async def ways() -> Ways:
        """What the sign-in page offers."""
        return Ways(oidc=name if oidc is not None else None)

    @router.get(
        "/oidc", summary="Sign in at the identity provider", status_code=302, response_class=RedirectResponse,
        responses={**documented(404, 422), **MOVED},
    )  # fmt: skip
    async def begin(goes_to: Page = "") -> RedirectResponse:
        """Sends the browser there. It must come back within ten minutes."""
        try:
            url, browser = await _there(oidc).begin(goes_to)
        except SignInRefused as refused:
            return _to_page(f"oidc={refused.code}")
        answer = RedirectResponse(url, status_code=302)
        # Lax: the way back begins at another site.
        answer.set_cookie(
            COOKIE, browser, max_age=int(PATIENCE.total_seconds()), path="/", secure=True, httponly=True, samesite="lax"
        )
        return answer

    async def back(request: Request, state: ProviderSays = None, code: ProviderSays = None) -> RedirectResponse:
        """Sets the session's cookie, and goes to the page that was wanted. What went wrong is told to the console.

        What else the provider adds to the address does not matter.
        """
        browser, address = request.cookies.get(COOKIE, ""), request.client.host if request.client else ""
        try:
            token, _, goes_to = await _there(oidc).finish(state or "", browser, code or "", address)
        except SignInRefused as refused:
            answer = _to_page(f"oidc={refused.code}")
        else:
            answer = _to_page(f"/{goes_to}")
            answer.set_cookie(
                SESSION_COOKIE, token, max_age=int(LIFE.total_seconds()), path="/", secure=True, httponly=True,
                samesite="strict",
            )  # fmt: skip
        answer.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="lax")
        return answer

    router.add_api_route(
        "/oidc/callback", back, methods=["GET"], summary="Come back from the identity provider", status_code=302,
        response_class=RedirectResponse, responses={**documented(404, 422, 429), **MOVED},
        route_class_override=ReturnRoute,
    )  # fmt: skip
    return router


def _there(oidc: OidcSignIn | None) -> OidcSignIn:
    if oidc is None:
        raise NotFound("no identity provider is set: SECONDLOOK_OIDC_ISSUER")
    return oidc


def _to_page(fragment: str) -> RedirectResponse:
    return RedirectResponse(f"/#{fragment}", status_code=302)
