"""`/` and `/assets/`: the console, to anybody. What it shows comes from `/v1`, with the caller's session."""

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from secondlook.common.errors import NotFound
from secondlook.common.service.guarded import GuardedRoute
from secondlook.common.service.problems import documented
from secondlook.reviewer_api.console.site import File, Site

# Scripts and styles from files of ours alone, and no script may turn a string into markup or code.
POLICY = "; ".join(
    [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ]
)
SAFE = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
NEVER_KEPT = {"Cache-Control": "no-store"}
KEPT = {"Cache-Control": "public, max-age=31536000, immutable"}


def routes(site: Site) -> APIRouter:
    """The page, and the files it is made of."""
    router = APIRouter(route_class=GuardedRoute, tags=["console"])

    @router.get("/", summary="Open the console", response_class=HTMLResponse)
    async def index(request: Request) -> Response:
        """The page, which is never kept."""
        return _answer(request, site.index, NEVER_KEPT)

    @router.get("/assets/{name}", summary="Fetch a file of the console", responses=documented(404))
    async def asset(request: Request, name: str) -> Response:
        """A script, style or picture. Its name changes with its content, so it may be kept for ever."""
        if name not in site.assets:
            raise NotFound("the console has no such file; reload the page, a newer version may be there")
        return _answer(request, site.assets[name], KEPT)

    return router


def _answer(request: Request, file: File, kept: Mapping[str, str]) -> Response:
    headers = {**SAFE, **kept, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(file.compressed, media_type=file.media_type, headers={**headers, "Content-Encoding": "gzip"})
    return Response(file.body, media_type=file.media_type, headers=headers)
